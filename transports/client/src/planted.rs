//! Faults that are planted in the client, for tests of the tests (see the engine's `planted`).

use http::header::{ACCEPT_ENCODING, HeaderMap, HeaderValue};
use redial_engine::planted;

/// Spoils the headers of the attempt with this number.
pub(crate) fn spoil_headers(headers: &mut HeaderMap, attempt: u32) {
    if planted!(EncodingAccepted) {
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
    }
    if planted!(NewKeyEachTime) && headers.contains_key("idempotency-key") {
        headers.insert("idempotency-key", HeaderValue::from(attempt));
    }
}
