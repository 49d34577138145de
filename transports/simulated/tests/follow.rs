//! What a trace shows is made to happen again; and both levels of simulation decide alike.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use redial_sim::trace::{Event, Record};
use redial_sim::{Fault, Level, Report, Scenario, Seed, Simulation};

const SEEDS: u64 = 300;

/// A scenario without limits of time, in which outcomes alone decide.
fn scenario(seed: u64, level: Level) -> Scenario {
    let mut scenario = Scenario::of(Seed(seed), level);
    (scenario.late, scenario.budget, scenario.policy.attempt_timeout) = (0, None, 0);
    scenario.steps.clear();
    let timed = |fault| matches!(fault, Fault::Slow { .. } | Fault::Hinted { .. });
    scenario.faults.retain(|plan| !timed(plan.fault));
    for call in &mut scenario.calls {
        (call.timeout, call.cancel) = (0, 0);
    }
    scenario
}

fn run(scenario: &Scenario) -> Report {
    let report = Simulation::new(scenario).keep_trace().run();
    assert_eq!(report.violation, None, "{scenario}");
    report
}

#[test]
fn a_trace_is_followed_to_the_same_trace() {
    for seed in 0..SEEDS {
        let scenario = scenario(seed, Level::Messages);
        let report = run(&scenario);
        // As it would be after it was saved.
        let lines = report.trace.lines();
        let saved: Vec<Record> = lines.lines().map(|line| line.parse().unwrap()).collect();
        let again = scenario.following(&saved).unwrap();
        assert_eq!(run(&again).trace.hash(), report.trace.hash(), "{scenario}\n{again}");
    }
}

/// What one call did, without its times.
fn decisions(records: &[Record], call: u32) -> Vec<String> {
    let own = records.iter().filter(|record| record.call == call);
    let kept = own.filter(|record| record.event != Event::Processed);
    kept.map(|record| {
        let Record { attempt, event, .. } = record;
        if let Event::Waits { cause, .. } = event {
            return format!("a{attempt} waits {}", cause.name());
        }
        format!("a{attempt} {event}")
    })
    .collect()
}

#[test]
fn messages_and_bytes_lead_to_the_same_decisions() {
    let mut followed = 0;
    for seed in 0..SEEDS {
        let scenario = scenario(seed, Level::Bytes);
        let bytes = run(&scenario).trace;
        // A pool's timeout is none of a message's.
        let Ok(again) = scenario.following(bytes.records()) else { continue };
        followed += 1;
        let messages = run(&again).trace;
        for call in 0..scenario.calls.len() as u32 {
            let (one, other) =
                (decisions(bytes.records(), call), decisions(messages.records(), call));
            let sequence = |decisions: &[String]| decisions.join("\n").replace(" reused", "");
            assert_eq!(sequence(&one), sequence(&other), "{scenario}\n{again}");
        }
    }
    assert!(followed > SEEDS / 2, "{followed}");
}
