//! The retry budget: a token bucket that bounds how much load retries may add (R-G-1 to R-G-3).

mod bucket;

use core::fmt;
use core::num::NonZeroU32;

use crate::backoff::larger;
use crate::policy::Class;

pub(crate) use self::bucket::Bucket;

/// One token, in milli-tokens.
const TOKEN: u32 = 1_000;

const NANOS_PER_SECOND: u32 = 1_000_000_000;

/// The largest capacity, in tokens (4.29 million): milli-tokens then fit 32 bits.
pub(crate) const MAX_CAPACITY: u32 = u32::MAX / TOKEN;

/// How much load retries may add to an upstream: the rules of a token bucket.
///
/// A budget is data; the tokens themselves live in an [`Upstream`](crate::Upstream), full at the
/// start. A retry that the bucket cannot pay for is refused at once and never waits. All amounts
/// are whole milli-tokens, of which what comes back with time is kept in exact fractions, and
/// `0 <= tokens <= capacity` holds after every step (R-G-3).
///
/// The default is [`Budget::STANDARD`].
///
/// ```
/// use redial_engine::Budget;
///
/// // At most 10 % of calls, no floor, after a burst of 50.
/// let tight = Budget::builder().deposit_milli(100).refill_per_second(0).capacity(50).build()?;
/// # Ok::<(), redial_engine::BudgetError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    capacity: u32,
    /// Put in by each call as it begins.
    deposit: u32,
    refill: Refill,
    /// What a retry costs, by the class of what it answers.
    cost: Costs,
    /// The least tokens with which any retry is allowed.
    threshold: u32,
    /// Taken by each retryable failure when it happens.
    failure: u32,
    /// Given by each success.
    success: u32,
    /// Given by a success at the first attempt, instead of a refund.
    first_success: u32,
    /// Whether the last retry's cost comes back when it succeeds.
    refund: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Costs {
    throttled: u32,
    server: u32,
    transient: u32,
    timeout: u32,
}

impl Costs {
    const fn all(cost: u32) -> Self {
        Self { throttled: cost, server: cost, transient: cost, timeout: cost }
    }

    #[inline]
    const fn of(&self, class: Class) -> u32 {
        match class {
            Class::Throttled => self.throttled,
            Class::Server => self.server,
            Class::Transient => self.transient,
            Class::Timeout => self.timeout,
        }
    }
}

/// What comes back with time: so many milli-tokens for each period.
///
/// Amount and period are the rate in lowest terms. A bucket counts in parts, as many to a
/// milli-token as the period has nanoseconds: each nanosecond then brings `amount` of them, exactly
/// and without a division.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Refill {
    amount: u32,
    /// Nanoseconds; at most a second.
    period: NonZeroU32,
}

impl Refill {
    /// Nothing comes back, however much time passes.
    const NONE: Self = Self { amount: 0, period: NonZeroU32::MIN };

    const fn per_second(milli: u32) -> Self {
        let (mut divisor, mut rest) = (NANOS_PER_SECOND, milli);
        while rest > 0 {
            (divisor, rest) = (rest, divisor % rest);
        }
        match NonZeroU32::new(NANOS_PER_SECOND / divisor) {
            Some(period) => Self { amount: milli / divisor, period },
            None => Self::NONE,
        }
    }

    /// So many milli-tokens in parts: the sum of two numbers of 32 bits, times one of 30, has room.
    #[inline]
    const fn parts(self, milli: u64) -> u64 {
        milli * self.period.get() as u64
    }

    /// What comes back in so many nanoseconds, in parts.
    #[inline]
    const fn in_nanos(self, nanos: u64) -> u64 {
        nanos.saturating_mul(self.amount as u64)
    }
}

impl Budget {
    const NOTHING: Self = Self {
        capacity: 0,
        deposit: 0,
        refill: Refill::NONE,
        cost: Costs::all(0),
        threshold: 0,
        failure: 0,
        success: 0,
        first_success: 0,
        refund: false,
    };

    /// The default: each call deposits 0.2, ten tokens a second always refill, capacity 100, a
    /// retry costs 1 (R-G-1).
    ///
    /// So retries add at most 20 % of calls and 10 a second, after a burst of 100.
    pub const STANDARD: Self = Self {
        capacity: 100 * TOKEN,
        deposit: TOKEN / 5,
        refill: Refill::per_second(10 * TOKEN),
        cost: Costs::all(TOKEN),
        ..Self::NOTHING
    };

    /// No bound: every retry is paid for.
    pub const UNLIMITED: Self = Self::NOTHING;

    /// No retries at all.
    pub const EMPTY: Self = Self { threshold: 1, ..Self::NOTHING };

    /// The AWS SDKs' standard mode, retry specification 2.0: capacity 500, 5 a retry, 10 after a
    /// failure (not a status); the last retry's cost comes back when it succeeds, and a success at
    /// the first attempt gives 1.
    pub const AWS_STANDARD_2_0: Self = Self {
        capacity: 500 * TOKEN,
        cost: Costs {
            throttled: 5 * TOKEN,
            server: 5 * TOKEN,
            transient: 10 * TOKEN,
            timeout: 10 * TOKEN,
        },
        first_success: TOKEN,
        refund: true,
        ..Self::NOTHING
    };

