//! The headers of a request: what the caller set, the client's defaults, and nothing else.

use http::Method;
use http::header::{CONTENT_LENGTH, Entry, HOST, HeaderMap, HeaderValue, TRANSFER_ENCODING};
use http::uri::Authority;
use http_body::Body as _;

use crate::body::Body;
use crate::origin::split;

/// How many headers a request may have of its own, and as many defaults. Servers take a hundred or
/// two; the map that holds headers panics when there are three times as many as this.
pub(crate) const MOST: usize = 8192;

/// What is said of a request with more.
pub(crate) const TOO_MANY: &str = "a request has 8192 headers at most: no server takes so many";

/// The caller's headers, and the defaults of every name that they do not have (R-C-2). Where there
/// are defaults alone, they are lent.
pub(crate) fn with_defaults<'a>(own: &'a mut HeaderMap, defaults: &'a HeaderMap) -> &'a HeaderMap {
    if own.is_empty() {
        return defaults;
    }
    for name in defaults.keys() {
        if redial_engine::planted!(DefaultWins) {
            own.remove(name);
        }
        if let Entry::Vacant(entry) = own.entry(name) {
            let mut values = defaults.get_all(name).iter().cloned();
            if let Some(first) = values.next() {
                let mut entry = entry.insert_entry(first);
                values.for_each(|value| entry.append(value));
            }
        }
    }
    own
}

/// Copies headers for one attempt into a map that is empty, with room for what a transport adds: a
/// map that is copied as a whole has none, and grows at the first header that is added.
pub(crate) fn copy(headers: &HeaderMap, copy: &mut HeaderMap) {
    /// `Host`, and a length.
    const ADDED: usize = 2;
    copy.reserve(headers.len() + ADDED);
    for (name, value) in headers {
        copy.append(name, value.clone());
    }
}

/// Refuses what no transport can send in good order, and leaves the framing to the transport: a
/// length that is not the body's would make the server take the next request for this body, or the
/// other way round.
pub(crate) fn check(
    method: &Method,
    headers: &mut HeaderMap,
    body: &Body,
) -> Result<(), &'static str> {
    if *method == Method::CONNECT {
        return Err("CONNECT opens a tunnel, and this client has no use for one");
    }
    if headers.is_empty() {
        // As most are: the defaults were looked at when the client was built.
        return Ok(());
    }
    if headers.len() > MOST {
        return Err(TOO_MANY);
    }
    if several_hosts(headers) {
        return Err("a request has one Host, and servers refuse those with more (RFC 9112 3.2)");
    }
    if is_host_wrong(headers) {
        return Err("Host is no host with or without a port (RFC 9110 7.2)");
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err("the framing of the body is not the caller's: leave Transfer-Encoding out");
    }
    let length = body.size_hint().exact();
    let right = |value: &HeaderValue| {
        length.is_some() && value.to_str().is_ok_and(|value| value.parse().ok() == length)
    };
    if !headers.get_all(CONTENT_LENGTH).into_iter().all(right) {
        return Err("Content-Length is not the length of the body: leave it out");
    }
    headers.remove(CONTENT_LENGTH);
    Ok(())
}

/// Whether there is more than one `Host`.
pub(crate) fn several_hosts(headers: &HeaderMap) -> bool {
    headers.get_all(HOST).iter().nth(1).is_some()
}

/// Whether the `Host`, if any, is none: over HTTP/2 it is the authority of the URL, where userinfo
/// and whatever else is no host must not be (RFC 9113 8.3.1). One that is empty says that there is
/// none (RFC 9112 3.2).
pub(crate) fn is_host_wrong(headers: &HeaderMap) -> bool {
    headers.get(HOST).is_some_and(|value| !value.is_empty() && !is_host(value))
}

fn is_host(value: &HeaderValue) -> bool {
    let Ok(text) = value.to_str() else { return false };
    let (host, port) = split(text);
    let digits = |digits: &str| digits.bytes().all(|digit| digit.is_ascii_digit());
    !host.is_empty()
        && !text.contains('@')
        && (port.is_empty() || port.strip_prefix(':').is_some_and(digits))
        && text.parse::<Authority>().is_ok()
}
