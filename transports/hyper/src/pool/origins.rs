//! The origins that have a connection or a waiting request, each under a small number, so that
//! keys are compared once a request, and what each origin has to offer those who wait.
use super::table::{Connection, Phase, State, Table, Waiter};

/// What an origin's connections can do for requests that wait.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Supply {
    /// How many requests could be served now.
    pub(super) ready: usize,
    /// The greatest mark among the connections that are ready and may count as fresh.
    pub(super) fresh: u64,
    /// Whether one is being opened that may be shared.
    pub(super) opening: bool,
    /// How many are being opened for nobody.
    pub(super) orphans: usize,
    /// The greatest mark among HTTP/2 connections in service; 0 without any.
    multiplexed: u64,
    /// How many HTTP/1 connections will be ready in a moment.
    finishing: usize,
}

#[derive(Clone, Debug)]
struct Entry<K> {
    key: Option<K>,
    /// Connections and waiting requests of this origin; the entry is free at 0.
    holds: usize,
    waiting: usize,
    /// Those of the waiting that a shared connection may not help.
    choosy: usize,
    supply: Supply,
    /// Whether the pass over the queue has met a request that waits for a stream here.
    relied_on: bool,
}

/// The origins of a pool.
#[derive(Clone, Debug)]
pub(super) struct Origins<K> {
    entries: Vec<Entry<K>>,
}

impl Supply {
    /// Adds what this connection offers. One that `yields` takes no new request.
    fn add(&mut self, connection: &Connection, keeps: bool, yields: bool) {
        match connection.state {
            State::Opening { owner, may_share, .. } => {
                self.opening |= may_share;
                self.orphans += usize::from(owner.is_none());
            }
            State::Http1(Phase::Finishing) => self.finishing += usize::from(keeps),
            State::Http2 { draining: false, .. } if !yields => {
                self.multiplexed = self.multiplexed.max(connection.mark);
            }
            State::Http1(_) | State::Http2 { .. } | State::Closing => {}
        }
        let room = if yields { 0 } else { connection.state.room() };
        self.ready = self.ready.saturating_add(room as usize);
        if room > 0 && !(connection.used && matches!(connection.state, State::Http1(_))) {
            self.fresh = self.fresh.max(connection.mark);
        }
    }

    /// Whether a connection is ready for this request.
    pub(super) fn serves(&self, waiter: &Waiter) -> bool {
        if waiter.fresh { self.fresh > waiter.id.0 } else { self.ready > 0 }
    }

    /// Whether an HTTP/2 connection will do for this request once a stream ends.
    pub(super) fn has_streams_for(&self, waiter: &Waiter) -> bool {
        self.multiplexed > if waiter.fresh { waiter.id.0 } else { 0 }
    }

    /// Lets this request wait for an HTTP/1 connection whose response has just ended, if there is
    /// one that no earlier request waits for.
    pub(super) fn claim_finishing(&mut self, waiter: &Waiter) -> bool {
        let claimed = !waiter.fresh && self.finishing > 0;
        self.finishing -= usize::from(claimed);
        claimed
    }
}

impl<K: Clone + Eq> Origins<K> {
    pub(super) fn new() -> Self {
        Self { entries: Vec::new() }
    }

    pub(super) fn find(&self, key: &K) -> Option<u32> {
        let at = self.entries.iter().position(|entry| entry.key.as_ref() == Some(key))?;
        u32::try_from(at).ok()
    }

    /// Whether the key is known or not: its number, held once more.
    pub(super) fn hold(&mut self, key: &K) -> u32 {
        let origin = self.find(key).unwrap_or_else(|| self.enter(key.clone()));
        self.hold_again(origin);
        origin
    }

    pub(super) fn hold_again(&mut self, origin: u32) {
        if let Some(entry) = self.entry(origin) {
            entry.holds += 1;
        }
    }

