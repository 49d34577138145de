//! Slots, first come, first served, and which handle a request goes over.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::task::Wake;

use isahc::HttpClient;
use redial_client::{
    Clock, Exchange, Origin, PoolEvent, PoolEventKind, PoolFigures, TransportError, race,
};
use redial_engine::{Delivery, Failure, FailureKind, Timestamp};

use crate::clock::SharedClock;
use crate::handles::Maker;
use crate::ledger::{Fate, Lane, Ledger, Verdict};

/// Both handles, and the slots that requests wait for.
#[derive(Debug)]
pub(crate) struct Connections {
    maker: Maker,
    handles: Mutex<Handles>,
    slots: Arc<Slots>,
}

#[derive(Debug, Default)]
struct Handles {
    kept: Option<Arc<HttpClient>>,
    fresh: Option<Arc<HttpClient>>,
}

impl Connections {
    pub(crate) fn new(maker: Maker, clock: SharedClock) -> Arc<Self> {
        let state = State {
            ledger: Ledger::new(maker.settings().limits),
            queue: VecDeque::new(),
            numbers: 0,
            ports: VecDeque::new(),
            at_rest_since: clock.now(),
            sweeping: false,
            closed: false,
            totals: PoolFigures::default(),
        };
        let expiry = maker.settings().limits.keepalive_expiry;
        let state = Mutex::new(state);
        let slots = Arc::new(Slots { state, clock, expiry, sweeper: OnceLock::new() });
        Arc::new_cyclic(|this| {
            let _ = slots.sweeper.set(Waker::from(Arc::new(Sweeper(Weak::clone(this)))));
            Self { maker, handles: Mutex::default(), slots }
        })
    }

    pub(crate) const fn maker(&self) -> &Maker {
        &self.maker
    }

    pub(crate) fn clock(&self) -> &SharedClock {
        &self.slots.clock
    }

    /// Waits for a slot, at most as long as the exchange allows.
    pub(crate) async fn acquire(
        &self,
        lane: Lane,
        exchange: &Exchange,
    ) -> Result<Lease, TransportError> {
        let clock = self.clock();
        let slot = clock.now().saturating_add(exchange.timeouts.pool);
        let (until, kind) = match exchange.cutoff {
            Some(cutoff) if cutoff.at <= slot => (cutoff.at, cutoff.kind()),
            Some(_) | None => (slot, FailureKind::PoolTimeout),
        };
        let mut waiting = Waiting { connections: self, lane, number: None };
        let began = poll_fn(|context| match Pin::new(&mut waiting).poll(context) {
            Poll::Ready(lease) => Poll::Ready(Ok(lease)),
            Poll::Pending => Poll::Ready(Err(clock.now())),
        });
        let began = match began.await {
            Ok(lease) => return lease,
            Err(began) => began,
        };
        let origin = &exchange.origin;
        match race(waiting, clock.alarm(until)).await {
            Some(lease) => {
                let wait = clock.now().saturating_since(began);
                self.tell(origin, PoolEventKind::Waited { wait });
                lease
            }
            None => {
                if kind == FailureKind::PoolTimeout {
                    self.slots.lock().totals.pool_timeouts += 1;
                    self.tell(origin, PoolEventKind::TimedOut);
                }
                Err(TransportError::unsent(kind))
            }
        }
    }

    /// Tells the observer, where there is one (R-O-2). No lock is held.
    pub(crate) fn tell(&self, origin: &Origin, kind: PoolEventKind) {
        if let Some(observer) = &self.maker.settings().observer {
            observer.pool(&PoolEvent::new(origin, kind));
        }
    }

    pub(crate) fn figures(&self) -> PoolFigures {
        let state = self.slots.lock();
        let mut figures = state.totals;
        figures.in_use = state.ledger.in_use();
        figures.idle = state.ledger.idle();
        // Where curl makes room by itself, the bound on what is idle is above what can be.
        figures.open =
            (figures.in_use + figures.idle).min(self.maker.settings().limits.max_connections);
        figures.idle = figures.open - figures.in_use.min(figures.open);
        figures.waiting = state.queue.len();
        figures
    }

