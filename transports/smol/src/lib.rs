//! Redial's HTTP client on smol.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = redial_smol::client().build()?;
//! let response = smol::block_on(client.get("http://localhost:8080/status").send())?;
//! println!("{} after {} attempts", response.status(), response.attempts().len());
//! # Ok(())
//! # }
//! ```
#![forbid(unsafe_code)]

mod background;

use core::net::SocketAddr;
use std::io;
use std::sync::{Arc, Weak};
use std::time::{Instant, SystemTime};

use redial_client::{
    BoxFuture, Client, ClientBuilder, IntoTransport, NoTransport, Observer, Settings, Transport,
    blocking,
};
use redial_engine::Timestamp;
use redial_hyper::async_io::Socket;
use redial_hyper::{Hyper, Runtime};
use smol::{Executor, Timer};

use self::background::Background;

/// A client to be built whose connections live on smol's global executor.
pub fn client() -> ClientBuilder {
    Client::builder(Smol::new())
}

/// A blocking client to be built, whose connections live on a thread of its own: one that ends with
/// the last clone of the client. On smol's global executor, a blocking call from
/// one of its tasks would wait for its own thread.
///
/// # Errors
///
/// What the system says where it has no thread to give.
pub fn blocking() -> io::Result<blocking::ClientBuilder> {
    let executor = Arc::new(Executor::new());
    let client = Client::builder(Smol::with_executor(&executor));
    let background = Background::start(executor)?;
    Ok(blocking::ClientBuilder::from_parts(client, background))
}

/// smol, as the transport uses it: its reactor, and an executor for connections to live on.
#[derive(Clone, Debug)]
pub struct Smol {
    /// `None` stands for the global one.
    ///
    /// Not held: what runs on an executor holds this, and would keep the executor for ever.
    executor: Option<Weak<Executor<'static>>>,
    origin: Instant,
}

impl Smol {
    /// smol with its global executor, which runs on a thread of its own.
    pub fn new() -> Self {
        Self { executor: None, origin: Instant::now() }
    }

    /// smol with this executor, which the caller keeps and runs for as long as there are calls.
    ///
    /// When the caller drops it, every connection on it closes, but one of HTTP/1.1 only with its
    /// request; and no other can be made: calls fail as those of a closed client do.
    pub fn with_executor(executor: &Arc<Executor<'static>>) -> Self {
        Self { executor: Some(Arc::downgrade(executor)), origin: Instant::now() }
    }
}

impl Default for Smol {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoTransport for Smol {
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        Hyper::on(self).into_transport(settings, observer)
    }
}

impl Runtime for Smol {
    type Socket = Socket;

    fn name(&self) -> &'static str {
        "smol"
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { smol::net::resolve((host, port)).await })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Socket>> {
        Box::pin(Socket::connect(address))
    }

    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(self.origin.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let after = at.saturating_since(Timestamp::ORIGIN);
        match self.origin.checked_add(after).filter(|_| at != Timestamp::MAX) {
            Some(at) => Box::pin(async move {
                Timer::at(at).await;
            }),
            None => Box::pin(core::future::pending()),
        }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        match &self.executor {
            Some(executor) => {
                // A task that is dropped says so: nobody waits for it in vain.
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(task).detach();
                }
            }
            None => smol::spawn(task).detach(),
        }
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        Box::pin(smol::future::yield_now())
    }
}
