//! From a seed to a scenario.

use redial_engine::{Jitter, Replay};

use super::{
    BudgetPlan, CallPlan, ClockStep, Fault, FaultPlan, Hint, Level, PolicyPlan, Scenario, Target,
    Verb,
};
use crate::rng::{Seed, Stream};

/// The least calls of a scenario that is drawn.
const CALLS: u64 = 5;
/// The status that is retried where that is asked for: nobody retries it by habit.
const TEAPOT: u16 = 418;

impl Scenario {
    /// The scenario that this seed stands for.
    ///
    /// Small numbers of everything, and extreme ones often: what is rare in the field is to be
    /// common here. Each part has a stream of randomness of its own.
    pub fn of(seed: Seed, level: Level) -> Self {
        let mut settings = seed.stream("settings");
        let policy = policy(&mut settings);
        let budget = budget(&mut settings);
        let mut calls = calls(seed.stream("calls"));
        specialize(&mut calls, seed.stream("specialities"));
        let faults = faults(seed.stream("faults"), calls.len() as u64, policy.attempts, level);
        let connections = settings.between(1, 4) as u32;
        Self {
            seed,
            level,
            policy,
            budget,
            connections,
            idle: settings.between(1, u64::from(connections)) as u32,
            defaults: settings.chance(1, 2),
            latency: settings.between(1, 50) as u32,
            late: pick(&mut settings, &[0, 0, 5, 30]),
            calls,
            faults,
            steps: steps(seed.stream("steps")),
        }
    }
}

fn policy(stream: &mut Stream) -> PolicyPlan {
    let base = pick(stream, &[1, 10, 100, 1_000]);
    PolicyPlan {
        attempts: stream.between(1, 6) as u32,
        base,
        cap: base * pick(stream, &[1, 3, 8, 60]),
        jitter: pick(
            stream,
            &[
                Jitter::DEFAULT,
                Jitter::Full,
                Jitter::Equal,
                Jitter::Decorrelated,
                Jitter::None,
                Jitter::Proportional { from_percent: 0 },
            ],
        ),
        attempt_timeout: pick(stream, &[0, 0, 0, 300, 2_000]),
        hint_max: pick(stream, &[300_000, 300_000, 1_500]),
        also: pick(stream, &[0, TEAPOT]),
        millis: stream.chance(1, 2),
        should_retry: stream.chance(1, 2),
    }
}

fn budget(stream: &mut Stream) -> Option<BudgetPlan> {
    let tokens = BudgetPlan::Tokens {
        capacity: pick(stream, &[1, 2, 3, 100]),
        deposit: pick(stream, &[0, 100, 200, 1_000]),
        refill: pick(stream, &[0, 0, 1, 10]),
    };
    let throttle = BudgetPlan::Throttle {
        tokens: pick(stream, &[1, 2, 4, 10]),
        ratio: pick(stream, &[1, 100, 500, 1_000]),
    };
    match stream.below(10) {
        0..2 => None,
        2..4 => Some(throttle),
        _ => Some(tokens),
    }
}

fn calls(mut stream: Stream) -> Vec<CallPlan> {
    let (mut at, count) = (0, stream.between(CALLS, CALLS + 3));
    let mut call = || {
        at += pick(&mut stream, &[0, 0, 1, 20, 400]);
        let method = pick(&mut stream, &[Verb::Get, Verb::Get, Verb::Put, Verb::Post, Verb::Post]);
        let body = pick(&mut stream, &[0, 1, 20, 6_000]);
        let body = if method == Verb::Get { 0 } else { body };
        let replays = [Replay::Freely, Replay::IfUnsent, Replay::Never];
        let replay = pick(&mut stream, &replays);
        CallPlan {
            at,
            method,
            body,
            once: stream.chance(1, 3) && body > 0,
            replay: stream.chance(1, 4).then_some(replay),
            timeout: pick(&mut stream, &[0, 0, 0, 0, 1, 40, 900, 5_000]),
            cancel: pick(&mut stream, &[0, 0, 0, 0, 0, 0, 1, 30, 300, 3_000]),
            ..CallPlan::GET
        }
    };
    (0..count).map(|_| call()).collect()
}

