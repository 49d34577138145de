//! Where each call stands.

use core::time::Duration;

use redial_engine::{Delivery, Failure, FailureKind, Finality, Outcome, Reason, Replay, Timestamp};

use super::LONGEST_ATTEMPT;
use super::spec::{Situation, is_retried};
use crate::scenario::{CallPlan, Target, millis};

/// What must come next of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    NotBegun,
    /// Its first attempt.
    Send,
    /// The same request again, at once.
    Resend,
    /// The outcome of its attempt.
    Sending,
    /// The next attempt, when the wait is over.
    Asleep {
        until: Timestamp,
        wait: Duration,
        hinted: bool,
    },
    /// Its end, for this reason.
    GivesUp(Reason),
    /// Its end, with the last outcome.
    Ends,
    /// The end of its future.
    Ended(Option<Reason>),
    Over,
}

/// When an attempt is cut, and what kind of failure that is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cut {
    pub(super) at: Timestamp,
    pub(super) kind: FailureKind,
}

/// Where one call stands, and what it has come to.
#[derive(Debug)]
pub(super) struct CallState {
    pub(super) plan: CallPlan,
    timeout: Duration,
    pub(super) stage: Stage,
    pub(super) attempts: u32,
    pub(super) sends: u32,
    pub(super) spent: bool,
    pub(super) resent: bool,
    /// When its last send was handed to the transport.
    pub(super) sent_at: Timestamp,
    /// A bit for each send whose head came to the server.
    arrived_sends: u64,
    pub(super) deadline: Timestamp,
    pub(super) cutoff: Option<Cut>,
    previous_wait: Duration,
    processed: u32,
    /// A bit for each send that was carried out.
    processed_sends: u64,
    last_outcome: Option<Outcome>,
    last_response: Option<u16>,
    /// When it must have ended.
    pub(super) allowed_until: Timestamp,
}

impl CallState {
    pub(super) fn new(plan: &CallPlan) -> Self {
        Self {
            plan: *plan,
            timeout: millis(plan.timeout),
            stage: Stage::NotBegun,
            attempts: 0,
            sends: 0,
            spent: false,
            resent: false,
            sent_at: Timestamp::ORIGIN,
            arrived_sends: 0,
            deadline: Timestamp::MAX,
            cutoff: None,
            previous_wait: Duration::ZERO,
            processed: 0,
            processed_sends: 0,
            last_outcome: None,
            last_response: None,
            allowed_until: Timestamp::MAX,
        }
    }

    pub(super) fn begin(&mut self, now: Timestamp, slack: Duration) {
        self.stage = Stage::Send;
        if self.timeout > Duration::ZERO {
            self.deadline = now.saturating_add(self.timeout);
        }
        if self.plan.expired {
            (self.deadline, self.stage) = (now, Stage::GivesUp(Reason::DeadlineWouldPass));
        }
        if self.is_unsendable() {
            self.stage = Stage::Ended(None);
        }
        self.allow(now, slack);
    }

    /// Whether it can be sent nowhere.
    pub(super) fn is_unsendable(&self) -> bool {
        self.plan.target == Target::Ambiguous
    }

    /// It must have ended an attempt after this, and soon after its deadline.
    fn allow(&mut self, from: Timestamp, slack: Duration) {
        let attempt = from.saturating_add(LONGEST_ATTEMPT);
        self.allowed_until = attempt.min(self.deadline).saturating_add(slack);
    }

    /// A request is sent. Answers when its attempt must be cut.
    pub(super) fn send(&mut self, now: Timestamp, timeout: Option<Duration>) -> Timestamp {
        self.sends += 1;
        self.sent_at = now;
        if self.stage == Stage::Resend {
            self.resent = true;
        } else {
            (self.attempts, self.resent) = (self.attempts + 1, false);
            let timeout = timeout.map_or(Timestamp::MAX, |timeout| now.saturating_add(timeout));
            self.cutoff = self.cut(timeout);
        }
        self.stage = Stage::Sending;
        self.cutoff.map_or(Timestamp::MAX, |cutoff| cutoff.at)
    }

    fn cut(&self, timeout: Timestamp) -> Option<Cut> {
        let at = self.deadline.min(timeout);
        let by_deadline = at == self.deadline;
        let kind = if by_deadline { FailureKind::Deadline } else { FailureKind::AttemptTimeout };
        (at < Timestamp::MAX).then_some(Cut { at, kind })
    }

    /// The server carries a send out. Answers how often it has now.
    pub(super) const fn process(&mut self, send: u32) -> u32 {
        self.processed += 1;
        self.processed_sends |= bit(send);
        self.processed
    }