    /// The AWS SDKs' standard mode, retry specification 2.1: as 2.0, but 14 a retry and 5 where the
    /// server throttled.
    pub const AWS_STANDARD_2_1: Self = Self {
        cost: Costs { throttled: 5 * TOKEN, ..Costs::all(14 * TOKEN) },
        ..Self::AWS_STANDARD_2_0
    };

    /// gRPC's retry throttling (gRFC A6): each retryable failure takes 1 when it happens, each
    /// success gives `token_ratio_milli` thousandths, and retries are allowed above half of
    /// `max_tokens`.
    ///
    /// # Errors
    ///
    /// [`BudgetError::GrpcMaxTokens`] unless `max_tokens` is 1 to 1000, and
    /// [`BudgetError::GrpcTokenRatio`] where the ratio is zero.
    pub const fn grpc(max_tokens: u32, token_ratio_milli: u32) -> Result<Self, BudgetError> {
        if max_tokens == 0 || max_tokens > 1_000 {
            return Err(BudgetError::GrpcMaxTokens { max_tokens });
        }
        if token_ratio_milli == 0 {
            return Err(BudgetError::GrpcTokenRatio);
        }
        let capacity = max_tokens * TOKEN;
        Ok(Self {
            capacity,
            threshold: capacity / 2 + 1,
            failure: TOKEN,
            success: token_ratio_milli,
            ..Self::NOTHING
        })
    }

    /// Finagle's budget as a token bucket: a share of calls and a floor a second.
    ///
    /// Finagle lets deposits expire after a time to live; a token bucket has a capacity instead
    /// ([`Finagle::burst`]), which bounds the same thing: how much may be saved up.
    ///
    /// # Errors
    ///
    /// [`BudgetError::FinagleTtl`] unless the time to live is 1 to 60 s,
    /// [`BudgetError::FinagleRatio`] above one retry a call, and [`BudgetError::Capacity`] where
    /// the burst has no room in a bucket.
    pub const fn finagle(rules: Finagle) -> Result<Self, BudgetError> {
        let Finagle { ratio_ppm, min_retries_per_second, ttl_seconds, burst } = rules;
        if ttl_seconds == 0 || ttl_seconds > 60 {
            return Err(BudgetError::FinagleTtl { ttl_seconds });
        }
        if ratio_ppm > PPM {
            return Err(BudgetError::FinagleRatio { ratio_ppm });
        }
        // Each call deposits one milli-token's worth of a thousand, and a retry costs as many
        // calls as the ratio says: shares of one in ten thousand stay exact.
        let (deposit, cost) =
            if ratio_ppm == 0 { (0, TOKEN) } else { (TOKEN, per_retry(ratio_ppm)) };
        let reserve = min_retries_per_second as u64 * ttl_seconds as u64;
        let capacity = larger(reserve, burst as u64).saturating_mul(cost as u64);
        if capacity > MAX_CAPACITY as u64 * TOKEN as u64 {
            return Err(BudgetError::Capacity { tokens: capacity / TOKEN as u64 });
        }
        // The capacity holds what comes back in a second, so that this has room where it has.
        let refill = min_retries_per_second * cost;
        Ok(Self {
            capacity: capacity as u32,
            deposit,
            refill: Refill::per_second(refill),
            cost: Costs::all(cost),
            ..Self::NOTHING
        })
    }

    /// A token bucket with numbers of one's own, beginning with those of [`Budget::STANDARD`].
    pub const fn builder() -> BudgetBuilder {
        BudgetBuilder { budget: Self::STANDARD, capacity: 100, refill_per_second: 10 }
    }

    /// The most milli-tokens that the bucket holds.
    pub const fn capacity_milli(&self) -> u64 {
        self.capacity as u64
    }
}

impl Default for Budget {
    fn default() -> Self {
        Self::STANDARD
    }
}

/// The rules of Finagle's retry budget.
///
/// The default is Finagle's: 20 % of calls, ten retries a second, ten seconds to live, and a burst
/// of a hundred.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(default, deny_unknown_fields, expecting = "a table of numbers")
)]
pub struct Finagle {
    /// How many retries a million calls may cause: 200,000.
    pub ratio_ppm: u32,
    /// How many retries a second are always allowed: 10.
    pub min_retries_per_second: u32,
    /// How many seconds the floor may be saved up, 1 to 60: 10.
    pub ttl_seconds: u32,
    /// How many retries may be saved up in all: 100. The floor's own reserve is the least.
    pub burst: u32,
}

impl Finagle {
    /// Finagle's own numbers.
    pub const DEFAULT: Self =
        Self { ratio_ppm: PPM / 5, min_retries_per_second: 10, ttl_seconds: 10, burst: 100 };
}

impl Default for Finagle {
    fn default() -> Self {
        Self::DEFAULT
    }
}

