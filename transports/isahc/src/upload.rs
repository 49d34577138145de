//! The request body as curl reads it, and how far it has come.

use core::error::Error as StdError;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Buf, Bytes};
use futures_io::AsyncRead;
use http_body::Body as _;
use redial_client::{Body, BodyError, Clock, ThreadClock};
use redial_engine::Timestamp;

use crate::uploads::{Entry, UPLOADS};

/// How far a request body has been read by curl. Cheap where there is none.
#[derive(Clone, Debug)]
pub(crate) struct Progress(Option<Arc<Shared>>);

#[derive(Debug, Default)]
struct Shared(Mutex<State>);

#[derive(Debug, Default)]
struct State {
    asked: Option<Timestamp>,
    taken: u64,
    /// What curl can have now, and whether that is all.
    piece: Bytes,
    at_end: bool,
    /// Who is to be woken when there is something, where there was nothing when curl asked.
    reader: Option<Waker>,
    /// Who is to be woken when curl asks.
    feeder: Option<Waker>,
    done: bool,
    /// Whether curl was told that it ends here, and asked again.
    ended: bool,
    again: bool,
    /// Whether the source has failed, and why, which is told once.
    failed: bool,
    failure: Option<BodyError>,
    cancelled: bool,
    /// Whether the server is told how long it is.
    sized: bool,
}

/// isahc has sent a part of the request, and sends no more of it because the response has begun.
///
/// It takes the body from curl then, which ends it: where the server knows no length of it, it looks
/// complete. To another attempt the same would happen, so that this is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UploadCut;

impl fmt::Display for UploadCut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the response began before the whole request was sent, and isahc sends no more of it \
             then: take another transport for a server that answers while it reads",
        )
    }
}

impl StdError for UploadCut {}

/// What a watch has to know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stand {
    /// When curl asked last, or the source answered it.
    pub(crate) asked: Option<Timestamp>,
    /// How many bytes it has taken.
    pub(crate) taken: u64,
    /// Whether the source had nothing then.
    pub(crate) source_pending: bool,
    /// Whether there is nothing more to ask for.
    pub(crate) done: bool,
}

impl Progress {
    /// That of a body that is not there.
    pub(crate) const fn done() -> Self {
        Self(None)
    }

    pub(crate) fn stand(&self) -> Stand {
        let Some(shared) = &self.0 else {
            return Stand { asked: None, taken: 0, source_pending: false, done: true };
        };
        let state = shared.lock();
        let source_pending = state.reader.is_some();
        Stand { asked: state.asked, taken: state.taken, source_pending, done: state.done }
    }

    /// Whether it is that of the same body.
    pub(crate) fn is(&self, other: &Self) -> bool {
        match (&self.0, &other.0) {
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        }
    }

    /// Whether there is a body.
    pub(crate) const fn is_upload(&self) -> bool {
        self.0.is_some()
    }

    /// Why the source failed, once.
    pub(crate) fn take_failure(&self) -> Option<BodyError> {
        self.0.as_ref()?.lock().failure.take()
    }

