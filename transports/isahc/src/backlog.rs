//! Whether the server accepts an upload, by what of it the system still has.
//!
//! curl sends some more about every second, whether or not the server takes anything: the system
//! nearly always has a little room, and gives a socket megabytes of it in time. So that curl asks
//! for more of a body is no sign of the server's. What it has taken, less what waits in the socket,
//! is what the server has accepted, but for what curl holds itself, which is little.

use core::time::Duration;
use std::sync::Arc;

use redial_engine::Timestamp;

use crate::standing::{Later, Survey, Uploading};
use crate::upload::Stand;

/// How often it is looked at within a write timeout.
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
    /// When that was last seen to grow; `None` where nothing is known of it.
    moved: Option<Timestamp>,
}

impl Backlog {
    /// Of an upload to this port of the server's that begins now.
    pub(crate) fn new(
        survey: &Arc<Survey>,
        port: u16,
        write_timeout: Duration,
        began: Timestamp,
    ) -> Self {
        let pace = (write_timeout / LOOKS).max(PACE);
        let uploading = Survey::upload(survey, port);
        Self { uploading, pace, next: began.saturating_add(pace), most: 0, moved: None }
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
            Ok(None) => self.moved = None,
            Err(Later(at)) => self.next = at.max(now.saturating_add(PACE)),
        }
    }

    /// When it is time to look again.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.next
    }

    /// Since when the server has accepted nothing, where that is known.
    pub(crate) const fn stuck_since(&self) -> Option<Timestamp> {
        self.moved
    }
}
