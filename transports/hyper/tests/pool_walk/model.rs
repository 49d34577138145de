//! What a driver can know of the pool, and what must hold of it (R-P-1 to R-P-9).
use std::collections::BTreeMap;

use redial_engine::Timestamp;
use redial_hyper::pool::{
    Action, CloseReason, ConnectionId, Figures, Limits, Need, WaiterId, Withdrawal,
};

#[derive(Clone, Debug)]
pub(crate) enum State {
    Opening { owner: Option<WaiterId>, may_share: bool, lost: bool },
    Http1 { busy: bool, finishing: bool },
    Http2 { streams: u32, max: u32, draining: bool },
    Closing { aborted: bool },
}

#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) key: u64,
    pub(crate) state: State,
    used: bool,
    /// The last request made before it was open.
    after: Option<WaiterId>,
    idle_since: Option<Timestamp>,
}

/// The model: it repeats no decision of the pool, but judges each one.
#[derive(Debug)]
pub(crate) struct Model {
    limits: Limits,
    pub(crate) now: Timestamp,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    /// Requests that have not ended.
    pub(crate) waiters: BTreeMap<WaiterId, (u64, Need)>,
    last_request: Option<WaiterId>,
    pub(crate) shut: bool,
    totals: Figures,
}

impl Connection {
    fn room(&self) -> u32 {
        match self.state {
            State::Http1 { busy: false, .. } => 1,
            State::Http2 { streams, max, draining: false } => max.saturating_sub(streams),
            State::Opening { .. }
            | State::Http1 { .. }
            | State::Http2 { .. }
            | State::Closing { .. } => 0,
        }
    }

    fn is_idle(&self) -> bool {
        self.room() > 0 && !matches!(self.state, State::Http2 { streams: 1.., .. })
    }

    fn fits(&self, waiter: WaiterId, need: Need) -> bool {
        let used_http1 = self.used && matches!(self.state, State::Http1 { .. });
        !need.fresh || (self.after >= Some(waiter) && !used_http1)
    }
}

