//! Any policy, any outcomes, any clock: a call ends within its attempts, and nothing panics.

#![no_main]

use core::num::NonZeroU32;
use core::time::Duration;

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use redial_engine::{
    Action, Backoff, Budget, Call, Delivery, Failure, FailureKind, Jitter, Outcome, Replay, Retry,
    ServerHint, StandardPolicy, Timestamp, Upstream, Verdict,
};

#[derive(Arbitrary, Debug)]
struct Input {
    seed: u64,
    max_attempts: u32,
    base: Duration,
    cap: Duration,
    jitter: u8,
    spread: u8,
    hint_max: Duration,
    attempt_timeout: Option<Duration>,
    timeout: Option<Duration>,
    deadline: Option<u64>,
    replay: u8,
    began: u64,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    now: u64,
    status: Option<u16>,
    hint: Duration,
    kind: usize,
    delivery: u8,
    reused: bool,
    spent: bool,
}

impl Step {
    fn outcome(&self) -> Outcome {
        if let Some(status) = self.status {
            return Outcome::hinted(status, ServerHint::NONE.after(self.hint));
        }
        let kind = FailureKind::ALL[self.kind % FailureKind::ALL.len()];
        let delivery = [Delivery::Unsent, Delivery::Unknown, Delivery::Answered]
            [usize::from(self.delivery % 3)];
        let failure = Failure::new(kind, delivery);
        Outcome::Failure(if self.reused { failure.on_reused() } else { failure })
    }
}

fuzz_target!(|input: Input| {
    let jitter = match input.jitter % 6 {
        0 => Jitter::None,
        1 => Jitter::Full,
        2 => Jitter::Equal,
        3 => Jitter::Decorrelated,
        _ => Jitter::Proportional { from_percent: input.jitter },
    };
    let built = StandardPolicy::builder()
        .max_attempts(input.max_attempts)
        .backoff(Backoff::exponential(input.base).cap(input.cap).jitter(jitter))
        .retry_after_max(input.hint_max)
        .retry_after_spread(input.spread)
        .build();
    let Ok(policy) = built else { return };
    let replay = [Replay::Freely, Replay::IfUnsent, Replay::Never][usize::from(input.replay % 3)];
    let mut call = Call::new(replay);
    if let Some(timeout) = input.attempt_timeout {
        call = call.attempt_timeout(timeout);
    }
    if let Some(timeout) = input.timeout {
        call = call.timeout(timeout);
    }
    if let Some(deadline) = input.deadline {
        call = call.deadline(Timestamp::from_nanos(deadline));
    }
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(input.seed);
    let mut upstream = Upstream::new(Budget::STANDARD);
    let retry = Retry::new(&policy);
    let mut action = retry.begin(call, Timestamp::from_nanos(input.began), &mut upstream);
    for step in &input.steps {
        let now = Timestamp::from_nanos(step.now);
        action = match action {
            Action::Send(mut attempt) => {
                assert!(attempt.number() <= NonZeroU32::new(input.max_attempts).unwrap());
                if step.spent {
                    attempt.body_spent();
                }
                match attempt.finish(&step.outcome(), now, &mut upstream, &mut rng) {
                    Verdict::Done(end) => {
                        assert!(end.attempts <= input.max_attempts);
                        return;
                    }
                    Verdict::Next(action) => action,
                }
            }
            Action::Sleep(pause) => pause.resume(now, &mut upstream),
            Action::GiveUp(why) => {
                assert!(why.attempts <= input.max_attempts);
                return;
            }
        };
        assert!(upstream.tokens_milli() <= 100_000);
    }
});
