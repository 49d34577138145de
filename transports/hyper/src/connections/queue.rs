//! Waiting for a connection.

use core::error::Error;
use core::fmt;
use core::future::poll_fn;
use core::task::{Context, Poll, ready};
use core::time::Duration;
use std::sync::Arc;

use redial_client::{BoxFuture, Exchange, TransportError};
use redial_engine::{Cutoff, Delivery, Failure, FailureKind, Timestamp};

use crate::connections::state::Grant;
use crate::connections::{Connections, Lease};
use crate::pool::{WaiterId, Withdrawal};
use crate::runtime::Runtime;

/// For how much longer than the connect timeout a connection is waited for: its own task is to say
/// what became of it, and is silent only where nobody runs it.
const GRACE: Duration = Duration::from_secs(1);

/// A request's place in the queue. Dropping it leaves the queue.
pub(super) struct Queue<R: Runtime> {
    connections: Arc<Connections<R>>,
    waiter: WaiterId,
    /// Until when the request may wait for a slot.
    pool_until: Timestamp,
    connect_timeout: Duration,
    /// Until when it may wait for the connection that is being opened for it.
    opened_until: Option<Timestamp>,
    cutoff: Option<Cutoff>,
    ended: bool,
}

/// What limits a wait, as it is.
struct Limit {
    until: Timestamp,
    kind: FailureKind,
    why: Withdrawal,
}

impl<R: Runtime> Queue<R> {
    /// Asks for a connection for this exchange.
    pub(super) fn join(connections: &Arc<Connections<R>>, exchange: &Exchange) -> Self {
        let now = connections.runtime.now();
        let Exchange { ref origin, timeouts, cutoff, .. } = *exchange;
        let waiter = connections.with(|state| {
            let need = state.need(&connections.connector, exchange);
            let waiter = state.pool.request(now, origin, need);
            state.waiters.join(waiter, timeouts.connect);
            waiter
        });
        Self {
            connections: Arc::clone(connections),
            waiter,
            pool_until: now.checked_add(timeouts.pool).unwrap_or(Timestamp::MAX),
            connect_timeout: timeouts.connect,
            opened_until: None,
            cutoff,
            ended: false,
        }
    }

    /// Waits for the connection, for as long as the exchange's limits allow.
    pub(super) async fn wait(mut self) -> Result<Lease<R>, TransportError> {
        let connections = Arc::clone(&self.connections);
        let runtime = connections.runtime();
        // A timer is made only where there is something to wait for.
        let mut timer: Option<(Timestamp, BoxFuture<'static, ()>)> = None;
        poll_fn(|context| {
            loop {
                if let Poll::Ready(result) = self.poll_ended(context) {
                    return Poll::Ready(result);
                }
                // What limits the wait changes while it lasts.
                let Limit { until, kind, why } = self.limit();
                let armed = timer.take().filter(|(at, _)| *at == until);
                let (_, sleep) =
                    timer.insert(armed.unwrap_or_else(|| (until, runtime.sleep_until(until))));
                if sleep.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                timer = None;
                // The clock decides, not the timer (R-T-6).
                if runtime.now() >= until {
                    return Poll::Ready(self.withdraw(why, kind));
                }
            }
        })
        .await
    }

    fn poll_ended(&mut self, context: &mut Context<'_>) -> Poll<Result<Lease<R>, TransportError>> {
        let granted = ready!(self.connections.lock().waiters.poll(self.waiter, context.waker()));
        self.ended = true;
        let closed = || Err(TransportError::unsent(FailureKind::ClientClosed));
        Poll::Ready(granted.unwrap_or_else(closed).map(|grant| self.lease(grant)))
    }

    fn lease(&self, grant: Grant<R>) -> Lease<R> {
        Lease::new(&self.connections, grant, self.connections.runtime.now())
    }

    /// What limits the wait as it is.
    ///
    /// The pool timeout is for the queue: opening a connection has a timeout of its own.
    fn limit(&mut self) -> Limit {
        let dropped = |until, kind| Limit { until, kind, why: Withdrawal::Dropped };
        let own = if self.is_queued() {
            self.opened_until = None;
            let (until, kind) = (self.pool_until, FailureKind::PoolTimeout);
            Limit { until, kind, why: Withdrawal::PoolTimeout }
        } else {
            dropped(self.opened_until(), FailureKind::ConnectTimeout)
        };
        match self.cutoff {
            Some(cutoff) if cutoff.at < own.until => dropped(cutoff.at, cutoff.kind()),
            Some(_) | None => own,
        }
    }

    /// Until when to wait for a connection that is being opened, from when that was first seen.
    fn opened_until(&mut self) -> Timestamp {
        *self.opened_until.get_or_insert_with(|| {
            let longest = self.connect_timeout.saturating_add(GRACE);
            self.connections.runtime.now().checked_add(longest).unwrap_or(Timestamp::MAX)
        })
    }

    /// Whether it waits for a slot, or for a connection that others wait for too.
    pub(super) fn is_queued(&self) -> bool {
        self.connections.lock().pool.is_queued(self.waiter)
    }

    /// Leaves the queue, unless it has been left by a grant meanwhile.
    fn withdraw(&mut self, why: Withdrawal, kind: FailureKind) -> Result<Lease<R>, TransportError> {
        match self.leave(why) {
            Some(lease) => Ok(lease),
            None if kind == FailureKind::ConnectTimeout => {
                let failure = Failure::new(kind, Delivery::Unsent);
                Err(TransportError::with_source(failure, NotRun))
            }
            None => Err(TransportError::unsent(kind)),
        }
    }

    fn leave(&mut self, why: Withdrawal) -> Option<Lease<R>> {
        self.ended = true;
        let now = self.connections.runtime.now();
        let granted = self.connections.with(|state| {
            state.pool.withdraw(now, self.waiter, why);
            state.waiters.leave(self.waiter)
        });
        granted?.ok().map(|grant| self.lease(grant))
    }
}

impl<R: Runtime> Drop for Queue<R> {
    fn drop(&mut self) {
        if !self.ended {
            // A connection that it was given meanwhile is given back unused.
            let _ = self.leave(Withdrawal::Dropped);
        }
    }
}

/// The task that opens a connection has not said what became of it.
#[derive(Debug)]
struct NotRun;

impl fmt::Display for NotRun {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime did not run the task that opens it: \
             run the executor that the transport was given, and block none of its threads",
        )
    }
}

impl Error for NotRun {}
