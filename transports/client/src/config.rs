//! A whole client as configuration: what is written in TOML or JSON.
//!
//! Durations are written as `"250ms"`, `"1s"` or `"5min"`. A field that is left out has its
//! default; a field that does not exist is an error.

use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use redial_engine::{Budget, HintRules, ReplayRules, StandardPolicy};
use serde::de::{Error as _, Visitor};
use serde::{Deserialize, Deserializer};

use crate::settings::{HeadLimit, Identity, PoolLimits, Protocol, Roots, Settings, Tls};
use crate::transport::Timeouts;

/// A whole client as it is configured (R-C-8).
///
/// Read it with serde from whatever format a deployment uses, and give it to
/// [`ClientBuilder::configure`](crate::ClientBuilder::configure).
///
/// ```
/// let config: redial_client::ClientConfig = toml::from_str(
///     r#"
///     base_url = "https://api.example.com/v1"
///     protocol = "http1"
///
///     [headers]
///     x-team = "payments"
///
///     [timeouts]
///     read = "30s"
///
///     [pool]
///     max_connections = 10
///
///     [policy]
///     max_attempts = 3
///
///     [budget]
///     kind = "unlimited"
///     "#,
/// )?;
/// assert_eq!(config.pool.max_connections, 10);
/// # Ok::<(), toml::de::Error>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ClientConfig {
    /// The name of the transport, for whoever chooses one by it; none by default.
    pub transport: Option<String>,
    /// What relative URLs are joined to (R-C-1); none by default.
    pub base_url: Option<BaseUrl>,
    /// Headers of every request to the base origin (R-C-2), by name.
    pub headers: Headers,
    /// The `User-Agent`, instead of the one that names this crate.
    pub user_agent: Option<UserAgent>,
    /// The largest body that is read into memory, 64 MiB by default (R-C-4).
    pub max_response_bytes: Option<u64>,
    /// The largest response head, 64 KiB by default (R-X-2).
    pub max_head_bytes: Option<usize>,
    /// The longest silences.
    pub timeouts: Timeouts,
    /// How many connections there may be.
    pub pool: PoolLimits,
    /// Which version of HTTP is spoken.
    pub protocol: Protocol,
    /// Whom an `https` origin is trusted by, and as whom it is met.
    pub tls: TlsConfig,
    /// Whether and when to send again.
    pub policy: StandardPolicy,
    /// How much load retries may add to each origin.
    pub budget: Budget,
    /// Which requests may be repeated.
    pub replay: ReplayRules,
    /// Which headers of a response count as hints.
    pub hints: HintRules,
}

impl ClientConfig {
    /// What of this is the transport's business. Reads the files that `tls` names.
    ///
    /// # Errors
    ///
    /// [`UnreadableFile`] where one of them cannot be read.
    pub fn settings(&self) -> Result<Settings, UnreadableFile> {
        Ok(Settings {
            limits: self.pool,
            protocol: self.protocol,
            tls: self.tls.read()?,
            max_head_bytes: self.max_head_bytes.map_or(HeadLimit::DEFAULT, HeadLimit::new),
            ..Settings::default()
        })
    }
}

/// [`Tls`] as it is configured: by the names of PEM files.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TlsConfig {
    /// The authorities that vouch for servers, instead of the platform's.
    pub roots_file: Option<PathBuf>,
    /// The client's certificate and key, for servers that ask for one.
    pub identity: Option<IdentityFiles>,
}

/// Where the client's certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "an identity is a certificate and a key")]
pub struct IdentityFiles {
    /// The certificate first, then those that vouch for it.
    pub certificates_file: PathBuf,
    /// Its private key.
    pub key_file: PathBuf,
}

impl TlsConfig {
    fn read(&self) -> Result<Tls, UnreadableFile> {
        let mut tls = Tls::default();
        if let Some(path) = &self.roots_file {
            tls.roots = Roots::Pem(read(path)?);
        }
        if let Some(files) = &self.identity {
            let certificates = read(&files.certificates_file)?;
            tls.identity = Some(Identity::from_pem(certificates, read(&files.key_file)?));
        }
        Ok(tls)
    }
}

