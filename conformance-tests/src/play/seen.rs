//! What a client saw when it played a scenario.

use core::error::Error as StdError;
use core::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Version};
use redial_client::{AttemptRecord, Error, PoolFigures, Response};
use redial_engine::{FailureKind, Reason};

/// What a client saw when it played a scenario.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Seen {
    /// What each call came to, in the order of the scenario.
    pub calls: Vec<CallSeen>,
    /// What the pool's figures were where an act looked at them, in that order.
    pub figures: Vec<Figures>,
    /// How many connections were still open when the patience of the scenario was over: while the
    /// client stood, and after it was dropped.
    pub left_open: (usize, usize),
}

/// What one call came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct CallSeen {
    /// How it ended.
    pub end: EndSeen,
    /// What each attempt came to; empty where the call was dropped.
    pub attempts: Vec<AttemptRecord>,
    /// Why it gave up.
    pub reason: Option<Reason>,
    /// How long it took.
    pub took: Duration,
}

/// How a call ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum EndSeen {
    /// With a response.
    Response {
        /// Its status.
        status: u16,
        /// The version of HTTP.
        version: Version,
        /// Its headers.
        headers: HeaderMap,
        /// Its body, as far as it was read.
        body: Bytes,
        /// Whether that is all of it.
        complete: bool,
    },
    /// The head came, and reading the body failed.
    Body(FailureKind),
    /// With an error.
    Error {
        /// Its kind.
        kind: FailureKind,
        /// What it and its sources say.
        text: String,
    },
    /// It was dropped.
    Cancelled,
}

/// A pool's figures, and what they had to be.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Figures {
    /// What they were, at last.
    pub found: PoolFigures,
    /// Whether they were what they had to be.
    pub right: bool,
}

impl CallSeen {
    pub(super) fn of_response(response: &Response, took: Duration) -> Self {
        Self {
            end: EndSeen::Response {
                status: response.status().as_u16(),
                version: response.version(),
                headers: response.headers().clone(),
                body: response.body().clone(),
                complete: response.is_complete(),
            },
            attempts: response.attempts().to_vec(),
            reason: response.reason(),
            took,
        }
    }

    pub(super) fn of_error(error: &Error, took: Duration) -> Self {
        Self {
            end: EndSeen::Error { kind: error.kind(), text: in_one_line(error) },
            attempts: error.attempts().to_vec(),
            reason: error.reason(),
            took,
        }
    }

    /// A response whose body nobody reads.
    pub(super) fn of_head(
        status: u16,
        version: Version,
        headers: &HeaderMap,
        attempts: &[AttemptRecord],
        reason: Option<Reason>,
    ) -> Self {
        let (headers, body) = (headers.clone(), Bytes::new());
        let end = EndSeen::Response { status, version, headers, body, complete: false };
        Self { end, attempts: attempts.to_vec(), reason, took: Duration::ZERO }
    }

    pub(super) const fn cancelled(took: Duration) -> Self {
        Self { end: EndSeen::Cancelled, attempts: Vec::new(), reason: None, took }
    }

    /// The same call, of whose response the body could not be read.
    pub(super) fn with_broken_body(
        attempts: &[AttemptRecord],
        reason: Option<Reason>,
        error: &Error,
        took: Duration,
    ) -> Self {
        Self { end: EndSeen::Body(error.kind()), attempts: attempts.to_vec(), reason, took }
    }
}

/// The head of a streaming response, of either client; the response is dropped.
macro_rules! of_head {
    ($response:expr) => {{
        let response = $response;
        CallSeen::of_head(
            response.status().as_u16(),
            response.version(),
            response.headers(),
            response.attempts(),
            response.reason(),
        )
    }};
}
pub(super) use of_head;

/// An error and its sources in one line.
fn in_one_line(error: &dyn StdError) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line
}
