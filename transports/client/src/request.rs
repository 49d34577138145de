//! One call: the request, and what is particular to it.

use core::fmt;
use core::num::NonZeroU32;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use http::header::{CONTENT_LENGTH, Entry, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING};
use http::{Method, Uri};
use http_body::Body as _;
use redial_engine::{Call, FailureKind, Policy, Replay};

use crate::body::Body;
use crate::client::{Client, SharedPolicy};
use crate::driver::{self, Job};
use crate::error::Error;
use crate::origin::Origin;
use crate::response::Response;
use crate::transport::Timeouts;

/// A call to be sent, and what is particular to it.
///
/// What cannot be sent (a malformed URL or header) is reported by [`RequestBuilder::send`], before
/// anything else happens.
#[must_use = "a call does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    method: Method,
    url: Result<Uri, Error>,
    headers: HeaderMap,
    body: Body,
    replay: Option<Replay>,
    timeouts: Timeouts,
    policy: Option<SharedPolicy>,
    max_attempts: Option<NonZeroU32>,
    attempt_timeout: Option<Duration>,
    timeout: Option<Duration>,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, method: Method, url: Result<Uri, Error>) -> Self {
        let timeouts = client.inner.timeouts;
        Self {
            client,
            method,
            url,
            headers: HeaderMap::new(),
            body: Body::empty(),
            replay: None,
            timeouts,
            policy: None,
            max_attempts: None,
            attempt_timeout: None,
            timeout: None,
        }
    }

    pub(crate) fn replace_headers(&mut self, headers: HeaderMap) {
        self.headers = headers;
    }

    /// A header, beside those of the same name that this call has already.
    ///
    /// It replaces the client's default of that name. A value that is none fails the call.
    pub fn header(
        mut self,
        name: impl TryInto<HeaderName, Error: Into<http::Error>>,
        value: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Self {
        match (name.try_into(), value.try_into()) {
            (Ok(name), Ok(value)) => {
                self.headers.append(name, value);
            }
            (Err(error), _) => self.url = Err(Error::invalid_request(error.into())),
            (_, Err(error)) => self.url = Err(Error::invalid_request(error.into())),
        }
        self
    }

    /// The body.
    pub fn body(self, body: impl Into<Body>) -> Self {
        Self { body: body.into(), ..self }
    }

    /// Whether this call may be repeated, whatever its method (R-D-4).
    pub fn replay(self, replay: Replay) -> Self {
        Self { replay: Some(replay), ..self }
    }

    /// Says that carrying this request out twice does no more than once: it may be repeated freely.
    pub fn idempotent(self) -> Self {
        self.replay(Replay::Freely)
    }

    /// The longest silences of this call, instead of the client's.
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// The policy of this call, instead of the client's.
    pub fn policy(self, policy: impl Policy + Send + Sync + 'static) -> Self {
        Self { policy: Some(Arc::new(policy)), ..self }
    }

    /// The most attempts of this call, the first included, instead of the policy's.
    pub fn max_attempts(self, attempts: NonZeroU32) -> Self {
        Self { max_attempts: Some(attempts), ..self }
    }

    /// The longest time that one attempt may take, instead of the policy's.
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: Some(timeout), ..self }
    }

    /// The longest time that the call may take, its waits included, instead of the policy's.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Makes the call.
    ///
    /// Dropping the future cancels it: nothing more is sent (R-T-7).
    ///
    /// # Errors
    ///
    /// [`Error`] where no usable response came. A response is `Ok` whatever its status.
    pub async fn send(self) -> Result<Response, Error> {
        let url = self.url?;
        let origin = match Origin::of(&url) {
            Ok(origin) => origin,
            Err(error) => return Err(Error::invalid_request(error).with_url(&url)),
        };
        let client = &*self.client.inner;
        if client.closed.load(Ordering::Acquire) {
            return Err(Error::new(FailureKind::ClientClosed, None).with_url(&url));
        }
        let mut headers = self.headers;
        fill(&mut headers, &client.headers);
        if let Err(wrong) = check(&self.method, &mut headers, &self.body) {
            return Err(Error::invalid_request(wrong).with_url(&url));
        }
        let replay = self.replay.unwrap_or_else(|| client.replay.judge(&self.method, &headers));
        let mut call = Call::new(replay);
        if let Some(attempts) = self.max_attempts {
            call = call.max_attempts(attempts);
        }
        if let Some(timeout) = self.attempt_timeout {
            call = call.attempt_timeout(timeout);
        }
        if let Some(timeout) = self.timeout {
            call = call.timeout(timeout);
        }
        let mut request = http::Request::new(self.body);
        *request.method_mut() = self.method;
        *request.uri_mut() = url;
        *request.headers_mut() = headers;
        let policy = self.policy.as_deref().unwrap_or(&*client.policy);
        driver::run(Job { client, policy, call, origin, request, timeouts: self.timeouts }).await
    }
}

/// Adds the defaults of every name that the headers do not have.
fn fill(headers: &mut HeaderMap, defaults: &HeaderMap) {
    for (name, value) in defaults {
        if let Entry::Vacant(entry) = headers.entry(name) {
            entry.insert(value.clone());
        }
    }
}

/// Refuses what no transport can send in good order, and leaves the framing to the transport: a
/// length that is not the body's would make the server take the next request for this body, or the
/// other way round.
fn check(method: &Method, headers: &mut HeaderMap, body: &Body) -> Result<(), &'static str> {
    if *method == Method::CONNECT {
        return Err("CONNECT opens a tunnel, and this client has no use for one");
    }
    if headers.contains_key(TRANSFER_ENCODING) {
        return Err("the framing of the body is not the caller's: leave Transfer-Encoding out");
    }
    let length = body.size_hint().exact();
    let right =
        |value: &HeaderValue| value.to_str().is_ok_and(|value| value.parse().ok() == length);
    if !headers.get_all(CONTENT_LENGTH).into_iter().all(right) {
        return Err("Content-Length is not the length of the body: leave it out");
    }
    headers.remove(CONTENT_LENGTH);
    Ok(())
}

impl fmt::Debug for RequestBuilder {
    /// Shows no header, no query and no body: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.method)
            .field("url", &self.url.as_ref().map(crate::error::presentable))
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}
