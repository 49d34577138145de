//! What holds for every policy, every outcome and every clock, however strange.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::num::NonZeroU32;
use core::time::Duration;

use common::{Always, Counted};
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use rand_core::Rng;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use redial_engine::{
    Action, Attempt, Backoff, Budget, Call, Class, Cutoff, Delivery, Failure, FailureKind, Jitter,
    Limit, Outcome, PauseCause, Reason, Replay, Retry, RetryContext, ServerHint, StandardPolicy,
    Timestamp, Upstream, Verdict,
};

/// Everything that one call depends on.
#[derive(Clone, Debug)]
struct Setting {
    base: u64,
    cap: u64,
    jitter: Jitter,
    max_attempts: u32,
    own_attempts: Option<u32>,
    attempt_timeout: Option<Duration>,
    call_timeout: Option<Duration>,
    deadline: Option<u64>,
    retry_after_max: Duration,
    spread: u8,
    replay: Replay,
    bucket: Bucket,
    start: u64,
    steps: Vec<Step>,
    seed: u64,
}

/// A token bucket's numbers: tokens, milli-tokens, tokens a second, milli-tokens.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    capacity: u32,
    deposit: u32,
    refill: u32,
    cost: u32,
}

/// What an attempt comes to, what the clock does meanwhile, and how late the timer fires.
#[derive(Clone, Copy, Debug)]
struct Step {
    outcome: Outcome,
    meanwhile: Tick,
    late: Tick,
    body_spent: bool,
}

/// A movement of the clock.
#[derive(Clone, Copy, Debug)]
enum Tick {
    On(u64),
    Back(u64),
    To(u64),
}

impl Tick {
    const fn from(self, now: u64) -> u64 {
        match self {
            Self::On(nanos) => now.saturating_add(nanos),
            Self::Back(nanos) => now.saturating_sub(nanos),
            Self::To(nanos) => nanos,
        }
    }
}

/// One thing that happened in a call.
#[derive(Clone, Debug, PartialEq)]
enum Event {
    Sent { now: u64, number: u32, fresh: bool, cutoff: Option<Cutoff> },
    Slept { failed: u32, now: u64, until: u64, wait: u64, cause: PauseCause, draws: u64 },
    WokeEarly,
    GaveUp { now: u64, reason: Reason, attempts: u32, draws: u64 },
    Done { attempts: u32, draws: u64 },
}

impl Setting {
    fn policy(&self) -> StandardPolicy {
        let backoff = Backoff::exponential(Duration::from_nanos(self.base))
            .cap(Duration::from_nanos(self.cap))
            .jitter(self.jitter);
        let mut policy = StandardPolicy::builder()
            .max_attempts(self.max_attempts)
            .backoff(backoff)
            .retry_after_max(self.retry_after_max)
            .retry_after_spread(self.spread);
        if let Some(timeout) = self.attempt_timeout {
            policy = policy.attempt_timeout(timeout);
        }
        if let Some(timeout) = self.call_timeout {
            policy = policy.call_timeout(timeout);
        }
        policy.build().expect("the strategies make policies that make sense")
    }

    fn call(&self) -> Call {
        let mut call = Call::new(self.replay);
        if let Some(deadline) = self.deadline {
            call = call.deadline(Timestamp::from_nanos(deadline));
        }
        if let Some(attempts) = self.own_attempts.and_then(NonZeroU32::new) {
            call = call.max_attempts(attempts);
        }
        call
    }

    fn attempts(&self) -> u32 {
        self.own_attempts.unwrap_or(self.max_attempts)
    }

    /// The first point in time at which nothing may begin; `None` where there is no limit.
    fn ends(&self) -> Option<u64> {
        let timeout = self.call_timeout.map_or(u128::MAX, |timeout| timeout.as_nanos());
        let by_timeout = u128::from(self.start).saturating_add(timeout);
        let by_deadline = self.deadline.map_or(u128::MAX, u128::from);
        u64::try_from(by_timeout.min(by_deadline)).ok().filter(|end| *end != u64::MAX)
    }

