//! The socket as hyper wants it, metered: the ground of timeouts, deliveries and failure kinds.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use futures_io::AsyncWrite as _;
use hyper::rt::{Read, ReadBufCursor, Write};

use crate::classify::is_reset;
use crate::framing::Framing;
use crate::meter::Meter;
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

    /// The same for HTTP/2, where a response head may have so many bytes.
    pub(crate) fn in_frames(mut self, max_head: usize) -> Self {
        self.framing = Some(Box::new(Framing::new(max_head)));
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
        if this.wire.is_silent() {
            // Said first, because it is mostly so: hyper reads several times for each response.
            return Poll::Pending;
        }
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
                    framing.take(filled, now, &this.meter)?;
                }
                buffer.put_slice(filled);
            }
            Ok(())
        });
        if let Some(buffer) = large {
            this.scratch.put(buffer);
        }
        this.reads = if metered.is_ready() { this.reads + 1 } else { 0 };
        let metered = metered.map(|result| result.inspect_err(|error| this.meter.failed(error)));
        let Some(framing) = &mut this.framing else { return metered };
        match metered {
            Poll::Ready(result) if result.is_err() || !some => {
                framing.end(result, context, &this.runtime, &this.meter)
            }
            metered @ (Poll::Ready(_) | Poll::Pending) => metered,
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
