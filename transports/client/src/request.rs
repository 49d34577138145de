//! One call: the request, and what is particular to it.

use core::fmt;
use core::mem;
use core::num::NonZeroU32;
use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use http::Method;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use redial_engine::{Call, FailureKind, Policy, Replay, Timestamp};
use serde::Serialize;

use crate::body::Body;
use crate::client::{Client, Inner, SharedPolicy};
use crate::driver;
use crate::error::{Error, presentable};
use crate::headers::{MOST, TOO_MANY, check, with_defaults};
use crate::job::Job;
use crate::random::uuid;
use crate::reading::Reading;
use crate::response::Response;
use crate::streaming::StreamingResponse;
use crate::transport::{BoxError, Timeouts};
use crate::url::{Place, Target, with_query};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// A call to be sent, and what is particular to it.
///
/// What cannot be sent (a malformed URL or header) is reported by [`RequestBuilder::send`], before
/// anything else happens.
#[must_use = "a call does nothing until it is sent"]
pub struct RequestBuilder {
    client: Client,
    /// In a box, because a builder is moved with every setting, and into the future that sends it.
    request: Box<Request>,
}

/// What a builder builds.
struct Request {
    method: Method,
    target: Result<Target, Error>,
    query: String,
    headers: HeaderMap,
    body: Body,
    /// What the body is, unless a header says so.
    media_type: Option<&'static str>,
    replay: Option<Replay>,
    timeouts: Timeouts,
    policy: Option<SharedPolicy>,
    call: Call,
    max_response_bytes: u64,
}

impl RequestBuilder {
    pub(crate) fn new(client: Client, method: Method, target: Result<Target, Error>) -> Self {
        let (timeouts, max_response_bytes) =
            (client.inner.timeouts, client.inner.max_response_bytes);
        let request = Box::new(Request {
            method,
            target,
            query: String::new(),
            headers: HeaderMap::new(),
            body: Body::empty(),
            media_type: None,
            replay: None,
            timeouts,
            policy: None,
            // Whether it may be repeated is known when it is sent.
            call: Call::new(Replay::Never),
            max_response_bytes,
        });
        Self { client, request }
    }

