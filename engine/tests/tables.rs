//! The default policy's tables are those of the requirements, status by status and kind by kind.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use common::{Always, at_ms, begin, judged, ms, pause, secs, word};
use redial_engine::{
    Action, Backoff, BackoffError, Budget, Call, Class, Delivery, Failure, FailureKind, Jitter,
    Judgement, Outcome, Policy, PolicyError, Replay, Retry, ServerHint, StandardPolicy, Timestamp,
    Upstream,
};

const POLICY: StandardPolicy = StandardPolicy::DEFAULT;

/// R-D-2.
const RETRIED: [u16; 7] = [104, 408, 429, 500, 502, 503, 504];

/// R-D-3: the kinds whose failure is final. A call's deadline that cut an attempt off is none of
/// them: what ends the call is that no other attempt could begin.
const FINAL_KINDS: [&str; 7] = [
    "tls",
    "invalid_request",
    "remote_protocol",
    "response_too_large",
    "client_closed",
    "local_limit",
    "body_spent",
];

#[test]
fn exactly_seven_statuses_are_retried() {
    for status in 0..=u16::MAX {
        let outcome = Outcome::status(status);
        let expected = match status {
            _ if RETRIED.contains(&status) => "retry",
            ..400 => "success",
            _ => "status",
        };
        assert_eq!(judged(&POLICY, Replay::Freely, &outcome), expected, "{status} (R-D-2)");
        assert_eq!(POLICY.retries_status(status), expected == "retry");
    }
}

#[test]
fn every_kind_of_failure_is_retried_but_a_few() {
    let rude = FailureKind::GoAway { graceful: false };
    for kind in FailureKind::ALL.iter().copied().chain([rude]) {
        let expected = if FINAL_KINDS.contains(&kind.name()) { "failure" } else { "retry" };
        let outcome = Outcome::failure(kind, Delivery::Unknown);
        assert_eq!(judged(&POLICY, Replay::Freely, &outcome), expected, "{kind} (R-D-3)");
        assert_eq!(POLICY.retries_failure(kind), expected == "retry");
    }
}

#[test]
fn a_hint_counts_on_429_and_503_and_on_no_other_status() {
    for status in 100..=999 {
        let hint = ServerHint::NONE.after(secs(299));
        let judgement = POLICY.judge(&Outcome::hinted(status, hint));
        let heeded = matches!(judgement, Judgement::Retry { heed_hint: true, .. });
        assert_eq!(heeded, status == 429 || status == 503, "{status} (R-RA-1)");
    }
}

#[test]
fn a_failure_is_transient_or_a_timeout_and_a_status_neither() {
    // R-G-2.
    for kind in FailureKind::ALL {
        let judgement = POLICY.judge(&Outcome::failure(*kind, Delivery::Unknown));
        let Judgement::Retry { class, .. } = judgement else { continue };
        let expected = if kind.name().contains("timeout") || kind.name() == "deadline" {
            Class::Timeout
        } else {
            Class::Transient
        };
        assert_eq!(class, expected, "{kind}");
    }
    for status in RETRIED {
        let expected = if status == 429 { Class::Throttled } else { Class::Server };
        assert_eq!(
            POLICY.judge(&Outcome::status(status)),
            Judgement::Retry { class: expected, heed_hint: status == 429 || status == 503 }
        );
    }
}

#[test]
fn what_may_be_repeated_depends_on_the_request_and_the_proof_alone() {
    // R-D-4, for every kind, delivery and connection; R-D-7 where the connection died unused.
    for kind in FailureKind::ALL.iter().copied().filter(|kind| POLICY.retries_failure(*kind)) {
        for delivery in [Delivery::Unsent, Delivery::Unknown, Delivery::Answered] {
            for reused in [false, true] {
                let failure = Failure::new(kind, delivery);
                let failure = if reused { failure.on_reused() } else { failure };
                let stale = reused
                    && delivery == Delivery::Unsent
                    && ["closed", "reset", "go_away"].contains(&kind.name());
                for replay in [Replay::Freely, Replay::IfUnsent, Replay::Never] {
                    let allowed = match replay {
                        Replay::Freely => true,
                        Replay::IfUnsent => delivery == Delivery::Unsent,
                        Replay::Never => false,
                    };
                    let expected = match (stale, allowed) {
                        (true, _) => "resend",
                        (false, true) => "retry",
                        (false, false) => "not_repeatable",
                    };
                    let found = judged(&POLICY, replay, &Outcome::Failure(failure));
                    assert_eq!(found, expected, "{failure:?} {replay:?}");
                }
            }
        }
    }
}

