//! From a scenario that violates something to the least that still does.

use crate::referee::Violation;
use crate::scenario::{CallPlan, FaultPlan, Scenario, Target};

/// The most runs that shrinking takes.
const RUNS: u32 = 5_000;

/// Makes a scenario smaller for as long as it violates anything: fewer faults first, then fewer
/// clock steps and calls, then plainer ones.
///
/// `run` says what a scenario violates. Answers the smallest that was found, and what it violates;
/// `None` where the scenario violates nothing to begin with.
pub fn shrink(
    scenario: &Scenario,
    run: &dyn Fn(&Scenario) -> Option<Violation>,
) -> Option<(Scenario, Violation)> {
    let violation = run(scenario)?;
    let mut search = Shrinking { best: (scenario.clone(), violation), run, left: RUNS };
    // Each pass may open the way for another.
    while search.pass() {}
    Some(search.best)
}

struct Shrinking<'a> {
    best: (Scenario, Violation),
    run: &'a dyn Fn(&Scenario) -> Option<Violation>,
    left: u32,
}

impl Shrinking<'_> {
    /// Tries everything once. Answers whether anything could be left out.
    fn pass(&mut self) -> bool {
        let faults = self.leave_out(|scenario| scenario.faults.len(), without_faults);
        let steps = self.leave_out(|scenario| scenario.steps.len(), without_steps);
        let calls = self.leave_out(|scenario| scenario.calls.len(), without_calls);
        let attempts = self.leave_attempts_out();
        let sooner = self.strike_sooner();
        faults | steps | calls | attempts | sooner | self.simplify()
    }

    /// Permits an attempt less, and leaves one out with the fault that struck it: where all have to
    /// fail, fewer are enough.
    fn leave_attempts_out(&mut self) -> bool {
        let (mut progress, mut index) = (false, 0);
        while index < self.best.0.faults.len() {
            let left_out = self.attempt(|scenario| {
                if scenario.policy.attempts > 1 && index < scenario.faults.len() {
                    scenario.policy.attempts -= 1;
                    let FaultPlan { call, send, .. } = scenario.faults.remove(index);
                    let later = |plan: &&mut FaultPlan| plan.call == call && plan.send > send;
                    scenario.faults.iter_mut().filter(later).for_each(|plan| plan.send -= 1);
                }
            });
            progress |= left_out;
            index += usize::from(!left_out);
        }
        progress
    }

    /// Lets each fault strike the first send of its call, so that those before it are not needed.
    fn strike_sooner(&mut self) -> bool {
        let mut progress = false;
        for index in 0..self.best.0.faults.len() {
            progress |= self.attempt(|scenario| {
                let Some(plan) = scenario.faults.get(index).copied() else { return };
                let first = FaultPlan { send: 1, ..plan };
                scenario.faults.retain(|other| other.call != plan.call);
                scenario.faults.push(first);
            });
        }
        progress
    }

    /// Leaves parts out: halves first, then quarters, and at last one by one.
    fn leave_out(
        &mut self,
        count: fn(&Scenario) -> usize,
        without: fn(&mut Scenario, usize, usize),
    ) -> bool {
        let mut progress = false;
        let mut size = count(&self.best.0).div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < count(&self.best.0) {
                let left_out = self.attempt(|scenario| without(scenario, from, size));
                progress |= left_out;
                from += if left_out { 0 } else { size };
            }
            size = if size == 1 { 0 } else { size.div_ceil(2) };
        }
        progress
    }

    /// Makes settings and calls plainer, each by itself.
    fn simplify(&mut self) -> bool {
        let mut progress = self.attempt(|scenario| scenario.late = 0);
        progress |= self.attempt(|scenario| scenario.latency = 1);
        progress |= self.attempt(|scenario| scenario.budget = None);
        progress |= self.attempt(|scenario| scenario.policy.attempt_timeout = 0);
        progress |= self.attempt(|scenario| scenario.policy.hint_max = 300_000);
        progress |= self.attempt(|scenario| scenario.policy.also = 0);
        progress |= self.attempt(|scenario| scenario.policy.millis = false);
        progress |= self.attempt(|scenario| scenario.policy.should_retry = false);
        progress |= self.attempt(|scenario| scenario.defaults = false);
        progress |= self.attempt(|scenario| scenario.idle = scenario.connections);
        for index in 0..self.best.0.calls.len() {
            let plainer: [fn(&mut CallPlan); 10] = [
                |call| call.cancel = 0,
                |call| call.timeout = 0,
                |call| call.once = false,
                |call| (call.body, call.once) = (0, false),
                |call| call.replay = None,
                |call| call.target = Target::Home,
                |call| call.own = false,
                |call| call.key = false,
                |call| call.expired = false,
                |call| call.at = 0,
            ];
            for plain in plainer {
                progress |= self
                    .attempt(|scenario| scenario.calls.get_mut(index).into_iter().for_each(plain));
            }
        }
        progress
    }

    /// Keeps a change if it is one, and something is still violated.
    fn attempt(&mut self, change: impl FnOnce(&mut Scenario)) -> bool {
        let mut changed = self.best.0.clone();
        change(&mut changed);
        if changed == self.best.0 || self.left == 0 {
            return false;
        }
        self.left -= 1;
        match (self.run)(&changed) {
            Some(violation) => {
                self.best = (changed, violation);
                true
            }
            None => false,
        }
    }
}

fn without_faults(scenario: &mut Scenario, from: usize, size: usize) {
    cut(&mut scenario.faults, from, size);
}

fn without_steps(scenario: &mut Scenario, from: usize, size: usize) {
    cut(&mut scenario.steps, from, size);
}

/// Without these calls and their faults; those after them move up.
fn without_calls(scenario: &mut Scenario, from: usize, size: usize) {
    let end = (from + size).min(scenario.calls.len());
    let (first, past) = (from as u32, end as u32);
    cut(&mut scenario.calls, from, size);
    scenario.faults.retain(|plan| !(first..past).contains(&plan.call));
    for plan in scenario.faults.iter_mut().filter(|plan| plan.call >= past) {
        plan.call -= past - first;
    }
}

fn cut<T>(parts: &mut Vec<T>, from: usize, size: usize) {
    let end = (from + size).min(parts.len());
    drop(parts.drain(from.min(end)..end));
}
