//! The request as isahc takes it.

use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;

use http::header::{
    CONNECTION, CONTENT_LENGTH, CONTENT_TYPE, EXPECT, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use http::{HeaderMap, Method, Request};
use http_body::Body as _;
use isahc::AsyncBody;
use isahc::config::Configurable;
use isahc::tls::{Identity, TlsConfig};
use redial_client::{Body, BoxError, Clock, Exchange, Protocol, ThreadClock, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::connections::Lease;
use crate::head;
use crate::ledger::Lane;
use crate::upload::{Progress, Source, Upload};

/// How much longer than the read timeout curl may keep a request that nobody waits for.
const REAPER: Duration = Duration::from_secs(5);

/// How much later than the cutoff curl lets go of a request by itself: late enough that the
/// transport's own clock is first, and says which limit it was.
const AFTER_CUTOFF: Duration = Duration::from_millis(20);

/// The longest time that curl is told. It counts milliseconds, on some systems in 32 bits.
pub(crate) const LONGEST: Duration = Duration::from_millis(i32::MAX as u64);

/// Why isahc cannot send a request as it is. Nothing of it has been sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Unsendable {
    /// A header value has bytes that are not ASCII. isahc takes none: encode it (RFC 8187).
    HeaderValue,
    /// The path has `.` or `..` segments, which curl would resolve. Write it without them.
    DotSegments,
    /// A HEAD request has a body, which to curl is a request whose response has one.
    HeadWithBody,
}

impl fmt::Display for Unsendable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::HeaderValue => "a header value has bytes that are not ASCII: encode it",
            Self::DotSegments => "the path has `.` or `..` segments: write it without them",
            Self::HeadWithBody => "a HEAD request has a body: send none",
        })
    }
}

impl StdError for Unsendable {}

/// Which handle a request goes over: curl re-sends what it lost on a reused connection, so that
/// only what may be repeated gets one. Nor does curl heed that a request closes its connection
/// (RFC 9112 9.6): one that says so has its own. So has one that is too large for HTTP/2, where that
/// is negotiated: such a connection is one of HTTP/1.1.
pub(crate) fn lane(exchange: &Exchange, protocol: Protocol) -> Lane {
    let request = &exchange.request;
    let kept = is_repeatable(request.method())
        && !exchange.fresh_connection
        && !announces_close(request.headers());
    let negotiates =
        protocol == Protocol::Negotiated && request.uri().scheme_str() == Some("https");
    if kept && (!negotiates || head::fits_http2(request)) { Lane::Kept } else { Lane::Fresh }
}

/// Whether whoever sends these headers closes the connection after them, and says so.
pub(crate) fn announces_close(headers: &HeaderMap) -> bool {
    headers.get_all(CONNECTION).iter().any(|value| {
        let tokens = value.to_str().unwrap_or("").split(',');
        tokens.map(str::trim).any(|token| token.eq_ignore_ascii_case("close"))
    })
}

/// Whether it does no harm that a request comes twice: RFC 9110 9.2.2, and QUERY.
fn is_repeatable(method: &Method) -> bool {
    let name = method.as_str();
    matches!(name, "GET" | "HEAD" | "OPTIONS" | "TRACE" | "QUERY" | "PUT" | "DELETE")
}

/// Whether isahc sends the request as it is.
pub(crate) fn check(request: &Request<Body>, protocol: Protocol) -> Result<(), TransportError> {
    let uri = request.uri();
    let wrong: BoxError = if request.headers().values().any(|value| value.to_str().is_err()) {
        Unsendable::HeaderValue.into()
    } else if has_dots(uri.path()) {
        Unsendable::DotSegments.into()
    } else if request.method() == Method::HEAD && !request.body().is_end_stream() {
        Unsendable::HeadWithBody.into()
    } else {
        return Ok(head::check(request, protocol)?);
    };
    let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
    Err(TransportError::with_source(failure, wrong))
}

fn has_dots(path: &str) -> bool {
    // Most paths have neither, and need not be taken apart.
    path.contains(['.', '%']) && path.split('/').any(is_dots)
}

/// Whether curl takes this for a segment to be resolved.
fn is_dots(segment: &str) -> bool {
    segment.len() <= 6
        && matches!(segment.to_ascii_lowercase().replace("%2e", ".").as_str(), "." | "..")
}

