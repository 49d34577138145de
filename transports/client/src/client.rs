//! The client, and how it is built.

use core::error::Error as StdError;
use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use http::Method;
use http::header::{
    CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use rand_core::{Rng as _, SeedableRng};
use rand_xoshiro::Xoshiro256PlusPlus;
use redial_engine::{Budget, HintRules, Policy, ReplayRules, StandardPolicy, Timestamp};

use crate::body::Body;
#[cfg(feature = "serde")]
use crate::config::{ClientConfig, UnreadableFile};
use crate::error::Error;
use crate::into_transport::{IntoTransport, NoTransport};
use crate::known::Known;
use crate::observe::Observer;
use crate::request::RequestBuilder;
use crate::settings::{HeadLimit, PoolLimits, Protocol, Settings, Tls};
use crate::transport::{PoolFigures, Timeouts, Transport};
use crate::upstreams::{Upstreams, lock};
use crate::url::{Base, UrlError, resolve};

/// The largest body that is read into memory by default: 64 MiB (R-C-4).
const MAX_RESPONSE_BYTES: u64 = 64 * 1024 * 1024;

const PRODUCT: &str = concat!("redial/", env!("CARGO_PKG_VERSION"));

/// Any policy, shared between calls.
pub(crate) type SharedPolicy = Arc<dyn Policy + Send + Sync>;

/// Makes calls over a transport, with retries.
///
/// Clones are cheap and share everything: connections, retry budgets and figures (R-C-6).
#[derive(Clone)]
pub struct Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) policy: SharedPolicy,
    pub(crate) replay: ReplayRules,
    pub(crate) hints: HintRules,
    pub(crate) timeouts: Timeouts,
    pub(crate) observer: Option<Arc<dyn Observer>>,
    pub(crate) base: Option<Base>,
    pub(crate) headers: HeaderMap,
    pub(crate) max_response_bytes: u64,
    pub(crate) upstreams: Upstreams,
    /// The origins met last.
    pub(crate) known: Known,
    pub(crate) rng: Mutex<Xoshiro256PlusPlus>,
    pub(crate) closed: AtomicBool,
    /// Every response body that is still being read has a copy.
    pub(crate) open: Arc<()>,
}

impl Inner {
    /// A UUID of version 4 (RFC 9562 5.4).
    pub(crate) fn random_uuid(&self) -> String {
        let (high, low) = {
            let mut rng = lock(&self.rng);
            (rng.next_u64(), rng.next_u64())
        };
        let (version, variant) = (0x4000 | (high & 0x0fff), 0x8000 | (low >> 48 & 0x3fff));
        let (first, second) = (high >> 32, high >> 16 & 0xffff);
        format!(
            "{first:08x}-{second:04x}-{version:04x}-{variant:04x}-{:012x}",
            low & 0xffff_ffff_ffff
        )
    }
}

impl Drop for Inner {
    /// Closes every connection (R-C-6). A call holds the client, so that what can still be in
    /// flight are response bodies that are being read: they may end in peace.
    fn drop(&mut self) {
        let bodies = Arc::strong_count(&self.open).saturating_sub(1);
        if bodies > 0 {
            tracing::warn!(bodies, "the client was dropped while responses were being read");
        }
        self.transport.close();
    }
}

impl Client {
    /// A client to be built over this transport, or over one that is made when the client is.
    pub fn builder(transport: impl IntoTransport + Send + 'static) -> ClientBuilder {
        ClientBuilder {
            make: Box::new(|settings, observer| transport.into_transport(settings, observer)),
            settings: None,
            policy: Arc::new(StandardPolicy::DEFAULT),
            budget: Budget::STANDARD,
            replay: ReplayRules::default(),
            hints: HintRules::DEFAULT,
            timeouts: Timeouts::DEFAULT,
            observer: None,
            base: None,
            headers: HeaderMap::from_iter([(USER_AGENT, HeaderValue::from_static(PRODUCT))]),
            max_response_bytes: MAX_RESPONSE_BYTES,
            seed: None,
        }
    }

