//! What a call ends with, where there was a response.

use core::fmt;
use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use redial_engine::Reason;

use crate::history::AttemptRecord;

/// The response that a call ended with, whatever its status, and the history of its attempts.
///
/// The body has been read. A call that gave up hands over its last response with the reason
/// (R-C-4); of one that was to be retried it has at most 64 KiB of the body (R-P-10).
pub struct Response {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
    pub(crate) complete: bool,
    pub(crate) reason: Option<Reason>,
    pub(crate) attempts: Vec<AttemptRecord>,
}

impl Response {
    /// The status code.
    pub const fn status(&self) -> StatusCode {
        self.head.status
    }

    /// The version of HTTP that it came over.
    pub const fn version(&self) -> Version {
        self.head.version
    }

    /// The headers, as they came.
    pub const fn headers(&self) -> &HeaderMap {
        &self.head.headers
    }

    /// The body.
    pub const fn body(&self) -> &Bytes {
        &self.body
    }

    /// The body as text; what is no UTF-8 is replaced.
    pub fn text(&self) -> Cow<'_, str> {
        String::from_utf8_lossy(&self.body)
    }

    /// Whether the whole body is here.
    ///
    /// `false` only where [`Response::reason`] says why the call gave up: the rest was not waited
    /// for, or did not come.
    pub const fn is_complete(&self) -> bool {
        self.complete
    }

    /// Why no further attempt was made, where the policy would have retried this response.
    pub const fn reason(&self) -> Option<Reason> {
        self.reason
    }

    /// What every attempt came to, the first one first.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.attempts
    }

    /// The parts of the response, without its history.
    pub fn into_http(self) -> http::Response<Bytes> {
        http::Response::from_parts(self.head, self.body)
    }
}

impl fmt::Debug for Response {
    /// Shows no header and no body: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.head.status)
            .field("version", &self.head.version)
            .field("body_bytes", &self.body.len())
            .field("complete", &self.complete)
            .field("reason", &self.reason)
            .field("attempts", &self.attempts)
            .finish()
    }
}
