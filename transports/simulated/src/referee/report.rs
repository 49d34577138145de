//! What a client says of an attempt, held against the ground truth.

use redial_client::AttemptRecord;
use redial_engine::{Delivery, Failure, FailureKind, Outcome, ServerHint, Timestamp};

use super::calls::Cut;
use crate::scenario::{Asked, Fault, Hint, Level, PolicyPlan, Scenario};

/// What is known of a run beforehand, as far as reports are held against it.
#[derive(Debug)]
pub(super) struct Truth {
    level: Level,
    policy: PolicyPlan,
    /// Whether the machine is suspended at some time.
    pub(super) suspended: bool,
    /// Whether the wall clock is stepped at some time.
    stepped: bool,
    /// How many of the faults end connections that others may be using.
    breaking: usize,
}

impl Truth {
    pub(super) fn of(scenario: &Scenario) -> Self {
        let faults = scenario.faults.iter();
        Self {
            level: scenario.level,
            policy: scenario.policy,
            suspended: scenario.steps.iter().any(|step| step.suspend > 0),
            stepped: scenario.steps.iter().any(|step| step.wall != 0),
            breaking: faults.filter(|plan| plan.fault.breaks_a_connection()).count(),
        }
    }

    /// Whether something else than this fault may have ended a connection that is shared.
    fn breaks_elsewhere(&self, fault: Option<Fault>) -> bool {
        let own = fault.is_some_and(Fault::breaks_a_connection);
        self.level == Level::Http2 && self.breaking > usize::from(own)
    }

    /// Whether this is what such a response says (R-RA, R-D-10).
    fn is_said(&self, said: Hint, found: &ServerHint) -> bool {
        let asked = said.asks(self.policy.millis);
        // A clock that jumps makes of a date what it likes.
        let unclear = matches!(asked, Asked::AtMost(_)) && (self.stepped || self.suspended);
        let says = said.says_retry().filter(|_| self.policy.should_retry);
        (unclear || asked.is(found.wait())) && says == found.says_retry()
    }
}

/// What a client says of an attempt, and what is known of it.
pub(super) struct Report<'a> {
    pub(super) record: &'a AttemptRecord,
    pub(super) fault: Option<Fault>,
    pub(super) cutoff: Option<Cut>,
    pub(super) processed: bool,
}

impl Report<'_> {
    /// Whether that may be said of it.
    pub(super) fn is_sound(&self, truth: &Truth, now: Timestamp) -> bool {
        match &self.record.outcome {
            Outcome::Response { status, hint } => self.is_sound_response(*status, hint, truth),
            Outcome::Failure(failure) => self.is_sound_failure(failure, truth, now),
        }
    }

    /// No response comes where none was sent, or only part of one.
    fn is_sound_response(&self, status: u16, hint: &ServerHint, truth: &Truth) -> bool {
        let Some(fault) = self.fault else { return status == 200 && *hint == ServerHint::NONE };
        // A fault of the connection spares a request that finds one.
        let spared = truth.level.has_connections() && fault.is_of_the_connection();
        if spared && status == 200 {
            return *hint == ServerHint::NONE;
        }
        fault.failure().is_none() && status == fault.status() && truth.is_said(fault.hint(), hint)
    }

    fn is_sound_failure(&self, failure: &Failure, truth: &Truth, now: Timestamp) -> bool {
        // The claim on which repeating safely rests.
        if failure.delivery == Delivery::Unsent && self.processed {
            return false;
        }
        if let Some(cutoff) = self.cutoff.filter(|cutoff| cutoff.kind == failure.kind) {
            return now >= cutoff.at;
        }
        let expected = self.fault.and_then(Fault::failure);
        if expected == Some((failure.kind, failure.delivery)) {
            return true;
        }
        let slow = matches!(self.fault, Some(Fault::Slow { .. }));
        if !truth.level.has_connections() {
            return slow && failure.kind == FailureKind::ReadTimeout;
        }
        // To a connection that is closed another request may still be written, and what is
        // written to it is answered by a reset (RFC 9293 3.10.7.1).
        let reset = truth.level == Level::Http2
            && failure.kind == FailureKind::Reset
            && expected.is_some_and(|(kind, delivery)| {
                matches!(kind, FailureKind::Closed | FailureKind::Truncated)
                    && delivery == failure.delivery
            });
        // What fits into the buffers on the way is taken by nobody, and not missed either.
        let unread = self.fault == Some(Fault::Unread) && failure.kind == FailureKind::ReadTimeout;
        // A machine that was suspended finds that everything took too long.
        slow || reset
            || unread
            || is_known_race(failure)
            || (truth.suspended && failure.kind.is_timeout())
            || (truth.breaks_elsewhere(self.fault) && is_of_a_connection(failure.kind))
    }
}

/// What can happen to a request over a connection that others used before, or wait for.
fn is_known_race(failure: &Failure) -> bool {
    const UNCONNECTED: [FailureKind; 4] = [
        FailureKind::PoolTimeout,
        FailureKind::Resolve,
        FailureKind::Connect,
        FailureKind::ConnectTimeout,
    ];
    let unconnected = UNCONNECTED.contains(&failure.kind) && failure.delivery == Delivery::Unsent;
    let lost = matches!(failure.kind, FailureKind::Closed | FailureKind::Reset);
    unconnected || (lost && failure.reused)
}

/// What can happen to a request because of another on the same connection.
const fn is_of_a_connection(kind: FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::Closed
            | FailureKind::Reset
            | FailureKind::Truncated
            | FailureKind::RemoteProtocol
            | FailureKind::GoAway { .. }
    )
}
