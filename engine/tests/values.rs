//! What the public values say of themselves: names, sentences, limits and numbers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use core::error::Error as _;
use core::num::NonZeroU32;
use core::time::Duration;

use common::{Always, at_ms, begin, judged, ms, pause, secs, word};
use redial_engine::{
    Backoff, BackoffError, Budget, BudgetError, Call, Class, Delivery, FailureKind, Finagle,
    Jitter, Judgement, Limits, Outcome, PauseCause, Policy, PolicyError, Reason, Replay,
    RetryContext, ServerHint, StandardPolicy, Timestamp, Upstream,
};

/// A policy whose limits are given, and whose every answer is to retry after a second.
#[derive(Clone, Copy)]
struct Within(Limits);

impl Policy for Within {
    fn limits(&self) -> Limits {
        self.0
    }

    fn judge(&self, _: &Outcome) -> Judgement {
        Judgement::Retry { class: Class::Server, heed_hint: true }
    }

    fn delay(&self, _: &RetryContext<'_>, _: &mut dyn rand_core::Rng) -> Duration {
        secs(1)
    }
}

#[test]
fn names_are_the_variants_in_snake_case() {
    for delivery in [Delivery::Unsent, Delivery::Unknown, Delivery::Answered] {
        assert_eq!(delivery.name(), snake_case(&format!("{delivery:?}")));
        assert_eq!(delivery.to_string(), delivery.name());
    }
    for kind in FailureKind::ALL {
        assert_eq!(kind.name(), snake_case(&format!("{kind:?}")));
        assert_eq!(kind.to_string(), kind.name());
    }
    for cause in [PauseCause::Backoff, PauseCause::ServerHint] {
        assert_eq!(cause.name(), snake_case(&format!("{cause:?}")));
    }
    for reason in REASONS {
        assert_eq!(reason.name(), snake_case(&format!("{reason:?}")));
    }
}

/// In the order of R-D-9.
const REASONS: [Reason; 6] = [
    Reason::NotRepeatable,
    Reason::BodySpent,
    Reason::AttemptsExhausted,
    Reason::HintBeyondCap,
    Reason::DeadlineWouldPass,
    Reason::BudgetExhausted,
];

#[test]
fn reasons_are_ordered_and_each_says_something_of_its_own() {
    assert!(REASONS.is_sorted(), "R-D-9");
    let mut sentences: Vec<_> = REASONS.iter().map(ToString::to_string).collect();
    sentences.sort();
    sentences.dedup();
    assert_eq!(sentences.len(), REASONS.len());
    assert!(sentences.iter().all(|sentence| !sentence.is_empty()));
}

/// A variant's name in snake_case, without its fields.
fn snake_case(variant: &str) -> String {
    let mut name = String::new();
    for letter in variant.split(' ').next().unwrap().chars() {
        if letter.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(letter.to_ascii_lowercase());
    }
    name
}

#[test]
fn every_error_says_what_was_given_and_what_to_choose() {
    let backoff = BackoffError::CapBelowBase { cap: ms(1), base: ms(2) };
    let rows: [(String, &[&str]); 14] = [
        (PolicyError::NoAttempts.to_string(), &["0 attempts", "at least 1"]),
        (PolicyError::NoStatus { status: 7 }.to_string(), &["7", "100 to 999"]),
        (PolicyError::SpreadAboveOne { percent: 101 }.to_string(), &["101", "0 to 100"]),
        (PolicyError::Backoff(backoff).to_string(), &["1ms", "2ms", "raise the cap"]),
        (BackoffError::BaseTooShort { base: ms(0) }.to_string(), &["0ns", "longer"]),
        (BackoffError::JitterAboveOne { from_percent: 102 }.to_string(), &["102", "0 to 100"]),
        (BudgetError::Capacity { tokens: 4_294_968 }.to_string(), &["4294968", "4294967"]),
        (BudgetError::Refill { tokens: 4_294_968 }.to_string(), &["4294968", "4294967"]),
        (BudgetError::Free.to_string(), &["nothing", "unlimited"]),
        (BudgetError::TooSmall { tokens: 0 }.to_string(), &["0 tokens", "raise"]),
        (BudgetError::GrpcMaxTokens { max_tokens: 1_001 }.to_string(), &["1001", "1 to 1000"]),
        (BudgetError::GrpcTokenRatio.to_string(), &["zero", "positive"]),
        (BudgetError::FinagleTtl { ttl_seconds: 61 }.to_string(), &["61", "1 to 60"]),
        (BudgetError::FinagleRatio { ratio_ppm: 1_000_001 }.to_string(), &["1000001", "1000000"]),
    ];
    for (sentence, parts) in rows {
        for part in parts {
            assert!(sentence.contains(part), "{sentence:?} does not say {part:?}");
        }
    }
    let source = PolicyError::Backoff(backoff);
    assert_eq!(source.source().expect("it has a cause").to_string(), backoff.to_string());
    assert!(PolicyError::NoAttempts.source().is_none());
}

