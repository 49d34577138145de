//! One request until its response head.

use core::future::{Future, poll_fn};
use core::num::ParseIntError;
use core::panic::AssertUnwindSafe;
use core::pin::Pin;
use core::task::Poll;
use std::panic::catch_unwind;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::response::Parts;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, Version};
use isahc::prelude::ResponseExt;
use isahc::{AsyncBody, HttpClient, ResponseFuture};
use redial_client::{
    Answer, Clock, Exchange, Origin, PoolEventKind, Protocol, Scheme, TransportError,
};
use redial_engine::{Delivery, Failure, FailureKind};
use tracing::dispatcher::{Dispatch, with_default};
use tracing::level_filters::LevelFilter;

use crate::backlog::Backlog;
use crate::classify;
use crate::connections::{Connections, Lease};
use crate::ledger::Lane;
use crate::request;
use crate::response::{Reading, Shared};
use crate::standing::Standing;
use crate::upload::{Progress, Source};
use crate::watch::Watch;

/// The most header lines of a response (R-X-2).
const MOST_HEADERS: usize = 100;

/// Sends a request over a handle, and answers with the response head.
///
/// A block rather than an async function, which has everything that it is given twice: as it came,
/// and as it is used.
#[allow(clippy::manual_async_fn, reason = "the future is smaller, and copied less")]
pub(crate) fn send(
    connections: &Arc<Connections>,
    exchange: Exchange,
) -> impl Future<Output = Result<Answer, TransportError>> + Send {
    async move {
        let protocol = connections.maker().settings().protocol;
        request::check(&exchange.request, protocol)?;
        let lane = request::lane(&exchange, protocol);
        if exchange.timeouts.connect.is_zero() && !may_reuse(connections, lane, &exchange) {
            // At once (R-T-8), however near the server is.
            return Err(TransportError::unsent(FailureKind::ConnectTimeout));
        }
        let lease = connections.acquire(lane, &exchange).await?;
        let handle = Arc::clone(lease.handle());
        let Some((sending, mut begun)) = begin(connections, &handle, &lease, lane, exchange)?
        else {
            return Err(handle_lost(connections, &lease));
        };
        let cancelled = CancelOnDrop(begun.progress.clone());
        let head = head(sending, begun.source.take(), &mut begun.watch).await;
        drop(handle);
        let response = came(connections, &lease, &begun, head)?;
        drop(cancelled);
        let Answered { head, body, doubtful, reused } =
            answer(connections, response, lease, begun)?;
        // Few are, and what they need would be part of every other's future.
        let body = if doubtful { Box::pin(begins(body, connections)).await } else { Ok(body) };
        let body = body.map_err(|error| on(reused, error))?;
        Ok(Answer::new(Response::from_parts(head, body.into_body()), reused))
    }
}

/// A request that isahc has, and what has to be known of it.
struct Begun {
    origin: Origin,
    method: Method,
    lane: Lane,
    /// Whether its connection may have other requests on it.
    streams: bool,
    progress: Progress,
    source: Option<Source>,
    watch: Watch,
}

/// Hands the request to isahc; `None` where isahc's thread is gone.
///
/// Not part of the future above, in which all that it needs would stay.
fn begin<'a>(
    connections: &Connections,
    handle: &'a HttpClient,
    lease: &Lease,
    lane: Lane,
    exchange: Exchange,
) -> Result<Option<(ResponseFuture<'a>, Begun)>, TransportError> {
    let protocol = connections.maker().settings().protocol;
    let (timeouts, cutoff) = (exchange.timeouts, exchange.cutoff);
    let (origin, method) = (exchange.origin.clone(), exchange.request.method().clone());
    let streams = may_be_h2(protocol, lane, exchange.request.uri());
    let clock = connections.clock();
    let (began, survey) = (clock.now(), connections.survey());
    if let Some(cutoff) = cutoff.filter(|cutoff| began >= cutoff.at) {
        lease.gone();
        return Err(TransportError::unsent(cutoff.kind()));
    }
    let prepared = request::prepare(exchange, lease, (protocol, streams), clock);
    let (request, progress, source) = prepared.inspect_err(|_| lease.gone())?;
    let peer = (origin.port(), origin.scheme() == Scheme::Http);
    let standing = Standing::new(Arc::clone(survey), peer, timeouts.read, began);
    let backlog = || Backlog::new((&progress, origin.port()), timeouts, began);
    let backlog = progress.is_upload().then(backlog);
    let upload = progress.clone();
    let watch = Watch::new(clock.clone(), upload, timeouts, cutoff, standing, backlog, began);
    let begun = Begun { origin, method, lane, streams, progress, source, watch };
    Ok(quietly(|| handle.send_async(request)).map(|sending| (sending, begun)))
}

