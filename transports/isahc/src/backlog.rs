//! Whether the server accepts an upload, by what of it the system still has.
//!
//! curl sends some more about every second, whether or not the server takes anything: the system
//! nearly always has a little room, and gives a socket megabytes of it in time. So that curl asks
//! for more of a body is no sign of the server's. What is one is counted by `uploads.rs`.

use core::time::Duration;
use std::sync::Arc;

use redial_client::Timeouts;
use redial_engine::Timestamp;

use crate::survey::Later;
use crate::upload::{Progress, Stand};
use crate::uploads::{Seen, Uploads};

/// How often it is looked at within a read or write timeout.
const LOOKS: u32 = 4;

/// The least time between two looks.
const PACE: Duration = Duration::from_millis(10);

/// What the server has accepted of one upload.
pub(crate) struct Backlog {
    uploads: Arc<Uploads>,
    upload: Progress,
    /// The server's.
    port: u16,
    /// For how long nothing may be accepted.
    write: Duration,
    pace: Duration,
    next: Timestamp,
    waits: bool,
    stuck: bool,
    /// When all that curl had handed over was first seen to have been accepted.
    drained: Option<Timestamp>,
}

impl Backlog {
    /// Of an upload to this port of the server's that begins now, over a connection which may have
    /// others on it, or may not.
    pub(crate) fn new(
        uploads: &Arc<Uploads>,
        (upload, port, shares): (&Progress, u16, bool),
        timeouts: Timeouts,
        began: Timestamp,
    ) -> Self {
        uploads.add(port, upload, shares);
        let pace = (timeouts.read.min(timeouts.write) / LOOKS).max(PACE);
        Self {
            uploads: Arc::clone(uploads),
            upload: upload.clone(),
            port,
            write: timeouts.write,
            pace,
            next: began.saturating_add(pace),
            waits: false,
            stuck: false,
            drained: None,
        }
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
            self.waits = false;
            return;
        }
        match self.uploads.look((self.port, &self.upload), since, self.write) {
            Ok(seen) => self.saw(seen, stand, now),
            Err(Later(at)) => self.next = at.max(now.saturating_add(PACE)),
        }
    }

    fn saw(&mut self, seen: Option<Seen>, stand: &Stand, now: Timestamp) {
        let waits = seen.is_some_and(|seen| seen.waits);
        if self.waits && !waits {
            self.drained = Some(now);
        }
        self.waits = waits;
        self.stuck = seen.is_some_and(|seen| waits && seen.still >= self.write);
        if stand.done && !seen.is_some_and(|seen| seen.any_waits) {
            // Nothing will wait any more.
            self.next = Timestamp::MAX;
        }
    }

    /// When it is time to look again.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.next
    }

    /// Whether some is known to wait.
    pub(crate) const fn waits(&self) -> bool {
        self.waits
    }

    /// Whether the server was seen to accept nothing of what waits for as long as the write timeout.
    pub(crate) const fn is_stuck(&self) -> bool {
        self.waits && self.stuck
    }

    /// When it had accepted all that had waited, where some was known to.
    pub(crate) const fn drained_at(&self) -> Option<Timestamp> {
        self.drained
    }
}
