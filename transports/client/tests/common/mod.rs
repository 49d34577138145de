//! A transport in memory that answers from a script, on a clock that moves only when somebody
//! sleeps. It records everything that it is asked to send.
#![allow(dead_code, reason = "every test uses a part")]

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use bytes::Bytes;
use http::{HeaderMap, Method, Uri};
use http_body::Frame;
use http_body_util::BodyExt as _;
use redial_client::engine::{Cutoff, Delivery, Failure, FailureKind, Timestamp};
use redial_client::{
    Answer, Body, BoxFuture, Client, ClientBuilder, Clock, Exchange, PoolFigures, ResponseBody,
    Timeouts, Transport, TransportError,
};

/// Runs a future that waits for nothing outside of it.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let mut future = core::pin::pin!(future);
    let mut context = Context::from_waker(Waker::noop());
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
    }
}

/// A client over a script, and the script.
pub(crate) fn client(steps: impl IntoIterator<Item = Step>) -> (Client, Script) {
    let (builder, script) = builder(steps);
    (builder.build().unwrap(), script)
}

/// The same, for settings to be added.
pub(crate) fn builder(steps: impl IntoIterator<Item = Step>) -> (ClientBuilder, Script) {
    let script = Script::default();
    script.0.steps.lock().unwrap().extend(steps);
    (Client::builder(script.clone()).seed(7), script)
}

/// What the transport does with one exchange.
#[derive(Debug)]
pub(crate) struct Step {
    takes: Duration,
    reads: Reads,
    reply: Reply,
}

/// How much of the request body is read before the reply.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reads {
    All,
    /// So many pieces.
    Pieces(usize),
    /// It is asked for the first piece once, and no more.
    Asks,
}

#[derive(Debug)]
enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, &'static str)>,
        body: Vec<Piece>,
    },
    Fails(Failure),
    /// Nothing comes until the cutoff.
    Hangs,
}

/// A piece of a response body.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Piece {
    Data(&'static [u8]),
    Fails(FailureKind),
    /// It never ends, and nothing more comes.
    Hangs,
}

/// An answer with this status and no body.
pub(crate) fn status(status: u16) -> Step {
    answer(status, &[])
}

/// An answer with this status and body.
pub(crate) fn answer(status: u16, body: &[Piece]) -> Step {
    let reply = Reply::Answer { status, headers: Vec::new(), body: body.to_vec() };
    Step { takes: Duration::ZERO, reads: Reads::All, reply }
}

/// No answer, but this failure.
pub(crate) fn fails(kind: FailureKind, delivery: Delivery) -> Step {
    failing(Failure::new(kind, delivery))
}

/// The same, on a connection that had served another request.
pub(crate) fn failing(failure: Failure) -> Step {
    Step { takes: Duration::ZERO, reads: Reads::All, reply: Reply::Fails(failure) }
}

/// Nothing until the cutoff.
pub(crate) fn hangs() -> Step {
    Step { takes: Duration::ZERO, reads: Reads::All, reply: Reply::Hangs }
}

impl Step {
    pub(crate) fn reads(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    pub(crate) fn takes(self, takes: Duration) -> Self {
        Self { takes, ..self }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &'static str) -> Self {
        if let Reply::Answer { headers, .. } = &mut self.reply {
            headers.push((name, value));
        }
        self
    }
}

/// One exchange as the transport got it.
#[derive(Debug)]
pub(crate) struct Sent {
    pub(crate) at: Timestamp,
    pub(crate) method: Method,
    pub(crate) url: Uri,
    pub(crate) headers: HeaderMap,
    pub(crate) timeouts: Timeouts,
    pub(crate) cutoff: Option<Cutoff>,
    pub(crate) fresh_connection: bool,
    pub(crate) length: Option<u64>,
    /// The pieces of the request body.
    pub(crate) pieces: Vec<Bytes>,
    pub(crate) body_failed: bool,
}

impl Sent {
    pub(crate) fn body(&self) -> Vec<u8> {
        self.pieces.concat()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }
}

/// The transport. Clones are the same one.
#[derive(Clone, Default)]
pub(crate) struct Script(Arc<Shared>);

#[derive(Default)]
struct Shared {
    steps: Mutex<VecDeque<Step>>,
    sent: Mutex<Vec<Sent>>,
    closed: AtomicUsize,
    clock: VirtualClock,
}

impl Script {
    pub(crate) fn sent(&self) -> Vec<Sent> {
        core::mem::take(&mut *self.0.sent.lock().unwrap())
    }

