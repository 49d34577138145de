//! Redial's HTTP client on async-std.
//!
//! async-std is no longer developed. This crate is for programs that stand on it; new ones do
//! better on smol, which it recommends itself.
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let client = redial_async_std::client().build()?;
//! let call = client.get("http://localhost:8080/status").send();
//! let response = async_std::task::block_on(call)?;
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

use async_executor::Executor;
use async_std::net::ToSocketAddrs;
use async_std::task;
use redial_client::{
    BoxFuture, Client, ClientBuilder, IntoTransport, NoTransport, Observer, Settings, Transport,
    blocking,
};
use redial_engine::Timestamp;
use redial_hyper::async_io::Socket;
use redial_hyper::{Hyper, Runtime};

use self::background::Background;

/// A client to be built whose connections live on async-std's global runtime.
pub fn client() -> ClientBuilder {
    Client::builder(AsyncStd::new())
}

/// A blocking client to be built, whose connections live on a thread of its own: one that ends with
/// the last clone of the client. On async-std's own, blocking calls from its
/// tasks would wait for their own threads.
///
/// # Errors
///
/// What the system says where it has no thread to give.
pub fn blocking() -> io::Result<blocking::ClientBuilder> {
    let executor = Arc::new(Executor::new());
    let client = Client::builder(AsyncStd::with_executor(&executor));
    let background = Background::start(executor)?;
    Ok(blocking::ClientBuilder::from_parts(client, background))
}

/// async-std's global runtime, as the transport uses it.
#[derive(Clone, Debug)]
pub struct AsyncStd {
    /// `None` stands for async-std's own.
    ///
    /// Not held: what runs on an executor holds this, and would keep the executor for ever.
    executor: Option<Weak<Executor<'static>>>,
    origin: Instant,
}

impl AsyncStd {
    /// async-std's global runtime. It starts itself.
    pub fn new() -> Self {
        Self { executor: None, origin: Instant::now() }
    }

    /// async-std's reactor, and this executor for connections to live on.
    fn with_executor(executor: &Arc<Executor<'static>>) -> Self {
        Self { executor: Some(Arc::downgrade(executor)), origin: Instant::now() }
    }
}

impl Default for AsyncStd {
    fn default() -> Self {
        Self::new()
    }
}

impl IntoTransport for AsyncStd {
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        Hyper::on(self).into_transport(settings, observer)
    }
}

impl Runtime for AsyncStd {
    type Socket = Socket;

    fn name(&self) -> &'static str {
        "async-std"
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok((host.as_str(), port).to_socket_addrs().await?.collect()) })
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
        if at == Timestamp::MAX {
            return Box::pin(core::future::pending());
        }
        // The sleep is relative, so it begins when it is polled, not when it is made.
        let runtime = self.clone();
        Box::pin(async move { task::sleep(at.saturating_since(runtime.now())).await })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        match &self.executor {
            Some(executor) => {
                // A task that is dropped says so: nobody waits for it in vain.
                if let Some(executor) = executor.upgrade() {
                    executor.spawn(task).detach();
                }
            }
            None => drop(task::spawn(task)),
        }
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        Box::pin(task::yield_now())
    }
}