#[test]
fn a_budget_that_makes_no_sense_is_refused_at_the_very_edge() {
    let most = 4_294_967;
    let builder = Budget::builder;
    assert_eq!(builder().capacity(most).build().unwrap().capacity_milli(), 4_294_967_000);
    let more = BudgetError::Capacity { tokens: u64::from(most) + 1 };
    assert_eq!(builder().capacity(most + 1).build(), Err(more));
    assert!(builder().refill_per_second(most).build().is_ok());
    let more = BudgetError::Refill { tokens: most + 1 };
    assert_eq!(builder().refill_per_second(most + 1).build(), Err(more));
    assert_eq!(builder().cost_milli(0).build(), Err(BudgetError::Free));
    assert!(builder().capacity(2).cost_milli(2_000).build().is_ok());
    let small = BudgetError::TooSmall { tokens: 1 };
    assert_eq!(builder().capacity(1).cost_milli(1_001).build(), Err(small));

    for max_tokens in [0, 1_001] {
        let error = BudgetError::GrpcMaxTokens { max_tokens };
        assert_eq!(Budget::grpc(max_tokens, 100), Err(error));
    }
    assert_eq!(Budget::grpc(1_000, 1).unwrap().capacity_milli(), 1_000_000);
    assert!(Budget::grpc(1, 1).is_ok());
    assert_eq!(Budget::grpc(10, 0), Err(BudgetError::GrpcTokenRatio));

    let finagle = |rules: Finagle| Budget::finagle(rules);
    for ttl_seconds in [0, 61] {
        let error = BudgetError::FinagleTtl { ttl_seconds };
        assert_eq!(finagle(Finagle { ttl_seconds, ..Finagle::DEFAULT }), Err(error));
    }
    for ttl_seconds in [1, 60] {
        assert!(finagle(Finagle { ttl_seconds, ..Finagle::DEFAULT }).is_ok());
    }
    assert!(finagle(Finagle { ratio_ppm: 1_000_000, ..Finagle::DEFAULT }).is_ok());
    let error = BudgetError::FinagleRatio { ratio_ppm: 1_000_001 };
    assert_eq!(finagle(Finagle { ratio_ppm: 1_000_001, ..Finagle::DEFAULT }), Err(error));
}

#[test]
fn finagles_bucket_is_as_large_as_its_burst_or_as_what_its_floor_saves_up() {
    // One call deposits a token, and a retry costs as many as the ratio says: five for 20 %.
    let capacity = |rules: Finagle| Budget::finagle(rules).map(|budget| budget.capacity_milli());
    let plain =
        Finagle { ratio_ppm: 200_000, min_retries_per_second: 10, ttl_seconds: 10, burst: 0 };
    assert_eq!(capacity(plain), Ok(10 * 10 * 5_000));
    assert_eq!(capacity(Finagle { burst: 101, ..plain }), Ok(101 * 5_000));
    assert_eq!(capacity(Finagle { burst: 100, ..plain }), Ok(100 * 5_000));
    // Without a ratio there is the floor alone, and a retry costs a token.
    assert_eq!(capacity(Finagle { ratio_ppm: 0, ..plain }), Ok(100 * 1_000));
    // Of 32 bits of milli-tokens, at the edge.
    let floor = Finagle { ratio_ppm: 0, min_retries_per_second: 0, ttl_seconds: 1, burst: 0 };
    assert_eq!(capacity(Finagle { burst: 4_294_967, ..floor }), Ok(4_294_967_000));
    let error = BudgetError::Capacity { tokens: 4_294_968 };
    assert_eq!(capacity(Finagle { burst: 4_294_968, ..floor }), Err(error));
    let fast = Finagle { min_retries_per_second: 4_294_967, ..floor };
    assert_eq!(capacity(fast), Ok(4_294_967_000));
    let error = BudgetError::Capacity { tokens: 4_294_968 };
    assert_eq!(capacity(Finagle { min_retries_per_second: 4_294_968, ..floor }), Err(error));
}