    pub(crate) fn replace_headers(&mut self, headers: HeaderMap) {
        self.request.headers = headers;
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
            (Ok(_), Ok(_)) if self.request.headers.len() >= MOST => self.wrong(TOO_MANY),
            (Ok(name), Ok(value)) => {
                self.request.headers.append(name, value);
                self
            }
            (Err(error), _) => self.wrong(error.into()),
            (_, Err(error)) => self.wrong(error.into()),
        }
    }

    /// These headers, each instead of those of the same name that this call has already.
    pub fn headers(mut self, headers: HeaderMap) -> Self {
        if self.request.headers.len().saturating_add(headers.len()) > MOST {
            return self.wrong(TOO_MANY);
        }
        self.request.headers.extend(headers);
        self
    }

    /// `Authorization: Bearer` with this token. It is shown nowhere.
    pub fn bearer_auth(self, token: impl fmt::Display) -> Self {
        self.authorization(format!("Bearer {token}"))
    }

    /// `Authorization: Basic` with this name and password (RFC 7617). It is shown nowhere.
    ///
    /// A name with a colon in it fails the call: a server would take what follows for the password.
    pub fn basic_auth(self, name: impl fmt::Display, password: Option<&str>) -> Self {
        let name = name.to_string();
        if name.contains(':') {
            return self.wrong("the user name has a colon in it, which ends one (RFC 7617)");
        }
        let pair = format!("{name}:{}", password.unwrap_or_default());
        self.authorization(format!("Basic {}", BASE64.encode(pair)))
    }

    fn authorization(mut self, credentials: String) -> Self {
        match HeaderValue::try_from(credentials) {
            Ok(mut value) => {
                value.set_sensitive(true);
                self.request.headers.insert(AUTHORIZATION, value);
                self
            }
            Err(error) => self.wrong(error),
        }
    }

    /// More of the query: pairs, or any struct or map of plain values, in URL encoding.
    ///
    /// It is added to what the URL has already. What cannot be encoded fails the call.
    pub fn query(mut self, query: &(impl Serialize + ?Sized)) -> Self {
        match serde_urlencoded::to_string(query) {
            Ok(pairs) => {
                if !self.request.query.is_empty() && !pairs.is_empty() {
                    self.request.query.push('&');
                }
                self.request.query.push_str(&pairs);
                self
            }
            Err(error) => self.wrong(error),
        }
    }

    /// The body.
    pub fn body(mut self, body: impl Into<Body>) -> Self {
        self.request.body = body.into();
        self.request.media_type = None;
        self
    }

    /// The body as JSON, with its `Content-Type` where the call has none.
    ///
    /// What cannot be written as JSON fails the call.
    #[cfg(feature = "json")]
    pub fn json(self, value: &(impl Serialize + ?Sized)) -> Self {
        match serde_json::to_vec(value) {
            Ok(bytes) => self.body_of("application/json", bytes),
            Err(error) => self.wrong(error),
        }
    }

    /// The body as a form, URL-encoded, with its `Content-Type` where the call has none.
    ///
    /// What cannot be encoded fails the call.
    pub fn form(self, form: &(impl Serialize + ?Sized)) -> Self {
        match serde_urlencoded::to_string(form) {
            Ok(text) => self.body_of("application/x-www-form-urlencoded", text),
            Err(error) => self.wrong(error),
        }
    }

    fn body_of(self, media_type: &'static str, body: impl Into<Body>) -> Self {
        let mut this = self.body(body);
        this.request.media_type = Some(media_type);
        this
    }

    /// Whether this call may be repeated, whatever its method (R-D-4).
    pub fn replay(mut self, replay: Replay) -> Self {
        self.request.replay = Some(replay);
        self
    }

    /// Says that carrying this request out twice does no more than once: it may be repeated freely.
    pub fn idempotent(self) -> Self {
        self.replay(Replay::Freely)
    }

    /// An `Idempotency-Key` of the client's making, the same over all attempts of the call, with
    /// which the server can tell a repetition: the call may be repeated freely.
    ///
    /// It is 122 random bits of the operating system's, written as a UUID (RFC 9562, version 4),
    /// whatever the seed of the client. Where that gives none, the call fails.
    pub fn idempotency_key(self) -> Self {
        match uuid() {
            Ok(key) => self.with_idempotency_key(key),
            Err(error) => self.wrong(error),
        }
    }

    /// This `Idempotency-Key`, which the caller may use again for another call of the same meaning.
    /// The call may be repeated freely.
    pub fn with_idempotency_key(
        mut self,
        key: impl TryInto<HeaderValue, Error: Into<http::Error>>,
    ) -> Self {
        match key.try_into() {
            Ok(key) => {
                self.request.headers.insert(IDEMPOTENCY_KEY, key);
                self.idempotent()
            }
            Err(error) => self.wrong(error.into()),
        }
    }

    /// The longest silences of this call, instead of the client's.
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.request.timeouts = timeouts;
        self
    }

    /// The longest time to a usable connection, instead of the client's (R-T-1).
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.request.timeouts.connect = timeout;
        self
    }

    /// The longest silence while waiting for the response, instead of the client's (R-T-2).
    pub fn read_timeout(mut self, timeout: Duration) -> Self {
        self.request.timeouts.read = timeout;
        self
    }

    /// The longest time that the server accepts nothing, instead of the client's (R-T-3).
    pub fn write_timeout(mut self, timeout: Duration) -> Self {
        self.request.timeouts.write = timeout;
        self
    }

    /// The longest wait for a connection slot, instead of the client's (R-T-4).
    pub fn pool_timeout(mut self, timeout: Duration) -> Self {
        self.request.timeouts.pool = timeout;
        self
    }

    /// The policy of this call, instead of the client's.
    pub fn policy(mut self, policy: impl Policy + Send + Sync + 'static) -> Self {
        self.request.policy = Some(Arc::new(policy));
        self
    }

    /// The most attempts of this call, the first included, instead of the policy's.
    pub fn max_attempts(mut self, attempts: NonZeroU32) -> Self {
        self.request.call = self.request.call.max_attempts(attempts);
        self
    }

    /// The longest time that one attempt may take, instead of the policy's.
    pub fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.request.call = self.request.call.attempt_timeout(timeout);
        self
    }

    /// The longest time that the call may take, its waits included, instead of the policy's.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.request.call = self.request.call.timeout(timeout);
        self
    }

    /// The point in time, on the clock of [`Client::now`], at and after which nothing is begun. It
    /// holds beside a timeout: whichever comes first (R-T-5).
    pub fn deadline(mut self, at: Timestamp) -> Self {
        self.request.call = self.request.call.deadline(at);
        self
    }

    /// The largest body that is read into memory, instead of the client's (R-C-4).
    pub fn max_response_bytes(mut self, bytes: u64) -> Self {
        self.request.max_response_bytes = bytes;
        self
    }

    /// Makes the call, and reads the whole response into memory.
    ///
    /// Dropping the future cancels it: nothing more is sent (R-T-7).
    ///
    /// # Errors
    ///
    /// [`Error`] where no usable response came. A response is `Ok` whatever its status.
    pub async fn send(self) -> Result<Response, Error> {
        let reading = Reading::Whole(self.request.max_response_bytes);
        let Self { client, mut request } = self;
        let job = request.job(&client.inner, reading)?;
        let ended = driver::run(&job).await?;
        Ok(Response::new(ended, request.target?.place))
    }

    /// Makes the call, and hands over the response when its head has come.
    ///
    /// The body is the caller's to read, and no longer part of the call: where it fails, nothing is
    /// retried (R-D-8). Dropping the future cancels the call.
    ///
    /// # Errors
    ///
    /// [`Error`] where no response head came. A response is `Ok` whatever its status.
    pub async fn send_streaming(self) -> Result<StreamingResponse, Error> {
        let limit = self.request.max_response_bytes;
        let Self { client, mut request } = self;
        let job = request.job(&client.inner, Reading::Live)?;
        let ended = driver::run(&job).await?;
        let open = Arc::clone(&client.inner.open);
        Ok(StreamingResponse::new(ended, request.target?.place, limit, open))
    }

    /// The call cannot be sent. What was wrong first is what is said.
    fn wrong(mut self, source: impl Into<BoxError>) -> Self {
        if self.request.target.is_ok() {
            self.request.target = Err(Error::invalid_request(source));
        }
        self
    }
}

