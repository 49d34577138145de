//! What every transport can be told, whatever it is built on.

use core::error::Error as StdError;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use crate::observe::Observer;
use crate::transport::BoxError;

/// What every transport can be told, whatever it is built on.
///
/// The default is what a program of ordinary size needs: see each field. A transport takes the
/// settings when it is made, and refuses those that it cannot carry out.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Settings {
    /// How many connections there may be, and for how long.
    pub limits: PoolLimits,
    /// Which version of HTTP is spoken.
    pub protocol: Protocol,
    /// Whom an `https` origin is trusted by, and as whom it is met.
    pub tls: Tls,
    /// The largest response head, 64 KiB by default (R-X-2). Over HTTP/1.1 interim heads count too.
    pub max_head_bytes: HeadLimit,
    /// Who is told what the connection pool does; nobody by default, at no cost (R-O-2).
    pub observer: Option<Arc<dyn Observer>>,
}

/// How many connections there may be, and how long an idle one is kept.
///
/// All limits are over all origins together. Not `#[non_exhaustive]`, so that a literal with
/// `..PoolLimits::DEFAULT` can name the one limit that differs.
#[allow(clippy::exhaustive_structs, reason = "see above")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// The most connections at any instant, from the start of connecting until the socket is
    /// closed: 50 by default (R-P-1). With 0 no request is ever sent: each waits for as long as its
    /// pool timeout allows, and fails with that (R-P-5).
    pub max_connections: usize,
    /// The most connections that are kept idle: 20 by default (R-P-2). With 0 a connection closes
    /// as soon as no request is on it, and no later request gets it.
    pub max_keepalive_connections: usize,
    /// How long a connection may be idle: 30 s by default (R-P-3), `None` for ever. With zero a
    /// connection closes as soon as no request is on it, and no later request gets it.
    pub keepalive_expiry: Option<Duration>,
}

impl PoolLimits {
    /// 50 connections, 20 of them idle, for 30 s (R-P-1 to R-P-3).
    pub const DEFAULT: Self = Self::of(50, 20, 30);

    /// For many calls at once: 200 connections, 100 of them idle, for 60 s (R-C-11).
    pub const HIGH_CONCURRENCY: Self = Self::of(200, 100, 60);

    /// For little memory: 10 connections, 5 of them idle, for 10 s (R-C-11).
    pub const MEMORY_CONSTRAINED: Self = Self::of(10, 5, 10);

    /// For many hosts with few calls each: 100 connections, 50 of them idle, for 15 s (R-C-11).
    pub const MANY_HOSTS: Self = Self::of(100, 50, 15);

    const fn of(connections: usize, idle: usize, expiry_seconds: u64) -> Self {
        Self {
            max_connections: connections,
            max_keepalive_connections: idle,
            keepalive_expiry: Some(Duration::from_secs(expiry_seconds)),
        }
    }
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Which version of HTTP is spoken (R-C-5).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", expecting = "the name of a protocol, such as \"http1\"")
)]
#[non_exhaustive]
pub enum Protocol {
    /// HTTP/2 where the server agrees to it during the TLS handshake (ALPN), else HTTP/1.1. Over
    /// plain TCP nothing can be agreed on, and HTTP/1.1 is spoken. An origin that asks for it over
    /// HTTP/2 (RFC 9113 7) gets HTTP/1.1 from then on.
    #[default]
    Negotiated,
    /// HTTP/1.1, whatever the server would rather speak.
    #[cfg_attr(feature = "serde", serde(rename = "http1"))]
    Http1,
    /// HTTP/2, over plain TCP too, without asking (RFC 9113 3.3). A server that does not speak it
    /// fails every request.
    #[cfg_attr(feature = "serde", serde(rename = "http2_prior_knowledge"))]
    Http2PriorKnowledge,
}

/// Whom an `https` origin is trusted by, and as whom it is met (R-C-5).
///
/// There is no way to trust everybody.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Tls {
    /// Which authorities vouch for servers.
    pub roots: Roots,
    /// The certificate that the client shows to servers that ask for one; none by default.
    pub identity: Option<Identity>,
}

/// Which authorities vouch for servers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Roots {
    /// Those that the platform trusts. They are read when the first `https` origin is called.
    #[default]
    Platform,
    /// Those in this PEM text, one certificate or more, and no others.
    Pem(Vec<u8>),
}

/// A certificate of the client's, for servers that ask for one.
#[derive(Clone, PartialEq, Eq)]
pub struct Identity {
    certificates: Vec<u8>,
    key: Vec<u8>,
}

impl Identity {
    /// The certificate with those that vouch for it, and its private key, each as PEM text.
    ///
    /// Whether they are what they should be is seen when a transport takes them.
    pub fn from_pem(certificates: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> Self {
        Self { certificates: certificates.into(), key: key.into() }
    }

    /// The certificate first, then those that vouch for it, as PEM text.
    pub fn certificates(&self) -> &[u8] {
        &self.certificates
    }

    /// The private key, as PEM text.
    pub fn key(&self) -> &[u8] {
        &self.key
    }
}

impl fmt::Debug for Identity {
    /// Shows nothing: the key is secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity").finish_non_exhaustive()
    }
}

/// The largest response head, in bytes: 64 KiB by default (R-X-2).
///
/// A larger one, or interim responses of more than that before the final one, is
/// [`FailureKind::ResponseTooLarge`](redial_engine::FailureKind::ResponseTooLarge).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct HeadLimit(usize);

impl HeadLimit {
    /// 64 KiB.
    pub const DEFAULT: Self = Self(64 * 1024);

    /// At least 8 KiB, below which ordinary responses fail; less is taken for that.
    pub const fn new(bytes: usize) -> Self {
        const LEAST: usize = 8 * 1024;
        Self(if bytes < LEAST { LEAST } else { bytes })
    }

    /// In bytes.
    pub const fn get(self) -> usize {
        self.0
    }
}

impl Default for HeadLimit {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// Why a transport cannot carry out its settings.
#[derive(Debug)]
#[non_exhaustive]
pub enum SettingsError {
    /// The roots are no PEM text with a certificate in it, or one of them is malformed.
    Roots(BoxError),
    /// The client's certificate or key is no PEM text, is malformed, or the two do not belong
    /// together.
    Identity(BoxError),
    /// The transport does not speak this protocol. Let it negotiate one, or choose another
    /// transport.
    Protocol(Protocol),
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Roots(_) => "the root certificates are no PEM text with certificates in it",
            Self::Identity(_) => "the client's certificate and key are no PEM text, or no pair",
            Self::Protocol(_) => "the transport does not speak the protocol that was asked for",
        })
    }
}

impl StdError for SettingsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        match self {
            Self::Roots(source) | Self::Identity(source) => Some(&**source),
            Self::Protocol(_) => None,
        }
    }
}
