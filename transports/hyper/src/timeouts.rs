//! When an exchange has been silent for too long: one timer a request, re-armed from the meter.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

use redial_client::{BoxFuture, Timeouts};
use redial_engine::{Cutoff, FailureKind, Timestamp};

use crate::connections::Shared;
use crate::io::Meter;
use crate::runtime::Runtime;
use crate::upload::{Phase, Progress};

/// Timers of a connection that no exchange needs just now.
///
/// Each fires some time and finds nobody waiting; until then the next exchange may have it, and
/// saves what a timer costs. It may fire too early for that one, which then arms another.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Vec<Timer>>);

/// A timer, and when it fires.
struct Timer {
    at: Timestamp,
    sleep: BoxFuture<'static, ()>,
}

impl Timers {
    fn take(&self) -> Option<Timer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn put(&self, timer: Timer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(timer);
    }
}

/// Watches one exchange: its silences and its cutoff.
///
/// The clock decides, not the timer (R-T-6): when the timer fires, the meter says whether the
/// silence was one, and the timer is armed again. Bytes that flow cost no wake-up.
pub(crate) struct Watch<R: Runtime> {
    runtime: R,
    connection: Arc<Shared>,
    upload: Progress,
    timeouts: Timeouts,
    cutoff: Option<Cutoff>,
    /// Whether the connection is shared with other exchanges, so that what crosses it may be theirs.
    shared: bool,
    /// Since when the present silence is waited through.
    began: Timestamp,
    /// Whether anybody waits: a caller that takes its time is no silence of the server's (R-T-2).
    waiting: bool,
    timer: Option<Timer>,
}

impl<R: Runtime> Watch<R> {
    pub(crate) fn new(
        runtime: R,
        connection: Arc<Shared>,
        upload: Progress,
        (timeouts, cutoff): (Timeouts, Option<Cutoff>),
        shared: bool,
        began: Timestamp,
    ) -> Self {
        let timer = connection.timers.take();
        Self { runtime, connection, upload, timeouts, cutoff, shared, began, waiting: true, timer }
    }

    fn meter(&self) -> &Meter {
        &self.connection.meter
    }

    /// Whether the request body has been taken to its end.
    pub(crate) fn is_uploaded(&self) -> bool {
        self.upload.is_done()
    }

    /// Something came: the next silence begins when it is waited for. Fails where the cutoff has
    /// come, which a stream that never pauses would otherwise outrun.
    pub(crate) fn progressed(&mut self) -> Result<(), FailureKind> {
        self.waiting = false;
        match self.cutoff {
            Some(cutoff) if self.runtime.now() >= cutoff.at => Err(cutoff.kind()),
            Some(_) | None => Ok(()),
        }
    }

    /// Ready when a limit is reached, with the kind of failure that it is.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<FailureKind> {
        loop {
            let now = self.runtime.now();
            if !self.waiting {
                (self.waiting, self.began) = (true, now);
            }
            let due = match self.due(now) {
                Ok(due) => due,
                Err(kind) => return Poll::Ready(kind),
            };
            let armed = match &mut self.timer {
                Some(timer) if timer.at <= due => timer,
                timer => {
                    let sleep = self.runtime.sleep_until(due);
                    timer.insert(Timer { at: due, sleep })
                }
            };
            match Pin::new(&mut armed.sleep).poll(context) {
                Poll::Ready(()) => self.timer = None,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// The limit that has been reached by now, or the next point in time to look again.
    fn due(&self, now: Timestamp) -> Result<Timestamp, FailureKind> {
        let mut next = Timestamp::MAX;
        if let Some(cutoff) = self.cutoff {
            if now >= cutoff.at {
                return Err(cutoff.kind());
            }
            next = cutoff.at;
        }
        let (silent_until, kind) = self.silence(now);
        match silent_until {
            Some(at) if now >= at => Err(kind),
            Some(at) => Ok(next.min(at)),
            None => Ok(next),
        }
    }

    /// How long the present silence may last (`None`: for ever), and which timeout ends it.
    fn silence(&self, now: Timestamp) -> (Option<Timestamp>, FailureKind) {
        let Timeouts { read, write, .. } = self.timeouts;
        if let Some(since) = self.meter().blocked_since() {
            return (since.max(self.began).checked_add(write), FailureKind::WriteTimeout);
        }
        match self.upload.phase() {
            Phase::Done => (self.last_sign().checked_add(read), FailureKind::ReadTimeout),
            // A slow source is nobody's silence (R-T-3); whether it still is, is looked at again.
            Phase::Source => (now.checked_add(write), FailureKind::WriteTimeout),
            // The socket takes bytes, but the window of the stream is closed.
            Phase::Transport if self.shared => {
                let since = self.began.max(self.upload.last());
                (since.checked_add(write), FailureKind::WriteTimeout)
            }
            // The socket takes bytes: look again when it may not have for long enough.
            Phase::Transport => (now.checked_add(write), FailureKind::WriteTimeout),
        }
    }

    /// When something of this exchange last moved.
    fn last_sign(&self) -> Timestamp {
        let last = self.began.max(self.upload.last());
        if self.shared { last } else { last.max(self.meter().last_activity()) }
    }

    /// Whether the connection as a whole has been silent since the last sign of this exchange.
    pub(crate) fn is_all_silent(&self) -> bool {
        self.meter().last_in() <= self.began.max(self.upload.last())
    }
}

impl<R: Runtime> Drop for Watch<R> {
    fn drop(&mut self) {
        if let Some(timer) = self.timer.take() {
            self.connection.timers.put(timer);
        }
    }
}
