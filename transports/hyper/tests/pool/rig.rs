//! A pool under test with the simplest of drivers.
use core::time::Duration;
use std::collections::BTreeMap;

use redial_engine::Timestamp;
use redial_hyper::pool::{
    Action, CloseReason, ConnectionId, Figures, Limits, Need, Pool, WaiterId,
};

pub(crate) const PLAIN: Need = Need { may_share: false, fresh: false };
pub(crate) const SHARE: Need = Need { may_share: true, fresh: false };
pub(crate) const FRESH: Need = Need { may_share: false, fresh: true };

/// A pool with a driver that does what it is told at once, except closing and opening.
pub(crate) struct Rig {
    pub(crate) pool: Pool<&'static str>,
    pub(crate) now: Timestamp,
    pub(crate) keys: BTreeMap<ConnectionId, &'static str>,
    pub(crate) opened_for: BTreeMap<WaiterId, ConnectionId>,
    pub(crate) uses: Vec<(WaiterId, ConnectionId, bool)>,
    pub(crate) failed: Vec<WaiterId>,
    pub(crate) closes: Vec<(ConnectionId, CloseReason)>,
}

impl Rig {
    pub(crate) fn new(max_connections: usize, max_keepalive_connections: usize) -> Self {
        let limits = Limits { max_connections, max_keepalive_connections, ..Limits::default() };
        Self::with(limits)
    }

    pub(crate) fn with(limits: Limits) -> Self {
        Self {
            pool: Pool::new(limits),
            now: Timestamp::ORIGIN,
            keys: BTreeMap::new(),
            opened_for: BTreeMap::new(),
            uses: Vec::new(),
            failed: Vec::new(),
            closes: Vec::new(),
        }
    }

    fn drain(&mut self) {
        loop {
            let has_actions = self.pool.has_actions();
            let next = self.pool.poll_action();
            assert_eq!(next.is_some(), has_actions);
            let Some(action) = next else { return };
            match action {
                Action::Open { connection, waiter, key } => {
                    self.keys.insert(connection, key);
                    self.opened_for.insert(waiter, connection);
                }
                Action::Use { connection, waiter, reused } => {
                    self.uses.push((waiter, connection, reused));
                }
                Action::Fail { waiter, .. } => self.failed.push(waiter),
                Action::Close { connection, why } => self.closes.push((connection, why)),
            }
        }
    }

    pub(crate) fn ask(&mut self, key: &'static str, need: Need) -> WaiterId {
        let waiter = self.pool.request(self.now, &key, need);
        self.drain();
        waiter
    }

    /// Applies one input and carries out what follows.
    pub(crate) fn tell(&mut self, input: impl FnOnce(&mut Pool<&'static str>, Timestamp)) {
        input(&mut self.pool, self.now);
        self.drain();
    }

    /// Asks, opens as HTTP/1 if need be, and answers the connection.
    pub(crate) fn get(&mut self, key: &'static str) -> ConnectionId {
        let waiter = self.ask(key, PLAIN);
        if let Some(connection) = self.opened_for.get(&waiter).copied() {
            self.tell(|pool, now| pool.opened_http1(now, connection));
        }
        self.given(waiter).expect("a connection")
    }

    /// Asks for a new origin and opens it as HTTP/2.
    pub(crate) fn get2(&mut self, key: &'static str, streams: u32) -> (WaiterId, ConnectionId) {
        let waiter = self.ask(key, SHARE);
        let connection = self.opened_for[&waiter];
        self.tell(|pool, now| pool.opened_http2(now, connection, streams));
        (waiter, connection)
    }

    pub(crate) fn finish(&mut self, connection: ConnectionId) {
        self.tell(|pool, now| pool.released(now, connection, true));
    }

    pub(crate) fn given(&self, waiter: WaiterId) -> Option<ConnectionId> {
        self.uses.iter().find(|used| used.0 == waiter).map(|used| used.1)
    }

    /// Reports the sockets of all connections that were told to close as gone.
    pub(crate) fn sockets_close(&mut self) {
        for (connection, _) in self.closes.clone() {
            self.keys.remove(&connection);
            self.tell(|pool, now| pool.closed(now, connection));
        }
    }

    pub(crate) fn wait(&mut self, time: Duration) {
        self.now = self.now.saturating_add(time);
        self.tell(Pool::tick);
    }

    pub(crate) fn figures(&self) -> Figures {
        self.pool.figures()
    }

    /// The origins of the connections that are left.
    pub(crate) fn left(&mut self) -> Vec<&'static str> {
        self.sockets_close();
        assert_eq!(self.keys.len(), self.figures().open);
        self.keys.values().copied().collect()
    }
}
