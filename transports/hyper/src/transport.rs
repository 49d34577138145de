//! The transport: from an exchange to an answer.

use core::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use redial_client::{
    Answer, BoxFuture, Clock, Exchange, IntoTransport, NoTransport, Observer, PoolFigures,
    Settings, SettingsError, Transport, TransportError,
};
use redial_engine::Timestamp;

use crate::connections::{Connections, End};
use crate::exchange;
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
    /// A transport on this runtime, under these settings.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] where the settings cannot be carried out.
    pub fn new(runtime: R, settings: Settings) -> Result<Self, SettingsError> {
        #[cfg(redial_planted)]
        let settings = crate::planted::spoil_settings(settings);
        let clock = RuntimeClock(runtime.clone());
        Ok(Self { connections: Connections::new(runtime, settings)?, clock })
    }
}

impl<R: Runtime> Transport for HyperTransport<R> {
    fn name(&self) -> &'static str {
        self.connections.runtime().name()
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        #[cfg(redial_planted)]
        let exchange = crate::planted::spoil_exchange(exchange);
        // Made where it is to lie: it is large, and to be put into a box it would be copied.
        let place = Box::new_uninit();
        let sending = Box::write(place, exchange::send(&self.connections, exchange));
        Box::into_pin(sending)
    }

    fn clock(&self) -> &dyn Clock {
        &self.clock
    }

    fn pool(&self) -> PoolFigures {
        self.connections.figures()
    }

    fn turn(&self) -> BoxFuture<'static, ()> {
        let come = Arc::new(End::default());
        let turn = Turn(Arc::clone(&come));
        self.connections.runtime().spawn(Box::pin(async move { drop(turn) }));
        Box::pin(async move { come.wait().await })
    }

    fn close(&self) {
        self.connections.shut_down();
    }
}

/// A turn that a runtime is to have: it has come when this is dropped, also by one that is shut down.
struct Turn(Arc<End>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(waiting) = self.0.set() {
            waiting.wake();
        }
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

/// A hyper transport that is to be made on a runtime, from the settings of a client's builder.
#[derive(Clone, Debug)]
pub struct Hyper<R>(R);

impl<R: Runtime> Hyper<R> {
    /// On this runtime.
    pub const fn on(runtime: R) -> Self {
        Self(runtime)
    }
}

impl<R: Runtime> IntoTransport for Hyper<R> {
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        let mut settings = settings.unwrap_or_default();
        settings.observer = settings.observer.or(observer);
        Ok(Box::new(HyperTransport::new(self.0, settings)?))
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
