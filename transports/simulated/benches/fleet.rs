//! How fast fleets are on one core, with checks and trace hash on (R-S-5), in processor time.
//!
//! `cargo bench -p redial-sim --bench fleet` makes the calls of the anchors: 503 three times, then
//! 200, with waits of one, two and four seconds, by ten thousand clients that call again at once;
//! over a network without delay, and over one that takes 0.5 to 1.5 ms each way. It fails where the
//! first makes fewer calls than its goal, so it is for a machine that has nothing else to do.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench prints what it found")]

use std::process::ExitCode;

use redial_sim::Seed;
use redial_sim::fleet::{self, Report, Scenario};
use rustix::time::{ClockId, clock_gettime};

const ANCHORS: &str = r#"
    title = "503 three times, then 200"
    clients = 10000
    duration = "2000s"

    [load]
    every = "0s"

    [server]
    fails_first = 3

    [[contender]]
    name = "waits of 1, 2 and 4 s"
    policy = { backoff = { kind = "exponential", base = "1s", jitter = { kind = "none" } } }
    budget = { kind = "unlimited" }
"#;

/// Calls a second without a network (R-S-5).
const GOAL: f64 = 3e6;

fn main() -> ExitCode {
    let mut met = true;
    let instant = Scenario::from_toml(ANCHORS).expect("a scenario that makes sense");
    let network = "[server]\nnetwork = { uniform = { from = \"500us\", to = \"1500us\" } }";
    let delayed = ANCHORS.replace("[server]", network);
    let delayed = Scenario::from_toml(&delayed).expect("a scenario that makes sense");
    println!("{:>9}  {:>12}  {:>14}  {:>8}", "network", "calls/s", "attempts/s", "ns/call");
    for (name, scenario) in [("none", instant), ("0.5-1.5 ms", delayed)] {
        // The fastest of five: what else runs on the machine is not what is measured.
        let (seconds, report) = (0..5)
            .map(|_| timed(&scenario))
            .min_by(|(one, _), (other, _)| one.total_cmp(other))
            .expect("five runs");
        let calls = report.totals.calls as f64 / seconds;
        let attempts = report.totals.attempts as f64 / seconds;
        println!("{name:>9}  {calls:>12.0}  {attempts:>14.0}  {:>8.1}", 1e9 / calls);
        met &= calls >= GOAL || name != "none";
    }
    println!("goal without a network: {GOAL} calls/s{}", if met { "" } else { ", missed" });
    if met { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn timed(scenario: &Scenario) -> (f64, Report) {
    let contender = scenario.contenders.first().expect("one contender");
    let start = processor_time();
    let report = fleet::run(scenario, contender, Seed(1), &mut |_| {});
    let seconds = processor_time() - start;
    let totals = report.totals;
    assert_eq!(report.violation, None);
    assert_eq!(report.most_open, 10_000, "in flight");
    assert_eq!((totals.attempts, totals.succeeded), (totals.calls * 4, totals.calls));
    (seconds, report)
}

/// Seconds that this thread has been at work: others' work on the machine does not count.
fn processor_time() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}
