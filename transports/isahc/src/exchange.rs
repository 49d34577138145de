//! One request until its response head.

use core::future::{Future, poll_fn};
use core::num::ParseIntError;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::Poll;
use std::panic::catch_unwind;
use std::sync::Arc;

use http::header::{CONNECTION, CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{HeaderMap, Method, Response, StatusCode, Version};
use isahc::prelude::ResponseExt;
use isahc::{AsyncBody, HttpClient};
use redial_client::{Answer, Exchange, PoolEventKind, Protocol, Scheme, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};
use tracing::dispatcher::{Dispatch, with_default};

use crate::classify;
use crate::connections::{Connections, Lease};
use crate::request;
use crate::response::Reading;
use crate::standing::Standing;
use crate::upload::Progress;
use crate::watch::Watch;

/// The most header lines of a response (R-X-2).
const MOST_HEADERS: usize = 100;

/// Sends a request over a handle, and answers with the response head.
pub(crate) async fn send(
    connections: &Connections,
    lease: Lease,
    exchange: Exchange,
) -> Result<Answer, TransportError> {
    let settings = connections.maker().settings();
    let (method, timeouts, cutoff) =
        (exchange.request.method().clone(), exchange.timeouts, exchange.cutoff);
    let origin = exchange.origin.clone();
    let streams = may_be_h2(settings.protocol, exchange.request.uri());
    let clock = connections.clock();
    let prepared = request::prepare(exchange, &lease, settings.protocol, clock);
    let (request, progress) = prepared.inspect_err(|_| lease.gone())?;
    let plain = (origin.scheme() == Scheme::Http).then(|| origin.port());
    let survey = Arc::clone(connections.survey());
    let standing = Standing::new(survey, plain, timeouts.read);
    let mut watch = Watch::new(clock.clone(), progress.clone(), timeouts, cutoff, standing);
    let cancelled = CancelOnDrop(progress.clone());
    let handle = Arc::clone(lease.handle());
    let result = head(&handle, request, &mut watch).await;
    drop(handle);
    let unknown = |kind| Failure::new(kind, Delivery::Unknown);
    let response = match result {
        Head::Came(Ok(response)) => response,
        Head::Came(Err(error)) => return Err(failed(error, streams, &lease, &watch, &progress)),
        Head::Limit(kind) => {
            if streams && matches!(kind, FailureKind::ReadTimeout | FailureKind::WriteTimeout) {
                // curl ends the stream and keeps the connection, whose peer may be gone: on it, all
                // further attempts would be as silent.
                connections.retire(&lease);
            }
            return Err(TransportError::new(unknown(kind)));
        }
        Head::HandleLost => {
            connections.disown(&lease);
            let failure = unknown(FailureKind::Other);
            return Err(TransportError::with_source(failure, "isahc's thread is gone"));
        }
    };
    drop(cancelled);
    let reused = lease.over(response.local_addr().map(|address| address.port()));
    connections.tell(&origin, if reused { PoolEventKind::Reused } else { opened(&response) });
    let headers = response.headers();
    if headers.contains_key(TRANSFER_ENCODING) && headers.contains_key(CONTENT_LENGTH) {
        // Where two framings contradict each other, the next response may begin anywhere (R-X-3).
        connections.retire(&lease);
    }
    let limit = settings.max_head_bytes.get();
    match answer(response, &method, limit, lease, watch).await {
        Ok(response) => Ok(Answer::new(response, reused)),
        Err(error) if reused => Err(error.on_reused()),
        Err(error) => Err(error),
    }
}

/// That a connection was opened for this response.
fn opened(response: &Response<AsyncBody>) -> PoolEventKind {
    let took =
        response.metrics().map(|times| times.connect_time().max(times.secure_connect_time()));
    PoolEventKind::Opened { took: took.unwrap_or_default() }
}

/// Whether the connection may have other requests on it, and outlive this one's failure.
fn may_be_h2(protocol: Protocol, uri: &http::Uri) -> bool {
    match protocol {
        Protocol::Http1 => false,
        Protocol::Negotiated => uri.scheme_str() == Some("https"),
        Protocol::Http2PriorKnowledge | _ => true,
    }
}

/// curl gave no response.
fn failed(
    error: isahc::Error,
    streams: bool,
    lease: &Lease,
    watch: &Watch,
    progress: &Progress,
) -> TransportError {
    let port = error.local_addr().map(|address| address.port());
    let reused = port.is_some() && lease.over(port);
    let error = classify::before_head(error, watch, progress);
    if !streams || error.failure().delivery == Delivery::Unsent {
        lease.gone();
    }
    if reused { error.on_reused() } else { error }
}

/// What came of waiting for a head.
enum Head {
    Came(Result<Response<AsyncBody>, isahc::Error>),
    Limit(FailureKind),
    HandleLost,
}

async fn head(handle: &HttpClient, request: http::Request<AsyncBody>, watch: &mut Watch) -> Head {
    let mut request = Some(request);
    let mut sending = None;
    poll_fn(|context| {
        let polled = match (&mut sending, request.take()) {
            (sending, Some(request)) => {
                let submit = || Pin::new(sending.insert(handle.send_async(request))).poll(context);
                match quietly(submit) {
                    Some(polled) => polled,
                    None => return Poll::Ready(Head::HandleLost),
                }
            }
            (Some(sending), None) => Pin::new(sending).poll(context),
            (None, None) => Poll::Pending,
        };
        match polled {
            Poll::Ready(result) => Poll::Ready(Head::Came(result)),
            Poll::Pending => watch.poll(context).map(Head::Limit),
        }
    })
    .await
}

/// Submits a request to isahc; `None` where isahc's thread is gone, at which it panics.
///
/// isahc's spans show the whole URL, and make curl log headers: they may be secret (R-O-3). What
/// is created while nobody listens stays silent.
fn quietly<T>(submit: impl FnOnce() -> T) -> Option<T> {
    catch_unwind(AssertUnwindSafe(|| with_default(&Dispatch::none(), submit))).ok()
}

/// Tells curl's next read of the body that nobody waits any more.
struct CancelOnDrop(Progress);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

async fn answer(
    response: Response<AsyncBody>,
    method: &Method,
    limit: usize,
    lease: Lease,
    watch: Watch,
) -> Result<Response<redial_client::ResponseBody>, TransportError> {
    let (mut head, body) = response.into_parts();
    // isahc's extensions have the request's body in them, and panic when they are cloned.
    head.extensions.clear();
    let refuse = |kind, why| {
        let failure = Failure::new(kind, Delivery::Unknown);
        Err(TransportError::with_source(failure, why))
    };
    if head.status == StatusCode::SWITCHING_PROTOCOLS {
        return refuse(FailureKind::RemoteProtocol, "the server switched protocols unasked");
    }
    if head.headers.len() > MOST_HEADERS || size(&head.headers) > limit {
        return refuse(FailureKind::ResponseTooLarge, "the response head is larger than allowed");
    }
    let bodyless = *method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let length = if bodyless { Ok(Some(0)) } else { length(&head.headers) };
    let Ok(length) = length else {
        return refuse(FailureKind::RemoteProtocol, "no body is as long as this Content-Length");
    };
    let mut reading = Reading::new(body, lease, watch, length);
    if !bodyless && head.version == Version::HTTP_11 && is_unframed(&head.headers) {
        // A head that was cut before its blank line looks so (R-X-4).
        reading.expect_something().await?;
    }
    Ok(Response::from_parts(head, reading.into_body()))
}

/// About how many bytes the header lines have.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The length that the head tells; an error where it is beyond what curl can count, which takes
/// such a body to last until the connection ends.
fn length(headers: &HeaderMap) -> Result<Option<u64>, ParseIntError> {
    let value = headers.get(CONTENT_LENGTH).filter(|_| !headers.contains_key(TRANSFER_ENCODING));
    let Some(text) = value.and_then(|value| value.to_str().ok()) else { return Ok(None) };
    // curl has seen to it that all of a list are the same.
    let first = text.split(',').next().unwrap_or(text).trim();
    first.parse::<i64>().map(i64::unsigned_abs).map(Some)
}

/// Whether only the end of the connection can end the body, and nothing announces that.
fn is_unframed(headers: &HeaderMap) -> bool {
    let closes = |value: &http::HeaderValue| {
        let tokens = value.to_str().unwrap_or("").split(',');
        tokens.map(str::trim).any(|token| token.eq_ignore_ascii_case("close"))
    };
    !headers.contains_key(TRANSFER_ENCODING)
        && !headers.contains_key(CONTENT_LENGTH)
        && !headers.get_all(CONNECTION).iter().any(closes)
}
