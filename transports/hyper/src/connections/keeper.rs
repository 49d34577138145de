//! Looks after an HTTP/1.1 connection while no exchange does.

use core::sync::atomic::Ordering;
use core::task::{Context, Poll};
use std::sync::Arc;

use crate::connections::Shared;
use crate::http1::Sequential;
use crate::relay::Relay;
use crate::runtime::Runtime;

/// Looks after an HTTP/1.1 connection while no exchange does: it notices that an idle one has ended,
/// and goes on with one that an exchange has left at work.
pub(super) struct Keeper<R: Runtime> {
    shared: Arc<Shared<R>>,
    /// The one that was left at work, until it is done.
    left: Option<Box<Sequential<R>>>,
}

impl<R: Runtime> Keeper<R> {
    /// Begins with a connection that nobody uses yet.
    pub(super) fn new(shared: &Arc<Shared<R>>, connection: Box<Sequential<R>>) -> Self {
        shared.parked.open(connection);
        Self { shared: Arc::clone(shared), left: None }
    }

    /// Drives the connection, if it is here. Ready when it has ended; with this it is gone.
    pub(super) fn poll(&mut self, context: &Context<'_>) -> Poll<()> {
        let Shared { parked, relay, .. } = &*self.shared;
        self.left = self.left.take().or_else(|| parked.take_over());
        match &mut self.left {
            Some(connection) => drive(connection, relay, context),
            None => parked.drive(|connection| drive(connection, relay, context)),
        }
    }

    /// Whether a connection that was left at work is at rest from now on: its response has ended, and
    /// it is ready for the next request.
    pub(super) fn settles(&mut self) -> bool {
        let Shared { parked, finishing, .. } = &*self.shared;
        if !finishing.load(Ordering::Acquire) {
            return false;
        }
        let Some(connection) = self.left.take_if(|connection| connection.is_ready()) else {
            return false;
        };
        finishing.store(false, Ordering::Relaxed);
        parked.put(connection).is_ok()
    }
}

fn drive<R: Runtime>(
    connection: &mut Sequential<R>,
    relay: &Relay,
    context: &Context<'_>,
) -> Poll<()> {
    relay.attend();
    let driven = connection.drive(&mut Context::from_waker(relay.waker()));
    if relay.leave() {
        context.waker().wake_by_ref();
    }
    driven
}
