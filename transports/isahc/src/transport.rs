//! The transport: from an exchange to an answer.

use core::error::Error as StdError;
use core::fmt;
use std::io;
use std::sync::Arc;

use redial_client::{
    Answer, BoxFuture, Clock, Exchange, IntoTransport, NoTransport, Observer, PoolFigures,
    Settings, SettingsError, ThreadClock, Transport, TransportError,
};

use crate::connections::Connections;
use crate::exchange;
use crate::handles::Maker;

/// Sends requests by isahc, under any executor and without one.
///
/// Clones share their connections; when the last one is dropped, every connection closes.
#[derive(Clone)]
pub struct IsahcTransport {
    connections: Arc<Connections>,
}

impl IsahcTransport {
    /// A transport with the default settings.
    ///
    /// # Errors
    ///
    /// [`StartError::Thread`] where the system has no thread to give.
    pub fn new() -> Result<Self, StartError> {
        Self::with(Settings::default())
    }

    /// A transport with these settings.
    ///
    /// # Errors
    ///
    /// [`StartError`] says which settings cannot be carried out. Client certificates can on Linux
    /// only; whether certificate and key belong together is seen in the first handshake.
    pub fn with(settings: Settings) -> Result<Self, StartError> {
        let maker = Maker::new(settings).map_err(StartError::Settings)?;
        let clock = ThreadClock::start().map_err(StartError::Thread)?;
        Ok(Self { connections: Connections::new(maker, clock) })
    }
}

impl Transport for IsahcTransport {
    fn name(&self) -> &'static str {
        "isahc"
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        // Made where it is to lie: it is large, and to be put into a box it would be copied.
        let place = Box::new_uninit();
        let sending = Box::write(place, exchange::send(&self.connections, exchange));
        Box::into_pin(sending)
    }

    fn clock(&self) -> &dyn Clock {
        self.connections.clock()
    }

    /// What is known of them: curl does not tell. `in_use` are the slots that requests have, also
    /// while curl connects, so that `connecting` is always 0; `open` and `idle` are bounds from
    /// above. Whether a connection was reused is told by its local port.
    fn pool(&self) -> PoolFigures {
        self.connections.figures()
    }

    /// Closes idle connections as soon as no request is on any kept connection, and keeps none
    /// from here on.
    fn close(&self) {
        self.connections.shut_down();
    }
}

/// An isahc transport that is to be made from the settings of a client's builder.
#[derive(Clone, Copy, Debug, Default)]
pub struct Isahc;

impl IntoTransport for Isahc {
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        let mut settings = settings.unwrap_or_default();
        settings.observer = settings.observer.or(observer);
        match IsahcTransport::with(settings) {
            Ok(transport) => Ok(Box::new(transport)),
            Err(StartError::Settings(source)) => Err(NoTransport::Settings(source)),
            Err(error @ StartError::Thread(_)) => Err(NoTransport::Runtime(error.into())),
        }
    }
}

impl fmt::Debug for IsahcTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IsahcTransport").field("pool", &self.pool()).finish_non_exhaustive()
    }
}

/// Why a transport could not be made.
#[derive(Debug)]
#[non_exhaustive]
pub enum StartError {
    /// The settings cannot be carried out.
    Settings(SettingsError),
    /// The system gave no thread, on which the timers run.
    Thread(io::Error),
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Settings(error) => error.fmt(f),
            Self::Thread(_) => f.write_str("the system gave no thread for the timers"),
        }
    }
}

impl StdError for StartError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Settings(error) => error.source(),
            Self::Thread(error) => Some(error),
        }
    }
}
