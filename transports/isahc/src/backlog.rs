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
    /// When that was last seen to grow; `None` where nothing is known to wait.
    moved: Option<Timestamp>,
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
        Self { uploading, pace, next, most: 0, moved: None, drained: None }
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
            self.moved = None;
            return;
        }
        match self.uploading.queued(since) {
            Ok(Some(queued)) => {
                let accepted = stand.taken.saturating_sub(queued);
                if accepted > self.most || self.moved.is_none() {
                    self.moved = Some(now);
                }
                self.most = self.most.max(accepted);
            }
            Ok(None) => {
                if self.moved.take().is_some() {
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

    /// When it is time to look again.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.next
    }

    /// Since when the server has accepted nothing of what waits, where some is known to.
    pub(crate) const fn stuck_since(&self) -> Option<Timestamp> {
        self.moved
    }

    /// When it had accepted all that had waited, where some was known to.
    pub(crate) const fn drained_at(&self) -> Option<Timestamp> {
        self.drained
    }
}
