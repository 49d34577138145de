//! How long a call waits before it is sent again, where the server says nothing of it.

use core::time::Duration;

use redial_engine::{Backoff, Jitter, StandardPolicyBuilder};

use super::{millis, ok, status};
use crate::{Call, QUICK_BASE, Scenario, Script, Sighting, Waited};

pub(super) fn all() -> Vec<Scenario> {
    let rows = [
        ("jitter-full", Jitter::Full, [(0, 20), (0, 40), (0, 80)]),
        ("jitter-equal", Jitter::Equal, [(10, 20), (20, 40), (40, 80)]),
        ("jitter-none", Jitter::None, [(20, 20), (40, 40), (80, 80)]),
        ("jitter-decorrelated", Jitter::Decorrelated, [(20, 60), (20, 180), (20, 540)]),
        (
            "jitter-from-half",
            Jitter::Proportional { from_percent: 50 },
            [(10, 20), (20, 40), (40, 80)],
        ),
    ];
    let jitters = rows.map(|(name, jitter, bounds)| {
        let shape = Backoff::exponential(QUICK_BASE).jitter(jitter);
        waiting(name, &["R-B-2"], "this jitter keeps within its bounds", shape, &bounds)
    });
    let shapes = [
        waiting(
            "doubles",
            &["R-B-1"],
            "each wait is twice the one before, less up to a fifth at random",
            Backoff::exponential(QUICK_BASE),
            &[(16, 20), (32, 40), (64, 80), (128, 160)],
        ),
        waiting(
            "cap",
            &["R-B-1"],
            "the cap bounds the wait before the jitter is drawn, and no wait exceeds it",
            Backoff::exponential(QUICK_BASE).cap(millis(30)),
            &[(16, 20), (24, 30), (24, 30), (24, 30)],
        ),
        waiting(
            "fixed",
            &["R-B-2"],
            "a fixed wait is as long every time, less the jitter",
            Backoff::fixed(millis(25)),
            &[(20, 25), (20, 25), (20, 25)],
        ),
        waiting(
            "of-a-users-own",
            &["R-B-2"],
            "a shape of a user's own sees the retry's number",
            Backoff::custom(|retry| millis(10 * u64::from(retry.number().get())))
                .jitter(Jitter::None),
            &[(10, 10), (20, 20), (30, 30)],
        ),
    ];
    let calls =
        (0..6).map(|number| Call::get(format!("/{number}")).comes_to([503, 503]).max_attempts(2));
    let differs = Scenario::new(
        "backoff/differs-between-calls",
        &["R-B-3"],
        "calls that fail together do not come back together",
    )
    .origin(Script::requests(vec![]).otherwise(super::reply(&status(503))))
    .together(calls.map(|call| call.gives_up(redial_engine::Reason::AttemptsExhausted)))
    .sees(Sighting::WaitsDiffer)
    .sees_requests(12);
    jitters.into_iter().chain(shapes).chain([differs]).collect()
}

/// A call that fails and waits within these bounds, in milliseconds, until it succeeds.
fn waiting(
    name: &str,
    requirements: &[&'static str],
    title: &str,
    shape: Backoff,
    bounds: &[(u64, u64)],
) -> Scenario {
    let waits = bounds.iter().map(|(least, most)| Waited::backoff(millis(*least), millis(*most)));
    let failures = bounds.iter().map(|_| 503);
    Scenario::new(format!("backoff/{name}"), requirements, title)
        .origin(Script::replies(failures.clone().map(status).chain([ok()])))
        .setup(|setup| setup.policy(|policy: StandardPolicyBuilder| policy.backoff(shape)))
        .call(Call::get("/").comes_to(failures.chain([200])).waits(waits))
        .sees(Sighting::Gap {
            origin: 0,
            after: 0,
            least: bounds.first().map_or(Duration::ZERO, |(least, _)| millis(*least)),
        })
}
