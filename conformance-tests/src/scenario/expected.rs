//! What must come of a call.

use core::fmt;
use core::time::Duration;

use redial_engine::{Delivery, FailureKind, Outcome, PauseCause};

/// What one attempt must come to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Attempted {
    /// What it may come to: where the network decides a race, more than one thing is right.
    pub any_of: Vec<Came>,
    /// Whether its connection must have served another request before; `None` for either.
    pub reused: Option<bool>,
}

impl Attempted {
    /// One of these.
    pub fn any_of(outcomes: impl IntoIterator<Item = Came>) -> Self {
        Self { any_of: outcomes.into_iter().collect(), reused: None }
    }

    /// The same, over a connection that has, or has not, served another request before.
    #[must_use]
    pub fn reused(self, reused: bool) -> Self {
        Self { reused: Some(reused), ..self }
    }

    /// Whether this is what the attempt came to.
    pub(crate) fn matches(&self, outcome: &Outcome, reused: bool) -> bool {
        self.any_of.iter().any(|came| came.matches(outcome))
            && self.reused.is_none_or(|required| required == reused)
    }
}

impl From<u16> for Attempted {
    fn from(status: u16) -> Self {
        Self::any_of([Came::Status(status)])
    }
}

impl From<FailureKind> for Attempted {
    fn from(kind: FailureKind) -> Self {
        Self::any_of([Came::Failure(kind, None)])
    }
}

impl From<(FailureKind, Delivery)> for Attempted {
    fn from((kind, delivery): (FailureKind, Delivery)) -> Self {
        Self::any_of([Came::Failure(kind, Some(delivery))])
    }
}

impl fmt::Display for Attempted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut separator = "";
        for came in &self.any_of {
            write!(f, "{separator}{came}")?;
            separator = " or ";
        }
        match self.reused {
            None => Ok(()),
            Some(true) => f.write_str(" (reused)"),
            Some(false) => f.write_str(" (fresh)"),
        }
    }
}

/// What an attempt comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Came {
    /// A response with this status.
    Status(u16),
    /// A failure of this kind, with this delivery where one is named.
    Failure(FailureKind, Option<Delivery>),
}

impl Came {
    pub(crate) fn matches(&self, outcome: &Outcome) -> bool {
        match (self, outcome) {
            (Self::Status(required), Outcome::Response { status, .. }) => required == status,
            (Self::Failure(kind, delivery), Outcome::Failure(failure)) => {
                *kind == failure.kind && delivery.is_none_or(|it| it == failure.delivery)
            }
            (Self::Status(_), Outcome::Failure(_))
            | (Self::Failure(..), Outcome::Response { .. }) => false,
        }
    }
}

impl fmt::Display for Came {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Status(status) => status.fmt(f),
            Self::Failure(kind, None) => kind.fmt(f),
            Self::Failure(kind, Some(delivery)) => write!(f, "{kind} ({delivery})"),
        }
    }
}

/// How a call must end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// With a response.
    Response {
        /// Its status.
        status: u16,
        /// Its body; `None` for any.
        body: Option<Vec<u8>>,
        /// Whether the body must have come to its end; `None` for either.
        complete: Option<bool>,
    },
    /// With an error of one of these kinds.
    Error(Vec<FailureKind>),
    /// The caller lost interest before it ended.
    Cancelled,
    /// The head came; reading the body failed with an error of one of these kinds.
    Body(Vec<FailureKind>),
}

impl End {
    /// A response with this status and this body.
    pub fn with(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self::Response { status, body: Some(body.into()), complete: Some(true) }
    }

    /// A response with this status, whatever its body.
    pub const fn status(status: u16) -> Self {
        Self::Response { status, body: None, complete: None }
    }

    /// An error of this kind.
    pub fn error(kind: FailureKind) -> Self {
        Self::Error(vec![kind])
    }
}

/// The waits of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Waits {
    /// The setup's backoff between attempts of different numbers, within its bounds (R-B-1).
    Backoff,
    /// These.
    These(Vec<Waited>),
}

/// One wait of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Waited {
    /// Why it is made.
    pub cause: PauseCause,
    /// The least that it may be.
    pub least: Duration,
    /// The most that it may be.
    pub most: Duration,
}

impl Waited {
    /// A wait that the server asked for: this long, not less and not more.
    pub const fn hinted(length: Duration) -> Self {
        Self { cause: PauseCause::ServerHint, least: length, most: length }
    }

    /// A wait that the server asked for, within these bounds.
    pub const fn hinted_between(least: Duration, most: Duration) -> Self {
        Self { cause: PauseCause::ServerHint, least, most }
    }

    /// The policy's own wait, within these bounds.
    pub const fn backoff(least: Duration, most: Duration) -> Self {
        Self { cause: PauseCause::Backoff, least, most }
    }
}

impl fmt::Display for Waited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {:?} to {:?}", self.cause.name(), self.least, self.most)
    }
}