/// The response that came, or why there is none.
fn came(
    connections: &Connections,
    lease: &Lease,
    begun: &Begun,
    head: Head,
) -> Result<Response<AsyncBody>, TransportError> {
    match head {
        Head::Came(Ok(response)) => Ok(response),
        Head::Came(Err(error)) => Err(failed(connections, error, lease, begun)),
        Head::Limit(kind) => {
            let silent = matches!(kind, FailureKind::ReadTimeout | FailureKind::WriteTimeout);
            if begun.streams && silent {
                // curl ends the stream and keeps the connection, whose peer may be gone: on it, all
                // further attempts would be as silent.
                connections.retire(lease.handle());
            }
            // What goes over a kept connection, curl may have sent before by itself.
            let unsent = begun.lane == Lane::Fresh && begun.watch.is_unconnected();
            let delivery = if unsent { Delivery::Unsent } else { Delivery::Unknown };
            Err(TransportError::new(Failure::new(kind, delivery)))
        }
        Head::HandleLost => Err(handle_lost(connections, lease)),
    }
}

#[cold]
fn handle_lost(connections: &Connections, lease: &Lease) -> TransportError {
    connections.disown(lease);
    let failure = Failure::new(FailureKind::Other, Delivery::Unknown);
    TransportError::with_source(failure, "isahc's thread is gone")
}

/// That a connection was opened for this response.
fn opened(response: &Response<AsyncBody>) -> PoolEventKind {
    let took =
        response.metrics().map(|times| times.connect_time().max(times.secure_connect_time()));
    PoolEventKind::Opened { took: took.unwrap_or_default() }
}

/// Whether the connection may have other requests on it, and outlive this one's failure.
fn may_be_h2(protocol: Protocol, lane: Lane, uri: &http::Uri) -> bool {
    match protocol {
        Protocol::Http1 => false,
        Protocol::Negotiated => lane == Lane::Kept && uri.scheme_str() == Some("https"),
        Protocol::Http2PriorKnowledge | _ => true,
    }
}

/// Whether there may be a connection for this exchange, so that none has to be made.
fn may_reuse(connections: &Connections, lane: Lane, exchange: &Exchange) -> bool {
    let protocol = connections.maker().settings().protocol;
    let shared = may_be_h2(protocol, lane, exchange.request.uri());
    lane == Lane::Kept && connections.may_serve(&exchange.origin, shared)
}

/// curl gave no response.
fn failed(
    connections: &Connections,
    error: isahc::Error,
    lease: &Lease,
    begun: &Begun,
) -> TransportError {
    let port = error.local_addr().map(|address| address.port());
    let reused = port.is_some() && lease.over(port);
    let streams_over_tls = begun.streams && begun.origin.scheme() == Scheme::Https;
    let error = classify::before_head(error, &begun.watch, &begun.progress, streams_over_tls);
    let delivery = error.failure().delivery;
    if !begun.streams || delivery == Delivery::Unsent {
        lease.gone();
    } else if classify::is_of_the_connection(&error) {
        connections.retire(lease.handle());
    }
    // What was never sent was on no connection that had served another.
    on(reused && delivery != Delivery::Unsent, error)
}

/// What came of waiting for a head.
enum Head {
    Came(Result<Response<AsyncBody>, isahc::Error>),
    Limit(FailureKind),
    HandleLost,
}

/// Waits for the response head as long as the limits allow.
fn head(
    mut sending: ResponseFuture<'_>,
    mut source: Option<Source>,
    watch: &mut Watch,
) -> impl Future<Output = Head> {
    let mut submitted = false;
    poll_fn(move |context| {
        let sending = Pin::new(&mut sending);
        // isahc hands the request to its thread when it is first polled.
        let polled = if submitted {
            sending.poll(context)
        } else {
            submitted = true;
            match quietly(|| sending.poll(context)) {
                Some(polled) => polled,
                None => return Poll::Ready(Head::HandleLost),
            }
        };
        match polled {
            Poll::Ready(Ok(_)) if watch.is_over_at_once() => {
                Poll::Ready(Head::Limit(FailureKind::ReadTimeout))
            }
            Poll::Ready(result) => Poll::Ready(Head::Came(result)),
            Poll::Pending => {
                source.iter_mut().for_each(|source| source.poll(context));
                watch.poll(context).map(Head::Limit)
            }
        }
    })
}

/// Submits a request to isahc; `None` where isahc's thread is gone, at which it panics.
///
/// isahc's spans show the whole URL, and make curl log headers: they may be secret (R-O-3). What
/// is created while nobody listens stays silent.
fn quietly<T>(submit: impl FnOnce() -> T) -> Option<T> {
    // Mostly nobody listens, and to say so for a moment would cost more than to ask.
    let silent = || match LevelFilter::current() {
        LevelFilter::OFF => submit(),
        _ => with_default(&Dispatch::none(), submit),
    };
    catch_unwind(AssertUnwindSafe(silent)).ok()
}

