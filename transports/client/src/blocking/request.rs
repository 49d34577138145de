//! One call that blocks.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use redial_engine::{Policy, Replay, Timestamp};
use serde::Serialize;

use super::link::Link;
use super::{StreamingResponse, settings};
use crate::body::Body;
use crate::error::Error;
use crate::response::Response;
use crate::transport::Timeouts;

/// A call to be sent: the twin of [`RequestBuilder`](crate::RequestBuilder).
#[must_use = "a call does nothing until it is sent"]
pub struct RequestBuilder {
    inner: crate::RequestBuilder,
    link: Link,
}

impl RequestBuilder {
    pub(super) const fn new(inner: crate::RequestBuilder, link: Link) -> Self {
        Self { inner, link }
    }

    settings! { "RequestBuilder":
        fn header(
            name: impl TryInto<HeaderName, Error: Into<http::Error>>,
            value: impl TryInto<HeaderValue, Error: Into<http::Error>>
        );
        fn headers(headers: HeaderMap);
        fn bearer_auth(token: impl fmt::Display);
        fn basic_auth(name: impl fmt::Display, password: Option<&str>);
        fn query(query: &(impl Serialize + ?Sized));
        fn body(body: impl Into<Body>);
        #[cfg(feature = "json")]
        fn json(value: &(impl Serialize + ?Sized));
        fn form(form: &(impl Serialize + ?Sized));
        fn replay(replay: Replay);
        fn idempotent();
        fn idempotency_key();
        fn with_idempotency_key(key: impl TryInto<HeaderValue, Error: Into<http::Error>>);
        fn timeouts(timeouts: Timeouts);
        fn connect_timeout(timeout: Duration);
        fn read_timeout(timeout: Duration);
        fn write_timeout(timeout: Duration);
        fn pool_timeout(timeout: Duration);
        fn policy(policy: impl Policy + Send + Sync + 'static);
        fn max_attempts(attempts: NonZeroU32);
        fn attempt_timeout(timeout: Duration);
        fn timeout(timeout: Duration);
        fn deadline(at: Timestamp);
        fn max_response_bytes(bytes: u64);
    }

    /// Makes the call, waits for it, and reads the whole response into memory.
    ///
    /// # Errors
    ///
    /// As of [`RequestBuilder::send`](crate::RequestBuilder::send).
    pub fn send(self) -> Result<Response, Error> {
        self.link.block_on(self.inner.send())
    }

    /// Makes the call, and waits for the head of the response.
    ///
    /// # Errors
    ///
    /// As of [`RequestBuilder::send_streaming`](crate::RequestBuilder::send_streaming).
    pub fn send_streaming(self) -> Result<StreamingResponse, Error> {
        let response = self.link.block_on(self.inner.send_streaming())?;
        Ok(StreamingResponse::new(response, self.link))
    }
}

impl fmt::Debug for RequestBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
