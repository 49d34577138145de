//! The response body as it arrives, and giving the connection back when it has.

use core::pin::Pin;
use core::task::{Context, Poll, ready};

use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use hyper::body::Incoming;
use redial_client::{ResponseBody, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify;
use crate::connections::Lease;
use crate::exchange::is_too_large;
use crate::runtime::Runtime;
use crate::timeouts::Watch;

/// A response body that holds its connection until its end.
///
/// Read to its end it gives the connection back; dropped before, or failed, it closes it.
pub(crate) struct Reading<R: Runtime> {
    body: Incoming,
    watch: Watch,
    /// Here until the end.
    lease: Option<Lease<R>>,
    in_step: bool,
    /// Whether the status of the response has no content (RFC 9110 15.3.5, 15.4.5).
    bare: bool,
}

impl<R: Runtime> Reading<R> {
    /// Begins to read. A body that is empty gives its connection back at once.
    pub(crate) fn start(
        body: Incoming,
        mut lease: Lease<R>,
        mut watch: Watch,
        in_step: bool,
        bare: bool,
    ) -> ResponseBody {
        watch.came(&lease);
        if !watch.is_uploaded() {
            lease.leave_to_keeper();
        }
        let lease = Some(lease);
        let mut reading = Self { body, watch, lease, in_step, bare };
        if reading.body.is_end_stream() {
            reading.give_back();
        }
        ResponseBody::new(reading)
    }

    /// What there is of the lease, which the exchange needs no more.
    fn take_lease(&mut self) -> Option<Lease<R>> {
        let lease = self.lease.take()?;
        if lease.is_multiplexed() && !self.watch.is_uploaded() {
            // hyper goes on with it, and cannot be told to stop.
            lease.leave_upload(self.watch.upload());
        }
        Some(lease)
    }

    fn give_back(&mut self) {
        // A server that answers before it has read the request may still be reading it: whatever
        // is sent next would be taken for the rest.
        let fit = self.in_step && self.watch.is_uploaded();
        let Some(mut lease) = self.take_lease() else { return };
        // One whose peer is lost has answered its last.
        if fit && lease.meter().error().is_none() {
            self.watch.leave_timer(&mut lease);
            lease.give_back();
        }
    }

    fn fail(&mut self, failure: Failure, source: Option<hyper::Error>) -> TransportError {
        let reused = self.take_lease().is_some_and(|lease| lease.is_reused());
        let error = match source {
            Some(source) => TransportError::with_source(failure, source),
            None => TransportError::new(failure),
        };
        if reused { error.on_reused() } else { error }
    }

    fn timed_out(&mut self, kind: FailureKind) -> TransportError {
        if let Some(lease) = &mut self.lease
            && self.watch.is_all_silent(lease)
        {
            lease.distrust();
        }
        self.fail(Failure::new(kind, Delivery::Answered), None)
    }
}

// The runtime is a handle, and nothing else here is pinned.
impl<R: Runtime> Unpin for Reading<R> {}

impl<R: Runtime> Drop for Reading<R> {
    fn drop(&mut self) {
        drop(self.take_lease());
    }
}

impl<R: Runtime> Body for Reading<R> {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let this = self.get_mut();
        let Some(lease) = &mut this.lease else { return Poll::Ready(None) };
        match poll_frame(&mut this.body, lease, context) {
            Poll::Ready(Some(Ok(frame))) => {
                if let Err(kind) = this.watch.progressed(lease) {
                    return Poll::Ready(Some(Err(this.timed_out(kind))));
                }
                // Over HTTP/1.1 hyper sees to it.
                if lease.is_multiplexed()
                    && let Some(kind) = wrong(&frame, lease.max_head(), this.bare)
                {
                    let failure = Failure::new(kind, Delivery::Answered);
                    return Poll::Ready(Some(Err(this.fail(failure, None))));
                }
                if this.body.is_end_stream() {
                    this.give_back();
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                let failure = classify::in_body(&error, lease.meter());
                Poll::Ready(Some(Err(this.fail(failure, Some(error)))))
            }
            Poll::Ready(None) if is_short(&this.body) => {
                let failure = Failure::new(FailureKind::Truncated, Delivery::Answered);
                Poll::Ready(Some(Err(this.fail(failure, None))))
            }
            Poll::Ready(None) => {
                this.give_back();
                Poll::Ready(None)
            }
            Poll::Pending => {
                lease.wait(context);
                let kind = ready!(this.watch.poll(lease, context));
                Poll::Ready(Some(Err(this.timed_out(kind))))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The next piece of a body: what has come already, else what comes as the connection is driven.
fn poll_frame<R: Runtime>(
    body: &mut Incoming,
    lease: &mut Lease<R>,
    context: &Context<'_>,
) -> Poll<Option<hyper::Result<Frame<Bytes>>>> {
    let drives = lease.attend();
    let mut poll = |lease: &Lease<R>| {
        Pin::new(&mut *body).poll_frame(&mut Context::from_waker(lease.waker(context)))
    };
    let frame = poll(lease);
    if drives && frame.is_pending() {
        lease.drive();
        return poll(lease);
    }
    frame
}

/// What is wrong with a piece of a response over HTTP/2: trailers have the limits of a head (R-X-2), and
/// a response that is `bare` has no content.
fn wrong(frame: &Frame<Bytes>, max_head: usize, bare: bool) -> Option<FailureKind> {
    if frame.trailers_ref().is_some_and(|trailers| is_too_large(trailers, max_head)) {
        return Some(FailureKind::ResponseTooLarge);
    }
    let content = frame.data_ref().is_some_and(|data| !data.is_empty());
    (bare && content).then_some(FailureKind::RemoteProtocol)
}

/// Whether less has come than the response's length. A server may reset a stream without an error as
/// soon as it has sent the whole of its response (RFC 9113 8.1), and hyper takes its word for that.
fn is_short(body: &Incoming) -> bool {
    !body.is_end_stream() && body.size_hint().exact().is_some_and(|left| left > 0)
}
