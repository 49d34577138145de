//! The connections of the handle that keeps them, as far as they are known: by their local ports,
//! and by their origins, because the system gives connections to different peers the same port.
//!
//! curl tells the port of a request's connection with the response, and nothing else: not which
//! connection a request is on before that, and not when one is closed.

use std::collections::VecDeque;

use redial_client::Origin;
use redial_engine::Timestamp;

/// What is known of each connection, the newest first.
#[derive(Debug, Default)]
pub(super) struct Ports(VecDeque<Known>);

#[derive(Debug)]
struct Known {
    origin: Origin,
    port: u16,
    /// How many requests are on it that have told so.
    users: usize,
    /// Since when there has been none.
    idle_since: Timestamp,
}

impl Ports {
    /// A request is on this connection; answers whether another was before. Of all others, only
    /// the newest can be open still, where there may be so many.
    pub(super) fn take(&mut self, origin: &Origin, port: u16, most: usize) -> bool {
        if let Some(known) = self.0.iter_mut().find(|known| known.is(origin, port)) {
            known.users += 1;
            return true;
        }
        self.0.truncate(most);
        let origin = origin.clone();
        self.0.push_front(Known { origin, port, users: 1, idle_since: Timestamp::ORIGIN });
        false
    }

    /// A request is on this connection no more.
    pub(super) fn leave(&mut self, origin: &Origin, port: u16, now: Timestamp) {
        if let Some(known) = self.0.iter_mut().find(|known| known.is(origin, port)) {
            known.users = known.users.saturating_sub(1);
            known.idle_since = now;
        }
    }

    /// This connection is closed.
    pub(super) fn close(&mut self, origin: &Origin, port: u16) {
        self.0.retain(|known| !known.is(origin, port));
    }

    /// Whether there may be one for a request to this origin; `shared`: also one with requests on it.
    pub(super) fn may_serve(&self, origin: &Origin, shared: bool) -> bool {
        self.0.iter().any(|known| known.origin == *origin && (shared || known.users == 0))
    }

    /// All of them are closed.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// How many are certainly idle, where `requests` are on all connections together: each that
    /// seems to be may have a request that has not told yet.
    pub(super) fn idle(&self, requests: usize) -> usize {
        let users: usize = self.0.iter().map(|known| known.users).sum();
        let idle = self.0.iter().filter(|known| known.users == 0).count();
        idle.saturating_sub(requests.saturating_sub(users))
    }

    /// Since when the one has been idle that has been so for longest, where one is certainly idle.
    pub(super) fn idle_since(&self, requests: usize) -> Option<Timestamp> {
        let idle = self.0.iter().filter(|known| known.users == 0);
        idle.map(|known| known.idle_since).min().filter(|_| self.idle(requests) > 0)
    }
}

impl Known {
    fn is(&self, origin: &Origin, port: u16) -> bool {
        self.port == port && self.origin == *origin
    }
}
