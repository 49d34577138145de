//! A whole client as configuration: what is written in TOML or JSON.
//!
//! Durations are written as `"250ms"`, `"1s"` or `"5min"`. A field that is left out has its
//! default; a field that does not exist is an error.

use core::fmt;
use core::time::Duration;
use std::io;
use std::path::{Path, PathBuf};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use redial_engine::reading::{Length, Strict, Whole, strict};
use redial_engine::{Budget, HintRules, ReplayRules, StandardPolicy};
use serde::de::{DeserializeSeed, Error, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer};

use crate::builder::BuildError;
use crate::headers::MOST;
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
#[serde(default, deny_unknown_fields, expecting = "a table of the client's fields")]
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
    #[serde(deserialize_with = "whole")]
    pub max_response_bytes: Option<u64>,
    /// The largest response head, 64 KiB by default (R-X-2); see [`HeadLimit::new`] for the least.
    #[serde(deserialize_with = "whole")]
    pub max_head_bytes: Option<usize>,
    /// The longest silences.
    pub timeouts: Timeouts,
    /// How many connections there may be.
    pub pool: PoolLimits,
    /// Which version of HTTP is spoken.
    #[serde(deserialize_with = "strict")]
    pub protocol: Protocol,
    /// Whom an `https` origin is trusted by, and as whom it is met.
    #[serde(deserialize_with = "strict")]
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
#[serde(default, deny_unknown_fields, expecting = "a table of the names of PEM files")]
#[non_exhaustive]
pub struct TlsConfig {
    /// The authorities that vouch for servers, instead of the platform's.
    pub roots_file: Option<PathBuf>,
    /// The client's certificate and key, for servers that ask for one.
    #[serde(deserialize_with = "identity")]
    pub identity: Option<IdentityFiles>,
}

/// Where the client's certificate is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, expecting = "a table of a certificate's file and its key's")]
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
            tls.roots = Roots::Pem(read("tls.roots_file", path)?);
        }
        if let Some(files) = &self.identity {
            let certificates = read("tls.identity.certificates_file", &files.certificates_file)?;
            let key = read("tls.identity.key_file", &files.key_file)?;
            tls.identity = Some(Identity::from_pem(certificates, key));
        }
        Ok(tls)
    }
}

fn read(field: &'static str, path: &Path) -> Result<Vec<u8>, UnreadableFile> {
    std::fs::read(path).map_err(|source| UnreadableFile { field, path: path.to_owned(), source })
}

/// A number that may be left out, refused in words of the user's.
fn whole<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
where
    T: TryFrom<u64>,
    D: Deserializer<'de>,
{
    Ok(Option::<Whole<T>>::deserialize(deserializer)?.map(|number| number.0))
}

fn identity<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<IdentityFiles>, D::Error> {
    Ok(Option::<Strict<IdentityFiles>>::deserialize(deserializer)?.map(|files| files.0))
}

/// A file that the configuration names cannot be read.
#[derive(Debug)]
pub struct UnreadableFile {
    field: &'static str,
    path: PathBuf,
    source: io::Error,
}

impl UnreadableFile {
    /// The field that names it, by its path, as in `tls.roots_file`.
    pub const fn field(&self) -> &'static str {
        self.field
    }

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
        let expected = "text without line breaks and other control characters";
        HeaderValue::from_bytes(product.as_bytes())
            .map(Self)
            .map_err(|_| D::Error::invalid_value(Unexpected::Str(&product), &expected))
    }
}

/// Header fields as they are configured: a table of names and values.
///
/// A name that is given twice, whatever its case, is an error. What the error of a format shows of
/// a value that may be secret is the format's business; `redial::read_config` shows nothing of it.
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
        deserializer.deserialize_map(Lines)
    }
}

/// Reads headers line by line, so that one that is given twice is seen in every format.
struct Lines;

impl<'de> Visitor<'de> for Lines {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a table (a map) of the names of headers and their values")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut lines: A) -> Result<Headers, A::Error> {
        let mut headers = HeaderMap::new();
        while let Some(name) = lines.next_key_seed(NewName(&headers))? {
            let value = lines.next_value::<Secret>()?;
            if headers.len() >= MOST {
                return Err(A::Error::custom(BuildError::TooManyHeaders));
            }
            headers.insert(name, value.0);
        }
        Ok(Headers(headers))
    }
}

/// The name of a header that is not among these, whatever its case (RFC 9110 5.1).
struct NewName<'a>(&'a HeaderMap);

impl<'de> DeserializeSeed<'de> for NewName<'_> {
    type Value = HeaderName;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<HeaderName, D::Error> {
        let text = String::deserialize(deserializer)?;
        let name = HeaderName::from_bytes(text.as_bytes())
            .map_err(|_| D::Error::custom(format_args!("no header can be named {text:?}")))?;
        if self.0.contains_key(&name) {
            return Err(D::Error::custom(format_args!("the header {text:?} is given twice")));
        }
        Ok(name)
    }
}

/// The value of a header, which is not shown: it may be secret (R-O-3).
struct Secret(HeaderValue);

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        let mut value = HeaderValue::from_str(&text).map_err(|_| {
            D::Error::custom("a header carries no line breaks and other control characters")
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }
}

impl<'de> Deserialize<'de> for Timeouts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "a table of timeouts")]
        struct Written {
            connect: Option<Length>,
            read: Option<Length>,
            write: Option<Length>,
            pool: Option<Length>,
        }
        let written: Written = strict(deserializer)?;
        let Self { connect, read, write, pool } = Self::DEFAULT;
        Ok(Self {
            connect: written.connect.map_or(connect, |length| length.0),
            read: written.read.map_or(read, |length| length.0),
            write: written.write.map_or(write, |length| length.0),
            pool: written.pool.map_or(pool, |length| length.0),
        })
    }
}

impl<'de> Deserialize<'de> for PoolLimits {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Default, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "a table of limits on connections")]
        struct Written {
            max_connections: Option<Whole<usize>>,
            max_keepalive_connections: Option<Whole<usize>>,
            keepalive_expiry: Option<Expiry>,
        }
        let written: Written = strict(deserializer)?;
        let Self { max_connections, max_keepalive_connections, keepalive_expiry } = Self::DEFAULT;
        Ok(Self {
            max_connections: written.max_connections.map_or(max_connections, |number| number.0),
            max_keepalive_connections: written
                .max_keepalive_connections
                .map_or(max_keepalive_connections, |number| number.0),
            keepalive_expiry: written.keepalive_expiry.map_or(keepalive_expiry, |expiry| expiry.0),
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

            fn visit_str<E: Error>(self, text: &str) -> Result<Expiry, E> {
                if text == "never" {
                    return Ok(Expiry(None));
                }
                Length::parse(text, &self).map(|length| Expiry(Some(length.0)))
            }
        }
        deserializer.deserialize_str(Words)
    }
}