impl Request {
    /// The call, ready to be made over this client.
    fn job<'a>(&'a mut self, client: &'a Inner, reading: Reading) -> Result<Job<'a>, Error> {
        let target = match &mut self.target {
            Ok(target) => target,
            // Said once: nothing is sent after it.
            Err(wrong) => return Err(mem::replace(wrong, Error::invalid_request("sent before"))),
        };
        with_query(target, &self.query)?;
        let Target { place, home } = &*target;
        let Place { url, origin } = &**place;
        if client.closed.load(Ordering::Acquire) && !redial_engine::planted!(ClosedServes) {
            return Err(Error::new(FailureKind::ClientClosed, None).with_url(url));
        }
        let (method, headers, body) = (&self.method, &mut self.headers, &self.body);
        if let Some(media_type) = self.media_type {
            // Known only now: a header may come after the body.
            headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static(media_type));
        }
        if let Err(wrong) = check(method, headers, body) {
            return Err(Error::invalid_request(wrong).with_url(url));
        }
        let replay = self.replay.unwrap_or_else(|| client.replay.judge(method, headers));
        // The defaults may be secret, and are for the base origin alone (R-C-1, R-C-2).
        let headers = if *home || redial_engine::planted!(DefaultsEverywhere) {
            with_defaults(headers, &client.headers)
        } else {
            headers
        };
        let policy = self.policy.as_deref().unwrap_or(&*client.policy);
        let (call, timeouts) = (self.call.replay(replay), self.timeouts);
        Ok(Job { client, policy, call, origin, method, url, headers, body, timeouts, reading })
    }
}

impl fmt::Debug for RequestBuilder {
    /// Shows no header, no query and no body: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequestBuilder")
            .field("method", &self.request.method)
            .field(
                "url",
                &self.request.target.as_ref().map(|target| presentable(&target.place.url)),
            )
            .field("timeouts", &self.request.timeouts)
            .finish_non_exhaustive()
    }
}
