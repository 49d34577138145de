//! What a transport is: it sends one request once, and reports what became of it.

use core::error::Error as StdError;
use core::fmt;
use core::future::{self, Future};
use core::pin::Pin;
use core::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::UnsyncBoxBody;
use redial_engine::{Cutoff, Delivery, Failure, FailureKind, Timestamp};

use crate::body::Body;
use crate::clock::Clock;
use crate::error::presentable;
use crate::origin::{Origin, OriginError};

/// A future on the heap: one small allocation an attempt buys one `Client` type for all transports.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Any error, as the source of one of ours.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The body of a response as it arrives.
///
/// Its errors say how it failed; the delivery is then `Answered`. Dropping it before its end gives
/// up the response: the connection is closed, or the stream reset.
pub type ResponseBody = UnsyncBoxBody<Bytes, TransportError>;

/// Sends one request once: no retry, no redirect, no decision.
///
/// Of every failure a transport answers two questions: what kind, and what is known of the request
/// reaching the server. It never re-sends by itself, not even what came back unsent: the engine
/// alone decides that (R-D-7).
///
/// A transport keeps the exchange's limits: a failure by one of the [`Timeouts`] has that
/// timeout's kind, one by the [`Cutoff`] has [`Cutoff::kind`]. Dropping the future of `send` cancels
/// the exchange, and frees its connection slot (R-T-7).
pub trait Transport: Send + Sync + 'static {
    /// The name by which users choose this transport, such as `tokio`.
    fn name(&self) -> &'static str;

    /// Sends a request once. Answers when the response head has arrived.
    ///
    /// # Errors
    ///
    /// [`TransportError`], with the transport's own error as its source.
    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>>;

    /// The clock of the runtime that this transport lives on.
    fn clock(&self) -> &dyn Clock;

    /// What its connections are doing now, and have done so far (R-P-9).
    fn pool(&self) -> PoolFigures;

    /// Completes when whatever carries out this transport's work has had a turn, or will have none
    /// any more. Ready at once by default, which is right where that is a thread of its own.
    ///
    /// A blocking call that waits for long asks for it: inside a task of the runtime that the
    /// transport lives on, it may be itself what that waits for (R-C-7).
    fn turn(&self) -> BoxFuture<'static, ()> {
        Box::pin(future::ready(()))
    }

    /// Closes idle connections now, and every other when its exchange ends: none is kept from here
    /// on. Exchanges are still served, because a call that is under way may have to be retried; to
    /// refuse new calls is the client's part. Calling it again does nothing.
    fn close(&self);
}

/// One request, and the limits under which it is sent once.
#[non_exhaustive]
pub struct Exchange {
    /// Where the request goes: what its URI says.
    pub origin: Origin,
    /// The request. Its URI is absolute; its headers are the caller's, without framing, and with a
    /// `Host` only where the caller wants another than the URI's.
    pub request: http::Request<Body>,
    /// The longest silences.
    pub timeouts: Timeouts,
    /// When the whole attempt ends, head and body, and by which limit.
    pub cutoff: Option<Cutoff>,
    /// Whether only a connection will do that has served no request before.
    pub fresh_connection: bool,
    /// When the attempt was begun, on the transport's clock, where somebody has looked at that just
    /// now: it need not be looked at again, which costs more than it seems.
    pub begun: Option<Timestamp>,
}

impl Exchange {
    /// A request to where its URI leads, under these limits, over any connection.
    ///
    /// # Errors
    ///
    /// [`OriginError`] where the URI does not say where it leads.
    pub fn of(request: http::Request<Body>, timeouts: Timeouts) -> Result<Self, OriginError> {
        Ok(Self::new(Origin::of(request.uri())?, request, timeouts))
    }

    /// A request to this origin, which is its URI's, under these limits, over any connection.
    pub const fn new(origin: Origin, request: http::Request<Body>, timeouts: Timeouts) -> Self {
        let (cutoff, fresh_connection, begun) = (None, false, None);
        Self { origin, request, timeouts, cutoff, fresh_connection, begun }
    }
}

impl fmt::Debug for Exchange {
    /// Shows no header, no query and no body: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange")
            .field("method", self.request.method())
            .field("url", &presentable(self.request.uri()))
            .field("timeouts", &self.timeouts)
            .field("cutoff", &self.cutoff)
            .field("fresh_connection", &self.fresh_connection)
            .finish_non_exhaustive()
    }
}

/// A response head, and the body as it arrives.
#[non_exhaustive]
pub struct Answer {
    /// The response.
    pub response: http::Response<ResponseBody>,
    /// Whether the connection had served another request before.
    pub reused: bool,
}

impl Answer {
    /// A response over a connection that had, or had not, served another request before.
    pub const fn new(response: http::Response<ResponseBody>, reused: bool) -> Self {
        Self { response, reused }
    }
}

impl fmt::Debug for Answer {
    /// Shows no header and no body: they may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.response.status())
            .field("reused", &self.reused)
            .finish_non_exhaustive()
    }
}

