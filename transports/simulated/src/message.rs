//! A transport without bytes: whole messages, for scale.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use core::time::Duration;

use bytes::Bytes;
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt as _, Empty, Full};
use redial_client::{
    Answer, BoxFuture, Clock, Exchange, PoolFigures, ResponseBody, Timeouts, Transport,
    TransportError,
};
use redial_engine::{Cutoff, Delivery, Failure, FailureKind, Timestamp};

use crate::executor::{Sleep, VirtualTime};

/// What becomes of each request that a [`MessageTransport`] sends.
pub trait Script: Send + Sync + 'static {
    /// What becomes of this request, which is sent now.
    fn fate(&self, exchange: &Exchange, now: Timestamp) -> Fate;
}

/// What becomes of one request.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever scripts")]
pub struct Fate {
    /// After how long. Zero takes no event.
    pub after: Duration,
    /// What.
    pub end: End,
}

/// How one exchange ends.
#[derive(Debug)]
#[allow(clippy::exhaustive_enums, reason = "made by whoever scripts")]
pub enum End {
    /// A response comes.
    Response(Reply),
    /// The exchange fails.
    Failure(Failure),
    /// Nothing more comes, until the limit of this kind is reached.
    Silence(Silence),
}

/// What an exchange waits for in vain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "one for each of the timeouts")]
pub enum Silence {
    /// A slot in the connection pool.
    Pool,
    /// A connection.
    Connect,
    /// That the server takes the request.
    Write,
    /// The response.
    Read,
}

impl End {
    /// Whether the request's body is pulled: not where nothing of the request was sent.
    const fn takes_body(&self) -> bool {
        match self {
            Self::Response(_) | Self::Silence(Silence::Write | Silence::Read) => true,
            Self::Failure(failure) => !matches!(failure.delivery, Delivery::Unsent),
            Self::Silence(Silence::Pool | Silence::Connect) => false,
        }
    }
}

/// A response, and how its body ends.
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever scripts")]
pub struct Reply {
    /// The status; one that HTTP has no room for (RFC 9110 15) is sent as 200.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, as far as it comes.
    pub body: Bytes,
    /// What comes after it instead of its end.
    pub broken: Option<Broken>,
    /// Whether the connection had served another request before.
    pub reused: bool,
}

impl Reply {
    /// A response with this status, without headers and body, on a fresh connection.
    pub fn status(status: u16) -> Self {
        let (headers, body) = (HeaderMap::new(), Bytes::new());
        Self { status, headers, body, broken: None, reused: false }
    }
}

/// How a body goes on that does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "a body fails or is silent")]
pub enum Broken {
    /// It fails.
    Failure(FailureKind),
    /// Nothing more comes.
    Silence,
}

/// Sends whole messages through virtual time: no bytes, no connections, no pool.
///
/// It keeps the limits of an exchange as every transport does: its timeouts and its cutoff.
#[derive(Clone)]
pub struct MessageTransport<S> {
    time: VirtualTime,
    script: S,
}

impl<S: Script> MessageTransport<S> {
    /// A transport in this time, under this script.
    pub const fn new(time: VirtualTime, script: S) -> Self {
        Self { time, script }
    }
}

impl<S: Script> Transport for MessageTransport<S> {
    fn name(&self) -> &'static str {
        "simulated"
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        let now = self.time.now();
        let mut fate = self.script.fate(&exchange, now);
        let limits = Limits { timeouts: exchange.timeouts, cutoff: exchange.cutoff };
        let at = limits.cut(now, &mut fate);
        let body = exchange.request.into_body();
        let taken = (!body.is_end_stream() && fate.end.takes_body()).then_some(body);
        let sleep = (at > now).then(|| self.time.sleep_until(at));
        let result = match fate.end {
            End::Response(reply) => Some(Ok(self.answer(reply, limits))),
            End::Failure(failure) => Some(Err(TransportError::new(failure))),
            // Cut, where there is any limit.
            End::Silence(_) => None,
        };
        Box::pin(Sending { taken, sleep, result })
    }

    fn clock(&self) -> &dyn Clock {
        &self.time
    }

    fn pool(&self) -> PoolFigures {
        PoolFigures::default()
    }

    fn close(&self) {}
}

impl<S: Script> MessageTransport<S> {
    fn answer(&self, reply: Reply, limits: Limits) -> Answer {
        let Reply { status, headers, body, broken, reused } = reply;
        let body = match broken {
            // It has no size, and so takes no memory.
            None if body.is_empty() => {
                ResponseBody::new(Empty::new().map_err(|never| match never {}))
            }
            None => ResponseBody::new(Full::new(body).map_err(|never| match never {})),
            Some(broken) => ResponseBody::new(BrokenBody {
                body: Some(body).filter(|body| !body.is_empty()),
                broken,
                limits,
                time: self.time.clone(),
                sleep: None,
                over: false,
            }),
        };
        let mut response = http::Response::new(body);
        if let Ok(status) = http::StatusCode::from_u16(status) {
            *response.status_mut() = status;
        }
        *response.headers_mut() = headers;
        Answer::new(response, reused)
    }
}

