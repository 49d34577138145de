//! What crosses the wire, metered: the ground of timeouts, deliveries and failure kinds.

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use futures_io::AsyncWrite as _;
use hyper::rt::{Read, ReadBufCursor, Write};
use redial_engine::Timestamp;

use crate::classify::is_reset;
use crate::framing::Framing;
use crate::runtime::Runtime;
use crate::stream::Stream;
use crate::wire::Wire;

/// How much is read at a time while little comes.
const LITTLE: usize = 1024;

/// How much is read at a time once much has come.
const SCRATCH: usize = 16 * 1024;

/// Large buffers to read into. hyper's own is not initialised, and this crate has no unsafe code:
/// bytes come through another, at the price of one copy.
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
    /// How many of them there may be: reading fails beyond.
    most_in: AtomicU64,
    bytes_out: AtomicU64,
    last_in: AtomicU64,
    last_out: AtomicU64,
    /// Since when the peer accepts nothing; zero while it does.
    blocked_since: AtomicU64,
    /// When the head of a response, or an interim one, last began (HTTP/2).
    last_head: AtomicU64,
    /// Whether what came last stops in the middle of a response's frame (HTTP/2).
    within_frame: AtomicBool,
    /// Whether the connection has come to its end, which hyper is told in a moment (HTTP/2).
    ending: AtomicBool,
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
            last_head: AtomicU64::new(0),
            within_frame: AtomicBool::new(false),
            ending: AtomicBool::new(false),
            error: OnceLock::new(),
        }
    }
}

impl Meter {
    /// A response head is to come next, and this is the most that it may have, together with all
    /// interim ones before it (R-X-2): hyper bounds each head by itself, but not how many there are.
    ///
    /// A little more is let in, because the heads may end just below the limit, and hyper reads on:
    /// that is where the body begins.
    pub(crate) fn expect_head(&self, max_head: usize) {
        self.allow((max_head as u64).saturating_add(LITTLE as u64));
    }

    /// A response body of any length may come.
    pub(crate) fn expect_body(&self) {
        self.most_in.store(u64::MAX, Ordering::Relaxed);
    }

    /// Something has reached an exchange of an HTTP/2 connection: so much may come until something
    /// does again. It is more than all windows have room for, so that only what reaches nobody can
    /// exceed it: interim heads, pings, settings (R-X-2, R-X-8).
    pub(crate) fn expect_streams(&self) {
        const FLOOD: u64 = 16 * 1024 * 1024;
        self.allow(FLOOD);
    }

    fn allow(&self, bytes: u64) {
        self.most_in.store(self.bytes_in().saturating_add(bytes), Ordering::Relaxed);
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

    /// When the head of a response, or an interim one, last began over HTTP/2; the origin of time
    /// where none did.
    pub(crate) fn last_head(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_head.load(Ordering::Relaxed))
    }

    /// Whether what came last stops in the middle of a frame of some response, over HTTP/2.
    pub(crate) fn is_within_frame(&self) -> bool {
        self.within_frame.load(Ordering::Relaxed)
    }

    /// Notes whether what came last stops in the middle of a frame of some response, and that the
    /// head of one began.
    pub(crate) fn framed(&self, within_frame: bool, head: Option<Timestamp>) {
        self.within_frame.store(within_frame, Ordering::Relaxed);
        if let Some(at) = head {
            self.last_head.store(at.as_nanos(), Ordering::Relaxed);
        }
    }

    /// The connection has come to its end, whatever hyper is told.
    pub(crate) fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has come to its end, whatever hyper knows.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
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

    /// How many bytes may be read now. Fails where that is none.
    fn room(&self) -> io::Result<usize> {
        let room = self.most_in.load(Ordering::Relaxed).saturating_sub(self.bytes_in());
        match usize::try_from(room).unwrap_or(usize::MAX) {
            0 => {
                let more = "more came than anybody waits for";
                Err(io::Error::new(io::ErrorKind::FileTooLarge, more))
            }
            room => Ok(room),
        }
    }

    fn read(&self, bytes: usize, now: Timestamp) {
        add(&self.bytes_in, bytes);
        self.last_in.store(now.as_nanos(), Ordering::Relaxed);
    }

