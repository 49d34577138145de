//! What must hold on every step of every call, whatever the policy (R-S-4).

use core::fmt;

use redial_engine::{
    Attempt, Cutoff, Limit, Outcome, Pause, PauseCause, StandardPolicy, Timestamp, Upstream,
};

use super::scenario::Contender;

/// Something that must never happen has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// When.
    pub at: Timestamp,
    /// To which call, counted from 0.
    pub call: u32,
    /// What.
    pub what: &'static str,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at {} in call {}: {}", self.at, self.call, self.what)
    }
}

/// Compares what the engine answers with what was agreed. The first violation is kept.
#[derive(Debug)]
pub(super) struct Checks {
    max_attempts: u32,
    capacity_milli: u64,
    open: u64,
    first: Option<Violation>,
}

impl Checks {
    pub(super) fn new(contender: &Contender) -> Self {
        Self {
            max_attempts: max_attempts(&contender.policy),
            capacity_milli: contender.budget.capacity_milli(),
            open: 0,
            first: None,
        }
    }

    pub(super) fn violation(self) -> Option<Violation> {
        self.first
    }

    /// A call began.
    #[inline]
    pub(super) const fn began(&mut self) {
        self.open += 1;
    }

    /// An attempt is to be sent; so many were sent before.
    #[inline]
    pub(super) fn sends<P: redial_engine::Policy>(
        &mut self,
        attempt: &Attempt<P>,
        before: u32,
        (at, call): (Timestamp, u32),
    ) {
        let number = attempt.number().get();
        self.hold(number == before + 1, at, call, "attempts are not numbered one after the other");
        self.hold(number <= self.max_attempts, at, call, "more attempts than allowed");
        let in_time = attempt.deadline().is_none_or(|cutoff| is_in_time(at, &cutoff));
        self.hold(in_time, at, call, "an attempt begins after its deadline");
    }

    /// A pause follows an outcome.
    #[inline]
    pub(super) fn waits<P: redial_engine::Policy>(
        &mut self,
        pause: &Pause<P>,
        outcome: &Outcome,
        (at, call): (Timestamp, u32),
    ) {
        if pause.cause() == PauseCause::ServerHint
            && let Outcome::Response { hint, .. } = outcome
        {
            let long = hint.wait().is_some_and(|hint| pause.remaining(at) >= hint);
            self.hold(long, at, call, "a wait is shorter than the server asked for");
        }
        self.hold(pause.until() >= at, at, call, "a wait ends before it begins");
    }

    /// What the budget holds after a step.
    #[inline]
    pub(super) fn budget(&mut self, upstream: &Upstream, (at, call): (Timestamp, u32)) {
        let held = upstream.tokens_milli() <= self.capacity_milli;
        self.hold(held, at, call, "a budget holds more than its capacity");
    }

    /// A call ended.
    #[inline]
    pub(super) fn ended(&mut self, attempts: u32, sent: u32, (at, call): (Timestamp, u32)) {
        self.hold(attempts == sent, at, call, "a call miscounts its attempts");
        self.hold(self.open > 0, at, call, "a call ends twice");
        self.open = self.open.saturating_sub(1);
    }

    /// Much happens, and no time passes.
    pub(super) fn stands_still(&mut self, at: Timestamp) {
        let what = "calls begin and end without end in one instant: let load.every take some \
                    time, or server.network and the timeouts";
        self.break_off(Violation { at, call: 0, what });
    }

    /// Nothing more will happen.
    pub(super) fn finished(&mut self, at: Timestamp, calls: u32) {
        self.hold(self.open == 0, at, calls, "a call has no end");
    }

    #[inline]
    fn hold(&mut self, holds: bool, at: Timestamp, call: u32, what: &'static str) {
        if !holds {
            self.break_off(Violation { at, call, what });
        }
    }

    #[cold]
    fn break_off(&mut self, violation: Violation) {
        self.first.get_or_insert(violation);
    }
}

/// Whether an attempt may begin at this time that is cut off then. One that may take no time begins
/// and ends in one instant (R-T-8); when the call's deadline has come, nothing begins (R-T-5).
fn is_in_time(at: Timestamp, cutoff: &Cutoff) -> bool {
    match cutoff.limit {
        Limit::AttemptTimeout => at <= cutoff.at,
        Limit::Deadline => at < cutoff.at,
    }
}

/// The most attempts, as the policy is written; without a bound where it cannot be.
pub(super) fn max_attempts(policy: &StandardPolicy) -> u32 {
    let written = toml::Table::try_from(policy).ok();
    let attempts = written.as_ref().and_then(|policy| policy.get("max_attempts")?.as_integer());
    attempts.and_then(|attempts| u32::try_from(attempts).ok()).unwrap_or(u32::MAX)
}
