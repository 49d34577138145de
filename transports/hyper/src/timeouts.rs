//! When an exchange has been silent for too long: one timer a request, re-armed from the meter.

use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Mutex, PoisonError};

use redial_client::{BoxFuture, Timeouts};
use redial_engine::{Cutoff, FailureKind, Timestamp};

use crate::connections::Lease;
use crate::runtime::Runtime;
use crate::upload::{Phase, Progress};

/// Timers of a shared connection that no exchange needs just now.
#[derive(Default)]
pub(crate) struct Timers(Mutex<Vec<Timer>>);

/// A timer, and when it fires.
///
/// One that no exchange needs any more fires some time and finds nobody waiting; until then the
/// connection's next exchange may have it, and saves what a timer costs. It may fire too early for
/// that one, which then arms another.
pub(crate) struct Timer {
    at: Timestamp,
    sleep: BoxFuture<'static, ()>,
}

impl Timers {
    pub(crate) fn take(&self) -> Option<Timer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    pub(crate) fn put(&self, timer: Timer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(timer);
    }
}

/// After which time, at the soonest, it is looked again whether an upload is done.
const AGAIN: Duration = Duration::from_millis(10);

/// How long a runtime may take to tell of what has come.
const GRACE: Duration = Duration::from_millis(10);

/// Watches one exchange: its silences and its cutoff.
///
/// The clock decides, not the timer (R-T-6): when the timer fires, the meter says whether the
/// silence was one, and the timer is armed again. Bytes that flow cost no wake-up.
pub(crate) struct Watch {
    upload: Progress,
    read: Duration,
    write: Duration,
    cutoff: Option<Cutoff>,
    /// Whether the connection is shared with other exchanges, so that what crosses it may be theirs.
    shared: bool,
    /// Since when the present silence is waited through.
    began: Timestamp,
    waiting: Waiting,
    timer: Option<Timer>,
    /// When the silence was over that was last found to be none, perhaps, and until when it is.
    grace: Option<(Timestamp, Timestamp)>,
}

/// Whether anybody waits: a caller that takes its time is no silence of the server's (R-T-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Waiting {
    /// From just now, so that the clock need not be asked again.
    FromNow,
    Yes,
    No,
}

impl Watch {
    /// Watches an exchange that has just got its connection.
    pub(crate) fn new<R: Runtime>(
        lease: &mut Lease<R>,
        upload: Progress,
        timeouts: Timeouts,
        cutoff: Option<Cutoff>,
    ) -> Self {
        let Timeouts { read, write, .. } = timeouts;
        let (shared, began) = (lease.is_multiplexed(), lease.since());
        let timer = lease.take_timer();
        let waiting = Waiting::FromNow;
        Self { upload, read, write, cutoff, shared, began, waiting, timer, grace: None }
    }

    /// Leaves the timer to the connection's next exchange.
    pub(crate) fn leave_timer<R: Runtime>(&mut self, lease: &mut Lease<R>) {
        if let Some(timer) = self.timer.take() {
            lease.put_timer(timer);
        }
    }

    /// Whether the request body has been taken to its end.
    pub(crate) fn is_uploaded(&self) -> bool {
        self.upload.is_done()
    }

    /// How far the request body has come.
    pub(crate) fn upload(&self) -> Progress {
        self.upload.clone()
    }

    /// Something came: the next silence begins when it is waited for.
    pub(crate) fn came<R: Runtime>(&mut self, lease: &Lease<R>) {
        self.waiting = Waiting::No;
        if self.shared {
            lease.meter().expect_streams();
        } else {
            lease.meter().expect_body();
        }
    }

    /// A piece of a body came. Fails where the cutoff has come, which a stream that never pauses would
    /// otherwise outrun.
    pub(crate) fn progressed<R: Runtime>(&mut self, lease: &Lease<R>) -> Result<(), FailureKind> {
        self.came(lease);
        match self.cutoff {
            Some(cutoff) if lease.runtime().now() >= cutoff.at => Err(cutoff.kind()),
            Some(_) | None => Ok(()),
        }
    }

