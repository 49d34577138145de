//! What crosses the wire, metered: the ground of timeouts, deliveries and failure kinds.

use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_io::{AsyncRead, AsyncWrite};
use hyper::rt::{Read, ReadBufCursor, Write};
use redial_engine::Timestamp;

use crate::runtime::Runtime;
use crate::stream::Stream;

/// How much is read at a time.
const SCRATCH: usize = 16 * 1024;

/// Buffers to read into. hyper's own is not initialised, and this crate has no unsafe code: bytes
/// come through another, at the price of one copy.
///
/// All connections share them, so that an idle one holds none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scratch(Arc<Mutex<Vec<Box<[u8]>>>>);

impl Scratch {
    fn take(&self) -> Box<[u8]> {
        let idle = self.0.lock().unwrap_or_else(PoisonError::into_inner).pop();
        idle.unwrap_or_else(|| vec![0; SCRATCH].into_boxed_slice())
    }

    /// There are never more than are in use at a time, which is one for each thread.
    fn put(&self, buffer: Box<[u8]>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}

/// What has crossed one connection so far, and when.
///
/// Counters are monotonic; an exchange remembers where they stood when it began.
#[derive(Debug)]
pub(crate) struct Meter {
    bytes_in: AtomicU64,
    /// Beyond how many of them reading fails.
    most_in: AtomicU64,
    bytes_out: AtomicU64,
    last_in: AtomicU64,
    last_out: AtomicU64,
    /// Since when the peer accepts nothing; zero while it does.
    blocked_since: AtomicU64,
    /// The first error of the socket: later ones only follow from it.
    error: OnceLock<SocketError>,
}

/// An error of the socket, as far as it tells how a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketError {
    Io(io::ErrorKind),
    /// The server refused the client after the handshake, as TLS 1.3 has it for certificates
    /// (RFC 8446 4.4.2.4).
    Refused,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            bytes_in: AtomicU64::new(0),
            most_in: AtomicU64::new(u64::MAX),
            bytes_out: AtomicU64::new(0),
            last_in: AtomicU64::new(0),
            last_out: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            error: OnceLock::new(),
        }
    }
}

impl Meter {
    /// A response head of at most so many bytes is to come next, and only as much again before it
    /// (R-X-2): hyper bounds each head by itself, but not how many interim ones there are.
    pub(crate) fn expect_head(&self, max_head: usize) {
        let most = self.bytes_in().saturating_add((max_head as u64).saturating_mul(2));
        self.most_in.store(most, Ordering::Relaxed);
    }

    /// The response head has come: bodies have no bound here.
    pub(crate) fn head_came(&self) {
        self.most_in.store(u64::MAX, Ordering::Relaxed);
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// When bytes last went either way; the origin of time where none did.
    pub(crate) fn last_activity(&self) -> Timestamp {
        let (incoming, outgoing) = (&self.last_in, &self.last_out);
        Timestamp::from_nanos(
            incoming.load(Ordering::Relaxed).max(outgoing.load(Ordering::Relaxed)),
        )
    }

    /// When bytes last came in; the origin of time where none did.
    pub(crate) fn last_in(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_in.load(Ordering::Relaxed))
    }

    pub(crate) fn blocked_since(&self) -> Option<Timestamp> {
        match self.blocked_since.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Timestamp::from_nanos(nanos)),
        }
    }

    pub(crate) fn error(&self) -> Option<SocketError> {
        self.error.get().copied()
    }

    /// Fails where that is too much before the response head.
    fn read(&self, bytes: usize, now: Timestamp) -> io::Result<()> {
        let before = self.bytes_in.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_in.store(now.as_nanos(), Ordering::Relaxed);
        if before.saturating_add(bytes as u64) > self.most_in.load(Ordering::Relaxed) {
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, "too much before the head"));
        }
        Ok(())
    }

    fn wrote(&self, bytes: usize, now: Timestamp) {
        self.bytes_out.fetch_add(bytes as u64, Ordering::Relaxed);
        self.last_out.store(now.as_nanos(), Ordering::Relaxed);
        self.unblocked();
    }

    fn blocked(&self, now: Timestamp) {
        let since = now.as_nanos().max(1);
        // Only the first refusal counts: the block lasts since then.
        let _ = self.blocked_since.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    fn unblocked(&self) {
        self.blocked_since.store(0, Ordering::Relaxed);
    }

    fn failed(&self, error: &io::Error) {
        let tls = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
        let refused = matches!(tls, Some(rustls::Error::AlertReceived(_))) && self.bytes_in() == 0;
        let seen = if refused { SocketError::Refused } else { SocketError::Io(error.kind()) };
        let _ = self.error.set(seen);
    }
}

/// A socket as hyper wants it, metered.
pub(crate) struct MeteredIo<R: Runtime> {
    socket: Stream<R::Socket>,
    runtime: R,
    meter: Arc<Meter>,
    scratch: Scratch,
    /// How many reads have succeeded in a row.
    reads: u32,
}

/// After so many reads in a row the others on the executor have a turn. A peer that never pauses
/// would hold up a runtime that does not see to that itself (R-X-8).
const TURN: u32 = 4;

impl<R: Runtime> MeteredIo<R> {
    pub(crate) const fn new(
        socket: Stream<R::Socket>,
        runtime: R,
        meter: Arc<Meter>,
        scratch: Scratch,
    ) -> Self {
        Self { socket, runtime, meter, scratch, reads: 0 }
    }

    fn written(&self, result: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &result {
            Poll::Ready(Ok(bytes)) => self.meter.wrote(*bytes, self.runtime.now()),
            Poll::Ready(Err(error)) => self.meter.failed(error),
            Poll::Pending => self.meter.blocked(self.runtime.now()),
        }
        result
    }
}

// The socket is `Unpin` by the runtime's contract, and nothing else here is pinned.
impl<R: Runtime> Unpin for MeteredIo<R> {}

impl<R: Runtime> Read for MeteredIo<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.reads >= TURN {
            this.reads = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let mut scratch = this.scratch.take();
        let room = buffer.remaining().min(scratch.len());
        let read = match scratch.get_mut(..room) {
            Some(space) => Pin::new(&mut this.socket).poll_read(context, space),
            None => Poll::Ready(Ok(0)),
        };
        let metered = read.map(|read| {
            let filled = scratch.get(..read?).unwrap_or_default();
            if !filled.is_empty() {
                this.meter.read(filled.len(), this.runtime.now())?;
                buffer.put_slice(filled);
            }
            Ok(())
        });
        this.scratch.put(scratch);
        this.reads = if metered.is_ready() { this.reads + 1 } else { 0 };
        metered.map(|result| result.inspect_err(|error| this.meter.failed(error)))
    }
}

impl<R: Runtime> Write for MeteredIo<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.socket).poll_write(context, bytes);
        this.written(result)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.socket).poll_write_vectored(context, bytes);
        this.written(result)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let result = Pin::new(&mut this.socket).poll_flush(context);
        match &result {
            Poll::Ready(Ok(())) => this.meter.unblocked(),
            Poll::Ready(Err(error)) => this.meter.failed(error),
            // TLS takes bytes that the socket does not: they wait to be flushed.
            Poll::Pending => this.meter.blocked(this.runtime.now()),
        }
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.get_mut().socket).poll_close(context)
    }
}
