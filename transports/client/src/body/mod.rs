//! Bodies of requests.

mod feed;

use core::error::Error as StdError;
use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use http_body::{Body as _, Frame, SizeHint};

pub(crate) use self::feed::Feed;
use self::feed::{BoxStream, Frames, Pieces, Turn};
use crate::transport::BoxError;

/// Why a request body could not be produced.
pub type BodyError = BoxError;

/// How much of a body is handed over at a time: small enough that a transport can tell a peer that
/// accepts nothing from one that is slow (R-T-3).
const PIECE: usize = 32 * 1024;

/// The body of a request.
///
/// | made by | sent again | framing |
/// |---|---|---|
/// | `From` bytes or text | yes, without a copy | their length |
/// | [`Body::replayable`] | yes, by making the stream again | chunked, or [`Body::with_length`] |
/// | [`Body::once`], [`Body::from_http`] | until something was pulled of it (R-D-5) | the same |
///
/// A stream is read by the task that makes the call or, over HTTP/2 and where a server answers before
/// it has read the request, by a task of the client's runtime. So one that needs a runtime, as files
/// and sockets do, needs that of the client; over isahc, which has none, that of the caller.
///
/// A stream that fails, or that is not as long as was said, ends its call: the error has
/// [`FailureKind::InvalidRequest`](redial_engine::FailureKind::InvalidRequest), which the standard
/// policy never retries, and the stream's own error as its source. What of it was sent is then no
/// complete request to the server.
#[derive(Default)]
pub struct Body {
    source: Source,
}

enum Source {
    Bytes(Bytes),
    Replayable(Arc<Replayable>),
    /// A stream, and whose turn it is to read it.
    Feed(Turn),
}

struct Replayable {
    make: Box<dyn Fn() -> BoxStream + Send + Sync>,
    length: Option<u64>,
}

impl Default for Source {
    fn default() -> Self {
        Self::Bytes(Bytes::new())
    }
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Self { source: Source::Bytes(Bytes::new()) }
    }

    /// A stream that this function makes again for every attempt.
    pub fn replayable<F, S, D, E>(make: F) -> Self
    where
        F: Fn() -> S + Send + Sync + 'static,
        S: Stream<Item = Result<D, E>> + Send + 'static,
        D: Into<Bytes>,
        E: Into<BoxError>,
    {
        let make = Box::new(move || -> BoxStream { Box::pin(Pieces::new(make())) });
        Self { source: Source::Replayable(Arc::new(Replayable { make, length: None })) }
    }

    /// A stream that can be read only once.
    ///
    /// It is pulled from the moment that it yields something; an attempt that ended before leaves
    /// it whole for the next one. A stream that was only asked, and had nothing yet, is not pulled.
    pub fn once<S, D, E>(stream: S) -> Self
    where
        S: Stream<Item = Result<D, E>> + Send + 'static,
        D: Into<Bytes>,
        E: Into<BoxError>,
    {
        let feed = Feed::new(Box::pin(Pieces::new(stream)), None);
        Self { source: Source::Feed(Turn::first(feed)) }
    }

    /// A body of the `http-body` crate, read only once. Its exact length is used where it has one;
    /// its trailers are left out (R-C-13).
    pub fn from_http<B>(body: B) -> Self
    where
        B: http_body::Body<Data: Into<Bytes>, Error: Into<BoxError>> + Send + 'static,
    {
        let length = body.size_hint().exact();
        let feed = Feed::new(Box::pin(Frames::new(body)), length);
        Self { source: Source::Feed(Turn::first(feed)) }
    }

    /// The exact length of a stream, in bytes; without it the body is sent in chunks.
    ///
    /// It is checked: a stream that is shorter or longer ends the call, and the last piece is sent
    /// only when the stream has ended. Bytes in memory have their own length, whatever is said.
    #[must_use]
    pub fn with_length(self, length: u64) -> Self {
        let source = match self.source {
            Source::Bytes(bytes) => Source::Bytes(bytes),
            Source::Replayable(replayable) => {
                let make = Box::new(move || (replayable.make)());
                Source::Replayable(Arc::new(Replayable { make, length: Some(length) }))
            }
            Source::Feed(turn) => Source::Feed(turn.with_length(length)),
        };
        Self { source }
    }

    /// The same body again, for another attempt; `None` where it can be produced only once, and
    /// something was pulled of it (R-D-5).
    ///
    /// Of a one-shot stream only the body that was made last can be read: whatever still holds an
    /// earlier one gets an error from it.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        let source = match &self.source {
            Source::Bytes(bytes) => Source::Bytes(bytes.clone()),
            Source::Replayable(replayable) => Source::Feed(replayable.start()),
            Source::Feed(turn) => Source::Feed(turn.next()?),
        };
        Some(Self { source })
    }

    /// The body, where it is in memory: who sends it need not wait for a source then.
    #[must_use]
    pub const fn as_bytes(&self) -> Option<&Bytes> {
        match &self.source {
            Source::Bytes(bytes) => Some(bytes),
            Source::Replayable(_) | Source::Feed(_) => None,
        }
    }

    /// Whether this body can never be sent again. Where it can, nothing is pulled of it from here
    /// on, until its turn is over or it is let go: what was said stays true.
    pub(crate) fn hold(&self) -> bool {
        match &self.source {
            Source::Bytes(_) | Source::Replayable(_) => false,
            Source::Feed(turn) => turn.hold(),
        }
    }

    /// The attempt that has begun gets nothing of a body that can be sent again.
    pub(crate) fn end_turn(&self) {
        if let Source::Feed(turn) = &self.source {
            let _ = turn.next();
        }
    }

    /// The attempt that has begun may go on with it.
    pub(crate) fn let_go(&self) {
        if let Source::Feed(turn) = &self.source {
            turn.let_go();
        }
    }

    /// Whether it is a stream whose length is said to be zero, and whose end was not seen yet.
    pub(crate) fn seems_empty(&self) -> bool {
        match &self.source {
            Source::Bytes(_) | Source::Replayable(_) => false,
            Source::Feed(turn) => turn.size_hint().exact() == Some(0) && !turn.is_at_end(),
        }
    }

    /// Reads such a stream to its end, where that is there already: what has no body is to be seen
    /// as that before it is sent, and what is longer than was said is not to be sent.
    pub(crate) fn settle(&mut self, context: &mut Context<'_>) -> Result<(), BodyError> {
        match Pin::new(self).poll_frame(context) {
            Poll::Ready(Some(Err(error))) => Err(error),
            Poll::Ready(_) | Poll::Pending => Ok(()),
        }
    }

    /// The stream behind a body that [`Body::again`] made, to ask how it fared.
    pub(crate) fn feed(&self) -> Option<Arc<Feed>> {
        match &self.source {
            Source::Bytes(_) | Source::Replayable(_) => None,
            Source::Feed(turn) => Some(turn.feed()),
        }
    }
}

