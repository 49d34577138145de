//! A transport whose every send the referee hears of.

use std::sync::Arc;

use http::{HeaderName, HeaderValue};
use redial_client::{Answer, BoxFuture, Clock, Exchange, PoolFigures, Transport, TransportError};

use super::bytes::Origin;
use super::world::{NOBODY, World};
use crate::referee::SEND;

/// Tells the referee of every send, and hands it on.
pub(super) struct Watched<T> {
    inner: T,
    world: Arc<World>,
    /// The server that has to know which send a request is, where every byte is simulated.
    origin: Option<Arc<Origin>>,
}

impl<T> Watched<T> {
    pub(super) fn new(inner: T, world: &Arc<World>, origin: Option<Arc<Origin>>) -> Self {
        Self { inner, world: Arc::clone(world), origin }
    }
}

impl<T: Transport> Transport for Watched<T> {
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

/// A transport of any kind, in front of which another one may stand.
pub(super) struct Any(pub(super) Box<dyn Transport>);

impl Transport for Any {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        self.0.send(exchange)
    }

    fn clock(&self) -> &dyn Clock {
        self.0.clock()
    }

    fn pool(&self) -> PoolFigures {
        self.0.pool()
    }

    fn close(&self) {
        self.0.close();
    }
}