    fn budget(&self) -> Budget {
        self.bucket.budget()
    }

    /// Carries out one call; the outcomes are taken in turn, until it ends or they do.
    fn run(&self, upstream: &mut Upstream, rng: &mut Counted<impl Rng>) -> Vec<Event> {
        let policy = self.policy();
        let mut now = self.start;
        let mut events = Vec::new();
        let retry = Retry::new(&policy);
        let mut action = retry.begin(self.call(), Timestamp::from_nanos(now), upstream);
        let mut steps = self.steps.iter();
        let mut late = Tick::On(0);
        loop {
            action = match action {
                Action::GiveUp(why) => {
                    let (reason, attempts) = (why.reason, why.attempts);
                    events.push(Event::GaveUp { now, reason, attempts, draws: 0 });
                    return events;
                }
                Action::Send(attempt) => {
                    events.push(sent(now, &attempt));
                    let Some(step) = steps.next() else { return events };
                    now = step.meanwhile.from(now);
                    late = step.late;
                    match self.finish(attempt, step, now, upstream, rng, &mut events) {
                        Some(action) => action,
                        None => return events,
                    }
                }
                Action::Sleep(pause) => {
                    let woken = late.from(pause.until().as_nanos());
                    let early = woken < pause.until().as_nanos();
                    now = woken;
                    let action = pause.resume(Timestamp::from_nanos(now), upstream);
                    if early {
                        assert!(
                            matches!(action, Action::Sleep(_)),
                            "too early is harmless (R-T-6)"
                        );
                        events.push(Event::WokeEarly);
                        late = Tick::On(0);
                    }
                    action
                }
            }
        }
    }

    fn finish<'a>(
        &self,
        mut attempt: Attempt<&'a StandardPolicy>,
        step: &Step,
        now: u64,
        upstream: &mut Upstream,
        rng: &mut Counted<impl Rng>,
        events: &mut Vec<Event>,
    ) -> Option<Action<&'a StandardPolicy>> {
        let failed = attempt.number().get();
        if step.body_spent {
            attempt.body_spent();
        }
        let before = rng.draws;
        let verdict = attempt.finish(&step.outcome, Timestamp::from_nanos(now), upstream, rng);
        let draws = rng.draws - before;
        match verdict {
            Verdict::Done(end) => {
                events.push(Event::Done { attempts: end.attempts, draws });
                None
            }
            Verdict::Next(Action::GiveUp(why)) => {
                let (reason, attempts) = (why.reason, why.attempts);
                events.push(Event::GaveUp { now, reason, attempts, draws });
                None
            }
            Verdict::Next(Action::Sleep(pause)) => {
                let wait = u64::try_from(pause.wait().as_nanos()).unwrap();
                let (until, cause) = (pause.until().as_nanos(), pause.cause());
                assert_eq!(pause.next_attempt().get(), failed.saturating_add(1));
                events.push(Event::Slept { failed, now, until, wait, cause, draws });
                Some(Action::Sleep(pause))
            }
            Verdict::Next(Action::Send(attempt)) => {
                assert_eq!(draws, 0, "a re-send waits for nothing");
                Some(Action::Send(attempt))
            }
        }
    }

    fn trace(&self) -> Vec<Event> {
        let mut rng = Counted::new(Xoshiro256PlusPlus::seed_from_u64(self.seed));
        self.run(&mut Upstream::new(self.budget()), &mut rng)
    }
}

fn sent<P: redial_engine::Policy>(now: u64, attempt: &Attempt<P>) -> Event {
    let (number, fresh) = (attempt.number().get(), attempt.needs_fresh_connection());
    Event::Sent { now, number, fresh, cutoff: attempt.deadline() }
}

impl Bucket {
    fn budget(self) -> Budget {
        Budget::builder()
            .capacity(self.capacity)
            .deposit_milli(self.deposit)
            .refill_per_second(self.refill)
            .cost_milli(self.cost)
            .build()
            .expect("the strategies make budgets that make sense")
    }
}

