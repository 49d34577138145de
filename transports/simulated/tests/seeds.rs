//! Seeds, each a scenario that the real client goes through before the referee (R-S-4).
#![allow(clippy::panic, reason = "a test fails by panicking")]

use redial_sim::{Coverage, Level, Scenario, Seed, Simulation};

#[test]
fn no_seed_violates_anything() {
    let mut coverage = Coverage::default();
    for seed in (0..3_000).map(Seed) {
        let scenario = Scenario::of(seed, Level::Messages);
        let report = Simulation::new(&scenario).run();
        if let Some(violation) = report.violation {
            let report = Simulation::new(&scenario).keep_trace().run();
            panic!("{violation}\n{scenario}\n{}", report.trace.lines());
        }
        coverage.add(&report.coverage);
    }
    let never: Vec<_> = coverage.never().collect();
    assert!(never.is_empty(), "never happened: {never:?}\n{coverage}");
}
