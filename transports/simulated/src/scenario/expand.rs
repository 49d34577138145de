//! From a seed to a scenario.

use redial_engine::{Jitter, Replay};

use super::{BudgetPlan, CallPlan, ClockStep, Fault, FaultPlan, Level, PolicyPlan, Scenario, Verb};
use crate::rng::{Seed, Stream};

/// The least calls of a scenario that is drawn.
const CALLS: u64 = 5;

impl Scenario {
    /// The scenario that this seed stands for.
    ///
    /// Small numbers of everything, and extreme ones often: what is rare in the field is to be
    /// common here. Each part has a stream of randomness of its own.
    pub fn of(seed: Seed, level: Level) -> Self {
        let mut settings = seed.stream("settings");
        let policy = policy(&mut settings);
        let budget = budget(&mut settings);
        let calls = calls(seed.stream("calls"));
        let faults = faults(seed.stream("faults"), calls.len() as u64, policy.attempts);
        Self {
            seed,
            level,
            policy,
            budget,
            connections: settings.between(1, 4) as u32,
            latency: settings.between(1, 50) as u32,
            late: if settings.chance(1, 4) { settings.between(1, 30) as u32 } else { 0 },
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
    }
}

fn budget(stream: &mut Stream) -> Option<BudgetPlan> {
    let plan = BudgetPlan {
        capacity: pick(stream, &[1, 2, 3, 100]),
        deposit: pick(stream, &[0, 100, 200, 1_000]),
        refill: pick(stream, &[0, 0, 1, 10]),
    };
    (!stream.chance(1, 5)).then_some(plan)
}

fn calls(mut stream: Stream) -> Vec<CallPlan> {
    let (mut at, count) = (0, stream.between(CALLS, CALLS + 3));
    let mut call = || {
        at += pick(&mut stream, &[0, 0, 1, 20, 400]);
        let method = pick(&mut stream, &[Verb::Get, Verb::Get, Verb::Put, Verb::Post, Verb::Post]);
        let body = pick(&mut stream, &[0, 1, 20, 3_000]);
        let body = if method == Verb::Get { 0 } else { body };
        let replays = [Replay::Freely, Replay::IfUnsent, Replay::Never];
        let replay = pick(&mut stream, &replays);
        CallPlan {
            at,
            method,
            body,
            once: stream.chance(1, 3) && body > 0,
            replay: stream.chance(1, 4).then_some(replay),
            timeout: pick(&mut stream, &[0, 0, 0, 1, 40, 900, 5_000]),
            cancel: pick(&mut stream, &[0, 0, 0, 0, 0, 0, 1, 30, 300, 3_000]),
        }
    };
    (0..count).map(|_| call()).collect()
}

/// For every send that there may be, a fault with a chance that is the scenario's own: some are
/// quiet, and some are storms.
fn faults(mut stream: Stream, calls: u64, attempts: u32) -> Vec<FaultPlan> {
    let chance = pick(&mut stream, &[1, 3, 5, 8]);
    let mut faults = Vec::new();
    for call in 0..calls as u32 {
        for send in 1..=attempts + 1 {
            let fault = fault(&mut stream);
            if stream.chance(chance, 10) {
                faults.push(FaultPlan { call, send, fault });
            }
        }
    }
    faults
}

/// Three draws, whatever comes of them.
fn fault(stream: &mut Stream) -> Fault {
    const PLAIN: [Fault; 18] = [
        Fault::Resolve,
        Fault::Refused,
        Fault::ConnectSilence,
        Fault::Dead,
        Fault::LostClosed,
        Fault::LostReset,
        Fault::LostSilence,
        Fault::DoneClosed,
        Fault::DoneReset,
        Fault::DoneSilence,
        Fault::HeadCut,
        Fault::HeadReset,
        Fault::Garbage,
        Fault::InterimClosed,
        Fault::BodyCut,
        Fault::BodyReset,
        Fault::BodySilence,
        Fault::Stale,
    ];
    let plain = pick(stream, &PLAIN);
    let code = pick(stream, &[503, 503, 429, 429, 500, 502, 504, 408, 404, 501]);
    match stream.below(10) {
        0..5 => plain,
        5..7 => Fault::Status { code, after: 0 },
        7 => Fault::Status { code, after: 1 },
        8 => Fault::Status { code, after: if code == 503 { 2 } else { 600 } },
        _ => Fault::Slow { millis: if code == 503 { 12_000 } else { 200 } },
    }
}

/// One scenario in four has clocks that jump.
fn steps(mut stream: Stream) -> Vec<ClockStep> {
    let count = if stream.chance(1, 4) { stream.between(1, 2) } else { 0 };
    let mut step = || ClockStep {
        at: stream.between(1, 2_000) as u32,
        wall: pick(&mut stream, &[0, 3_600_000, -3_600_000, i32::MAX, i32::MIN]),
        suspend: pick(&mut stream, &[0, 0, 100, 30_000]),
    };
    (0..count).map(|_| step()).collect()
}

/// One of these. They are not none.
fn pick<T: Copy>(stream: &mut Stream, from: &[T]) -> T {
    let index = stream.below(from.len() as u64) as usize;
    #[allow(clippy::indexing_slicing, reason = "the index is below the length")]
    from[index]
}