    /// Keeps no connection from here on.
    pub(crate) fn shut_down(&self) {
        self.slots.lock().closed = true;
        self.sweep();
    }

    /// Closes the idle connections, where that is due and possible.
    fn sweep(&self) {
        let mut state = self.slots.lock();
        state.sweeping = false;
        if !state.ledger.is_at_rest() {
            return;
        }
        let due = self.slots.sweep_due(&state);
        if self.clock().now() < due {
            self.slots.sweep_at(&mut state, due);
            return;
        }
        let closed = self.close_idle(&mut state);
        if !state.closed {
            state.totals.expired_total += closed;
        }
        state.wake_first();
    }

    /// Closes the handle that keeps connections, on which there is no request: its thread has
    /// nothing to do and is joined at once.
    fn close_idle(&self, state: &mut State) -> u64 {
        drop(self.handles().kept.take());
        state.ports.clear();
        state.ledger.close_idle() as u64
    }

    /// Starts the request at the head of the queue, where it may.
    fn start(&self, state: &mut State, lane: Lane) -> Option<Result<Lease, TransportError>> {
        let lane = if state.closed { Lane::Fresh } else { lane };
        match state.ledger.judge(lane) {
            Verdict::Wait => return None,
            Verdict::Start => {}
            Verdict::StartAfterClosingIdle => {
                state.totals.evicted_total += self.close_idle(state);
            }
        }
        let handle = match self.handle(lane) {
            Ok(handle) => handle,
            Err(error) => {
                let failure = Failure::new(FailureKind::Other, Delivery::Unsent);
                return Some(Err(TransportError::with_source(failure, error)));
            }
        };
        state.ledger.start(lane);
        let fate = (AtomicBool::new(false), AtomicBool::new(false));
        let slots = Arc::clone(&self.slots);
        let permit = Permit { slots, lane, reused: fate.0, gone: fate.1 };
        Some(Ok(Lease { handle, permit: Arc::new(permit) }))
    }

    fn handle(&self, lane: Lane) -> Result<Arc<HttpClient>, isahc::Error> {
        let mut handles = self.handles();
        let slot = match lane {
            Lane::Kept => &mut handles.kept,
            Lane::Fresh => &mut handles.fresh,
        };
        match slot {
            Some(handle) => Ok(Arc::clone(handle)),
            None => Ok(Arc::clone(slot.insert(Arc::new(self.maker.make(lane)?)))),
        }
    }

    /// Starts no further request on this handle: a connection of its is out of step, and nobody
    /// can say which. It closes with the last request that is on it now.
    pub(crate) fn retire(&self, lease: &Lease) {
        let mut state = self.slots.lock();
        if self.handles().kept.take_if(|handle| Arc::ptr_eq(handle, &lease.handle)).is_some() {
            state.ledger.replace();
            state.ports.clear();
        }
    }

