//! Storage of the pool: the connections in numbered slots, the list of idle ones, and how many
//! there are of each kind. It decides nothing; every transition is in the parent module.
use std::collections::VecDeque;

use redial_engine::Timestamp;

use super::types::{ConnectionId, WaiterId};

/// A request that has no connection yet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiter {
    pub(super) id: WaiterId,
    pub(super) origin: u32,
    pub(super) may_share: bool,
    pub(super) fresh: bool,
}

/// Where a connection is in its life.
#[derive(Clone, Copy, Debug)]
pub(super) enum State {
    /// Being opened, for `owner` unless that was withdrawn. `lost`: its socket is gone already,
    /// but the driver has yet to say how the opening ended.
    Opening {
        owner: Option<Waiter>,
        may_share: bool,
        lost: bool,
    },
    Http1(Phase),
    Http2 {
        streams: u32,
        max: u32,
        draining: bool,
    },
    /// Told to close, or failed; it counts until the socket is gone (R-P-1).
    Closing,
}

/// What an HTTP/1 connection is doing. `Finishing`: its response has ended, and it is ready for
/// the next request a task switch later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Free,
    Busy,
    Finishing,
}

/// The states as far as they are counted. `Stalled`: HTTP/2 whose peer permits no stream at all.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kind {
    Owned,
    Orphan,
    Free,
    Busy,
    Multiplexed,
    Draining,
    Stalled,
    Closing,
}

#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) id: ConnectionId,
    pub(super) origin: u32,
    pub(super) state: State,
    /// Greater than the ids of the requests made before it was open; 0 until then.
    pub(super) mark: u64,
    /// Whether a request was ever given it.
    pub(super) used: bool,
    is_idle: bool,
}

#[derive(Clone, Copy, Debug)]
struct Idle {
    slot: u32,
    origin: u32,
    since: Timestamp,
}

/// The connections of a pool.
#[derive(Clone, Debug, Default)]
pub(super) struct Table {
    slots: Vec<Option<Connection>>,
    /// Longest idle first; `since` never decreases along it.
    idle: VecDeque<Idle>,
    live: usize,
    counts: [usize; 8],
}

impl State {
    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Opening { owner: Some(_), .. } => Kind::Owned,
            Self::Opening { owner: None, .. } => Kind::Orphan,
            Self::Http1(Phase::Free) => Kind::Free,
            Self::Http1(Phase::Busy | Phase::Finishing) => Kind::Busy,
            Self::Http2 { draining: true, .. } => Kind::Draining,
            Self::Http2 { streams: 0, max: 0, .. } => Kind::Stalled,
            Self::Http2 { .. } => Kind::Multiplexed,
            Self::Closing => Kind::Closing,
        }
    }

    /// How many requests it could take now.
    pub(super) fn room(self) -> u32 {
        match self {
            Self::Http1(Phase::Free) => 1,
            Self::Http2 { streams, max, draining: false } => max.saturating_sub(streams),
            Self::Opening { .. } | Self::Http1(_) | Self::Http2 { .. } | Self::Closing => 0,
        }
    }

    /// Whether it is ready for a request and has none.
    fn rests(self) -> bool {
        self.room() > 0 && !matches!(self, Self::Http2 { streams: 1.., .. })
    }
}

impl Connection {
    /// Whether a request that needs a fresh connection may be given this one.
    pub(super) fn is_fresh_for(&self, waiter: WaiterId) -> bool {
        self.mark > waiter.0 && !(self.used && matches!(self.state, State::Http1(_)))
    }
}

impl Table {
    pub(super) fn live(&self) -> usize {
        self.live
    }

    pub(super) fn idle(&self) -> usize {
        self.idle.len()
    }

    pub(super) fn count(&self, kind: Kind) -> usize {
        self.counts.get(kind as usize).copied().unwrap_or(0)
    }

    pub(super) fn get(&self, slot: u32) -> Option<&Connection> {
        self.slots.get(slot as usize)?.as_ref()
    }

    /// The slot and state of this connection, unless it is gone.
    pub(super) fn find(&self, id: ConnectionId) -> Option<(u32, State)> {
        let connection = self.get(id.slot)?;
        (connection.id == id).then_some((id.slot, connection.state))
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().flatten()
    }

