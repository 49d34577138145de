//! A client from its configuration.

use core::error::Error as StdError;
use core::fmt;

use redial_client::{Client, ClientBuilder, ClientConfig, UnreadableFile};

use crate::kind::{TransportKind, UnknownTransport};

/// A client to be built as its configuration says, over the transport that this names, or tokio.
///
/// # Errors
///
/// [`ConfigError`] where no transport has that name, or a file cannot be read. Whether the
/// transport was built, and can carry out the settings, is said when the client is.
pub fn from_config(config: ClientConfig) -> Result<ClientBuilder, ConfigError> {
    let builder = Client::builder(kind(&config)?);
    builder.configure(config).map_err(ConfigError::File)
}

/// The transport that a configuration names.
pub(crate) fn kind(config: &ClientConfig) -> Result<TransportKind, ConfigError> {
    let name = config.transport.as_deref();
    name.map_or(Ok(TransportKind::default()), str::parse).map_err(ConfigError::Transport)
}

/// Why there is no client of a configuration.
#[derive(Debug)]
#[non_exhaustive]
pub enum ConfigError {
    /// The field `transport` names none that there is.
    Transport(UnknownTransport),
    /// A file that is named under `tls` cannot be read.
    File(UnreadableFile),
    /// The transport cannot be had.
    #[cfg(feature = "blocking")]
    Start(redial_client::NoTransport),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Transport(error) => write!(f, "transport: {error}"),
            Self::File(error) => write!(f, "tls: {error}"),
            #[cfg(feature = "blocking")]
            Self::Start(error) => write!(f, "transport: {error}"),
        }
    }
}

impl StdError for ConfigError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What `Display` has said already is passed over.
        match self {
            Self::Transport(error) => error.source(),
            Self::File(error) => error.source(),
            #[cfg(feature = "blocking")]
            Self::Start(error) => error.source(),
        }
    }
}
