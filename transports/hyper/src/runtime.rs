//! What a runtime has to give.

use core::future::{Future, Ready};
use core::net::SocketAddr;
use std::io;
use std::time::SystemTime;

use futures_io::{AsyncRead, AsyncWrite};
use redial_client::BoxFuture;
use redial_engine::Timestamp;

/// An async runtime: sockets, time and tasks, and nothing of HTTP.
///
/// Implementing this, in about a hundred lines, brings the whole transport to another runtime.
pub trait Runtime: Clone + Send + Sync + 'static {
    /// A connected TCP socket. Dropping it closes it.
    type Socket: Socket;

    /// The name by which users choose it, such as `tokio`.
    fn name(&self) -> &'static str;

    /// Resolves a host to addresses, in the order in which they are to be tried.
    ///
    /// # Errors
    ///
    /// Whatever the resolver says.
    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>>;

    /// Connects to an address; [`tune`](crate::tune) prepares the socket.
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

    /// Runs a future in the background, or drops it where the runtime has been shut down. By that it
    /// is known that there will be no connection any more, and calls fail as of a closed client.
    fn spawn(&self, task: BoxFuture<'static, ()>);

    /// Lets the other tasks have a turn, and the reactor report what has happened to sockets.
    ///
    /// Called before an HTTP/2 connection is used again that was silent for a moment, so that its
    /// task may first read what has come meanwhile, such as that the server is going away.
    fn yield_now(&self) -> BoxFuture<'static, ()>;

    /// A turn of the reactor's, after which it has reported what had happened to sockets until then;
    /// `None`, which is the default, where there is none to be had.
    ///
    /// Awaited before an HTTP/1.1 connection is used again while other requests are under way: one
    /// turn tells of the connections of all of them, where else each asks the system for its own
    /// ([`Socket::peek`]).
    fn reactor_turn(&self) -> Option<impl Future<Output = ()> + Send + 'static> {
        None::<Ready<()>>
    }
}

/// A connected TCP socket of a runtime's.
pub trait Socket: AsyncRead + AsyncWrite + Send + Unpin + 'static {
    /// What whoever reads next will find, without taking it.
    ///
    /// Called before a connection is used again, so that one that the server has closed gets no
    /// request. To be asked of the system, by a `recv` that peeks and does not wait, and not of the
    /// reactor: that may have had no turn since, as where the thread was busy with something else.
    fn peek(&self) -> Peeked;
}

/// What was found by a look at a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "there is nothing else that a read can find")]
pub enum Peeked {
    /// Nothing: the connection stands, and its peer is silent.
    Nothing,
    /// Bytes that nobody has read yet.
    Bytes,
    /// The end of the stream, or an error such as a reset.
    End,
}

impl Peeked {
    /// What this result of a peek on a socket that does not block says.
    pub fn of(peeked: io::Result<usize>) -> Self {
        match peeked {
            Ok(0) => Self::End,
            Ok(_) => Self::Bytes,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Self::Nothing,
            Err(_) => Self::End,
        }
    }
}