impl<S> fmt::Debug for MessageTransport<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageTransport").field("time", &self.time).finish_non_exhaustive()
    }
}

/// An exchange under way, whose end is known to all but the client.
struct Sending {
    /// The body of the request, as far as it is not read.
    taken: Option<redial_client::Body>,
    /// Until its end.
    sleep: Option<Sleep>,
    /// What it comes to; `None` where it has no end.
    result: Option<Result<Answer, TransportError>>,
}

impl Sending {
    /// Reads the body to its end. One that fails makes a request that cannot be sent.
    fn poll_taken(&mut self, context: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        while let Some(body) = &mut self.taken {
            match ready!(Pin::new(body).poll_frame(context)) {
                Some(Ok(_)) => {}
                Some(Err(error)) => {
                    let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unknown);
                    return Poll::Ready(Err(TransportError::with_source(failure, error)));
                }
                None => self.taken = None,
            }
        }
        Poll::Ready(Ok(()))
    }
}

impl Future for Sending {
    type Output = Result<Answer, TransportError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(self.poll_taken(context))?;
        if let Some(sleep) = &mut self.sleep {
            ready!(Pin::new(sleep).poll(context));
        }
        self.result.take().map_or(Poll::Pending, Poll::Ready)
    }
}

/// Until when an exchange may last.
#[derive(Clone, Copy)]
struct Limits {
    timeouts: Timeouts,
    cutoff: Option<Cutoff>,
}

impl Limits {
    /// When an exchange that begins now comes to its end, which is its fate's or its limits'.
    fn cut(&self, now: Timestamp, fate: &mut Fate) -> Timestamp {
        let after = fate.after;
        let (waits, then) = match &fate.end {
            End::Silence(silence) => (*silence, after.saturating_add(self.of(*silence))),
            End::Response(_) => (Silence::Read, after),
            End::Failure(failure) if failure.delivery == Delivery::Unsent => {
                (Silence::Connect, after)
            }
            End::Failure(_) => (Silence::Read, after),
        };
        let silent = matches!(fate.end, End::Silence(_)) || then >= self.of(waits);
        let at = now.saturating_add(then.min(after.saturating_add(self.of(waits))));
        match self.cutoff {
            Some(cutoff) if at >= cutoff.at => {
                fate.end = waits.failure(cutoff.kind());
                cutoff.at
            }
            _ => {
                if silent {
                    fate.end = waits.failure(waits.kind());
                }
                at
            }
        }
    }

    const fn of(&self, silence: Silence) -> Duration {
        match silence {
            Silence::Pool => self.timeouts.pool,
            Silence::Connect => self.timeouts.connect,
            Silence::Write => self.timeouts.write,
            Silence::Read => self.timeouts.read,
        }
    }
}

impl Silence {
    const fn kind(self) -> FailureKind {
        match self {
            Self::Pool => FailureKind::PoolTimeout,
            Self::Connect => FailureKind::ConnectTimeout,
            Self::Write => FailureKind::WriteTimeout,
            Self::Read => FailureKind::ReadTimeout,
        }
    }

    /// A failure of this kind during this silence.
    const fn failure(self, kind: FailureKind) -> End {
        let delivery = match self {
            Self::Pool | Self::Connect => Delivery::Unsent,
            Self::Write | Self::Read => Delivery::Unknown,
        };
        End::Failure(Failure::new(kind, delivery))
    }
}

/// A body that does not come to its end.
struct BrokenBody {
    body: Option<Bytes>,
    broken: Broken,
    limits: Limits,
    time: VirtualTime,
    /// When the silence is over, and what it is then.
    sleep: Option<(Sleep, FailureKind)>,
    over: bool,
}

impl BrokenBody {
    /// The silence that begins now, as far as the limits let it last.
    fn silence(&self) -> (Sleep, FailureKind) {
        let until = self.time.now().saturating_add(self.limits.timeouts.read);
        let (until, kind) = match self.limits.cutoff {
            Some(cutoff) if cutoff.at <= until => (cutoff.at, cutoff.kind()),
            _ => (until, FailureKind::ReadTimeout),
        };
        (self.time.sleep_until(until), kind)
    }
}

impl Body for BrokenBody {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        if let Some(body) = self.body.take() {
            return Poll::Ready(Some(Ok(Frame::data(body))));
        }
        if self.over {
            return Poll::Ready(None);
        }
        let kind = match self.broken {
            Broken::Failure(kind) => kind,
            Broken::Silence => {
                let begun = self.sleep.take();
                let (sleep, kind) = begun.unwrap_or_else(|| self.silence());
                let (sleep, _) = self.sleep.insert((sleep, kind));
                ready!(Pin::new(sleep).poll(context));
                kind
            }
        };
        self.over = true;
        let failure = Failure::new(kind, Delivery::Answered);
        Poll::Ready(Some(Err(TransportError::new(failure))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}