    pub(super) fn let_go(&mut self, origin: u32) {
        let Some(entry) = self.entry(origin) else { return };
        entry.holds = entry.holds.saturating_sub(1);
        if entry.holds == 0 {
            entry.key = None;
        }
        // Numbers are in use elsewhere, so only the end of the list can go.
        while self.entries.last().is_some_and(|entry| entry.key.is_none()) {
            self.entries.pop();
        }
    }

    pub(super) fn key(&self, origin: u32) -> Option<K> {
        self.entries.get(origin as usize)?.key.clone()
    }

    /// Notes that a request of a held origin waits.
    pub(super) fn joined(&mut self, waiter: &Waiter) {
        if let Some(entry) = self.entry(waiter.origin) {
            entry.waiting += 1;
            entry.choosy += usize::from(waiter.fresh || !waiter.may_share);
        }
    }

    /// Notes that a request waits no more, and lets its origin go.
    pub(super) fn left(&mut self, waiter: &Waiter) {
        if let Some(entry) = self.entry(waiter.origin) {
            entry.waiting = entry.waiting.saturating_sub(1);
            let choosy = usize::from(waiter.fresh || !waiter.may_share);
            entry.choosy = entry.choosy.saturating_sub(choosy);
        }
        self.let_go(waiter.origin);
    }

    pub(super) fn waiting(&self, origin: u32) -> usize {
        self.entries.get(origin as usize).map_or(0, |entry| entry.waiting)
    }

    pub(super) fn rely_on(&mut self, origin: u32) {
        if let Some(entry) = self.entry(origin) {
            entry.relied_on = true;
        }
    }

    pub(super) fn relied_on(&self, origin: u32) -> bool {
        self.entries.get(origin as usize).is_some_and(|entry| entry.relied_on)
    }

    pub(super) fn supply(&mut self, origin: u32) -> Option<&mut Supply> {
        self.entry(origin).map(|entry| &mut entry.supply)
    }

    /// Works out the supply of every origin. Linear in origins and connections.
    pub(super) fn recount(&mut self, table: &Table, keeps: bool) {
        for entry in &mut self.entries {
            entry.supply = Supply::default();
            entry.relied_on = false;
        }
        for connection in table.iter() {
            if let Some(entry) = self.entries.get_mut(connection.origin as usize) {
                entry.supply.add(connection, keeps, false);
            }
        }
    }

    /// Works out the supply of one origin again, with one connection of it that yields. What was
    /// claimed of its finishing connections stays claimed.
    pub(super) fn recount_one(&mut self, origin: u32, table: &Table, yielding: Option<u32>) {
        let Some(entry) = self.entry(origin) else { return };
        let finishing = entry.supply.finishing;
        entry.supply = Supply::default();
        for connection in table.iter().filter(|connection| connection.origin == origin) {
            entry.supply.add(connection, false, yielding == Some(connection.id.slot));
        }
        entry.supply.finishing = finishing;
    }

    /// How many waiting requests could be served now, and how many may need a new connection:
    /// upper bounds of both.
    pub(super) fn outlook(&self) -> (usize, usize) {
        let waiting = self.entries.iter().filter(|entry| entry.waiting > 0);
        waiting.fold((0, 0), |(ready, needy), entry| {
            let shared = entry.supply.opening || entry.supply.multiplexed > 0;
            let more = if shared { entry.choosy } else { entry.waiting };
            (entry.supply.ready.saturating_add(ready), needy + more)
        })
    }

    fn entry(&mut self, origin: u32) -> Option<&mut Entry<K>> {
        self.entries.get_mut(origin as usize)
    }

    fn enter(&mut self, key: K) -> u32 {
        let supply = Supply::default();
        let key = Some(key);
        let entry = Entry { key, holds: 0, waiting: 0, choosy: 0, supply, relied_on: false };
        let vacant = self.entries.iter().position(|entry| entry.key.is_none());
        let at = vacant.unwrap_or(self.entries.len());
        match self.entries.get_mut(at) {
            Some(free) => *free = entry,
            None => self.entries.push(entry),
        }
        // Each entry stands for a waiting request or an open socket: there cannot be 4 billion.
        u32::try_from(at).unwrap_or(u32::MAX)
    }
}
