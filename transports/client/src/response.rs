//! What a call ends with, where there was a response.

use core::fmt;
use std::borrow::Cow;
use std::sync::Arc;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode, Version};
use redial_engine::Reason;

use crate::driver::Ended;
use crate::error::Error;
use crate::history::{AttemptRecord, History};
use crate::reading::{Content, Read};
use crate::url::Place;

/// The response that a call ended with, whatever its status, and the history of its attempts.
///
/// The body has been read. A call that gave up hands over its last response with the reason
/// (R-C-4); of one that was to be retried it has at most 64 KiB of the body (R-P-10).
pub struct Response {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Bytes,
    pub(crate) complete: bool,
    pub(crate) reason: Option<Reason>,
    pub(crate) attempts: History,
    pub(crate) place: Arc<Place>,
}

impl Response {
    pub(crate) fn new(ended: Ended, place: Arc<Place>) -> Self {
        let Ended { head, body, reason, attempts } = ended;
        let Read { bytes, complete } = match body {
            Content::Read(read) => read,
            // What is read into memory is never handed over live.
            Content::Live(_) => Read::default(),
        };
        Self { head, body: bytes, complete, reason, attempts, place }
    }

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

    /// The body as text.
    ///
    /// It is read as UTF-8, and what is none is replaced; as ISO 8859-1 where `Content-Type` says
    /// so. Other character sets are the caller's to decode, from [`Response::body`].
    pub fn text(&self) -> Cow<'_, str> {
        if self.is_latin1() {
            return self.body.iter().map(|byte| char::from(*byte)).collect();
        }
        String::from_utf8_lossy(&self.body)
    }

    fn is_latin1(&self) -> bool {
        let media_type = self.headers().get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
        media_type.into_iter().flat_map(|it| it.split(';').skip(1)).any(|parameter| {
            parameter.split_once('=').is_some_and(|(name, value)| {
                name.trim().eq_ignore_ascii_case("charset")
                    && value.trim().trim_matches('"').eq_ignore_ascii_case("iso-8859-1")
            })
        })
    }

    /// The body, read as JSON.
    ///
    /// # Errors
    ///
    /// [`Error`] where it is none, or not of this type: see [`Error::is_decode`].
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(&self) -> Result<T, Error> {
        serde_json::from_slice(&self.body).map_err(|source| {
            let error = Error::of_decoding(self.head.status, source);
            error.with_url(&self.place.url).with_history(self.reason, self.attempts.clone())
        })
    }

    /// This response where its status is below 400.
    ///
    /// # Errors
    ///
    /// [`Error`] with the status and the history otherwise: see [`Error::is_status`].
    pub fn error_for_status(self) -> Result<Self, Error> {
        if self.status().as_u16() < 400 {
            return Ok(self);
        }
        let error = Error::of_status(self.head.status).with_url(&self.place.url);
        Err(error.with_history(self.reason, self.attempts))
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

    /// The body by itself.
    pub fn into_body(self) -> Bytes {
        self.body
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
