//! A response whose body the caller reads as it arrives.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::{HeaderMap, StatusCode, Version};
use http_body::{Body, Frame, SizeHint};
use redial_engine::{Failure, FailureKind, Reason};

use crate::driver::Ended;
use crate::error::Error;
use crate::history::{AttemptRecord, History};
use crate::reading::Content;
use crate::reading::append;
use crate::response::Response;
use crate::transport::{ResponseBody, TransportError};
use crate::url::Place;

/// The response that a call ended with, whatever its status, and its body as it arrives.
///
/// The call ended when the head came (R-D-8): a body that fails is not retried. The limits of the
/// last attempt hold on: its timeout, the call's deadline, and the longest silences. Dropping the
/// response before the end of its body closes its connection, or resets its stream.
pub struct StreamingResponse {
    head: http::response::Parts,
    reason: Option<Reason>,
    body: StreamingBody,
}

impl StreamingResponse {
    pub(crate) fn new(ended: Ended, place: Arc<Place>, limit: u64, open: Arc<()>) -> Self {
        let Ended { head, body, reason, attempts } = ended;
        let (source, complete) = match body {
            Content::Live(body) => (Source::Live(body), true),
            Content::Read(read) => (Source::Kept(read.bytes), read.complete),
        };
        let first = Bytes::new();
        let body = StreamingBody { first, source, complete, place, limit, attempts, _open: open };
        Self { head, reason, body }
    }

    /// The status code.
    pub const fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The version of HTTP that it comes over.
    pub const fn version(&self) -> Version {
        self.head.version
    }

    /// The headers, as they came.
    pub const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// Why no further attempt was made, where the policy would have retried this response.
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// What every attempt came to, the first one first.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.body.attempts
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// [`Error`] where the body is cut off, malformed or too slow.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        core::future::poll_fn(|context| self.body.poll_data(context)).await.transpose()
    }

    /// Reads the rest of the body into memory.
    ///
    /// # Errors
    ///
    /// [`Error`] as of [`StreamingResponse::chunk`], and where it is longer than
    /// `max_response_bytes`. What was kept of the response of a call that gave up is no error: see
    /// [`Response::is_complete`].
    pub async fn buffer(mut self) -> Result<Response, Error> {
        if let Source::Kept(kept) = &mut self.body.source {
            // It is taken as a whole: where that was done already, what was not read is first.
            let first = core::mem::take(&mut self.body.first);
            let bytes = if kept.is_empty() { first } else { core::mem::take(kept) };
            return Ok(self.with_bytes(bytes));
        }
        let mut bytes = BytesMut::new();
        while let Some(data) = self.chunk().await? {
            if let Err(error) = append(&mut bytes, &data, self.body.limit) {
                return Err(self.body.error(error));
            }
        }
        Ok(self.with_bytes(bytes.freeze()))
    }

    /// The same response, whose body begins with these bytes, which were read of it already.
    pub(crate) fn with_first(mut self, first: Bytes) -> Self {
        self.body.first = first;
        self
    }

    fn with_bytes(self, body: Bytes) -> Response {
        let Self { head, reason, body: StreamingBody { complete, place, attempts, .. } } = self;
        Response { head, body, complete, reason, attempts, place }
    }

    /// Reads the rest of the body into memory: see [`StreamingResponse::buffer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub async fn bytes(self) -> Result<Bytes, Error> {
        Ok(self.buffer().await?.body)
    }

    /// Reads the rest of the body as text: see [`Response::text`].
    ///
    /// # Errors
    ///
    /// As of [`StreamingResponse::buffer`].
    pub async fn text(self) -> Result<String, Error> {
        Ok(self.buffer().await?.text().into_owned())
    }

    /// Reads the rest of the body as JSON: see [`Response::json`].
    ///
    /// # Errors
    ///
    /// As of [`StreamingResponse::buffer`] and of [`Response::json`].
    #[cfg(feature = "json")]
    pub async fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, Error> {
        self.buffer().await?.json()
    }

    /// This response where its status is below 400.
    ///
    /// # Errors
    ///
    /// [`Error`] with the status and the history otherwise: see [`Error::is_status`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.status().as_u16() < 400 {
            return Ok(self);
        }
        let StreamingBody { place, attempts, .. } = self.body;
        Err(Error::of_status(self.head.status)
            .with_url(&place.url)
            .with_history(self.reason, attempts))
    }

    /// The body, as a body of the `http-body` crate and as a stream.
    pub fn into_body(self) -> StreamingBody {
        self.body
    }

    /// The parts of the response, without its history.
    pub fn into_http(self) -> http::Response<StreamingBody> {
        http::Response::from_parts(self.head, self.body)
    }
}

