//! Telling an observer what happens in the pool (R-O-2).

use std::sync::Arc;

use redial_client::{Observer, Origin, PoolEventKind, PoolObserver, TransportError};
use redial_engine::FailureKind;

use crate::connections::Lease;
use crate::pool::CloseReason;
use crate::runtime::Runtime;

/// The observer of one transport, where it has one. It is told outside the pool's lock.
#[derive(Clone)]
pub(super) struct Watch(PoolObserver);

impl Watch {
    pub(super) fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        Self(PoolObserver::new(observer))
    }

    pub(super) fn tell(&self, origin: &Origin, kind: PoolEventKind) {
        self.0.tell(origin, kind);
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

    /// How the wait for a connection ended.
    pub(super) fn served<R: Runtime>(
        &self,
        origin: &Origin,
        result: &Result<Lease<R>, TransportError>,
    ) {
        match result {
            Ok(lease) if lease.is_reused() => self.tell(origin, PoolEventKind::Reused),
            Err(error) if error.failure().kind == FailureKind::PoolTimeout => {
                self.tell(origin, PoolEventKind::TimedOut);
            }
            Ok(_) | Err(_) => {}
        }
    }
}
