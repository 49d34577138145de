//! The referee: is told everything that happens, and says after each event whether it may.
//!
//! It works out by itself what must come next, from the requirements and from what transports
//! report, and holds that against what the client does. What transports report it holds against
//! the ground truth, which the simulated server knows.

mod attempts;
mod bucket;
mod calls;
mod connections;
mod coverage;
mod ends;
mod report;
mod sends;
mod spec;
mod violation;

use core::time::Duration;

use redial_engine::{Reason, Timestamp};

use self::bucket::Bucket;
use self::calls::CallState;
use self::connections::UnderWay;
pub(crate) use self::connections::{DEFAULT, HOME, Marks, OWN, key};
pub use self::coverage::{Coverage, Sometimes};
use self::report::Truth;
use self::spec::Spec;
pub use self::violation::{Invariant, Violation};
use crate::scenario::{Level, Scenario, Target, millis};
use crate::trace::{Event, Record, Trace};

/// Longer than any attempt may take by its timeouts, and than a drain after it.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(90);
/// R-P-10: how long a response that will be retried is read.
const DRAIN: Duration = Duration::from_millis(100);
/// The header that says which send of its call a request is.
pub(crate) const SEND: &str = "x-send";

/// Watches one run.
#[derive(Debug)]
pub(crate) struct Referee {
    spec: Spec,
    /// A budget for each origin: the client's home, and the other.
    buckets: [Bucket; 2],
    level: Level,
    truth: Truth,
    connections: u32,
    defaults: bool,
    under_way: UnderWay,
    calls: Vec<CallState>,
    /// By how much things may be late: timers, and a machine that was suspended.
    slack: Duration,
    last: Timestamp,
    trace: Trace,
    coverage: Coverage,
    violation: Option<Violation>,
}

impl Referee {
    pub(crate) fn new(scenario: &Scenario, trace: Trace) -> Self {
        let suspended: Duration = scenario.steps.iter().map(|step| millis(step.suspend)).sum();
        Self {
            spec: Spec::new(scenario.policy, scenario.seed),
            buckets: [Bucket::full(scenario.budget), Bucket::full(scenario.budget)],
            level: scenario.level,
            truth: Truth::of(scenario),
            connections: scenario.connections,
            defaults: scenario.defaults,
            under_way: UnderWay::default(),
            calls: scenario.calls.iter().map(CallState::new).collect(),
            slack: millis(scenario.late) * 4 + suspended + DRAIN,
            last: Timestamp::ORIGIN,
            trace,
            coverage: Coverage::default(),
            violation: None,
        }
    }

    /// What came of it all.
    pub(crate) fn finish(self) -> (Trace, Coverage, Option<Violation>) {
        (self.trace, self.coverage, self.violation)
    }

    pub(crate) const fn is_violated(&self) -> bool {
        self.violation.is_some()
    }

    /// How often all calls together were sent so far.
    pub(crate) fn all_sends(&self) -> u32 {
        self.calls.iter().map(|state| state.sends).sum()
    }

    /// How often this call was sent so far.
    pub(crate) fn sends(&self, call: u32) -> u32 {
        self.calls.get(call as usize).map_or(0, |state| state.sends)
    }

    pub(crate) fn saw(&mut self, what: Sometimes) {
        self.coverage.saw(what);
    }

    /// Something must not be. Only the first counts: what follows may follow from it.
    pub(crate) fn violated(
        &mut self,
        invariant: Invariant,
        call: impl Into<Option<u32>>,
        what: String,
    ) {
        if self.violation.is_none() {
            self.violation = Some(Violation::new(invariant, self.last, call.into(), what));
        }
    }

    fn check(
        &mut self,
        holds: bool,
        invariant: Invariant,
        call: u32,
        what: impl FnOnce() -> String,
    ) {
        if !holds {
            self.violated(invariant, call, what());
        }
    }

    /// The budget that pays for this call's retries.
    fn bucket(&mut self, call: u32) -> &mut Bucket {
        let target = self.calls.get(call as usize).map(|state| state.plan.target);
        let [home, other] = &mut self.buckets;
        match target {
            Some(Target::Elsewhere) => other,
            Some(Target::Home | Target::Ambiguous) | None => home,
        }
    }

    fn note(&mut self, now: Timestamp, call: u32, event: Event) {
        let last = self.last;
        self.check(now >= last, Invariant::Time, call, || format!("{now:?} after {last:?}"));
        self.last = now;
        let attempt = self.calls.get(call as usize).map_or(0, |state| state.attempts);
        let tokens_milli = self.bucket(call).milli();
        self.trace.record(Record { at: now, call, attempt, event, tokens_milli });
    }
}

/// Which rule a reason to give up belongs to.
const fn invariant_of(reason: Reason) -> Invariant {
    match reason {
        Reason::NotRepeatable => Invariant::Replay,
        Reason::BodySpent => Invariant::Body,
        Reason::AttemptsExhausted => Invariant::Attempts,
        Reason::HintBeyondCap => Invariant::Wait,
        Reason::BudgetExhausted => Invariant::Budget,
        Reason::DeadlineWouldPass | _ => Invariant::Deadline,
    }
}
