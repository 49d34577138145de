//! How large the head of a request may be.

use core::error::Error as StdError;
use core::fmt;

use http::Request;
use redial_client::{Body, Protocol, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

/// The head of a request is larger than libcurl sends. Nothing of it has been sent.
///
/// To another attempt the same would happen, so that this is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestHeadLimit {
    /// It has more than 1 MiB (`DYN_HTTP_REQUEST`). Send less, or take another transport.
    Http1,
    /// It has more than 64 KiB and is to go over HTTP/2 (`NGHTTP2_MAX_HEADERSLEN`), where each header
    /// counts as its name, its value and 12 bytes. Send less, or allow HTTP/1.1
    /// ([`Protocol::Http1`], or [`Protocol::Negotiated`] over TLS), or take another transport.
    Http2,
}

impl fmt::Display for RequestHeadLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http1 => {
                "the request head is larger than the 1 MiB that libcurl sends: send fewer or \
                 shorter headers, or take another transport"
            }
            Self::Http2 => {
                "the request head is larger than the 64 KiB that libcurl sends over HTTP/2: send \
                 fewer or shorter headers, allow HTTP/1.1, or take another transport"
            }
        })
    }
}

impl StdError for RequestHeadLimit {}

impl From<RequestHeadLimit> for TransportError {
    fn from(limit: RequestHeadLimit) -> Self {
        Self::with_source(Failure::new(FailureKind::LocalLimit, Delivery::Unsent), limit)
    }
}

/// Whether curl sends the head of this request at all.
pub(crate) fn check(request: &Request<Body>, protocol: Protocol) -> Result<(), RequestHeadLimit> {
    let size = Size::of(request);
    if size.over_http1() > MOST_HTTP1 {
        Err(RequestHeadLimit::Http1)
    } else if protocol == Protocol::Http2PriorKnowledge && size.over_http2() > MOST_HTTP2 {
        Err(RequestHeadLimit::Http2)
    } else {
        Ok(())
    }
}

/// Whether curl sends it by HTTP/2.
pub(crate) fn fits_http2(request: &Request<Body>) -> bool {
    Size::of(request).over_http2() <= MOST_HTTP2
}

/// `DYN_HTTP_REQUEST`, of which one byte ends the text.
const MOST_HTTP1: usize = 1024 * 1024 - 1;

/// `NGHTTP2_MAX_HEADERSLEN`.
const MOST_HTTP2: usize = 64 * 1024;

/// How large a head may become: a few bytes more than it will be, as it is counted before curl adds
/// what it does.
#[derive(Clone, Copy)]
struct Size {
    /// Of all names and values.
    bytes: usize,
    headers: usize,
}

impl Size {
    /// Whatever the method, the scheme, the authority and the path are called, as headers of HTTP/2
    /// (RFC 9113 8.3.1); and what curl may add: `accept: */*`, a `user-agent` and a `content-type`
    /// that are empty, and a `content-length` with as many digits as there can be.
    const BESIDE: Self = Self { bytes: 7 + 7 + 10 + 5 + 9 + 10 + 12 + 34, headers: 8 };

    fn of(request: &Request<Body>) -> Self {
        let uri = request.uri();
        let scheme = uri.scheme_str().map_or(0, str::len);
        let authority = uri.authority().map_or(0, |authority| authority.as_str().len());
        let path = uri.path_and_query().map_or(0, |path| path.as_str().len()).max(1);
        let target = request.method().as_str().len() + scheme + authority + path;
        let all = request.headers().iter();
        let given: usize = all.map(|(name, value)| name.as_str().len() + value.len()).sum();
        let headers = Self::BESIDE.headers + request.headers().len();
        Self { bytes: Self::BESIDE.bytes + target + given, headers }
    }

    /// With a colon, a blank and a line break each. The words of the first line are fewer than they
    /// are here.
    const fn over_http1(self) -> usize {
        self.bytes + 4 * self.headers
    }

    /// As nghttp2 counts: with two lengths each, two changes of its table's size and a priority.
    const fn over_http2(self) -> usize {
        self.bytes + 12 * self.headers + 12 + 5
    }
}