/// Tells curl's next read of the body that nobody waits any more.
struct CancelOnDrop(Progress);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// What a response is answered with.
struct Answered {
    head: Parts,
    body: Reading,
    /// Whether the body has to begin before it is certain that the head is whole.
    doubtful: bool,
    reused: bool,
}

/// Looks a response over, which may turn out to be none.
fn answer(
    connections: &Arc<Connections>,
    response: Response<AsyncBody>,
    lease: Lease,
    begun: Begun,
) -> Result<Answered, TransportError> {
    let reused = lease.over(response.local_addr().map(|address| address.port()));
    let event = if reused { PoolEventKind::Reused } else { opened(&response) };
    connections.tell(&begun.origin, event);
    classify::of_upload(&begun.progress, response.status()).map_err(|error| on(reused, error))?;
    let shared = begun.streams.then(|| Shared {
        connections: Arc::clone(connections),
        trailer: response.trailer().clone(),
    });
    let (mut head, body) = response.into_parts();
    // isahc's extensions have the request's body in them, and panic when they are cloned.
    head.extensions.clear();
    let chunked = head.headers.contains_key(TRANSFER_ENCODING);
    if chunked && head.version == Version::HTTP_10 {
        // It knows none, so that what follows may be anything (RFC 9112 6.1).
        connections.retire(lease.handle());
        let failure = Failure::new(FailureKind::RemoteProtocol, Delivery::Unknown);
        let why = "a response of HTTP/1.0 has a transfer coding";
        return Err(on(reused, TransportError::with_source(failure, why)));
    }
    if chunked && is_ambiguous(&head.headers) {
        // Where two framings contradict each other, the next response may begin anywhere (R-X-3).
        connections.retire(lease.handle());
    }
    let limit = connections.maker().settings().max_head_bytes.get();
    let length = length(&head, &begun.method, chunked, limit).map_err(|error| on(reused, error))?;
    let unframed = length.is_none() && !chunked && !request::announces_close(&head.headers);
    let doubtful = unframed && head.version == Version::HTTP_11;
    let body = Reading::new(body, lease, begun.watch, length, shared);
    Ok(Answered { head, body, doubtful, reused })
}

/// Whether a response with a transfer coding may end elsewhere for another reader than for curl: it
/// has a length as well, or its coding is not `chunked` alone.
fn is_ambiguous(headers: &HeaderMap) -> bool {
    let lines = headers.get_all(TRANSFER_ENCODING).iter();
    let codings = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    // An empty element of a list is none (RFC 9110 5.6.1.2).
    let mut codings = codings.map(<[u8]>::trim_ascii).filter(|coding| !coding.is_empty());
    let first = codings.next();
    let alone = first.is_some_and(|coding| coding.eq_ignore_ascii_case(b"chunked"));
    headers.contains_key(CONTENT_LENGTH) || !alone || codings.next().is_some()
}

/// How long the body of a response will be, where the head tells; an error where that head is none
/// to go on with.
fn length(
    head: &Parts,
    method: &Method,
    chunked: bool,
    limit: usize,
) -> Result<Option<u64>, TransportError> {
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
    if *method == Method::HEAD
        || matches!(head.status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED)
    {
        return Ok(Some(0));
    }
    match head.headers.get(CONTENT_LENGTH).filter(|_| !chunked).map(announced) {
        Some(Err(_)) => {
            refuse(FailureKind::RemoteProtocol, "no body is as long as this Content-Length")
        }
        Some(Ok(length)) => Ok(length),
        None => Ok(None),
    }
}

/// Waits until the body begins: a head that was cut before its blank line looks like one whose body
/// only the end of the connection ends (R-X-4).
async fn begins(mut body: Reading, connections: &Connections) -> Result<Reading, TransportError> {
    body.expect_something(connections).await?;
    Ok(body)
}

/// The same, and whether it was on a connection that had served another request before.
fn on(reused: bool, error: TransportError) -> TransportError {
    if reused { error.on_reused() } else { error }
}

/// About how many bytes the header lines have.
fn size(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}

/// The length that a header tells; an error where it is beyond what curl can count, which takes such
/// a body to last until the connection ends.
fn announced(value: &HeaderValue) -> Result<Option<u64>, ParseIntError> {
    let Ok(text) = value.to_str() else { return Ok(None) };
    // curl has seen to it that all of a list are the same.
    let first = text.split(',').next().unwrap_or(text).trim();
    first.parse::<i64>().map(i64::unsigned_abs).map(Some)
}
