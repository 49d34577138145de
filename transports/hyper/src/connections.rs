//! Who gets which connection: the driver around the pure pool.
//!
//! The pool decides; this file holds its lock, carries out its actions, and tells it what became
//! of connections. Tasks are spawned and wakers called outside the lock.

mod again;
mod end;
mod keeper;
mod lease;
mod live;
mod orphan;
mod parked;
mod queue;
mod task;
mod watch;

use core::task::Waker;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use core::num::NonZeroUsize;

use lru::LruCache;
use redial_client::{
    Exchange, Origin, PoolEventKind, PoolFigures, Settings, SettingsError, TransportError, race,
};
use redial_engine::{FailureKind, Timestamp};

use self::again::Again;
pub(crate) use self::end::End;
pub(crate) use self::lease::Lease;
pub(crate) use self::live::Shared;
use self::live::{Live, LiveTable};
use self::queue::Queue;
use self::task::Task;
use self::watch::Watch;
use crate::connect::{Access, Connector};
use crate::pool::{Action, ConnectionId, Need, Pool, Taken, WaiterId};
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

/// How many origins are remembered that were found to speak HTTP/1 alone.
const MOST_HTTP1_ORIGINS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

struct State<R: Runtime> {
    pool: Pool<Origin>,
    live: LiveTable<R>,
    /// In the order of ids, which is that of the requests.
    waiting: VecDeque<Waiting<R>>,
    /// Behind these, nobody waits to share a connection that is being opened.
    http1_origins: LruCache<Origin, ()>,
    /// Whether a task waits for the next idle connection to expire.
    has_janitor: bool,
    /// When it was found out that the runtime runs no tasks any more.
    orphaned: Option<Timestamp>,
}

/// A request that waits for a connection.
struct Waiting<R: Runtime> {
    id: WaiterId,
    progress: Progress<R>,
    connect_timeout: Duration,
    waker: Option<Waker>,
}

enum Progress<R: Runtime> {
    Waiting,
    Given(Grant<R>),
    Failed(TransportError),
}

/// A connection that the pool has given to a request.
struct Grant<R: Runtime> {
    connection: ConnectionId,
    access: Access<R>,
    shared: Arc<Shared<R>>,
    reused: bool,
    /// Whether other requests are under way.
    busy: bool,
    /// Which of the connection's exchanges it is for.
    number: u64,
}

/// What is to be done outside the lock.
struct Errands<R: Runtime> {
    open: Vec<Opening<R>>,
    wake: Vec<Waker>,
    hire_janitor: bool,
}

/// A connection to be opened.
struct Opening<R: Runtime> {
    connection: ConnectionId,
    origin: Origin,
    timeout: Duration,
    shared: Arc<Shared<R>>,
}