/// Makes some of the calls special.
fn specialize(calls: &mut [CallPlan], mut stream: Stream) {
    for call in calls {
        call.target = match stream.below(20) {
            0 => Target::Ambiguous,
            1..5 => Target::Elsewhere,
            _ => Target::Home,
        };
        call.own = stream.chance(1, 4);
        call.key = stream.chance(1, 8);
        call.expired = stream.chance(1, 25);
    }
}

/// For every send that there may be, a fault with a chance that is the scenario's own: some are
/// quiet, and some are storms.
fn faults(mut stream: Stream, calls: u64, attempts: u32, level: Level) -> Vec<FaultPlan> {
    let chance = pick(&mut stream, &[1, 3, 5, 8]);
    let mut faults = Vec::new();
    for call in 0..calls as u32 {
        for send in 1..=attempts + 1 {
            let fault = fault(&mut stream, level);
            if stream.chance(chance, 10) {
                faults.push(FaultPlan { call, send, fault });
            }
        }
    }
    faults
}

/// Faults without numbers that every protocol has.
const PLAIN: [Fault; 15] = [
    Fault::Resolve,
    Fault::Refused,
    Fault::ConnectSilence,
    Fault::LostClosed,
    Fault::LostReset,
    Fault::LostSilence,
    Fault::DoneClosed,
    Fault::DoneReset,
    Fault::DoneSilence,
    Fault::Garbage,
    Fault::BodyCut,
    Fault::BodyReset,
    Fault::BodySilence,
    Fault::Stale,
    Fault::Unread,
];

/// Those of HTTP/1.1.
const HTTP1: [Fault; 6] = [
    Fault::Dead,
    Fault::HeadCut,
    Fault::HeadReset,
    Fault::InterimClosed,
    Fault::HeadTooLarge,
    Fault::TwoFramings,
];

/// Those of HTTP/2.
const HTTP2: [Fault; 6] = [
    Fault::GoAway,
    Fault::GoAwayError,
    Fault::RefusedStream,
    Fault::StreamReset,
    Fault::BodyStreamReset,
    Fault::FewerStreams,
];

/// That of TLS.
const TLS: [Fault; 1] = [Fault::Untrusted];

/// Four draws, whatever comes of them.
fn fault(stream: &mut Stream, level: Level) -> Fault {
    let lists: &[&[Fault]] = match level {
        Level::Messages => &[&PLAIN, &HTTP1, &HTTP2, &TLS],
        Level::Bytes => &[&PLAIN, &HTTP1, &HTTP1],
        Level::Http2 => &[&PLAIN, &HTTP2, &HTTP2],
    };
    let count = lists.iter().map(|list| list.len() as u64).sum();
    let plain = lists.iter().copied().flatten().nth(stream.below(count) as usize);
    let code = pick(stream, &[503, 503, 429, 429, 500, 502, 504, 408, 404, 501, TEAPOT, TEAPOT]);
    let hint = pick(stream, &Hint::UNUSUAL);
    match stream.below(20) {
        0..10 => plain.copied().unwrap_or(Fault::LostClosed),
        10..13 => Fault::Status { code, after: 0 },
        13..15 => Fault::Hinted { code, hint },
        15..17 => Fault::Status { code, after: 1 },
        17..19 => Fault::Status { code, after: if code == 503 { 2 } else { 600 } },
        _ => Fault::Slow { millis: if code == 503 { 12_000 } else { 200 } },
    }
}

/// One scenario in four has clocks that jump.
fn steps(mut stream: Stream) -> Vec<ClockStep> {
    let count = if stream.chance(1, 4) { stream.between(1, 2) } else { 0 };
    let mut step = || ClockStep {
        at: stream.between(1, 2_000) as u32,
        wall: pick(&mut stream, &[0, 3_600_000, -3_600_000, i32::MAX, i32::MIN]),
        suspend: pick(&mut stream, &[0, 100, 2_000, 30_000]),
    };
    (0..count).map(|_| step()).collect()
}

/// One of these. They are not none.
fn pick<T: Copy>(stream: &mut Stream, from: &[T]) -> T {
    let index = stream.below(from.len() as u64) as usize;
    #[allow(clippy::indexing_slicing, reason = "the index is below the length")]
    from[index]
}
