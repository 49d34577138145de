//! Many seeds, one after the other, and what the first bad one comes down to.

use core::fmt;

use crate::referee::{Coverage, Violation};
use crate::rng::Seed;
use crate::run::{Report, Simulation};
use crate::scenario::{Level, Scenario};
use crate::shrink::shrink;

/// What a search has seen.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Search {
    /// How many scenarios were run.
    pub runs: u64,
    /// How many calls they made.
    pub calls: u64,
    /// How many events their traces have.
    pub events: u64,
    /// All their hashes in one: the same on every machine.
    pub hash: u64,
    /// What rare things happened.
    pub coverage: Coverage,
    /// The first thing that must not have happened, if any; the search has stopped there.
    pub finding: Option<Finding>,
}

impl Search {
    /// Runs the scenarios of these seeds.
    pub fn through(seeds: impl IntoIterator<Item = Seed>, level: Level) -> Self {
        Self::with(seeds, level, &|simulation| simulation.run())
    }

    /// Runs the scenarios of these seeds, as this function runs one.
    pub fn with(
        seeds: impl IntoIterator<Item = Seed>,
        level: Level,
        run: &dyn Fn(Simulation<'_>) -> Report,
    ) -> Self {
        let mut search = Self::default();
        for seed in seeds {
            let scenario = Scenario::of(seed, level);
            let report = run(Simulation::new(&scenario));
            search.add(&scenario, &report);
            if report.violation.is_some() {
                search.finding = Finding::of(seed, &scenario, run);
                break;
            }
        }
        search
    }

    fn add(&mut self, scenario: &Scenario, report: &Report) {
        self.runs += 1;
        self.calls += scenario.calls.len() as u64;
        self.events += report.trace.len();
        self.hash = Seed(self.hash).child(report.trace.hash()).0;
        self.coverage.add(&report.coverage);
    }
}

/// A seed that violates something, and the least that still does.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Finding {
    /// The seed.
    pub seed: Seed,
    /// The least scenario.
    pub scenario: Scenario,
    /// What that violates.
    pub violation: Violation,
    /// What happened in it, a line for each event.
    pub trace: String,
}

impl Finding {
    /// Shrinks a scenario that violates something; `None` where it does not.
    pub fn of(
        seed: Seed,
        scenario: &Scenario,
        run: &dyn Fn(Simulation<'_>) -> Report,
    ) -> Option<Self> {
        let run_one = |scenario: &Scenario| run(Simulation::new(scenario)).violation;
        let (scenario, violation) = shrink(scenario, &run_one)?;
        let trace = run(Simulation::new(&scenario).keep_trace()).trace.lines();
        Some(Self { seed, scenario, violation, trace })
    }
}

impl fmt::Display for Finding {
    /// The seed, what it violates, and a line that replays the least scenario that does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, scenario, violation, trace } = self;
        writeln!(f, "seed {seed}: {violation}")?;
        writeln!(f, "replay with: redial simulate --replay '{scenario}'")?;
        f.write_str(trace)
    }
}
