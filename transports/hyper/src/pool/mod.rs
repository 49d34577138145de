//! The connection pool as a pure state machine. This file owns every transition of it; who then
//! gets what is worked out in `assign.rs`.
//!
//! Time comes in with each call, [`Action`]s come out of [`Pool::poll_action`]; there is no clock,
//! lock, channel or IO in it, and the same calls give the same actions on every machine.
//!
//! A driver keeps the pool behind a lock. It tells each thing that happens by the method of that
//! name, then takes actions until there are none, and carries them out outside the lock; and it
//! calls [`Pool::tick`] when [`Pool::next_deadline`] comes, which may change with each call. It
//! owes one answer to each [`Action::Open`] (`opened_http1`, `opened_http2` or `open_failed`), one
//! [`Pool::released`] or [`Pool::closing`] to each [`Action::Use`], and one [`Pool::closed`] to
//! each connection that was opened; guards that run when a task is dropped see to that best.
//! Reports that do not fit the state of their connection, or are about one that is gone, are
//! ignored.
//!
//! Two states are easily forgotten. A connection that *closes* is of no use, but counts until its
//! socket is gone (R-P-1). One that is *finishing* has had its response, and will be ready a task
//! switch later: the next request waits for it instead of opening another (R-P-7).
//!
//! Requests are served in their order, each by what it can use (R-P-5). What a waiting request can
//! use is worked out again at each change rather than remembered, so nothing is promised that
//! cannot be kept. Cost: a request that finds a connection, and its release while nobody waits,
//! allocate nothing and take time linear in the connections at worst; any other transition is
//! linear in connections, origins and waiting requests together, plus the connections once more
//! for each request that it serves.
mod assign;
mod origins;
mod table;
mod types;

use std::collections::VecDeque;

use core::time::Duration;

use redial_engine::Timestamp;

use self::origins::Origins;
use self::table::{Kind, Phase, State, Table, Waiter};
pub use self::types::{
    Action, CloseReason, ConnectionId, Figures, Limits, Need, Taken, WaiterId, Withdrawal,
};

/// The connections of one client, and the requests that wait for one.
///
/// `K` is the origin: requests with equal keys can share connections. The key is cloned when a
/// connection is opened, and when an origin is met that has neither connection nor waiter.
#[derive(Clone, Debug)]
pub struct Pool<K> {
    limits: Limits,
    table: Table,
    origins: Origins<K>,
    /// Who waits, in the order of ids, which is that of the requests.
    queue: VecDeque<Waiter>,
    actions: VecDeque<Action<K>>,
    /// The HTTP/2 connection that takes no new streams, so that it ends and makes room for a
    /// request that nothing else makes room for.
    yielding: Option<u32>,
    shut: bool,
    last_serial: u64,
    opened_total: u64,
    reused_total: u64,
    evicted_total: u64,
    expired_total: u64,
    pool_timeouts: u64,
}

