//! What a client says of an attempt, held against the ground truth.

use redial_client::AttemptRecord;
use redial_engine::{Delivery, Failure, FailureKind, Outcome, Timestamp};

use super::calls::Cut;
use crate::scenario::{Fault, Level};

/// What a client says of an attempt, and what is known of it.
pub(super) struct Report<'a> {
    pub(super) record: &'a AttemptRecord,
    pub(super) fault: Option<Fault>,
    pub(super) cutoff: Option<Cut>,
    pub(super) processed: bool,
    /// Whether the machine may have been suspended meanwhile.
    pub(super) suspended: bool,
}

impl Report<'_> {
    /// Whether that may be said of it.
    pub(super) fn is_sound(&self, level: Level, now: Timestamp) -> bool {
        match &self.record.outcome {
            Outcome::Response { status, .. } => self.is_sound_response(*status, level),
            Outcome::Failure(failure) => self.is_sound_failure(failure, level, now),
        }
    }

    /// No response comes where none was sent, or only part of one.
    fn is_sound_response(&self, status: u16, level: Level) -> bool {
        let Some(fault) = self.fault else { return status == 200 };
        // A fault of the connection spares a request that finds one.
        let spared = level == Level::Bytes && fault.is_of_the_connection();
        (spared && status == 200) || (fault.failure().is_none() && status == fault.status())
    }

    fn is_sound_failure(&self, failure: &Failure, level: Level, now: Timestamp) -> bool {
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
        match level {
            Level::Messages => slow && failure.kind == FailureKind::ReadTimeout,
            // A machine that was suspended finds that everything took too long.
            Level::Bytes => {
                slow || is_known_race(failure) || (self.suspended && failure.kind.is_timeout())
            }
        }
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
