//! From a trace back to a scenario: what happened once is made to happen again.

use core::error::Error as StdError;
use core::fmt;

use redial_engine::{Delivery, Failure, FailureKind, Outcome};

use super::{Fault, FaultPlan, Level, Scenario};
use crate::trace::{Event, Record};

/// Something in a trace that no fault brings about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unfollowable(
    /// What the attempt came to.
    pub Outcome,
);

impl fmt::Display for Unfollowable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no fault of a scenario brings about {:?}", self.0)
    }
}

impl StdError for Unfollowable {}

impl Scenario {
    /// The calls of this scenario once more, with whole messages, each attempt of which comes to
    /// what it came to in a trace, whatever transport that was recorded over.
    ///
    /// Outcomes are followed, not times: a response that was late comes at the usual time.
    ///
    /// # Errors
    ///
    /// [`Unfollowable`] where an outcome is none that a scenario knows.
    pub fn following(&self, trace: &[Record]) -> Result<Self, Unfollowable> {
        let mut sends: Vec<Progress> = vec![Progress::default(); self.calls.len()];
        let mut faults = Vec::new();
        for record in trace {
            let Some(progress) = sends.get_mut(record.call as usize) else { continue };
            match record.event {
                Event::Sent => *progress = Progress { send: progress.send + 1, processed: false },
                Event::Processed => progress.processed = true,
                Event::Ended(outcome) => {
                    let Progress { send, processed } = *progress;
                    let fault = fault_of(&outcome, processed)?;
                    let plan = |fault| FaultPlan { call: record.call, send, fault };
                    faults.extend(fault.map(plan));
                }
                Event::Began
                | Event::Waits { .. }
                | Event::Done(_)
                | Event::GaveUp(_)
                | Event::Cancelled => {}
            }
        }
        Ok(Self { level: Level::Messages, faults, ..self.clone() })
    }
}

/// How far a call had come in the trace.
#[derive(Clone, Copy, Default)]
struct Progress {
    send: u32,
    /// Whether the last send was carried out.
    processed: bool,
}

/// What brings an outcome about; nothing where all goes well.
fn fault_of(outcome: &Outcome, processed: bool) -> Result<Option<Fault>, Unfollowable> {
    match outcome {
        Outcome::Response { status: 200, .. } => Ok(None),
        Outcome::Response { status, hint } => {
            let wait = hint.wait().unwrap_or_default();
            let whole = wait.subsec_nanos() == 0 && hint.says_retry().is_none();
            match u32::try_from(wait.as_secs()) {
                Ok(after) if whole => Ok(Some(Fault::Status { code: *status, after })),
                Ok(_) | Err(_) => Err(Unfollowable(*outcome)),
            }
        }
        Outcome::Failure(failure) => {
            failing(failure, processed).map(Some).ok_or(Unfollowable(*outcome))
        }
    }
}

fn failing(failure: &Failure, processed: bool) -> Option<Fault> {
    // What a limit of the call's own has cut was silent until then.
    if matches!(failure.kind, FailureKind::AttemptTimeout | FailureKind::Deadline) {
        return Some(match failure.delivery {
            Delivery::Unsent => Fault::ConnectSilence,
            Delivery::Unknown if processed => Fault::DoneSilence,
            Delivery::Unknown => Fault::LostSilence,
            Delivery::Answered => Fault::BodySilence,
        });
    }
    let told = Some((failure.kind, failure.delivery));
    let same = |fault: &Fault| fault.failure() == told && (*fault != Fault::Dead || failure.reused);
    let all = || Fault::all().filter(same);
    all().find(|fault| fault.processed() == processed).or_else(|| all().next())
}
