//! What the client of a scenario does.

use core::num::NonZeroU32;
use core::time::Duration;

use http::Method;
use redial_engine::{Reason, Replay};

use super::expected::{Attempted, End, Waited, Waits};

/// One thing that the client does, when what comes before it is done.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Act {
    /// Makes these calls at the same time, and waits for all of them.
    Calls(Vec<Call>),
    /// Does nothing for so long.
    Rest(Duration),
    /// Closes the client. Calls after it are refused.
    Close,
    /// Looks at the pool's figures, which must be these at the most, within a second.
    Figures {
        /// The most connections that may exist.
        open: usize,
        /// The most that may be in use.
        in_use: usize,
        /// The most requests that may be waiting.
        waiting: usize,
    },
    /// Looks at the pool's totals, which must be these.
    Totals {
        /// Connections opened so far.
        opened: u64,
        /// Requests so far that went over a connection which had served another.
        reused: u64,
    },
}

/// One call, and what must come of it.
#[derive(Clone, Debug)]
#[non_exhaustive]
#[must_use]
pub struct Call {
    /// The method.
    pub method: Method,
    /// Where to.
    pub url: Url,
    /// The headers of this very request.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub payload: Payload,
    /// How the response is read.
    pub reading: Reading,
    /// How long after the other calls of its act it is begun.
    pub after: Duration,
    /// That it is begun when a connection is in use, and so many requests wait for one.
    pub behind: Option<usize>,
    /// When the caller loses interest: the call is dropped then. A blocking caller, who cannot
    /// drop it, gives it a deadline instead.
    pub cancel: Option<Duration>,
    /// Whether it may be repeated, where the rules are overridden.
    pub replay: Option<Replay>,
    /// Its own limit of attempts.
    pub max_attempts: Option<NonZeroU32>,
    /// Its own attempt timeout.
    pub attempt_timeout: Option<Duration>,
    /// Its own time for all attempts and waits.
    pub timeout: Option<Duration>,
    /// Its own read timeout.
    pub read_timeout: Option<Duration>,
    /// Whether the client makes an idempotency key for it.
    pub idempotency_key: bool,
    /// What each attempt must come to.
    pub attempts: Vec<Attempted>,
    /// Whether that, the waits and the reason are left open, because the network decides a race:
    /// then only the end is looked at, and what the origins saw.
    pub open: bool,
    /// Why each wait must be made, and how long it must be.
    pub waits: Waits,
    /// Why the call must give up, where it must.
    pub reason: Option<Reason>,
    /// Whether it may give up for any reason, or none.
    pub any_reason: bool,
    /// How it must end; `None` for whatever its last attempt comes to.
    pub end: Option<End>,
    /// The least and the most time that the whole call may take.
    pub took: (Duration, Duration),
}

/// Longer than any call of a scenario may take.
const LONG: Duration = Duration::from_secs(20);

impl Call {
    /// A call by this method, of a path of the first origin.
    pub fn new(method: Method, path: impl Into<String>) -> Self {
        Self {
            method,
            url: Url::Of(0, path.into()),
            headers: Vec::new(),
            payload: Payload::None,
            reading: Reading::Whole,
            after: Duration::ZERO,
            behind: None,
            cancel: None,
            replay: None,
            max_attempts: None,
            attempt_timeout: None,
            timeout: None,
            read_timeout: None,
            idempotency_key: false,
            attempts: Vec::new(),
            open: false,
            waits: Waits::Backoff,
            reason: None,
            any_reason: false,
            end: None,
            took: (Duration::ZERO, LONG),
        }
    }

    /// A call by GET, of a path of the first origin.
    pub fn get(path: impl Into<String>) -> Self {
        Self::new(Method::GET, path)
    }

