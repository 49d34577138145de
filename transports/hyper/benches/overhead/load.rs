//! The load: so many requests, so many of them in flight, over one of the stacks.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Uri};
use hyper_util::rt::{TokioExecutor, TokioIo};
use redial_client::{Client, PoolLimits, Protocol, Settings};
use redial_hyper::{Hyper, Runtime};
use tokio::net::TcpStream;

use crate::server::Served;

/// How many requests each slot sends before the clock runs.
const WARM_UP: usize = 4;

const AGENT: &str = concat!("redial/", env!("CARGO_PKG_VERSION"));

/// What carries the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// Bare hyper connections on tokio.
    Raw,
    Tokio,
    Smol,
    AsyncStd,
}

impl Stack {
    const ALL: [Self; 4] = [Self::Raw, Self::Tokio, Self::Smol, Self::AsyncStd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
            Self::AsyncStd => "async-std",
        }
    }
}

/// So many requests of one URL over one stack.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    stack: Stack,
    http2: bool,
    in_flight: usize,
    requests: usize,
    url: String,
}

impl Load {
    pub(crate) fn new(stack: Stack, server: &Served, in_flight: usize) -> Self {
        let http2 = server.is_http2();
        Self { stack, http2, in_flight, requests: 0, url: server.url().to_owned() }
    }

    /// The arguments by which a process of its own carries this out.
    pub(crate) fn arguments(&self, requests: usize) -> Vec<String> {
        let protocol = if self.http2 { "http2" } else { "http1" };
        ["--load", self.stack.name(), protocol]
            .map(str::to_owned)
            .into_iter()
            .chain([self.in_flight.to_string(), requests.to_string(), self.url.clone()])
            .collect()
    }

    pub(crate) fn parse(arguments: &[String]) -> Self {
        let [stack, protocol, in_flight, requests, url] = arguments else {
            panic!("a load is: stack, protocol, in flight, requests, URL")
        };
        let stack = Stack::ALL.into_iter().find(|known| known.name() == stack).unwrap();
        let (in_flight, requests) = (in_flight.parse().unwrap(), requests.parse().unwrap());
        Self { stack, http2: protocol == "http2", in_flight, requests, url: url.clone() }
    }

    fn settings(&self) -> Settings {
        let mut settings = Settings::default();
        settings.limits = PoolLimits::HIGH_CONCURRENCY;
        settings.protocol =
            if self.http2 { Protocol::Http2PriorKnowledge } else { Protocol::Http1 };
        settings
    }
}

/// Carries out a load, and prints how long it took in nanoseconds.
pub(crate) fn run(load: &Load) {
    let took = match load.stack {
        Stack::Raw => tokio_runtime().block_on(raw(load)),
        Stack::Tokio => tokio_runtime().block_on(async {
            let slots = slots(redial_tokio::Tokio::new(tokio::runtime::Handle::current()), load);
            time(slots, load, on_tokio).await
        }),
        Stack::Smol => {
            let executor = Arc::new(smol::Executor::new());
            let runtime = redial_smol::Smol::with_executor(&executor);
            let work = time(slots(runtime, load), load, |slot| executor.spawn(slot));
            smol::block_on(executor.run(work))
        }
        Stack::AsyncStd => {
            let slots = slots(redial_async_std::AsyncStd::new(), load);
            async_std::task::block_on(time(slots, load, async_std::task::spawn))
        }
    };
    println!("{}", took.as_nanos());
}

fn tokio_runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// One place from which requests are sent, one after the other.
trait Slot: Send + 'static {
    fn request(&mut self) -> impl Future<Output = ()> + Send;
}

/// The whole client, with everything on.
struct Ours {
    client: Client,
    url: String,
}

impl Slot for Ours {
    async fn request(&mut self) {
        let response = self.client.get(&self.url).send().await.unwrap();
        assert_eq!(response.body().len(), 13);
    }
}

fn slots<R: Runtime>(runtime: R, load: &Load) -> Vec<Ours> {
    let client = Client::builder(Hyper::on(runtime)).settings(load.settings()).build().unwrap();
    let slot = || Ours { client: client.clone(), url: load.url.clone() };
    (0..load.in_flight).map(|_| slot()).collect()
}

struct Raw1(http1::SendRequest<Empty<Bytes>>, Uri);

