//! Slots, and which handle a request goes over.

mod lease;
mod ports;
mod queue;
mod slots;

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use isahc::HttpClient;
use redial_client::{
    Clock, Exchange, Origin, PoolEventKind, PoolFigures, PoolObserver, ThreadClock, TransportError,
    race,
};
use redial_engine::{Delivery, Failure, FailureKind};

use self::queue::Waiting;
use self::slots::{Slots, State};
use crate::handles::Maker;
use crate::ledger::{Lane, Verdict};
use crate::survey::Survey;

pub(crate) use self::lease::{Lease, Permit};

/// Both handles, and the slots that requests wait for.
#[derive(Debug)]
pub(crate) struct Connections {
    maker: Maker,
    observer: PoolObserver,
    handles: Mutex<Handles>,
    slots: Arc<Slots>,
    survey: Arc<Survey>,
}

#[derive(Debug, Default)]
struct Handles {
    kept: Option<Arc<HttpClient>>,
    fresh: Option<Arc<HttpClient>>,
}

impl Connections {
    pub(crate) fn new(maker: Maker, clock: ThreadClock) -> Arc<Self> {
        let survey = Arc::new(Survey::new());
        let slots = Slots::new(maker.settings().limits, clock);
        let observer = PoolObserver::new(maker.settings().observer.clone());
        Arc::new_cyclic(|this| {
            slots.sweep_for(this);
            Self { maker, observer, handles: Mutex::default(), slots, survey }
        })
    }

    pub(crate) const fn maker(&self) -> &Maker {
        &self.maker
    }

    pub(crate) fn clock(&self) -> &ThreadClock {
        &self.slots.clock
    }

    pub(crate) const fn survey(&self) -> &Arc<Survey> {
        &self.survey
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
        let origin = &exchange.origin;
        let mut waiting = Waiting::new(self, lane, origin);
        let began = poll_fn(|context| match Pin::new(&mut waiting).poll(context) {
            Poll::Ready(lease) => Poll::Ready(Ok(lease)),
            Poll::Pending => Poll::Ready(Err(clock.now())),
        });
        let began = match began.await {
            Ok(lease) => return lease,
            Err(began) => began,
        };
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
        self.observer.tell(origin, kind);
    }

    pub(crate) fn figures(&self) -> PoolFigures {
        let state = self.slots.lock();
        let mut figures = state.totals;
        figures.in_use = state.ledger.in_use();
        let busy = figures.in_use + state.ledger.closing();
        // Where curl makes room by itself, the bound on what is idle is above what can be.
        let room = self.maker.settings().limits.max_connections.saturating_sub(busy);
        figures.idle = state.ledger.idle().min(room);
        figures.open = busy + figures.idle;
        figures.waiting = state.queue.len();
        figures
    }

    /// Whether there may be a connection for a request to this origin; `shared`: also one that has
    /// requests on it.
    pub(crate) fn may_serve(&self, origin: &Origin, shared: bool) -> bool {
        self.slots.lock().ports.may_serve(origin, shared)
    }

    /// Keeps no connection from here on.
    pub(crate) fn shut_down(&self) {
        self.slots.lock().closed = true;
        self.sweep();
    }

    /// Closes idle connections, where that is due (R-P-3).
    ///
    /// isahc can close those of a handle alone, together. Where requests are on it, the next ones
    /// go over another handle, and it closes with the last of its own.
    fn sweep(&self) {
        let mut state = self.slots.lock();
        if !self.slots.sweep_is_due(&mut state) {
            return;
        }
        if state.ledger.is_at_rest() {
            let closed = self.close_idle(&mut state);
            if !state.closed {
                state.totals.expired_total += closed;
            }
        } else {
            if !state.closed {
                let requests = state.ledger.kept();
                state.totals.expired_total += state.ports.idle(requests) as u64;
            }
            let former = self.replace(&mut state);
            drop(state);
            // Where only curl has requests on it, whose callers have gone, this waits for its
            // thread, which lets go of their slots.
            drop(former);
            state = self.slots.lock();
        }
        state.wake_first();
    }

    /// The handle that kept connections until now: it takes no further request.
    fn replace(&self, state: &mut State) -> Option<Arc<HttpClient>> {
        state.ledger.retire();
        state.ports.clear();
        self.handles().kept.take()
    }

    /// Closes the handle that keeps connections, on which there is no request: its thread has
    /// nothing to do and is joined at once.
    fn close_idle(&self, state: &mut State) -> u64 {
        drop(self.handles().kept.take());
        state.ports.clear();
        state.ledger.close_idle() as u64
    }

    /// Starts the request at the head of the queue, where it may.
    fn start(
        &self,
        state: &mut State,
        lane: Lane,
        origin: &Origin,
    ) -> Option<Result<Lease, TransportError>> {
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
        let place = state.ledger.start(lane);
        Some(Ok(Lease::new(handle, Arc::clone(&self.slots), place, origin.clone())))
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

    /// Starts no further request on this handle: a connection of its is out of step or silent, and
    /// nobody can say which. It closes with the last request that is on it now.
    pub(crate) fn retire(&self, handle: &Arc<HttpClient>) {
        let mut state = self.slots.lock();
        let present = self.handles().kept.as_ref().is_some_and(|it| Arc::ptr_eq(it, handle));
        if present {
            // The caller has it too, so that this is not the last of it.
            drop(self.replace(&mut state));
        }
    }

    /// Uses this handle no more: its thread is gone.
    pub(crate) fn disown(&self, lease: &Lease) {
        let mut handles = self.handles();
        let Handles { kept, fresh } = &mut *handles;
        for slot in [kept, fresh] {
            if let Some(handle) = slot.take_if(|handle| Arc::ptr_eq(handle, lease.handle())) {
                // isahc panics when the last of it is dropped and its thread is gone.
                core::mem::forget(handle);
            }
        }
    }

    fn handles(&self) -> MutexGuard<'_, Handles> {
        self.handles.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
