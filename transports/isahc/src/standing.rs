//! Whether curl's connection stands.
//!
//! curl says when it is connected only with the response, and of a request without a body it asks
//! for nothing that would show it. How long the server has been silent is then unknown, and a
//! silence would have to last for the connect timeout beside the read timeout before it is surely
//! one. Linux lists sockets with their state, so that the wait need not be that long.

use core::time::Duration;
use std::sync::Arc;

use redial_engine::Timestamp;

use crate::survey::{Fresh, Later, Sighting, Survey};

/// Since when the connection of one request is known to stand.
///
/// It is looked at after an eighth of the read timeout, and then after twice the time each.
pub(crate) struct Standing {
    survey: Arc<Survey>,
    /// The peer's.
    port: u16,
    /// Whether nothing but TCP comes before the request; of TLS the system knows nothing.
    plain: bool,
    /// How soon after the beginning it is first looked at.
    pace: Duration,
    began: Timestamp,
    next: Timestamp,
    /// When a look that there was no time for is to be tried again.
    deferred: Timestamp,
    since: Option<Timestamp>,
}

impl Standing {
    /// Of a request that begins now.
    pub(crate) fn new(
        survey: Arc<Survey>,
        (port, plain): (u16, bool),
        read_timeout: Duration,
        began: Timestamp,
    ) -> Self {
        let pace = (read_timeout / 8).max(Duration::from_millis(10));
        let next = if plain { began.saturating_add(pace) } else { Timestamp::MAX };
        Self { survey, port, plain, pace, began, next, deferred: next, since: None }
    }

    /// Whether it certainly does not: nothing can have been sent then.
    pub(crate) fn is_unconnected(&self) -> bool {
        let sighting = self.look_since(Duration::ZERO);
        sighting.is_ok_and(|sighting| sighting.peer.connecting && !sighting.peer.open)
    }

    /// Looks, where it is time to.
    pub(crate) fn look(&mut self, now: Timestamp) {
        let due = now >= self.deferred && self.since.is_none();
        if !self.plain || !due {
            return;
        }
        let ago = now.saturating_since(self.next);
        match self.look_since(ago).map(|sighting| sighting.peer.stands()) {
            Ok(true) => (self.since, self.deferred) = (Some(now), Timestamp::MAX),
            Ok(false) => {
                self.next = now.saturating_add(now.saturating_since(self.began));
                self.deferred = self.next;
            }
            Err(Later(wait)) => self.deferred = now.saturating_add(wait),
        }
    }

    fn look_since(&self, ago: Duration) -> Result<Sighting, Later> {
        self.survey.peer(self.port, Fresh { ago, pace: self.pace })
    }

    /// When it is time to look again; never, where it stands.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.deferred
    }

    /// Since when it surely stands.
    pub(crate) const fn since(&self) -> Option<Timestamp> {
        self.since
    }
}