    /// The idle connections to `origin`, the most recently used first.
    pub(super) fn warmest(&self, origin: u32) -> impl Iterator<Item = &Connection> {
        let of_origin = self.idle.iter().rev().filter(move |idle| idle.origin == origin);
        of_origin.filter_map(|idle| self.get(idle.slot))
    }

    pub(super) fn longest_idle(&self) -> Option<(u32, Timestamp)> {
        self.idle.front().map(|idle| (idle.slot, idle.since))
    }

    pub(super) fn insert(&mut self, serial: u64, origin: u32, state: State) -> ConnectionId {
        let vacant = self.slots.iter().position(Option::is_none).unwrap_or(self.slots.len());
        // Each slot stands for an open socket, and there cannot be 4 billion of those.
        let id = ConnectionId { serial, slot: u32::try_from(vacant).unwrap_or(u32::MAX) };
        let entry = Connection { id, origin, state, mark: 0, used: false, is_idle: false };
        match self.slots.get_mut(vacant) {
            Some(slot) => *slot = Some(entry),
            None => self.slots.push(Some(entry)),
        }
        self.live += 1;
        self.tally(state, 1);
        id
    }

    /// Forgets a connection and answers its origin.
    pub(super) fn remove(&mut self, slot: u32) -> Option<u32> {
        let connection = self.slots.get_mut(slot as usize)?.take()?;
        self.live = self.live.saturating_sub(1);
        self.tally(connection.state, -1);
        if connection.is_idle {
            self.leave_idle(slot);
        }
        while self.slots.last().is_some_and(Option::is_none) {
            self.slots.pop();
        }
        Some(connection.origin)
    }

    /// Moves a connection to another state, and out of the idle list unless it still rests.
    pub(super) fn set(&mut self, slot: u32, state: State) {
        let Some(Some(connection)) = self.slots.get_mut(slot as usize) else { return };
        let before = core::mem::replace(&mut connection.state, state);
        let leaves = connection.is_idle && !state.rests();
        connection.is_idle &= !leaves;
        self.tally(before, -1);
        self.tally(state, 1);
        if leaves {
            self.leave_idle(slot);
        }
    }

    pub(super) fn set_mark(&mut self, slot: u32, mark: u64) {
        if let Some(Some(connection)) = self.slots.get_mut(slot as usize) {
            connection.mark = mark;
        }
    }

    /// Notes that a request is given this connection; answers whether one was before.
    pub(super) fn set_used(&mut self, slot: u32) -> bool {
        let Some(Some(connection)) = self.slots.get_mut(slot as usize) else { return false };
        core::mem::replace(&mut connection.used, true)
    }

    /// Puts a connection at the end of the idle list if it is ready and has nothing to do.
    pub(super) fn rest(&mut self, slot: u32, now: Timestamp) {
        let Some(Some(connection)) = self.slots.get_mut(slot as usize) else { return };
        if connection.is_idle || !connection.state.rests() {
            return;
        }
        connection.is_idle = true;
        let origin = connection.origin;
        self.turn_back(now);
        self.idle.push_back(Idle { slot, origin, since: now });
    }

    /// Where the clock has gone back, counts idleness from now: so the list stays in order, and
    /// a connection that went idle "in the future" still expires.
    pub(super) fn turn_back(&mut self, now: Timestamp) {
        // Nearly always: none is later than the last.
        if self.idle.back().is_none_or(|idle| idle.since <= now) {
            return;
        }
        for idle in self.idle.iter_mut().rev().take_while(|idle| idle.since > now) {
            idle.since = now;
        }
    }

    fn leave_idle(&mut self, slot: u32) {
        // The most recently used is the one that is used again.
        if self.idle.pop_back_if(|idle| idle.slot == slot).is_some() {
            return;
        }
        if let Some(at) = self.idle.iter().rposition(|idle| idle.slot == slot) {
            self.idle.remove(at);
        }
    }

    fn tally(&mut self, state: State, change: isize) {
        if let Some(count) = self.counts.get_mut(state.kind() as usize) {
            *count = count.saturating_add_signed(change);
        }
    }
}
