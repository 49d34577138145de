//! Who gets which connection: the driver around the pure pool.
//!
//! The pool decides; this file holds its lock, carries out its actions, and tells it what became
//! of connections. Tasks are spawned and wakers called outside the lock.

mod again;
mod end;
mod janitor;
mod keeper;
mod lease;
mod live;
mod orphan;
mod parked;
mod queue;
mod state;
mod task;
mod waiters;
mod watch;

use core::task::Waker;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_client::{
    Exchange, Origin, PoolEventKind, PoolFigures, Settings, SettingsError, TransportError,
};
use redial_engine::{FailureKind, Timestamp};

pub(crate) use self::end::End;
pub(crate) use self::lease::Lease;
pub(crate) use self::live::Shared;
use self::queue::Queue;
use self::state::{Errands, Http1, Opening, State};
use self::task::Task;
use self::watch::Watch;
use crate::connect::{Access, Connector};
use crate::pool::{ConnectionId, Taken};
use crate::runtime::Runtime;

/// The connections of one transport.
pub(crate) struct Connections<R: Runtime> {
    runtime: R,
    connector: Arc<Connector>,
    watch: Watch,
    /// Given when nothing is kept any more, so that nothing expires.
    shut: Arc<End>,
    state: Mutex<State<R>>,
}

impl<R: Runtime> Connections<R> {
    pub(crate) fn new(runtime: R, mut settings: Settings) -> Result<Arc<Self>, SettingsError> {
        let state = State::new(settings.limits);
        let watch = Watch::new(settings.observer.take());
        let connector = Arc::new(Connector::new(settings)?);
        let shut = Arc::default();
        Ok(Arc::new(Self { runtime, connector, watch, shut, state: Mutex::new(state) }))
    }

    pub(crate) fn connector(&self) -> &Connector {
        &self.connector
    }

    pub(crate) fn runtime(&self) -> &R {
        &self.runtime
    }

