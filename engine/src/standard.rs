//! The standard policy: tables and limits as data.

use core::fmt;
use core::num::NonZeroU32;
use core::time::Duration;

use rand_core::Rng;

use crate::backoff::{Backoff, BackoffError};
use crate::outcome::{FailureKind, Outcome, ServerHint};
use crate::policy::{Class, Judgement, Limits, Policy, RetryContext};
use crate::tables::{Failures, Statuses, is_status};

/// The standard policy: tables and limits as data.
///
/// The default retries what RFC 9110 calls a passing condition, up to five attempts, with
/// exponential backoff and `Retry-After` (R-D-1 to R-D-3, R-B-1, R-RA-1). Everything in it can be
/// changed in code, as here, or (feature `serde`) in a configuration.
///
/// ```
/// use core::time::Duration;
/// use redial_engine::{Backoff, StandardPolicy};
///
/// const POLICY: StandardPolicy = match StandardPolicy::builder()
///     .max_attempts(3)
///     .retry_status(425)
///     .never_retry_status(500)
///     .backoff(Backoff::exponential(Duration::from_millis(100)))
///     .build()
/// {
///     Ok(policy) => policy,
///     Err(_) => panic!("checked when this is compiled"),
/// };
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StandardPolicy {
    pub(crate) limits: Limits,
    pub(crate) backoff: Backoff,
    pub(crate) statuses: Statuses,
    pub(crate) failures: Failures,
    pub(crate) hint_statuses: Statuses,
}

impl StandardPolicy {
    /// The default policy.
    pub const DEFAULT: Self = Self {
        limits: Limits::DEFAULT,
        backoff: Backoff::DEFAULT,
        statuses: Statuses::of(&[104, 408, 429, 500, 502, 503, 504]),
        failures: Failures::of(&[
            FailureKind::Resolve,
            FailureKind::Connect,
            FailureKind::ConnectTimeout,
            FailureKind::PoolTimeout,
            FailureKind::WriteTimeout,
            FailureKind::ReadTimeout,
            FailureKind::AttemptTimeout,
            FailureKind::Deadline,
            FailureKind::Reset,
            FailureKind::Closed,
            FailureKind::Truncated,
            FailureKind::RefusedStream,
            FailureKind::GoAway { graceful: true },
            FailureKind::StreamReset,
            FailureKind::LocalProtocol,
            FailureKind::Other,
        ]),
        hint_statuses: Statuses::of(&[429, 503]),
    };

    /// A policy to be built, beginning with the default.
    pub const fn builder() -> StandardPolicyBuilder {
        Self::DEFAULT.rebuild()
    }

    /// A policy to be built, beginning with this one.
    pub const fn rebuild(self) -> StandardPolicyBuilder {
        let max_attempts = self.limits.max_attempts.get();
        StandardPolicyBuilder { policy: self, max_attempts, no_status: None }
    }

    /// How long it waits before a retry.
    pub const fn backoff(&self) -> &Backoff {
        &self.backoff
    }

    /// Whether it retries a response with this status.
    pub fn retries_status(&self, status: u16) -> bool {
        self.statuses.contains(status)
    }

    /// Whether it retries a failure of this kind.
    pub const fn retries_failure(&self, kind: FailureKind) -> bool {
        self.failures.contains(kind)
    }

    #[inline]
    fn judge_response(&self, status: u16, hint: &ServerHint) -> Judgement {
        let says = if planted!(ShouldRetryIgnored) { None } else { hint.says_retry() };
        let retried = match says {
            Some(false) if status >= 400 && self.statuses.contains(status) => {
                return Judgement::Refused;
            }
            Some(true) if status >= 400 => true,
            Some(_) | None => {
                planted!(TableForgotten => if status == 418 { return Judgement::Final; });
                planted!(GatewayTimeoutFinal => if status == 504 { return Judgement::Final; });
                self.statuses.contains(status)
            }
        };
        if !retried {
            return Judgement::Final;
        }
        let class = if status == 429 { Class::Throttled } else { Class::Server };
        Judgement::Retry { class, heed_hint: self.hint_statuses.contains(status) }
    }

    #[inline]
    fn judge_failure(&self, kind: FailureKind) -> Judgement {
        let forgotten = planted!(ResetFinal) && matches!(kind, FailureKind::Reset);
        let forgiven = planted!(RefusalRetried) && matches!(kind, FailureKind::Tls);
        if !(self.failures.contains(kind) || forgiven) || forgotten {
            return Judgement::Final;
        }
        Judgement::retry(if kind.is_timeout() { Class::Timeout } else { Class::Transient })
    }
}

