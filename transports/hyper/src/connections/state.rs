//! The pool, and what its decisions are about: all of it behind one lock.

use core::num::NonZeroUsize;
use core::task::Waker;
use core::time::Duration;
use std::sync::Arc;

use lru::LruCache;
use redial_client::{Exchange, Origin, PoolLimits, TransportError};
use redial_engine::{FailureKind, Timestamp};

use crate::connect::{Access, Connector, Offer};
use crate::connections::again::Again;
use crate::connections::live::{Live, LiveTable, Shared};
use crate::connections::orphan;
use crate::connections::waiters::Waiters;
use crate::pool::{Action, ConnectionId, Need, Pool};
use crate::runtime::Runtime;

/// How many origins are remembered that were found to speak HTTP/1 alone.
const MOST_HTTP1_ORIGINS: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// What the lock of all connections guards: the pool, and what its decisions are about.
pub(super) struct State<R: Runtime> {
    pub(super) pool: Pool<Origin>,
    pub(super) live: LiveTable<R>,
    pub(super) waiters: Waiters<R>,
    /// Behind these, nobody waits to share a connection that is being opened.
    pub(super) http1_origins: LruCache<Origin, Http1>,
    /// Whether a task waits for the next idle connection to expire.
    pub(super) has_janitor: bool,
    /// When it was found out that the runtime runs no tasks any more.
    pub(super) orphaned: Option<Timestamp>,
}

/// How an origin came to be known for HTTP/1.1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Http1 {
    /// It was agreed on, where HTTP/2 was offered as well. Next time it may be that.
    Agreed,
    /// Over HTTP/2 the origin has asked for it (RFC 9113 7): nothing else is offered from then on.
    Required,
}

/// A connection that the pool has given to a request.
pub(super) struct Grant<R: Runtime> {
    pub(super) connection: ConnectionId,
    pub(super) access: Access<R>,
    pub(super) shared: Arc<Shared<R>>,
    pub(super) reused: bool,
    /// Whether other requests are under way.
    pub(super) busy: bool,
    /// Which of the connection's exchanges it is for.
    pub(super) number: u64,
}

/// What a request comes to that waits for a connection.
pub(super) type Granted<R> = Result<Grant<R>, TransportError>;

/// What is to be done outside the lock.
pub(super) struct Errands<R: Runtime> {
    pub(super) open: Vec<Opening<R>>,
    pub(super) wake: Vec<Waker>,
    pub(super) hire_janitor: bool,
}

/// A connection to be opened.
pub(super) struct Opening<R: Runtime> {
    pub(super) connection: ConnectionId,
    pub(super) origin: Origin,
    pub(super) offer: Offer,
    pub(super) timeout: Duration,
    pub(super) shared: Arc<Shared<R>>,
}

impl<R: Runtime> State<R> {
    pub(super) fn new(limits: PoolLimits) -> Self {
        Self {
            pool: Pool::new(limits),
            live: LiveTable::new(),
            waiters: Waiters::new(),
            http1_origins: LruCache::new(MOST_HTTP1_ORIGINS),
            has_janitor: false,
            orphaned: None,
        }
    }

    /// What this exchange needs of a connection.
    pub(super) fn need(&self, connector: &Connector, exchange: &Exchange) -> Need {
        let shareable = connector.may_be_shared(&exchange.origin);
        let may_share = shareable && !self.http1_origins.contains(&exchange.origin);
        Need { may_share, fresh: exchange.fresh_connection }
    }

    /// Carries out what follows from a change, if anything does.
    pub(super) fn carry_out(&mut self, error: Option<TransportError>) -> Option<Errands<R>> {
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
                    let timeout = self.waiters.connect_timeout(waiter);
                    let shared = Arc::new(Shared::default());
                    let live = Live { access: None, shared: Arc::clone(&shared) };
                    self.live.insert(connection, live);
                    let offer = match self.http1_origins.peek(&key) {
                        Some(Http1::Required) => Offer::Http1,
                        Some(Http1::Agreed) | None => Offer::AsSet,
                    };
                    errands.open.push(Opening { connection, origin: key, offer, timeout, shared });
                }
                Action::Use { connection, waiter, reused } => {
                    let granted = self.grant(connection, reused);
                    errands.wake.extend(self.waiters.end(waiter, granted));
                }
                Action::Fail { waiter, .. } => {
                    let error = error.take().or_else(|| again.as_ref().map(Again::error));
                    let error = error.unwrap_or_else(|| match self.orphaned {
                        Some(_) => orphan::error(),
                        None => TransportError::unsent(FailureKind::Connect),
                    });
                    errands.wake.extend(self.waiters.end(waiter, Err(error)));
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

    /// A connection for a request, which the pool has given it.
    pub(super) fn grant(&mut self, connection: ConnectionId, reused: bool) -> Granted<R> {
        let busy = self.pool.figures().in_use > 1;
        let live = self.live.get(connection);
        let given = live.and_then(|live| Some((live.access.clone()?, Arc::clone(&live.shared))));
        match given {
            Some((access, shared)) => {
                let number = shared.begin();
                Ok(Grant { connection, access, shared, reused, busy, number })
            }
            // It died between the pool's decision and this: as if it had died just after.
            None => Err(TransportError::unsent(FailureKind::Closed)),
        }
    }
}