#[test]
fn a_server_that_says_so_overrides_the_table_from_400_on() {
    // R-D-10: in both directions, and never against the request's own nature.
    for status in 100..=999 {
        let table = if RETRIED.contains(&status) {
            "retry"
        } else if status < 400 {
            "success"
        } else {
            "status"
        };
        let said = |yes| Outcome::hinted(status, ServerHint::NONE.should_retry(yes));
        let yes = if status >= 400 { "retry" } else { table };
        let no = if status >= 400 && table == "retry" { "server_said_no" } else { table };
        assert_eq!(judged(&POLICY, Replay::Freely, &said(true)), yes, "{status}");
        assert_eq!(judged(&POLICY, Replay::Freely, &said(false)), no, "{status}");
        if yes == "retry" {
            assert_eq!(judged(&POLICY, Replay::Never, &said(true)), "not_repeatable", "{status}");
        }
    }
}

#[test]
fn a_deadline_that_cut_an_attempt_off_ends_the_call() {
    // R-T-5: the reason says so, apart from an attempt timeout.
    let mut upstream = Upstream::default();
    let call = Call::new(Replay::Freely).timeout(secs(3)).attempt_timeout(secs(10));
    let first = begin(&POLICY, call, at_ms(0), &mut upstream);
    let cutoff = first.deadline().expect("there is a limit");
    assert_eq!((cutoff.at, cutoff.kind()), (at_ms(3_000), FailureKind::Deadline));
    let outcome = Outcome::failure(cutoff.kind(), Delivery::Unknown);
    let verdict = first.finish(&outcome, cutoff.at, &mut upstream, &mut Always::lowest());
    assert_eq!(word(&verdict), "deadline_would_pass");
}

#[test]
fn the_default_waits_are_those_that_are_documented() {
    // R-B-1: 0.8 to 1 s, doubling; each a nanosecond below its end.
    let mut upstream = Upstream::default();
    for (mut rng, waits) in [
        (Always::lowest(), [800, 1_600, 3_200, 6_400]),
        (Always::highest(), [1_000, 2_000, 4_000, 8_000]),
    ] {
        let below = ms(waits[0]) == ms(1_000);
        let mut now = at_ms(0);
        let mut attempt = begin(&POLICY, Call::new(Replay::Freely), now, &mut upstream);
        for wait in waits {
            let pause = pause(attempt.finish(&Outcome::status(503), now, &mut upstream, &mut rng));
            let last = core::time::Duration::from_nanos(u64::from(below));
            assert_eq!(pause.wait(), ms(wait) - last);
            now = pause.until();
            attempt = common::attempt(pause.resume(now, &mut upstream));
        }
        let verdict = attempt.finish(&Outcome::status(503), now, &mut upstream, &mut rng);
        assert_eq!(word(&verdict), "attempts_exhausted", "five attempts (R-D-1)");
    }
}

