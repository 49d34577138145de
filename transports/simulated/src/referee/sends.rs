//! From the beginning of a call to its requests at the server, and whether each may be.

use redial_engine::{Cutoff, Timestamp};

use super::calls::Stage;
use super::{Invariant, Referee, Sometimes, invariant_of};
use crate::trace::Event;

impl Referee {
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
}