    /// Uses this handle no more: its thread is gone.
    pub(crate) fn disown(&self, lease: &Lease) {
        let mut handles = self.handles();
        let Handles { kept, fresh } = &mut *handles;
        for slot in [kept, fresh] {
            if let Some(handle) = slot.take_if(|handle| Arc::ptr_eq(handle, &lease.handle)) {
                // isahc panics when the last of it is dropped and its thread is gone.
                core::mem::forget(handle);
            }
        }
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What slots there are. Apart from the handles, because curl's threads come here too, and must
/// not be the ones to drop a handle: that waits for its thread.
#[derive(Debug)]
struct Slots {
    state: Mutex<State>,
    clock: SharedClock,
    expiry: Option<Duration>,
    sweeper: OnceLock<Waker>,
}

#[derive(Debug)]
struct State {
    ledger: Ledger,
    queue: VecDeque<(u64, Waker)>,
    numbers: u64,
    /// The local ports of the connections that may be open on the handle that keeps them.
    ports: VecDeque<u16>,
    at_rest_since: Timestamp,
    /// Whether the sweeper will be woken.
    sweeping: bool,
    closed: bool,
    totals: PoolFigures,
}

impl State {
    fn wake_first(&self) {
        if let Some((_, waker)) = self.queue.front() {
            waker.wake_by_ref();
        }
    }
}

impl Slots {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn end(&self, lane: Lane, fate: Fate) {
        let mut state = self.lock();
        state.ledger.end(lane, fate);
        if lane == Lane::Kept && state.ledger.is_at_rest() {
            state.at_rest_since = self.clock.now();
            if !state.sweeping || state.closed {
                let due = self.sweep_due(&state);
                self.sweep_at(&mut state, due);
            }
        }
        state.wake_first();
    }

    /// When the idle connections are to be closed, if no request comes.
    fn sweep_due(&self, state: &State) -> Timestamp {
        match self.expiry {
            _ if state.closed => state.at_rest_since,
            Some(expiry) => state.at_rest_since.saturating_add(expiry),
            None => Timestamp::MAX,
        }
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

/// A request in the queue.
struct Waiting<'a> {
    connections: &'a Connections,
    lane: Lane,
    number: Option<u64>,
}

impl Future for Waiting<'_> {
    type Output = Result<Lease, TransportError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut state = this.connections.slots.lock();
        let first = state.queue.front().map(|(number, _)| *number);
        if first == this.number
            && let Some(lease) = this.connections.start(&mut state, this.lane)
        {
            if this.number.take().is_some() {
                state.queue.pop_front();
            }
            state.wake_first();
            return Poll::Ready(lease);
        }
        match this.number {
            Some(number) => {
                let mut queue = state.queue.iter_mut();
                if let Some((_, waker)) = queue.find(|(other, _)| *other == number) {
                    waker.clone_from(context.waker());
                }
            }
            None => {
                state.numbers += 1;
                let number = state.numbers;
                state.queue.push_back((number, context.waker().clone()));
                this.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut state = self.connections.slots.lock();
            state.queue.retain(|(other, _)| *other != number);
            // It may have been woken in vain.
            state.wake_first();
        }
    }
}

/// A handle to send one request over, and a slot on it.
///
/// The fields are dropped in this order: where no slot is taken, nobody has the handle.
#[derive(Debug)]
pub(crate) struct Lease {
    handle: Arc<HttpClient>,
    permit: Arc<Permit>,
}

impl Lease {
    pub(crate) const fn handle(&self) -> &Arc<HttpClient> {
        &self.handle
    }

    /// The other half of the slot: curl's, which it lets go of with the request.
    pub(crate) fn hold(&self) -> Arc<Permit> {
        Arc::clone(&self.permit)
    }

    /// Notes the local port of the request's connection; answers whether it had served another.
    pub(crate) fn over(&self, port: Option<u16>) -> bool {
        if self.permit.lane == Lane::Fresh {
            self.permit.slots.lock().totals.opened_total += 1;
            return false;
        }
        let Some(port) = port else { return false };
        let mut state = self.permit.slots.lock();
        let reused = state.ports.contains(&port);
        if reused {
            state.totals.reused_total += 1;
            self.permit.reused.store(true, Ordering::Release);
        } else {
            state.totals.opened_total += 1;
            // Older ones are closed, or there are more of them than may be open.
            let open = state.ledger.in_use() + state.ledger.idle();
            state.ports.truncate(open);
            state.ports.push_front(port);
        }
        reused
    }

    /// The request's connection is certainly closed.
    pub(crate) fn gone(&self, port: Option<u16>) {
        self.permit.gone.store(true, Ordering::Release);
        self.permit.slots.lock().ports.retain(|other| Some(*other) != port);
    }
}

/// One slot, given back when neither the caller nor curl has it any more.
#[derive(Debug)]
pub(crate) struct Permit {
    slots: Arc<Slots>,
    lane: Lane,
    reused: AtomicBool,
    gone: AtomicBool,
}

impl AsRef<[u8]> for Permit {
    /// What curl sees of it.
    fn as_ref(&self) -> &[u8] {
        b"-"
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let reused = self.reused.load(Ordering::Acquire);
        self.slots.end(self.lane, Fate { reused, gone: self.gone.load(Ordering::Acquire) });
    }
}
