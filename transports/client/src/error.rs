//! Why a call brought no usable response.

use core::error::Error as StdError;
use core::fmt;

use http::{StatusCode, Uri};
use redial_engine::{Delivery, Failure, FailureKind, Reason};

use crate::history::{AttemptRecord, History};
use crate::transport::{BoxError, TransportError, describe};

/// Why a call brought no usable response, or what is wrong with the one that it brought.
///
/// It keeps the last attempt's failure and its source, the reason why no further attempt was made,
/// and the history of attempts. It shows a URL without credentials or query (R-C-10, R-O-3).
pub struct Error {
    inner: Box<Inner>,
}

struct Inner {
    what: What,
    reason: Option<Reason>,
    attempts: History,
    url: Option<String>,
    source: Option<BoxError>,
}

/// What went wrong.
#[derive(Clone, Copy, Debug)]
enum What {
    Failure(Failure),
    /// The caller wants no response of this status.
    Status(StatusCode),
    /// The body of a response of this status is not what the caller reads it as.
    #[cfg_attr(not(feature = "json"), allow(dead_code, reason = "there is nothing to decode"))]
    Decode(StatusCode),
}

impl Error {
    pub(crate) fn of_transport(error: TransportError) -> Self {
        Self::of(What::Failure(error.failure()), Some(error.into()))
    }

    pub(crate) fn invalid_request(source: impl Into<BoxError>) -> Self {
        Self::new(FailureKind::InvalidRequest, Some(source.into()))
    }

    /// The call was given up half way, because what carries it out does not run.
    pub(crate) fn stalled(source: impl Into<BoxError>) -> Self {
        let failure = Failure::new(FailureKind::Other, Delivery::Unknown);
        Self::of_transport(TransportError::with_source(failure, source))
    }

    pub(crate) fn of_status(status: StatusCode) -> Self {
        Self::of(What::Status(status), None)
    }

    #[cfg(feature = "json")]
    pub(crate) fn of_decoding(status: StatusCode, source: impl Into<BoxError>) -> Self {
        Self::of(What::Decode(status), Some(source.into()))
    }

    /// A failure before anything was sent.
    pub(crate) fn new(kind: FailureKind, source: Option<BoxError>) -> Self {
        Self::of(What::Failure(Failure::new(kind, Delivery::Unsent)), source)
    }

    fn of(what: What, source: Option<BoxError>) -> Self {
        let (reason, attempts, url) = (None, History::new(), None);
        Self { inner: Box::new(Inner { what, reason, attempts, url, source }) }
    }

    #[must_use]
    pub(crate) fn with_url(mut self, url: &Uri) -> Self {
        self.inner.url = Some(presentable(url));
        self
    }

    #[must_use]
    pub(crate) fn with_history(mut self, reason: Option<Reason>, attempts: History) -> Self {
        self.inner.reason = reason;
        self.inner.attempts = attempts;
        self
    }

    /// What went wrong last; [`FailureKind::Other`] where the call itself went well, and what was
    /// made of its response did not: see [`Error::is_status`] and [`Error::is_decode`].
    pub fn kind(&self) -> FailureKind {
        self.failure().map_or(FailureKind::Other, |failure| failure.kind)
    }

    /// The failure as the engine judged it; `None` where the call itself went well.
    pub fn failure(&self) -> Option<Failure> {
        match self.inner.what {
            What::Failure(failure) => Some(failure),
            What::Status(_) | What::Decode(_) => None,
        }
    }

    /// The status of the response, where there is one and the error is about it.
    pub fn status(&self) -> Option<StatusCode> {
        match self.inner.what {
            What::Failure(_) => None,
            What::Status(status) | What::Decode(status) => Some(status),
        }
    }

    /// The URL, without user name, password, query and fragment; `None` where it is none.
    pub fn url(&self) -> Option<&str> {
        self.inner.url.as_deref()
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
        self.kind().is_timeout()
    }

    /// Whether no connection could be made: name, connection, or TLS.
    pub fn is_connect(&self) -> bool {
        matches!(
            self.kind(),
            FailureKind::Resolve
                | FailureKind::Connect
                | FailureKind::ConnectTimeout
                | FailureKind::Tls
        )
    }

    /// Whether the request could not be sent as it is: the URL, a header, the body.
    pub fn is_request(&self) -> bool {
        matches!(self.kind(), FailureKind::InvalidRequest | FailureKind::BodySpent)
    }

    /// Whether the head of a response came, and its body failed.
    pub fn is_body(&self) -> bool {
        self.failure().is_some_and(|failure| failure.delivery == Delivery::Answered)
    }

    /// Whether this is what `error_for_status` makes of a status of 400 or above.
    pub fn is_status(&self) -> bool {
        matches!(self.inner.what, What::Status(_))
    }

    /// Whether the body came and is not what it was read as.
    pub fn is_decode(&self) -> bool {
        matches!(self.inner.what, What::Decode(_))
    }

    /// Whether the client was closed before the call, or the runtime is gone that it was built on,
    /// which the source then says.
    pub fn is_closed(&self) -> bool {
        self.kind() == FailureKind::ClientClosed
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { what, reason, attempts, url, source } = &*self.inner;
        match (what, source) {
            (What::Status(status), _) => write!(f, "the server answered {status}")?,
            (What::Decode(_), _) => f.write_str("the response is not what it was read as")?,
            // A transport's error says its kind in words; below it are the details.
            (What::Failure(_), Some(source)) => write!(f, "{source}")?,
            (What::Failure(failure), None) => f.write_str(describe(failure.kind))?,
        }
        if let Some(url) = url {
            write!(f, " ({url})")?;
        }
        // What was sent again at once is no other attempt (R-D-7).
        match (reason, attempts.last().map_or(0, |last| last.number)) {
            (Some(reason), 1) => write!(f, "; given up after 1 attempt: {reason}"),
            (Some(reason), made) => write!(f, "; given up after {made} attempts: {reason}"),
            (None, _) => Ok(()),
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Inner { what, reason, attempts, url, source } = &*self.inner;
        f.debug_struct("Error")
            .field("what", what)
            .field("reason", reason)
            .field("attempts", attempts)
            .field("url", url)
            .field("source", source)
            .finish()
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        let source = self.inner.source.as_deref()?;
        match self.inner.what {
            // What `Display` has said already is passed over, so that a chain repeats nothing.
            What::Failure(_) => source.source(),
            What::Status(_) | What::Decode(_) => Some(source),
        }
    }
}

/// A URL without what may be secret: user name, password, query.
pub(crate) fn presentable(url: &Uri) -> String {
    let scheme = url.scheme_str().unwrap_or("http");
    let authority = url.authority().map_or("", |authority| authority.as_str());
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    format!("{scheme}://{host}{}", url.path())
}