    /// A connection for this exchange, new, or reused and still standing.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        exchange: &Exchange,
    ) -> Result<Lease<R>, TransportError> {
        let mut now = exchange.begun;
        loop {
            let now = now.take().unwrap_or_else(|| self.runtime.now());
            let (mut result, idle) = match self.take(exchange, now) {
                Some(taken) => (taken, true),
                // Few requests wait, and those that do need not make room for it in all others.
                None => (Box::pin(self.wait(exchange)).await, false),
            };
            // A new one is not asked, so that a server that closes each at once is not called
            // again and again (R-X-7). All others end with this, and those that do are gone.
            if let Ok(lease) = &mut result
                && (idle || lease.is_reused())
                && !lease.is_fit().await
            {
                continue;
            }
            // To be asked may have cost a turn, which takes as long as the other tasks do.
            if let Ok(_) = &result
                && let Some(cutoff) = exchange.cutoff
                && self.runtime.now() >= cutoff.at
            {
                result = Err(TransportError::unsent(cutoff.kind()));
            }
            self.watch.served(&exchange.origin, &result);
            return result;
        }
    }

    async fn wait(self: &Arc<Self>, exchange: &Exchange) -> Result<Lease<R>, TransportError> {
        let began = self.runtime.now();
        let queue = Queue::join(self, exchange);
        let queued = queue.is_queued();
        let result = queue.wait().await;
        if queued && result.is_ok() {
            let wait = self.runtime.now().saturating_since(began);
            self.watch.tell(&exchange.origin, PoolEventKind::Waited { wait });
        }
        result
    }

    /// A connection that is ready for this exchange, if there is one: without a place in the queue.
    fn take(
        self: &Arc<Self>,
        exchange: &Exchange,
        now: Timestamp,
    ) -> Option<Result<Lease<R>, TransportError>> {
        let mut state = self.lock();
        let need = state.need(&self.connector, exchange);
        let taken = state.pool.take(now, &exchange.origin, need);
        let taken = taken.map(|Taken { connection, reused, .. }| state.grant(connection, reused));
        // What has expired was found out on the way.
        let errands = state.carry_out(None);
        drop(state);
        self.run(errands);
        taken.map(|granted| granted.map(|grant| Lease::new(self, grant, now)))
    }

    pub(crate) fn figures(&self) -> PoolFigures {
        let figures = self.lock().pool.figures();
        let mut shown = PoolFigures::default();
        shown.open = figures.open;
        shown.idle = figures.idle;
        shown.connecting = figures.connecting;
        shown.in_use = figures.in_use;
        shown.waiting = figures.waiting;
        shown.opened_total = figures.opened_total;
        shown.reused_total = figures.reused_total;
        shown.evicted_total = figures.evicted_total;
        shown.expired_total = figures.expired_total;
        shown.pool_timeouts = figures.pool_timeouts;
        shown
    }

    /// Closes idle connections now, and every other when its exchange ends.
    pub(crate) fn shut_down(self: &Arc<Self>) {
        let now = self.runtime.now();
        self.with(|state| state.pool.shutdown(now));
        self.shut.set().into_iter().for_each(Waker::wake);
    }

    /// Changes the state, and carries out what follows from it.
    fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut State<R>) -> T) -> T {
        let (value, errands) = {
            let mut state = self.lock();
            let value = change(&mut state);
            (value, state.carry_out(None))
        };
        self.run(errands);
        value
    }

    /// Carries out what is to be done outside the lock: mostly nothing.
    #[inline]
    fn run(self: &Arc<Self>, errands: Option<Errands<R>>) {
        if let Some(errands) = errands {
            self.run_each(errands);
        }
    }

    fn run_each(self: &Arc<Self>, errands: Errands<R>) {
        for opening in errands.open {
            let Opening { connection, origin, offer, timeout, shared } = opening;
            let task = Task::new(self, connection, origin, offer, shared);
            self.runtime.spawn(Box::pin(task.run(timeout)));
        }
        errands.wake.into_iter().for_each(Waker::wake);
        if errands.hire_janitor {
            let shut = Arc::clone(&self.shut);
            let janitor = janitor::close_as_they_expire(self, shut);
            self.runtime.spawn(Box::pin(janitor));
        }
    }

    /// A connection stands, and is ready for its first request.
    fn opened(
        self: &Arc<Self>,
        connection: ConnectionId,
        origin: &Origin,
        access: Access<R>,
        max_streams: u32,
    ) {
        let now = self.runtime.now();
        let http2 = matches!(access, Access::Http2(_));
        self.with(|state| {
            if let Some(live) = state.live.get_mut(connection) {
                live.access = Some(access);
            }
            if http2 {
                let max_streams =
                    if redial_engine::planted!(StreamsNotShared) { 1 } else { max_streams };
                // An origin that has asked for HTTP/1.1 since this was begun is to get it.
                if state.http1_origins.peek(origin) == Some(&Http1::Agreed) {
                    state.http1_origins.pop(origin);
                }
                state.pool.opened_http2(now, connection, max_streams);
                if max_streams == 0 {
                    // Whoever it was opened for is back in the queue, and under its timeout.
                    state.waiters.wake_all();
                }
            } else {
                if self.connector.may_be_shared(origin) {
                    state.http1_origins.get_or_insert(origin.clone(), || Http1::Agreed);
                }
                state.pool.opened_http1(now, connection);
            }
        });
    }

    /// The peer of an HTTP/2 connection permits another number of streams.
    fn permits(self: &Arc<Self>, connection: ConnectionId, max_streams: u32) {
        let now = self.runtime.now();
        self.with(|state| state.pool.max_streams(now, connection, max_streams));
    }

    /// An HTTP/2 connection takes no new requests; those under way may end.
    fn draining(self: &Arc<Self>, connection: ConnectionId) {
        let now = self.runtime.now();
        self.with(|state| {
            if let Some(live) = state.live.get_mut(connection) {
                live.access = None;
            }
            state.pool.draining(now, connection);
        });
    }

    /// Over this connection the origin has asked for HTTP/1.1 (RFC 9113 7). Whatever it is sent from
    /// here on is sent by that, where it can be chosen.
    #[cold]
    fn require_http1(self: &Arc<Self>, connection: ConnectionId, origin: &Origin) {
        if self.connector.negotiates(origin) {
            self.lock().http1_origins.put(origin.clone(), Http1::Required);
            self.draining(connection);
        }
    }

    /// A connection could not be opened; its socket is gone.
    fn open_failed(
        self: &Arc<Self>,
        connection: ConnectionId,
        origin: &Origin,
        error: TransportError,
    ) {
        let now = self.runtime.now();
        let errands = {
            let mut state = self.lock();
            if error.failure().kind == FailureKind::Tls {
                // It may be that HTTP/1.1 was asked for by one that does not speak it.
                state.http1_origins.pop(origin);
            }
            state.live.remove(connection);
            state.pool.open_failed(now, connection);
            state.carry_out(Some(error))
        };
        self.run(errands);
    }

    /// The runtime has dropped the task of a connection that was being opened: it is shut down, and
    /// nothing is opened from here on.
    fn orphaned(self: &Arc<Self>, connection: ConnectionId) {
        let now = self.runtime.now();
        self.with(|state| {
            state.orphaned = Some(now);
            state.live.remove(connection);
            state.pool.open_failed(now, connection);
        });
    }

    /// The socket of a connection is gone.
    fn gone(self: &Arc<Self>, connection: ConnectionId) {
        if redial_engine::planted!(SlotLeaked) {
            return;
        }
        let now = self.runtime.now();
        self.with(|state| {
            state.live.remove(connection);
            state.pool.closed(now, connection);
        });
    }

    /// An HTTP/1.1 connection is ready for its next request.
    fn free(self: &Arc<Self>, connection: ConnectionId) {
        let now = self.runtime.now();
        self.with(|state| state.pool.released(now, connection, true));
    }

    fn lock(&self) -> MutexGuard<'_, State<R>> {
        // No transition leaves the state half done, also where its caller panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<R: Runtime> Drop for Connections<R> {
    fn drop(&mut self) {
        self.shut.set().into_iter().for_each(Waker::wake);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.live.end_all();
    }
}
