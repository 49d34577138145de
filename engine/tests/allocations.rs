//! A decision allocates nothing, and neither does reading a hint from a response's headers.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::time::UNIX_EPOCH;

use common::{Always, at_ms, attempt, begin, pause, secs};
use http::header::{DATE, HeaderMap, RETRY_AFTER};
use redial_engine::{
    Call, Delivery, FailureKind, HintRules, Outcome, Policy, Replay, ServerHint, StandardPolicy,
    Upstream, Verdict,
};

/// How many allocations this makes.
fn allocations(what: impl FnOnce()) -> u64 {
    allocation_counter::measure(what).count_total
}

#[test]
fn the_counter_counts() {
    assert_eq!(allocations(|| drop(core::hint::black_box(Box::new(1)))), 1);
}

#[test]
fn a_call_from_begin_to_end_allocates_nothing() {
    let policy = StandardPolicy::DEFAULT;
    let outcomes = [
        Outcome::status(503),
        Outcome::hinted(429, ServerHint::NONE.after(secs(7))),
        Outcome::failure(FailureKind::Reset, Delivery::Unknown),
        Outcome::status(200),
    ];
    for policy in [&policy as &dyn Policy, &&policy] {
        let counted = allocations(|| {
            let mut upstream = Upstream::default();
            let mut rng = Always::lowest();
            let mut now = at_ms(0);
            let mut next = begin(policy, Call::new(Replay::Freely), now, &mut upstream);
            for outcome in &outcomes {
                let verdict = next.finish(outcome, now, &mut upstream, &mut rng);
                if let Verdict::Done(_) = verdict {
                    return;
                }
                let pause = pause(verdict);
                now = pause.until();
                next = attempt(pause.resume(now, &mut upstream));
            }
            panic!("the last outcome is final");
        });
        assert_eq!(counted, 0);
    }
}

#[test]
fn reading_a_hint_allocates_nothing() {
    let with = |retry_after: &'static str| {
        let mut headers = HeaderMap::new();
        headers.insert(DATE, "Fri, 29 Sep 2023 16:26:37 GMT".parse().unwrap());
        headers.insert(RETRY_AFTER, retry_after.parse().unwrap());
        headers
    };
    let rows = [
        (HeaderMap::new(), None),
        (with("7"), Some(7)),
        (with("Fri, 29 Sep 2023 16:26:57 GMT"), Some(20)),
        (with("Friday, 29-Sep-23 16:26:57 GMT"), Some(20)),
        (with("Fri Sep 29 16:26:57 2023"), Some(20)),
        (with("soon"), None),
    ];
    for (headers, expected) in &rows {
        let mut hint = ServerHint::NONE;
        let counted = allocations(|| hint = HintRules::DEFAULT.hint(headers, || UNIX_EPOCH));
        assert_eq!(hint.wait(), expected.map(Duration::from_secs), "{headers:?}");
        assert_eq!(counted, 0, "{headers:?}");
    }
}
