//! From a request to whether it may be repeated.

use alloc::vec::Vec;

use http::header::{HeaderMap, HeaderName};
use http::{Method, Request};

use crate::outcome::Replay;

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

/// Which requests may be repeated.
///
/// The default is RFC 9110 9.2.2: GET, HEAD, OPTIONS, TRACE, QUERY, PUT and DELETE freely, every
/// other method never, whatever became of it (R-D-4).
///
/// ```
/// use http::Method;
/// use redial_engine::{Replay, ReplayRules};
///
/// let rules = ReplayRules::default().others(Replay::IfUnsent).idempotency_key(true);
/// let post = http::Request::post("/").header("idempotency-key", "\"8e03\"").body(())?;
/// assert_eq!(rules.replay(&post), Replay::Freely);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReplayRules {
    pub(crate) repeatable: Vec<Method>,
    pub(crate) others: Replay,
    pub(crate) idempotency_key: bool,
}

impl ReplayRules {
    /// The methods that are repeated freely by default.
    pub(crate) const IDEMPOTENT: [&str; 7] =
        ["GET", "HEAD", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"];

    /// Repeats this method freely as well.
    #[must_use]
    pub fn repeat(mut self, method: Method) -> Self {
        if !self.repeatable.contains(&method) {
            self.repeatable.push(method);
        }
        self
    }

    /// Treats this method as one that is not known to be idempotent.
    #[must_use]
    pub fn never_repeat(mut self, method: &Method) -> Self {
        self.repeatable.retain(|other| other != method);
        self
    }

    /// What holds for every method that is not repeated freely: [`Replay::Never`].
    #[must_use]
    pub fn others(self, replay: Replay) -> Self {
        Self { others: replay, ..self }
    }

    /// Whether a request with an `Idempotency-Key` header may be repeated freely: no.
    #[must_use]
    pub fn idempotency_key(self, yes: bool) -> Self {
        Self { idempotency_key: yes, ..self }
    }

    /// Whether this request may be repeated.
    pub fn replay<B>(&self, request: &Request<B>) -> Replay {
        self.judge(request.method(), request.headers())
    }

    /// Whether a request with this method and these headers may be repeated.
    pub fn judge(&self, method: &Method, headers: &HeaderMap) -> Replay {
        let keyed = self.idempotency_key && headers.contains_key(IDEMPOTENCY_KEY);
        if keyed || self.repeatable.contains(method) { Replay::Freely } else { self.others }
    }

    /// Rules that repeat the methods with these names.
    pub(crate) fn of<'a>(
        names: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, http::method::InvalidMethod> {
        let repeatable = names
            .into_iter()
            .map(|name| Method::from_bytes(name.as_bytes()))
            .collect::<Result<_, _>>()?;
        Ok(Self { repeatable, others: Replay::Never, idempotency_key: false })
    }
}

impl Default for ReplayRules {
    fn default() -> Self {
        // The names are methods, so the fallback, which repeats nothing, is never taken.
        Self::of(Self::IDEMPOTENT).unwrap_or(Self {
            repeatable: Vec::new(),
            others: Replay::Never,
            idempotency_key: false,
        })
    }
}
