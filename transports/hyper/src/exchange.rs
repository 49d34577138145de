//! One request on one connection, and its response head.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderValue, TRANSFER_ENCODING};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use redial_client::{Answer, Body, Exchange, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify::Baseline;
use crate::connections::Lease;
use crate::response::Reading;
use crate::runtime::Runtime;
use crate::timeouts::Watch;
use crate::upload::Upload;

/// Sends a request over a connection, and answers with the response head.
pub(crate) async fn send<R: Runtime>(
    mut lease: Lease<R>,
    exchange: Exchange,
) -> Result<Answer, TransportError> {
    let reused = lease.is_reused();
    if reused {
        lease.runtime().yield_now().await;
    }
    let (request, progress) = prepare(exchange.request)?;
    let meter = Arc::clone(&lease.shared().meter);
    let baseline = Baseline::of(&meter);
    let (timeouts, cutoff) = (exchange.timeouts, exchange.cutoff);
    let mut watch =
        Watch::new(lease.runtime().clone(), Arc::clone(&meter), progress, timeouts, cutoff);
    let Some(sender) = lease.sender() else {
        return Err(TransportError::unsent(FailureKind::Closed));
    };
    meter.expect_head();
    let mut response = pin!(sender.try_send_request(request));
    let result = poll_fn(|context| match response.as_mut().poll(context) {
        Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
        Poll::Ready(Err(error)) => Poll::Ready(Err(refused(error, baseline, &meter))),
        // The connection lives on in its task for a moment, so that nothing is proved of what it
        // has sent.
        Poll::Pending => watch
            .poll(context)
            .map(|kind| Err(TransportError::new(Failure::new(kind, Delivery::Unknown)))),
    })
    .await;
    meter.head_came();
    match result {
        Ok(response) => answer(response, lease, watch),
        Err(error) if reused => Err(error.on_reused()),
        Err(error) => Err(error),
    }
}

/// The request as HTTP/1.1 sends it: origin-form, a `Host` (RFC 9112 3.2), and a length also where
/// the body is empty and the method expects one (RFC 9110 8.6).
fn prepare(
    request: Request<Body>,
) -> Result<(Request<Upload>, crate::upload::Progress), TransportError> {
    let (mut head, body) = request.into_parts();
    if !head.headers.contains_key(HOST) {
        let authority = head.uri.authority().map_or("", |authority| authority.as_str());
        let host = HeaderValue::from_str(authority).map_err(|error| {
            let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
            TransportError::with_source(failure, error)
        })?;
        head.headers.insert(HOST, host);
    }
    if body.is_end_stream() && matches!(head.method, Method::POST | Method::PUT | Method::PATCH) {
        // hyper sends the length of every other body.
        head.headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    let target = head.uri.path_and_query().cloned();
    head.uri = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
    let (upload, progress) = Upload::new(body);
    Ok((Request::from_parts(head, upload), progress))
}

/// hyper gave no response; where it gave the request back, no byte of it was sent.
fn refused(
    error: TrySendError<Request<Upload>>,
    baseline: Baseline,
    meter: &crate::io::Meter,
) -> TransportError {
    let returned = error.message().is_some();
    let error = error.into_error();
    TransportError::with_source(baseline.before_head(&error, meter, returned), error)
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
