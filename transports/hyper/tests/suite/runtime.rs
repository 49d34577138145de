//! A runtime for tests: any of the real ones, with its sockets counted and its connects delayed.

use core::net::SocketAddr;
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;
use std::io;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures_io::{AsyncRead, AsyncWrite};
use futures_util::FutureExt as _;
use redial_async_std::AsyncStd;
use redial_client::BoxFuture;
use redial_engine::Timestamp;
use redial_hyper::{Peeked, Runtime, Socket};
use redial_smol::Smol;
use redial_tokio::Tokio;

use crate::on::sleep;

/// One of the real runtimes.
#[derive(Clone, Debug)]
pub(crate) enum Base {
    Tokio(Tokio),
    Smol(Smol),
    AsyncStd(AsyncStd),
}

/// The same call to whichever it is.
macro_rules! each {
    ($base:expr, $runtime:ident => $call:expr) => {
        match $base {
            Base::Tokio($runtime) => $call,
            Base::Smol($runtime) => $call,
            Base::AsyncStd($runtime) => $call,
        }
    };
}

/// One of the real runtimes, watched.
#[derive(Clone, Debug)]
pub(crate) struct TestRuntime {
    base: Base,
    sockets: Arc<Gauge>,
    tasks: Arc<Gauge>,
    slow: Option<(SocketAddr, Duration)>,
    /// What every name resolves to, where that is not left to the runtime.
    addresses: Option<Arc<[SocketAddr]>>,
    /// Whether a peer that has said something takes nothing more.
    answers_and_goes: bool,
    /// How long a turn of the reactor's takes, where that is not left to the runtime.
    turn: Option<Arc<Mutex<Duration>>>,
}

impl TestRuntime {
    pub(crate) fn new(base: Base) -> Self {
        let (sockets, tasks) = (Arc::default(), Arc::default());
        let (slow, addresses, answers_and_goes, turn) = (None, None, false, None);
        Self { base, sockets, tasks, slow, addresses, answers_and_goes, turn }
    }

    /// Tasks that take long hold up the reactor, for as long as this says when a turn begins.
    pub(crate) fn taking_turns_of(mut self, length: &Arc<Mutex<Duration>>) -> Self {
        self.turn = Some(Arc::clone(length));
        self
    }

    /// Connecting to this address takes so long.
    pub(crate) fn slow(mut self, address: SocketAddr, delay: Duration) -> Self {
        self.slow = Some((address, delay));
        self
    }

    /// Every name has these addresses.
    pub(crate) fn resolving_to(mut self, addresses: impl IntoIterator<Item = SocketAddr>) -> Self {
        self.addresses = Some(addresses.into_iter().collect());
        self
    }

    /// Writing fails as soon as there is something to be read, as where a peer answers and is gone.
    pub(crate) fn answering_and_going(mut self) -> Self {
        self.answers_and_goes = true;
        self
    }

    /// How many tasks there are.
    pub(crate) fn tasks(&self) -> &Gauge {
        &self.tasks
    }

    /// How many sockets there are.
    pub(crate) fn sockets(&self) -> Arc<Gauge> {
        Arc::clone(&self.sockets)
    }
}

impl Runtime for TestRuntime {
    type Socket = TestSocket;

    fn name(&self) -> &'static str {
        each!(&self.base, runtime => runtime.name())
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        match &self.addresses {
            Some(addresses) => core::future::ready(Ok(addresses.to_vec())).boxed(),
            None => each!(&self.base, runtime => runtime.resolve(host, port)),
        }
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TestSocket>> {
        let counting = Counting::new(&self.sockets);
        let delay = self.slow.filter(|(slow, _)| *slow == address).map(|(_, delay)| delay);
        let (base, answers_and_goes) = (self.base.clone(), self.answers_and_goes);
        Box::pin(async move {
            if let Some(delay) = delay {
                sleep(delay).await;
            }
            let socket: Box<dyn Socket> =
                each!(base, runtime => Box::new(runtime.connect(address).await?));
            Ok(TestSocket { socket, answers_and_goes, _counting: counting })
        })
    }

    fn now(&self) -> Timestamp {
        each!(&self.base, runtime => runtime.now())
    }

    fn wall(&self) -> SystemTime {
        each!(&self.base, runtime => runtime.wall())
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        each!(&self.base, runtime => runtime.sleep_until(at))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        let counting = Counting::new(&self.tasks);
        let task = Box::pin(async move {
            let _counting = counting;
            task.await;
        });
        each!(&self.base, runtime => runtime.spawn(task));
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        each!(&self.base, runtime => runtime.yield_now())
    }

    fn reactor_turn(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        match &self.turn {
            Some(length) => {
                Some(Box::pin(sleep(*length.lock().unwrap())) as BoxFuture<'static, ()>)
            }
            None => each!(&self.base, runtime => {
                runtime.reactor_turn().map(|turn| Box::pin(turn) as BoxFuture<'static, ()>)
            }),
        }
    }
}

/// How many sockets there are on the client's side, from the start of connecting; or how many tasks.
#[derive(Debug, Default)]
pub(crate) struct Gauge {
    open: AtomicUsize,
    peak: AtomicUsize,
}

impl Gauge {
    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }
}

/// One of them.
#[derive(Debug)]
struct Counting(Arc<Gauge>);

impl Counting {
    fn new(gauge: &Arc<Gauge>) -> Self {
        let open = gauge.open.fetch_add(1, Ordering::SeqCst) + 1;
        gauge.peak.fetch_max(open, Ordering::SeqCst);
        Self(Arc::clone(gauge))
    }
}

impl Drop for Counting {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::SeqCst);
    }
}

/// A socket of any of them. It is dropped before it is counted as gone.
pub(crate) struct TestSocket {
    socket: Box<dyn Socket>,
    answers_and_goes: bool,
    _counting: Counting,
}

impl Socket for TestSocket {
    fn peek(&self) -> Peeked {
        self.socket.peek()
    }
}

impl AsyncRead for TestSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for TestSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.answers_and_goes && self.peek() != Peeked::Nothing {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_close(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_close(context)
    }
}
