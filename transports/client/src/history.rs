//! The history of a call: what every attempt came to.

use core::time::Duration;

use redial_engine::{Outcome, PauseCause};
use smallvec::SmallVec;

/// The attempts of a call, without an allocation where there was only one.
pub(crate) type History = SmallVec<[AttemptRecord; 1]>;

/// What one attempt came to, and what followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct AttemptRecord {
    /// The attempt's number, 1 for the first. A transparent re-send has its attempt's number.
    pub number: u32,
    /// What it came to.
    pub outcome: Outcome,
    /// Whether its connection had served another request before.
    pub reused: bool,
    /// When it was begun, counted from the start of the call.
    pub started: Duration,
    /// How long it took.
    pub elapsed: Duration,
    /// The wait after it; `None` where it was the last, or was sent again at once.
    pub wait: Option<Wait>,
}

/// A wait between two attempts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Wait {
    /// How long the engine asked to wait.
    pub length: Duration,
    /// Why so long.
    pub cause: PauseCause,
}

impl AttemptRecord {
    /// The response's status, where there was a response.
    pub const fn status(&self) -> Option<u16> {
        match self.outcome {
            Outcome::Response { status, .. } => Some(status),
            Outcome::Failure(_) => None,
        }
    }
}
