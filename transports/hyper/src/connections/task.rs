//! The life of one connection: it is opened, serves, and is gone.

use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::Ordering;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Weak};

use redial_client::{Origin, TransportError, race};
use redial_engine::{FailureKind, Timestamp};

use crate::connect::{self, Connected, Driver};
use crate::connections::{Connections, Shared};
use crate::pool::ConnectionId;
use crate::runtime::Runtime;

/// The task of one connection. However it ends, also where the runtime drops it half way, it says
/// so to the pool, after the socket is gone.
///
/// It keeps the pool alive at no point: a client that nobody has any more closes its connections.
pub(super) struct Task<R: Runtime> {
    connections: Weak<Connections<R>>,
    runtime: R,
    connection: ConnectionId,
    shared: Arc<Shared>,
    opened: bool,
    /// Why it could not be opened.
    error: Option<TransportError>,
}

impl<R: Runtime> Task<R> {
    pub(super) fn new(
        connections: &Arc<Connections<R>>,
        connection: ConnectionId,
        shared: Arc<Shared>,
    ) -> Self {
        let runtime = connections.runtime().clone();
        let connections = Arc::downgrade(connections);
        Self { connections, runtime, connection, shared, opened: false, error: None }
    }

    /// Opens the connection and serves it, until it ends or is told to.
    pub(super) async fn run(mut self, origin: Origin, timeout: Duration) {
        match self.open(&origin, timeout).await {
            Ok(Connected { sender, driver }) => {
                let Some(connections) = self.connections.upgrade() else { return };
                self.opened = true;
                connections.opened(self.connection, sender);
                drop(connections);
                self.serve(driver).await;
            }
            Err(error) => self.error = Some(error),
        }
    }

    async fn open(
        &self,
        origin: &Origin,
        timeout: Duration,
    ) -> Result<Connected<R>, TransportError> {
        let until = self.runtime.now().checked_add(timeout).unwrap_or(Timestamp::MAX);
        let limit = self.runtime.sleep_until(until);
        let connecting = connect::connect(&self.runtime, origin, &self.shared.meter);
        let told = poll_fn(|context| self.shared.end.poll(context));
        match race(race(connecting, limit), told).await {
            Some(Some(result)) => result,
            Some(None) => Err(TransportError::unsent(FailureKind::ConnectTimeout)),
            None => Err(TransportError::unsent(FailureKind::Connect)),
        }
    }

    async fn serve(&self, driver: Driver<R>) {
        let mut driver = pin!(driver);
        poll_fn(|context| {
            if self.shared.end.poll(context).is_ready() {
                return Poll::Ready(());
            }
            if Pin::new(&mut driver).poll(context).is_ready() {
                return Poll::Ready(());
            }
            if self.shared.finishing.load(Ordering::SeqCst)
                && let Some(connections) = self.connections.upgrade()
            {
                connections.settle(self.connection);
            }
            Poll::Pending
        })
        .await;
    }
}

impl<R: Runtime> Drop for Task<R> {
    fn drop(&mut self) {
        let Some(connections) = self.connections.upgrade() else { return };
        if self.opened {
            return connections.gone(self.connection);
        }
        let error = self.error.take();
        let error = error.unwrap_or_else(|| TransportError::unsent(FailureKind::Connect));
        connections.open_failed(self.connection, error);
    }
}
