//! What ends an attempt, and what ends a call: plain data, which the transitions in `call.rs` make.

use core::fmt;

use crate::outcome::FailureKind;
use crate::time::Timestamp;

/// When to stop waiting for an attempt's outcome, and which limit that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cutoff {
    /// The point in time.
    pub at: Timestamp,
    /// The limit that is reached then.
    pub limit: Limit,
}

impl Cutoff {
    /// What kind of failure it is to have waited until then.
    pub const fn kind(&self) -> FailureKind {
        match self.limit {
            Limit::AttemptTimeout => FailureKind::AttemptTimeout,
            Limit::Deadline => FailureKind::Deadline,
        }
    }
}

/// A limit on the time of an attempt.
///
/// Exhaustive on purpose: an attempt is bounded by its own timeout and by its call's deadline.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// The attempt's own timeout.
    AttemptTimeout,
    /// The deadline of the whole call.
    Deadline,
}

/// How a call ended that ended with a final outcome, and after how many attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Final {
    /// What made the outcome final.
    pub finality: Finality,
    /// How many attempts were made.
    pub attempts: u32,
}

/// What made an outcome final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Finality {
    /// A status below 400.
    Success,
    /// A status that the policy does not retry. Add it to the policy's table if it is worth it.
    Status,
    /// A failure that the policy does not retry. Its kind says what to mend.
    Failure,
    /// The server said that another attempt makes no sense (R-D-10).
    ServerSaidNo,
}

/// Why no further attempt is made, and how many were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GiveUp {
    /// Why. Where several reasons hold, the first in the order of [`Reason`].
    pub reason: Reason,
    /// How many attempts were made.
    pub attempts: u32,
}

/// Why no further attempt is made, although the outcome is one that the policy retries.
///
/// The order is R-D-9's: where several reasons hold, the first is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Reason {
    /// The request is not one that may be repeated after this: it might be carried out twice, or it
    /// was never sent and nobody has permitted that either. Mark it idempotent if it is, or permit
    /// what [`Replay::IfUnsent`](crate::Replay::IfUnsent) does (R-D-4).
    NotRepeatable,
    /// The body was a one-shot stream. Give one that can be produced again (R-D-5).
    BodySpent,
    /// All attempts were made (R-D-1).
    AttemptsExhausted,
    /// The server asked for a longer wait than `retry_after_max`. Come back later (R-RA-6).
    HintBeyondCap,
    /// The next attempt could not begin before the deadline (R-T-5).
    DeadlineWouldPass,
    /// The upstream's retry budget is spent: it fails too often to be retried (R-G-1).
    BudgetExhausted,
}

impl Reason {
    /// The name in reports: the variant's in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotRepeatable => "not_repeatable",
            Self::BodySpent => "body_spent",
            Self::AttemptsExhausted => "attempts_exhausted",
            Self::HintBeyondCap => "hint_beyond_cap",
            Self::DeadlineWouldPass => "deadline_would_pass",
            Self::BudgetExhausted => "budget_exhausted",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotRepeatable => "the request is not one that may be repeated",
            Self::BodySpent => "the body can be produced only once",
            Self::AttemptsExhausted => "all attempts were made",
            Self::HintBeyondCap => "the server asks for too long a wait",
            Self::DeadlineWouldPass => "the next attempt could not begin before the deadline",
            Self::BudgetExhausted => "the retry budget is spent",
        })
    }
}