fn durations() -> impl Strategy<Value = Duration> {
    prop_oneof![
        6 => (0_u64..20_000).prop_map(Duration::from_millis),
        1 => Just(Duration::ZERO),
        1 => Just(Duration::MAX),
        1 => any::<u64>().prop_map(Duration::from_nanos),
    ]
}

fn times() -> impl Strategy<Value = u64> {
    prop_oneof![
        6 => 0_u64..60_000_000_000,
        1 => Just(0_u64),
        1 => Just(u64::MAX),
        1 => (0_u64..5_000_000_000).prop_map(|below| u64::MAX - below),
        1 => any::<u64>(),
    ]
}

fn ticks() -> impl Strategy<Value = Tick> {
    prop_oneof![
        12 => (0_u64..3_000_000_000).prop_map(Tick::On),
        4 => Just(Tick::On(0)),
        2 => (0_u64..3_000_000_000).prop_map(Tick::Back),
        1 => times().prop_map(Tick::To),
    ]
}

fn hints() -> impl Strategy<Value = ServerHint> {
    let wait = prop_oneof![2 => Just(Duration::ZERO), 3 => durations()];
    (wait, prop_oneof![4 => Just(None), 1 => any::<bool>().prop_map(Some)]).prop_map(
        |(wait, says)| {
            let hint = ServerHint::NONE.after(wait);
            says.map_or(hint, |yes| hint.should_retry(yes))
        },
    )
}

fn kinds() -> impl Strategy<Value = FailureKind> {
    let rude = Just(FailureKind::GoAway { graceful: false });
    prop_oneof![8 => prop::sample::select(FailureKind::ALL), 1 => rude]
}

fn outcomes() -> impl Strategy<Value = Outcome> {
    let statuses = prop_oneof![
        6 => prop::sample::select(vec![503_u16, 429, 500, 502, 408]),
        1 => prop::sample::select(vec![200_u16, 301, 404]),
        1 => any::<u16>(),
    ];
    let deliveries =
        prop::sample::select(vec![Delivery::Unsent, Delivery::Unknown, Delivery::Answered]);
    prop_oneof![
        2 => (statuses, hints()).prop_map(|(status, hint)| Outcome::Response { status, hint }),
        1 => (kinds(), deliveries, any::<bool>()).prop_map(|(kind, delivery, reused)| {
            let failure = Failure::new(kind, delivery);
            Outcome::Failure(if reused { failure.on_reused() } else { failure })
        }),
    ]
}

fn jitters() -> impl Strategy<Value = Jitter> {
    prop_oneof![
        Just(Jitter::None),
        (0_u8..=100).prop_map(|from_percent| Jitter::Proportional { from_percent }),
        Just(Jitter::Full),
        Just(Jitter::Equal),
        Just(Jitter::Decorrelated),
    ]
}

/// A base of a millisecond or more, and a cap that is not below it, in nanoseconds.
fn bases_and_caps() -> impl Strategy<Value = (u64, u64)> {
    let base = prop_oneof![
        6 => 1_000_000_u64..5_000_000_000,
        1 => Just(1_000_000_u64),
        1 => Just(u64::MAX),
        1 => 1_000_000..u64::MAX,
    ];
    base.prop_flat_map(|base| {
        (Just(base), prop_oneof![Just(base), Just(u64::MAX), base..=u64::MAX])
    })
}

fn buckets() -> impl Strategy<Value = Bucket> {
    let costs = prop_oneof![Just(1_000_u32), 1_u32..5_000];
    let refills = prop_oneof![Just(0_u32), Just(10_u32), 0_u32..1_000];
    (6_u32..200, 0_u32..3_000, refills, costs)
        .prop_map(|(capacity, deposit, refill, cost)| Bucket { capacity, deposit, refill, cost })
}