impl fmt::Debug for StreamingResponse {
    /// Shows no header and no body: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingResponse")
            .field("status", &self.head.status)
            .field("version", &self.head.version)
            .field("reason", &self.reason)
            .field("attempts", &self.attempts())
            .finish_non_exhaustive()
    }
}

/// The body of a response as it arrives: a body of the `http-body` crate, and a stream of bytes.
///
/// Its errors carry the history of the call. After one it is at its end.
pub struct StreamingBody {
    /// What comes before the source.
    first: Bytes,
    source: Source,
    /// Whether what is kept is all there was.
    complete: bool,
    place: Arc<Place>,
    limit: u64,
    attempts: History,
    /// Counts as work in flight for as long as it is here.
    _open: Arc<()>,
}

enum Source {
    Live(ResponseBody),
    /// What was read before the call gave up.
    Kept(Bytes),
    /// After the end, or an error.
    Over,
}

impl StreamingBody {
    fn poll_data(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Error>>> {
        if !self.first.is_empty() {
            return Poll::Ready(Some(Ok(core::mem::take(&mut self.first))));
        }
        loop {
            let frame = match &mut self.source {
                Source::Live(body) => ready!(Pin::new(body).poll_frame(context)),
                Source::Kept(bytes) if !bytes.is_empty() => {
                    return Poll::Ready(Some(Ok(core::mem::take(bytes))));
                }
                Source::Kept(_) if !self.complete => Some(Err(cut_off())),
                Source::Kept(_) | Source::Over => None,
            };
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => return Poll::Ready(Some(Ok(data))),
                // Trailers are passed over (R-C-13).
                Some(Ok(Err(_))) => {}
                Some(Err(error)) => {
                    self.source = Source::Over;
                    return Poll::Ready(Some(Err(self.error(error))));
                }
                None => {
                    self.source = Source::Over;
                    return Poll::Ready(None);
                }
            }
        }
    }

    fn error(&self, error: TransportError) -> Error {
        Error::of_transport(error)
            .with_url(&self.place.url)
            .with_history(None, self.attempts.clone())
    }
}

/// A call that gave up read only the beginning of its last response (R-P-10).
fn cut_off() -> TransportError {
    let failure = Failure::new(FailureKind::Truncated, redial_engine::Delivery::Answered);
    TransportError::with_source(failure, "the call gave up before it had read the whole response")
}

impl Body for StreamingBody {
    type Data = Bytes;
    type Error = Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Error>>> {
        self.poll_data(context).map_ok(Frame::data)
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Live(body) => body.is_end_stream(),
            Source::Kept(bytes) => bytes.is_empty() && self.complete,
            Source::Over => true,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Live(body) => body.size_hint(),
            Source::Kept(bytes) if self.complete => SizeHint::with_exact(bytes.len() as u64),
            Source::Kept(_) | Source::Over => SizeHint::default(),
        }
    }
}

impl Stream for StreamingBody {
    type Item = Result<Bytes, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, Error>>> {
        self.poll_data(context)
    }
}

impl fmt::Debug for StreamingBody {
    /// Shows no byte of it: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamingBody")
            .field("size", &Body::size_hint(self))
            .finish_non_exhaustive()
    }
}
