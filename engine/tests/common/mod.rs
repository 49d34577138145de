//! What the tests share: generators whose draws are known, and short ways to take a step.

#![allow(dead_code, reason = "each test uses a part of this")]

use core::convert::Infallible;
use core::time::Duration;

use rand_core::TryRng;
use redial_engine::{
    Action, Attempt, Call, Outcome, Pause, Policy, Replay, Retry, StandardPolicy, Timestamp,
    Upstream, Verdict,
};

/// The generator that draws one value for ever, and counts its draws.
#[derive(Clone, Debug)]
pub(crate) struct Always {
    value: u64,
    pub(crate) draws: u64,
}

impl Always {
    /// Draws nought: the least wait of every range.
    pub(crate) const fn lowest() -> Self {
        Self { value: 0, draws: 0 }
    }

    /// Draws as close to one as there is: a range's greatest wait, a nanosecond below its end.
    pub(crate) const fn highest() -> Self {
        Self { value: u64::MAX, draws: 0 }
    }
}

impl TryRng for Always {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("the engine draws 64 bits at a time (R-B-5)");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.draws += 1;
        Ok(self.value)
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        panic!("the engine draws 64 bits at a time (R-B-5)");
    }
}

/// Another generator, whose draws are counted.
#[derive(Clone, Debug)]
pub(crate) struct Counted<R> {
    inner: R,
    pub(crate) draws: u64,
}

impl<R> Counted<R> {
    pub(crate) const fn new(inner: R) -> Self {
        Self { inner, draws: 0 }
    }
}

impl<R: TryRng<Error = Infallible>> TryRng for Counted<R> {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        panic!("the engine draws 64 bits at a time (R-B-5)");
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.draws += 1;
        self.inner.try_next_u64()
    }

    fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Infallible> {
        panic!("the engine draws 64 bits at a time (R-B-5)");
    }
}

/// So many milliseconds after the origin.
pub(crate) fn at_ms(millis: u64) -> Timestamp {
    Timestamp::ORIGIN.saturating_add(Duration::from_millis(millis))
}

pub(crate) const fn ms(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

pub(crate) const fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

/// Begins a call that has its whole time before it.
pub(crate) fn begin<P: Policy + Clone>(
    policy: P,
    call: Call,
    now: Timestamp,
    upstream: &mut Upstream,
) -> Attempt<P> {
    attempt(Retry::new(policy).begin(call, now, upstream))
}

/// The attempt that is to be sent.
pub(crate) fn attempt<P>(action: Action<P>) -> Attempt<P> {
    resent(Verdict::Next(action))
}

/// The attempt that is to be sent at once, after another one.
pub(crate) fn resent<P>(verdict: Verdict<P>) -> Attempt<P> {
    let found = word(&verdict);
    let Verdict::Next(Action::Send(attempt)) = verdict else { panic!("it is not sent: {found}") };
    attempt
}

/// The pause before the next attempt.
pub(crate) fn pause<P>(verdict: Verdict<P>) -> Pause<P> {
    let found = word(&verdict);
    let Verdict::Next(Action::Sleep(pause)) = verdict else { panic!("no retry: {found}") };
    pause
}

/// What a verdict comes to, in a word: `success`, `status`, `resend`, `retry`, or a reason's name.
pub(crate) fn word<P>(verdict: &Verdict<P>) -> &'static str {
    match verdict {
        Verdict::Done(end) => match end.finality {
            redial_engine::Finality::Success => "success",
            redial_engine::Finality::Status => "status",
            redial_engine::Finality::Failure => "failure",
            redial_engine::Finality::ServerSaidNo => "server_said_no",
            _ => "a finality that the tests do not know",
        },
        Verdict::Next(Action::Send(_)) => "resend",
        Verdict::Next(Action::Sleep(_)) => "retry",
        Verdict::Next(Action::GiveUp(why)) => why.reason.name(),
    }
}

/// What a policy makes of the first attempt's outcome, with a full budget and no deadline.
pub(crate) fn judged(policy: &StandardPolicy, replay: Replay, outcome: &Outcome) -> &'static str {
    let mut upstream = Upstream::default();
    let first = begin(policy, Call::new(replay), Timestamp::ORIGIN, &mut upstream);
    let mut rng = Always::lowest();
    word(&first.finish(outcome, Timestamp::ORIGIN, &mut upstream, &mut rng))
}
