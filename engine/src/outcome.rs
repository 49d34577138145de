//! What an attempt came to, and what the engine has to know of the request to judge it.

use core::fmt;
use core::time::Duration;

use crate::time::{duration, nanos};

/// What an attempt came to: a response, or a failure.
///
/// Exhaustive on purpose: an attempt has no third end, and a driver must handle both.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// A response head arrived. For a buffered caller the body has arrived as well (R-D-8).
    Response {
        /// The status code, 100 to 999.
        status: u16,
        /// What the server asked for beside the status.
        hint: ServerHint,
    },
    /// No usable response arrived.
    Failure(Failure),
}

impl Outcome {
    /// A response without a hint.
    pub const fn status(status: u16) -> Self {
        Self::Response { status, hint: ServerHint::NONE }
    }

    /// A response with a hint.
    pub const fn hinted(status: u16, hint: ServerHint) -> Self {
        Self::Response { status, hint }
    }

    /// A failure on a fresh connection.
    pub const fn failure(kind: FailureKind, delivery: Delivery) -> Self {
        Self::Failure(Failure::new(kind, delivery))
    }

    /// How long the server asked to wait, in nanoseconds; zero where it asked for nothing.
    #[inline]
    pub(crate) const fn hint_nanos(&self) -> u64 {
        match self {
            Self::Response { hint, .. } => hint.wait_nanos(),
            Self::Failure(_) => 0,
        }
    }

    /// Whether it is proved that the server saw nothing of the request.
    pub const fn is_unsent(&self) -> bool {
        matches!(self, Self::Failure(Failure { delivery: Delivery::Unsent, .. }))
    }
}

/// What the server asked for beside its status.
///
/// The default is [`ServerHint::NONE`]: the server asked for nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ServerHint {
    /// Nanoseconds; zero where the server asked for no wait.
    after: u64,
    should_retry: Option<bool>,
}

impl ServerHint {
    /// The server asked for nothing.
    pub const NONE: Self = Self { after: 0, should_retry: None };

    /// The server asked to wait this long before another attempt (`Retry-After`).
    ///
    /// Zero says nothing about how long to wait and is no hint (R-RA-4). A wait beyond 584 years is
    /// 584 years (R-RA-7).
    #[must_use]
    pub const fn after(self, wait: Duration) -> Self {
        Self { after: nanos(wait), ..self }
    }

    /// The server said whether another attempt makes sense (`x-should-retry`, R-D-10).
    #[must_use]
    pub const fn should_retry(self, yes: bool) -> Self {
        Self { should_retry: Some(yes), ..self }
    }

    /// How long the server asked to wait; never zero.
    pub const fn wait(&self) -> Option<Duration> {
        if self.after == 0 { None } else { Some(duration(self.after)) }
    }

    /// How long the server asked to wait, in nanoseconds; zero where it asked for nothing.
    #[inline]
    pub(crate) const fn wait_nanos(&self) -> u64 {
        self.after
    }

    /// Whether the server said that another attempt makes sense.
    pub const fn says_retry(&self) -> Option<bool> {
        self.should_retry
    }
}

/// Why an attempt brought no usable response, and what is known of the request's fate.
///
/// Its three fields are all that a transport reports; none of them is a decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What went wrong.
    pub kind: FailureKind,
    /// What is known of the request reaching the server.
    pub delivery: Delivery,
    /// Whether the connection had served another request before.
    pub reused: bool,
}

impl Failure {
    /// A failure on a fresh connection.
    pub const fn new(kind: FailureKind, delivery: Delivery) -> Self {
        Self { kind, delivery, reused: false }
    }

    /// The same failure on a connection that had served another request before.
    #[must_use]
    pub const fn on_reused(self) -> Self {
        Self { reused: true, ..self }
    }

    /// Whether the connection died unused in the pool, so that the request may be sent again at
    /// once whatever its method (R-D-7).
    pub(crate) const fn is_stale_connection(&self) -> bool {
        self.reused
            && matches!(self.delivery, Delivery::Unsent)
            && matches!(
                self.kind,
                FailureKind::Closed | FailureKind::Reset | FailureKind::GoAway { graceful: true }
            )
    }
}

/// What is known of the request reaching the server.
///
/// Exhaustive on purpose: repeating a request safely rests on this one question.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Delivery {
    /// Proved: no byte of the request can have been processed.
    Unsent,
    /// The request may have been processed.
    Unknown,
    /// A response head came; the failure is in its body.
    Answered,
}

impl Delivery {
    /// The name in reports: the variant's in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unsent => "unsent",
            Self::Unknown => "unknown",
            Self::Answered => "answered",
        }
    }
}

impl fmt::Display for Delivery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Whether the request may be sent again.
///
/// The engine knows no method: whoever begins a call derives this from the method, the request's
/// own marks and the body (R-D-4, R-D-5). With feature `http`, `ReplayRules` does.
///
/// Exhaustive on purpose: a third-party rule set must be able to name every case.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(rename_all = "snake_case", expecting = "a word such as \"if_unsent\"")
)]
pub enum Replay {
    /// The request is idempotent (RFC 9110 9.2.2): it may be repeated whatever became of it.
    Freely,
    /// It may be repeated only where it is proved that the server saw nothing of it.
    IfUnsent,
    /// It is never repeated.
    #[default]
    Never,
}