    /// The head of a send has come to the server. Answers whether it is the first time.
    pub(super) const fn arrive(&mut self, send: u32) -> bool {
        let first = self.arrived_sends & bit(send) == 0;
        self.arrived_sends |= bit(send);
        first
    }

    /// Whether it waits for a connection, or for its request to go out.
    pub(super) fn waits_its_turn(&self) -> bool {
        self.stage == Stage::Sending && !self.resent && self.arrived_sends & bit(self.sends) == 0
    }

    /// Whether the server carried out what was sent last.
    pub(super) const fn was_processed(&self) -> bool {
        self.processed_sends & bit(self.sends) != 0
    }

    /// Whether its body can be produced only once, was left alone, and is sent now.
    pub(super) const fn keeps_its_body(&self) -> bool {
        self.plan.once && !self.spent && self.sends > 1
    }

    pub(super) fn is_repeatable(&self) -> bool {
        self.plan.replay() == Replay::Freely
    }

    /// Whether to send again would be to carry it out again.
    pub(super) fn must_not_repeat(&self) -> bool {
        self.processed > 0 && !self.is_repeatable()
    }

    pub(super) fn situation(&self, now: Timestamp) -> Situation {
        Situation {
            replay: self.plan.replay(),
            spent: self.spent,
            resent: self.resent,
            attempts: self.attempts,
            previous_wait: nanos(self.previous_wait),
            deadline: self.deadline.as_nanos(),
            cutoff: self.cutoff.map_or(u64::MAX, |cutoff| cutoff.at.as_nanos()),
            now: now.as_nanos(),
        }
    }

    pub(super) const fn heard(&mut self, outcome: &Outcome) {
        self.last_outcome = Some(*outcome);
        if let Outcome::Response { status, .. } = outcome {
            self.last_response = Some(*status);
        }
    }

    pub(super) fn goes_on(&mut self, stage: Stage, now: Timestamp, slack: Duration) {
        let mut from = now;
        if let Stage::Asleep { until, wait, .. } = stage {
            self.previous_wait = wait;
            from = until;
        }
        self.stage = stage;
        self.allow(from, slack);
    }

    /// It says that it waits for so long: from here on that counts, to the nanosecond.
    pub(super) fn waits(&mut self, length: Duration) {
        if let Stage::Asleep { until, wait, .. } = &mut self.stage {
            let began = until.as_nanos().saturating_sub(nanos(*wait));
            *until = Timestamp::from_nanos(began).saturating_add(length);
            *wait = length;
            self.previous_wait = length;
        }
    }

    /// Whether its last attempt was repeated only because nothing of it had been sent.
    pub(super) fn was_unsent(&self) -> bool {
        let unsent = matches!(
            self.last_outcome,
            Some(Outcome::Failure(Failure { delivery: Delivery::Unsent, .. }))
        );
        unsent && self.plan.replay() == Replay::IfUnsent
    }

    /// What its last outcome is, if it is final.
    pub(super) fn finality(&self) -> Finality {
        match self.last_outcome {
            Some(Outcome::Response { status: ..400, .. }) => Finality::Success,
            Some(Outcome::Response { .. }) => Finality::Status,
            Some(Outcome::Failure(_)) | None => Finality::Failure,
        }
    }

    /// Whether the caller gets an earlier response, because the last attempt brought none.
    pub(super) fn hands_over_earlier(&self) -> bool {
        let failure = self.last_outcome.and_then(|outcome| match outcome {
            Outcome::Failure(failure) => Some(failure),
            Outcome::Response { .. } => None,
        });
        self.last_response.is_some() && failure.is_some_and(|failure| is_retried(failure.kind))
    }

    /// What the caller must get: a status, or a kind of failure (R-C-4).
    pub(super) fn expected_result(&self) -> Result<u16, FailureKind> {
        match (self.last_outcome, self.last_response) {
            (Some(Outcome::Response { status, .. }), _) => Ok(status),
            (Some(Outcome::Failure(failure)), None) => Err(failure.kind),
            (Some(Outcome::Failure(failure)), Some(status)) => {
                if is_retried(failure.kind) {
                    Ok(status)
                } else {
                    Err(failure.kind)
                }
            }
            (None, _) if self.is_unsendable() => Err(FailureKind::InvalidRequest),
            (None, _) => Err(FailureKind::Deadline),
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The bit of a send; there are never so many that they run out.
const fn bit(send: u32) -> u64 {
    1_u64.wrapping_shl(send)
}
