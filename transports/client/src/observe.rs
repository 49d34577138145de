//! Seeing what happens: an observer for metrics, spans and events for logs (R-O-1, R-O-2).

use core::any::Any;
use core::fmt;
use core::mem;
use core::panic::AssertUnwindSafe;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::Arc;

use http::{Method, StatusCode};
use redial_engine::{GiveUp, Outcome, Reason};
use tracing::Span;
use tracing::field::Empty;

use crate::history::{AttemptRecord, Wait};
use crate::origin::Origin;

/// Is told what calls do, for counters and durations (R-O-2).
///
/// Every method does nothing by default. All but [`pool`](Observer::pool) are called on the thread
/// that makes the call, with no lock held, and hold it up for as long as they take; where one
/// panics, so does the call. A call whose future is dropped has no end.
#[allow(unused_variables, reason = "the names document the arguments")]
pub trait Observer: Send + Sync {
    /// An attempt has come to its end; a transparent re-send counts as one here (R-D-7).
    fn attempt(&self, call: &CallInfo<'_>, attempt: &AttemptRecord) {}

    /// A call begins to wait before its next attempt.
    fn wait(&self, call: &CallInfo<'_>, wait: &Wait) {}

    /// A call makes no further attempt, although its policy would have retried the outcome.
    fn give_up(&self, call: &CallInfo<'_>, why: GiveUp) {}

    /// A call has come to its end.
    fn end(&self, call: &CallInfo<'_>, end: &CallEnd<'_>) {}

    /// Something happened in a connection pool. A transport tells this, where its
    /// [`Settings`](crate::Settings) have an observer, by a [`PoolObserver`].
    ///
    /// Called with no lock held, on whichever thread it happens: that of a call, or one of a
    /// runtime's, which it holds up. A panic goes no further, because a connection may be on its
    /// way out just then, where a panic would end the process; the first is said in a `warn` event.
    fn pool(&self, event: &PoolEvent<'_>) {}
}

impl fmt::Debug for dyn Observer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Observer")
    }
}

/// Which call it is. There is no path and no query here: as labels of a metric they would be many,
/// and they may be secret (R-O-3).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallInfo<'a> {
    /// The method.
    pub method: &'a Method,
    /// Scheme, host and port.
    pub origin: &'a Origin,
}

/// How a call ended.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct CallEnd<'a> {
    /// What every attempt came to, the first one first; none where the deadline was past.
    pub attempts: &'a [AttemptRecord],
    /// Why no further attempt was made, where the policy would have retried the last one.
    pub reason: Option<Reason>,
    /// How long the call took, its waits included.
    pub elapsed: Duration,
}

/// Something that happened in a connection pool.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct PoolEvent<'a> {
    /// What the connection is for.
    pub origin: &'a Origin,
    /// What happened.
    pub kind: PoolEventKind,
}

impl<'a> PoolEvent<'a> {
    /// That this happened to a connection, or for want of one, of this origin.
    pub const fn new(origin: &'a Origin, kind: PoolEventKind) -> Self {
        Self { origin, kind }
    }
}

/// What happened in a connection pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PoolEventKind {
    /// A connection stands.
    Opened {
        /// How long it took: DNS, TCP and TLS.
        took: Duration,
    },
    /// A request goes over a connection that has served another.
    Reused,
    /// An idle connection was closed to make room.
    Evicted,
    /// An idle connection was closed because it was idle for too long.
    Expired,
    /// A connection is gone, for whatever reason.
    Closed,
    /// A request got its connection slot only after a wait.
    Waited {
        /// How long it was.
        wait: Duration,
    },
    /// A request waited too long for a connection slot, and failed.
    TimedOut,
}

/// An observer, as a transport tells it what happens in its pool: also while something is dropped,
/// where a panic of the observer's would end the process, and so goes no further than this.
///
/// Clones share the observer. Where there is none, telling costs nothing.
#[derive(Clone, Debug, Default)]
pub struct PoolObserver(Option<Arc<Watched>>);

#[derive(Debug)]
struct Watched {
    observer: Arc<dyn Observer>,
    /// Whether it has panicked, and that was said.
    panicked: AtomicBool,
}