prop_compose! {
    fn limits()(
        max_attempts in prop_oneof![1_u32..8, Just(u32::MAX)],
        own_attempts in prop::option::weighted(0.2, 1_u32..12),
        attempt_timeout in prop::option::of(durations()),
        call_timeout in prop::option::of(durations()),
        deadline in prop::option::of(times()),
        retry_after_max in durations(),
        spread in prop_oneof![Just(0_u8), 0_u8..=100],
    ) -> (u32, Option<u32>, [Option<Duration>; 2], Option<u64>, Duration, u8) {
        (max_attempts, own_attempts, [attempt_timeout, call_timeout], deadline, retry_after_max, spread)
    }
}

prop_compose! {
    fn steps()(
        outcome in outcomes(),
        meanwhile in ticks(),
        late in ticks(),
        body_spent in prop::bool::weighted(0.05),
    ) -> Step {
        Step { outcome, meanwhile, late, body_spent }
    }
}

prop_compose! {
    fn settings()(
        (base, cap) in bases_and_caps(),
        jitter in jitters(),
        (max_attempts, own_attempts, [attempt_timeout, call_timeout], deadline, retry_after_max, spread)
            in limits(),
        replay in prop::sample::select(vec![Replay::Freely, Replay::Freely, Replay::IfUnsent, Replay::Never]),
        bucket in buckets(),
        start in times(),
        steps in prop::collection::vec(steps(), 1..24),
        seed in any::<u64>(),
    ) -> Setting {
        Setting {
            base, cap, jitter, max_attempts, own_attempts, attempt_timeout, call_timeout, deadline,
            retry_after_max, spread, replay, bucket, start, steps, seed,
        }
    }
}