#[test]
fn finagles_floor_comes_back_with_time() {
    // Ten retries a second, whatever a retry costs.
    let mut upstream = Upstream::new(Budget::finagle(Finagle::DEFAULT).unwrap());
    let policy = StandardPolicy::DEFAULT;
    // Begun while the bucket is full, so that their deposits have no room.
    let calls: Vec<_> = (0..120)
        .map(|_| begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream))
        .collect();
    let mut calls = calls.into_iter();
    let mut retried = |now| {
        let call = calls.next().expect("there are enough");
        let outcome = Outcome::status(503);
        word(&call.finish(&outcome, at_ms(now), &mut upstream, &mut Always::lowest())) == "retry"
    };
    assert!((0..100).all(|_| retried(0)), "the burst");
    for (now, expected) in [(0, false), (99, false), (100, true), (199, false), (200, true)] {
        assert_eq!(retried(now), expected, "after {now} ms");
    }
}

#[test]
fn each_limit_of_a_policy_is_its_own() {
    let one = NonZeroU32::MIN;
    let hint = ServerHint::NONE.after(secs(100));
    let rows = [
        (Limits::DEFAULT, "retry"),
        (Limits::DEFAULT.max_attempts(one), "attempts_exhausted"),
        (Limits::DEFAULT.retry_after_max(secs(99)), "hint_beyond_cap"),
        (Limits::DEFAULT.retry_after_max(secs(100)), "retry"),
        (Limits::DEFAULT.call_timeout(secs(100)), "deadline_would_pass"),
    ];
    for (limits, expected) in rows {
        let mut upstream = Upstream::default();
        let first = begin(Within(limits), Call::new(Replay::Freely), at_ms(0), &mut upstream);
        assert!(first.deadline().is_none() || limits != Limits::DEFAULT);
        let outcome = Outcome::hinted(503, hint);
        let mut rng = Always::highest();
        let verdict = first.finish(&outcome, at_ms(0), &mut upstream, &mut rng);
        assert_eq!(word(&verdict), expected, "{limits:?}");
    }
    let limits = Limits::DEFAULT.attempt_timeout(secs(3)).retry_after_spread(50);
    let mut upstream = Upstream::default();
    let first = begin(Within(limits), Call::new(Replay::Freely), at_ms(0), &mut upstream);
    assert_eq!(first.deadline().expect("an attempt has a timeout").at, at_ms(3_000));
    let outcome = Outcome::hinted(503, hint);
    let pause = pause(first.finish(&outcome, at_ms(0), &mut upstream, &mut Always::highest()));
    assert_eq!(pause.wait(), secs(150) - Duration::from_nanos(1), "R-RA-8");
    assert_eq!(pause.remaining(at_ms(50_000)), secs(100) - Duration::from_nanos(1));
    assert_eq!(pause.remaining(at_ms(150_000)), Duration::ZERO);
}

#[test]
fn a_spread_is_a_share_of_any_hint() {
    // R-RA-8, up to the end of the clock.
    let year = secs(365 * 86_400);
    for (hint, percent, most) in [
        (ms(1_001), 50, Duration::from_micros(1_501_500)),
        (year * 10, 50, year * 15),
        (year * 10, 100, year * 20),
        (year * 580, 100, Duration::from_nanos(u64::MAX)),
        (year * 500, 255, Duration::from_nanos(u64::MAX)),
    ] {
        let limits = Limits::DEFAULT.retry_after_max(Duration::MAX).retry_after_spread(percent);
        for (mut rng, expected) in
            [(Always::lowest(), hint), (Always::highest(), most - Duration::from_nanos(1))]
        {
            let mut upstream = Upstream::default();
            let first = begin(Within(limits), Call::new(Replay::Freely), at_ms(0), &mut upstream);
            let outcome = Outcome::hinted(503, ServerHint::NONE.after(hint));
            let wait = pause(first.finish(&outcome, at_ms(0), &mut upstream, &mut rng)).wait();
            // A draw just below one leaves up to a part in 2^64 of the spread.
            assert!(wait.abs_diff(expected) <= Duration::from_nanos(1), "{wait:?}, {expected:?}");
            assert_eq!(rng.draws, 1, "R-B-5");
        }
    }
}

