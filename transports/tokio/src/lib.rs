//! Redial's HTTP client on tokio.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let client = redial_tokio::client()?.build()?;
//! let response = client.get("http://localhost:8080/status").send().await?;
//! println!("{} after {} attempts", response.status(), response.attempts().len());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod background;
mod socket;
mod time;

use core::future::{Future, poll_fn};
use core::mem;
use core::net::SocketAddr;
use core::task::Poll;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use redial_client::{
    BoxFuture, Client, ClientBuilder, IntoTransport, NoTransport, Observer, Settings, Transport,
    blocking,
};
use redial_engine::Timestamp;
use redial_hyper::{Hyper, Runtime};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, RuntimeFlavor, TryCurrentError};

use self::background::Background;
pub use self::socket::Socket;
use self::time::Time;

/// A client to be built on the tokio runtime that this is called from.
///
/// # Errors
///
/// [`TryCurrentError`] outside a tokio runtime: call it inside one, or use [`Tokio::new`].
pub fn client() -> Result<ClientBuilder, TryCurrentError> {
    Ok(Client::builder(Tokio::current()?))
}

/// A blocking client to be built, whose connections live on a tokio runtime of its own: one thread
/// that ends with the last clone of the client.
///
/// # Errors
///
/// What the system says where it has no thread or no I/O to give.
pub fn blocking() -> io::Result<blocking::ClientBuilder> {
    let runtime = Background::start()?;
    let client = Client::builder(Tokio::new(runtime.handle().clone()));
    Ok(blocking::ClientBuilder::from_parts(client, runtime))
}

/// A tokio runtime, multi-threaded or current-thread, as the transport uses it.
///
/// The runtime's I/O and time drivers must be enabled, as `enable_all` does it: without them tokio
/// panics at the first call.
///
/// Its clock is tokio's, so that time can be paused in tests. It runs ahead then whenever the runtime
/// has nothing to do, also while a server elsewhere is at work: timeouts come at once, unless they are
/// longer than all that is waited for.
///
/// A task of its own waits there, for as long as there is a clone of this, to tell when the runtime is
/// shut down: every connection closes then, and calls fail as those of a closed client do.
#[derive(Clone, Debug)]
pub struct Tokio(Arc<Time>);

impl Tokio {
    /// The runtime that this is called from.
    ///
    /// # Errors
    ///
    /// [`TryCurrentError`] outside a tokio runtime.
    pub fn current() -> Result<Self, TryCurrentError> {
        Handle::try_current().map(Self::new)
    }

    /// The runtime behind this handle.
    pub fn new(handle: Handle) -> Self {
        Self(Arc::new(Time::of(handle)))
    }
}

impl IntoTransport for Tokio {
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        Hyper::on(self).into_transport(settings, observer)
    }
}

impl Runtime for Tokio {
    type Socket = Socket;

    fn name(&self) -> &'static str {
        "tokio"
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok(tokio::net::lookup_host((host, port)).await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Socket>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            Socket::new(stream)
        })
    }

    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        match self.0.instant(at) {
            Some(at) => Box::pin(Arc::clone(&self.0).sleep_until(at)),
            None => Box::pin(core::future::pending()),
        }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.0.runtime().spawn(task);
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        match self.reactor_turn() {
            Some(turn) => Box::pin(turn),
            None => Box::pin(turn()),
        }
    }

    /// On a current-thread runtime alone, whose reactor runs only between tasks: what came while the
    /// thread was busy is told only then. Where there are more threads, another one of them waits for
    /// it; and from outside the runtime, or inside a task that blocks its thread, the turn would not
    /// come.
    fn reactor_turn(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        let runtime = self.0.runtime();
        let alone = runtime.runtime_flavor() == RuntimeFlavor::CurrentThread;
        let inside = || Handle::try_current().is_ok_and(|here| here.id() == runtime.id());
        (alone && inside()).then(tokio::task::yield_now)
    }
}

/// A turn for the other tasks, which comes also where the one that waits for it blocks its thread.
fn turn() -> impl Future<Output = ()> + Send {
    let mut waited = false;
    poll_fn(move |context| {
        if mem::replace(&mut waited, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
}
