//! Every sequence of outcomes to a depth of four attempts, through the real client.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use redial_engine::{Jitter, Replay};
use redial_sim::{BudgetPlan, CallPlan, Fault, FaultPlan, PolicyPlan, Scenario, Simulation, Verb};

const DEPTH: u32 = 4;

/// One of each class that the engine tells apart; what is struck by nothing succeeds.
const CLASSES: [Option<Fault>; 13] = [
    None,
    Some(Fault::Status { code: 404, after: 0 }),
    Some(Fault::Status { code: 503, after: 0 }),
    Some(Fault::Status { code: 503, after: 1 }),
    Some(Fault::Status { code: 429, after: 600 }),
    Some(Fault::Status { code: 500, after: 1 }),
    Some(Fault::Resolve),
    Some(Fault::ConnectSilence),
    Some(Fault::Dead),
    Some(Fault::LostClosed),
    Some(Fault::DoneReset),
    Some(Fault::Garbage),
    Some(Fault::BodyCut),
];

/// What a sequence is tried with.
fn settings() -> Vec<(CallPlan, Option<BudgetPlan>)> {
    let plain = CallPlan { method: Verb::Put, body: 20, ..CallPlan::GET };
    let tight = BudgetPlan::Tokens { capacity: 2, deposit: 0, refill: 0 };
    vec![
        (plain, None),
        (plain, Some(tight)),
        (CallPlan { once: true, ..plain }, None),
        (CallPlan { replay: Some(Replay::IfUnsent), ..plain }, None),
        (CallPlan { method: Verb::Post, ..plain }, None),
        (CallPlan { timeout: 3_000, ..plain }, Some(tight)),
    ]
}

struct Exploration {
    scenario: Scenario,
    sequences: u64,
}

impl Exploration {
    /// Runs a sequence, and every longer one that begins with it, for as long as the call asks for
    /// more.
    fn explore(&mut self, depth: u32) {
        for class in CLASSES {
            let before = self.scenario.faults.len();
            let struck = class.map(|fault| FaultPlan { call: 0, send: depth, fault });
            self.scenario.faults.extend(struck);
            if self.sends() > depth && depth < DEPTH {
                self.explore(depth + 1);
            }
            self.scenario.faults.truncate(before);
        }
    }

    fn sends(&mut self) -> u32 {
        self.sequences += 1;
        let report = Simulation::new(&self.scenario).run();
        if let Some(violation) = report.violation {
            panic!("{violation}\n{}", self.scenario);
        }
        report.sends
    }
}

#[test]
fn every_sequence_is_what_the_rules_say() {
    let policy = PolicyPlan { attempts: DEPTH, jitter: Jitter::Full, ..Scenario::BLANK.policy };
    let sequences: Vec<u64> = settings()
        .into_iter()
        .map(|(call, budget)| {
            let calls = vec![call];
            let scenario = Scenario { policy, budget, calls, ..Scenario::BLANK };
            let mut exploration = Exploration { scenario, sequences: 0 };
            exploration.explore(1);
            exploration.sequences
        })
        .collect();
    // Of a call that may be repeated nine classes are followed by all thirteen, three levels deep;
    // of one that must be proved unsent, or cannot be read twice, three are; of a POST the
    // connection that was dead, once.
    let full = |live: u64| 13 * (1 + live + live * live + live * live * live);
    assert_eq!(sequences, [full(9), 4_004, full(3), full(3), 13 + 13, 3_146]);
}
