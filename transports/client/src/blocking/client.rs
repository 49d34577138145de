//! The blocking client, and how it is built.

use core::fmt;
use std::sync::Arc;

use http::Method;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use redial_engine::{Budget, HintRules, Policy, ReplayRules, Timestamp};

use super::link::{Guard, Link};
use super::{RequestBuilder, settings};
use crate::body::Body;
use crate::builder::BuildError;
#[cfg(feature = "serde")]
use crate::config::{ClientConfig, UnreadableFile};
use crate::observe::Observer;
use crate::settings::{HeadLimit, PoolLimits, Protocol, Settings, Tls};
use crate::transport::{PoolFigures, Timeouts};

/// Makes calls over a transport, with retries, and waits for them: the twin of
/// [`Client`](crate::Client).
#[derive(Clone)]
pub struct Client {
    // Before the guard: a client closes its connections while there is somebody to do it.
    inner: crate::Client,
    guard: Guard,
}

macro_rules! methods {
    ($($name:ident)*) => {$(
        #[doc = concat!("See [`Client::", stringify!($name), "`](crate::Client::", stringify!($name), ").")]
        pub fn $name(&self, url: impl AsRef<str>) -> RequestBuilder {
            self.wrap(self.inner.$name(url))
        }
    )*};
}

impl Client {
    /// A blocking client over an async one, and whatever keeps the threads of its transport
    /// running: it is dropped with the last clone, call and response of this client.
    ///
    /// The transports' own blocking clients live on a thread of theirs, and may be called from
    /// anywhere. A transport on a runtime of the caller's is to be called from outside of it: inside
    /// one of its tasks, what a call waits for may be that task's own thread to do. Where no other
    /// thread does it, the call fails after some 6 s, with an error that says why (R-C-7).
    pub fn from_parts(client: crate::Client, guard: impl Send + Sync + 'static) -> Self {
        Self { inner: client, guard: Arc::new(guard) }
    }

    methods!(get head options put patch post delete);

    /// See [`Client::call`](crate::Client::call).
    pub fn call(&self, method: Method, url: impl AsRef<str>) -> RequestBuilder {
        self.wrap(self.inner.call(method, url))
    }

    /// See [`Client::request`](crate::Client::request).
    pub fn request<B: Into<Body>>(&self, request: http::Request<B>) -> RequestBuilder {
        self.wrap(self.inner.request(request))
    }

    fn wrap(&self, call: crate::RequestBuilder) -> RequestBuilder {
        RequestBuilder::new(call, Link::new(&self.inner, &self.guard))
    }

    /// See [`Client::pool`](crate::Client::pool).
    pub fn pool(&self) -> PoolFigures {
        self.inner.pool()
    }

    /// See [`Client::now`](crate::Client::now).
    pub fn now(&self) -> Timestamp {
        self.inner.now()
    }

    /// See [`Client::transport`](crate::Client::transport).
    pub fn transport(&self) -> &'static str {
        self.inner.transport()
    }

    /// See [`Client::close`](crate::Client::close).
    pub fn close(&self) {
        self.inner.close();
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// Builds a [`Client`]: the twin of [`ClientBuilder`](crate::ClientBuilder).
#[must_use]
pub struct ClientBuilder {
    inner: crate::ClientBuilder,
    guard: Guard,
}

impl ClientBuilder {
    /// A builder over an async one: see [`Client::from_parts`].
    pub fn from_parts(builder: crate::ClientBuilder, guard: impl Send + Sync + 'static) -> Self {
        Self { inner: builder, guard: Arc::new(guard) }
    }

    settings! { "ClientBuilder":
        fn policy(policy: impl Policy + Send + Sync + 'static);
        fn budget(budget: Budget);
        fn replay(rules: ReplayRules);
        fn hints(rules: HintRules);
        fn timeouts(timeouts: Timeouts);
        fn observer(observer: Arc<dyn Observer>);
        fn pool(limits: PoolLimits);
        fn protocol(protocol: Protocol);
        fn tls(tls: Tls);
        fn max_head_bytes(limit: HeadLimit);
        fn settings(settings: Settings);
        fn base_url(url: impl AsRef<str>);
        fn default_header(name: HeaderName, value: HeaderValue);
        fn default_headers(headers: HeaderMap);
        fn user_agent(value: HeaderValue);
        fn no_user_agent();
        fn max_response_bytes(bytes: u64);
        fn seed(seed: u64);
    }

    /// See [`ClientBuilder::configure`](crate::ClientBuilder::configure).
    ///
    /// # Errors
    ///
    /// As there.
    #[cfg(feature = "serde")]
    pub fn configure(self, config: ClientConfig) -> Result<Self, UnreadableFile> {
        Ok(Self { inner: self.inner.configure(config)?, guard: self.guard })
    }

    /// The client.
    ///
    /// # Errors
    ///
    /// As of [`ClientBuilder::build`](crate::ClientBuilder::build).
    pub fn build(self) -> Result<Client, BuildError> {
        Ok(Client { inner: self.inner.build()?, guard: self.guard })
    }
}

impl fmt::Debug for ClientBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
