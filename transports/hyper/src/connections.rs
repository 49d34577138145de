//! Who gets which connection: the driver around the pure pool.
//!
//! The pool decides; this file holds its lock, carries out its actions, and tells it what became
//! of connections. Tasks are spawned and wakers called outside the lock.

mod end;
mod lease;

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use redial_client::{BoxFuture, Exchange, Origin, PoolFigures, TransportError, race};
use redial_engine::{FailureKind, Timestamp};

use self::end::End;
pub(crate) use self::lease::Lease;
use crate::connect::{self, Connected, Driver, Sender};
use crate::io::Meter;
use crate::pool::{Action, ConnectionId, Limits, Need, Pool, WaiterId, Withdrawal};
use crate::runtime::Runtime;

/// The connections of one transport.
pub(crate) struct Connections<R: Runtime> {
    runtime: R,
    state: Mutex<State>,
}

struct State {
    pool: Pool<Origin>,
    live: BTreeMap<ConnectionId, Live>,
    waiting: BTreeMap<WaiterId, Waiting>,
    /// Whether a task waits for the next idle connection to expire.
    has_janitor: bool,
}

/// A connection that stands.
struct Live {
    /// Here while no request has it.
    sender: Option<Sender>,
    shared: Arc<Shared>,
}

/// What a connection's task and its lease both look at.
pub(crate) struct Shared {
    pub(crate) meter: Arc<Meter>,
    end: End,
    /// Whether a response has ended, and the sender is to be ready soon.
    finishing: AtomicBool,
}

/// A request that waits for a connection.
struct Waiting {
    progress: Progress,
    connect_timeout: Duration,
    waker: Option<Waker>,
}

enum Progress {
    Queued,
    Opening,
    Given(Grant),
    Failed(TransportError),
}

/// A connection that the pool has given to a request.
struct Grant {
    connection: ConnectionId,
    sender: Sender,
    shared: Arc<Shared>,
    reused: bool,
}

/// What is to be done outside the lock.
#[derive(Default)]
struct Errands {
    open: Vec<(ConnectionId, Origin, Duration)>,
    wake: Vec<Waker>,
    hire_janitor: bool,
}

impl<R: Runtime> Connections<R> {
    pub(crate) fn new(runtime: R, limits: Limits) -> Arc<Self> {
        let state = State {
            pool: Pool::new(limits),
            live: BTreeMap::new(),
            waiting: BTreeMap::new(),
            has_janitor: false,
        };
        Arc::new(Self { runtime, state: Mutex::new(state) })
    }

    pub(crate) fn runtime(&self) -> &R {
        &self.runtime
    }

    /// A connection for this exchange, reused or new.
    pub(crate) async fn acquire(
        self: &Arc<Self>,
        origin: &Origin,
        exchange: &Exchange,
    ) -> Result<Lease<R>, TransportError> {
        let now = self.runtime.now();
        let waiter = self.with(|state| {
            let need = Need { may_share: false, fresh: exchange.fresh_connection };
            let waiter = state.pool.request(now, origin, need);
            let connect_timeout = exchange.timeouts.connect;
            let waiting = Waiting { progress: Progress::Queued, connect_timeout, waker: None };
            state.waiting.insert(waiter, waiting);
            waiter
        });
        let mut queue = Queue { connections: Arc::clone(self), waiter, ended: false };
        let pool_until = now.checked_add(exchange.timeouts.pool).unwrap_or(Timestamp::MAX);
        let cutoff = exchange.cutoff;
        let until = cutoff.map_or(pool_until, |cutoff| cutoff.at.min(pool_until));
        if let Some(result) = race(queue.ended(), self.runtime.sleep_until(until)).await {
            return result;
        }
        if queue.is_queued() && self.runtime.now() >= pool_until {
            return queue.withdraw(Withdrawal::PoolTimeout, FailureKind::PoolTimeout);
        }
        // Its own connection is being opened, within the connect timeout.
        match cutoff {
            None => queue.ended().await,
            Some(cutoff) => match race(queue.ended(), self.runtime.sleep_until(cutoff.at)).await {
                Some(result) => result,
                None => queue.withdraw(Withdrawal::Dropped, cutoff.kind()),
            },
        }
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
    }

    /// Changes the state, and carries out what follows from it.
    fn with<T>(self: &Arc<Self>, change: impl FnOnce(&mut State) -> T) -> T {
        let (value, errands) = {
            let mut state = self.lock();
            let value = change(&mut state);
            (value, state.carry_out(None))
        };
        self.run(errands);
        value
    }