impl Model {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            now: Timestamp::from_nanos(1 << 50),
            connections: BTreeMap::new(),
            waiters: BTreeMap::new(),
            last_request: None,
            shut: false,
            totals: Figures::default(),
        }
    }

    pub(crate) fn asked(&mut self, waiter: WaiterId, key: u64, need: Need) {
        assert!(self.last_request < Some(waiter), "ids in the order of requests");
        self.last_request = Some(waiter);
        assert!(self.waiters.insert(waiter, (key, need)).is_none());
    }

    pub(crate) fn withdrew(&mut self, waiter: WaiterId, why: Withdrawal) {
        self.totals.pool_timeouts += u64::from(why == Withdrawal::PoolTimeout);
        self.waiters.remove(&waiter).expect("a request that has not ended");
        for connection in self.connections.values_mut() {
            if let State::Opening { owner, .. } = &mut connection.state {
                *owner = owner.filter(|owner| *owner != waiter);
            }
        }
    }

    /// What follows from the end of an opening, before the actions that the pool takes.
    pub(crate) fn opened(&mut self, id: ConnectionId, state: State) {
        let connection = self.connections.get_mut(&id).expect("opening");
        if matches!(connection.state, State::Closing { .. }) {
            return;
        }
        self.totals.opened_total += 1;
        connection.after = self.last_request;
        connection.state = state;
    }

    /// A connection failed; its socket is still there.
    pub(crate) fn failed(&mut self, id: ConnectionId) {
        let connection = self.connections.get_mut(&id).expect("a connection that is there");
        connection.state = State::Closing { aborted: false };
        connection.idle_since = None;
    }

    pub(crate) fn acted(&mut self, action: Action<u64>) {
        match action {
            Action::Open { connection, waiter, key } => self.opens(connection, waiter, key),
            Action::Use { connection, waiter, reused } => self.uses(connection, waiter, reused),
            Action::Fail { waiter, .. } => {
                // Whether it had to do with that connection was checked by the caller.
                self.waiters.remove(&waiter).expect("R-P-5: a request ends once");
            }
            Action::Close { connection, why } => self.closes(connection, why),
        }
    }

    fn opens(&mut self, id: ConnectionId, waiter: WaiterId, key: u64) {
        let (wanted, need) = self.waiters[&waiter];
        assert_eq!(wanted, key);
        assert!(self.owned_by(waiter).is_none(), "one opening for one request");
        let (owner, may_share) = (Some(waiter), need.may_share);
        let state = State::Opening { owner, may_share, lost: false };
        let entry = Connection { key, state, used: false, after: None, idle_since: None };
        assert!(self.connections.insert(id, entry).is_none(), "ids are used once");
        assert!(self.connections.len() <= self.limits.max_connections, "R-P-1");
    }

    fn uses(&mut self, id: ConnectionId, waiter: WaiterId, reused: bool) {
        let (key, need) = self.waiters.remove(&waiter).expect("R-P-5: a request ends once");
        let earlier = |(other, (wanted, theirs)): (&WaiterId, &(u64, Need))| {
            *other < waiter && *wanted == key && !theirs.fresh && !need.fresh && reused
        };
        let overtaken = self.waiters.iter().filter(|entry| earlier(*entry));
        let overtaken = overtaken.filter(|(other, _)| self.owned_by(**other).is_none());
        assert_eq!(overtaken.count(), 0, "R-P-5: first come, first served");
        let expiry = self.limits.keepalive_expiry;
        let connection = self.connections.get_mut(&id).expect("a connection that is there");
        assert_eq!((connection.key, connection.used), (key, reused));
        assert!(connection.room() > 0, "R-P-6, R-P-8: {waiter:?} on {connection:?}");
        assert!(connection.fits(waiter, need), "R-D-7: {waiter:?} on {connection:?}");
        if let (Some(since), Some(expiry)) = (connection.idle_since.take(), expiry) {
            assert!(self.now.saturating_since(since) < expiry, "R-P-3: expired");
        }
        connection.used = true;
        self.totals.reused_total += u64::from(reused);
        match &mut connection.state {
            State::Http1 { busy, .. } => *busy = true,
            State::Http2 { streams, .. } => *streams += 1,
            State::Opening { .. } | State::Closing { .. } => panic!("not open"),
        }
    }

    fn closes(&mut self, id: ConnectionId, why: CloseReason) {
        let since = |connection: &Connection| connection.idle_since;
        let longest = self.connections.values().filter_map(since).min();
        let connection = self.connections.get_mut(&id).expect("a connection that is there");
        let aborted = matches!(connection.state, State::Opening { owner: None, .. });
        let unused = match connection.state {
            State::Http1 { busy, .. } => !busy,
            State::Http2 { streams, .. } => streams == 0,
            State::Opening { owner, .. } => owner.is_none(),
            State::Closing { .. } => false,
        };
        assert!(unused, "closed in use: {connection:?}");
        if let (Some(since), CloseReason::Surplus | CloseReason::Evicted) =
            (connection.idle_since, why)
        {
            assert_eq!(Some(since), longest, "R-P-2, R-P-4: longest idle first");
        }
        self.totals.expired_total += u64::from(why == CloseReason::Expired);
        self.totals.evicted_total += u64::from(why == CloseReason::Evicted);
        connection.state = State::Closing { aborted };
        connection.idle_since = None;
    }

    /// Notes who is idle, and who got an opening that nobody wanted; then judges the whole.
    pub(crate) fn settle(&mut self, figures: Figures, deadline: Option<Timestamp>) {
        let now = self.now;
        for connection in self.connections.values_mut() {
            let since = connection.idle_since.unwrap_or(now).min(now);
            connection.idle_since = connection.is_idle().then_some(since);
        }
        self.adopt();
        assert_eq!(figures, self.figures(), "R-P-9: {self:?}");
        assert!(figures.open <= self.limits.max_connections, "R-P-1");
        assert!(figures.idle <= self.limits.max_keepalive_connections, "R-P-2");
        assert!(figures.idle == 0 || !self.shut, "R-C-6");
        let oldest = self.connections.values().filter_map(|c| c.idle_since).min();
        let expiry = self.limits.keepalive_expiry;
        let expected = oldest.zip(expiry).map(|(since, expiry)| since.saturating_add(expiry));
        assert_eq!(deadline, expected, "R-P-3");
        assert!(expected.is_none_or(|deadline| deadline > now), "R-P-3: overdue");
        self.nobody_waits_in_vain(figures);
        self.nothing_is_kept_in_vain();
    }

    fn adopt(&mut self) {
        for (waiter, (key, _)) in &self.waiters {
            if self.owned_by(*waiter).is_some() {
                continue;
            }
            let orphan = self
                .connections
                .values_mut()
                .find(|c| c.key == *key && matches!(c.state, State::Opening { owner: None, .. }));
            if let Some(Connection { state: State::Opening { owner, .. }, .. }) = orphan {
                *owner = Some(*waiter);
            }
        }
    }

    fn owned_by(&self, waiter: WaiterId) -> Option<ConnectionId> {
        let owns = |c: &Connection| matches!(c.state, State::Opening { owner: Some(owner), .. } if owner == waiter);
        self.connections.iter().find(|(_, connection)| owns(connection)).map(|(id, _)| *id)
    }

    fn figures(&self) -> Figures {
        let mut figures = self.totals;
        figures.open = self.connections.len();
        for connection in self.connections.values() {
            match connection.state {
                State::Opening { owner, .. } => {
                    figures.connecting += 1;
                    figures.waiting += usize::from(owner.is_some());
                }
                State::Closing { .. } => figures.closing += 1,
                State::Http1 { .. } | State::Http2 { .. } if connection.is_idle() => {
                    figures.idle += 1;
                }
                State::Http1 { .. } | State::Http2 { .. } => figures.in_use += 1,
            }
        }
        figures.waiting = self.waiters.len() - figures.waiting;
        figures
    }

    /// R-P-4, R-P-5: whoever waits has a reason to.
    fn nobody_waits_in_vain(&self, figures: Figures) {
        let full = figures.open == self.limits.max_connections;
        let orphans = |c: &&Connection| matches!(c.state, State::Opening { owner: None, .. });
        let spare = figures.idle + self.connections.values().filter(orphans).count();
        let (mut in_need, mut yielding) = (0, None);
        let mut finishing: BTreeMap<u64, usize> = BTreeMap::new();
        for connection in self.connections.values() {
            if matches!(connection.state, State::Http1 { finishing: true, .. }) {
                *finishing.entry(connection.key).or_default() += usize::from(self.keeps());
            }
        }
        for (waiter, (key, need)) in &self.waiters {
            if self.owned_by(*waiter).is_some() {
                continue;
            }
            for (id, connection) in self.connections.iter().filter(|(_, c)| c.key == *key) {
                if connection.room() > 0 && connection.fits(*waiter, *need) {
                    // It makes room for an earlier request: then nothing else may be to spare.
                    assert!(full && spare == 0 && in_need > 0, "{waiter:?} could use {id:?}");
                    assert!(*yielding.get_or_insert(*id) == *id, "one at a time");
                }
            }
            let covered = self.is_covered(*waiter, *key, *need, yielding, &mut finishing);
            in_need += usize::from(!covered);
        }
        assert!(in_need == 0 || full, "R-P-5: there is room: {self:?}");
        assert!(in_need <= figures.closing || spare == 0, "R-P-4: {self:?}");
    }

    /// Whether a connection of its own origin will do for this request in a while.
    fn is_covered(
        &self,
        waiter: WaiterId,
        key: u64,
        need: Need,
        yielding: Option<ConnectionId>,
        finishing: &mut BTreeMap<u64, usize>,
    ) -> bool {
        let mut own = self.connections.iter().filter(|(_, connection)| connection.key == key);
        let shared = own.any(|(id, connection)| match connection.state {
            State::Opening { may_share, .. } => may_share && need.may_share,
            State::Http2 { draining: false, .. } => {
                connection.fits(waiter, need) && yielding != Some(*id)
            }
            State::Http1 { .. } | State::Http2 { .. } | State::Closing { .. } => false,
        });
        let claim = finishing.get_mut(&key).filter(|left| **left > 0 && !need.fresh && !shared);
        shared || claim.map(|left| *left -= 1).is_some()
    }

    fn keeps(&self) -> bool {
        let Limits { max_keepalive_connections: most, keepalive_expiry: expiry, .. } = self.limits;
        !self.shut && most > 0 && expiry.is_none_or(|expiry| !expiry.is_zero())
    }

    /// A connection that can serve nobody is told to close.
    fn nothing_is_kept_in_vain(&self) {
        for connection in self.connections.values() {
            let useless = match connection.state {
                State::Http2 { streams: 0, draining: true, .. } => true,
                State::Http2 { streams: 0, max: 0, .. } => {
                    self.waiters.values().all(|(key, _)| *key != connection.key)
                }
                State::Opening { .. }
                | State::Http1 { .. }
                | State::Http2 { .. }
                | State::Closing { .. } => false,
            };
            assert!(!useless, "R-P-8: {connection:?}");
        }
    }
}
