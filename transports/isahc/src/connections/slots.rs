//! What slots there are, and when idle connections are to be closed.

use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Wake;

use redial_client::{Clock, Origin, PoolFigures, PoolLimits, ThreadClock};
use redial_engine::Timestamp;

use super::Connections;
use super::ports::Ports;
use crate::ledger::{Fate, Ledger, Place};

/// What slots there are. Apart from the handles, because curl's threads come here too, and must
/// not be the ones to drop a handle: that waits for its thread.
#[derive(Debug)]
pub(super) struct Slots {
    state: Mutex<State>,
    pub(super) clock: ThreadClock,
    expiry: Option<Duration>,
    sweeper: OnceLock<Waker>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) ledger: Ledger,
    pub(super) queue: VecDeque<(u64, Waker)>,
    pub(super) numbers: u64,
    /// Those of the present handle that keeps connections.
    pub(super) ports: Ports,
    at_rest_since: Timestamp,
    /// Whether the sweeper will be woken.
    sweeping: bool,
    pub(super) closed: bool,
    pub(super) totals: PoolFigures,
}

impl State {
    pub(super) fn wake_first(&self) {
        if let Some((_, waker)) = self.queue.front() {
            waker.wake_by_ref();
        }
    }
}

impl Slots {
    pub(super) fn new(limits: PoolLimits, clock: ThreadClock) -> Arc<Self> {
        let state = Mutex::new(State {
            ledger: Ledger::new(limits),
            queue: VecDeque::new(),
            numbers: 0,
            ports: Ports::default(),
            at_rest_since: clock.now(),
            sweeping: false,
            closed: false,
            totals: PoolFigures::default(),
        });
        Arc::new(Self { state, clock, expiry: limits.keepalive_expiry, sweeper: OnceLock::new() })
    }

    /// Whose idle connections are to be closed.
    pub(super) fn sweep_for(&self, connections: &Weak<Connections>) {
        let _ = self.sweeper.set(Waker::from(Arc::new(Sweeper(Weak::clone(connections)))));
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes which connection a request is on, where that is known; answers whether it had served
    /// another.
    pub(super) fn over(&self, place: Place, origin: &Origin, port: Option<u16>) -> bool {
        let mut state = self.lock();
        let reused = match (place, port) {
            (Place::Kept(_), None) => return false,
            (Place::Kept(_), Some(port)) if state.ledger.is_present(place) => {
                let most = state.ledger.kept() + state.ledger.idle();
                state.ports.take(origin, port, most)
            }
            (Place::Kept(_) | Place::Fresh, _) => false,
        };
        let total =
            if reused { &mut state.totals.reused_total } else { &mut state.totals.opened_total };
        *total += 1;
        reused
    }

    /// A request has ended, and its slot is free.
    pub(super) fn end(&self, place: Place, origin: &Origin, port: Option<u16>, fate: Fate) {
        let mut state = self.lock();
        let present = state.ledger.is_present(place);
        state.ledger.end(place, fate);
        if present {
            let now = self.clock.now();
            match port {
                Some(port) if fate.gone => state.ports.close(origin, port),
                Some(port) => state.ports.leave(origin, port, now),
                None => {}
            }
            if state.ledger.is_at_rest() {
                state.at_rest_since = now;
            }
            if !state.sweeping || state.closed {
                let due = self.sweep_due(&state);
                self.sweep_at(&mut state, due);
            }
        }
        state.wake_first();
    }

    /// Whether idle connections are to be closed now; where not, they are looked at again in time.
    pub(super) fn sweep_is_due(&self, state: &mut State) -> bool {
        state.sweeping = false;
        let due = self.sweep_due(state);
        let is_due = self.clock.now() >= due;
        if !is_due {
            self.sweep_at(state, due);
        }
        is_due
    }

    /// When idle connections are to be closed, if nothing happens until then.
    fn sweep_due(&self, state: &State) -> Timestamp {
        let Some(expiry) = self.expiry.filter(|_| !state.closed) else {
            return if state.closed { state.at_rest_since } else { Timestamp::MAX };
        };
        let at_rest = state.ledger.is_at_rest() && state.ledger.idle() > 0;
        let rest = Some(state.at_rest_since).filter(|_| at_rest);
        let since = state.ports.idle_since(state.ledger.kept()).into_iter().chain(rest).min();
        since.map_or(Timestamp::MAX, |since| since.saturating_add(expiry))
    }

    fn sweep_at(&self, state: &mut State, at: Timestamp) {
        if let Some(sweeper) = self.sweeper.get().filter(|_| at != Timestamp::MAX) {
            state.sweeping = true;
            self.clock.wake_at(at, sweeper.clone());
        }
    }
}

/// Woken by the clock when idle connections may have expired (R-P-3).
struct Sweeper(Weak<Connections>);

impl Wake for Sweeper {
    fn wake(self: Arc<Self>) {
        if let Some(connections) = self.0.upgrade() {
            connections.sweep();
        }
    }
}