impl Default for StandardPolicy {
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl Policy for StandardPolicy {
    #[inline]
    fn limits(&self) -> Limits {
        self.limits
    }

    #[inline]
    fn judge(&self, outcome: &Outcome) -> Judgement {
        match outcome {
            Outcome::Response { status, hint } => self.judge_response(*status, hint),
            Outcome::Failure(failure) => self.judge_failure(failure.kind),
        }
    }

    #[inline]
    fn delay(&self, retry: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration {
        self.backoff.wait(retry, rng)
    }
}

/// Builds a [`StandardPolicy`] and checks that it makes sense.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct StandardPolicyBuilder {
    policy: StandardPolicy,
    max_attempts: u32,
    no_status: Option<u16>,
}

impl StandardPolicyBuilder {
    /// The most attempts, the first included: 5. One switches retries off (R-D-1).
    pub const fn max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: attempts, ..self }
    }

    /// The longest time that one attempt may take: no limit (R-T-5).
    pub const fn attempt_timeout(mut self, timeout: Duration) -> Self {
        self.policy.limits = self.policy.limits.attempt_timeout(timeout);
        self
    }

    /// The longest time that a call may take, its waits included: no limit (R-T-5).
    pub const fn call_timeout(mut self, timeout: Duration) -> Self {
        self.policy.limits = self.policy.limits.call_timeout(timeout);
        self
    }

    /// How long to wait before a retry: [`Backoff::DEFAULT`].
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.policy.backoff = backoff;
        self
    }

    /// The longest wait that a server may ask for: 5 min. Beyond it the call ends (R-RA-6).
    pub const fn retry_after_max(mut self, wait: Duration) -> Self {
        self.policy.limits = self.policy.limits.retry_after_max(wait);
        self
    }

    /// How much is added at random to a wait that a server asked for, in percent of it, 0 to 100:
    /// 0 (R-RA-8).
    pub const fn retry_after_spread(mut self, percent: u8) -> Self {
        self.policy.limits.retry_after_spread = percent;
        self
    }

    /// Retries responses with this status as well (R-D-2).
    pub const fn retry_status(self, status: u16) -> Self {
        self.status(status, true)
    }

    /// Takes responses with this status as final.
    pub const fn never_retry_status(self, status: u16) -> Self {
        self.status(status, false)
    }

    /// Retries failures of this kind as well (R-D-3).
    pub const fn retry_failure(mut self, kind: FailureKind) -> Self {
        self.policy.failures = self.policy.failures.with(kind, true);
        self
    }

    /// Takes failures of this kind as final.
    pub const fn never_retry_failure(mut self, kind: FailureKind) -> Self {
        self.policy.failures = self.policy.failures.with(kind, false);
        self
    }

    /// Lets `Retry-After` count on this status as well (R-RA-1).
    pub const fn heed_hint_on(self, status: u16) -> Self {
        self.hint(status, true)
    }

    /// Ignores `Retry-After` on this status.
    pub const fn ignore_hint_on(self, status: u16) -> Self {
        self.hint(status, false)
    }

    /// The policy.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] names the first thing that makes no sense.
    pub const fn build(self) -> Result<StandardPolicy, PolicyError> {
        if let Some(status) = self.no_status {
            return Err(PolicyError::NoStatus { status });
        }
        let Some(max_attempts) = NonZeroU32::new(self.max_attempts) else {
            return Err(PolicyError::NoAttempts);
        };
        let mut policy = self.policy;
        if policy.limits.retry_after_spread > 100 {
            return Err(PolicyError::SpreadAboveOne { percent: policy.limits.retry_after_spread });
        }
        if let Err(error) = policy.backoff.check() {
            return Err(PolicyError::Backoff(error));
        }
        policy.limits.max_attempts = max_attempts;
        Ok(policy)
    }

    const fn status(mut self, status: u16, member: bool) -> Self {
        self.policy.statuses = self.policy.statuses.with(status, member);
        self.check(status)
    }

    const fn hint(mut self, status: u16, member: bool) -> Self {
        self.policy.hint_statuses = self.policy.hint_statuses.with(status, member);
        self.check(status)
    }

    /// Remembers the first number that is no status, so that building can say so.
    const fn check(mut self, status: u16) -> Self {
        if !is_status(status) && self.no_status.is_none() {
            self.no_status = Some(status);
        }
        self
    }

    #[cfg(feature = "serde")]
    pub(crate) const fn clear_statuses(mut self) -> Self {
        self.policy.statuses = Statuses::of(&[]);
        self
    }

    #[cfg(feature = "serde")]
    pub(crate) const fn clear_failures(mut self) -> Self {
        self.policy.failures = Failures::of(&[]);
        self
    }

    #[cfg(feature = "serde")]
    pub(crate) const fn clear_hint_statuses(mut self) -> Self {
        self.policy.hint_statuses = Statuses::of(&[]);
        self
    }
}

/// Why a policy makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PolicyError {
    /// No attempt at all would be made. One is the least, and switches retries off (R-D-1).
    NoAttempts,
    /// A table names a number that is no status code. Choose 100 to 999.
    NoStatus {
        /// The number that was given.
        status: u16,
    },
    /// A hint would more than double. Choose a spread of 0 to 100 percent.
    SpreadAboveOne {
        /// The spread that was given, in percent.
        percent: u8,
    },
    /// The backoff makes no sense.
    Backoff(BackoffError),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoAttempts => f.write_str("0 attempts: choose at least 1, which means no retry"),
            Self::NoStatus { status } => {
                write!(f, "{status} is no status code: choose 100 to 999")
            }
            Self::SpreadAboveOne { percent } => {
                write!(f, "a spread of {percent} percent on hints: choose 0 to 100")
            }
            Self::Backoff(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for PolicyError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Backoff(error) => Some(error),
            Self::NoAttempts | Self::NoStatus { .. } | Self::SpreadAboveOne { .. } => None,
        }
    }
}
