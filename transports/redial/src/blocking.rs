//! The client for programs without async: the same names, the same behaviour (R-C-7).
//!
//! ```no_run
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use redial::{TransportKind, blocking};
//!
//! let client = blocking::client(TransportKind::Tokio)?.build()?;
//! println!("{}", client.get("https://example.com/").send()?.status());
//! # Ok(())
//! # }
//! ```

pub use redial_client::blocking::*;

#[cfg(feature = "serde")]
use redial_client::ClientConfig;
use redial_client::NoTransport;

#[cfg(feature = "serde")]
use crate::config::{ConfigError, kind};
use crate::kind::TransportKind;

/// A blocking client to be built over this transport, with the threads that it needs.
///
/// # Errors
///
/// [`NoTransport`] where the program was built without it, or the system has no thread to give.
pub fn client(kind: TransportKind) -> Result<ClientBuilder, NoTransport> {
    match kind {
        #[cfg(feature = "tokio")]
        TransportKind::Tokio => {
            redial_tokio::blocking().map_err(|error| NoTransport::Runtime(error.into()))
        }
        #[cfg(feature = "smol")]
        TransportKind::Smol => {
            redial_smol::blocking().map_err(|error| NoTransport::Runtime(error.into()))
        }
        #[cfg(feature = "async-std")]
        TransportKind::AsyncStd => {
            redial_async_std::blocking().map_err(|error| NoTransport::Runtime(error.into()))
        }
        #[cfg(feature = "isahc")]
        TransportKind::Isahc => Ok(redial_isahc::blocking()),
        #[allow(unreachable_patterns, reason = "with all features, every transport is built")]
        other => Err(other.not_built()),
    }
}

/// A blocking client to be built as its configuration says, over the transport that this names, or
/// tokio.
///
/// # Errors
///
/// [`ConfigError`] where the transport cannot be had, or a file cannot be read.
#[cfg(feature = "serde")]
pub fn from_config(config: ClientConfig) -> Result<ClientBuilder, ConfigError> {
    let builder = client(kind(&config)?).map_err(ConfigError::Start)?;
    builder.configure(config).map_err(ConfigError::File)
}