#[test]
fn every_jitter_has_the_range_that_is_documented() {
    // R-B-2, from a second, at most ten: the least and the greatest wait of each retry, the latter
    // a nanosecond below. Decorrelated waits depend on the one before, and so have two schedules.
    let rows = [
        (Jitter::None, [1_000, 2_000, 4_000, 8_000, 10_000], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (Jitter::DEFAULT, [800, 1_600, 3_200, 6_400, 8_000], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (Jitter::Full, [0; 5], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (Jitter::Equal, [500, 1_000, 2_000, 4_000, 5_000], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (Jitter::Decorrelated, [1_000; 5], [3_000, 9_000, 10_000, 10_000, 10_000]),
    ];
    for (jitter, least, most) in rows {
        let backoff = Backoff::exponential(secs(1)).cap(secs(10)).jitter(jitter);
        let policy = StandardPolicy::builder().max_attempts(6).backoff(backoff).build();
        let policy = policy.expect("it makes sense");
        for (mut rng, waits) in [(Always::lowest(), least), (Always::highest(), most)] {
            let (mut upstream, mut now) = (Upstream::default(), at_ms(0));
            let mut attempt = begin(&policy, Call::new(Replay::Freely), now, &mut upstream);
            for wait in waits {
                let verdict = attempt.finish(&Outcome::status(503), now, &mut upstream, &mut rng);
                let pause = pause(verdict);
                let below = ms(wait).saturating_sub(pause.wait());
                assert!(below < ms(1), "{jitter:?}: {:?}, not {wait} ms", pause.wait());
                assert!(pause.wait() <= ms(wait));
                now = pause.until();
                attempt = common::attempt(pause.resume(now, &mut upstream));
            }
        }
    }
}

#[test]
fn a_hint_of_five_minutes_is_heeded_and_one_beyond_is_not() {
    // R-RA-6: never a shorter wait than was asked for.
    for (millis, expected) in [(300_000, "retry"), (300_001, "hint_beyond_cap")] {
        for status in [429, 503] {
            let outcome = Outcome::hinted(status, ServerHint::NONE.after(ms(millis)));
            assert_eq!(judged(&POLICY, Replay::Freely, &outcome), expected, "{status} {millis}");
        }
    }
}

#[test]
fn a_policy_that_makes_no_sense_is_refused_when_it_is_built() {
    let refused = [
        (StandardPolicy::builder().max_attempts(0), PolicyError::NoAttempts),
        (StandardPolicy::builder().retry_status(99), PolicyError::NoStatus { status: 99 }),
        (
            StandardPolicy::builder().never_retry_status(1_000),
            PolicyError::NoStatus { status: 1_000 },
        ),
        (StandardPolicy::builder().heed_hint_on(0), PolicyError::NoStatus { status: 0 }),
        (
            StandardPolicy::builder().retry_after_spread(101),
            PolicyError::SpreadAboveOne { percent: 101 },
        ),
        (
            StandardPolicy::builder().backoff(Backoff::exponential(ms(1) - ms(1) / 1_000)),
            PolicyError::Backoff(BackoffError::BaseTooShort { base: ms(1) - ms(1) / 1_000 }),
        ),
        (
            StandardPolicy::builder().backoff(Backoff::fixed(secs(2)).cap(secs(1))),
            PolicyError::Backoff(BackoffError::CapBelowBase { cap: secs(1), base: secs(2) }),
        ),
        (
            StandardPolicy::builder()
                .backoff(Backoff::DEFAULT.jitter(Jitter::Proportional { from_percent: 101 })),
            PolicyError::Backoff(BackoffError::JitterAboveOne { from_percent: 101 }),
        ),
    ];
    for (builder, error) in refused {
        assert_eq!(builder.build(), Err(error));
        assert!(!error.to_string().is_empty());
    }
    let one = StandardPolicy::builder().max_attempts(1).build().expect("retries are off (R-D-1)");
    assert_eq!(judged(&one, Replay::Freely, &Outcome::status(503)), "attempts_exhausted");
}

#[test]
fn a_policy_works_by_reference_by_object_and_shared() {
    // R-D-6: one trait, whatever holds it.
    fn retried<P: Policy + Clone>(policy: P) -> bool {
        let mut upstream = Upstream::default();
        let Action::Send(first) =
            Retry::new(policy).begin(Call::new(Replay::Freely), at_ms(0), &mut upstream)
        else {
            return false;
        };
        let outcome = Outcome::status(503);
        word(&first.finish(&outcome, at_ms(1), &mut upstream, &mut Always::lowest())) == "retry"
    }
    assert!(retried(POLICY));
    assert!(retried(&POLICY));
    assert!(retried(&POLICY as &dyn Policy));
    #[cfg(feature = "alloc")]
    {
        let shared: std::sync::Arc<dyn Policy + Send + Sync> = std::sync::Arc::new(POLICY);
        assert!(retried(shared));
    }
}

#[test]
fn a_deadline_that_is_past_gives_up_without_an_attempt_or_a_deposit() {
    // R-T-8.
    let budget = Budget::builder().refill_per_second(0).build().expect("a budget");
    let mut upstream = Upstream::new(budget);
    let first = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let _ = first.finish(&Outcome::status(503), at_ms(0), &mut upstream, &mut Always::lowest());
    let before = upstream.tokens_milli();
    for call in [
        Call::new(Replay::Freely).timeout(secs(0)),
        Call::new(Replay::Freely).deadline(at_ms(10)),
        Call::new(Replay::Freely).deadline(Timestamp::ORIGIN),
    ] {
        let Action::GiveUp(why) = Retry::new(&POLICY).begin(call, at_ms(10), &mut upstream) else {
            panic!("{call:?} begins")
        };
        assert_eq!((why.reason.name(), why.attempts), ("deadline_would_pass", 0));
        assert_eq!(upstream.tokens_milli(), before);
    }
}