/// The longest silences of an exchange (R-T-1 to R-T-4).
///
/// The default is [`Timeouts::DEFAULT`]. Zero means "at once", and what is too long for the clock
/// means "never" (R-T-8).
///
/// Not `#[non_exhaustive]`, for the same reason as [`PoolLimits`](crate::PoolLimits): a literal can
/// name those that differ.
///
/// ```
/// use core::time::Duration;
/// use redial_client::Timeouts;
///
/// const PATIENT: Timeouts = Timeouts { read: Duration::from_secs(60), ..Timeouts::DEFAULT };
/// assert_eq!(PATIENT.connect, Timeouts::DEFAULT.connect);
/// ```
#[allow(clippy::exhaustive_structs, reason = "see above")]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// From starting to connect (DNS, TCP, TLS) to a usable connection: 5 s.
    pub connect: Duration,
    /// While waiting for bytes of the response, head or body: 10 s.
    pub read: Duration,
    /// While the peer accepts no bytes of the request, and there are some: 5 s.
    pub write: Duration,
    /// While waiting for a connection slot: 2 s.
    pub pool: Duration,
}

impl Timeouts {
    /// Connect 5 s, read 10 s, write 5 s, pool 2 s.
    pub const DEFAULT: Self = Self {
        connect: Duration::from_secs(5),
        read: Duration::from_secs(10),
        write: Duration::from_secs(5),
        pool: Duration::from_secs(2),
    };

    /// For services that think before they answer: connect 5 s, read 30 s, write 10 s, pool 2 s
    /// (R-C-11).
    pub const SLOW_API: Self =
        Self { read: Duration::from_secs(30), write: Duration::from_secs(10), ..Self::DEFAULT };

    /// For services that answer at once or not at all: connect 2 s, read 5 s, write 3 s, pool 2 s
    /// (R-C-11).
    pub const FAST_API: Self = Self {
        connect: Duration::from_secs(2),
        read: Duration::from_secs(5),
        write: Duration::from_secs(3),
        ..Self::DEFAULT
    };
}

impl Default for Timeouts {
    fn default() -> Self {
        Self::DEFAULT
    }
}

/// What a transport's connections are doing now, and have done so far (R-P-9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolFigures {
    /// Connections that exist now, from the start of connecting until the socket is closed.
    pub open: usize,
    /// Connections that wait for a request.
    pub idle: usize,
    /// Connections that are being made.
    pub connecting: usize,
    /// Connections that serve a request.
    pub in_use: usize,
    /// Requests that wait for a connection slot.
    pub waiting: usize,
    /// Connections opened so far, but for those that were not wanted any more by then.
    pub opened_total: u64,
    /// Times so far that a request was given a connection which had served another, also where it was
    /// found to have ended since.
    pub reused_total: u64,
    /// Connections closed so far to make room: idle ones, and those that were being opened for nobody
    /// any more.
    pub evicted_total: u64,
    /// Idle connections closed so far because they were idle for too long.
    pub expired_total: u64,
    /// Requests so far that waited too long for a slot.
    pub pool_timeouts: u64,
}

/// Why a transport brought no usable response.
#[derive(Debug)]
pub struct TransportError {
    failure: Failure,
    source: Option<BoxError>,
}

impl TransportError {
    /// A failure without an error of the transport's own, such as a timeout.
    pub const fn new(failure: Failure) -> Self {
        Self { failure, source: None }
    }

    /// A failure that the transport's own error explains.
    pub fn with_source(failure: Failure, source: impl Into<BoxError>) -> Self {
        Self { failure, source: Some(source.into()) }
    }

    /// A failure of this kind, before anything was sent.
    pub const fn unsent(kind: FailureKind) -> Self {
        Self::new(Failure::new(kind, Delivery::Unsent))
    }

    /// The same on a connection that had served another request before.
    #[must_use]
    pub fn on_reused(mut self) -> Self {
        self.failure = self.failure.on_reused();
        self
    }

    /// What the engine is told.
    pub const fn failure(&self) -> Failure {
        self.failure
    }
}

impl fmt::Display for TransportError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(describe(self.failure.kind))
    }
}

impl StdError for TransportError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as &(dyn StdError + 'static))
    }
}

/// What a kind of failure means, in words that complete "the attempt failed: ...".
pub(crate) const fn describe(kind: FailureKind) -> &'static str {
    match kind {
        FailureKind::Resolve => "the name could not be resolved",
        FailureKind::Connect => "no connection could be made",
        FailureKind::ConnectTimeout => "no connection stood within the connect timeout",
        FailureKind::Tls => "TLS was refused",
        FailureKind::PoolTimeout => "no connection slot came free within the pool timeout",
        FailureKind::WriteTimeout => "the server accepted no bytes within the write timeout",
        FailureKind::ReadTimeout => "no bytes of the response came within the read timeout",
        FailureKind::AttemptTimeout => "the attempt took longer than its timeout",
        FailureKind::Deadline => "the call's deadline came",
        FailureKind::Reset => "the connection was broken",
        FailureKind::Closed => "the connection was closed before the response",
        FailureKind::Truncated => "the response was cut off",
        FailureKind::RefusedStream => "the server refused the stream",
        FailureKind::GoAway { .. } => "the server went away before it processed the request",
        FailureKind::StreamReset => "the server reset the stream",
        FailureKind::LocalProtocol => "the connection fell out of step",
        FailureKind::RemoteProtocol => "the response was malformed",
        FailureKind::ResponseTooLarge => "the response was larger than allowed",
        FailureKind::InvalidRequest => "the request cannot be sent as it is",
        FailureKind::BodySpent => "the body can be produced only once",
        FailureKind::LocalLimit => "a limit of this process stands in the way",
        FailureKind::ClientClosed => "the client is closed",
        FailureKind::Other | _ => "the transport failed",
    }
}