    /// A call of this URL by GET.
    pub fn get(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::GET, url)
    }

    /// A call of this URL by HEAD.
    pub fn head(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::HEAD, url)
    }

    /// A call of this URL by OPTIONS.
    pub fn options(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::OPTIONS, url)
    }

    /// A call of this URL by PUT.
    pub fn put(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::PUT, url)
    }

    /// A call of this URL by PATCH. It is never repeated unless the call says that it may be.
    pub fn patch(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::PATCH, url)
    }

    /// A call of this URL by POST. It is never repeated unless the call says that it may be.
    pub fn post(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::POST, url)
    }

    /// A call of this URL by DELETE.
    pub fn delete(&self, url: impl AsRef<str>) -> RequestBuilder {
        self.call(Method::DELETE, url)
    }

    /// A call of this URL by any method.
    ///
    /// A relative URL is joined to the base URL, whose path it keeps as a prefix, with or without
    /// a slash before it. A URL that is none, or that is written to be read in two ways, fails when
    /// the call is sent, before anything else happens (R-C-1). A fragment is not sent.
    pub fn call(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        let target = resolve(url.as_ref(), self.inner.base.as_ref(), &self.inner.known);
        RequestBuilder::new(self.clone(), method, target.map_err(Error::invalid_request))
    }

    /// This very request, with the client's default headers where it has none of that name. Its URI
    /// is treated like any other URL: see [`Client::call`].
    pub fn request<B: Into<Body>>(&self, request: http::Request<B>) -> RequestBuilder {
        let (head, body) = request.into_parts();
        let mut call = self.call(head.method, head.uri.to_string()).body(body);
        call.replace_headers(head.headers);
        call
    }

    /// What the connections are doing now, and have done so far.
    pub fn pool(&self) -> PoolFigures {
        self.inner.transport.pool()
    }

    /// The time on the transport's clock, for [`RequestBuilder::deadline`].
    pub fn now(&self) -> Timestamp {
        self.inner.transport.clock().now()
    }

    /// The name of the transport.
    pub fn transport(&self) -> &'static str {
        self.inner.transport.name()
    }

    /// Refuses new calls, lets those under way finish, their retries included, and closes every
    /// connection: those that are idle now, the others when they are done (R-C-6).
    ///
    /// Calling it again does nothing. A call after it, by any clone, fails with
    /// [`FailureKind::ClientClosed`](redial_engine::FailureKind::ClientClosed).
    pub fn close(&self) {
        // Said first, so that no call gets in that finds nothing kept any more.
        self.inner.closed.store(true, Ordering::Release);
        self.inner.transport.close();
    }
}

impl fmt::Debug for Client {
    /// Shows no default header: it may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("transport", &self.transport())
            .field("pool", &self.pool())
            .finish_non_exhaustive()
    }
}

/// Makes the transport when the client is built.
type MakeTransport = dyn FnOnce(Option<Settings>, Option<Arc<dyn Observer>>) -> Result<Box<dyn Transport>, NoTransport>
    + Send;

/// Builds a [`Client`].
#[must_use]
pub struct ClientBuilder {
    make: Box<MakeTransport>,
    /// `None` as long as nothing was set.
    settings: Option<Settings>,
    policy: SharedPolicy,
    budget: Budget,
    replay: ReplayRules,
    hints: HintRules,
    timeouts: Timeouts,
    observer: Option<Arc<dyn Observer>>,
    base: Option<Result<Base, UrlError>>,
    headers: HeaderMap,
    max_response_bytes: u64,
    seed: Option<u64>,
}

impl ClientBuilder {
    /// Whether and when to send again: [`StandardPolicy::DEFAULT`].
    pub fn policy(self, policy: impl Policy + Send + Sync + 'static) -> Self {
        Self { policy: Arc::new(policy), ..self }
    }

    /// How much load retries may add to each origin: [`Budget::STANDARD`].
    pub fn budget(self, budget: Budget) -> Self {
        Self { budget, ..self }
    }

    /// Which requests may be repeated: those with an idempotent method (R-D-4).
    pub fn replay(self, rules: ReplayRules) -> Self {
        Self { replay: rules, ..self }
    }

    /// Which headers of a response count as hints: `Retry-After` alone.
    pub fn hints(self, rules: HintRules) -> Self {
        Self { hints: rules, ..self }
    }

    /// The longest silences: [`Timeouts::DEFAULT`].
    pub fn timeouts(self, timeouts: Timeouts) -> Self {
        Self { timeouts, ..self }
    }

    /// How many connections there may be: [`PoolLimits::DEFAULT`] (R-P-1 to R-P-3).
    pub fn pool(mut self, limits: PoolLimits) -> Self {
        self.settings_mut().limits = limits;
        self
    }

    /// Which version of HTTP is spoken: [`Protocol::Negotiated`] (R-C-5).
    pub fn protocol(mut self, protocol: Protocol) -> Self {
        self.settings_mut().protocol = protocol;
        self
    }

    /// Whom an `https` origin is trusted by, and as whom it is met: by the platform's authorities,
    /// and as nobody (R-C-5).
    pub fn tls(mut self, tls: Tls) -> Self {
        self.settings_mut().tls = tls;
        self
    }

    /// The largest response head: 64 KiB (R-X-2).
    pub fn max_head_bytes(mut self, limit: HeadLimit) -> Self {
        self.settings_mut().max_head_bytes = limit;
        self
    }

