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

mod socket;

use core::net::SocketAddr;
use std::io;
use std::time::SystemTime;

use redial_client::{BoxFuture, Client, ClientBuilder};
use redial_engine::Timestamp;
use redial_hyper::{Hyper, Runtime};
use tokio::net::TcpStream;
use tokio::runtime::{Handle, TryCurrentError};
use tokio::time::Instant;

pub use self::socket::Socket;

/// A client to be built on the tokio runtime that this is called from.
///
/// # Errors
///
/// [`TryCurrentError`] outside a tokio runtime: call it inside one, or use [`Tokio::new`].
pub fn client() -> Result<ClientBuilder, TryCurrentError> {
    let runtime = Tokio::new(Handle::try_current()?);
    Ok(Client::builder(Hyper::on(runtime)))
}

/// A tokio runtime, multi-threaded or current-thread, as the transport uses it.
///
/// Its clock is tokio's, so that tests with paused time work.
#[derive(Clone, Debug)]
pub struct Tokio {
    handle: Handle,
    origin: Instant,
}

impl Tokio {
    /// The runtime behind this handle. Its I/O and time drivers must be enabled.
    pub fn new(handle: Handle) -> Self {
        let origin = {
            // Paused time belongs to a runtime: the origin must be read inside it.
            let _inside = handle.enter();
            Instant::now()
        };
        Self { handle, origin }
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
            stream.set_nodelay(true)?;
            Ok(Socket::new(stream))
        })
    }

    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(Instant::now().saturating_duration_since(self.origin))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let after = at.saturating_since(Timestamp::ORIGIN);
        match self.origin.checked_add(after).filter(|_| at != Timestamp::MAX) {
            Some(at) => {
                // A timer belongs to a runtime, and a call may be polled outside this one.
                let _inside = self.handle.enter();
                Box::pin(tokio::time::sleep_until(at))
            }
            None => Box::pin(core::future::pending()),
        }
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.handle.spawn(task);
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        // On a current-thread runtime the reactor runs only between tasks: an end of stream that
        // came while the thread was busy is seen only after this.
        Box::pin(tokio::task::yield_now())
    }
}
