//! The decisions that a user may want to make.

use core::num::NonZeroU32;
use core::time::Duration;

use rand_core::Rng;

use crate::outcome::Outcome;
use crate::time::{FOREVER, duration, nanos};

/// The decisions of a call that a user may want to make.
///
/// [`StandardPolicy`](crate::StandardPolicy) makes them from data. To differ in one point, wrap it
/// and answer that point alone (R-D-6):
///
/// ```
/// use core::time::Duration;
/// use redial_engine::rand_core::Rng;
/// use redial_engine::{Judgement, Limits, Outcome, Policy, RetryContext, StandardPolicy};
///
/// /// Waits twice as long as the standard policy.
/// struct Patient(StandardPolicy);
///
/// impl Policy for Patient {
///     fn limits(&self) -> Limits {
///         self.0.limits()
///     }
///     fn judge(&self, outcome: &Outcome) -> Judgement {
///         self.0.judge(outcome)
///     }
///     fn delay(&self, retry: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration {
///         self.0.delay(retry, rng).saturating_mul(2)
///     }
/// }
/// ```
///
/// What no policy can change: a request that must not be repeated is not, nothing begins past the
/// deadline, no wait is shorter than the hint that the policy accepted, and the budget holds.
pub trait Policy {
    /// The bounds of a call. Asked once when a call begins and once for each retry.
    fn limits(&self) -> Limits;

    /// What an outcome means. Asked once for each attempt.
    fn judge(&self, outcome: &Outcome) -> Judgement;

    /// How long to wait before a retry that no server's hint rules.
    ///
    /// Asked once for each such retry. For schedules that can be reproduced, draw exactly one
    /// `next_u64` for a jittered wait and none otherwise (R-B-5).
    fn delay(&self, retry: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration;
}

macro_rules! forward {
    ($(#[$cfg:meta])* $pointer:ty) => {
        $(#[$cfg])*
        impl<P: Policy + ?Sized> Policy for $pointer {
            #[inline]
            fn limits(&self) -> Limits {
                (**self).limits()
            }
            #[inline]
            fn judge(&self, outcome: &Outcome) -> Judgement {
                (**self).judge(outcome)
            }
            #[inline]
            fn delay(&self, retry: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration {
                (**self).delay(retry, rng)
            }
        }
    };
}

forward!(&P);
forward!(#[cfg(feature = "alloc")] alloc::boxed::Box<P>);
forward!(#[cfg(feature = "alloc")] alloc::rc::Rc<P>);
forward!(#[cfg(feature = "alloc")] alloc::sync::Arc<P>);

/// The bounds of a call.
///
/// The default is [`Limits::DEFAULT`]. Durations are kept as whole nanoseconds; one of 584 years or
/// more is no limit (R-T-8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    pub(crate) max_attempts: NonZeroU32,
    pub(crate) retry_after_spread: u8,
    /// Nanoseconds; [`FOREVER`] where there is no limit. So are the others.
    pub(crate) attempt_timeout: u64,
    pub(crate) call_timeout: u64,
    pub(crate) retry_after_max: u64,
}

impl Limits {
    /// Five attempts, no timeouts, hints of up to five minutes taken as they are.
    pub const DEFAULT: Self = Self {
        max_attempts: match NonZeroU32::new(5) {
            Some(five) => five,
            None => NonZeroU32::MIN,
        },
        retry_after_spread: 0,
        attempt_timeout: FOREVER,
        call_timeout: FOREVER,
        retry_after_max: nanos(Duration::from_secs(5 * 60)),
    };

    /// The most attempts, the first included: 5. One switches retries off (R-D-1).
    #[must_use]
    pub const fn max_attempts(self, attempts: NonZeroU32) -> Self {
        Self { max_attempts: attempts, ..self }
    }

    /// The longest time that one attempt may take: no limit (R-T-5).
    #[must_use]
    pub const fn attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: nanos(timeout), ..self }
    }

    /// The longest time that the call may take, its waits included: no limit (R-T-5).
    #[must_use]
    pub const fn call_timeout(self, timeout: Duration) -> Self {
        Self { call_timeout: nanos(timeout), ..self }
    }

    /// The longest wait that a server may ask for: 5 min. Beyond it the call ends (R-RA-6).
    #[must_use]
    pub const fn retry_after_max(self, wait: Duration) -> Self {
        Self { retry_after_max: nanos(wait), ..self }
    }

    /// How much may be added at random to a wait that a server asked for, in percent of it: 0
    /// (R-RA-8).
    #[must_use]
    pub const fn retry_after_spread(self, percent: u8) -> Self {
        Self { retry_after_spread: percent, ..self }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What an outcome means.
///
/// Exhaustive on purpose: a policy that wraps another must be able to handle every answer.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// The call ends with this outcome.
    Final,
    /// The call ends with this outcome because the server said so (R-D-10).
    Refused,
    /// Another attempt may fare better, if the request, the limits and the budget allow it.
    Retry {
        /// What sort of trouble it is; some budgets charge by it (R-G-2).
        class: Class,
        /// Whether the wait that the server asked for counts (R-RA-1): it then replaces backoff.
        heed_hint: bool,
    },
}

impl Judgement {
    /// Another attempt may fare better, after the policy's own wait.
    pub const fn retry(class: Class) -> Self {
        Self::Retry { class, heed_hint: false }
    }
}

/// What sort of trouble a retry answers.
///
/// Exhaustive on purpose: a budget must have a price for each.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Class {
    /// The server asked for less: 429.
    Throttled,
    /// The server failed: any other retried status.
    Server,
    /// A failure that is no timeout: a lost connection, a refused stream.
    Transient,
    /// A limit on time was reached.
    Timeout,
}

/// What a policy may look at to choose a wait.
#[derive(Clone, Copy, Debug)]
pub struct RetryContext<'a> {
    pub(crate) outcome: &'a Outcome,
    /// How many retries have been made before this one.
    pub(crate) before: u32,
    pub(crate) class: Class,
    /// Nanoseconds; of no meaning for the first retry.
    pub(crate) previous: u64,
}

impl<'a> RetryContext<'a> {
    /// What a policy may look at to choose the wait before retry `number`, 1 for the second
    /// attempt; `previous` is the wait before the retry before it, where there was one.
    ///
    /// The engine builds these; the constructor is there to test a policy by itself.
    pub const fn new(
        outcome: &'a Outcome,
        number: NonZeroU32,
        previous: Duration,
        class: Class,
    ) -> Self {
        Self { outcome, before: number.get() - 1, class, previous: nanos(previous) }
    }

    /// What the attempt came to that is to be retried.
    pub const fn outcome(&self) -> &'a Outcome {
        self.outcome
    }

    /// The retry's number: 1 for the second attempt.
    #[inline]
    pub const fn number(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.before)
    }

    /// The wait before the attempt that failed; `None` where it was the first.
    #[inline]
    pub fn previous(&self) -> Option<Duration> {
        self.previous_nanos().map(duration)
    }

    #[inline]
    pub(crate) fn previous_nanos(&self) -> Option<u64> {
        (self.before > 0).then_some(self.previous)
    }

    /// What sort of trouble the policy judged it to be.
    #[inline]
    pub const fn class(&self) -> Class {
        self.class
    }
}
