//! From what a program chooses to the transport that a client calls through.

use core::error::Error as StdError;
use core::fmt;
use std::sync::Arc;

use crate::observe::Observer;
use crate::settings::{Settings, SettingsError};
use crate::transport::{BoxError, Transport};

/// What a client can be built over: a transport that stands, or a choice of one that is made when
/// the client is.
///
/// Every [`Transport`] is one. A choice (a runtime, a name) makes its transport from the settings
/// that the builder has gathered.
pub trait IntoTransport {
    /// The transport under these settings (`None` where nothing was set), whose connections this
    /// observer is to hear of.
    ///
    /// # Errors
    ///
    /// [`NoTransport`] where it cannot be made, or not under these settings.
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport>;
}

impl<T: Transport> IntoTransport for T {
    /// A transport that stands has its own observer, if any.
    fn into_transport(
        self,
        settings: Option<Settings>,
        _: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        match settings {
            None => Ok(Box::new(self)),
            Some(_) => Err(NoTransport::Standing),
        }
    }
}

/// Why there is no transport to build a client over.
#[derive(Debug)]
#[non_exhaustive]
pub enum NoTransport {
    /// The transport stands already, and takes no settings any more: give them to the transport
    /// when it is made, or the builder a choice instead.
    Standing,
    /// The transport cannot carry out its settings.
    Settings(SettingsError),
    /// The runtime that the transport needs is not there; the source says which.
    Runtime(BoxError),
    /// The program was built without this transport: turn its feature on.
    NotBuilt {
        /// The feature that brings the transport.
        feature: &'static str,
    },
}

impl From<SettingsError> for NoTransport {
    fn from(source: SettingsError) -> Self {
        Self::Settings(source)
    }
}

impl fmt::Display for NoTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Standing => f.write_str("a transport that stands takes no settings any more"),
            Self::Settings(_) => f.write_str("the transport cannot carry out its settings"),
            Self::Runtime(_) => f.write_str("the runtime that the transport needs is not there"),
            Self::NotBuilt { feature } => write!(f, "built without feature `{feature}`"),
        }
    }
}

impl StdError for NoTransport {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Standing | Self::NotBuilt { .. } => None,
            Self::Settings(source) => Some(source),
            Self::Runtime(source) => Some(&**source),
        }
    }
}
