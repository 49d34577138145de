//! Defects that other retry libraries ship do not come back here.
//!
//! Each test is named after what it rules out, and says where that was seen.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::collections::BTreeSet;

use common::{Always, at_ms, attempt, begin, ms, pause, secs, word};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use redial_engine::{
    Action, Attempt, Backoff, Budget, Call, Delivery, Failure, FailureKind, Jitter, Outcome,
    PauseCause, Policy, Reason, Replay, Retry, ServerHint, StandardPolicy, Upstream, Verdict,
};

const POLICY: StandardPolicy = StandardPolicy::DEFAULT;
const BUSY: Outcome = Outcome::status(503);
const DONE: Outcome = Outcome::status(200);

/// The waits of one call that fails for ever.
fn schedule<P: Policy + Clone>(policy: P, rng: &mut impl rand_core::Rng) -> Vec<Duration> {
    let mut upstream = Upstream::new(Budget::UNLIMITED);
    let mut now = at_ms(0);
    let mut waits = Vec::new();
    let mut next = begin(policy, Call::new(Replay::Freely), now, &mut upstream);
    loop {
        match next.finish(&BUSY, now, &mut upstream, rng) {
            Verdict::Next(Action::Sleep(pause)) => {
                waits.push(pause.wait());
                now = pause.until();
                next = attempt(pause.resume(now, &mut upstream));
            }
            Verdict::Next(_) | Verdict::Done(_) => return waits,
        }
    }
}

/// aws-smithy-runtime 1.16: the permit of a retry is one slot for all calls, so that forty
/// concurrent calls leave 149 of 500 tokens.
#[test]
fn concurrent_calls_do_not_leak_each_others_tokens() {
    let mut rng = Always::lowest();
    let mut upstream = Upstream::new(Budget::AWS_STANDARD_2_0);
    let retry = Retry::new(&POLICY);
    let begun: Vec<_> = (0..40)
        .map(|_| attempt(retry.begin(Call::new(Replay::Freely), at_ms(0), &mut upstream)))
        .collect();
    let failed = Outcome::status(500);
    let asleep: Vec<_> = begun
        .into_iter()
        .map(|call| pause(call.finish(&failed, at_ms(1), &mut upstream, &mut rng)))
        .collect();
    assert_eq!(upstream.tokens_milli(), 300_000, "forty retries at five tokens each");
    let awake: Vec<_> = asleep
        .into_iter()
        .map(|pause| attempt(pause.resume(at_ms(9_000), &mut upstream)))
        .collect();
    for call in awake {
        assert_eq!(word(&call.finish(&DONE, at_ms(9_001), &mut upstream, &mut rng)), "success");
    }
    assert_eq!(upstream.tokens_milli(), 500_000, "and all of it came back (R-G-2)");
}

/// reqwest 0.13: `for_host` looks at the host only from the second retry on, and repeats POST.
#[test]
fn a_request_that_may_not_be_repeated_is_not_repeated_even_once() {
    let mut upstream = Upstream::default();
    let first = begin(&POLICY, Call::new(Replay::Never), at_ms(0), &mut upstream);
    let verdict = first.finish(&BUSY, at_ms(1), &mut upstream, &mut Always::lowest());
    assert_eq!(word(&verdict), "not_repeatable", "R-D-4");
    let Verdict::Next(Action::GiveUp(why)) = verdict else { panic!("it gives up") };
    assert_eq!((why.reason, why.attempts), (Reason::NotRepeatable, 1));
}

/// tower 0.5, kube 5: clones of a backoff draw the same numbers, so all calls return in lockstep.
#[test]
fn clones_of_a_policy_share_no_jitter() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let schedules: BTreeSet<_> =
        core::iter::repeat_n(POLICY, 100).map(|policy| schedule(policy, &mut rng)).collect();
    assert_eq!(schedules.len(), 100, "R-B-3");
}

/// tower 0.5, rama 0.4, linkerd: seconds are truncated, so the first wait is always exactly 1 s.
#[test]
fn jitter_is_continuous_to_the_nanosecond() {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let waits: Vec<_> = (0..1_000).flat_map(|_| schedule(&POLICY, &mut rng)).collect();
    let whole = waits.iter().filter(|wait| wait.subsec_nanos() % 1_000 == 0).count();
    let distinct = waits.iter().collect::<BTreeSet<_>>().len();
    assert!(whole < waits.len() / 100, "{whole} of {} are whole microseconds", waits.len());
    assert!(distinct > waits.len() * 99 / 100, "{distinct} of {} differ (R-B-3)", waits.len());
}

/// rama 0.4: a jitter of zero means "stop", and so nothing is ever retried.
#[test]
fn no_jitter_is_a_wait_and_not_the_end() {
    let backoff = Backoff::exponential(ms(10)).jitter(Jitter::None);
    let policy = StandardPolicy::builder().max_attempts(9).backoff(backoff).build().unwrap();
    let waits = schedule(&policy, &mut Always::lowest());
    assert_eq!(waits, [10, 20, 40, 80, 160, 320, 640, 1_280].map(ms));
}

