//! A transport whose every send the referee hears of.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use redial_client::{Answer, BoxFuture, Clock, Exchange, PoolFigures, Transport, TransportError};

use super::bytes::Origin;
use super::world::{NOBODY, World};
use crate::referee::SEND;

/// Tells the referee of every send, and hands it on.
pub(super) struct Watched {
    inner: Box<dyn Transport>,
    world: Arc<World>,
    /// The server that has to know which send a request is, where every byte is simulated.
    origin: Option<Arc<Origin>>,
}

impl Watched {
    pub(super) fn new(
        inner: Box<dyn Transport>,
        world: &Arc<World>,
        origin: Option<Arc<Origin>>,
    ) -> Self {
        Self { inner, world: Arc::clone(world), origin }
    }
}

impl Transport for Watched {
    fn name(&self) -> &'static str {
        self.inner.name()
    }

    fn send(&self, mut exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        let (call, now) = (self.world.current(), self.world.now());
        let mut inner = self.world.lock();
        let mut send = 0;
        if call != NOBODY {
            send = inner.referee.sent(call, exchange.cutoff, now);
            inner.tell();
        }
        inner.sending = (call, send);
        drop(inner);
        if let Some(origin) = &self.origin {
            let headers = exchange.request.headers_mut();
            headers.insert(HeaderName::from_static(SEND), HeaderValue::from(send));
            origin.prepare(call, send);
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
