//! Whether the server accepts an upload, by what of it the system still has.
//!
//! curl sends some more about every second, whether or not the server takes anything: the system
//! nearly always has a little room, and gives a socket megabytes of it in time. So that curl asks
//! for more of a body is no sign of the server's. What it has taken, less what waits in the socket,
//! is what the server has accepted, but for what curl holds itself, which is little.

use core::time::Duration;
use std::sync::Arc;

use redial_client::Timeouts;
use redial_engine::Timestamp;

use crate::standing::{Later, Survey, Uploading};
use crate::upload::Stand;

/// How often it is looked at within a read or write timeout.
const LOOKS: u32 = 4;

/// The least time between two looks.
const PACE: Duration = Duration::from_millis(10);

/// What the server has accepted of one upload.
pub(crate) struct Backlog {
    uploading: Uploading,
    pace: Duration,
    next: Timestamp,
    /// The most that it was known to have accepted.
    most: u64,
    /// How much waited when that was last seen.
    queued: u64,
    /// When it was last seen to move, and when it was last seen at all; `None` where nothing is known
    /// to wait.
    seen: Option<(Timestamp, Timestamp)>,
    /// When all that curl had handed over was first seen to have been accepted.
    drained: Option<Timestamp>,
}

impl Backlog {
    /// Of an upload to this port of the server's that begins now.
    pub(crate) fn new(
        survey: &Arc<Survey>,
        port: u16,
        timeouts: Timeouts,
        began: Timestamp,
    ) -> Self {
        let pace = (timeouts.read.min(timeouts.write) / LOOKS).max(PACE);
        let (uploading, next) = (Survey::upload(survey, port), began.saturating_add(pace));
        Self { uploading, pace, next, most: 0, queued: 0, seen: None, drained: None }
    }

    /// Looks, where it is time to.
    pub(crate) fn look(&mut self, stand: &Stand, now: Timestamp) {
        if now < self.next {
            return;
        }
        let since = self.next;
        self.next = now.saturating_add(self.pace);
        // A slow source is no silence of the server's (R-T-3).
        if stand.source_pending {
            self.seen = None;
            return;
        }
        match self.uploading.queued(since) {
            Ok(Some(queued)) => self.saw(stand.taken.saturating_sub(queued), queued, now),
            Ok(None) => {
                if self.seen.take().is_some() {
                    self.drained = Some(now);
                }
                if stand.done {
                    // Nothing will wait any more.
                    self.next = Timestamp::MAX;
                }
            }
            Err(Later(at)) => self.next = at.max(now.saturating_add(PACE)),
        }
    }

    fn saw(&mut self, accepted: u64, queued: u64, now: Timestamp) {
        let moves = accepted > self.most || queued < self.queued;
        let moved = self.seen.filter(|_| !moves).map_or(now, |(moved, _)| moved);
        self.seen = Some((moved, now));
        (self.most, self.queued) = (self.most.max(accepted), queued);
    }

    /// When it is time to look again.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.next
    }

    /// Whether some is known to wait.
    pub(crate) const fn waits(&self) -> bool {
        self.seen.is_some()
    }

    /// Whether the server was seen to accept nothing of what waits for so long.
    pub(crate) fn is_stuck(&self, length: Duration) -> bool {
        self.seen.is_some_and(|(moved, seen)| seen.saturating_since(moved) >= length)
    }

    /// When it had accepted all that had waited, where some was known to.
    pub(crate) const fn drained_at(&self) -> Option<Timestamp> {
        self.drained
    }
}