/// octocrab 0.54: a streaming body is repeated as an empty one.
#[test]
fn a_body_that_was_pulled_is_never_sent_again() {
    let closed = Failure::new(FailureKind::Closed, Delivery::Unsent).on_reused();
    for outcome in [BUSY, Outcome::Failure(closed)] {
        let mut upstream = Upstream::default();
        let mut first = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
        first.body_spent();
        let verdict = first.finish(&outcome, at_ms(1), &mut upstream, &mut Always::lowest());
        assert_eq!(word(&verdict), "body_spent", "R-D-5, R-D-7 included");
    }
}

/// gax 1.15: what is left of the deadline is computed before the wait, and given out after it.
#[test]
fn what_is_left_of_the_deadline_is_computed_after_the_wait() {
    let backoff = Backoff::fixed(ms(800)).jitter(Jitter::None);
    let policy = StandardPolicy::builder()
        .attempt_timeout(ms(1_000))
        .call_timeout(ms(1_000))
        .backoff(backoff)
        .build()
        .unwrap();
    let mut upstream = Upstream::default();
    let first = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let pause = pause(first.finish(&BUSY, at_ms(1), &mut upstream, &mut Always::lowest()));
    for late in [0, 50, 150] {
        // A second call in the same place, whose timer fires later.
        let mut upstream = upstream.clone();
        let again = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
        let verdict = again.finish(&BUSY, at_ms(1), &mut upstream, &mut Always::lowest());
        let now = at_ms(801 + late);
        let second = attempt(common::pause(verdict).resume(now, &mut upstream));
        let cutoff = second.deadline().unwrap();
        assert_eq!(cutoff.at, at_ms(1_000), "R-T-5");
        assert_eq!(cutoff.at.saturating_since(now), ms(199 - late));
    }
    assert_eq!(pause.remaining(at_ms(500)), ms(301));
}

/// tokio-retry2 0.9: the server's hint goes to a callback and nowhere else.
#[test]
fn a_hint_is_waited_for() {
    let backoff = Backoff::fixed(ms(10)).jitter(Jitter::None);
    let policy = StandardPolicy::builder().backoff(backoff).build().unwrap();
    let mut upstream = Upstream::default();
    let first = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let asked = Outcome::hinted(429, ServerHint::NONE.after(ms(500)));
    let asleep = pause(first.finish(&asked, at_ms(1), &mut upstream, &mut Always::lowest()));
    assert_eq!((asleep.wait(), asleep.cause()), (ms(500), PauseCause::ServerHint), "R-RA-1");
    let Action::Sleep(still) = asleep.resume(at_ms(500), &mut upstream) else {
        panic!("woken a millisecond too early, it sleeps on")
    };
    assert_eq!(still.remaining(at_ms(500)), ms(1));
    let _ = attempt(still.resume(at_ms(501), &mut upstream));
}

/// The reverse: a hint shorter than the backoff is not stretched to it either.
#[test]
fn a_hint_replaces_a_longer_backoff() {
    let mut upstream = Upstream::default();
    let first = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let asked = Outcome::hinted(503, ServerHint::NONE.after(ms(5)));
    let asleep = pause(first.finish(&asked, at_ms(0), &mut upstream, &mut Always::highest()));
    assert_eq!(asleep.wait(), ms(5), "and not the larger of the two (R-RA-1)");
}

/// backoff 0.4: a server that always hints keeps a call of 100 ms busy for two seconds.
#[test]
fn hints_do_not_outlive_the_deadline() {
    let policy = StandardPolicy::builder().max_attempts(u32::MAX).build().unwrap();
    let asked = Outcome::hinted(429, ServerHint::NONE.after(ms(50)));
    let mut upstream = Upstream::default();
    let mut now = at_ms(0);
    let call = Call::new(Replay::Freely).timeout(ms(120));
    let mut next = begin(&policy, call, now, &mut upstream);
    let mut attempts = 0;
    loop {
        attempts += 1;
        match next.finish(&asked, now, &mut upstream, &mut Always::lowest()) {
            Verdict::Next(Action::Sleep(pause)) => {
                now = pause.until();
                next = attempt(pause.resume(now, &mut upstream));
            }
            ended @ (Verdict::Next(_) | Verdict::Done(_)) => {
                assert_eq!(word(&ended), "deadline_would_pass", "R-RA-6, R-RA-9");
                break;
            }
        }
    }
    assert_eq!((attempts, now), (3, at_ms(100)));
}

