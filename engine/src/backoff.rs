//! How long to wait before a retry: shapes and jitter as pure functions of integers.

use core::fmt;
use core::time::Duration;

use rand_core::Rng;

use crate::outcome::Outcome;
use crate::policy::{Class, RetryContext};
use crate::time::{duration, nanos};

/// How long to wait before a retry: a shape, a cap, and jitter drawn below the cap.
///
/// The default waits `U[0.8, 1.0) x 1 s x 2^(n-1)` before retry n, at most 60 s (R-B-1). The cap
/// bounds the shape *before* the jitter is drawn, so that waits at the cap still differ and none
/// exceeds it. Arithmetic is in whole nanoseconds and saturates (R-B-4); waits beyond 584 years are
/// 584 years.
///
/// ```
/// use core::time::Duration;
/// use redial_engine::{Backoff, Jitter};
///
/// const QUICK: Backoff =
///     Backoff::exponential(Duration::from_millis(50)).cap(Duration::from_secs(2)).jitter(Jitter::Full);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    pub(crate) shape: Shape,
    pub(crate) jitter: Jitter,
    /// How often the base of an exponential shape can be doubled before it is above the cap.
    doublings: u32,
    /// How much of a wait proportional jitter may take away ([`Jitter::takes`]).
    takes: u64,
    /// Nanoseconds.
    pub(crate) cap: u64,
}

impl Backoff {
    /// The default: from one second, doubling, capped at a minute, jitter from 0.8.
    pub const DEFAULT: Self = Self::exponential(Duration::from_secs(1));

    const DEFAULT_CAP: u64 = nanos(Duration::from_secs(60));

    /// A shape that doubles with each retry: `base`, twice `base`, four times `base`.
    ///
    /// The cap is 60 s, or `base` where that is longer; the jitter is proportional from 0.8.
    pub const fn exponential(base: Duration) -> Self {
        Self::of(Shape::Exponential { base: nanos(base) }, nanos(base))
    }

    /// A shape that stays the same.
    ///
    /// The cap is 60 s, or `wait` where that is longer; the jitter is proportional from 0.8.
    pub const fn fixed(wait: Duration) -> Self {
        Self::of(Shape::Fixed { wait: nanos(wait) }, nanos(wait))
    }

