//! The referee: is told everything that happens, and says after each event whether it may.
//!
//! It works out by itself what must come next, from the requirements and from what transports
//! report, and holds that against what the client does. What transports report it holds against
//! the ground truth, which the simulated server knows.

mod bucket;
mod calls;
mod connections;
mod coverage;
mod report;
mod spec;
mod violation;

use core::time::Duration;

use redial_client::{AttemptRecord, CallEnd, Error, Response, Wait};
use redial_engine::{
    Cutoff, Failure, FailureKind, Finality, GiveUp, Outcome, PauseCause, Reason, Timestamp,
};

use self::bucket::Bucket;
use self::calls::{CallState, Stage};
use self::connections::UnderWay;
pub(crate) use self::connections::{DEFAULT, HOME, Marks, OWN, key};
pub use self::coverage::{Coverage, Sometimes};
use self::report::{Report, Truth};
use self::spec::{Next, Situation, Spec};
pub use self::violation::{Invariant, Violation};
use crate::scenario::{Fault, Level, Scenario, Target, millis};
use crate::trace::{Event, Record, Trace};

/// Longer than any attempt may take by its timeouts, and than a drain after it.
const LONGEST_ATTEMPT: Duration = Duration::from_secs(90);
/// By how much two ways to round the same jitter may differ.
const ROUNDING: Duration = Duration::from_nanos(2);
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

    /// A call is about to be made.
    pub(crate) fn began(&mut self, call: u32, now: Timestamp) {
        let slack = self.slack;
        if let Some(state) = self.calls.get_mut(call as usize) {
            state.begin(now, slack);
            if state.stage == Stage::Send {
                self.bucket(call).begin(now);
            } else if state.is_unsendable() {
                self.saw(Sometimes::Unsendable);
            }
        }
        self.note(now, call, Event::Began);
    }

    /// The client hands a request to its transport. Answers which send of the call it is.
    pub(crate) fn sent(&mut self, call: u32, cutoff: Option<Cutoff>, now: Timestamp) -> u32 {
        let policy_timeout = self.spec.attempt_timeout();
        let Some(state) = self.calls.get_mut(call as usize) else { return 0 };
        let (stage, deadline, unsafe_repeat) =
            (state.stage, state.deadline, state.must_not_repeat());
        let expected = state.send(now, policy_timeout);
        self.under_way.one_more(now);
        let (sends, attempts, kept) = (state.sends, state.attempts, state.keeps_its_body());
        let cutoff_at = cutoff.map_or(Timestamp::MAX, |cutoff| cutoff.at);
        self.note(now, call, Event::Sent);
        match stage {
            Stage::Send | Stage::Resend => {}
            Stage::Asleep { until, .. } => self.check(now >= until, Invariant::Wait, call, || {
                format!("sent {:?} before its wait was over", until.saturating_since(now))
            }),
            Stage::Sending => {
                self.violated(Invariant::OneAtATime, call, "sent twice at once".into())
            }
            Stage::GivesUp(reason) => self.violated(
                invariant_of(reason),
                call,
                format!("sent again, although {reason} ({} attempts)", attempts - 1),
            ),
            Stage::Ends | Stage::Ended(_) => {
                self.violated(Invariant::End, call, "sent after its final outcome".into());
            }
            Stage::NotBegun | Stage::Over => {
                self.violated(Invariant::Silence, call, "sent although it is over".into());
            }
        }
        self.check(now < deadline, Invariant::Deadline, call, || {
            format!("sent {:?} after its deadline", now.saturating_since(deadline))
        });
        self.check(cutoff_at == expected, Invariant::Deadline, call, || {
            format!("the attempt is cut at {cutoff_at:?} instead of {expected:?}")
        });
        self.check(!unsafe_repeat, Invariant::Replay, call, || {
            "sent again after the server had carried it out".into()
        });
        let most = self.spec.attempts();
        self.check(attempts <= most, Invariant::Attempts, call, || {
            format!("{attempts} attempts of {most}")
        });
        if kept {
            self.saw(Sometimes::BodyKept);
        }
        sends
    }

    /// The server carries a request out: the ground truth.
    pub(crate) fn processed(&mut self, call: u32, send: u32, body: bool, now: Timestamp) {
        self.note(now, call, Event::Processed);
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let times = state.process(send);
        let repeatable = state.is_repeatable();
        self.check(body, Invariant::Body, call, || {
            format!("send {send} had another body than the first")
        });
        match times {
            0 | 1 => {}
            _ if repeatable => self.saw(Sometimes::ProcessedTwice),
            _ => self.violated(Invariant::Replay, call, format!("carried out {times} times")),
        }
    }

    /// A one-shot body yields something.
    pub(crate) fn pulled(&mut self, call: u32) {
        if let Some(state) = self.calls.get_mut(call as usize) {
            state.spent = true;
        }
    }

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

    /// The client says that a call has ended.
    pub(crate) fn ends(&mut self, call: u32, end: &CallEnd<'_>, now: Timestamp) {
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let (stage, sends) = (state.stage, state.sends);
        let (until, begun) = (state.allowed_until, end.attempts.len());
        if stage == Stage::Ends {
            state.stage = Stage::Ended(None);
        }
        let (ended, finality) = (state.stage, state.finality());
        if end.reason.is_none() {
            self.note(now, call, Event::Done(finality));
        }
        self.check(ended == Stage::Ended(end.reason), Invariant::End, call, || {
            format!("ended ({:?}) while {stage:?}", end.reason)
        });
        self.check(begun == sends as usize, Invariant::End, call, || {
            format!("a history of {begun} sends instead of {sends}")
        });
        self.check(now <= until, Invariant::Deadline, call, || {
            format!("ended {:?} too late", now.saturating_since(until))
        });
        match finality {
            _ if end.reason.is_some() => {}
            Finality::Success if sends == 1 => self.saw(Sometimes::FirstTry),
            Finality::Success => self.saw(Sometimes::Recovered),
            Finality::Failure => self.saw(Sometimes::FinalFailure),
            Finality::Status | Finality::ServerSaidNo | _ => self.saw(Sometimes::FinalStatus),
        }
    }

    /// The call's future is complete: what the caller gets.
    pub(crate) fn result(&mut self, call: u32, result: &Result<Response, Error>, body: &[u8]) {
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let (stage, earlier) = (state.stage, state.hands_over_earlier());
        let expected = state.expected_result();
        state.stage = Stage::Over;
        let got = match result {
            Ok(response) => (Ok(response.status().as_u16()), response.reason()),
            Err(error) => (Err(error.kind()), error.reason()),
        };
        self.check(stage == Stage::Ended(got.1), Invariant::End, call, || {
            format!("its future is complete while {stage:?}")
        });
        self.check(got.0 == expected, Invariant::End, call, || {
            format!("the caller gets {:?} instead of {expected:?}", got.0)
        });
        if earlier {
            self.saw(Sometimes::EarlierResponse);
        }
        let Ok(response) = result else { return };
        let whole = response.status() != http::StatusCode::OK
            || (response.is_complete() && response.body() == body);
        self.check(whole, Invariant::Report, call, || {
            format!("a body of {} bytes instead of {}", response.body().len(), body.len())
        });
    }

    /// The call's future was dropped.
    pub(crate) fn cancelled(&mut self, call: u32, now: Timestamp) {
        self.note(now, call, Event::Cancelled);
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let stage = core::mem::replace(&mut state.stage, Stage::Over);
        if matches!(stage, Stage::Asleep { .. }) {
            self.saw(Sometimes::CancelledAsleep);
        } else if stage == Stage::Sending {
            self.under_way.one_less(now);
            self.saw(Sometimes::CancelledSending);
        }
    }

    /// Nothing goes wrong any more, and nothing is left to do: every call must be over.
    pub(crate) fn all_over(&mut self) {
        let open = self.calls.iter().position(|state| state.stage != Stage::Over);
        if let Some(call) = open.and_then(|call| u32::try_from(call).ok()) {
            self.violated(Invariant::Liveness, call, "it never ends".into());
        }
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