/// The request with everything that curl is to know of it, and how far its body has come.
/// `streams`: its connection may have others on it.
pub(crate) fn prepare(
    exchange: Exchange,
    lease: &Lease,
    (protocol, streams): (Protocol, bool),
    clock: &ThreadClock,
) -> Result<(Request<AsyncBody>, Progress, Option<Source>), TransportError> {
    let (head, body) = exchange.request.into_parts();
    let mut headers = head.headers;
    // On an HTTP/2 connection that it shares, curl repeats what it has read no body for.
    let h2 = protocol == Protocol::Http2PriorKnowledge;
    let always = h2 && !is_repeatable(&head.method);
    frame(&mut headers, &head.method, &body, always);
    let connection = (exchange.origin.port(), streams);
    let (body, progress, source) = stream(body, always, connection, clock);
    let plain = head.uri.scheme_str() == Some("http");
    let mut builder = Request::builder().method(head.method).uri(head.uri);
    if let Some(all) = builder.headers_mut() {
        *all = headers;
    }
    let read = exchange.timeouts.read.saturating_add(REAPER).min(LONGEST);
    let begun = u64::from(read.subsec_nanos() > 0);
    let whole_seconds = Duration::from_secs(read.as_secs().saturating_add(begun));
    builder = builder
        .connect_timeout(exchange.timeouts.connect.clamp(Duration::from_millis(1), LONGEST))
        .low_speed_timeout(1, whole_seconds);
    // Settings of TLS that this request has no use for; curl is told those of its own anyway.
    let unused = held(lease);
    builder = if plain { builder.tls_config(unused) } else { builder.proxy_tls_config(unused) };
    if let Some(cutoff) = exchange.cutoff {
        let left = cutoff.at.saturating_since(clock.now()).saturating_add(AFTER_CUTOFF);
        builder = builder.timeout(left.min(LONGEST));
    }
    let request = builder.body(body).map_err(|error| {
        let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
        TransportError::with_source(failure, error)
    })?;
    Ok((request, progress, source))
}

/// A slot as a client certificate that nobody asks for, as there is no TLS, or no proxy: isahc keeps
/// what it lends curl for just as long as curl has the request, and drops it then.
fn held(lease: &Lease) -> TlsConfig {
    TlsConfig::builder().identity(Identity::from_pem(Held(lease.hold()), None)).build()
}

struct Held(std::sync::Arc<crate::connections::Permit>);

impl AsRef<[u8]> for Held {
    fn as_ref(&self) -> &[u8] {
        (*self.0).as_ref()
    }
}

/// Framing, and what curl or isahc would add and the caller has not asked for (R-C-13).
fn frame(headers: &mut HeaderMap, method: &Method, body: &Body, streamed: bool) {
    // Framing is curl's, by the body's length.
    headers.remove(CONTENT_LENGTH);
    headers.remove(TRANSFER_ENCODING);
    // Nor is it for the caller to say when the body comes. To a 417, curl would send the request
    // again, its `Expect` included, and thirty times (R-X-7); nobody has to wait (RFC 9110 10.1.1).
    if expects_to_continue(headers) {
        headers.remove(EXPECT);
    }
    let empty = HeaderValue::from_static("");
    headers.entry(USER_AGENT).or_insert_with(|| empty.clone());
    if streamed || !body.is_end_stream() {
        if *method == Method::POST {
            headers.entry(CONTENT_TYPE).or_insert(empty);
        }
    } else if !streamed && matches!(*method, Method::POST | Method::PUT | Method::PATCH) {
        // RFC 9110 8.6; curl says nothing of the length of a body that is not there.
        headers.insert(CONTENT_LENGTH, HeaderValue::from_static("0"));
    }
}

/// Whether curl would wait for the server's word before it sends a body.
fn expects_to_continue(headers: &HeaderMap) -> bool {
    headers.get_all(EXPECT).iter().any(|value| {
        let expectations = value.as_bytes().split(|byte| *byte == b',');
        expectations.map(<[u8]>::trim_ascii).any(|it| it.eq_ignore_ascii_case(b"100-continue"))
    })
}

/// The body as curl reads it; `always`: also where it is empty.
fn stream(
    body: Body,
    always: bool,
    connection: (u16, bool),
    clock: &ThreadClock,
) -> (AsyncBody, Progress, Option<Source>) {
    if body.is_end_stream() && !always {
        return (AsyncBody::empty(), Progress::done(), None);
    }
    let length = body.size_hint().exact().filter(|length| *length > 0);
    let (upload, progress, source) = Upload::new(body, connection, clock.clone());
    let body = match length {
        Some(length) => AsyncBody::from_reader_sized(upload, length),
        None => AsyncBody::from_reader(upload),
    };
    (body, progress, source)
}
