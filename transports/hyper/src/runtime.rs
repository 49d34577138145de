//! What a runtime has to give.

use core::net::SocketAddr;
use std::io;
use std::time::SystemTime;

use redial_client::BoxFuture;
use redial_engine::Timestamp;

/// An async runtime: sockets, time and tasks, and nothing of HTTP.
///
/// Implementing this, in about a hundred lines, brings the whole transport to another runtime.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected TCP socket. Dropping it closes it.
    type Socket: futures_io::AsyncRead + futures_io::AsyncWrite + Send + Unpin + 'static;

    /// The name by which users choose it, such as `tokio`.
    fn name(&self) -> &'static str;

    /// Resolves a host to addresses, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// Whatever the resolver says.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

    /// Connects to an address, with `TCP_NODELAY` set: requests are small and wait for answers.
    ///
    /// # Errors
    ///
    /// Whatever the socket says.
    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Self::Socket>>;

    /// The time now, from the same source as `sleep_until` (R-T-6).
    fn now(&self) -> Timestamp;

    /// The wall clock, for dates in responses.
    fn wall(&self) -> SystemTime;

    /// Completes at `at` or later; [`Timestamp::MAX`] never comes.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;

    /// Runs a future in the background.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Lets the reactor report what has happened to sockets meanwhile.
    ///
    /// Called before a connection is used again, so that one that the server has closed is seen to
    /// be closed. Where a task is always behind the reactor, do nothing.
    fn yield_now(&self) -> BoxFuture<'static, ()>;
}