pub(crate) const PPM: u32 = 1_000_000;

/// The milli-tokens of one retry where a call deposits a token; `ratio_ppm` is not zero.
const fn per_retry(ratio_ppm: u32) -> u32 {
    match (TOKEN as u64 * PPM as u64).checked_div(ratio_ppm as u64) {
        Some(cost) => cost as u32,
        None => TOKEN,
    }
}

/// Builds a [`Budget`] with numbers of one's own.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct BudgetBuilder {
    budget: Budget,
    capacity: u32,
    refill_per_second: u32,
}

impl BudgetBuilder {
    /// The most tokens that the bucket holds, and what it starts with: 100. At most 4,294,967.
    pub const fn capacity(self, tokens: u32) -> Self {
        Self { capacity: tokens, ..self }
    }

    /// The milli-tokens that each call puts in as it begins: 200, so that one call in five may be
    /// retried.
    pub const fn deposit_milli(self, milli: u32) -> Self {
        Self { budget: Budget { deposit: milli, ..self.budget }, ..self }
    }

    /// The tokens that come back each second whatever happens: 10. At most 4,294,967.
    pub const fn refill_per_second(self, tokens: u32) -> Self {
        Self { refill_per_second: tokens, ..self }
    }

    /// The milli-tokens that a retry costs: 1,000. At least one.
    pub const fn cost_milli(self, milli: u32) -> Self {
        Self { budget: Budget { cost: Costs::all(milli), ..self.budget }, ..self }
    }

    /// The budget.
    ///
    /// # Errors
    ///
    /// [`BudgetError::Capacity`] and [`BudgetError::Refill`] where a number is too large,
    /// [`BudgetError::TooSmall`] where the bucket could never pay for one retry
    /// ([`Budget::EMPTY`] says so plainly), and [`BudgetError::Free`] where it would never have to
    /// ([`Budget::UNLIMITED`]).
    pub const fn build(self) -> Result<Budget, BudgetError> {
        if self.capacity > MAX_CAPACITY {
            return Err(BudgetError::Capacity { tokens: self.capacity as u64 });
        }
        let Some(refill) = self.refill_per_second.checked_mul(TOKEN) else {
            return Err(BudgetError::Refill { tokens: self.refill_per_second });
        };
        if self.budget.cost.server == 0 {
            return Err(BudgetError::Free);
        }
        let capacity = self.capacity * TOKEN;
        if capacity < self.budget.cost.server {
            return Err(BudgetError::TooSmall { tokens: self.capacity });
        }
        Ok(Budget { capacity, refill: Refill::per_second(refill), ..self.budget })
    }
}

/// Why a budget makes no sense.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BudgetError {
    /// The bucket would hold more than 4,294,967 tokens. Choose a smaller capacity.
    Capacity {
        /// The capacity that was asked for, in tokens.
        tokens: u64,
    },
    /// More than 4,294,967 tokens a second would come back. Choose fewer.
    Refill {
        /// The refill that was asked for, in tokens a second.
        tokens: u32,
    },
    /// A retry would cost nothing. Let it cost something, or take [`Budget::UNLIMITED`].
    Free,
    /// A full bucket could not pay for one retry. Raise the capacity.
    TooSmall {
        /// The capacity that was given, in tokens.
        tokens: u32,
    },
    /// gRPC's `maxTokens` must be 1 to 1000.
    GrpcMaxTokens {
        /// The value that was given.
        max_tokens: u32,
    },
    /// gRPC's `tokenRatio` must be above zero.
    GrpcTokenRatio,
    /// Finagle's time to live must be 1 to 60 s.
    FinagleTtl {
        /// The value that was given, in seconds.
        ttl_seconds: u32,
    },
    /// A share above one retry a call is no bound. Choose at most 1,000,000 ppm.
    FinagleRatio {
        /// The share that was given, in parts per million.
        ratio_ppm: u32,
    },
}

impl fmt::Display for BudgetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Capacity { tokens } => {
                write!(f, "budget of {tokens} tokens is too large: choose at most {MAX_CAPACITY}")
            }
            Self::Refill { tokens } => {
                write!(f, "refill of {tokens} tokens a second: choose at most {MAX_CAPACITY}")
            }
            Self::Free => f.write_str("retries that cost nothing: choose the unlimited budget"),
            Self::TooSmall { tokens } => {
                write!(f, "budget of {tokens} tokens cannot pay for one retry: raise the capacity")
            }
            Self::GrpcMaxTokens { max_tokens } => {
                write!(f, "gRPC budget of {max_tokens} tokens: choose 1 to 1000")
            }
            Self::GrpcTokenRatio => f.write_str("gRPC token ratio of zero: choose a positive one"),
            Self::FinagleTtl { ttl_seconds } => {
                write!(f, "time to live of {ttl_seconds} s: choose 1 to 60 s")
            }
            Self::FinagleRatio { ratio_ppm } => {
                write!(f, "ratio of {ratio_ppm} ppm is no bound: choose at most {PPM}")
            }
        }
    }
}

impl core::error::Error for BudgetError {}