impl Slot for Raw1 {
    async fn request(&mut self) {
        self.0.ready().await.unwrap();
        let target = Uri::from(self.1.path_and_query().unwrap().clone());
        let request = Request::get(target)
            .header("host", self.1.authority().unwrap().as_str())
            .header("user-agent", AGENT)
            .body(Empty::new())
            .unwrap();
        let response = self.0.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 13);
    }
}

struct Raw2(http2::SendRequest<Empty<Bytes>>, Uri);

impl Slot for Raw2 {
    async fn request(&mut self) {
        self.0.ready().await.unwrap();
        let request =
            Request::get(self.1.clone()).header("user-agent", AGENT).body(Empty::new()).unwrap();
        let response = self.0.send_request(request).await.unwrap();
        assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 13);
    }
}

async fn raw(load: &Load) -> Duration {
    let uri: Uri = load.url.parse().unwrap();
    if load.http2 {
        let io = TokioIo::new(connect(&uri).await);
        let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let slots = (0..load.in_flight).map(|_| Raw2(sender.clone(), uri.clone())).collect();
        return time(slots, load, on_tokio).await;
    }
    let mut slots = Vec::new();
    for _ in 0..load.in_flight {
        let io = TokioIo::new(connect(&uri).await);
        let (sender, connection) = http1::handshake(io).await.unwrap();
        tokio::spawn(connection);
        slots.push(Raw1(sender, uri.clone()));
    }
    time(slots, load, on_tokio).await
}

async fn on_tokio<S: Send + 'static>(slot: Sending<S>) -> S {
    tokio::spawn(slot).await.unwrap()
}

async fn connect(uri: &Uri) -> TcpStream {
    let socket = TcpStream::connect(uri.authority().unwrap().as_str()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    socket
}

/// A slot that is sending, and comes back.
type Sending<S> = Pin<Box<dyn Future<Output = S> + Send>>;

/// Sends the requests from all slots at once; how long that took after the connections stood.
async fn time<S: Slot, T: Future<Output = S>>(
    slots: Vec<S>,
    load: &Load,
    spawn: impl Fn(Sending<S>) -> T,
) -> Duration {
    let send = |slot, requests| spawn(Box::pin(send(slot, requests)));
    let slots = join_all(slots.into_iter().map(|slot| send(slot, WARM_UP))).await;
    let each = load.requests / load.in_flight;
    let began = Instant::now();
    join_all(slots.into_iter().map(|slot| send(slot, each))).await;
    began.elapsed()
}

async fn send<S: Slot>(mut slot: S, requests: usize) -> S {
    for _ in 0..requests {
        slot.request().await;
    }
    slot
}

/// How fast one load is, of another: the median over interleaved rounds.
pub(crate) fn relative_speed(ours: &Load, raw: &Load) -> f64 {
    const ROUNDS: usize = 15;
    const REQUESTS: usize = 12_800;
    let mut ratios: Vec<f64> =
        (0..ROUNDS).map(|_| seconds(raw, REQUESTS) / seconds(ours, REQUESTS)).collect();
    ratios.sort_by(f64::total_cmp);
    ratios[ROUNDS / 2]
}

fn seconds(load: &Load, requests: usize) -> f64 {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(load.arguments(requests))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse::<f64>().unwrap()
}

/// Resident memory for each idle connection; `None` where the system does not tell.
pub(crate) fn idle_kib(server: &Served) -> Option<f64> {
    let output = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--idle", server.url()])
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().ok()
}

/// Prints the resident memory for each of many idle connections, in KiB.
pub(crate) fn print_idle(url: &str) {
    const CONNECTIONS: usize = 400;
    let kib = tokio_runtime().block_on(async {
        let mut settings = Settings::default();
        settings.limits = PoolLimits {
            max_connections: CONNECTIONS,
            max_keepalive_connections: CONNECTIONS,
            keepalive_expiry: None,
        };
        let runtime = redial_tokio::Tokio::new(tokio::runtime::Handle::current());
        let client = Client::builder(Hyper::on(runtime)).settings(settings).build().unwrap();
        client.get(url).send().await.unwrap();
        let before = resident_kib()?;
        // Sent at once, each needs a connection of its own.
        join_all((0..CONNECTIONS).map(|_| client.get(url).send())).await;
        assert!(client.pool().idle > CONNECTIONS * 9 / 10, "{:?}", client.pool());
        Some((resident_kib()? - before) / client.pool().idle as f64)
    });
    match kib {
        Some(kib) => println!("{kib}"),
        None => println!("unknown"),
    }
}

fn resident_kib() -> Option<f64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