    pub(crate) fn closed(&self) -> usize {
        self.0.closed.load(Ordering::SeqCst)
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.0.clock.now()
    }
}

impl Transport for Script {
    fn name(&self) -> &'static str {
        "script"
    }

    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(async move {
            let step = self.0.steps.lock().unwrap().pop_front().expect("the script is over");
            let at = self.now();
            let cutoff = exchange.cutoff;
            let (head, mut body) = exchange.request.into_parts();
            let length = http_body::Body::size_hint(&body).exact();
            let (pieces, failed) = read(&mut body, step.reads).await;
            self.0.sent.lock().unwrap().push(Sent {
                at,
                method: head.method,
                url: head.uri,
                headers: head.headers,
                timeouts: exchange.timeouts,
                cutoff,
                fresh_connection: exchange.fresh_connection,
                length,
                pieces,
                body_failed: failed.is_some(),
            });
            if let Some(error) = failed {
                let failure = Failure::new(FailureKind::Other, Delivery::Unknown);
                return Err(TransportError::with_source(failure, error));
            }
            self.reply(step, cutoff)
        })
    }

    fn clock(&self) -> &dyn Clock {
        &self.0.clock
    }

    fn pool(&self) -> PoolFigures {
        PoolFigures::default()
    }

    fn close(&self) {
        self.0.closed.fetch_add(1, Ordering::SeqCst);
    }
}

impl Script {
    fn reply(&self, step: Step, cutoff: Option<Cutoff>) -> Result<Answer, TransportError> {
        let end = match step.reply {
            Reply::Hangs => Timestamp::MAX,
            Reply::Answer { .. } | Reply::Fails(_) => self.now().saturating_add(step.takes),
        };
        match cutoff {
            Some(cutoff) if cutoff.at <= end => {
                self.0.clock.advance(cutoff.at);
                let failure = Failure::new(cutoff.kind(), Delivery::Unknown);
                return Err(TransportError::new(failure));
            }
            _ => self.0.clock.advance(end),
        }
        match step.reply {
            // Without a cutoff that would be for ever, which no script means.
            Reply::Hangs => Err(TransportError::unsent(FailureKind::Other)),
            Reply::Fails(failure) => Err(TransportError::new(failure)),
            Reply::Answer { status, headers, body } => {
                let mut response = http::Response::builder().status(status);
                for (name, value) in headers {
                    response = response.header(name, value);
                }
                let body = ResponseBody::new(Pieces(body.into()));
                Ok(Answer::new(response.body(body).unwrap(), false))
            }
        }
    }
}

async fn read(
    body: &mut Body,
    reads: Reads,
) -> (Vec<Bytes>, Option<Box<dyn core::error::Error + Send + Sync>>) {
    let most = match reads {
        Reads::All => usize::MAX,
        Reads::Pieces(most) => most,
        Reads::Asks => {
            let mut context = Context::from_waker(Waker::noop());
            let polled = http_body::Body::poll_frame(Pin::new(body), &mut context);
            assert!(polled.is_pending(), "it was to have nothing yet");
            0
        }
    };
    let mut pieces = Vec::new();
    while pieces.len() < most {
        match body.frame().await {
            None => break,
            Some(Ok(frame)) => pieces.push(frame.into_data().unwrap()),
            Some(Err(error)) => return (pieces, Some(error)),
        }
    }
    (pieces, None)
}

/// Response bodies of a script.
struct Pieces(VecDeque<Piece>);

impl http_body::Body for Pieces {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        let piece = match self.0.pop_front() {
            None => return Poll::Ready(None),
            Some(Piece::Hangs) => {
                self.0.push_front(Piece::Hangs);
                return Poll::Pending;
            }
            Some(Piece::Data(data)) => Ok(Frame::data(Bytes::from_static(data))),
            Some(Piece::Fails(kind)) => {
                Err(TransportError::new(Failure::new(kind, Delivery::Answered)))
            }
        };
        Poll::Ready(Some(piece))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_empty()
    }
}

/// A clock on which time passes only when somebody sleeps.
#[derive(Clone, Default)]
pub(crate) struct VirtualClock(Arc<AtomicU64>);

impl VirtualClock {
    fn advance(&self, to: Timestamp) {
        self.0.fetch_max(to.as_nanos(), Ordering::SeqCst);
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.0.load(Ordering::SeqCst))
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let clock = self.clone();
        Box::pin(async move { clock.advance(at) })
    }
}

/// A stream of these items, which may say that there is nothing yet.
pub(crate) struct Items<T>(pub(crate) VecDeque<Poll<T>>);

impl<T> Items<T> {
    pub(crate) fn ready(items: impl IntoIterator<Item = T>) -> Self {
        Self(items.into_iter().map(Poll::Ready).collect())
    }
}

impl<T: Unpin> futures_core::Stream for Items<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<T>> {
        match self.0.pop_front() {
            None => Poll::Ready(None),
            Some(Poll::Ready(item)) => Poll::Ready(Some(item)),
            Some(Poll::Pending) => Poll::Pending,
        }
    }
}