fn config() -> ProptestConfig {
    ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn no_call_makes_more_attempts_than_it_may(setting in settings()) {
        // R-D-1. A re-send that is not counted has its attempt's number.
        let mut numbers = Vec::new();
        for event in setting.trace() {
            match event {
                Event::Sent { number, fresh: false, .. } => numbers.push(number),
                Event::Sent { number, fresh: true, .. } => {
                    prop_assert_eq!(numbers.last(), Some(&number));
                }
                Event::GaveUp { attempts, .. } | Event::Done { attempts, .. } => {
                    prop_assert_eq!(attempts as usize, numbers.len(), "R-D-9");
                }
                Event::Slept { .. } | Event::WokeEarly => {}
            }
        }
        prop_assert!(numbers.len() <= setting.attempts() as usize);
        prop_assert!(numbers.iter().copied().eq(1..=numbers.len() as u32), "{:?}", numbers);
    }

    #[test]
    fn nothing_begins_at_or_past_the_deadline_and_no_wait_ends_there(setting in settings()) {
        // R-T-5, R-T-6, R-T-8.
        let end = setting.ends().unwrap_or(u64::MAX);
        let limited = setting.ends().is_some();
        let mut began = 0;
        for event in setting.trace() {
            match event {
                Event::Sent { now, fresh, cutoff, .. } => {
                    prop_assert!(!limited || now < end, "sent at {} past {}", now, end);
                    // A re-send has its attempt's limit, which began when the attempt did.
                    began = if fresh { began } else { now };
                    cut_off(&setting, began, cutoff)?;
                }
                Event::Slept { until, .. } => prop_assert!(!limited || until < end),
                Event::GaveUp { .. } | Event::Done { .. } | Event::WokeEarly => {}
            }
        }
    }

    #[test]
    fn no_decision_names_a_deadline_where_none_is_set(setting in settings()) {
        // R-T-5: neither in a reason nor as an attempt's limit.
        let setting = Setting { call_timeout: None, deadline: None, ..setting };
        for event in setting.trace() {
            match event {
                Event::Sent { cutoff, .. } => {
                    prop_assert_ne!(cutoff.map(|cutoff| cutoff.limit), Some(Limit::Deadline));
                }
                Event::GaveUp { reason, .. } => prop_assert_ne!(reason, Reason::DeadlineWouldPass),
                Event::Slept { .. } | Event::Done { .. } | Event::WokeEarly => {}
            }
        }
    }

    #[test]
    fn every_wait_is_within_its_formula_or_is_what_the_server_said(setting in settings()) {
        // R-B-1, R-B-2, R-RA-1, R-RA-6.
        let mut previous = None;
        let mut outcomes = setting.steps.iter().map(|step| step.outcome);
        for event in setting.trace() {
            match event {
                Event::Sent { .. } => {}
                Event::Slept { failed, now, until, wait, cause, .. } => {
                    // Re-sends take outcomes as well: skip to the one that led here.
                    let outcome = outcomes.by_ref().find(|outcome| led_to(outcome, cause)).unwrap();
                    prop_assert_eq!(until, now.saturating_add(wait));
                    if cause == PauseCause::ServerHint {
                        hinted(&setting, &outcome, wait)?;
                    } else {
                        backed_off(&setting, failed, previous, wait)?;
                    }
                    previous = Some(wait);
                }
                Event::GaveUp { .. } | Event::Done { .. } | Event::WokeEarly => {}
            }
        }
    }

    #[test]
    fn one_number_is_drawn_for_a_jittered_wait_and_none_otherwise(setting in settings()) {
        // R-B-5. A retry that is refused for its wait or its price may have drawn for it.
        for event in setting.trace() {
            match event {
                Event::Slept { cause: PauseCause::ServerHint, draws, .. } => {
                    prop_assert_eq!(draws, u64::from(setting.spread > 0));
                }
                Event::Slept { draws, .. } => {
                    prop_assert_eq!(draws, u64::from(setting.jitter != Jitter::None));
                }
                Event::GaveUp { reason, draws, .. } => {
                    let late = reason >= Reason::DeadlineWouldPass;
                    prop_assert!(draws <= u64::from(late), "{:?} drew {}", reason, draws);
                }
                Event::Done { draws, .. } => prop_assert_eq!(draws, 0),
                Event::Sent { .. } | Event::WokeEarly => {}
            }
        }
    }

    #[test]
    fn the_same_generator_and_outcomes_give_the_same_schedule(setting in settings()) {
        // R-B-5.
        prop_assert_eq!(setting.trace(), setting.trace());
    }

    #[test]
    fn a_failure_is_sent_again_at_once_only_where_nothing_can_have_been_seen_of_it(
        setting in settings(),
    ) {
        // R-D-7: the kind, the proof, a reused connection; once an attempt; within its limits.
        let trace = setting.trace();
        let mut outcomes = setting.steps.iter();
        for (event, next) in trace.iter().zip(trace.iter().skip(1)) {
            let Event::Sent { number, fresh, cutoff, .. } = event else { continue };
            let step = outcomes.next().unwrap();
            let resent = matches!(next, Event::Sent { number: again, fresh: true, .. } if again == number);
            let ends = cutoff.map_or(u64::MAX, |cutoff| cutoff.at.as_nanos());
            let in_time = match next {
                Event::Sent { now, .. } => cutoff.is_none() || *now < ends,
                Event::Slept { now, .. } | Event::GaveUp { now, .. } => cutoff.is_none() || *now < ends,
                Event::Done { .. } | Event::WokeEarly => false,
            };
            let spent = setting.steps.iter().take(setting.steps.len() - outcomes.len()).any(|step| step.body_spent);
            let may = stale(&step.outcome) && !fresh && !spent && in_time;
            prop_assert_eq!(resent, may, "{:?} then {:?}", event, next);
            if let (true, Event::Sent { cutoff: again, .. }) = (resent, next) {
                prop_assert_eq!(again, cutoff, "within the attempt's own timeout");
            }
        }
    }

    #[test]
    fn a_request_is_repeated_only_as_its_replay_allows(setting in settings()) {
        // R-D-4, R-D-5.
        let trace = setting.trace();
        let mut spent = false;
        let mut outcomes = setting.steps.iter();
        for (event, next) in trace.iter().zip(trace.iter().skip(1)) {
            let Event::Sent { .. } = event else { continue };
            let step = outcomes.next().unwrap();
            spent |= step.body_spent;
            if let Event::Slept { .. } = next {
                prop_assert!(!spent);
                let allowed = match setting.replay {
                    Replay::Freely => true,
                    Replay::IfUnsent => step.outcome.is_unsent(),
                    Replay::Never => false,
                };
                prop_assert!(allowed);
            }
        }
    }

    #[test]
    fn tokens_are_conserved(
        bucket in buckets(),
        calls in prop::collection::vec((0_u8..4, ticks(), 1_usize..8), 1..60),
    ) {
        // R-G-1, R-G-3, against a ledger in exact arithmetic.
        ledger(bucket, &calls)?;
    }
}

