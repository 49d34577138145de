//! Who gets what: the pass over the waiting requests that ends every transition of the pool.
//!
//! Before and after each pass nobody can be served: so a new request that finds a connection
//! overtakes nobody, and a pass is needed only where something came free or someone came in vain.
use redial_engine::Timestamp;

use super::table::{Connection, Kind, Phase, State, Waiter};
use super::{Action, CloseReason, Pool, Taken, WaiterId};

/// How many of the waiting requests have been dealt with in a pass over the queue, and what there
/// may be for the rest.
struct Pass {
    /// Requests that may be served by a connection that is ready; at least as many as are.
    ready: usize,
    /// Requests that may need a new connection; at least as many as do.
    needy: usize,
    /// Requests that wait for the place of a connection which ends without being told.
    placed: usize,
    /// The connection that yielded before this pass.
    yielded: Option<u32>,
}

impl<K: Clone + Eq> Pool<K> {
    /// Gives every waiting request what it can use now, in the order of the requests.
    pub(super) fn serve(&mut self, now: Timestamp) {
        let yielded = self.yielding.take();
        self.origins.recount(&self.table, self.why_not_keep().is_none());
        let (ready, needy) = self.origins.outlook();
        let mut pass = Pass { ready, needy, placed: 0, yielded };
        let (mut kept, mut next) = (0, 0);
        while let Some(waiter) = self.queue.get(next).copied() {
            if self.is_over(&pass, self.queue.len() - next) {
                break;
            }
            if self.place(&waiter, &mut pass) {
                self.origins.left(&waiter);
            } else {
                self.queue.swap(kept, next);
                kept += 1;
            }
            next += 1;
        }
        self.queue.drain(kept..next);
        self.close_stalled();
        self.trim(now);
    }

    /// Whether nothing can be done any more for the `rest` of the queue.
    fn is_over(&self, pass: &Pass, rest: usize) -> bool {
        let orphans = self.table.count(Kind::Orphan);
        if pass.ready > 0 || orphans > 0 {
            return false;
        }
        let multiplexed = self.table.count(Kind::Multiplexed) + self.table.count(Kind::Stalled);
        let room = self.table.live() < self.limits.max_connections || self.table.idle() > 0;
        let may_yield = self.yielding.is_none() && multiplexed > 0;
        let short = pass.placed.saturating_add(rest) > self.ending();
        pass.needy == 0 || !(room || may_yield && short)
    }

    /// Does what can be done for one waiting request; answers whether it waits no more.
    fn place(&mut self, waiter: &Waiter, pass: &mut Pass) -> bool {
        let Some(supply) = self.origins.supply(waiter.origin).copied() else { return false };
        if supply.serves(waiter) {
            if let Some(slot) = self.pick(waiter) {
                self.hand_over(slot, waiter.id);
                pass.ready = pass.ready.saturating_sub(1);
                self.took_one(waiter.origin);
                return true;
            }
            if let Some(supply) = self.origins.supply(waiter.origin) {
                // No other fresh request needs to look again.
                supply.fresh = 0;
            }
        }
        if supply.orphans > 0 && self.adopt(waiter) {
            return true;
        }
        if supply.opening && waiter.may_share {
            return false;
        }
        if supply.has_streams_for(waiter) {
            self.origins.rely_on(waiter.origin);
            return false;
        }
        let finishing = self.origins.supply(waiter.origin);
        if finishing.is_some_and(|supply| supply.claim_finishing(waiter)) {
            return false;
        }
        self.find_room(waiter, pass)
    }

    /// Opens a connection, or sees to it that there will be room for one.
    fn find_room(&mut self, waiter: &Waiter, pass: &mut Pass) -> bool {
        pass.needy = pass.needy.saturating_sub(1);
        if self.table.live() < self.limits.max_connections {
            self.open(waiter);
            return true;
        }
        let closing = self.table.count(Kind::Closing);
        if pass.placed >= closing && !self.evict(pass) && pass.placed >= self.ending() {
            self.make_yield(pass);
        }
        pass.placed += 1;
        false
    }

    /// How many connections end, or come free for whoever is first, if everyone just waits.
    fn ending(&self) -> usize {
        let kinds = [Kind::Closing, Kind::Owned, Kind::Busy, Kind::Draining];
        kinds.into_iter().map(|kind| self.table.count(kind)).sum()
    }

    /// Frees a place, if one can be freed at once.
    fn evict(&mut self, pass: &mut Pass) -> bool {
        if redial_engine::planted!(NoEviction) {
            return false;
        }
        let Some(slot) = self.least_needed() else { return false };
        self.give_up(slot, pass);
        true
    }

    /// The connection that can best be spared: the longest idle one (R-P-4), else one that is
    /// being opened for nobody, the longest.
    pub(super) fn least_needed(&self) -> Option<u32> {
        let orphan = || {
            let orphans = self.table.iter().filter(|c| matches!(c.state.kind(), Kind::Orphan));
            orphans.map(|c| c.id).min().map(|id| id.slot)
        };
        let idle = self.table.longest_idle().map(|(slot, _)| slot);
        idle.or_else(|| if self.table.count(Kind::Orphan) > 0 { orphan() } else { None })
    }

