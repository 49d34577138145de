//! Waiting for a connection.

use core::future::poll_fn;
use core::task::{Context, Poll};
use std::sync::Arc;

use redial_client::{BoxFuture, Exchange, TransportError};
use redial_engine::{Cutoff, FailureKind, Timestamp};

use crate::connections::{Connections, Grant, Lease, Progress, Waiting};
use crate::pool::{WaiterId, Withdrawal};
use crate::runtime::Runtime;

/// A request's place in the queue. Dropping it leaves the queue.
pub(super) struct Queue<R: Runtime> {
    connections: Arc<Connections<R>>,
    waiter: WaiterId,
    /// Until when the request may wait for a slot.
    pool_until: Timestamp,
    cutoff: Option<Cutoff>,
    ended: bool,
}

impl<R: Runtime> Queue<R> {
    /// Asks for a connection for this exchange.
    pub(super) fn join(connections: &Arc<Connections<R>>, exchange: &Exchange) -> Self {
        let now = connections.runtime.now();
        let Exchange { ref origin, timeouts, cutoff, .. } = *exchange;
        let waiter = connections.with(|state| {
            let need = state.need(&connections.connector, exchange);
            let waiter = state.pool.request(now, origin, need);
            let connect_timeout = timeouts.connect;
            let (id, progress) = (waiter, Progress::Waiting);
            state.waiting.push_back(Waiting { id, progress, connect_timeout, waker: None });
            waiter
        });
        let pool_until = now.checked_add(timeouts.pool).unwrap_or(Timestamp::MAX);
        Self { connections: Arc::clone(connections), waiter, pool_until, cutoff, ended: false }
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
                let (until, kind, why) = self.limit();
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
        let mut state = self.connections.lock();
        let Some(waiting) = state.waiting(self.waiter) else {
            return Poll::Ready(Err(TransportError::unsent(FailureKind::ClientClosed)));
        };
        if matches!(waiting.progress, Progress::Waiting) {
            waiting.waker = Some(context.waker().clone());
            return Poll::Pending;
        }
        let progress = state.leave(self.waiter);
        drop(state);
        self.ended = true;
        Poll::Ready(match progress {
            Some(Progress::Given(grant)) => Ok(self.lease(grant)),
            Some(Progress::Failed(error)) => Err(error),
            Some(Progress::Waiting) | None => {
                Err(TransportError::unsent(FailureKind::ClientClosed))
            }
        })
    }

    fn lease(&self, grant: Grant<R>) -> Lease<R> {
        Lease::new(&self.connections, grant, self.connections.runtime.now())
    }

    /// Until when the wait may last as it is, what kind of failure it is to wait for longer, and
    /// why the request is then withdrawn.
    ///
    /// The pool timeout is for the queue: opening a connection has a timeout of its own.
    fn limit(&self) -> (Timestamp, FailureKind, Withdrawal) {
        let pool = (self.pool_until, FailureKind::PoolTimeout, Withdrawal::PoolTimeout);
        let never = (Timestamp::MAX, FailureKind::Other, Withdrawal::Dropped);
        let cut = |cutoff: Cutoff| (cutoff.at, cutoff.kind(), Withdrawal::Dropped);
        let cut = self.cutoff.map_or(never, cut);
        if self.is_queued() && pool.0 <= cut.0 { pool } else { cut }
    }

    /// Whether it waits for a slot, or for a connection that others wait for too.
    pub(super) fn is_queued(&self) -> bool {
        self.connections.lock().pool.is_queued(self.waiter)
    }

    /// Leaves the queue, unless it has been left by a grant meanwhile.
    fn withdraw(&mut self, why: Withdrawal, kind: FailureKind) -> Result<Lease<R>, TransportError> {
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
            state.leave(self.waiter)
        });
        match progress {
            Some(Progress::Given(grant)) => Some(self.lease(grant)),
            Some(Progress::Waiting | Progress::Failed(_)) | None => None,
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
