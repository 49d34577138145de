//! How long each wait is: the formulas of the requirements, to the nanosecond.

#![allow(clippy::panic, clippy::expect_used, reason = "a test fails by panicking")]

mod common;

use core::num::NonZeroU32;
use core::time::Duration;

use common::{Always, at_ms, begin, ms, pause, secs, word};
use rand_core::Rng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng as _;
use redial_engine::{
    Backoff, Call, Class, Jitter, Outcome, Replay, RetryContext, StandardPolicy, Upstream,
};

const POLICY: StandardPolicy = StandardPolicy::DEFAULT;

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
            let last = Duration::from_nanos(u64::from(below));
            assert_eq!(pause.wait(), ms(wait) - last);
            now = pause.until();
            attempt = common::attempt(pause.resume(now, &mut upstream));
        }
        let verdict = attempt.finish(&Outcome::status(503), now, &mut upstream, &mut rng);
        assert_eq!(word(&verdict), "attempts_exhausted", "five attempts (R-D-1)");
    }
}

#[test]
fn the_default_cap_is_a_minute_and_bounds_the_wait_before_its_jitter() {
    // R-B-1: 64 s would be the seventh.
    let outcome = Outcome::status(503);
    let rows = [(6, 25_600, 32_000), (7, 48_000, 60_000), (8, 48_000, 60_000)];
    for (number, least, most) in rows {
        let number = NonZeroU32::new(number).expect("it is not zero");
        let retry = RetryContext::new(&outcome, number, secs(1), Class::Server);
        let wait = |mut rng: Always| Backoff::DEFAULT.wait(&retry, &mut rng);
        assert_eq!(wait(Always::lowest()), ms(least));
        assert_eq!(wait(Always::highest()), ms(most) - Duration::from_nanos(1));
    }
    // A base above the cap raises it; a cap of one's own may be as low as the base.
    let first = RetryContext::new(&outcome, NonZeroU32::MIN, secs(1), Class::Server);
    let wait = |backoff: Backoff| backoff.jitter(Jitter::None).wait(&first, &mut Always::lowest());
    assert_eq!(wait(Backoff::exponential(secs(90))), secs(90));
    assert_eq!(wait(Backoff::fixed(secs(90))), secs(90));
    assert_eq!(wait(Backoff::exponential(secs(90)).cap(secs(90))), secs(90));
    assert_eq!(wait(Backoff::fixed(ms(20)).cap(ms(20))), ms(20));
    assert_eq!(wait(Backoff::custom(|_| secs(61))), secs(60));
}

#[test]
fn a_shape_of_ones_own_sees_the_outcome_the_number_and_the_wait_before() {
    // R-B-2.
    fn shape(retry: &RetryContext<'_>) -> Duration {
        let status = match retry.outcome() {
            Outcome::Response { status, .. } => u64::from(*status),
            Outcome::Failure(_) => 0,
        };
        let number = u64::from(retry.number().get());
        ms(status + number) + retry.previous().unwrap_or_default() * 10
    }
    let backoff = Backoff::custom(shape).jitter(Jitter::None);
    let policy = StandardPolicy::builder().backoff(backoff).build().expect("it makes sense");
    let (mut upstream, mut rng) = (Upstream::default(), Always::lowest());
    let first = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let asleep = pause(first.finish(&Outcome::status(500), at_ms(0), &mut upstream, &mut rng));
    assert_eq!(asleep.wait(), ms(501));
    let second = common::attempt(asleep.resume(at_ms(501), &mut upstream));
    let asleep = pause(second.finish(&Outcome::status(503), at_ms(501), &mut upstream, &mut rng));
    assert_eq!(asleep.wait(), ms(503 + 2 + 5_010));
    assert_eq!(rng.draws, 0, "R-B-5");
}

#[test]
fn a_seed_gives_this_schedule_on_every_machine() {
    // R-B-5, bit for bit: the generator's first four numbers by hand, in 128 bits.
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
    let mut same = rng.clone();
    let (mut upstream, mut now) = (Upstream::default(), at_ms(0));
    let mut attempt = begin(&POLICY, Call::new(Replay::Freely), now, &mut upstream);
    let mut waits = Vec::new();
    for doublings in 0..4 {
        let pause = pause(attempt.finish(&Outcome::status(503), now, &mut upstream, &mut rng));
        let width = 200_000_000_u128 << doublings;
        let drawn = (width * u128::from(same.next_u64())) >> 64;
        assert_eq!(pause.wait().as_nanos(), 4 * width + drawn);
        waits.push(pause.wait().as_nanos());
        now = pause.until();
        attempt = common::attempt(pause.resume(now, &mut upstream));
    }
    assert_eq!(waits, SEVEN, "what was drawn when this was written");
}

/// The waits of the default policy with the seed 7, in nanoseconds.
const SEVEN: [u128; 4] = [811_072_087, 1_668_846_341, 3_774_060_902, 7_083_535_710];

#[test]
fn every_jitter_has_the_range_that_is_documented() {
    // R-B-2, from a second, at most ten: the least and the greatest wait of each retry, the latter
    // a nanosecond below. A range from nothing may begin a nanosecond above it. Decorrelated waits
    // depend on the one before, and so have two schedules.
    let rows = [
        (Jitter::None, [1_000, 2_000, 4_000, 8_000, 10_000], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (Jitter::DEFAULT, [800, 1_600, 3_200, 6_400, 8_000], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (Jitter::Proportional { from_percent: 0 }, [0; 5], [1_000, 2_000, 4_000, 8_000, 10_000]),
        (
            Jitter::Proportional { from_percent: 100 },
            [1_000, 2_000, 4_000, 8_000, 10_000],
            [1_000, 2_000, 4_000, 8_000, 10_000],
        ),
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
                let off = pause.wait().abs_diff(ms(wait));
                assert!(off.as_nanos() < 20, "{jitter:?}: {:?}, not {wait} ms", pause.wait());
                assert!(
                    pause.wait() <= ms(wait).max(Duration::from_nanos(1)),
                    "{jitter:?}: {:?}",
                    pause.wait()
                );
                now = pause.until();
                attempt = common::attempt(pause.resume(now, &mut upstream));
            }
        }
    }
}