    /// Where every connection is HTTP/2 and could be kept busy for ever by later requests, lets
    /// one of them take no more, so that nobody starves (R-P-5): the one that yielded before, else
    /// the one with the fewest streams. One at a time is enough to serve everyone in turn.
    fn make_yield(&mut self, pass: &mut Pass) {
        if self.yielding.is_some() {
            return;
        }
        let candidates = self.table.iter().filter_map(|connection| match connection.state {
            // A request that came before waits for its first stream here.
            State::Http2 { streams: 0, .. } if self.origins.relied_on(connection.origin) => None,
            State::Http2 { streams, draining: false, .. } => {
                let slot = connection.id.slot;
                Some((pass.yielded != Some(slot), streams, slot, connection.origin))
            }
            State::Opening { .. } | State::Http1(_) | State::Http2 { .. } | State::Closing => None,
        });
        let Some((_, streams, slot, origin)) = candidates.min() else { return };
        if streams == 0 {
            self.give_up(slot, pass);
        } else {
            self.yielding = Some(slot);
            self.lost_supply(origin, pass);
        }
    }

    /// Closes a connection for the sake of a request that it cannot serve.
    fn give_up(&mut self, slot: u32, pass: &mut Pass) {
        let origin = self.origin_of(slot);
        self.close(slot, CloseReason::Evicted);
        self.lost_supply(origin, pass);
    }

    /// Takes note that an origin has less to offer, so that its requests may need more room.
    fn lost_supply(&mut self, origin: u32, pass: &mut Pass) {
        self.origins.recount_one(origin, &self.table, self.yielding);
        pass.needy = pass.needy.saturating_add(self.origins.waiting(origin));
    }

    /// Closes connections that permit no stream while nobody waits for one.
    fn close_stalled(&mut self) {
        while self.table.count(Kind::Stalled) > 0 {
            let useless = |c: &&Connection| {
                matches!(c.state.kind(), Kind::Stalled) && self.origins.waiting(c.origin) == 0
            };
            let Some(slot) = self.table.iter().find(useless).map(|c| c.id.slot) else { return };
            self.close(slot, CloseReason::Unusable);
        }
    }

    /// A connection of the origin of this request that is ready for it: HTTP/2 that is in use
    /// before one that is idle, so that one connection is shared and the others may expire.
    pub(super) fn pick(&self, waiter: &Waiter) -> Option<u32> {
        let fits = |connection: &&Connection| {
            connection.origin == waiter.origin
                && connection.state.room() > 0
                && (!waiter.fresh || connection.is_fresh_for(waiter.id))
                && self.yielding != Some(connection.id.slot)
        };
        let shared = || {
            let streaming = |c: &&Connection| matches!(c.state, State::Http2 { streams: 1.., .. });
            self.table.iter().filter(streaming).filter(fits).max_by_key(|c| c.mark)
        };
        let shared = if self.table.count(Kind::Multiplexed) > 0 { shared() } else { None };
        let found = shared.or_else(|| self.table.warmest(waiter.origin).find(fits));
        found.map(|connection| connection.id.slot)
    }

    pub(super) fn hand_over(&mut self, slot: u32, waiter: WaiterId) {
        if let Some(Taken { connection, reused }) = self.occupy(slot) {
            self.actions.push_back(Action::Use { connection, waiter, reused });
        }
    }

    /// Puts one more request on a connection.
    pub(super) fn occupy(&mut self, slot: u32) -> Option<Taken> {
        let found = self.table.get(slot)?;
        let connection = found.id;
        let next = match found.state {
            State::Http1(_) => State::Http1(Phase::Busy),
            State::Http2 { streams, max, draining } => {
                State::Http2 { streams: streams.saturating_add(1), max, draining }
            }
            other @ (State::Opening { .. } | State::Closing) => other,
        };
        self.table.set(slot, next);
        let reused = self.table.set_used(slot);
        self.reused_total += u64::from(reused && !redial_engine::planted!(FiguresForgotten));
        Some(Taken { connection, reused })
    }

    fn took_one(&mut self, origin: u32) {
        if let Some(supply) = self.origins.supply(origin) {
            supply.ready = supply.ready.saturating_sub(1);
        }
    }

    fn open(&mut self, waiter: &Waiter) {
        let Some(key) = self.origins.key(waiter.origin) else { return };
        let may_share = waiter.may_share;
        let state = State::Opening { owner: Some(*waiter), may_share, lost: false };
        let serial = self.serial();
        let connection = self.table.insert(serial, waiter.origin, state);
        self.origins.hold_again(waiter.origin);
        if let Some(supply) = self.origins.supply(waiter.origin) {
            supply.opening |= may_share;
        }
        self.actions.push_back(Action::Open { connection, waiter: waiter.id, key });
    }

    /// Makes a connection that is being opened for nobody one that is opened for this request.
    fn adopt(&mut self, waiter: &Waiter) -> bool {
        let of_origin = |c: &&Connection| c.origin == waiter.origin;
        let orphans = self.table.iter().filter(of_origin).filter_map(|c| match c.state {
            State::Opening { owner: None, may_share, lost } => Some((c.id, may_share, lost)),
            State::Opening { .. } | State::Http1(_) | State::Http2 { .. } | State::Closing => None,
        });
        // The one that was begun first will be open first.
        let orphan = orphans.min().map(|(id, may_share, lost)| (id.slot, may_share, lost));
        let Some((slot, may_share, lost)) = orphan else { return false };
        self.table.set(slot, State::Opening { owner: Some(*waiter), may_share, lost });
        if let Some(supply) = self.origins.supply(waiter.origin) {
            supply.orphans = supply.orphans.saturating_sub(1);
        }
        true
    }

    pub(super) fn origin_of(&self, slot: u32) -> u32 {
        self.table.get(slot).map_or(u32::MAX, |connection| connection.origin)
    }
}
