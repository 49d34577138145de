//! A transport whose every send the referee hears of.

use std::sync::Arc;

use redial_client::{Answer, BoxFuture, Clock, Exchange, PoolFigures, Transport, TransportError};

use super::world::{NOBODY, World};

/// Tells the referee of every send, and hands it on.
pub(super) struct Watched {
    inner: Box<dyn Transport>,
    world: Arc<World>,
}

impl Watched {
    pub(super) fn new(inner: Box<dyn Transport>, world: &Arc<World>) -> Self {
        Self { inner, world: Arc::clone(world) }
    }
}

impl Transport for Watched {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        let (call, now) = (self.world.current(), self.world.now());
        {
            let mut inner = self.world.lock();
            let send = match call {
                NOBODY => 0,
                _ => inner.referee.sent(call, exchange.cutoff, now),
            };
            inner.sending = (call, send);
            inner.tell();
        }
        self.inner.send(exchange)
    }

    fn clock(&self) -> &dyn Clock {
        self.inner.clock()
    }

    fn pool(&self) -> PoolFigures {
        self.inner.pool()
    }

    fn close(&self) {
        self.inner.close();
    }
}
