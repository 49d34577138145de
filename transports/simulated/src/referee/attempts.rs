//! What attempts come to, and what must follow: the next send at once, a wait, or the end.

use core::time::Duration;

use redial_client::{AttemptRecord, Wait};
use redial_engine::{Failure, FailureKind, GiveUp, Outcome, PauseCause, Reason, Timestamp};

use super::calls::Stage;
use super::report::Report;
use super::spec::{Next, Situation};
use super::{Invariant, Referee, Sometimes, invariant_of};
use crate::scenario::Fault;
use crate::trace::Event;

/// By how much two ways to round the same jitter may differ.
const ROUNDING: Duration = Duration::from_nanos(2);

impl Referee {
    /// An attempt comes to this, says the client: works out what must follow.
    pub(crate) fn attempt(
        &mut self,
        call: u32,
        record: &AttemptRecord,
        fault: Option<Fault>,
        now: Timestamp,
    ) {
        self.note(now, call, Event::Ended(record.outcome));
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let (stage, attempts) = (state.stage, state.attempts);
        let situation = state.situation(now);
        let (cutoff, processed) = (state.cutoff, state.was_processed());
        let report = Report { record, fault, cutoff, processed };
        let sound = report.is_sound(&self.truth, now);
        state.heard(&record.outcome);
        self.check(sound, Invariant::Report, call, || {
            format!("{:?} reported of {fault:?}", record.outcome)
        });
        let expected = (Stage::Sending, attempts);
        self.check((stage, record.number) == expected, Invariant::End, call, || {
            format!("attempt {} ended while {stage:?} of attempt {attempts}", record.number)
        });
        match record.outcome {
            Outcome::Failure(Failure { kind: FailureKind::Deadline, .. }) => {
                self.saw(Sometimes::DeadlineCutAttempt);
            }
            Outcome::Failure(Failure { kind: FailureKind::AttemptTimeout, .. }) => {
                self.saw(Sometimes::AttemptTimeout);
            }
            Outcome::Failure(Failure { kind: FailureKind::PoolTimeout, .. }) => {
                self.waited_in_vain(call, now);
            }
            Outcome::Failure(_) | Outcome::Response { .. } => {}
        }
        self.under_way.one_less(now);
        let stage = self.follow(call, &record.outcome, &situation, now);
        let slack = self.slack;
        if let Some(state) = self.calls.get_mut(call as usize) {
            state.goes_on(stage, now, slack);
        }
    }

    /// What must follow, now that the budget has been asked.
    fn follow(&mut self, call: u32, outcome: &Outcome, at: &Situation, now: Timestamp) -> Stage {
        let next = self.spec.next(outcome, at);
        if matches!(next, Next::GiveUp(_) | Next::Wait { .. }) {
            self.bucket(call).failed();
        }
        match next {
            Next::Done => {
                if matches!(outcome, Outcome::Response { status: ..400, .. }) {
                    self.bucket(call).succeeded();
                }
                Stage::Ends
            }
            Next::Resend => {
                self.saw(Sometimes::Resent);
                Stage::Resend
            }
            Next::GiveUp(reason) => Stage::GivesUp(reason),
            Next::Wait { nanos, hinted } => {
                if !self.bucket(call).charge(now) {
                    return Stage::GivesUp(Reason::BudgetExhausted);
                }
                let wait = Duration::from_nanos(nanos);
                Stage::Asleep { until: now.saturating_add(wait), wait, hinted }
            }
        }
    }

    /// The client says that it waits.
    pub(crate) fn waits(&mut self, call: u32, wait: &Wait, now: Timestamp) {
        let Wait { length, cause, .. } = *wait;
        self.note(now, call, Event::Waits { wait: length, cause });
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let (stage, level_unsent) = (state.stage, state.was_unsent());
        state.waits(length);
        let hint = cause == PauseCause::ServerHint;
        match stage {
            Stage::Asleep { wait, hinted, .. } => {
                let right = if hint { wait == length } else { wait.abs_diff(length) <= ROUNDING };
                self.check(right && hinted == hint, Invariant::Wait, call, || {
                    format!("waits {length:?} ({}) instead of {wait:?}", cause.name())
                });
                self.coverage_of_wait(hinted, level_unsent);
            }
            Stage::GivesUp(reason) => {
                let what = format!("waits {length:?}, although {reason}");
                self.violated(invariant_of(reason), call, what);
            }
            Stage::NotBegun
            | Stage::Send
            | Stage::Resend
            | Stage::Sending
            | Stage::Ends
            | Stage::Ended(_)
            | Stage::Over => self.violated(Invariant::Wait, call, format!("waits while {stage:?}")),
        }
    }

    fn coverage_of_wait(&mut self, hinted: bool, proved_unsent: bool) {
        if hinted {
            self.saw(Sometimes::HintHeeded);
        }
        if proved_unsent {
            self.saw(Sometimes::ProvedUnsent);
        }
    }

    /// The client says that it gives up.
    pub(crate) fn gives_up(&mut self, call: u32, why: GiveUp, now: Timestamp) {
        self.late_for_its_deadline(call, why, now);
        self.note(now, call, Event::GaveUp(why.reason));
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let (stage, attempts) = (state.stage, state.attempts);
        state.stage = Stage::Ended(Some(why.reason));
        let expected = Stage::GivesUp(why.reason);
        self.check(stage == expected, invariant_of(why.reason), call, || {
            format!("gave up for {} while {stage:?}", why.reason.name())
        });
        self.check(why.attempts == attempts, Invariant::Attempts, call, || {
            format!("gave up after {} attempts instead of {attempts}", why.attempts)
        });
        self.saw(match why.reason {
            Reason::NotRepeatable => Sometimes::NotRepeatable,
            Reason::BodySpent => Sometimes::BodySpent,
            Reason::AttemptsExhausted => Sometimes::AttemptsExhausted,
            Reason::HintBeyondCap => Sometimes::HintBeyondCap,
            Reason::BudgetExhausted => Sometimes::BudgetExhausted,
            Reason::DeadlineWouldPass if attempts == 0 => Sometimes::DeadlinePast,
            Reason::DeadlineWouldPass | _ => Sometimes::DeadlineCutWait,
        });
    }

    /// A call that woke so late that its deadline was past gives up, and gets its token back.
    fn late_for_its_deadline(&mut self, call: u32, why: GiveUp, now: Timestamp) {
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        if why.reason == Reason::DeadlineWouldPass
            && matches!(state.stage, Stage::Asleep { until, .. } if now >= until)
            && now >= state.deadline
        {
            state.stage = Stage::GivesUp(Reason::DeadlineWouldPass);
            self.bucket(call).refund();
            self.saw(Sometimes::DeadlineWhileAsleep);
        }
    }
}
