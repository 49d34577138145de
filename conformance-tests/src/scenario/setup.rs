//! How the client of a scenario is set up.

use core::time::Duration;

use http::{HeaderName, HeaderValue};
use redial_client::{
    ClientBuilder, HeadLimit, PoolLimits, Protocol, Roots, Timeouts, Tls, blocking,
};
use redial_engine::{
    Backoff, Budget, HintRules, ReplayRules, StandardPolicy, StandardPolicyBuilder,
};

/// The base of the quick setup's backoff.
pub const QUICK_BASE: Duration = Duration::from_millis(20);

/// Every timeout of the quick setup.
///
/// A server that is steady sends something six times within it, so that scheduling noise does not
/// look like silence.
pub const QUICK_TIMEOUT: Duration = Duration::from_secs(1);

/// How the client of a scenario is set up: what [`ClientBuilder`] takes, as data.
///
/// Waits are compressed by the policy, not by sleeping for less than was asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setup {
    /// Whether and when to send again.
    pub policy: StandardPolicy,
    /// How much load retries may add.
    pub budget: Budget,
    /// Which requests may be repeated.
    pub replay: ReplayRules,
    /// Which headers count as hints.
    pub hints: HintRules,
    /// The longest silences.
    pub timeouts: Timeouts,
    /// How many connections there may be.
    pub pool: PoolLimits,
    /// Which version of HTTP is spoken.
    pub protocol: Protocol,
    /// The largest response head; `None` for the client's own limit.
    pub max_head: Option<HeadLimit>,
    /// The largest body; `None` for the client's own limit.
    pub max_response_bytes: Option<u64>,
    /// The path of the first origin's URL that is the base URL; `None` for no base URL.
    pub base: Option<&'static str>,
    /// The default headers.
    pub headers: Vec<(&'static str, &'static str)>,
    /// The `User-Agent`, `Some(None)` for none at all; `None` for the client's own.
    pub user_agent: Option<Option<&'static str>>,
    /// The shape of the backoff, as far as waits are checked by it.
    pub(crate) base_wait: Duration,
}

impl Setup {
    /// The standard policy with a backoff from 20 ms, every timeout 1 s, the rest by default.
    pub fn quick() -> Self {
        let mut timeouts = Timeouts::DEFAULT;
        timeouts.connect = QUICK_TIMEOUT;
        timeouts.read = QUICK_TIMEOUT;
        timeouts.write = QUICK_TIMEOUT;
        timeouts.pool = QUICK_TIMEOUT;
        let setup = Self {
            policy: StandardPolicy::DEFAULT,
            budget: Budget::STANDARD,
            replay: ReplayRules::default(),
            hints: HintRules::DEFAULT,
            timeouts,
            pool: PoolLimits::DEFAULT,
            protocol: Protocol::Negotiated,
            max_head: None,
            max_response_bytes: None,
            base: None,
            headers: Vec::new(),
            user_agent: None,
            base_wait: QUICK_BASE,
        };
        setup.policy(|policy| policy)
    }

    /// This setup, its policy changed.
    ///
    /// A policy that makes no sense leaves the one before it: the table's own tests refuse that.
    #[must_use]
    pub fn policy(
        self,
        change: impl FnOnce(StandardPolicyBuilder) -> StandardPolicyBuilder,
    ) -> Self {
        let quick = self.policy.rebuild().backoff(Backoff::exponential(self.base_wait));
        match change(quick).build() {
            Ok(policy) => Self { policy, ..self },
            Err(_) => self,
        }
    }

    /// This setup, with an exponential backoff from another base.
    #[must_use]
    pub fn base_wait(self, base: Duration) -> Self {
        Self { base_wait: base, ..self }.policy(|policy| policy)
    }

    /// This setup, its timeouts changed.
    #[must_use]
    pub fn timeouts(mut self, change: impl FnOnce(&mut Timeouts)) -> Self {
        change(&mut self.timeouts);
        self
    }
}

macro_rules! apply {
    ($($name:ident: $builder:ty;)*) => {$(
        /// What this setup tells a builder.
        pub(crate) fn $name(&self, builder: $builder, base: &str, roots: Option<Vec<u8>>) -> $builder {
            let mut builder = builder
                .policy(self.policy)
                .budget(self.budget)
                .replay(self.replay.clone())
                .hints(self.hints)
                .timeouts(self.timeouts)
                .pool(self.pool)
                .protocol(self.protocol);
            if let Some(pem) = roots {
                let mut tls = Tls::default();
                tls.roots = Roots::Pem(pem);
                builder = builder.tls(tls);
            }
            if let Some(limit) = self.max_head {
                builder = builder.max_head_bytes(limit);
            }
            if let Some(bytes) = self.max_response_bytes {
                builder = builder.max_response_bytes(bytes);
            }
            if let Some(path) = self.base {
                builder = builder.base_url(format!("{base}{path}"));
            }
            for (name, value) in &self.headers {
                builder = builder
                    .default_header(HeaderName::from_static(name), HeaderValue::from_static(value));
            }
            match self.user_agent {
                None => builder,
                Some(None) => builder.no_user_agent(),
                Some(Some(agent)) => builder.user_agent(HeaderValue::from_static(agent)),
            }
        }
    )*};
}

impl Setup {
    apply! {
        apply: ClientBuilder;
        apply_blocking: blocking::ClientBuilder;
    }
}