impl<K: Clone + Eq> Pool<K> {
    /// A pool without connections.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            table: Table::default(),
            origins: Origins::new(),
            queue: VecDeque::new(),
            actions: VecDeque::new(),
            yielding: None,
            shut: false,
            last_serial: 0,
            opened_total: 0,
            reused_total: 0,
            evicted_total: 0,
            expired_total: 0,
            pool_timeouts: 0,
        }
    }

    /// What to do next; `None` until something else happens. Take actions in this order.
    pub fn poll_action(&mut self) -> Option<Action<K>> {
        self.actions.pop_front()
    }

    /// Whether [`Pool::poll_action`] has something to do.
    pub fn has_actions(&self) -> bool {
        !self.actions.is_empty()
    }

    /// The state of the pool in numbers (R-P-9). Cost: a few loads.
    pub fn figures(&self) -> Figures {
        let (open, idle) = (self.table.live(), self.table.idle());
        let connecting = self.table.count(Kind::Owned) + self.table.count(Kind::Orphan);
        let closing = self.table.count(Kind::Closing);
        Figures {
            open,
            idle,
            connecting,
            in_use: open.saturating_sub(idle + connecting + closing),
            closing,
            waiting: self.queue.len(),
            opened_total: self.opened_total,
            reused_total: self.reused_total,
            evicted_total: self.evicted_total,
            expired_total: self.expired_total,
            pool_timeouts: self.pool_timeouts,
        }
    }

    /// When to call [`Pool::tick`] next: when the longest idle connection expires (R-P-3).
    pub fn next_deadline(&self) -> Option<Timestamp> {
        let (_, since) = self.table.longest_idle()?;
        let deadline = since.saturating_add(self.limits.keepalive_expiry?);
        (deadline < Timestamp::MAX).then_some(deadline)
    }

    /// Closes what has expired. Harmless at any time.
    pub fn tick(&mut self, now: Timestamp) {
        self.trim(now);
    }

    /// Takes a connection to `key` that is ready, the one that [`Pool::request`] would give at once;
    /// `None` where it would have to wait, or to open one.
    ///
    /// There is no request to withdraw then, and no action that ends it.
    pub fn take(&mut self, now: Timestamp, key: &K, need: Need) -> Option<Taken> {
        self.trim(now);
        // What is ready was open before the request.
        let origin = self.origins.find(key).filter(|_| !need.fresh)?;
        let id = WaiterId(self.last_serial);
        let slot = self.pick(&Waiter { id, origin, may_share: need.may_share, fresh: false })?;
        self.occupy(slot)
    }

    /// Asks for a connection to `key`. [`Action::Use`] or [`Action::Fail`] ends the request.
    ///
    /// In this order it gets: a connection that is ready (HTTP/2 with streams on it, then the most
    /// recently used idle one); one that is being opened for nobody; a wait for one that can be
    /// shared or is finishing; a new one, at the cost of the longest idle one if the pool is full.
    pub fn request(&mut self, now: Timestamp, key: &K, need: Need) -> WaiterId {
        self.trim(now);
        let id = WaiterId(self.serial());
        let Need { may_share, fresh } = need;
        if let Some(origin) = self.origins.find(key) {
            let waiter = Waiter { id, origin, may_share, fresh };
            if let Some(slot) = self.pick(&waiter) {
                self.hand_over(slot, id);
                return id;
            }
        }
        let waiter = Waiter { id, origin: self.origins.hold(key), may_share, fresh };
        self.origins.joined(&waiter);
        let last = if redial_engine::planted!(LastComeFirst) { 0 } else { self.queue.len() };
        self.queue.insert(last, waiter);
        self.serve(now);
        id
    }

    /// Whether this request waits in the queue: for a place, or for a connection that others may
    /// use too. It does not while a connection is being opened for it alone, nor once it has ended.
    pub fn is_queued(&self, waiter: WaiterId) -> bool {
        self.queue.binary_search_by_key(&waiter, |queued| queued.id).is_ok()
    }

    /// Withdraws a request; answers whether it had not ended yet.
    ///
    /// With `false`, an action that ends it was given out already: after [`Action::Use`] the
    /// driver has to release the connection. A connection that is being opened for it is opened
    /// all the same, for whoever comes next.
    pub fn withdraw(&mut self, now: Timestamp, waiter: WaiterId, why: Withdrawal) -> bool {
        self.trim(now);
        let queued = self.queue.binary_search_by_key(&waiter, |queued| queued.id).ok();
        if let Some(queued) = queued.and_then(|at| self.queue.remove(at)) {
            self.origins.left(&queued);
        } else if !self.disown(waiter) {
            return false;
        }
        self.pool_timeouts += u64::from(why == Withdrawal::PoolTimeout);
        self.serve(now);
        true
    }

    /// A connection is open, and speaks HTTP/1.
    pub fn opened_http1(&mut self, now: Timestamp, connection: ConnectionId) {
        self.opened(now, connection, State::Http1(Phase::Free));
    }

    /// A connection is open, and speaks HTTP/2 with at most `max_streams` requests at a time.
    ///
    /// With 0 its requests wait until that is raised, or for the pool timeout (R-P-6).
    pub fn opened_http2(&mut self, now: Timestamp, connection: ConnectionId, max_streams: u32) {
        let state = State::Http2 { streams: 0, max: max_streams, draining: false };
        self.opened(now, connection, state);
    }

    /// A connection could not be opened, or its opening was given up; its socket is gone.
    ///
    /// Ends the request it was opened for. Those that waited to share it end as well where their
    /// origin has no other connection: one by one they would meet the same end, only later.
    pub fn open_failed(&mut self, now: Timestamp, connection: ConnectionId) {
        self.trim(now);
        let Some((slot, state)) = self.table.find(connection) else { return };
        match state {
            State::Opening { owner, may_share, .. } => {
                let origin = self.table.get(slot).map(|failed| failed.origin);
                if let Some(Waiter { id: waiter, .. }) = owner {
                    self.actions.push_back(Action::Fail { connection, waiter });
                }
                if let (true, Some(origin)) = (may_share, origin) {
                    self.fail_sharers(slot, connection, origin);
                }
            }
            State::Closing => {}
            State::Http1(_) | State::Http2 { .. } => return,
        }
        self.forget(slot);
        self.serve(now);
    }

    /// The response on an HTTP/1 connection has been read to its end: [`Pool::released`] follows
    /// within a task switch or so. Not to be said while the request is still being sent.
    pub fn finishing(&mut self, now: Timestamp, connection: ConnectionId) {
        self.trim(now);
        if let Some((slot, State::Http1(Phase::Busy))) = self.table.find(connection) {
            self.table.set(slot, State::Http1(Phase::Finishing));
        }
    }

    /// A request is done with its connection or stream, also if it never used it.
    ///
    /// `reusable` says whether the connection is fit for another: an HTTP/1 connection whose
    /// response was not read to its end is not (R-P-8), an HTTP/2 connection is after a stream
    /// reset. One that is not gets no more requests, and closes when the last one ends.
    pub fn released(&mut self, now: Timestamp, connection: ConnectionId, reusable: bool) {
        // What has expired is closed below: nobody who waits could have used it, or would have.
        let Some((slot, state)) = self.table.find(connection) else { return };
        let next = match state {
            State::Http1(Phase::Busy | Phase::Finishing) => State::Http1(Phase::Free),
            State::Http2 { streams: streams @ 1.., max, draining } => {
                State::Http2 { streams: streams - 1, max, draining: draining || !reusable }
            }
            State::Http1(Phase::Free)
            | State::Http2 { streams: 0, .. }
            | State::Opening { .. }
            | State::Closing => return,
        };
        let busy = matches!(next, State::Http2 { streams: 1.., .. });
        let fit = reusable && !matches!(next, State::Http2 { draining: true, .. });
        match self.why_not_keep() {
            _ if busy => self.table.set(slot, next),
            _ if !fit => self.close(slot, CloseReason::Unusable),
            Some(why) => self.close(slot, why),
            None => self.table.set(slot, next),
        }
        self.table.rest(slot, now);
        if self.queue.is_empty() && self.table.count(Kind::Stalled) == 0 {
            self.trim(now);
        } else {
            self.serve(now);
        }
    }

    /// The peer of an HTTP/2 connection said GOAWAY: no new streams, the running ones may end
    /// (R-P-6).
    pub fn draining(&mut self, now: Timestamp, connection: ConnectionId) {
        self.trim(now);
        let found = self.table.find(connection);
        let Some((slot, State::Http2 { streams, max, draining: false })) = found else { return };
        if streams == 0 {
            self.close(slot, CloseReason::Unusable);
        } else {
            self.table.set(slot, State::Http2 { streams, max, draining: true });
        }
        self.serve(now);
    }

    /// The peer of an HTTP/2 connection permits another number of concurrent streams. Running
    /// streams beyond it may end.
    pub fn max_streams(&mut self, now: Timestamp, connection: ConnectionId, max_streams: u32) {
        self.trim(now);
        let found = self.table.find(connection);
        let Some((slot, State::Http2 { streams, draining, .. })) = found else { return };
        self.table.set(slot, State::Http2 { streams, max: max_streams, draining });
        self.table.rest(slot, now);
        self.serve(now);
    }

    /// A connection is of no more use, whatever it is doing, and is being closed; its socket is
    /// still there. For one that is still being opened, say how the opening ended instead.
    pub fn closing(&mut self, now: Timestamp, connection: ConnectionId) {
        self.trim(now);
        let Some((slot, state)) = self.table.find(connection) else { return };
        if !matches!(state, State::Opening { .. }) {
            self.table.set(slot, State::Closing);
            self.serve(now);
        }
    }

    /// The socket of a connection is gone, whatever it was doing: its place is free.
    ///
    /// During an opening this is only noted, and the place is free when that has ended: the
    /// driver, which knows the error, says so by [`Pool::open_failed`].
    pub fn closed(&mut self, now: Timestamp, connection: ConnectionId) {
        self.trim(now);
        let Some((slot, state)) = self.table.find(connection) else { return };
        match state {
            State::Opening { owner, may_share, .. } => {
                self.table.set(slot, State::Opening { owner, may_share, lost: true });
            }
            State::Http1(_) | State::Http2 { .. } | State::Closing => {
                self.forget(slot);
                self.serve(now);
            }
        }
    }

    /// Closes idle connections now, and all others when they end; nothing is kept from here on.
    ///
    /// Requests are still served, because a call that is under way may need one: to refuse new
    /// calls is the client's part.
    pub fn shutdown(&mut self, now: Timestamp) {
        self.shut = true;
        while let Some(slot) = self.least_needed() {
            self.close(slot, CloseReason::Shutdown);
        }
        // Whoever counted on a connection that is finishing needs another now.
        self.serve(now);
    }
}