    /// A shape of the user's own, which sees the outcome, the retry's number and the previous wait.
    ///
    /// Cap (60 s) and jitter (proportional from 0.8) apply to what it returns.
    pub const fn custom(shape: fn(&RetryContext<'_>) -> Duration) -> Self {
        Self::of(Shape::Custom(shape), 0)
    }

    const fn of(shape: Shape, least_cap: u64) -> Self {
        let cap = larger(least_cap, Self::DEFAULT_CAP);
        let jitter = Jitter::DEFAULT;
        Self { shape, jitter, doublings: shape.doublings(cap), takes: jitter.takes(), cap }
    }

    /// The same with another cap. A cap below the base is refused when the policy is built.
    #[must_use]
    pub const fn cap(self, cap: Duration) -> Self {
        let cap = nanos(cap);
        Self { doublings: self.shape.doublings(cap), cap, ..self }
    }

    /// The same with other jitter.
    #[must_use]
    pub const fn jitter(self, jitter: Jitter) -> Self {
        Self { jitter, takes: jitter.takes(), ..self }
    }

    /// The wait before a retry.
    ///
    /// Draws exactly one `next_u64` unless the jitter is [`Jitter::None`] (R-B-5).
    #[inline]
    pub fn wait(&self, retry: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration {
        let RetryContext { outcome, before, class, previous } = *retry;
        duration(match (&self.shape, self.jitter) {
            (Shape::Exponential { base }, Jitter::Proportional { .. }) => {
                self.spread(self.doubled(*base, before), rng)
            }
            (_, _) => self.other(outcome, before, class, previous, rng),
        })
    }

    /// The wait by any shape and jitter, in nanoseconds.
    ///
    /// Not inlined, to keep the default's path short; the context comes in its parts, because a
    /// reference would have it written to memory for every retry.
    #[inline(never)]
    fn other(
        &self,
        outcome: &Outcome,
        before: u32,
        class: Class,
        previous: u64,
        rng: &mut dyn Rng,
    ) -> u64 {
        let retry = &RetryContext { outcome, before, class, previous };
        let full = self.full(retry);
        let (low, high) = match self.jitter {
            Jitter::None => {
                planted!(HalvedWithoutJitter => return full / 2);
                return full;
            }
            Jitter::Proportional { .. } => return self.spread(full, rng),
            Jitter::Full => (0, full),
            Jitter::Equal => (full / 2, full),
            Jitter::Decorrelated => {
                let base = self.shape.base(retry).min(self.cap);
                let previous = retry.previous_nanos().unwrap_or(base);
                (base, previous.saturating_mul(3).min(self.cap))
            }
        };
        planted!(SameJitter => return low + share(high.saturating_sub(low), u64::MAX / 2));
        planted!(JitterBeyondCap => return between(high, high.saturating_mul(2), rng));
        between(low, high, rng)
    }

    /// The wait before jitter.
    fn full(&self, retry: &RetryContext<'_>) -> u64 {
        match &self.shape {
            Shape::Exponential { base } => self.doubled(*base, retry.before),
            Shape::Fixed { wait } => (*wait).min(self.cap),
            Shape::Custom(shape) => nanos(shape(retry)).min(self.cap),
        }
    }

    /// A wait with proportional jitter.
    #[inline]
    fn spread(&self, full: u64, rng: &mut dyn Rng) -> u64 {
        let width = share(full, self.takes);
        planted!(SameJitter => return full - width + share(width, u64::MAX / 2));
        planted!(JitterBeyondCap => return full + share(width, rng.next_u64()));
        full - width + share(width, rng.next_u64())
    }

    /// The base, doubled for each retry before, and capped.
    #[inline]
    fn doubled(&self, base: u64, before: u32) -> u64 {
        let before = if planted!(BackoffNotDoubled) { 0 } else { before };
        if before <= self.doublings { base << before } else { self.cap }
    }

    /// Checks what the types cannot: see [`BackoffError`].
    pub(crate) const fn check(&self) -> Result<(), BackoffError> {
        if let Jitter::Proportional { from_percent } = self.jitter
            && from_percent > 100
        {
            return Err(BackoffError::JitterAboveOne { from_percent });
        }
        let base = match self.shape {
            Shape::Exponential { base } => base,
            Shape::Fixed { wait } => wait,
            Shape::Custom(_) => MIN_BASE,
        };
        if base < MIN_BASE {
            return Err(BackoffError::BaseTooShort { base: duration(base) });
        }
        if self.cap < base {
            return Err(BackoffError::CapBelowBase {
                cap: duration(self.cap),
                base: duration(base),
            });
        }
        Ok(())
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// The least base, in nanoseconds: below a millisecond, retries are a busy loop (R-B-4).
const MIN_BASE: u64 = nanos(Duration::from_millis(1));

/// How the wait grows with the retries, before cap and jitter. Durations are nanoseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Shape {
    Exponential { base: u64 },
    Fixed { wait: u64 },
    Custom(fn(&RetryContext<'_>) -> Duration),
}

impl Shape {
    /// How often the base can be doubled before it is above the cap; at most 63.
    const fn doublings(&self, cap: u64) -> u32 {
        match self {
            Self::Exponential { base } => match cap.checked_div(*base) {
                Some(quotient @ 1..) => quotient.ilog2(),
                Some(0) | None => 0,
            },
            Self::Fixed { .. } | Self::Custom(_) => 0,
        }
    }

    /// Where decorrelated jitter starts.
    fn base(&self, retry: &RetryContext<'_>) -> u64 {
        match self {
            Self::Exponential { base } => *base,
            Self::Fixed { wait } => *wait,
            Self::Custom(shape) => nanos(shape(retry)),
        }
    }
}

impl PartialEq for Shape {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Exponential { base: a }, Self::Exponential { base: b })
            | (Self::Fixed { wait: a }, Self::Fixed { wait: b }) => a == b,
            (Self::Custom(a), Self::Custom(b)) => core::ptr::fn_addr_eq(*a, *b),
            (Self::Exponential { .. } | Self::Fixed { .. } | Self::Custom(_), _) => false,
        }
    }
}

impl Eq for Shape {}

/// How chance spreads waits, so that clients which failed together do not return together.
///
/// With x the capped wait of the shape; every draw is continuous to the nanosecond (R-B-3).
///
/// Exhaustive on purpose: a user's own spread is a user's own [`Policy`](crate::Policy).
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Jitter {
    /// Exactly x.
    None,
    /// `U[from, 1) x`: close to the shape, and spread all the same.
    Proportional {
        /// The least share of x, in percent: 80. Above 100 is refused when the policy is built.
        from_percent: u8,
    },
    /// `U[0, x)`: the widest spread.
    Full,
    /// `x/2 + U[0, x/2)`: never less than half.
    Equal,
    /// `U[base, min(cap, 3 x previous))`: each wait depends on the one before, not on the number.
    Decorrelated,
}

impl Jitter {
    /// Proportional, from 0.8 (R-B-1).
    pub const DEFAULT: Self = Self::Proportional { from_percent: 80 };

    /// How much of a wait proportional jitter may take away, in parts of 2^64.
    ///
    /// Rounded up, so that a fifth of a second is 200 ms and no nanosecond less. All of it has no
    /// room and is a part less, which leaves a nanosecond.
    const fn takes(self) -> u64 {
        match self {
            Self::Proportional { from_percent: percent @ ..100 } => {
                let all = 1_u128 << 64;
                let parts = (all * (100 - percent as u128)).div_ceil(100);
                if parts < all { parts as u64 } else { u64::MAX }
            }
            Self::Proportional { .. }
            | Self::None
            | Self::Full
            | Self::Equal
            | Self::Decorrelated => 0,
        }
    }
}

impl Default for Jitter {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a backoff makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BackoffError {
    /// The base is below a millisecond: retries would be a busy loop. Choose a longer one (R-B-4).
    BaseTooShort {
        /// The base that was given.
        base: Duration,
    },
    /// No wait could be as long as the base. Raise the cap, or lower the base.
    CapBelowBase {
        /// The cap that was given.
        cap: Duration,
        /// The base that was given.
        base: Duration,
    },
    /// The jitter would begin above the wait itself. Choose 0 to 100 percent.
    JitterAboveOne {
        /// The share that was given, in percent.
        from_percent: u8,
    },
}

impl fmt::Display for BackoffError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BaseTooShort { base } => {
                write!(f, "backoff base of {base:?} is below 1 ms: choose a longer one")
            }
            Self::CapBelowBase { cap, base } => {
                write!(f, "backoff cap of {cap:?} is below the base of {base:?}: raise the cap")
            }
            Self::JitterAboveOne { from_percent } => {
                write!(f, "jitter from {from_percent} percent is above the wait: choose 0 to 100")
            }
        }
    }
}

impl core::error::Error for BackoffError {}

/// The larger of two numbers: `Ord::max` cannot be called in constants.
pub(crate) const fn larger(one: u64, other: u64) -> u64 {
    if one > other { one } else { other }
}

/// `share` percent of `whole`, rounded down; it saturates.
pub(crate) fn percent(whole: u64, share: u8) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(share) / 100).unwrap_or(u64::MAX)
}

/// A value drawn evenly from `low..high`; `low` where that range is empty. One draw either way.
#[inline]
pub(crate) fn between(low: u64, high: u64, rng: &mut dyn Rng) -> u64 {
    low + share(high.saturating_sub(low), rng.next_u64())
}

/// So many parts of 2^64 of a whole, rounded down: less than the whole, unless that is zero.
///
/// The high half of a product of 128 bits, so that a draw of 64 bits is scaled without division.
#[inline]
const fn share(whole: u64, parts: u64) -> u64 {
    ((whole as u128 * parts as u128) >> 64) as u64
}