    /// Whether a part of it is a request that looks complete to the server, as it does not know
    /// how long it is to be.
    pub(crate) fn may_seem_complete(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| {
            let state = shared.lock();
            !state.done && !state.sized
        })
    }

    /// Whether curl has asked beyond the end.
    pub(crate) fn is_asked_again(&self) -> bool {
        self.0.as_ref().is_some_and(|shared| shared.lock().again)
    }

    /// Fails curl's next read, which lets go of the request, and sees to it that there is one.
    pub(crate) fn cancel(&self) {
        let Some(shared) = &self.0 else { return };
        let mut state = shared.lock();
        state.cancelled = true;
        let waker = state.reader.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A request body for curl, which cannot rewind it, and so cannot send it twice.
pub(crate) struct Upload {
    progress: Arc<Shared>,
    clock: ThreadClock,
    /// Held for as long as curl has the body.
    _entry: Entry,
}

impl Upload {
    /// The body; how far it is; and where it comes from, unless that is memory. `connection`: the
    /// server's port, and whether there may be others on it.
    pub(crate) fn new(
        body: Body,
        connection: (u16, bool),
        clock: ThreadClock,
    ) -> (Self, Progress, Option<Source>) {
        let bytes = body.as_bytes().cloned();
        let state = State {
            sized: body.size_hint().exact().is_some(),
            at_end: bytes.is_some(),
            piece: bytes.unwrap_or_default(),
            ..State::default()
        };
        let source = (!state.at_end).then_some(body);
        let shared = Arc::new(Shared(Mutex::new(state)));
        let source = source.map(|body| {
            let (progress, clock) = (Arc::clone(&shared), clock.clone());
            Source { body, progress, clock }
        });
        let progress = Progress(Some(Arc::clone(&shared)));
        let entry = UPLOADS.enter(connection, &progress);
        (Self { progress: shared, clock, _entry: entry }, progress, source)
    }
}

impl AsyncRead for Upload {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let now = self.clock.now();
        let mut state = self.progress.lock();
        // Whoever asks beyond the end is about to send the request again: what a server is told to
        // take by HTTP/1.1 (RFC 9113 7), curl sends by that, whatever the method, and without a look
        // at the body, which would be empty then.
        state.again |= state.ended;
        if state.cancelled || state.again {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        state.asked = Some(now);
        if state.piece.is_empty() {
            if state.failed {
                return Poll::Ready(Err(io::Error::other("the request body failed")));
            }
            if state.at_end {
                (state.done, state.ended) = (true, true);
                return Poll::Ready(Ok(0));
            }
            state.reader = Some(context.waker().clone());
            let feeder = state.feeder.take();
            drop(state);
            feeder.into_iter().for_each(Waker::wake);
            return Poll::Pending;
        }
        let length = state.piece.len().min(buffer.len());
        let (filled, _) = buffer.split_at_mut(length);
        state.piece.copy_to_slice(filled);
        state.taken = state.taken.saturating_add(length as u64);
        state.done |= state.at_end && state.piece.is_empty();
        Poll::Ready(Ok(length))
    }
}

impl Drop for Upload {
    /// Nobody will ask for more, even where there would be.
    fn drop(&mut self) {
        self.progress.lock().done = true;
    }
}

/// Where a request body comes from that is not in memory.
///
/// It is read where the call is made, and not on curl's thread: it may be of a runtime that only its
/// own threads know, as files and sockets are.
pub(crate) struct Source {
    body: Body,
    progress: Arc<Shared>,
    clock: ThreadClock,
}

impl Source {
    /// Reads on, where curl waits for more.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) {
        if !self.progress.lock().is_wanted(context) {
            return;
        }
        let polled = loop {
            match Pin::new(&mut self.body).poll_frame(context) {
                Poll::Ready(Some(Ok(frame))) => match frame.into_data() {
                    Ok(data) if !data.is_empty() => break Some(Ok(data)),
                    Ok(_) | Err(_) => {}
                },
                Poll::Ready(Some(Err(error))) => break Some(Err(error)),
                Poll::Ready(None) => break None,
                Poll::Pending => return,
            }
        };
        let (at_end, now) = (self.body.is_end_stream(), self.clock.now());
        let mut state = self.progress.lock();
        // From now on it is curl that is waited for (R-T-3).
        state.asked = Some(now);
        let reader = state.take(polled, at_end);
        // curl asks again when it has sent this.
        state.is_wanted(context);
        drop(state);
        reader.into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Whether curl waits for more. If not, it will wake whoever asks.
    fn is_wanted(&mut self, context: &Context<'_>) -> bool {
        let wanted = self.reader.is_some();
        if !wanted && !self.at_end {
            self.feeder = Some(context.waker().clone());
        }
        wanted
    }

    /// Takes what the source had; answers with who waits for it.
    fn take(&mut self, polled: Option<Result<Bytes, BodyError>>, at_end: bool) -> Option<Waker> {
        match polled {
            Some(Ok(piece)) => (self.piece, self.at_end) = (piece, at_end),
            Some(Err(error)) => (self.failure, self.failed) = (Some(error), true),
            None => self.at_end = true,
        }
        self.reader.take()
    }
}
