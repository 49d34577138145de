//! The transfer codings of a response (RFC 9112 6.1).

use http::header::{HeaderMap, TRANSFER_ENCODING};

/// Whether hyper undoes all transfer codings that a response has: `chunked`, or none at all, which
/// old servers call `identity`.
///
/// No other is asked for, so that none may come. What it leaves would be taken for the body, and
/// where it does not see a coding, as in `chunked,`, the lines of the chunks as well.
pub(crate) fn are_undone(headers: &HeaderMap) -> bool {
    let mut codings = Vec::new();
    let mut last = None;
    for value in headers.get_all(TRANSFER_ENCODING) {
        for coding in value.as_bytes().split(|byte| *byte == b',').map(<[u8]>::trim_ascii) {
            // What hyper goes by is the very last.
            last = Some(coding);
            // A list may have empty elements, which mean nothing (RFC 9110 5.6.1.2).
            if !coding.is_empty() {
                codings.push(coding);
            }
        }
    }
    let is = |coding: &[u8], name: &str| coding.eq_ignore_ascii_case(name.as_bytes());
    match codings.as_slice() {
        [coding] if is(coding, "chunked") => last == Some(*coding),
        codings => codings.iter().all(|coding| is(coding, "identity")),
    }
}
