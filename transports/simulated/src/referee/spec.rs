//! What must follow an outcome, written down once more from the requirements alone.
//!
//! It shares no code with the engine: where the two differ, one of them is wrong.

use core::time::Duration;

use rand_core::{Rng as _, SeedableRng as _};
use rand_xoshiro::Xoshiro256PlusPlus;
use redial_engine::{Delivery, Failure, FailureKind, Jitter, Outcome, Reason, Replay};

use crate::rng::Seed;
use crate::scenario::{PolicyPlan, millis};

/// The statuses that are retried (R-D-2), and those whose `Retry-After` counts (R-RA-1).
const RETRIED: [u16; 7] = [104, 408, 429, 500, 502, 503, 504];
const HINTED: [u16; 2] = [429, 503];
const NANOS_PER_MILLI: u64 = 1_000_000;

/// What is known of a call when one of its attempts comes to an outcome.
#[derive(Clone, Copy, Debug)]
pub(super) struct Situation {
    pub(super) replay: Replay,
    pub(super) spent: bool,
    pub(super) resent: bool,
    pub(super) attempts: u32,
    pub(super) previous_wait: u64,
    /// Nanoseconds, as are the next two.
    pub(super) deadline: u64,
    pub(super) cutoff: u64,
    pub(super) now: u64,
}

/// What must follow, budget aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// The call ends with this outcome.
    Done,
    /// The request is sent again at once.
    Resend,
    /// The call ends for this reason.
    GiveUp(Reason),
    /// If the budget pays, it waits so many nanoseconds, at the server's wish or not.
    Wait { nanos: u64, hinted: bool },
}

/// The rules, and the same generator that the client draws its jitter from (R-B-5).
#[derive(Clone, Debug)]
pub(super) struct Spec {
    policy: PolicyPlan,
    twin: Xoshiro256PlusPlus,
}

impl Spec {
    pub(super) fn new(policy: PolicyPlan, seed: Seed) -> Self {
        Self { policy, twin: Xoshiro256PlusPlus::seed_from_u64(seed.0) }
    }

    pub(super) const fn attempts(&self) -> u32 {
        self.policy.attempts
    }

    pub(super) fn attempt_timeout(&self) -> Option<Duration> {
        let timeout = self.policy.attempt_timeout;
        (timeout > 0).then(|| millis(timeout))
    }

    pub(super) fn next(&mut self, outcome: &Outcome, call: &Situation) -> Next {
        if is_stale(outcome) && !call.resent && !call.spent && call.now < call.cutoff {
            return Next::Resend;
        }
        if !self.is_retried(outcome) {
            return Next::Done;
        }
        let unsent =
            matches!(outcome, Outcome::Failure(Failure { delivery: Delivery::Unsent, .. }));
        match call.replay {
            Replay::Never => return Next::GiveUp(Reason::NotRepeatable),
            Replay::IfUnsent if !unsent => return Next::GiveUp(Reason::NotRepeatable),
            Replay::IfUnsent | Replay::Freely => {}
        }
        if call.spent {
            return Next::GiveUp(Reason::BodySpent);
        }
        if call.attempts >= self.policy.attempts {
            return Next::GiveUp(Reason::AttemptsExhausted);
        }
        let hint = hint(outcome);
        if hint > u64::from(self.policy.hint_max) * NANOS_PER_MILLI {
            return Next::GiveUp(Reason::HintBeyondCap);
        }
        let hinted = hint > 0;
        let nanos = if hinted { hint } else { self.backoff(call) };
        if call.now.saturating_add(nanos) >= call.deadline {
            return Next::GiveUp(Reason::DeadlineWouldPass);
        }
        Next::Wait { nanos, hinted }
    }

    /// R-D-2, R-D-3, R-D-6 and R-D-10.
    fn is_retried(&self, outcome: &Outcome) -> bool {
        match outcome {
            Outcome::Failure(failure) => is_retried(failure.kind),
            Outcome::Response { status, hint } => {
                let retried = RETRIED.contains(status) || *status == self.policy.also;
                let said = hint.says_retry().filter(|_| self.policy.should_retry && *status >= 400);
                said.unwrap_or(retried)
            }
        }
    }

    /// R-B-1 and R-B-2.
    fn backoff(&mut self, call: &Situation) -> u64 {
        let base = u128::from(self.policy.base) * u128::from(NANOS_PER_MILLI);
        let cap = u128::from(self.policy.cap) * u128::from(NANOS_PER_MILLI);
        let doubled =
            (0..call.attempts.saturating_sub(1)).fold(base, |wait, _| (wait * 2).min(cap));
        let whole = doubled.min(cap);
        let (low, high) = match self.policy.jitter {
            Jitter::None => return nanos(whole),
            Jitter::Proportional { from_percent } => {
                (whole * u128::from(from_percent) / 100, whole)
            }
            Jitter::Full => (0, whole),
            Jitter::Equal => (whole / 2, whole),
            Jitter::Decorrelated => {
                let first = call.attempts <= 1;
                let previous = if first { base } else { u128::from(call.previous_wait) };
                (base.min(cap), (previous * 3).min(cap))
            }
        };
        let draw = u128::from(self.twin.next_u64());
        nanos(low + ((draw * high.saturating_sub(low)) >> 64))
    }
}

fn nanos(nanos: u128) -> u64 {
    u64::try_from(nanos).unwrap_or(u64::MAX)
}

/// R-D-7: a connection that was used before died before anything was sent.
fn is_stale(outcome: &Outcome) -> bool {
    let Outcome::Failure(Failure { kind, delivery, reused, .. }) = outcome else { return false };
    let kinds = [FailureKind::Closed, FailureKind::Reset, FailureKind::GoAway { graceful: true }];
    *reused && *delivery == Delivery::Unsent && kinds.contains(kind)
}

/// R-D-3.
pub(super) const fn is_retried(kind: FailureKind) -> bool {
    !matches!(
        kind,
        FailureKind::Tls
            | FailureKind::RemoteProtocol
            | FailureKind::ResponseTooLarge
            | FailureKind::InvalidRequest
            | FailureKind::BodySpent
            | FailureKind::LocalLimit
            | FailureKind::ClientClosed
    )
}

fn hint(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Response { status, hint } if HINTED.contains(status) => {
            hint.wait().map_or(0, |wait| nanos(wait.as_nanos()))
        }
        Outcome::Response { .. } | Outcome::Failure(_) => 0,
    }
}