    /// A call by POST with a body, of a path of the first origin.
    pub fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::POST, path).body(body)
    }

    /// A call by PUT with a body, of a path of the first origin.
    pub fn put(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self::new(Method::PUT, path).body(body)
    }

    /// To here instead.
    pub fn to(self, url: Url) -> Self {
        Self { url, ..self }
    }

    /// With one more header.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With this body.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        self.payload(Payload::Bytes(body.into()))
    }

    /// With a body of this kind.
    pub fn payload(self, payload: Payload) -> Self {
        Self { payload, ..self }
    }

    /// The body is handed over as it comes, and then read to its end.
    pub fn streaming(self) -> Self {
        Self { reading: Reading::Streaming, ..self }
    }

    /// The body is handed over as it comes, and read when so many requests wait for a connection.
    pub fn kept_until(self, waiting: usize) -> Self {
        Self { reading: Reading::Kept { waiting }, ..self }
    }

    /// The response is handed over with its head, and its body is dropped unread.
    pub fn dropping_the_body(self) -> Self {
        Self { reading: Reading::HeadOnly, ..self }
    }

    /// Begun so long after the other calls of its act.
    pub fn after(self, delay: Duration) -> Self {
        Self { after: delay, ..self }
    }

    /// Begun when a connection is in use, and so many requests wait for one: calls of an act come
    /// to the pool in this order, however slow the machine is.
    pub fn behind(self, waiting: usize) -> Self {
        Self { behind: Some(waiting), ..self }
    }

    /// Dropped so long after it was begun.
    pub fn cancelled_after(self, time: Duration) -> Self {
        Self { cancel: Some(time), end: Some(End::Cancelled), ..self }
    }

    /// Whether it may be repeated.
    pub fn replay(self, replay: Replay) -> Self {
        Self { replay: Some(replay), ..self }
    }

    /// Its own limit of attempts.
    pub fn max_attempts(self, attempts: u32) -> Self {
        Self { max_attempts: NonZeroU32::new(attempts), ..self }
    }

    /// Its own attempt timeout.
    pub fn attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: Some(timeout), ..self }
    }

    /// Its own time for all attempts and waits.
    pub fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: Some(timeout), ..self }
    }

    /// Its own read timeout.
    pub fn read_timeout(self, timeout: Duration) -> Self {
        Self { read_timeout: Some(timeout), ..self }
    }

    /// With an idempotency key of the client's making.
    pub fn idempotency_key(self) -> Self {
        Self { idempotency_key: true, ..self }
    }

    /// What its attempts must come to.
    pub fn comes_to<A: Into<Attempted>>(self, attempts: impl IntoIterator<Item = A>) -> Self {
        Self { attempts: attempts.into_iter().map(Into::into).collect(), ..self }
    }

    /// What one more attempt must come to.
    pub fn then(mut self, attempt: impl Into<Attempted>) -> Self {
        self.attempts.push(attempt.into());
        self
    }

    /// It must end so, whatever its attempts come to.
    pub fn somehow(self, end: End) -> Self {
        Self { open: true, end: Some(end), ..self }
    }

    /// What its waits must be.
    pub fn waits(self, waits: impl IntoIterator<Item = Waited>) -> Self {
        Self { waits: Waits::These(waits.into_iter().collect()), ..self }
    }

    /// Why it must give up.
    pub fn gives_up(self, reason: Reason) -> Self {
        Self { reason: Some(reason), ..self }
    }

    /// It may give up for any reason, or none.
    pub fn for_any_reason(self) -> Self {
        Self { any_reason: true, ..self }
    }

    /// How it must end.
    pub fn ends(self, end: End) -> Self {
        Self { end: Some(end), ..self }
    }

    /// The least and the most time that it may take.
    pub fn takes(self, least: Duration, most: Duration) -> Self {
        Self { took: (least, most), ..self }
    }
}

/// Where a call goes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Url {
    /// A path of the n-th origin.
    Of(usize, String),
    /// This text as it is, relative to the base URL. `{0}`, `{1}` stand for an origin's host and
    /// port.
    Text(String),
}

/// The body of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Payload {
    /// None.
    None,
    /// Bytes in memory.
    Bytes(Vec<u8>),
    /// A stream that can be made again.
    Replayable {
        /// Its pieces.
        pieces: Vec<Vec<u8>>,
        /// How long it takes to make each.
        gap: Duration,
    },
    /// A stream that can be read once.
    Once {
        /// Its pieces.
        pieces: Vec<Vec<u8>>,
        /// How long it takes to make each.
        gap: Duration,
    },
    /// A stream that can be read once, and is said to be of this length.
    Sized {
        /// Its pieces.
        pieces: Vec<Vec<u8>>,
        /// Its length in bytes, which may be wrong.
        length: u64,
    },
}

/// How a response is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reading {
    /// Into memory, as part of the call.
    Whole,
    /// As it comes, by the caller, to its end.
    Streaming,
    /// The same, when so many requests wait for a connection.
    Kept {
        /// How many.
        waiting: usize,
    },
    /// Not at all: it is dropped when its head has come.
    HeadOnly,
}
