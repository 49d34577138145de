//! A response whose body is read as it arrives, by `std::io::Read`.

use core::fmt;
use std::io::{self, Read};

use bytes::{Buf as _, Bytes};
use http::{HeaderMap, StatusCode, Version};
use redial_engine::Reason;

use super::link::Link;
use crate::error::Error;
use crate::history::AttemptRecord;
use crate::response::Response;

/// The response that a call ended with, and its body as it arrives: the twin of
/// [`StreamingResponse`](crate::StreamingResponse).
///
/// It is read piece by piece, or as a [`Read`]er. The error of a reader has the call's [`Error`]
/// inside, and is `TimedOut` where that is a timeout.
pub struct StreamingResponse {
    // Before the link: its connection is closed while there is somebody to do it.
    inner: crate::StreamingResponse,
    /// What was taken from the body, and not read yet.
    rest: Bytes,
    link: Link,
}

impl StreamingResponse {
    pub(super) const fn new(inner: crate::StreamingResponse, link: Link) -> Self {
        Self { inner, rest: Bytes::new(), link }
    }

    /// The status code.
    pub const fn status(&self) -> StatusCode {
        self.inner.status()
    }

    /// The version of HTTP that it comes over.
    pub const fn version(&self) -> Version {
        self.inner.version()
    }

    /// The headers, as they came.
    pub const fn headers(&self) -> &HeaderMap {
        self.inner.headers()
    }

    /// Why no further attempt was made, where the policy would have retried this response.
    pub const fn reason(&self) -> Option<Reason> {
        self.inner.reason()
    }

    /// What every attempt came to, the first one first.
    pub fn attempts(&self) -> &[AttemptRecord] {
        self.inner.attempts()
    }

    /// The next piece of the body; `None` at its end.
    ///
    /// # Errors
    ///
    /// As of [`StreamingResponse::chunk`](crate::StreamingResponse::chunk).
    pub fn chunk(&mut self) -> Result<Option<Bytes>, Error> {
        if !self.rest.is_empty() {
            return Ok(Some(core::mem::take(&mut self.rest)));
        }
        self.link.block_on(self.inner.chunk())
    }

    /// Reads into memory what was not read of the body yet.
    ///
    /// # Errors
    ///
    /// As of [`StreamingResponse::buffer`](crate::StreamingResponse::buffer).
    pub fn buffer(self) -> Result<Response, Error> {
        self.link.block_on(self.inner.with_first(self.rest).buffer())
    }

    /// Reads into memory what was not read of the body yet: see [`StreamingResponse::buffer`].
    ///
    /// # Errors
    ///
    /// The same.
    pub fn bytes(self) -> Result<Bytes, Error> {
        Ok(self.buffer()?.into_body())
    }

    /// Reads the body as text: see [`Response::text`].
    ///
    /// # Errors
    ///
    /// As of [`StreamingResponse::buffer`].
    pub fn text(self) -> Result<String, Error> {
        Ok(self.buffer()?.text().into_owned())
    }

    /// Reads the body as JSON: see [`Response::json`].
    ///
    /// # Errors
    ///
    /// As of [`StreamingResponse::buffer`] and of [`Response::json`].
    #[cfg(feature = "json")]
    pub fn json<T: serde::de::DeserializeOwned>(self) -> Result<T, Error> {
        self.buffer()?.json()
    }

    /// This response where its status is below 400.
    ///
    /// # Errors
    ///
    /// As of
    /// [`StreamingResponse::error_for_status`](crate::StreamingResponse::error_for_status).
    pub fn error_for_status(self) -> Result<Self, Error> {
        let Self { inner, rest, link } = self;
        Ok(Self { inner: inner.error_for_status()?, rest, link })
    }
}

impl Read for StreamingResponse {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.rest.is_empty() && !buffer.is_empty() {
            match self.link.block_on(self.inner.chunk()) {
                Ok(Some(piece)) => self.rest = piece,
                Ok(None) => return Ok(0),
                Err(error) if error.is_timeout() => {
                    return Err(io::Error::new(io::ErrorKind::TimedOut, error));
                }
                Err(error) => return Err(io::Error::other(error)),
            }
        }
        let length = self.rest.len().min(buffer.len());
        let (filled, _) = buffer.split_at_mut(length);
        self.rest.copy_to_slice(filled);
        Ok(length)
    }
}

impl fmt::Debug for StreamingResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
