//! How a client is built.

use core::error::Error as StdError;
use core::fmt;
use core::sync::atomic::AtomicBool;
use std::sync::Arc;

use http::header::{
    CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue, TRANSFER_ENCODING, USER_AGENT,
};
use rand_core::SeedableRng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use redial_engine::{Budget, HintRules, Policy, ReplayRules, StandardPolicy};

use crate::client::{Client, Inner, SharedPolicy};
#[cfg(feature = "serde")]
use crate::config::{ClientConfig, UnreadableFile};
use crate::headers::{MOST, is_host_wrong, several_hosts};
use crate::into_transport::{IntoTransport, NoTransport};
use crate::known::Known;
use crate::observe::Observer;
use crate::random::Randomness;
use crate::settings::{HeadLimit, PoolLimits, Protocol, Settings, Tls};
use crate::transport::{Timeouts, Transport};
use crate::upstreams::Upstreams;
use crate::url::{Base, UrlError};

/// The largest body that is read into memory by default: 64 MiB (R-C-4).
const MAX_RESPONSE_BYTES: u64 = 64 * 1024 * 1024;

const PRODUCT: &str = concat!("redial/", env!("CARGO_PKG_VERSION"));

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
    pub(crate) fn new(transport: impl IntoTransport + Send + 'static) -> Self {
        Self {
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

    /// All that a configuration says. To be called before what is to hold instead of it.
    ///
    /// Of policy, budget, replay, hints, timeouts and [`Settings`] it says everything: what it does
    /// not name has its default, whatever was set before. Headers, user agent, base URL and the limit of
    /// responses stay where it names none.
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
        // One too many is enough for it to be said when the client is built.
        if self.headers.len() <= MOST {
            self.headers.insert(name, value);
        }
        self
    }

    /// These as default headers, each instead of those of the same name.
    pub fn default_headers(mut self, headers: HeaderMap) -> Self {
        if headers.len() > MOST {
            self.headers = headers;
        } else if self.headers.len() <= MOST {
            self.headers.extend(headers);
        }
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
    /// reproduced. Keys of idempotency do not come of it.
    pub fn seed(self, seed: u64) -> Self {
        Self { seed: Some(seed), ..self }
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where there is no transport under these settings, where the base URL is none,
    /// where the default headers would be the framing of every body or have more than one `Host` or
    /// one that is none, and where the operating system gives no randomness.
    pub fn build(self) -> Result<Client, BuildError> {
        check(&self.headers)?;
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
            randomness: Randomness::new(rng),
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

/// Refuses default headers that no request could have.
fn check(headers: &HeaderMap) -> Result<(), BuildError> {
    if headers.len() > MOST {
        return Err(BuildError::TooManyHeaders);
    }
    if [CONTENT_LENGTH, TRANSFER_ENCODING].iter().any(|name| headers.contains_key(name)) {
        return Err(BuildError::Framing);
    }
    if several_hosts(headers) {
        return Err(BuildError::Hosts);
    }
    if is_host_wrong(headers) {
        return Err(BuildError::Host);
    }
    Ok(())
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
    /// The default headers have more than one `Host`: a request has one (RFC 9112 3.2).
    Hosts,
    /// The `Host` of the default headers is no host with or without a port (RFC 9110 7.2).
    Host,
    /// There are more than 8,192 default headers. No server takes so many.
    TooManyHeaders,
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
            Self::Hosts => f.write_str("the default headers have more than one Host"),
            Self::Host => {
                f.write_str("the Host of the default headers is no host with or without a port")
            }
            Self::TooManyHeaders => f.write_str("there are more than 8192 default headers"),
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
            Self::Framing | Self::Hosts | Self::Host | Self::TooManyHeaders => None,
        }
    }
}