impl PoolObserver {
    /// Tells this observer, if there is one.
    pub fn new(observer: Option<Arc<dyn Observer>>) -> Self {
        let watched = |observer| Arc::new(Watched { observer, panicked: AtomicBool::new(false) });
        Self(observer.map(watched))
    }

    /// Tells that this happened to a connection, or for want of one, of this origin. To be called
    /// with no lock held.
    pub fn tell(&self, origin: &Origin, kind: PoolEventKind) {
        if let Some(watched) = &self.0 {
            let tell = || watched.observer.pool(&PoolEvent::new(origin, kind));
            if let Err(panic) = catch_unwind(AssertUnwindSafe(tell)) {
                watched.has_panicked(panic);
            }
        }
    }
}

impl Watched {
    #[cold]
    fn has_panicked(&self, panic: Box<dyn Any + Send>) {
        if !self.panicked.swap(true, Ordering::Relaxed) {
            tracing::warn!("the observer panicked at an event of the pool; no other panic is told");
        }
        // What it panicked with may panic once more when it is dropped.
        if let Err(again) = catch_unwind(AssertUnwindSafe(|| drop(panic))) {
            mem::forget(again);
        }
    }
}

/// What watches one call: the observer, where there is one, and the span of the call.
pub(crate) struct Watch<'a> {
    info: CallInfo<'a>,
    observer: Option<&'a dyn Observer>,
    span: Span,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(
        method: &'a Method,
        origin: &'a Origin,
        observer: Option<&'a dyn Observer>,
    ) -> Self {
        let span = tracing::info_span!(
            "http.client",
            "http.request.method" = method.as_str(),
            "server.address" = origin.host(),
            "server.port" = origin.port(),
            "url.scheme" = origin.scheme().as_str(),
            "http.response.status_code" = Empty,
            "http.request.resend_count" = Empty,
            "error.type" = Empty,
        );
        Self { info: CallInfo { method, origin }, observer, span }
    }

    /// The span of the call; disabled where nobody listens.
    pub(crate) const fn span(&self) -> &Span {
        &self.span
    }

    /// An attempt has ended, after so many sends before it.
    pub(crate) fn attempt(&self, record: &AttemptRecord, resends: usize) {
        let status = status_of(record);
        tracing::debug!(
            "http.request.resend_count" = resends,
            "http.response.status_code" = record.status(),
            "error.type" = error_type(record, status.as_ref()),
            elapsed = ?record.elapsed,
            reused = record.reused,
            "attempt {}", record.number,
        );
        if let Some(observer) = self.observer {
            observer.attempt(&self.info, record);
        }
    }

    pub(crate) fn wait(&self, wait: &Wait) {
        tracing::debug!(length = ?wait.length, cause = wait.cause.name(), "wait");
        if let Some(observer) = self.observer {
            observer.wait(&self.info, wait);
        }
    }

    pub(crate) fn give_up(&self, why: GiveUp) {
        tracing::info!(reason = why.reason.name(), attempts = why.attempts, "give up");
        if let Some(observer) = self.observer {
            observer.give_up(&self.info, why);
        }
    }

    pub(crate) fn end(
        &self,
        attempts: &[AttemptRecord],
        reason: Option<Reason>,
        elapsed: impl FnOnce() -> Duration,
    ) {
        if let (Some(last), false) = (attempts.last(), self.span.is_disabled()) {
            let status = status_of(last);
            self.span.record("http.response.status_code", last.status());
            self.span.record("error.type", error_type(last, status.as_ref()));
            if attempts.len() > 1 {
                self.span.record("http.request.resend_count", attempts.len() - 1);
            }
        }
        if let Some(observer) = self.observer {
            observer.end(&self.info, &CallEnd { attempts, reason, elapsed: elapsed() });
        }
    }
}

fn status_of(record: &AttemptRecord) -> Option<StatusCode> {
    record.status().and_then(|status| StatusCode::from_u16(status).ok())
}

/// The failure's kind, or the status of 400 and above as text, as OpenTelemetry has it.
fn error_type<'a>(record: &AttemptRecord, status: Option<&'a StatusCode>) -> Option<&'a str> {
    match record.outcome {
        Outcome::Failure(failure) => Some(failure.kind.name()),
        Outcome::Response { status: ..400, .. } => None,
        Outcome::Response { .. } => status.map(StatusCode::as_str),
    }
}
