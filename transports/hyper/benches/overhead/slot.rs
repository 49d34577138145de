//! What sends requests one after the other, over each of the stacks.
//!
//! Every request says the same, whatever carries it: `host`, `accept` and `user-agent`.

use core::future::Future;

use bytes::Bytes;
use http::header::{ACCEPT, HeaderValue};
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, Uri, body::Incoming};
use hyper_util::client::legacy::Client as PooledClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioIo};
use redial_client::{Client, PoolLimits, Protocol, Settings};
use redial_hyper::{Hyper, Runtime};
use tokio::net::TcpStream;

use crate::load::Load;

const AGENT: &str = concat!("redial/", env!("CARGO_PKG_VERSION"));

/// One place from which requests are sent, one after the other.
pub(crate) trait Slot: Send + 'static {
    fn request(&mut self) -> impl Future<Output = ()> + Send;
}

/// The whole client, with everything on.
pub(crate) struct Ours {
    client: Client,
    url: String,
}

impl Slot for Ours {
    async fn request(&mut self) {
        let response = self.client.get(&self.url).send().await.unwrap();
        assert_eq!(response.body().len(), 13);
    }
}

/// As many as the load has in flight, of one client on this runtime.
pub(crate) fn ours<R: Runtime>(runtime: R, load: &Load) -> Vec<Ours> {
    let mut settings = Settings::default();
    settings.limits = PoolLimits::HIGH_CONCURRENCY;
    settings.protocol = if load.http2 { Protocol::Http2PriorKnowledge } else { Protocol::Http1 };
    let client = Client::builder(Hyper::on(runtime))
        .settings(settings)
        .default_header(ACCEPT, HeaderValue::from_static("*/*"))
        .build()
        .unwrap();
    let slot = || Ours { client: client.clone(), url: load.url.clone() };
    (0..load.in_flight).map(|_| slot()).collect()
}

/// hyper-util's client, which has a pool, but neither timeouts nor retries.
pub(crate) struct Pooled {
    client: PooledClient<HttpConnector, Empty<Bytes>>,
    url: Uri,
}

impl Slot for Pooled {
    async fn request(&mut self) {
        let response = self.client.request(get(self.url.clone(), None)).await.unwrap();
        read(response).await;
    }
}

pub(crate) fn pooled(load: &Load) -> Vec<Pooled> {
    let mut connector = HttpConnector::new();
    connector.set_nodelay(true);
    let client =
        PooledClient::builder(TokioExecutor::new()).http2_only(load.http2).build(connector);
    let slot = || Pooled { client: client.clone(), url: load.uri() };
    (0..load.in_flight).map(|_| slot()).collect()
}

/// A connection of hyper's over HTTP/1.1.
pub(crate) struct Raw1(http1::SendRequest<Empty<Bytes>>, Uri);

impl Slot for Raw1 {
    async fn request(&mut self) {
        self.0.ready().await.unwrap();
        let target = Uri::from(self.1.path_and_query().unwrap().clone());
        let request = get(target, Some(self.1.authority().unwrap().as_str()));
        read(self.0.send_request(request).await.unwrap()).await;
    }
}

/// One connection for each request in flight.
pub(crate) async fn raw_http1(load: &Load) -> Vec<Raw1> {
    let mut slots = Vec::new();
    for _ in 0..load.in_flight {
        let (sender, connection) = http1::handshake(connect(load).await).await.unwrap();
        tokio::spawn(connection);
        slots.push(Raw1(sender, load.uri()));
    }
    slots
}

/// A connection of hyper's over HTTP/2, which others share.
pub(crate) struct Raw2(http2::SendRequest<Empty<Bytes>>, Uri);

impl Slot for Raw2 {
    async fn request(&mut self) {
        self.0.ready().await.unwrap();
        read(self.0.send_request(get(self.1.clone(), None)).await.unwrap()).await;
    }
}

/// One connection for all.
pub(crate) async fn raw_http2(load: &Load) -> Vec<Raw2> {
    let handshake = http2::handshake(TokioExecutor::new(), connect(load).await);
    let (sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    (0..load.in_flight).map(|_| Raw2(sender.clone(), load.uri())).collect()
}

fn get(url: Uri, host: Option<&str>) -> Request<Empty<Bytes>> {
    let request = Request::get(url);
    let request = match host {
        Some(host) => request.header("host", host),
        None => request,
    };
    request.header("accept", "*/*").header("user-agent", AGENT).body(Empty::new()).unwrap()
}

async fn read(response: Response<Incoming>) {
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 13);
}

async fn connect(load: &Load) -> TokioIo<TcpStream> {
    let socket = TcpStream::connect(load.uri().authority().unwrap().as_str()).await.unwrap();
    socket.set_nodelay(true).unwrap();
    TokioIo::new(socket)
}
