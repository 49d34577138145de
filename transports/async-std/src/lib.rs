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

use core::net::SocketAddr;
use std::io;
use std::time::{Instant, SystemTime};

use async_std::net::{TcpStream, ToSocketAddrs};
use async_std::task;
use redial_client::{BoxFuture, Client, ClientBuilder};
use redial_engine::Timestamp;
use redial_hyper::{Hyper, Runtime};

/// A client to be built whose connections live on async-std's global runtime.
pub fn client() -> ClientBuilder {
    Client::builder(Hyper::on(AsyncStd::new()))
}

/// async-std's global runtime, as the transport uses it.
#[derive(Clone, Debug)]
pub struct AsyncStd {
    origin: Instant,
}

impl AsyncStd {
    /// async-std's global runtime. It starts itself.
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Default for AsyncStd {
    fn default() -> Self {
        Self::new()
    }
}

impl Runtime for AsyncStd {
    type Socket = TcpStream;

    fn name(&self) -> &'static str {
        "async-std"
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let host = host.to_owned();
        Box::pin(async move { Ok((host.as_str(), port).to_socket_addrs().await?.collect()) })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<TcpStream>> {
        Box::pin(async move {
            let stream = TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        })
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
        task::spawn(task);
    }

    fn yield_now(&self) -> BoxFuture<'static, ()> {
        Box::pin(task::yield_now())
    }
}
