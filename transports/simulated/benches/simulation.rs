//! How fast whole clients are simulated on one core, the referee and the trace's hash on: the calls
//! of the anchors, 503 three times and then 200, with waits of one, two and four seconds (R-S-5).
//!
//! `cargo bench -p redial-sim --bench simulation`
//!
//! Time is the thread's own, so that what else the machine does costs little; the best of the
//! rounds counts. It fails where a goal is missed, so it is for a machine that has nothing else to
//! do.
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]
#![allow(clippy::panic, reason = "a bench fails by panicking")]

use core::time::Duration;
use std::process::ExitCode;

use redial_engine::Jitter;
use redial_sim::{CallPlan, Fault, FaultPlan, Level, PolicyPlan, Scenario, Seed, Simulation};
use rustix::time::{ClockId, clock_gettime};

const ROUNDS: u32 = 20;

fn main() -> ExitCode {
    let messages = measure(Level::Messages, 20_000, 100);
    let bytes = measure(Level::Bytes, 4_000, 100) * 4.0;
    let http2 = measure(Level::Http2, 4_000, 100) * 4.0;
    let mut met = true;
    for (what, found, goal) in [
        ("messages, client and driver, calls/s", messages, 300_000.0),
        ("bytes of HTTP/1.1, attempts/s", bytes, 100_000.0),
        ("bytes of HTTP/2, attempts/s", http2, 100_000.0),
    ] {
        let missed = if found < goal { ", missed" } else { "" };
        println!("{what:<38} {found:>9.0}  (goal {goal}{missed})");
        met &= found >= goal;
    }
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Calls a second, in the best of the rounds.
fn measure(level: Level, calls: u32, apart: u32) -> f64 {
    let scenario = anchors(level, calls, apart);
    let best = (0..ROUNDS).map(|_| round(&scenario)).min().unwrap_or(Duration::MAX);
    f64::from(calls) / best.as_secs_f64()
}

fn round(scenario: &Scenario) -> Duration {
    let began = cpu_time();
    let report = Simulation::new(scenario).run();
    let took = cpu_time() - began;
    if let Some(violation) = report.violation {
        panic!("{violation}");
    }
    assert_eq!(report.sends as usize, scenario.calls.len() * 4);
    took
}

/// So many calls, each so many milliseconds after the one before.
fn anchors(level: Level, calls: u32, apart: u32) -> Scenario {
    let call = |index| CallPlan { at: index * apart, ..CallPlan::GET };
    let fault = Fault::Status { code: 503, after: 0 };
    let faults =
        (0..calls).flat_map(|call| (1..=3).map(move |send| FaultPlan { call, send, fault }));
    Scenario {
        seed: Seed(0),
        level,
        policy: PolicyPlan { jitter: Jitter::None, ..Scenario::BLANK.policy },
        calls: (0..calls).map(call).collect(),
        faults: faults.collect(),
        latency: 4,
        ..Scenario::BLANK
    }
}

fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
    Duration::from_secs(seconds) + Duration::from_nanos(nanos)
}
