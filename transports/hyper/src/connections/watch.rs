//! Telling an observer what happens in the pool (R-O-2).

use std::sync::Arc;

use redial_client::{Exchange, Observer, Origin, PoolEvent, PoolEventKind, TransportError};
use redial_engine::FailureKind;

use crate::connections::queue::Queue;
use crate::connections::{Connections, Lease};
use crate::pool::CloseReason;
use crate::runtime::Runtime;

/// The observer of one transport, where it has one. It is told outside the pool's lock.
#[derive(Clone)]
pub(super) struct Watch(Option<Arc<dyn Observer>>);

impl Watch {
    pub(super) const fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self(observer)
    }

    pub(super) fn tell(&self, origin: &Origin, kind: PoolEventKind) {
        if let Some(observer) = &self.0 {
            observer.pool(&PoolEvent::new(origin, kind));
        }
    }

    /// That the pool has closed a connection, and then that it is gone.
    pub(super) fn gone(&self, origin: &Origin, why: Option<CloseReason>) {
        match why {
            Some(CloseReason::Evicted) => self.tell(origin, PoolEventKind::Evicted),
            Some(CloseReason::Expired) => self.tell(origin, PoolEventKind::Expired),
            Some(CloseReason::Surplus | CloseReason::Unusable | CloseReason::Shutdown) | None => {}
        }
        self.tell(origin, PoolEventKind::Closed);
    }

    /// Waits for a connection as [`Queue::wait`] does, and tells how that went.
    pub(super) async fn wait<R: Runtime>(
        &self,
        connections: &Arc<Connections<R>>,
        exchange: &Exchange,
    ) -> Result<Lease<R>, TransportError> {
        let began = connections.runtime().now();
        let taken = connections.take(exchange);
        let (queued, result) = match taken {
            Some(taken) => (false, taken),
            None => {
                let queue = Queue::join(connections, exchange);
                (queue.is_queued(), queue.wait().await)
            }
        };
        let origin = &exchange.origin;
        match &result {
            Ok(lease) => {
                if queued {
                    let wait = connections.runtime().now().saturating_since(began);
                    self.tell(origin, PoolEventKind::Waited { wait });
                }
                if lease.is_reused() {
                    self.tell(origin, PoolEventKind::Reused);
                }
            }
            Err(error) if error.failure().kind == FailureKind::PoolTimeout => {
                self.tell(origin, PoolEventKind::TimedOut);
            }
            Err(_) => {}
        }
        result
    }

    pub(super) const fn is_watching(&self) -> bool {
        self.0.is_some()
    }
}
