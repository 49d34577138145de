//! A connection that one exchange has to itself.

use core::sync::atomic::Ordering;
use std::sync::Arc;

use crate::connect::Sender;
use crate::connections::{Connections, Grant, Shared};
use crate::pool::ConnectionId;
use crate::runtime::Runtime;

/// A connection that one exchange has to itself. Dropping it half way closes the connection, so
/// that nothing out of step is ever used again (R-P-8).
pub(crate) struct Lease<R: Runtime> {
    connections: Arc<Connections<R>>,
    connection: ConnectionId,
    shared: Arc<Shared>,
    /// Here until the lease ends.
    sender: Option<Sender>,
    reused: bool,
}

impl<R: Runtime> Lease<R> {
    pub(super) fn new(connections: &Arc<Connections<R>>, grant: Grant) -> Self {
        let Grant { connection, sender, shared, reused } = grant;
        let connections = Arc::clone(connections);
        Self { connections, connection, shared, sender: Some(sender), reused }
    }

    pub(crate) fn runtime(&self) -> &R {
        self.connections.runtime()
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) const fn sender(&mut self) -> Option<&mut Sender> {
        self.sender.as_mut()
    }

    /// Whether the connection had served another request before.
    pub(crate) const fn is_reused(&self) -> bool {
        self.reused
    }

    /// The response has ended: the connection is free as soon as hyper is ready for the next.
    pub(crate) fn give_back(mut self) {
        let Some(sender) = self.sender.take() else { return };
        let now = self.runtime().now();
        let (connection, shared) = (self.connection, &self.shared);
        self.connections.with(|state| {
            let Some(live) = state.live.get_mut(&connection) else { return };
            // Said before the sender is looked at: if that is not ready yet, the connection's task
            // will see this when it has made it so.
            shared.finishing.store(true, Ordering::SeqCst);
            state.pool.finishing(now, connection);
            let ready = sender.is_ready();
            live.sender = Some(sender);
            if ready && shared.finishing.swap(false, Ordering::SeqCst) {
                state.pool.released(now, connection, true);
            }
        });
    }

    /// Nothing was sent: the connection is as free as it was.
    pub(super) fn give_back_unused(self) {
        self.give_back();
    }
}

impl<R: Runtime> Drop for Lease<R> {
    fn drop(&mut self) {
        let Some(sender) = self.sender.take() else { return };
        let now = self.connections.runtime().now();
        let waker = self.shared.end.set();
        drop(sender);
        self.connections.with(|state| state.pool.closing(now, self.connection));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}