    /// All that a configuration says.
    ///
    /// # Errors
    ///
    /// [`UnreadableFile`] where a file that it names cannot be read.
    #[cfg(feature = "serde")]
    pub fn configure(mut self, config: ClientConfig) -> Result<Self, UnreadableFile> {
        let settings = config.settings()?;
        for (name, value) in config.headers.get() {
            self = self.default_header(name.clone(), value.clone());
        }
        if let Some(product) = config.user_agent {
            self = self.user_agent(product.into());
        }
        if let Some(url) = config.base_url {
            self = self.base_url(url.expose());
        }
        if let Some(bytes) = config.max_response_bytes {
            self = self.max_response_bytes(bytes);
        }
        let this = self.settings(settings).policy(config.policy).budget(config.budget);
        Ok(this.replay(config.replay).hints(config.hints).timeouts(config.timeouts))
    }

    /// All that a transport is told, at once.
    pub fn settings(self, settings: Settings) -> Self {
        Self { settings: Some(settings), ..self }
    }

    /// Who is told what calls and connections do; nobody by default, at no cost (R-O-2).
    ///
    /// A transport that stands tells of its connections only whom its own settings name.
    pub fn observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer: Some(observer), ..self }
    }

    /// Where relative URLs begin. Its path is a prefix of theirs, which no `..` climbs above.
    ///
    /// Absolute URLs of other origins can still be called, and are sent without any default header
    /// (R-C-1). What is wrong with it is said by [`ClientBuilder::build`].
    pub fn base_url(self, url: impl AsRef<str>) -> Self {
        Self { base: Some(Base::parse(url.as_ref())), ..self }
    }

    /// A header of every request that has none of this name, to the base URL's origin, or to any
    /// where there is no base URL (R-C-2).
    pub fn default_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// These as default headers, each instead of those of the same name.
    pub fn default_headers(mut self, headers: HeaderMap) -> Self {
        self.headers.extend(headers);
        self
    }

    /// The `User-Agent`, a default header like any other; it names this crate if nothing is said.
    pub fn user_agent(self, value: HeaderValue) -> Self {
        self.default_header(USER_AGENT, value)
    }

    /// Sends no `User-Agent` unless a request has one.
    pub fn no_user_agent(mut self) -> Self {
        self.headers.remove(USER_AGENT);
        if self.headers.is_empty() {
            // One that was never filled is cloned without an allocation.
            self.headers = HeaderMap::new();
        }
        self
    }

    /// The largest body that is read into memory: 64 MiB. A larger one is a final error (R-C-4).
    pub fn max_response_bytes(self, bytes: u64) -> Self {
        Self { max_response_bytes: bytes, ..self }
    }

    /// The seed of the jitter: drawn from the operating system. For schedules that can be
    /// reproduced.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where there is no transport under these settings, where the base URL is none,
    /// where a default header would be the framing of every body, and where the operating system
    /// gives no randomness.
    pub fn build(self) -> Result<Client, BuildError> {
        if [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| self.headers.contains_key(name)) {
            return Err(BuildError::Framing);
        }
        let rng = match self.seed {
            Some(seed) => Xoshiro256PlusPlus::seed_from_u64(seed),
            None => {
                let mut seed = [0; 32];
                getrandom::fill(&mut seed).map_err(BuildError::Randomness)?;
                Xoshiro256PlusPlus::from_seed(seed)
            }
        };
        let inner = Inner {
            transport: (self.make)(self.settings, self.observer.clone())
                .map_err(BuildError::Transport)?,
            policy: self.policy,
            replay: self.replay,
            hints: self.hints,
            timeouts: self.timeouts,
            observer: self.observer,
            base: self.base.transpose().map_err(BuildError::BaseUrl)?,
            headers: self.headers,
            max_response_bytes: self.max_response_bytes,
            upstreams: Upstreams::new(self.budget),
            known: Known::default(),
            rng: Mutex::new(rng),
            closed: AtomicBool::new(false),
            open: Arc::new(()),
        };
        Ok(Client { inner: Arc::new(inner) })
    }
}

impl ClientBuilder {
    fn settings_mut(&mut self) -> &mut Settings {
        self.settings.get_or_insert_default()
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientBuilder")
            .field("settings", &self.settings)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// Why there is no client.
#[derive(Debug)]
#[non_exhaustive]
pub enum BuildError {
    /// There is no transport to build it over.
    Transport(NoTransport),
    /// The operating system gave no randomness for the jitter. Give a seed of your own.
    Randomness(getrandom::Error),
    /// The base URL cannot be one.
    BaseUrl(UrlError),
    /// A default header is `Content-Length` or `Transfer-Encoding`: framing belongs to a body.
    Framing,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(source) => source.fmt(f),
            Self::Randomness(_) => {
                f.write_str("the operating system gave no randomness for the jitter")
            }
            Self::BaseUrl(_) => f.write_str("the base URL cannot be one"),
            Self::Framing => {
                f.write_str("Content-Length and Transfer-Encoding cannot be default headers")
            }
        }
    }
}

impl StdError for BuildError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            // Its words are this error's own.
            Self::Transport(source) => source.source(),
            Self::Randomness(source) => Some(source),
            Self::BaseUrl(source) => Some(source),
            Self::Framing => None,
        }
    }
}
