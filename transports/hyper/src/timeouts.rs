//! When an exchange has been silent for too long: one timer a request, re-armed from the meter.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use redial_client::{BoxFuture, Timeouts};
use redial_engine::{Cutoff, FailureKind, Timestamp};

use crate::io::Meter;
use crate::runtime::Runtime;
use crate::upload::{Phase, Progress};

/// Watches one exchange: its silences and its cutoff.
///
/// The clock decides, not the timer (R-T-6): when the timer fires, the meter says whether the
/// silence was one, and the timer is armed again. Bytes that flow cost no wake-up.
pub(crate) struct Watch<R> {
    runtime: R,
    meter: Arc<Meter>,
    upload: Progress,
    timeouts: Timeouts,
    cutoff: Option<Cutoff>,
    /// Whether the connection is shared with other exchanges, so that what crosses it may be theirs.
    shared: bool,
    began: Timestamp,
    timer: Option<(Timestamp, BoxFuture<'static, ()>)>,
}

impl<R: Runtime> Watch<R> {
    pub(crate) fn new(
        runtime: R,
        meter: Arc<Meter>,
        upload: Progress,
        timeouts: Timeouts,
        cutoff: Option<Cutoff>,
        shared: bool,
    ) -> Self {
        let began = runtime.now();
        Self { runtime, meter, upload, timeouts, cutoff, shared, began, timer: None }
    }

    /// Whether the request body has been taken to its end.
    pub(crate) fn is_uploaded(&self) -> bool {
        self.upload.is_done()
    }

    /// Something came: the next silence begins now. Fails where the cutoff has come, which a
    /// stream that never pauses would otherwise outrun.
    pub(crate) fn restart(&mut self) -> Result<(), FailureKind> {
        self.began = self.runtime.now();
        match self.cutoff {
            Some(cutoff) if self.began >= cutoff.at => Err(cutoff.kind()),
            Some(_) | None => Ok(()),
        }
    }

    /// Ready when a limit is reached, with the kind of failure that it is.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<FailureKind> {
        loop {
            let now = self.runtime.now();
            let due = match self.due(now) {
                Ok(due) => due,
                Err(kind) => return Poll::Ready(kind),
            };
            let armed = match &mut self.timer {
                Some((at, timer)) if *at <= due => timer,
                timer => {
                    let sleep = self.runtime.sleep_until(due);
                    &mut timer.insert((due, sleep)).1
                }
            };
            match Pin::new(armed).poll(context) {
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
        if let Some(since) = self.meter.blocked_since() {
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
        if self.shared { last } else { last.max(self.meter.last_activity()) }
    }

    /// Whether the connection as a whole has been silent since the last sign of this exchange.
    pub(crate) fn is_all_silent(&self) -> bool {
        self.meter.last_in() <= self.began.max(self.upload.last())
    }
}