impl<R: Runtime> Connections<R> {
    pub(crate) fn new(runtime: R, mut settings: Settings) -> Result<Arc<Self>, SettingsError> {
        let state = State {
            pool: Pool::new(settings.limits),
            live: LiveTable::new(),
            waiting: VecDeque::new(),
            http1_origins: LruCache::new(MOST_HTTP1_ORIGINS),
            has_janitor: false,
            orphaned: None,
        };
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
        match taken? {
            Progress::Given(grant) => Some(Ok(Lease::new(self, grant, now))),
            Progress::Failed(error) => Some(Err(error)),
            Progress::Waiting => None,
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

    fn run(self: &Arc<Self>, errands: Option<Errands<R>>) {
        let Some(errands) = errands else { return };
        for opening in errands.open {
            let Opening { connection, origin, timeout, shared } = opening;
            let task = Task::new(self, connection, origin, shared);
            self.runtime.spawn(Box::pin(task.run(timeout)));
        }
        errands.wake.into_iter().for_each(Waker::wake);
        if errands.hire_janitor {
            let shut = Arc::clone(&self.shut);
            let task = janitor(self.runtime.clone(), Arc::downgrade(self), shut);
            self.runtime.spawn(Box::pin(task));
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
                state.http1_origins.pop(origin);
                state.pool.opened_http2(now, connection, max_streams);
                if max_streams == 0 {
                    // Whoever it was opened for is back in the queue, and under its timeout.
                    state.wake_all();
                }
            } else {
                if self.connector.may_be_shared(origin) {
                    state.http1_origins.put(origin.clone(), ());
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

    /// A connection could not be opened; its socket is gone.
    fn open_failed(self: &Arc<Self>, connection: ConnectionId, error: TransportError) {
        let now = self.runtime.now();
        let errands = {
            let mut state = self.lock();
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

impl<R: Runtime> State<R> {
    /// What this exchange needs of a connection.
    fn need(&self, connector: &Connector, exchange: &Exchange) -> Need {
        let shareable = connector.may_be_shared(&exchange.origin);
        let may_share = shareable && !self.http1_origins.contains(&exchange.origin);
        Need { may_share, fresh: exchange.fresh_connection }
    }

    /// Carries out what follows from a change, if anything does.
    fn carry_out(&mut self, error: Option<TransportError>) -> Option<Errands<R>> {
        let idle =
            !self.pool.has_actions() && (self.has_janitor || self.pool.next_deadline().is_none());
        (!idle).then(|| self.act(error))
    }

    /// Carries out the pool's actions as far as that needs the lock; `error` is what the opening
    /// ended with that the pool was just told about.
    fn act(&mut self, mut error: Option<TransportError>) -> Errands<R> {
        let mut errands = Errands { open: Vec::new(), wake: Vec::new(), hire_janitor: false };
        let again = error.as_ref().map(Again::of);
        while let Some(action) = self.pool.poll_action() {
            match action {
                // Not by a task that is dropped at once, which would open the next one, which would
                // be dropped at once: as deep as there are requests that wait.
                Action::Open { connection, .. } if let Some(now) = self.orphaned => {
                    self.pool.open_failed(now, connection);
                }
                Action::Open { connection, waiter, key } => {
                    let waiting = self.waiting(waiter);
                    let timeout = waiting.map_or(Duration::ZERO, |waiting| waiting.connect_timeout);
                    let shared = Arc::new(Shared::default());
                    let live = Live { access: None, shared: Arc::clone(&shared) };
                    self.live.insert(connection, live);
                    errands.open.push(Opening { connection, origin: key, timeout, shared });
                }
                Action::Use { connection, waiter, reused } => {
                    let progress = self.grant(connection, reused);
                    self.end_waiting(waiter, progress, &mut errands);
                }
                Action::Fail { waiter, .. } => {
                    let error = error.take().or_else(|| again.as_ref().map(Again::error));
                    let error = error.unwrap_or_else(|| match self.orphaned {
                        Some(_) => orphan::error(),
                        None => TransportError::unsent(FailureKind::Connect),
                    });
                    self.end_waiting(waiter, Progress::Failed(error), &mut errands);
                }
                Action::Close { connection, why } => {
                    if let Some(live) = self.live.get_mut(connection) {
                        // The first reason is the one that counts. It is said before the sender
                        // is dropped, by which the connection may end at once.
                        let _ = live.shared.closed.set(why);
                        live.access = None;
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

    /// Lets every request that waits look again for how long it may.
    fn wake_all(&mut self) {
        self.waiting.iter_mut().filter_map(|waiting| waiting.waker.take()).for_each(Waker::wake);
    }

    fn waiting(&mut self, id: WaiterId) -> Option<&mut Waiting<R>> {
        let at = self.waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()?;
        self.waiting.get_mut(at)
    }

    /// Takes a request out of the queue, with what it has come to.
    fn leave(&mut self, id: WaiterId) -> Option<Progress<R>> {
        let at = self.waiting.binary_search_by_key(&id, |waiting| waiting.id).ok()?;
        self.waiting.remove(at).map(|waiting| waiting.progress)
    }

    fn grant(&mut self, connection: ConnectionId, reused: bool) -> Progress<R> {
        let busy = self.pool.figures().in_use > 1;
        let live = self.live.get(connection);
        let given = live.and_then(|live| Some((live.access.clone()?, Arc::clone(&live.shared))));
        match given {
            Some((access, shared)) => {
                let number = shared.begin();
                Progress::Given(Grant { connection, access, shared, reused, busy, number })
            }
            // It died between the pool's decision and this: as if it had died just after.
            None => Progress::Failed(TransportError::unsent(FailureKind::Closed)),
        }
    }

    fn end_waiting(&mut self, waiter: WaiterId, progress: Progress<R>, errands: &mut Errands<R>) {
        if let Some(waiting) = self.waiting(waiter) {
            waiting.progress = progress;
            errands.wake.extend(waiting.waker.take());
        }
    }
}

/// Closes idle connections as they expire, without another request to notice (R-P-3).
async fn janitor<R: Runtime>(runtime: R, connections: Weak<Connections<R>>, shut: Arc<End>) {
    loop {
        let next = {
            let Some(connections) = connections.upgrade() else { return };
            let mut state = connections.lock();
            let next = state.pool.next_deadline();
            state.has_janitor = next.is_some();
            next
        };
        let Some(next) = next else { return };
        if race(shut.wait(), runtime.sleep_until(next)).await.is_some() {
            return;
        }
        let Some(connections) = connections.upgrade() else { return };
        let now = runtime.now();
        connections.with(|state| state.pool.tick(now));
    }
}

impl<R: Runtime> Drop for Connections<R> {
    fn drop(&mut self) {
        self.shut.set().into_iter().for_each(Waker::wake);
        let state = self.state.get_mut().unwrap_or_else(PoisonError::into_inner);
        state.live.end_all();
    }
}