/// An attempt ends with its own timeout or the call's, and says which.
fn cut_off(setting: &Setting, began: u64, cutoff: Option<Cutoff>) -> TestCaseResult {
    let timeout = setting.attempt_timeout.map_or(u128::MAX, |timeout| timeout.as_nanos());
    let own = u64::try_from(u128::from(began).saturating_add(timeout)).unwrap_or(u64::MAX);
    let end = setting.ends().unwrap_or(u64::MAX);
    match cutoff {
        None => prop_assert_eq!(own.min(end), u64::MAX),
        Some(cutoff) => {
            prop_assert_eq!(cutoff.at.as_nanos(), own.min(end));
            let kind = match cutoff.limit {
                Limit::Deadline => FailureKind::Deadline,
                Limit::AttemptTimeout => FailureKind::AttemptTimeout,
            };
            prop_assert_eq!(cutoff.kind(), kind);
            prop_assert_eq!(cutoff.limit == Limit::Deadline, cutoff.at.as_nanos() == end);
        }
    }
    Ok(())
}

fn stale(outcome: &Outcome) -> bool {
    match outcome {
        Outcome::Response { .. } => false,
        Outcome::Failure(failure) => {
            let kinds =
                [FailureKind::Closed, FailureKind::Reset, FailureKind::GoAway { graceful: true }];
            failure.reused && failure.delivery == Delivery::Unsent && kinds.contains(&failure.kind)
        }
    }
}

/// Whether this can be the outcome that such a pause follows.
fn led_to(outcome: &Outcome, cause: PauseCause) -> bool {
    let hinted = match outcome {
        Outcome::Response { status: 429 | 503, hint } => hint.wait().is_some(),
        Outcome::Response { .. } | Outcome::Failure(_) => false,
    };
    hinted == (cause == PauseCause::ServerHint)
}

fn hinted(setting: &Setting, outcome: &Outcome, wait: u64) -> TestCaseResult {
    let Outcome::Response { hint, .. } = outcome else { panic!("a failure has no hint") };
    let asked = hint.wait().unwrap();
    prop_assert!(asked <= setting.retry_after_max, "R-RA-6");
    let asked = u64::try_from(asked.as_nanos()).unwrap();
    let most = u128::from(asked) * (100 + u128::from(setting.spread)) / 100;
    prop_assert!(wait >= asked && u128::from(wait) <= most, "{} of {}", wait, asked);
    Ok(())
}

/// The formulas of R-B-1 and R-B-2, in 128 bits.
fn backed_off(setting: &Setting, failed: u32, previous: Option<u64>, wait: u64) -> TestCaseResult {
    let (base, cap) = (u128::from(setting.base), u128::from(setting.cap));
    let shape = if failed > 64 { cap } else { (base << (failed - 1)).min(cap) };
    let (low, high) = match setting.jitter {
        Jitter::None => (shape, shape),
        Jitter::Proportional { from_percent } => (shape * u128::from(from_percent) / 100, shape),
        Jitter::Full => (0, shape),
        Jitter::Equal => (shape / 2, shape),
        Jitter::Decorrelated => (base, (3 * previous.map_or(base, u128::from)).min(cap)),
    };
    let wait = u128::from(wait);
    prop_assert!(low <= wait && (wait < high || wait == low), "{} not in {}..{}", wait, low, high);
    prop_assert!(wait <= cap, "no wait exceeds the cap");
    Ok(())
}

