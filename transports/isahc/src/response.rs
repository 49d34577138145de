//! The response body as it arrives.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_io::AsyncRead;
use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http_body::{Body, Frame, SizeHint};
use isahc::{AsyncBody, Trailer};
use redial_client::{ResponseBody, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify;
use crate::connections::{Connections, Lease};
use crate::watch::Watch;

/// The most that is read at a time: what curl hands over at a time (`CURL_MAX_WRITE_SIZE`).
const PIECE: usize = 16 * 1024;

/// A response body that holds its slot until its end.
///
/// The end is curl's word, also where the length says that there is no more: until then curl is
/// busy with the request, and whoever made another would only stand in its way.
pub(crate) struct Reading {
    /// Here until the end. The body is dropped before the slot: it has a handle of its own.
    source: Option<(AsyncBody, Lease)>,
    watch: Watch,
    /// How much is to come, where that is known.
    left: Option<u64>,
    first: Option<Bytes>,
    /// Where its connection may have other requests on it.
    shared: Option<Shared>,
}

/// Of a response whose connection may outlive it.
pub(crate) struct Shared {
    pub(crate) connections: Arc<Connections>,
    /// What came behind the body.
    pub(crate) trailer: Trailer,
}

impl Shared {
    /// Whether a second head is behind the body: curl has sent the request again by HTTP/1.1, and what
    /// came for that goes on where the stream had ended. No trailer has such fields (RFC 9110 6.5.1).
    fn has_second_head(&self) -> bool {
        let fields = [CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING];
        self.trailer.try_get().is_some_and(|it| fields.iter().any(|name| it.contains_key(name)))
    }
}

impl Reading {
    /// Begins to read a body of this length, where it is known; `shared`: where its connection may
    /// have other requests on it.
    pub(crate) fn new(
        body: AsyncBody,
        lease: Lease,
        watch: Watch,
        left: Option<u64>,
        shared: Option<Shared>,
    ) -> Self {
        let source = Some((body, lease)).filter(|_| left != Some(0));
        Self { source, watch, left, first: None, shared }
    }

    pub(crate) fn into_body(mut self) -> ResponseBody {
        let _ = self.watch.progressed();
        ResponseBody::new(self)
    }

    /// Waits for the first byte, and fails where there is none. curl keeps the connection then, which
    /// has come to its end.
    pub(crate) async fn expect_something(
        &mut self,
        connections: &Connections,
    ) -> Result<(), TransportError> {
        let handle = self.source.as_ref().map(|(_, lease)| Arc::clone(lease.handle()));
        match poll_fn(|context| self.poll_piece(context)).await {
            Some(piece) => {
                self.first = Some(piece?);
                Ok(())
            }
            None => {
                handle.iter().for_each(|handle| connections.retire(handle));
                Err(TransportError::new(Failure::new(FailureKind::Truncated, Delivery::Unknown)))
            }
        }
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Bytes, TransportError>>> {
        let Some((body, _)) = &mut self.source else { return Poll::Ready(None) };
        let most = self.left.and_then(|left| usize::try_from(left).ok()).unwrap_or(PIECE);
        let mut buffer = BytesMut::zeroed(most.clamp(1, PIECE));
        match Pin::new(body).poll_read(context, &mut buffer) {
            Poll::Ready(Ok(0)) => {
                self.source = None;
                Poll::Ready(self.cut_short().map(Err))
            }
            Poll::Ready(Ok(length)) => {
                buffer.truncate(length);
                self.left = self.left.map(|left| left.saturating_sub(length as u64));
                match self.watch.progressed() {
                    Ok(()) => Poll::Ready(Some(Ok(buffer.freeze()))),
                    Err(kind) => Poll::Ready(Some(Err(self.timed_out(kind)))),
                }
            }
            Poll::Ready(Err(error)) => {
                let error = classify::in_body(&error, &self.watch);
                let source = self.source.take();
                if classify::is_of_the_connection(&error) {
                    self.retire(source.as_ref());
                }
                Poll::Ready(self.is_short().then_some(Err(error)))
            }
            Poll::Pending => {
                let kind = ready!(self.watch.poll(context));
                let error = self.timed_out(kind);
                Poll::Ready(self.is_short().then_some(Err(error)))
            }
        }
    }

    /// Whether there is more to come, as far as is known. What becomes of the connection after a
    /// body that is whole by its length, is no matter of that body's.
    fn is_short(&self) -> bool {
        self.left != Some(0)
    }

    /// That the body has ended before its length, which curl tells of every length that it can
    /// count (R-X-4).
    fn cut_short(&self) -> Option<TransportError> {
        if self.shared.as_ref().is_some_and(Shared::has_second_head) {
            let failure = Failure::new(FailureKind::StreamReset, Delivery::Answered);
            let why = "the stream was reset, and curl went on with another response";
            return Some(TransportError::with_source(failure, why));
        }
        self.left.filter(|left| *left > 0)?;
        let failure = Failure::new(FailureKind::Truncated, Delivery::Answered);
        Some(TransportError::with_source(failure, "the body ended before its length"))
    }

    fn timed_out(&mut self, kind: FailureKind) -> TransportError {
        let source = self.source.take();
        if kind == FailureKind::ReadTimeout {
            self.retire(source.as_ref());
        }
        TransportError::new(Failure::new(kind, Delivery::Answered))
    }

    /// The connection may be lost as a whole, and curl keep it, where it is one that may be shared.
    fn retire(&self, source: Option<&(AsyncBody, Lease)>) {
        if let (Some((_, lease)), Some(shared)) = (source, &self.shared) {
            shared.connections.retire(lease.handle());
        }
    }
}

impl Body for Reading {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = self.get_mut();
        if let Some(first) = this.first.take() {
            return Poll::Ready(Some(Ok(Frame::data(first))));
        }
        let piece = ready!(this.poll_piece(context));
        Poll::Ready(piece.map(|piece| piece.map(Frame::data)))
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_none() && self.first.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        let first = self.first.as_ref().map_or(0, |first| first.len() as u64);
        match self.left {
            Some(left) => SizeHint::with_exact(left.saturating_add(first)),
            None => SizeHint::default(),
        }
    }
}