impl<K: Clone + Eq> Pool<K> {
    fn opened(&mut self, now: Timestamp, connection: ConnectionId, state: State) {
        self.trim(now);
        let found = self.table.find(connection);
        let Some((slot, State::Opening { owner, lost, .. })) = found else { return };
        self.opened_total += 1;
        let mark = self.serial();
        self.table.set_mark(slot, mark);
        self.table.set(slot, state);
        match owner {
            // One that was lost meanwhile is handed over all the same: the exchange then fails as
            // any does on a connection that died early, and the retry policy judges it.
            Some(owner) if lost || state.room() > 0 => self.hand_over(slot, owner.id),
            Some(owner) => self.requeue(owner),
            None => self.table.rest(slot, now),
        }
        if lost {
            self.forget(slot);
        }
        self.serve(now);
    }

    /// Puts a request back to its place in the queue: the peer permits no stream yet.
    fn requeue(&mut self, waiter: Waiter) {
        self.origins.hold_again(waiter.origin);
        self.origins.joined(&waiter);
        let at = self.queue.partition_point(|queued| queued.id < waiter.id);
        self.queue.insert(at, waiter);
    }

    /// Withdraws a request whose connection is being opened; answers whether there is one.
    fn disown(&mut self, waiter: WaiterId) -> bool {
        let owned = self.table.iter().find_map(|connection| match connection.state {
            State::Opening { owner: Some(owner), may_share, lost } if owner.id == waiter => {
                Some((connection.id.slot, State::Opening { owner: None, may_share, lost }))
            }
            State::Opening { .. } | State::Http1(_) | State::Http2 { .. } | State::Closing => None,
        });
        let Some((slot, orphaned)) = owned else { return false };
        self.table.set(slot, orphaned);
        if self.shut && self.origins.waiting(self.origin_of(slot)) == 0 {
            self.close(slot, CloseReason::Shutdown);
        }
        true
    }

