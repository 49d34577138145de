//! The transport: from an exchange to an answer.

use core::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use redial_client::{
    Answer, BoxFuture, Clock, Exchange, Origin, PoolFigures, Transport, TransportError,
};
use redial_engine::{Delivery, Failure, FailureKind, Timestamp};

use crate::connections::Connections;
use crate::exchange;
use crate::pool::Limits;
use crate::runtime::Runtime;

/// Sends requests by hyper, on any runtime, over connections of its own pool.
///
/// Clones share their connections; when the last one is dropped, every connection closes.
#[derive(Clone)]
pub struct HyperTransport<R: Runtime> {
    connections: Arc<Connections<R>>,
    clock: RuntimeClock<R>,
}

impl<R: Runtime> HyperTransport<R> {
    /// A transport on this runtime, with a pool of the default size.
    pub fn new(runtime: R) -> Self {
        Self::with_limits(runtime, Limits::default())
    }

    /// A transport on this runtime, with a pool under these limits.
    pub fn with_limits(runtime: R, limits: Limits) -> Self {
        let clock = RuntimeClock(runtime.clone());
        Self { connections: Connections::new(runtime, limits), clock }
    }
}

impl<R: Runtime> Transport for HyperTransport<R> {
    fn name(&self) -> &'static str {
        self.connections.runtime().name()
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(async move {
            let origin = Origin::of(exchange.request.uri()).map_err(|error| {
                let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
                TransportError::with_source(failure, error)
            })?;
            let lease = self.connections.acquire(&origin, &exchange).await?;
            exchange::send(lease, exchange).await
        })
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn pool(&self) -> PoolFigures {
        self.connections.figures()
    }

    fn close(&self) {
        self.connections.shut_down();
    }
}

impl<R: Runtime> fmt::Debug for HyperTransport<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransport")
            .field("runtime", &self.name())
            .field("pool", &self.pool())
            .finish()
    }
}

/// A runtime's time, as the client asks for it.
#[derive(Clone)]
struct RuntimeClock<R>(R);

impl<R: Runtime> Clock for RuntimeClock<R> {
    fn now(&self) -> Timestamp {
        self.0.now()
    }

    fn wall(&self) -> SystemTime {
        self.0.wall()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        self.0.sleep_until(at)
    }
}