/// backon 1.6: jitter is added above the cap, 4 s under one of 2 s.
#[test]
fn no_jitter_exceeds_the_cap_and_none_is_lost_there() {
    for jitter in [Jitter::DEFAULT, Jitter::Full, Jitter::Equal, Jitter::Decorrelated] {
        let backoff = Backoff::exponential(secs(1)).cap(secs(2)).jitter(jitter);
        let policy = StandardPolicy::builder().max_attempts(20).backoff(backoff).build().unwrap();
        let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
        let waits = schedule(&policy, &mut rng);
        assert!(waits.iter().all(|wait| *wait < secs(2)), "{jitter:?}: {waits:?}");
        let distinct = waits.iter().collect::<BTreeSet<_>>().len();
        assert_eq!(distinct, waits.len(), "{jitter:?}: waits at the cap still differ (R-B-1)");
    }
}

/// tower 0.5: a thousand deposits of 0.3 allow 333 retries, of 0.6 and of 0.9 a thousand.
#[test]
fn a_budget_is_exact() {
    for (milli, expected) in [(300, 300), (600, 600), (900, 900), (1, 1), (333, 333)] {
        let budget = Budget::builder()
            .capacity(2_000)
            .deposit_milli(milli)
            .refill_per_second(0)
            .build()
            .unwrap();
        let mut upstream = Upstream::new(budget);
        let mut rng = Always::lowest();
        // Calls begun at the full bucket deposit nothing; they are there to take from it.
        let mut calls: Vec<Attempt<&StandardPolicy>> = (0..3_000)
            .map(|_| begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream))
            .collect();
        let mut withdraw = |upstream: &mut Upstream| {
            let call = calls.pop().unwrap();
            word(&call.finish(&BUSY, at_ms(0), upstream, &mut rng)) == "retry"
        };
        for _ in 0..2_000 {
            assert!(withdraw(&mut upstream));
        }
        assert_eq!(upstream.tokens_milli(), 0);
        for _ in 0..1_000 {
            drop(begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream));
        }
        let retries = core::iter::repeat_with(|| withdraw(&mut upstream)).take_while(|paid| *paid);
        assert_eq!(retries.count(), expected, "{milli} thousandths (R-G-1)");
    }
}

/// reqwest-retry 0.9: `Retry-After: 7` on a POST, and four attempts within 177 ms.
#[test]
fn neither_a_hint_nor_an_empty_pool_makes_a_request_repeatable() {
    let mut upstream = Upstream::default();
    let first = begin(&POLICY, Call::new(Replay::Never), at_ms(0), &mut upstream);
    let asked = Outcome::hinted(503, ServerHint::NONE.after(secs(7)));
    let verdict = first.finish(&asked, at_ms(1), &mut upstream, &mut Always::lowest());
    assert_eq!(word(&verdict), "not_repeatable", "R-D-4");
}

/// reqwest-retry-after 0.2: a huge hint panics, and one call's hint stalls the others.
#[test]
fn one_calls_hint_touches_no_other_call() {
    let mut upstream = Upstream::default();
    let mut rng = Always::lowest();
    let huge = Outcome::hinted(429, ServerHint::NONE.after(Duration::MAX));
    let first = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let second = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let verdict = first.finish(&huge, at_ms(1), &mut upstream, &mut rng);
    assert_eq!(word(&verdict), "hint_beyond_cap", "R-RA-7");
    let verdict = second.finish(&BUSY, at_ms(1), &mut upstream, &mut rng);
    assert_eq!(pause(verdict).wait(), ms(800), "its own backoff");
}

/// gax's throttler: after a thousand good calls, a thousand bad ones pass before it takes hold.
#[test]
fn a_budget_that_was_full_for_long_takes_hold_after_its_capacity() {
    let mut upstream = Upstream::default();
    let mut rng = Always::lowest();
    for _ in 0..100_000 {
        let call = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
        assert_eq!(word(&call.finish(&DONE, at_ms(0), &mut upstream, &mut rng)), "success");
    }
    let retried = (0..1_000).filter(|_| {
        let call = begin(&POLICY, Call::new(Replay::Freely), at_ms(0), &mut upstream);
        word(&call.finish(&BUSY, at_ms(0), &mut upstream, &mut rng)) == "retry"
    });
    // A burst of 100, and a fifth of the calls from there on; the first call's deposit is lost.
    assert_eq!(retried.count(), 100 + 999 / 5, "R-G-1");
}

/// Linear-time traps: a clock that goes back neither refills the budget nor stops it for good.
#[test]
fn a_clock_that_goes_back_adds_nothing_and_breaks_nothing() {
    let budget =
        Budget::builder().capacity(1).deposit_milli(0).refill_per_second(1).build().unwrap();
    let mut upstream = Upstream::new(budget);
    let mut rng = Always::lowest();
    let mut retried = |now: u64| {
        let call = begin(&POLICY, Call::new(Replay::Freely), at_ms(now), &mut upstream);
        word(&call.finish(&BUSY, at_ms(now), &mut upstream, &mut rng)) == "retry"
    };
    let found = [10_000, 9_000, 10_500, 9_500, 10_999, 11_000, 11_001].map(&mut retried);
    assert_eq!(found, [true, false, false, false, false, true, false], "R-G-1");
}
