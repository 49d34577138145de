//! A transport by its name.

use core::error::Error as StdError;
use core::fmt;
use core::str::FromStr;
use std::sync::Arc;

use redial_client::{IntoTransport, NoTransport, Observer, Settings, Transport};

/// The transports that there are, whether or not this program was built with them.
///
/// `Client::builder` takes one. It parses from its name, and is written as that.
///
/// ```
/// use redial::TransportKind;
///
/// let kind: TransportKind = "async-std".parse()?;
/// assert_eq!(kind, TransportKind::AsyncStd);
/// assert_eq!(kind.to_string(), "async-std");
/// # Ok::<(), redial::UnknownTransport>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TransportKind {
    /// hyper on tokio: on the runtime that the client is built in, whose I/O and time drivers must be
    /// enabled.
    #[default]
    Tokio,
    /// hyper on smol's global executor.
    Smol,
    /// hyper on async-std's global runtime.
    AsyncStd,
    /// libcurl by isahc, under any executor.
    Isahc,
}

impl TransportKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Tokio, Self::Smol, Self::AsyncStd, Self::Isahc];

    /// The name: of the transport, of its feature, and in a configuration.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Tokio => "tokio",
            Self::Smol => "smol",
            Self::AsyncStd => "async-std",
            Self::Isahc => "isahc",
        }
    }

    /// Whether this program was built with it.
    pub const fn is_built(self) -> bool {
        match self {
            Self::Tokio => cfg!(feature = "tokio"),
            Self::Smol => cfg!(feature = "smol"),
            Self::AsyncStd => cfg!(feature = "async-std"),
            Self::Isahc => cfg!(feature = "isahc"),
        }
    }

    /// That it was not built.
    #[allow(dead_code, reason = "with all features, every transport is built")]
    pub(crate) const fn not_built(self) -> NoTransport {
        NoTransport::NotBuilt { feature: self.name() }
    }
}

impl IntoTransport for TransportKind {
    #[allow(unused_variables, reason = "without a transport, there is nothing to make one from")]
    fn into_transport(
        self,
        settings: Option<Settings>,
        observer: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        match self {
            #[cfg(feature = "tokio")]
            Self::Tokio => redial_tokio::Tokio::current()
                .map_err(|error| NoTransport::Runtime(error.into()))?
                .into_transport(settings, observer),
            #[cfg(feature = "smol")]
            Self::Smol => redial_smol::Smol::new().into_transport(settings, observer),
            #[cfg(feature = "async-std")]
            Self::AsyncStd => redial_async_std::AsyncStd::new().into_transport(settings, observer),
            #[cfg(feature = "isahc")]
            Self::Isahc => redial_isahc::Isahc.into_transport(settings, observer),
            #[allow(unreachable_patterns, reason = "with all features, every transport is built")]
            other => Err(other.not_built()),
        }
    }
}

impl fmt::Display for TransportKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for TransportKind {
    type Err = UnknownTransport;

    fn from_str(name: &str) -> Result<Self, UnknownTransport> {
        let unknown = || UnknownTransport { name: name.to_owned() };
        Self::ALL.into_iter().find(|kind| kind.name() == name).ok_or_else(unknown)
    }
}

#[cfg(feature = "serde")]
impl<'de> serde::Deserialize<'de> for TransportKind {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        name.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(feature = "serde")]
impl serde::Serialize for TransportKind {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

/// No transport has this name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTransport {
    name: String,
}

impl fmt::Display for UnknownTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no transport is named {:?}: there are ", self.name)?;
        let names = TransportKind::ALL.map(TransportKind::name);
        f.write_str(&names.join(", "))
    }
}

impl StdError for UnknownTransport {}
