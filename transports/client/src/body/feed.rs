//! A stream that attempts take turns in reading.

use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::{Context, Poll, Waker, ready};
use std::panic::catch_unwind;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures_core::Stream;
use http_body::SizeHint;

use super::{PIECE, StreamError};
use crate::transport::BoxError;
use crate::upstreams::lock;

/// The pieces of a body, whatever they are made of. `Send` is enough: a lock makes up for `Sync`.
pub(super) type BoxStream = Pin<Box<dyn Stream<Item = Result<Bytes, BoxError>> + Send>>;

/// One attempt's turn of reading a stream.
#[derive(Debug)]
pub(super) struct Turn {
    feed: Arc<Feed>,
    number: u64,
}

/// A stream, how far it was read, and by whom it may be read on.
pub(crate) struct Feed {
    state: Mutex<State>,
}

struct State {
    /// Here until its end.
    stream: Option<BoxStream>,
    /// What was pulled and not handed over yet.
    rest: Bytes,
    /// How much is still to be pulled, where the length is known.
    missing: Option<u64>,
    /// Whose turn it is.
    turn: u64,
    pulled: bool,
    /// Whether nothing may be pulled for now, and who is to hear when that is over.
    held: bool,
    waiting: Option<Waker>,
    failed: Option<BoxError>,
}

impl Turn {
    pub(super) fn first(feed: Feed) -> Self {
        Self { feed: Arc::new(feed), number: 0 }
    }

    pub(super) fn with_length(self, length: u64) -> Self {
        lock(&self.feed.state).missing = Some(length);
        self
    }

    /// Ends every other turn and begins a new one, where nothing was pulled yet.
    pub(super) fn next(&self) -> Option<Self> {
        let (number, waiting) = {
            let mut state = lock(&self.feed.state);
            if state.pulled {
                return None;
            }
            state.turn += 1;
            (state.turn, state.let_go())
        };
        wake(waiting);
        Some(Self { feed: Arc::clone(&self.feed), number })
    }

    /// Whether something was pulled. If not, nothing is until this is let go, or a new turn begins.
    pub(super) fn hold(&self) -> bool {
        let mut state = lock(&self.feed.state);
        state.held = !state.pulled;
        state.pulled
    }

    /// Whose turn it is may read on.
    pub(super) fn let_go(&self) {
        let waiting = lock(&self.feed.state).let_go();
        wake(waiting);
    }

    pub(super) fn feed(&self) -> Arc<Feed> {
        Arc::clone(&self.feed)
    }

    pub(super) fn poll(&self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        let mut state = lock(&self.feed.state);
        if state.turn != self.number {
            return Poll::Ready(Some(Err(StreamError::Abandoned.into())));
        }
        if state.held {
            state.waiting = Some(context.waker().clone());
            return Poll::Pending;
        }
        state.poll(context)
    }

    pub(super) fn is_at_end(&self) -> bool {
        let state = lock(&self.feed.state);
        state.turn == self.number && state.stream.is_none() && state.rest.is_empty()
    }

    pub(super) fn size_hint(&self) -> SizeHint {
        let state = lock(&self.feed.state);
        let here = state.rest.len() as u64;
        match (&state.stream, state.missing) {
            (None, _) => SizeHint::with_exact(here),
            (Some(_), Some(missing)) => SizeHint::with_exact(here.saturating_add(missing)),
            (Some(_), None) => SizeHint::default(),
        }
    }
}

impl Feed {
    pub(super) fn new(stream: BoxStream, length: Option<u64>) -> Self {
        let state = State {
            stream: Some(stream),
            rest: Bytes::new(),
            missing: length,
            turn: 0,
            pulled: false,
            held: false,
            waiting: None,
            failed: None,
        };
        Self { state: Mutex::new(state) }
    }

    /// Why the stream failed, if it did.
    pub(crate) fn take_failure(&self) -> Option<BoxError> {
        lock(&self.state).failed.take()
    }
}

impl core::fmt::Debug for Feed {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Feed").finish_non_exhaustive()
    }
}

fn wake(waiting: Option<Waker>) {
    if let Some(waiting) = waiting {
        waiting.wake();
    }
}

impl State {
    /// Nothing is held any more; who waited for that.
    fn let_go(&mut self) -> Option<Waker> {
        self.held = false;
        self.waiting.take()
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, BoxError>>> {
        while let Some(stream) = self.stream.as_mut().filter(|_| {
            // The last piece is held back until the stream has ended: whether it is the right
            // length is known only then, and a request must not look complete that is not.
            self.rest.is_empty() || (self.missing == Some(0) && self.rest.len() <= PIECE)
        }) {
            // A source that panics has failed. It may be polled by what serves other calls as well.
            let polled = catch_unwind(AssertUnwindSafe(|| stream.as_mut().poll_next(context)));
            let Ok(polled) = polled else { return self.fail(StreamError::Panicked.into()) };
            match ready!(polled) {
                Some(Ok(piece)) if piece.is_empty() => {}
                Some(Ok(piece)) => {
                    self.pulled = true;
                    match self.missing.map(|missing| missing.checked_sub(piece.len() as u64)) {
                        Some(None) => return self.fail(StreamError::TooLong.into()),
                        missing => self.missing = missing.flatten(),
                    }
                    self.rest = piece;
                }
                Some(Err(error)) => return self.fail(error),
                None if self.missing.unwrap_or(0) > 0 => {
                    return self.fail(StreamError::TooShort.into());
                }
                None => self.stream = None,
            }
        }
        if self.rest.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(self.rest.split_to(length))))
    }

    /// Keeps the error for the call, and tells the transport as much as it needs to know. It is
    /// nobody's turn any more, so that polling again does not look like the end.
    fn fail(&mut self, error: BoxError) -> Poll<Option<Result<Bytes, BoxError>>> {
        self.failed = Some(error);
        self.pulled = true;
        self.turn += 1;
        self.stream = None;
        self.rest = Bytes::new();
        Poll::Ready(Some(Err(StreamError::Failed.into())))
    }
}

/// A stream of anything that becomes bytes.
pub(super) struct Pieces<S>(Pin<Box<S>>);

impl<S> Pieces<S> {
    pub(super) fn new(stream: S) -> Self {
        Self(Box::pin(stream))
    }
}

impl<S, D, E> Stream for Pieces<S>
where
    S: Stream<Item = Result<D, E>>,
    D: Into<Bytes>,
    E: Into<BoxError>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        self.0.as_mut().poll_next(context).map(|piece| match piece? {
            Ok(piece) => Some(Ok(piece.into())),
            Err(error) => Some(Err(error.into())),
        })
    }
}

/// The data of a body of the `http-body` crate, without its trailers.
pub(super) struct Frames<B>(Pin<Box<B>>);

impl<B> Frames<B> {
    pub(super) fn new(body: B) -> Self {
        Self(Box::pin(body))
    }
}

impl<B> Stream for Frames<B>
where
    B: http_body::Body<Data: Into<Bytes>, Error: Into<BoxError>>,
{
    type Item = Result<Bytes, BoxError>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, BoxError>>> {
        loop {
            match ready!(self.0.as_mut().poll_frame(context)) {
                None => return Poll::Ready(None),
                Some(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Poll::Ready(Some(Ok(data.into())));
                    }
                }
            }
        }
    }
}
