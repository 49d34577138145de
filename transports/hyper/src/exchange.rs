//! One request on one connection, and its response head.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, request};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use redial_client::{Answer, BoxError, Exchange, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify::{self, Baseline};
use crate::connect::Sender;
use crate::connections::Lease;
use crate::response::Reading;
use crate::runtime::Runtime;
use crate::timeouts::Watch;
use crate::upload::Upload;

/// For how long a connection may have been silent and still be used at once. One that has been for
/// longer may have been closed by the server meanwhile, and its runtime gets the chance to say so.
const QUIET: Duration = Duration::from_millis(1);

/// Sends a request over a connection, and answers with the response head.
pub(crate) async fn send<R: Runtime>(
    mut lease: Lease<R>,
    exchange: Exchange,
) -> Result<Answer, TransportError> {
    let reused = lease.is_reused();
    let mut now = lease.since();
    if reused && now.saturating_since(lease.shared().meter.last_activity()) >= QUIET {
        lease.runtime().yield_now().await;
        now = lease.runtime().now();
    }
    let Exchange { request, timeouts, cutoff, .. } = exchange;
    let multiplexed = lease.is_multiplexed();
    let (mut head, body) = request.into_parts();
    if multiplexed {
        for_http2(&mut head)?
    } else {
        for_http1(&mut head, body.is_end_stream())?
    }
    let (upload, progress) = Upload::new(body, lease.runtime());
    let request = Request::from_parts(head, upload);

    let shared = Arc::clone(lease.shared());
    let meter = &shared.meter;
    let baseline = Baseline::of(meter);
    let runtime = lease.runtime().clone();
    let limits = (timeouts, cutoff);
    let mut watch = Watch::new(runtime, Arc::clone(&shared), progress, limits, multiplexed, now);
    let max_head = lease.max_head();
    let result = match lease.sender() {
        Some(Sender::Http1(sender)) => {
            meter.expect_head(max_head);
            let sent = sender.try_send_request(request);
            let classify = |error: &_, returned| baseline.before_head(error, meter, returned);
            let result = response_head(sent, &mut watch, classify).await;
            meter.head_came();
            result
        }
        Some(Sender::Http2(sender)) => {
            let sent = sender.try_send_request(request);
            let classify = |error: &_, returned| {
                classify::before_head_http2(error, meter, returned, shared.ended())
            };
            response_head(sent, &mut watch, classify).await
        }
        None => Err(TransportError::unsent(FailureKind::Closed)),
    };
    match result {
        Ok(response) => answer(response, lease, watch),
        Err(error) => {
            if error.failure().kind.is_timeout() && watch.is_all_silent() {
                lease.distrust();
            }
            Err(if reused { error.on_reused() } else { error })
        }
    }
}

/// Waits for the response head as long as the limits allow.
async fn response_head<B>(
    sent: impl Future<Output = Result<Response<Incoming>, TrySendError<B>>>,
    watch: &mut Watch<impl Runtime>,
    classify: impl Fn(&hyper::Error, bool) -> Failure,
) -> Result<Response<Incoming>, TransportError> {
    let mut sent = pin!(sent);
    poll_fn(|context| match sent.as_mut().poll(context) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(error)) => {
            // Where hyper gives the request back, no byte of it was sent.
            let returned = error.message().is_some();
            let error = error.into_error();
            let failure = classify(&error, returned);
            Poll::Ready(Err(TransportError::with_source(failure, error)))
        }
        // The connection lives on in its task for a moment, so that nothing is proved of what it
        // has sent.
        Poll::Pending => watch
            .poll(context)
            .map(|kind| Err(TransportError::new(Failure::new(kind, Delivery::Unknown)))),
    })
    .await
}

/// The request as HTTP/1.1 sends it: origin-form, a `Host` (RFC 9112 3.2), and a length also where
/// the body is empty and the method expects one (RFC 9110 8.6).
fn for_http1(head: &mut request::Parts, empty: bool) -> Result<(), TransportError> {
    if !head.headers.contains_key(HOST) {
        let authority = head.uri.authority().map_or("", Authority::as_str);
        let host = HeaderValue::from_str(authority).map_err(invalid)?;
        head.headers.insert(HOST, host);
    }
    if empty && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        // hyper sends the length of every other body.
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let target = core::mem::take(&mut head.uri).into_parts().path_and_query;
    head.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    Ok(())
}

/// The request as HTTP/2 sends it: a `Host` of the caller's is its `:authority` (RFC 9113 8.3.1).
fn for_http2(head: &mut request::Parts) -> Result<(), TransportError> {
    let Some(host) = head.headers.remove(HOST) else { return Ok(()) };
    let mut parts = core::mem::take(&mut head.uri).into_parts();
    parts.authority = Some(Authority::try_from(host.as_bytes()).map_err(invalid)?);
    head.uri = Uri::from_parts(parts).map_err(invalid)?;
    Ok(())
}

fn invalid(source: impl Into<BoxError>) -> TransportError {
    let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
    TransportError::with_source(failure, source)
}

fn answer<R: Runtime>(
    response: Response<Incoming>,
    lease: Lease<R>,
    watch: Watch<R>,
) -> Result<Answer, TransportError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody asked for it, and what follows is no HTTP (R-X-2).
        let failure = Failure::new(FailureKind::RemoteProtocol, Delivery::Unknown);
        return Err(TransportError::with_source(failure, "the server switched protocols unasked"));
    }
    let headers = response.headers();
    // Where two framings contradict each other, the next response may begin anywhere (R-X-3).
    let in_step =
        !(headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH));
    let reused = lease.is_reused();
    let (head, body) = response.into_parts();
    let body = Reading::start(body, lease, watch, in_step);
    Ok(Answer::new(Response::from_parts(head, body), reused))
}