    fn run(self: &Arc<Self>, errands: Errands) {
        for (connection, origin, timeout) in errands.open {
            let connections = Arc::clone(self);
            self.runtime.spawn(Box::pin(connections.open(connection, origin, timeout)));
        }
        errands.wake.into_iter().for_each(Waker::wake);
        if errands.hire_janitor {
            let task = janitor(self.runtime.clone(), Arc::downgrade(self));
            self.runtime.spawn(Box::pin(task));
        }
    }

    /// Opens a connection, and serves it from then on.
    async fn open(self: Arc<Self>, connection: ConnectionId, origin: Origin, timeout: Duration) {
        let began = self.runtime.now();
        let until = began.checked_add(timeout).unwrap_or(Timestamp::MAX);
        let limit = self.runtime.sleep_until(until);
        let connected = match race(connect::connect(&self.runtime, &origin), limit).await {
            Some(result) => result,
            None => Err(TransportError::unsent(FailureKind::ConnectTimeout)),
        };
        let now = self.runtime.now();
        match connected {
            Ok(Connected { sender, driver, meter }) => {
                let end = End::default();
                let shared = Arc::new(Shared { meter, end, finishing: AtomicBool::new(false) });
                let task = serve(Arc::downgrade(&self), connection, driver, Arc::clone(&shared));
                self.runtime.spawn(task);
                self.with(|state| {
                    state.live.insert(connection, Live { sender: Some(sender), shared });
                    state.pool.opened_http1(now, connection);
                });
            }
            Err(error) => {
                let errands = {
                    let mut state = self.lock();
                    state.pool.open_failed(now, connection);
                    state.carry_out(Some(error))
                };
                self.run(errands);
            }
        }
    }

    /// The socket of a connection is gone.
    fn gone(self: &Arc<Self>, connection: ConnectionId) {
        let now = self.runtime.now();
        self.with(|state| {
            state.live.remove(&connection);
            state.pool.closed(now, connection);
        });
    }