impl Replayable {
    fn start(&self) -> Turn {
        Turn::first(Feed::new((self.make)(), self.length))
    }
}

impl fmt::Debug for Body {
    /// Shows how long it is, and not what it says: that may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, length) = match &self.source {
            Source::Bytes(bytes) => ("bytes", Some(bytes.len() as u64)),
            Source::Replayable(replayable) => ("replayable", replayable.length),
            Source::Feed(turn) => ("stream", turn.size_hint().exact()),
        };
        f.debug_struct("Body").field("kind", &kind).field("length", &length).finish()
    }
}

macro_rules! from_bytes {
    ($($bytes:ty),*) => {$(
        impl From<$bytes> for Body {
            fn from(bytes: $bytes) -> Self {
                Self { source: Source::Bytes(bytes.into()) }
            }
        }
    )*};
}

from_bytes!(Bytes, Vec<u8>, String, &'static [u8], &'static str);

impl From<()> for Body {
    fn from((): ()) -> Self {
        Self::empty()
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Source::Replayable(replayable) = &self.source {
            self.source = Source::Feed(replayable.start());
        }
        match &mut self.source {
            Source::Bytes(bytes) if bytes.is_empty() => Poll::Ready(None),
            Source::Bytes(bytes) => {
                let length = bytes.len().min(PIECE);
                Poll::Ready(Some(Ok(Frame::data(bytes.split_to(length)))))
            }
            Source::Feed(turn) => turn.poll(context).map_ok(Frame::data),
            // It became a feed above.
            Source::Replayable(_) => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Bytes(bytes) => bytes.is_empty(),
            Source::Replayable(_) => false,
            Source::Feed(turn) => turn.is_at_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Bytes(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Replayable(replayable) => {
                replayable.length.map_or_else(SizeHint::default, SizeHint::with_exact)
            }
            Source::Feed(turn) => turn.size_hint(),
        }
    }
}

/// Why a stream is no body of this request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum StreamError {
    /// The stream ended before the length that was said of it. Say the right one, or none.
    TooShort,
    /// The stream went on beyond the length that was said of it. Say the right one, or none.
    TooLong,
    /// The stream failed. The error of the call has its own error as the source.
    Failed,
    /// The stream panicked. Who made it has to mend it.
    Panicked,
    /// The stream belongs to a later attempt now.
    Abandoned,
}

impl fmt::Display for StreamError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooShort => "the request body ended before the length that was said of it",
            Self::TooLong => "the request body went on beyond the length that was said of it",
            Self::Failed => "the request body could not be produced",
            Self::Panicked => "the source of the request body panicked",
            Self::Abandoned => "the request body belongs to a later attempt now",
        })
    }
}

impl StdError for StreamError {}