/// Calls of four sorts, some of them left unfinished, beside a ledger in billionths of a
/// milli-token: no engine keeps finer fractions, so the two agree exactly.
fn ledger(bucket: Bucket, calls: &[(u8, Tick, usize)]) -> TestCaseResult {
    const UNIT: i128 = 1_000_000_000;
    let policy = StandardPolicy::builder()
        .max_attempts(u32::MAX)
        .backoff(Backoff::exponential(Duration::from_millis(1)).jitter(Jitter::None))
        .build()
        .unwrap();
    let mut upstream = Upstream::new(bucket.budget());
    let full = i128::from(bucket.capacity) * 1_000 * UNIT;
    let (mut tokens, mut seen, mut now) = (full, 0, 0);
    let mut pass = |tokens: &mut i128, now: u64| {
        let passed = i128::from(now.saturating_sub(seen));
        seen = seen.max(now);
        *tokens = (*tokens + passed * i128::from(bucket.refill) * 1_000).min(full);
    };
    let cost = i128::from(bucket.cost) * UNIT;
    for (sort, tick, attempts) in calls {
        now = tick.from(now).min(u64::MAX / 2);
        let at = Timestamp::from_nanos(now);
        let call = Call::new(Replay::Freely);
        let Action::Send(mut attempt) = Retry::new(&policy).begin(call, at, &mut upstream) else {
            panic!("no deadline, so it begins")
        };
        pass(&mut tokens, now);
        tokens = (tokens + i128::from(bucket.deposit) * UNIT).min(full);
        for _ in 0..*attempts {
            let at = Timestamp::from_nanos(now);
            let outcome = match sort {
                0 => Outcome::status(503),
                1 => Outcome::status(429),
                2 => Outcome::failure(FailureKind::Reset, Delivery::Unknown),
                _ => Outcome::status(200),
            };
            match attempt.finish(&outcome, at, &mut upstream, &mut Always::lowest()) {
                Verdict::Done(_) => break,
                Verdict::Next(Action::Sleep(pause)) => {
                    pass(&mut tokens, now);
                    prop_assert!(tokens >= cost, "paid for with {}", tokens);
                    tokens -= cost;
                    now = pause.until().as_nanos();
                    let resumed = pause.resume(Timestamp::from_nanos(now), &mut upstream);
                    let Action::Send(next) = resumed else { panic!("no deadline, so it goes on") };
                    attempt = next;
                }
                Verdict::Next(Action::GiveUp(why)) => {
                    pass(&mut tokens, now);
                    prop_assert_eq!(why.reason, Reason::BudgetExhausted);
                    prop_assert!(tokens < cost, "refused with {}", tokens);
                    break;
                }
                Verdict::Next(Action::Send(_)) => panic!("nothing here is sent again at once"),
            }
        }
        let held = i128::from(upstream.tokens_milli());
        prop_assert!((0..=full / UNIT).contains(&held), "R-G-3");
        prop_assert_eq!(held, tokens / UNIT, "whole milli-tokens of what the ledger says");
    }
    Ok(())
}

#[test]
fn a_call_that_retries_for_ever_neither_overflows_nor_falls_to_zero() {
    // R-B-4: at every retry's number there is, with the longest base and cap.
    let outcome = Outcome::status(503);
    for base in [Duration::from_millis(1), Duration::from_secs(1), Duration::MAX] {
        for cap in [base, Duration::MAX] {
            for jitter in [Jitter::None, Jitter::DEFAULT, Jitter::Equal, Jitter::Decorrelated] {
                let backoff = Backoff::exponential(base).cap(cap).jitter(jitter);
                for number in [1, 2, 20, 42, 43, 44, 63, 64, 65, 66, 1_000, u32::MAX - 1, u32::MAX]
                {
                    let number = NonZeroU32::new(number).unwrap();
                    for previous in [Duration::ZERO, base, Duration::MAX] {
                        let retry = RetryContext::new(&outcome, number, previous, Class::Server);
                        let wait = backoff.wait(&retry, &mut Always::highest());
                        assert!(
                            wait >= Duration::from_micros(400),
                            "{backoff:?} {number}: {wait:?}"
                        );
                        assert!(wait <= cap, "{backoff:?} {number}: {wait:?}");
                    }
                }
            }
        }
    }
}
