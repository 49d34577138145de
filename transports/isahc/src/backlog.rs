//! Whether the server accepts an upload, by what of it the system still has.
//!
//! curl sends some more about every second, whether or not the server takes anything: the system
//! nearly always has a little room, and gives a socket megabytes of it in time. So that curl asks
//! for more of a body is no sign of the server's. What is one is counted by `uploads.rs`.

use core::time::Duration;

use redial_client::Timeouts;
use redial_engine::Timestamp;

use crate::survey::{Fresh, Later};
use crate::upload::{Progress, Stand};
use crate::uploads::{Seen, UPLOADS};

/// How often it is looked at within a read or write timeout.
const LOOKS: u32 = 4;

/// The least time between two looks.
const PACE: Duration = Duration::from_millis(10);

/// What the server has accepted of one upload.
pub(crate) struct Backlog {
    upload: Progress,
    /// The server's.
    port: u16,
    /// For how long nothing may be accepted.
    write: Duration,
    pace: Duration,
    next: Timestamp,
    /// When it was last seen, at the soonest.
    looked: Option<Timestamp>,
    seen: Seen,
    /// When all that curl had handed over was first seen to have been accepted.
    drained: Option<Timestamp>,
}

impl Backlog {
    /// Of an upload to this port of the server's that begins now.
    pub(crate) fn new(
        (upload, port): (&Progress, u16),
        timeouts: Timeouts,
        began: Timestamp,
    ) -> Self {
        let pace = (timeouts.read.min(timeouts.write) / LOOKS).max(PACE);
        Self {
            upload: upload.clone(),
            port,
            write: timeouts.write,
            pace,
            next: began.saturating_add(pace),
            looked: None,
            seen: Seen::default(),
            drained: None,
        }
    }

    /// Looks, where it is time to.
    pub(crate) fn look(&mut self, stand: &Stand, now: Timestamp) {
        if now < self.next {
            return;
        }
        // What was seen before curl had handed over the last of it says nothing of that.
        let last = stand.asked.filter(|_| stand.done);
        let since = last.map_or(self.next, |asked| asked.max(self.next)).min(now);
        let fresh = Fresh { ago: now.saturating_since(since), pace: self.pace };
        self.next = now.saturating_add(self.pace);
        // A slow source is no silence of the server's (R-T-3).
        if stand.source_pending {
            self.seen = Seen::default();
            return;
        }
        match UPLOADS.look((self.port, &self.upload), fresh, self.write) {
            Ok(seen) => {
                self.looked = Some(since);
                self.saw(seen, stand, now);
            }
            Err(Later(wait)) => self.next = now.saturating_add(wait.max(PACE)),
        }
    }

    fn saw(&mut self, seen: Seen, stand: &Stand, now: Timestamp) {
        if self.seen.waits && !seen.waits {
            self.drained = Some(now);
        }
        self.seen = seen;
        if stand.done && !seen.any_waits {
            // Nothing will wait any more.
            self.next = Timestamp::MAX;
        }
    }

    /// When it is time to look again.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.next
    }

    /// Whether it is known how it stood at some time since then.
    pub(crate) fn is_known_since(&self, since: Timestamp) -> bool {
        self.looked.is_some_and(|looked| looked >= since)
    }

    /// Whether some is known to wait.
    pub(crate) const fn waits(&self) -> bool {
        self.seen.waits
    }

    /// Whether the server was seen to accept nothing of what waits for as long as the write timeout.
    pub(crate) fn is_stuck(&self) -> bool {
        self.seen.waits && self.seen.still >= self.write
    }

    /// When it had accepted all that had waited, where some was known to.
    pub(crate) const fn drained_at(&self) -> Option<Timestamp> {
        self.drained
    }
}