#[test]
fn what_a_policy_may_look_at_is_what_happened() {
    let outcome = Outcome::status(503);
    let retry = |number| {
        let number = NonZeroU32::new(number).expect("the first is 1");
        RetryContext::new(&outcome, number, ms(7), Class::Server)
    };
    assert_eq!(retry(1).previous(), None, "there was no wait before the first attempt");
    assert_eq!(retry(2).previous(), Some(ms(7)));
    assert_eq!(retry(2).number().get(), 2);
    assert_eq!((retry(1).class(), *retry(1).outcome()), (Class::Server, outcome));
}

#[test]
fn a_table_is_a_set() {
    // To add what is in it and to take what is not changes nothing.
    let policy = StandardPolicy::builder()
        .retry_status(503)
        .never_retry_status(404)
        .heed_hint_on(429)
        .ignore_hint_on(500)
        .retry_failure(FailureKind::Reset)
        .never_retry_failure(FailureKind::Tls);
    assert_eq!(policy.build(), Ok(StandardPolicy::DEFAULT));
    // To take one leaves the others.
    let policy = StandardPolicy::builder()
        .never_retry_status(500)
        .never_retry_failure(FailureKind::Reset)
        .build();
    let policy = policy.unwrap();
    for kind in FailureKind::ALL.iter().copied() {
        let expected = StandardPolicy::DEFAULT.retries_failure(kind) && kind != FailureKind::Reset;
        assert_eq!(policy.retries_failure(kind), expected, "{kind}");
    }
    for status in 100..=999 {
        let expected = StandardPolicy::DEFAULT.retries_status(status) && status != 500;
        assert_eq!(policy.retries_status(status), expected, "{status}");
    }
    assert_eq!(judged(&policy, Replay::Freely, &Outcome::status(500)), "status");
    assert_eq!(*policy.backoff(), Backoff::DEFAULT);
    assert_eq!(policy.rebuild().build(), Ok(policy));
}

#[test]
fn two_backoffs_are_the_same_where_they_wait_the_same() {
    fn long(_: &RetryContext<'_>) -> Duration {
        secs(9)
    }
    fn short(retry: &RetryContext<'_>) -> Duration {
        ms(u64::from(retry.number().get()))
    }
    let all = [
        Backoff::exponential(secs(1)),
        Backoff::exponential(secs(2)),
        Backoff::exponential(secs(1)).cap(secs(5)),
        Backoff::exponential(secs(1)).jitter(Jitter::Full),
        Backoff::fixed(secs(1)),
        Backoff::fixed(secs(2)),
        Backoff::custom(long),
        Backoff::custom(short),
    ];
    for (number, backoff) in all.iter().enumerate() {
        for (other, another) in all.iter().enumerate() {
            assert_eq!(backoff == another, number == other, "{backoff:?} and {another:?}");
        }
    }
    assert_eq!(Backoff::default(), Backoff::exponential(secs(1)));
}

#[test]
fn a_timestamp_has_ends_and_a_name() {
    // R-T-8: 584 years, to the nanosecond.
    let most = Duration::new(18_446_744_073, 709_551_615);
    assert_eq!(Timestamp::ORIGIN.saturating_add(most), Timestamp::MAX);
    let last = most - Duration::from_nanos(1);
    let beyond = [most, most + Duration::from_nanos(1), Duration::new(18_446_744_073, 999_999_999)];
    for duration in beyond.into_iter().chain([secs(18_446_744_074), Duration::MAX]) {
        assert_eq!(Timestamp::ORIGIN.saturating_add(duration), Timestamp::MAX, "{duration:?}");
        assert_eq!(Timestamp::ORIGIN.checked_add(duration), None, "it never comes");
    }
    let end = Timestamp::ORIGIN.checked_add(last).expect("a nanosecond before the end");
    assert_eq!(end.as_nanos(), u64::MAX - 1);
    let exact = secs(18_446_744_073);
    assert_eq!(Timestamp::ORIGIN.saturating_add(exact).saturating_since(Timestamp::ORIGIN), exact);
    assert_eq!(Timestamp::from_nanos(1_500_000_000).to_string(), "1.5s");
    assert_eq!(at_ms(20).saturating_since(at_ms(5)), ms(15));
}
