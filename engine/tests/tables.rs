//! The default policy's tables are those of the requirements, status by status and kind by kind.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use core::num::NonZeroU32;
use core::time::Duration;

use common::{Always, at_ms, begin, judged, ms, secs, word};
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
fn a_hint_of_five_minutes_is_heeded_and_one_beyond_is_not() {
    // R-RA-6: never a shorter wait than was asked for.
    for (millis, expected) in [(300_000, "retry"), (300_001, "hint_beyond_cap")] {
        for status in [429, 503] {
            let outcome = Outcome::hinted(status, ServerHint::NONE.after(ms(millis)));
            assert_eq!(judged(&POLICY, Replay::Freely, &outcome), expected, "{status} {millis}");
        }
        // R-RA-1: on any other status none counts, however long.
        let outcome = Outcome::hinted(500, ServerHint::NONE.after(ms(millis)));
        assert_eq!(judged(&POLICY, Replay::Freely, &outcome), "retry", "500 {millis}");
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
fn the_default_budget_refills_by_ten_a_second() {
    // R-G-1: none comes back within 99 ms of the last, one after 100, and of what is left over
    // nothing is lost.
    let mut upstream = Upstream::new(Budget::STANDARD);
    let mut rng = Always::lowest();
    let calls: Vec<_> = (0..120)
        .map(|_| begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream))
        .collect();
    let mut calls = calls.into_iter();
    let mut retried = |now: Timestamp| {
        let call = calls.next().expect("there are enough");
        word(&call.finish(&Outcome::status(503), now, &mut upstream, &mut rng)) == "retry"
    };
    for _ in 0..100 {
        assert!(retried(at_ms(0)), "it is full at the start");
    }
    let rows = [(0, false), (99, false), (100, true), (150, false), (199, false), (200, true)];
    for (now, expected) in rows {
        assert_eq!(retried(at_ms(now)), expected, "after {now} ms");
    }
    let nearly = Timestamp::from_nanos(299_999_999);
    assert!(!retried(nearly));
    assert!(retried(at_ms(300)));
}

#[test]
fn a_calls_own_limits_come_before_those_of_its_policy() {
    // R-T-5, R-T-8: a timeout of its own that is too long for the clock is one that never comes.
    let policy = StandardPolicy::builder()
        .max_attempts(1)
        .attempt_timeout(secs(1))
        .call_timeout(secs(2))
        .build()
        .expect("it makes sense");
    let ends = |call: Call| {
        let first = begin(&policy, call, at_ms(500), &mut Upstream::default());
        first.deadline().map(|cutoff| (cutoff.at, cutoff.kind().name()))
    };
    let call = Call::new(Replay::Freely);
    assert_eq!(ends(call), Some((at_ms(1_500), "attempt_timeout")));
    assert_eq!(ends(call.timeout(ms(900))), Some((at_ms(1_400), "deadline")));
    assert_eq!(ends(call.deadline(at_ms(700))), Some((at_ms(700), "deadline")));
    let patient = call.attempt_timeout(Duration::MAX);
    assert_eq!(ends(patient), Some((at_ms(2_500), "deadline")));
    assert_eq!(ends(patient.timeout(Duration::MAX)), None);
    assert_eq!(ends(patient.timeout(secs(3))), Some((at_ms(3_500), "deadline")));

    let mut upstream = Upstream::default();
    let twice = call.max_attempts(NonZeroU32::MIN.saturating_add(1));
    for (call, expected) in [(call, "attempts_exhausted"), (twice, "retry")] {
        let first = begin(&policy, call, at_ms(0), &mut upstream);
        let verdict =
            first.finish(&Outcome::status(503), at_ms(0), &mut upstream, &mut Always::lowest());
        assert_eq!(word(&verdict), expected);
    }
    let begun = begin(&policy, call.replay(Replay::Never), at_ms(0), &mut upstream);
    let verdict =
        begun.finish(&Outcome::status(503), at_ms(0), &mut upstream, &mut Always::lowest());
    assert_eq!(word(&verdict), "not_repeatable");
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
