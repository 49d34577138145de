//! Why a call brought no usable response.

use core::error::Error as StdError;
use core::fmt;

use http::Uri;
use redial_engine::{FailureKind, Reason};

use crate::history::AttemptRecord;
use crate::transport::{BoxError, TransportError};

/// Why a call brought no usable response.
///
/// It keeps the last attempt's failure and its source, the reason why no further attempt was made,
/// and the history of attempts. It shows a URL without credentials or query (R-C-10, R-O-3).
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    kind: FailureKind,
    reason: Option<Reason>,
    attempts: Vec<AttemptRecord>,
    url: Option<String>,
    source: Option<BoxError>,
}

impl Error {
    pub(crate) fn of_transport(error: TransportError) -> Self {
        Self::new(error.failure().kind, Some(error.into()))
    }

    pub(crate) fn invalid_request(source: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::InvalidRequest, Some(source.into()))
    }

    pub(crate) fn new(kind: FailureKind, source: Option<BoxError>) -> Self {
        let attempts = Vec::new();
        Self { inner: Box::new(Inner { kind, reason: None, attempts, url: None, source }) }
    }

    #[must_use]
    pub(crate) fn with_url(mut self, url: &Uri) -> Self {
        self.inner.url = Some(presentable(url));
        self
    }

    #[must_use]
    pub(crate) fn with_history(
        mut self,
        reason: Option<Reason>,
        attempts: Vec<AttemptRecord>,
    ) -> Self {
        self.inner.reason = reason;
        self.inner.attempts = attempts;
        self
    }

    /// What went wrong last.
    pub fn kind(&self) -> FailureKind {
        self.inner.kind
    }

    /// Why no further attempt was made, where the policy would have retried the failure.
    pub fn reason(&self) -> Option<Reason> {
        self.inner.reason
    }

    /// What every attempt came to, the first one first.
    pub fn attempts(&self) -> &[AttemptRecord] {
        &self.inner.attempts
    }

    /// Whether a limit on time was reached.
    pub fn is_timeout(&self) -> bool {
        self.inner.kind.is_timeout()
    }

    /// Whether no connection could be made: name, connection, or TLS.
    pub fn is_connect(&self) -> bool {
        matches!(
            self.inner.kind,
            FailureKind::Resolve
                | FailureKind::Connect
                | FailureKind::ConnectTimeout
                | FailureKind::Tls
        )
    }

    /// Whether the request could not be sent as it is: the URL, a header, the body.
    pub fn is_request(&self) -> bool {
        matches!(self.inner.kind, FailureKind::InvalidRequest | FailureKind::BodySpent)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, reason, attempts, url, source } = &*self.inner;
        match source {
            // A transport's error says its kind in words; below it are the details.
            Some(source) => write!(f, "{source}")?,
            None => write!(f, "{kind}")?,
        }
        if let Some(url) = url {
            write!(f, " ({url})")?;
        }
        match (reason, attempts.len()) {
            (Some(reason), made) => write!(f, "; given up after {made} attempts: {reason}"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { kind, reason, attempts, url, source } = &*self.inner;
        f.debug_struct("Error")
            .field("kind", kind)
            .field("reason", reason)
            .field("attempts", attempts)
            .field("url", url)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        // What `Display` has said already is passed over, so that a chain repeats nothing.
        self.inner.source.as_deref().and_then(|source| source.source())
    }
}

/// A URL without what may be secret: user name, password, query.
pub(crate) fn presentable(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{}", url.path())
}