    /// Ends the requests that waited to share this connection, unless another may serve them.
    fn fail_sharers(&mut self, slot: u32, connection: ConnectionId, origin: u32) {
        let others = |c: &table::Connection| c.origin == origin && c.id.slot != slot;
        if self.table.iter().any(|c| others(c) && !matches!(c.state, State::Closing)) {
            return;
        }
        let Self { queue, origins, actions, .. } = self;
        queue.retain(|waiter| {
            let fails = waiter.origin == origin && waiter.may_share;
            if fails {
                actions.push_back(Action::Fail { connection, waiter: waiter.id });
                origins.left(waiter);
            }
            !fails
        });
    }

    /// Closes the idle connections that may not be kept (R-P-2, R-P-3), longest idle first.
    fn trim(&mut self, now: Timestamp) {
        self.table.turn_back(now);
        while let Some((slot, since)) = self.table.longest_idle() {
            let expired = |expiry| since.saturating_add(expiry) <= now;
            let why = if self.shut {
                CloseReason::Shutdown
            } else if self.limits.keepalive_expiry.is_some_and(expired) {
                CloseReason::Expired
            } else if self.table.idle() > self.limits.max_keepalive_connections {
                CloseReason::Surplus
            } else {
                return;
            };
            self.close(slot, why);
        }
    }

    fn close(&mut self, slot: u32, why: CloseReason) {
        let Some(connection) = self.table.get(slot).map(|found| found.id) else { return };
        self.evicted_total += u64::from(why == CloseReason::Evicted);
        self.expired_total += u64::from(why == CloseReason::Expired);
        self.table.set(slot, State::Closing);
        self.actions.push_back(Action::Close { connection, why });
    }

    fn forget(&mut self, slot: u32) {
        if let Some(origin) = self.table.remove(slot) {
            self.origins.let_go(origin);
        }
    }

    /// Why no connection is kept once nobody uses it, if so.
    fn why_not_keep(&self) -> Option<CloseReason> {
        if self.shut {
            Some(CloseReason::Shutdown)
        } else if self.limits.max_keepalive_connections == 0 {
            Some(CloseReason::Surplus)
        } else if self.limits.keepalive_expiry == Some(Duration::ZERO) {
            Some(CloseReason::Expired)
        } else {
            None
        }
    }

    /// The next number for a request, a connection, or the moment one opened: one sequence, so
    /// that their order can be compared.
    fn serial(&mut self) -> u64 {
        self.last_serial += 1;
        self.last_serial
    }
}
