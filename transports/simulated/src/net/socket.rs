//! One end of a connection.

use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex};

use futures_io::{AsyncRead, AsyncWrite};
use redial_hyper::Peeked;

use super::Link;
use super::pipe::Pipe;
use crate::executor::{VirtualTime, lock};

/// One end of a virtual connection. Dropping it closes it.
pub struct Socket {
    connection: Arc<Mutex<Connection>>,
    time: VirtualTime,
    link: Link,
    side: Side,
    /// What counts the sockets of this side that are open.
    open: Option<Open>,
}

/// Both directions.
struct Connection {
    up: Pipe,
    down: Pipe,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Client,
    Host,
}

impl Connection {
    /// What this side reads from, and what it writes to.
    const fn of(&mut self, side: Side) -> (&mut Pipe, &mut Pipe) {
        match side {
            Side::Client => (&mut self.down, &mut self.up),
            Side::Host => (&mut self.up, &mut self.down),
        }
    }
}

/// How many of something there are, the most that there ever were, and all of them together.
#[derive(Debug, Default)]
pub(super) struct Count {
    now: AtomicUsize,
    most: AtomicUsize,
    total: AtomicU64,
}

impl Count {
    pub(super) fn now(&self) -> usize {
        self.now.load(Ordering::Relaxed)
    }

    pub(super) fn most(&self) -> usize {
        self.most.load(Ordering::Relaxed)
    }

    pub(super) fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }
}

/// Is counted for as long as it is there.
pub(super) struct Open(Arc<Count>);

impl Open {
    pub(super) fn new(count: &Arc<Count>) -> Self {
        let before = count.now.fetch_add(1, Ordering::Relaxed);
        count.most.fetch_max(before + 1, Ordering::Relaxed);
        count.total.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Socket {
    /// The two ends of a connection: the client's, and the host's.
    pub(super) fn pair(link: Link, time: &VirtualTime, open: Open) -> (Self, Self) {
        let connection = Connection { up: Pipe::new(), down: Pipe::new() };
        let connection = Arc::new(Mutex::new(connection));
        let end = |side, open| Self {
            connection: Arc::clone(&connection),
            time: time.clone(),
            link,
            side,
            open,
        };
        (end(Side::Client, Some(open)), end(Side::Host, None))
    }

    /// Breaks the connection: the other end finds it broken when that has travelled.
    pub fn reset(self) {
        let at = self.time.now().saturating_add(self.link.latency);
        let mut connection = lock(&self.connection);
        let (_, outgoing) = connection.of(self.side);
        outgoing.break_off(at, &self.time);
    }

    /// Closes the connection in good order, also where something was left unread.
    pub fn close_in_order(self) {
        let at = self.time.now().saturating_add(self.link.latency);
        let mut connection = lock(&self.connection);
        let (incoming, outgoing) = connection.of(self.side);
        incoming.abandon();
        outgoing.finish(at, &self.time);
    }

    /// What can be asked of the other end without reading.
    pub fn peer(&self) -> Peer {
        let connection = Arc::clone(&self.connection);
        Peer { connection, time: self.time.clone(), side: self.side }
    }

    /// Closes the connection, and has the other end find that out at once: as when it had been
    /// closed some time ago, and nobody had looked.
    pub fn close_at_once(self) {
        let mut connection = lock(&self.connection);
        let (_, outgoing) = connection.of(self.side);
        outgoing.finish(self.time.now(), &self.time);
    }
}

/// The other end of a connection, seen from one that need not read to see it.
#[derive(Clone)]
pub struct Peer {
    connection: Arc<Mutex<Connection>>,
    time: VirtualTime,
    side: Side,
}

impl Peer {
    /// Whether it has closed or broken the connection, and that has arrived here.
    pub fn is_gone(&self) -> bool {
        let mut connection = lock(&self.connection);
        let (incoming, _) = connection.of(self.side);
        incoming.is_over(self.time.now())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer").field("gone", &self.is_gone()).finish()
    }
}

impl redial_hyper::Socket for Socket {
    fn peek(&self) -> Peeked {
        let mut connection = lock(&self.connection);
        let (incoming, _) = connection.of(self.side);
        incoming.peek(self.time.now())
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let mut connection = lock(&self.connection);
        let (incoming, _) = connection.of(self.side);
        incoming.poll_read(context, buffer, &self.time)
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(context, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut connection = lock(&self.connection);
        let (incoming, outgoing) = connection.of(self.side);
        if incoming.is_reset(self.time.now()) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if outgoing.is_finished() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if outgoing.is_abandoned() {
            // What reaches a machine that has closed is answered by a reset (RFC 9293 3.10.7.1).
            let round_trip = self.link.latency.saturating_mul(2);
            incoming.break_off(self.time.now().saturating_add(round_trip), &self.time);
        }
        outgoing.poll_write(context, parts, &self.link, &self.time)
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let at = self.time.now().saturating_add(self.link.latency);
        let mut connection = lock(&self.connection);
        let (_, outgoing) = connection.of(self.side);
        outgoing.finish(at, &self.time);
        Poll::Ready(Ok(()))
    }
}

impl Drop for Socket {
    /// As the kernel closes: with a reset where something was left unread, else in good order.
    fn drop(&mut self) {
        let at = self.time.now().saturating_add(self.link.latency);
        let mut connection = lock(&self.connection);
        let (incoming, outgoing) = connection.of(self.side);
        if incoming.abandon() {
            outgoing.break_off(at, &self.time);
        } else {
            outgoing.finish(at, &self.time);
        }
        drop(connection);
        self.open = None;
    }
}

impl fmt::Debug for Socket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("side", &self.side).finish_non_exhaustive()
    }
}
