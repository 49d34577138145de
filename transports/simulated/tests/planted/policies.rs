//! Policies that do not do what the scenario's policy says.

use core::num::NonZeroU32;
use core::time::Duration;

use rand_core::Rng;
use redial_engine::{
    Class, Failure, FailureKind, Judgement, Limits, Outcome, Policy, RetryContext, StandardPolicy,
};

/// What is wrong with a policy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    OneAttemptTooMany,
    OneAttemptTooFew,
    HintIgnored,
    HintHeededOnEveryStatus,
    HintWithoutCap,
    HintSpread,
    AttemptTimeoutForgotten,
    CallTimeoutOfItsOwn,
    WaitBeyondTheCap,
    WaitHalved,
    NoWait,
    JitterInWholeMilliseconds,
    TwoDraws,
    FinalStatusRetried,
    RetriedStatusFinal,
    TruncatedFinal,
    GarbageRetried,
}

impl How {
    pub(crate) const ALL: [Self; 17] = [
        Self::OneAttemptTooMany,
        Self::OneAttemptTooFew,
        Self::HintIgnored,
        Self::HintHeededOnEveryStatus,
        Self::HintWithoutCap,
        Self::HintSpread,
        Self::AttemptTimeoutForgotten,
        Self::CallTimeoutOfItsOwn,
        Self::WaitBeyondTheCap,
        Self::WaitHalved,
        Self::NoWait,
        Self::JitterInWholeMilliseconds,
        Self::TwoDraws,
        Self::FinalStatusRetried,
        Self::RetriedStatusFinal,
        Self::TruncatedFinal,
        Self::GarbageRetried,
    ];
}

/// The policy of a scenario, with something wrong.
#[derive(Clone, Copy)]
pub(crate) struct Wrong {
    pub(crate) inner: StandardPolicy,
    pub(crate) how: How,
}

impl Policy for Wrong {
    fn limits(&self) -> Limits {
        let limits = self.inner.limits();
        // The policy keeps its limits to itself; those of a scenario are at most six attempts.
        let attempts = (1..=6)
            .rev()
            .find(|attempts| limits == limits.max_attempts(NonZeroU32::new(*attempts).unwrap()));
        let attempts = attempts.unwrap();
        let with = |attempts: u32| limits.max_attempts(NonZeroU32::new(attempts.max(1)).unwrap());
        match self.how {
            How::OneAttemptTooMany => with(attempts + 1),
            How::OneAttemptTooFew => with(attempts - 1),
            How::HintWithoutCap => limits.retry_after_max(Duration::MAX),
            How::HintSpread => limits.retry_after_spread(10),
            How::AttemptTimeoutForgotten => limits.attempt_timeout(Duration::MAX),
            How::CallTimeoutOfItsOwn => limits.call_timeout(Duration::from_secs(3)),
            _ => limits,
        }
    }

    fn judge(&self, outcome: &Outcome) -> Judgement {
        let judgement = self.inner.judge(outcome);
        match (self.how, judgement, outcome) {
            (How::HintIgnored, Judgement::Retry { class, .. }, _) => {
                Judgement::Retry { class, heed_hint: false }
            }
            (How::HintHeededOnEveryStatus, Judgement::Retry { class, .. }, _) => {
                Judgement::Retry { class, heed_hint: true }
            }
            (How::FinalStatusRetried, _, Outcome::Response { status: 404, .. })
            | (
                How::GarbageRetried,
                _,
                Outcome::Failure(Failure { kind: FailureKind::RemoteProtocol, .. }),
            ) => Judgement::retry(Class::Server),
            (How::RetriedStatusFinal, _, Outcome::Response { status: 502, .. })
            | (
                How::TruncatedFinal,
                _,
                Outcome::Failure(Failure { kind: FailureKind::Truncated, .. }),
            ) => Judgement::Final,
            _ => judgement,
        }
    }

    fn delay(&self, retry: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration {
        let wait = self.inner.delay(retry, rng);
        match self.how {
            How::WaitBeyondTheCap => wait + wait / 4,
            How::WaitHalved => wait / 2,
            How::NoWait => Duration::ZERO,
            How::JitterInWholeMilliseconds => {
                Duration::from_millis(u64::try_from(wait.as_millis()).unwrap())
            }
            How::TwoDraws => {
                let _ = rng.next_u64();
                wait
            }
            _ => wait,
        }
    }
}
