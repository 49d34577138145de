//! Ends of calls: as the client says that they ended, as their callers see it, and by being dropped.

use redial_client::{CallEnd, Error, Response};
use redial_engine::{Finality, Timestamp};

use super::calls::Stage;
use super::{Invariant, Referee, Sometimes};
use crate::trace::Event;

impl Referee {
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