macro_rules! failure_kinds {
    ($($(#[$doc:meta])* $variant:ident $({ $field:ident: $value:literal })? = $name:literal,)*) => {
        impl FailureKind {
            /// Every kind once, in the order of an attempt's life; GOAWAY in its graceful form.
            pub const ALL: &'static [Self] = &[$(Self::$variant $({ $field: $value })?),*];

            /// The name in reports and configurations: the variant's in snake_case.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant $({ $field: _ })? => $name,)*
                }
            }

            /// Which bit stands for this kind in a table of kinds.
            #[inline]
            pub(crate) const fn bit(self) -> u32 {
                match self {
                    $(Self::$variant $({ $field: _ })? => 1 << (Position::$variant as u32),)*
                }
            }
        }

        enum Position { $($variant),* }
    };
}

/// What went wrong in an attempt that brought no usable response.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// The name could not be resolved.
    Resolve,
    /// No connection could be made, or it was lost while it was being made.
    Connect,
    /// No usable connection stood within the connect timeout (R-T-1).
    ConnectTimeout,
    /// TLS was refused: a bad certificate, or no common version or protocol (R-X-5).
    Tls,
    /// No connection slot came free within the pool timeout (R-T-4).
    PoolTimeout,
    /// The peer accepted no request bytes for the length of the write timeout (R-T-3).
    WriteTimeout,
    /// No response bytes came for the length of the read timeout (R-T-2).
    ReadTimeout,
    /// The attempt as a whole took longer than its own timeout (R-T-5).
    AttemptTimeout,
    /// The call's deadline cut the attempt off (R-T-5).
    Deadline,
    /// The peer or the network broke the connection.
    Reset,
    /// The stream ended before any byte of the response.
    Closed,
    /// The stream ended inside the response's head or body.
    Truncated,
    /// HTTP/2: the server refused the stream (RFC 9113 8.7).
    RefusedStream,
    /// HTTP/2: the server went away and said that it had not processed the stream (RFC 9113 6.8).
    GoAway {
        /// Whether it left without an error (`NO_ERROR`), as in an orderly restart.
        graceful: bool,
    },
    /// HTTP/2: the server reset the stream.
    StreamReset,
    /// This side broke the protocol: the connection fell out of step.
    LocalProtocol,
    /// The response was malformed.
    RemoteProtocol,
    /// The response was larger than the caller allows.
    ResponseTooLarge,
    /// The request cannot be sent as it is.
    InvalidRequest,
    /// The body could be produced only once, and was.
    BodySpent,
    /// A limit of this process stands in the way until somebody raises it, such as that of open
    /// files; the source says which.
    LocalLimit,
    /// The client was closed, or the runtime is gone that it was built on; the source says which.
    ClientClosed,
    /// Something that has no kind of its own.
    Other,
}

failure_kinds! {
    Resolve = "resolve",
    Connect = "connect",
    ConnectTimeout = "connect_timeout",
    Tls = "tls",
    PoolTimeout = "pool_timeout",
    WriteTimeout = "write_timeout",
    ReadTimeout = "read_timeout",
    AttemptTimeout = "attempt_timeout",
    Deadline = "deadline",
    Reset = "reset",
    Closed = "closed",
    Truncated = "truncated",
    RefusedStream = "refused_stream",
    GoAway { graceful: true } = "go_away",
    StreamReset = "stream_reset",
    LocalProtocol = "local_protocol",
    RemoteProtocol = "remote_protocol",
    ResponseTooLarge = "response_too_large",
    InvalidRequest = "invalid_request",
    BodySpent = "body_spent",
    LocalLimit = "local_limit",
    ClientClosed = "client_closed",
    Other = "other",
}

impl FailureKind {
    /// The kind that has this name in reports and configurations.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.name() == name)
    }

    /// Whether a limit on time was reached.
    pub const fn is_timeout(self) -> bool {
        matches!(
            self,
            Self::ConnectTimeout
                | Self::PoolTimeout
                | Self::WriteTimeout
                | Self::ReadTimeout
                | Self::AttemptTimeout
                | Self::Deadline
        )
    }
}

impl fmt::Display for FailureKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_a_bit_and_a_name_of_its_own() {
        let bits = FailureKind::ALL.iter().fold(0_u32, |bits, kind| {
            assert_eq!(bits & kind.bit(), 0, "{kind}");
            assert_eq!(FailureKind::from_name(kind.name()), Some(*kind));
            bits | kind.bit()
        });
        assert_eq!(bits.count_ones() as usize, FailureKind::ALL.len());
        let rude = FailureKind::GoAway { graceful: false };
        assert_eq!(rude.bit(), FailureKind::GoAway { graceful: true }.bit());
    }
}
