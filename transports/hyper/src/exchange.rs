//! One request on one connection, and its response head.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, HOST, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode};
use http_body::Body as _;
use hyper::body::Incoming;
use hyper::client::conn::TrySendError;
use redial_client::{Answer, Body, BoxError, Exchange, Origin, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify::{self, Baseline};
use crate::codings;
use crate::connections::{Connections, Lease};
use crate::response::Reading;
use crate::runtime::Runtime;
use crate::timeouts::Watch;
use crate::upload::{Progress, Upload};

/// Sends a request over a connection, and answers with the response head.
///
/// A block rather than an async function, which has everything that it is given twice: as it came,
/// and as it is used.
#[allow(clippy::manual_async_fn, reason = "the future is smaller, and copied less")]
pub(crate) fn send<R: Runtime>(
    connections: &Arc<Connections<R>>,
    mut exchange: Exchange,
) -> impl Future<Output = Result<Answer, TransportError>> + Send {
    async move {
        let mut lease = connections.acquire(&exchange).await?;
        let baseline = Baseline::of(lease.meter());
        let (upload, mut watch) = prepare(&mut lease, &mut exchange)?;
        // Handed over from where it lies: a request is large, and every move is a copy.
        let sent = pin!(lease.sender()?.send(exchange.request.map(|_| upload)));
        match response_head(sent, &mut watch, &mut lease, baseline).await {
            Ok(response) => answer(response, lease, watch),
            Err(error) => {
                if error.failure().kind.is_timeout() && watch.is_all_silent(&lease) {
                    lease.distrust();
                }
                if classify::is_for_http1(&error) {
                    lease.require_http1(&exchange.origin);
                }
                Err(if lease.is_reused() { error.on_reused() } else { error })
            }
        }
    }
}

/// Makes a request what this connection is to be sent. Answers with its body, and with what watches
/// over the exchange.
fn prepare<R: Runtime>(
    lease: &mut Lease<R>,
    exchange: &mut Exchange,
) -> Result<(Upload<R>, Watch), TransportError> {
    let Exchange { origin, request, timeouts, cutoff, .. } = exchange;
    let shared = lease.is_multiplexed();
    if shared {
        for_http2(request)?;
        lease.meter().expect_streams();
    } else {
        for_http1(request, origin);
        lease.meter().expect_head(lease.max_head());
    }
    let body = core::mem::replace(request.body_mut(), Body::empty());
    let mut progress = Progress::default();
    let upload = Upload::new(body, lease.runtime(), shared, &mut progress);
    Ok((upload, Watch::new(lease, progress, *timeouts, *cutoff)))
}

/// What comes of a request that hyper has been handed.
pub(crate) type Sent<R> = Result<Response<Incoming>, TrySendError<Request<Upload<R>>>>;

/// Waits for the response head as long as the limits allow.
fn response_head<R: Runtime>(
    mut sent: Pin<&mut impl Future<Output = Sent<R>>>,
    watch: &mut Watch,
    lease: &mut Lease<R>,
    baseline: Baseline,
) -> impl Future<Output = Result<Response<Incoming>, TransportError>> {
    poll_fn(move |context| {
        lease.drive();
        let waker = lease.waker(context);
        match sent.as_mut().poll(&mut Context::from_waker(waker)) {
            Poll::Ready(Ok(response)) => Poll::Ready(Ok(response)),
            Poll::Ready(Err(error)) => Poll::Ready(Err(no_head(error, lease, baseline))),
            // The connection may live on for a moment, so that nothing is proved of what it has
            // sent.
            Poll::Pending => {
                lease.wait(context);
                let limit = watch.poll(lease, context);
                limit.map(|kind| Err(TransportError::new(Failure::new(kind, Delivery::Unknown))))
            }
        }
    })
}

/// What it means that no response head comes.
#[cold]
fn no_head<R: Runtime>(
    error: TrySendError<Request<Upload<R>>>,
    lease: &Lease<R>,
    baseline: Baseline,
) -> TransportError {
    // Where hyper gives the request back, no byte of it was sent.
    let returned = error.message().is_some();
    let error = error.into_error();
    let failure = if lease.is_multiplexed() {
        let ended = lease.shared().ended();
        classify::before_head_http2(&error, lease.meter(), returned, ended)
    } else {
        baseline.before_head(&error, lease.meter(), returned)
    };
    TransportError::with_source(failure, error)
}

/// The request as HTTP/1.1 sends it: origin-form, a `Host` (RFC 9112 3.2), and a length also where
/// the body is empty and the method expects one (RFC 9110 8.6).
fn for_http1(request: &mut Request<Body>, origin: &Origin) {
    let empty = request.body().is_end_stream();
    request.headers_mut().entry(HOST).or_insert_with(|| origin.authority().clone());
    if empty && matches!(*request.method(), Method::POST | Method::PUT | Method::PATCH) {
        // hyper sends the length of every other body.
        request.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
    if !empty && request.body().size_hint().exact().is_none() {
        // Of some methods, hyper sends no body whose length is unknown unless it is told how.
        request.headers_mut().insert(TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let target = request.uri().path_and_query().cloned();
    *request.uri_mut() = Uri::from(target.unwrap_or_else(|| PathAndQuery::from_static("/")));
}

/// The request as HTTP/2 sends it: a `Host` of the caller's is its `:authority` (RFC 9113 8.3.1).
fn for_http2(request: &mut Request<Body>) -> Result<(), TransportError> {
    let Some(host) = request.headers_mut().remove(HOST) else { return Ok(()) };
    let mut parts = core::mem::take(request.uri_mut()).into_parts();
    parts.authority = Some(Authority::try_from(host.as_bytes()).map_err(invalid)?);
    *request.uri_mut() = Uri::from_parts(parts).map_err(invalid)?;
    Ok(())
}

fn invalid(source: impl Into<BoxError>) -> TransportError {
    let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
    TransportError::with_source(failure, source)
}

/// How many headers a response may have (R-X-2). Over HTTP/1.1 hyper sees to it.
const MOST_HEADERS: usize = 100;

/// Whether the fields of a head over HTTP/2, or of trailers, are more than a head may have (R-X-2).
/// They are counted as HTTP/2 counts them (RFC 9113 6.5.2).
pub(crate) fn is_too_large(fields: &HeaderMap, max_head: usize) -> bool {
    /// What each field counts beside its name and value.
    const FIELD: usize = 32;
    const STATUS: usize = ":status".len() + "200".len() + FIELD;
    let of = |(name, value): (&HeaderName, &HeaderValue)| name.as_str().len() + value.len() + FIELD;
    fields.len() > MOST_HEADERS || STATUS + fields.iter().map(of).sum::<usize>() >= max_head
}

/// The answer that the response head makes. Inlined, because both are large.
#[inline(always)]
fn answer<R: Runtime>(
    response: Response<Incoming>,
    lease: Lease<R>,
    watch: Watch,
) -> Result<Answer, TransportError> {
    if response.status() == StatusCode::SWITCHING_PROTOCOLS {
        // Nobody asked for it, and what follows is no HTTP (R-X-2).
        let failure = Failure::new(FailureKind::RemoteProtocol, Delivery::Unknown);
        return Err(TransportError::with_source(failure, "the server switched protocols unasked"));
    }
    if lease.is_multiplexed() && is_too_large(response.headers(), lease.max_head()) {
        let failure = Failure::new(FailureKind::ResponseTooLarge, Delivery::Unknown);
        return Err(TransportError::new(failure));
    }
    // Where two framings contradict each other, the next response may begin anywhere (R-X-3). A
    // body whose length is known has one: hyper gives a transfer coding the preference.
    let headers = response.headers();
    let known = response.body().size_hint().exact();
    if known.is_none() && !lease.is_multiplexed() && !codings::are_undone(headers) {
        let failure = Failure::new(FailureKind::RemoteProtocol, Delivery::Unknown);
        let why = "the response has a transfer coding that was not asked for";
        return Err(TransportError::with_source(failure, why));
    }
    let in_step = known.is_some_and(|length| length > 0)
        || !(headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH))
        || redial_engine::planted!(OutOfStepReused);
    let reused = lease.is_reused();
    let bare = matches!(response.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let response = response.map(|body| Reading::start(body, lease, watch, in_step, bare));
    Ok(Answer::new(response, reused))
}