    /// Ready when a limit is reached, with the kind of failure that it is.
    pub(crate) fn poll<R: Runtime>(
        &mut self,
        lease: &Lease<R>,
        context: &mut Context<'_>,
    ) -> Poll<FailureKind> {
        loop {
            let now = match self.waiting {
                Waiting::FromNow => self.began,
                Waiting::Yes | Waiting::No => lease.runtime().now(),
            };
            if self.waiting == Waiting::No {
                self.began = now;
            }
            self.waiting = Waiting::Yes;
            let due = match self.due(lease, now) {
                Ok(due) => due,
                Err(kind) => return Poll::Ready(kind),
            };
            let armed = match &mut self.timer {
                Some(timer) if timer.at <= due => timer,
                timer => {
                    let sleep = lease.runtime().sleep_until(due);
                    timer.insert(Timer { at: due, sleep })
                }
            };
            match Pin::new(&mut armed.sleep).poll(context) {
                Poll::Ready(()) => self.timer = None,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Until when a silence that is over at this time is none, because it is the runtime that is late,
    /// and not the server: on a busy machine a timer may be told of before what was in time.
    ///
    /// Once for each silence.
    fn grace<R: Runtime>(
        &mut self,
        lease: &Lease<R>,
        now: Timestamp,
        over: Timestamp,
        kind: FailureKind,
    ) -> Option<Timestamp> {
        let this_one = |grace: &(Timestamp, Timestamp)| grace.0 == over;
        if !self.grace.as_ref().is_some_and(this_one) && self.may_be_late(lease, kind) {
            self.grace = Some((over, now.saturating_add(GRACE)));
        }
        let (_, until) = self.grace.filter(this_one)?;
        (now < until).then_some(until)
    }

    /// Whether there may be something that nobody has been told of yet.
    fn may_be_late<R: Runtime>(&self, lease: &Lease<R>, kind: FailureKind) -> bool {
        if kind == FailureKind::WriteTimeout {
            // Whether the peer takes more is known when it is tried.
            !self.write.is_zero()
        } else {
            !self.read.is_zero() && lease.has_unread()
        }
    }

    /// The limit that has been reached by now, or the next point in time to look again.
    fn due<R: Runtime>(
        &mut self,
        lease: &Lease<R>,
        now: Timestamp,
    ) -> Result<Timestamp, FailureKind> {
        let mut next = Timestamp::MAX;
        if let Some(cutoff) = self.cutoff {
            if now >= cutoff.at {
                return Err(cutoff.kind());
            }
            next = cutoff.at;
        }
        if self.read.is_zero() && matches!(self.upload.phase(), Phase::Done) {
            // At once (R-T-8), however soon something comes.
            return Err(FailureKind::ReadTimeout);
        }
        let (silent_until, kind) = self.silence(lease, now);
        if !matches!(self.upload.phase(), Phase::Done) {
            // Nobody tells when the upload is done, from when on it is the response that is silent.
            next = next.min(now.saturating_add(self.read.max(AGAIN)));
        }
        match silent_until {
            Some(at) if now >= at => self.grace(lease, now, at, kind).ok_or(kind),
            Some(at) => Ok(next.min(at)),
            None => Ok(next),
        }
    }

    /// How long the present silence may last (`None`: for ever), and which timeout ends it.
    fn silence<R: Runtime>(
        &self,
        lease: &Lease<R>,
        now: Timestamp,
    ) -> (Option<Timestamp>, FailureKind) {
        let Self { read, write, .. } = *self;
        let phase = self.upload.phase();
        // What blocks a shared connection then is not this request, which is on its way.
        let on_its_way = self.shared && matches!(phase, Phase::Done);
        if let Some(since) = lease.meter().blocked_since().filter(|_| !on_its_way) {
            return (since.max(self.began).checked_add(write), FailureKind::WriteTimeout);
        }
        match phase {
            Phase::Done => (self.last_sign(lease).checked_add(read), FailureKind::ReadTimeout),
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

    /// When something of this exchange last moved. On a shared connection, nothing else can come
    /// while a frame does: it may be this exchange's, and is told of only when it is whole. One that
    /// begins when the silence is over already is no sign: beside a response that is large, there is
    /// always one. Interim heads are never told of: they are this exchange's where there is no other.
    fn last_sign<R: Runtime>(&self, lease: &Lease<R>) -> Timestamp {
        let (mut last, meter) = (self.began.max(self.upload.last()), lease.meter());
        if !self.shared {
            return last.max(meter.last_activity());
        }
        if lease.is_alone() {
            last = last.max(meter.last_head());
        }
        let in_time = |since: Timestamp| since.saturating_since(last) <= self.read;
        match meter.on_its_way_since() {
            Some(since) if in_time(since) => last.max(meter.last_in()),
            Some(_) | None => last,
        }
    }

    /// Whether the connection as a whole has been silent since the last sign of this exchange, or
    /// nearly: what comes at the beginning of a silence belongs to what was before, such as that the
    /// peer has seen the settings of a new connection.
    pub(crate) fn is_all_silent<R: Runtime>(&self, lease: &Lease<R>) -> bool {
        let (since, last_in) = (self.began.max(self.upload.last()), lease.meter().last_in());
        let silent = lease.runtime().now().saturating_since(last_in);
        last_in <= since || silent >= last_in.saturating_since(since)
    }
}