    /// A response has ended: its connection is free as soon as its sender is ready.
    fn settle(self: &Arc<Self>, connection: ConnectionId) {
        let now = self.runtime.now();
        self.with(|state| {
            let Some(Live { sender: Some(sender), shared }) = state.live.get(&connection) else {
                return;
            };
            if sender.is_ready() && shared.finishing.swap(false, Ordering::AcqRel) {
                state.pool.released(now, connection, true);
            }
        });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No transition leaves the state half done, also where its caller panicked.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Carries out the pool's actions as far as that needs the lock; `error` is what the opening
    /// ended with that the pool was just told about.
    fn carry_out(&mut self, mut error: Option<TransportError>) -> Errands {
        let mut errands = Errands::default();
        while let Some(action) = self.pool.poll_action() {
            match action {
                Action::Open { connection, waiter, key } => {
                    let waiting = self.waiting.get_mut(&waiter);
                    let timeout = waiting.map_or(Duration::ZERO, |waiting| {
                        waiting.progress = Progress::Opening;
                        waiting.connect_timeout
                    });
                    errands.open.push((connection, key, timeout));
                }
                Action::Use { connection, waiter, reused } => {
                    let progress = self.grant(connection, reused);
                    self.end_waiting(waiter, progress, &mut errands);
                }
                Action::Fail { waiter, .. } => {
                    let error = error.take();
                    let error =
                        error.unwrap_or_else(|| TransportError::unsent(FailureKind::Connect));
                    self.end_waiting(waiter, Progress::Failed(error), &mut errands);
                }
                Action::Close { connection, .. } => {
                    if let Some(live) = self.live.get_mut(&connection) {
                        live.sender = None;
                        errands.wake.extend(live.shared.end.set());
                    }
                }
            }
        }
        if !self.has_janitor && self.pool.next_deadline().is_some() {
            self.has_janitor = true;
            errands.hire_janitor = true;
        }
        errands
    }

    fn grant(&mut self, connection: ConnectionId, reused: bool) -> Progress {
        let live = self.live.get_mut(&connection);
        match live.and_then(|live| Some((live.sender.take()?, Arc::clone(&live.shared)))) {
            Some((sender, shared)) => Progress::Given(Grant { connection, sender, shared, reused }),
            // It died between the pool's decision and this: as if it had died just after.
            None => Progress::Failed(TransportError::unsent(FailureKind::Closed)),
        }
    }

    fn end_waiting(&mut self, waiter: WaiterId, progress: Progress, errands: &mut Errands) {
        if let Some(waiting) = self.waiting.get_mut(&waiter) {
            waiting.progress = progress;
            errands.wake.extend(waiting.waker.take());
        }
    }
}

/// A request's place in the queue. Dropping it leaves the queue.
struct Queue<R: Runtime> {
    connections: Arc<Connections<R>>,
    waiter: WaiterId,
    ended: bool,
}

impl<R: Runtime> Queue<R> {
    /// Completes when the pool has ended the wait.
    async fn ended(&mut self) -> Result<Lease<R>, TransportError> {
        poll_fn(|context| self.poll_ended(context)).await
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Result<Lease<R>, TransportError>> {
        let mut state = self.connections.lock();
        let Some(waiting) = state.waiting.get_mut(&self.waiter) else {
            return Poll::Ready(Err(TransportError::unsent(FailureKind::ClientClosed)));
        };
        if matches!(waiting.progress, Progress::Queued | Progress::Opening) {
            waiting.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let progress = state.waiting.remove(&self.waiter).map(|waiting| waiting.progress);
        drop(state);
        self.ended = true;
        Poll::Ready(match progress {
            Some(Progress::Given(grant)) => Ok(Lease::new(&self.connections, grant)),
            Some(Progress::Failed(error)) => Err(error),
            Some(Progress::Queued | Progress::Opening) | None => {
                Err(TransportError::unsent(FailureKind::ClientClosed))
            }
        })
    }

    fn is_queued(&self) -> bool {
        let state = self.connections.lock();
        let waiting = state.waiting.get(&self.waiter);
        waiting.is_some_and(|waiting| matches!(waiting.progress, Progress::Queued))
    }

    /// Leaves the queue, unless it has been left by a grant meanwhile.
    fn withdraw(mut self, why: Withdrawal, kind: FailureKind) -> Result<Lease<R>, TransportError> {
        match self.leave(why) {
            Some(lease) => Ok(lease),
            None => Err(TransportError::unsent(kind)),
        }
    }

    fn leave(&mut self, why: Withdrawal) -> Option<Lease<R>> {
        self.ended = true;
        let now = self.connections.runtime.now();
        let progress = self.connections.with(|state| {
            state.pool.withdraw(now, self.waiter, why);
            state.waiting.remove(&self.waiter).map(|waiting| waiting.progress)
        });
        match progress {
            Some(Progress::Given(grant)) => Some(Lease::new(&self.connections, grant)),
            Some(Progress::Queued | Progress::Opening | Progress::Failed(_)) | None => None,
        }
    }
}

impl<R: Runtime> Drop for Queue<R> {
    fn drop(&mut self) {
        if !self.ended
            && let Some(lease) = self.leave(Withdrawal::Dropped)
        {
            lease.give_back_unused();
        }
    }
}

/// Drives a connection until it ends or is told to, and says when its socket is gone.
fn serve<R: Runtime>(
    connections: Weak<Connections<R>>,
    connection: ConnectionId,
    driver: Driver<R>,
    shared: Arc<Shared>,
) -> BoxFuture<'static, ()> {
    Box::pin(async move {
        // Declared before the driver is pinned: dropped after it, also when the runtime drops
        // this task half way.
        let gone = Gone { connections: Weak::clone(&connections), connection };
        {
            let mut driver = pin!(driver);
            poll_fn(|context| {
                if shared.end.poll(context).is_ready() {
                    return Poll::Ready(());
                }
                if Pin::new(&mut driver).poll(context).is_ready() {
                    return Poll::Ready(());
                }
                if shared.finishing.load(Ordering::Acquire)
                    && let Some(connections) = connections.upgrade()
                {
                    connections.settle(connection);
                }
                Poll::Pending
            })
            .await;
        }
        drop(gone);
    })
}

/// Says on drop that a connection's socket is gone.
struct Gone<R: Runtime> {
    connections: Weak<Connections<R>>,
    connection: ConnectionId,
}

impl<R: Runtime> Drop for Gone<R> {
    fn drop(&mut self) {
        if let Some(connections) = self.connections.upgrade() {
            connections.gone(self.connection);
        }
    }
}

/// Closes idle connections as they expire, without another request to notice (R-P-3).
async fn janitor<R: Runtime>(runtime: R, connections: Weak<Connections<R>>) {
    loop {
        let next = {
            let Some(connections) = connections.upgrade() else { return };
            let mut state = connections.lock();
            let next = state.pool.next_deadline();
            state.has_janitor = next.is_some();
            next
        };
        let Some(next) = next else { return };
        runtime.sleep_until(next).await;
        let Some(connections) = connections.upgrade() else { return };
        let now = runtime.now();
        connections.with(|state| state.pool.tick(now));
    }
}

impl<R: Runtime> Drop for Connections<R> {
    fn drop(&mut self) {
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        for live in state.live.values() {
            live.shared.end.set().into_iter().for_each(Waker::wake);
        }
    }
}