fn read(path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    std::fs::read(path).map_err(|source| UnreadableFile { path: path.to_owned(), source })
}

/// A file that the configuration names cannot be read.
#[derive(Debug)]
pub struct UnreadableFile {
    path: PathBuf,
    source: io::Error,
}

impl UnreadableFile {
    /// Which file.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl fmt::Display for UnreadableFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read", self.path.display())
    }
}

impl core::error::Error for UnreadableFile {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        Some(&self.source)
    }
}

/// A base URL as it is configured. Whether it is one, is seen when the client is built.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub struct BaseUrl(String);

impl BaseUrl {
    /// The URL, with all that may be secret in it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BaseUrl {
    /// Shows nothing: what is written there by mistake may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BaseUrl").finish_non_exhaustive()
    }
}

/// The name of a program and its version, as in `payments/1.2`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UserAgent(HeaderValue);

impl From<UserAgent> for HeaderValue {
    fn from(product: UserAgent) -> Self {
        product.0
    }
}

impl<'de> Deserialize<'de> for UserAgent {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let product = String::deserialize(deserializer)?;
        HeaderValue::try_from(product).map(Self).map_err(D::Error::custom)
    }
}

/// Header fields as they are configured: a table of names and values.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Headers(HeaderMap);

impl Headers {
    /// The fields.
    pub const fn get(&self) -> &HeaderMap {
        &self.0
    }
}

impl fmt::Debug for Headers {
    /// Shows the names only: a value may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut headers = HeaderMap::new();
        for (name, value) in BTreeMap::<String, String>::deserialize(deserializer)? {
            let wrong = |what: &str| D::Error::custom(format_args!("{what} {name:?}"));
            let field = HeaderName::from_bytes(name.as_bytes())
                .map_err(|_| wrong("no header can be named"))?;
            // The value is not shown: it may be secret (R-O-3).
            let mut value = HeaderValue::from_str(&value)
                .map_err(|_| wrong("a byte that no header can carry is in the value of"))?;
            value.set_sensitive(true);
            headers.insert(field, value);
        }
        Ok(Self(headers))
    }
}

impl<'de> Deserialize<'de> for Timeouts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Written {
            #[serde(with = "humantime_serde")]
            connect: Option<Duration>,
            #[serde(with = "humantime_serde")]
            read: Option<Duration>,
            #[serde(with = "humantime_serde")]
            write: Option<Duration>,
            #[serde(with = "humantime_serde")]
            pool: Option<Duration>,
        }
        let written = Written::deserialize(deserializer)?;
        let Self { connect, read, write, pool } = Self::DEFAULT;
        Ok(Self {
            connect: written.connect.unwrap_or(connect),
            read: written.read.unwrap_or(read),
            write: written.write.unwrap_or(write),
            pool: written.pool.unwrap_or(pool),
        })
    }
}

impl<'de> Deserialize<'de> for PoolLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        struct Written {
            max_connections: Option<usize>,
            max_keepalive_connections: Option<usize>,
            keepalive_expiry: Option<Expiry>,
        }
        let written = Written::deserialize(deserializer)?;
        let default = Self::DEFAULT;
        Ok(Self {
            max_connections: written.max_connections.unwrap_or(default.max_connections),
            max_keepalive_connections: written
                .max_keepalive_connections
                .unwrap_or(default.max_keepalive_connections),
            keepalive_expiry: written.keepalive_expiry.map_or(default.keepalive_expiry, |e| e.0),
        })
    }
}

/// How long a connection may be idle: a duration, or `"never"` for as long as the server likes.
struct Expiry(Option<Duration>);

impl<'de> Deserialize<'de> for Expiry {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Expiry;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"30s\", or \"never\"")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Expiry, E> {
                if text == "never" {
                    return Ok(Expiry(None));
                }
                let text = serde::de::value::StrDeserializer::<E>::new(text);
                humantime_serde::deserialize(text).map(|expiry| Expiry(Some(expiry)))
            }
        }
        deserializer.deserialize_str(Words)
    }
}