    fn wrote(&self, bytes: usize, now: Timestamp) {
        add(&self.bytes_out, bytes);
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

/// Counts on. Whoever has the socket is the only one who does, and so need not lock the bus for it.
fn add(counter: &AtomicU64, bytes: usize) {
    let counted = counter.load(Ordering::Relaxed).wrapping_add(bytes as u64);
    counter.store(counted, Ordering::Relaxed);
}

/// A socket as hyper wants it, metered.
pub(crate) struct MeteredIo<R: Runtime> {
    wire: Arc<Wire<R::Socket>>,
    runtime: R,
    meter: Arc<Meter>,
    scratch: Scratch,
    /// What most responses need to be read into, and no lock for it.
    little: Box<[u8; LITTLE]>,
    /// Whether the last read filled its buffer, so that the next one is given a larger one.
    much: bool,
    /// How many reads have succeeded in a row.
    reads: u32,
    /// Whether something was written that was not flushed: hyper flushes more often than it writes.
    unflushed: bool,
    /// Whether what a lost peer said before it went is read first.
    hears_out: bool,
    /// Whether a write has failed because the peer is lost.
    deaf: bool,
    /// Over HTTP/2.
    framing: Option<Box<Framing>>,
}

/// After so many reads in a row the others on the executor have a turn. A peer that never pauses
/// would hold up a runtime that does not see to that itself (R-X-8).
const TURN: u32 = 4;

impl<R: Runtime> MeteredIo<R> {
    pub(crate) fn new(
        wire: Arc<Wire<R::Socket>>,
        runtime: R,
        meter: Arc<Meter>,
        scratch: Scratch,
    ) -> Self {
        Self {
            wire,
            runtime,
            meter,
            scratch,
            little: Box::new([0; LITTLE]),
            much: false,
            reads: 0,
            unflushed: false,
            hears_out: false,
            deaf: false,
            framing: None,
        }
    }

    /// The same for HTTP/2.
    pub(crate) fn in_frames(mut self) -> Self {
        self.framing = Some(Box::default());
        self
    }

    /// The same for HTTP/1.1, where a server may answer before it has read the whole request, and
    /// read no more of it (RFC 9112 9.6): hyper gives the connection up at the first write that
    /// fails, and an answer that has come meanwhile with it. So writes to a peer that is lost
    /// seem to succeed, until the reader has found its end.
    pub(crate) const fn hearing_out(mut self) -> Self {
        self.hears_out = true;
        self
    }

    /// Writes, of so many bytes what the socket takes.
    fn write(
        &mut self,
        context: &Context<'_>,
        length: usize,
        write: impl FnOnce(Pin<&mut Stream<R::Socket>>, &mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        if self.deaf {
            return Poll::Ready(Ok(length));
        }
        let mut flushed = false;
        let result = self.wire.poll(context, |mut socket, context| {
            let written = write(socket.as_mut(), context);
            // hyper flushes next, and most sockets hold nothing back.
            flushed = written.is_ready() && socket.flushes_at_once(context);
            written
        });
        match &result {
            Poll::Ready(Ok(bytes)) => {
                self.unflushed = !flushed;
                self.meter.wrote(*bytes, self.runtime.now());
            }
            Poll::Ready(Err(error)) => {
                self.meter.failed(error);
                if self.hears_out && is_reset(error.kind()) {
                    self.deaf = true;
                    return Poll::Ready(Ok(length));
                }
            }
            Poll::Pending => self.meter.blocked(self.runtime.now()),
        }
        result
    }
}

// Nothing here is pinned.
impl<R: Runtime> Unpin for MeteredIo<R> {}

impl<R: Runtime> Drop for MeteredIo<R> {
    fn drop(&mut self) {
        self.wire.close();
    }
}

impl<R: Runtime> Read for MeteredIo<R> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut buffer: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if let Some(end) = this.framing.as_mut().and_then(|framing| framing.poll_end(context)) {
            return end;
        }
        if this.reads >= TURN {
            this.reads = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let allowed = this.meter.room().inspect_err(|error| this.meter.failed(error))?;
        let mut large = this.much.then(|| this.scratch.take());
        let space = large.as_deref_mut().unwrap_or(&mut *this.little);
        let room = buffer.remaining().min(space.len()).min(allowed);
        let space = space.get_mut(..room).unwrap_or_default();
        let read = this.wire.poll_read(context, space);
        let mut some = false;
        let metered = read.map(|read| {
            let filled = space.get_mut(..read?).unwrap_or_default();
            this.much = !filled.is_empty() && filled.len() == room;
            some = !filled.is_empty();
            if !filled.is_empty() {
                let now = this.runtime.now();
                this.meter.read(filled.len(), now);
                if let Some(framing) = &mut this.framing {
                    framing.take(filled, now, &this.meter);
                }
                buffer.put_slice(filled);
            }
            Ok(())
        });
        large.into_iter().for_each(|buffer| this.scratch.put(buffer));
        this.reads = if metered.is_ready() { this.reads + 1 } else { 0 };
        let metered = metered.map(|result| result.inspect_err(|error| this.meter.failed(error)));
        match (metered, &mut this.framing) {
            (Poll::Ready(result), Some(framing)) if result.is_err() || !some => {
                framing.end(result, context, &this.runtime, &this.meter)
            }
            (metered, _) => metered,
        }
    }
}

impl<R: Runtime> Write for MeteredIo<R> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.get_mut()
            .write(context, bytes.len(), |socket, context| socket.poll_write(context, bytes))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = bytes.iter().map(|bytes| bytes.len()).sum();
        self.get_mut()
            .write(context, length, |socket, context| socket.poll_write_vectored(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if !this.unflushed || this.deaf {
            return Poll::Ready(Ok(()));
        }
        let result = this.wire.poll(context, |socket, context| socket.poll_flush(context));
        match &result {
            Poll::Ready(Ok(())) => {
                this.unflushed = false;
                this.meter.unblocked();
            }
            Poll::Ready(Err(error)) => this.meter.failed(error),
            // TLS takes bytes that the socket does not: they wait to be flushed.
            Poll::Pending => this.meter.blocked(this.runtime.now()),
        }
        result
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.poll(context, |socket, context| socket.poll_close(context))
    }
}
