//! When an exchange has been silent for too long: one timer a request, re-armed as things happen.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use redial_client::{Alarm, Clock, ThreadClock, Timeouts};
use redial_engine::{Cutoff, FailureKind, Timestamp};

use crate::backlog::Backlog;
use crate::standing::Standing;
use crate::upload::{Progress, Stand};
use crate::uploads;

/// After which time, at the soonest, a source that had nothing is looked at again.
const AGAIN: Duration = Duration::from_millis(10);

/// How many read timeouts a head may take that curl has a connection for. One would be a silence,
/// but curl hands over a head as a whole, so that one which trickles looks like none.
const HEAD: u32 = 3;

/// How many read timeouts a server has that nobody has seen to have the whole request: a machine that
/// is busy may be late to look, but not for ever.
const UNSEEN: u32 = 2;

/// Watches one exchange: its silences and its cutoff.
///
/// The clock decides, not the timer (R-T-6).
pub(crate) struct Watch {
    clock: ThreadClock,
    upload: Progress,
    timeouts: Timeouts,
    cutoff: Option<Cutoff>,
    /// Since when the present silence is waited through.
    began: Timestamp,
    /// Whether anybody waits: a caller that takes its time is no silence of the server's (R-T-2).
    waiting: bool,
    /// Whether the response has begun.
    answered: bool,
    standing: Standing,
    /// Of an upload.
    backlog: Option<Backlog>,
    timer: Option<(Timestamp, Alarm)>,
}

impl Watch {
    pub(crate) fn new(
        clock: ThreadClock,
        upload: Progress,
        timeouts: Timeouts,
        cutoff: Option<Cutoff>,
        standing: Standing,
        backlog: Option<Backlog>,
        began: Timestamp,
    ) -> Self {
        Self {
            clock,
            upload,
            timeouts,
            cutoff,
            began,
            waiting: true,
            answered: false,
            standing,
            backlog,
            timer: None,
        }
    }

    /// Something came: the next silence begins when it is waited for. Fails where the cutoff has come, which a
    /// stream that never pauses would otherwise outrun.
    pub(crate) fn progressed(&mut self) -> Result<(), FailureKind> {
        self.waiting = false;
        self.answered = true;
        self.cut_off().map_or(Ok(()), Err)
    }

    /// Whether no response is soon enough (R-T-8): one to a short upload may be there before anybody has
    /// looked whether curl took that.
    pub(crate) const fn is_over_at_once(&self) -> bool {
        self.timeouts.read.is_zero()
    }

    /// The kind of the cutoff, where it has come.
    pub(crate) fn cut_off(&self) -> Option<FailureKind> {
        let cutoff = self.cutoff.filter(|cutoff| self.clock.now() >= cutoff.at)?;
        Some(cutoff.kind())
    }

    /// Whether nothing can have been sent, because no connection stands yet.
    pub(crate) fn is_unconnected(&self) -> bool {
        !self.answered && self.upload.stand().asked.is_none() && self.standing.is_unconnected()
    }

    /// Which timeout it is that curl's own limits stand in for.
    pub(crate) fn silence(&self) -> FailureKind {
        let stand = self.upload.stand();
        if stand.done || self.answered {
            FailureKind::ReadTimeout
        } else {
            FailureKind::WriteTimeout
        }
    }

    /// Ready when a limit is reached, with the kind of failure that it is.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Poll<FailureKind> {
        loop {
            let now = self.clock.now();
            if !self.waiting {
                (self.waiting, self.began) = (true, now);
            }
            self.look(now);
            let due = match self.due(now) {
                Ok(due) => due,
                Err(kind) => return Poll::Ready(kind),
            };
            let armed = match &mut self.timer {
                Some((at, timer)) if *at <= due => timer,
                timer => &mut timer.insert((due, self.clock.alarm(due))).1,
            };
            match Pin::new(armed).poll(context) {
                Poll::Ready(()) => self.timer = None,
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Looks whether the connection stands, and whether the server takes what is sent, where nothing
    /// else shows it.
    fn look(&mut self, now: Timestamp) {
        let stand = self.upload.stand();
        // Under the very conditions under which `due` is ready at the next look, which else would
        // stay due.
        if !self.answered && stand.asked.is_none() {
            self.standing.look(now);
        }
        if let Some(backlog) = self.backlog.as_mut().filter(|_| is_sent(self.answered, &stand)) {
            backlog.look(&stand, now);
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
        let stand = self.upload.stand();
        if self.is_over_at_once() && (self.answered || stand.done) {
            // However soon something comes.
            return Err(FailureKind::ReadTimeout);
        }
        if let Some(backlog) = self.backlog.as_ref().filter(|_| is_sent(self.answered, &stand)) {
            next = next.min(backlog.next_look());
        }
        let (silent_until, kind) = self.limit(now);
        match silent_until {
            Some(at) if now >= at => Err(kind),
            Some(at) if self.answered || stand.asked.is_some() => Ok(next.min(at)),
            Some(at) => Ok(next.min(at).min(self.look_again(now))),
            None => Ok(next),
        }
    }

    /// When curl may have asked for the body, or the connection stand, so that a limit is nearer
    /// than it seemed.
    fn look_again(&self, now: Timestamp) -> Timestamp {
        let asked = self.timeouts.read.min(self.timeouts.write).max(AGAIN);
        now.saturating_add(asked).min(self.standing.next_look())
    }

    /// How long the present silence may last (`None`: for ever), and which timeout ends it.
    ///
    /// Nobody wakes the watch when curl asks for the body, so that it looks for itself.
    fn limit(&self, now: Timestamp) -> (Option<Timestamp>, FailureKind) {
        let Timeouts { connect, read, write, .. } = self.timeouts;
        let until = |since: Timestamp, length| since.checked_add(length);
        if self.answered {
            return (until(self.began, read), FailureKind::ReadTimeout);
        }
        let stand = self.upload.stand();
        // curl asks for the body when there is a connection to send it over, and keeps the connect
        // timeout by itself.
        let backlog = self.backlog.as_ref();
        match (stand.done, stand.asked) {
            (_, Some(_)) if backlog.is_some_and(Backlog::is_stuck) => {
                (Some(now), FailureKind::WriteTimeout)
            }
            // curl has handed over the whole body, and the system has not.
            (true, Some(_)) if backlog.is_some_and(Backlog::waits) => {
                (None, FailureKind::WriteTimeout)
            }
            (true, Some(asked)) => {
                let sent = backlog.and_then(Backlog::drained_at).map_or(asked, |at| at.max(asked));
                // Where nobody has come to look since, it may all be waiting in the system. What is
                // as little as a head would not be told from one.
                let large = stand.taken > uploads::HEAD;
                let unseen = backlog.is_some_and(|it| large && !it.is_known_since(asked));
                let silence = if unseen { read.saturating_mul(UNSEEN) } else { read };
                (until(self.began.max(sent), silence), FailureKind::ReadTimeout)
            }
            (true, None) => {
                let unconnected = until(self.began, connect.saturating_add(read));
                let trickled = self.standing.since().map(|at| until(at, read.saturating_mul(HEAD)));
                let first = trickled.map_or(unconnected, |at| earlier(at, unconnected));
                (first, FailureKind::ReadTimeout)
            }
            // A slow source is no silence of the peer's: look again later (R-T-3).
            (false, Some(_)) if stand.source_pending => {
                (until(now, write.max(AGAIN)), FailureKind::WriteTimeout)
            }
            (false, Some(asked)) => (until(asked, write), FailureKind::WriteTimeout),
            (false, None) => {
                (until(self.began, connect.saturating_add(write)), FailureKind::WriteTimeout)
            }
        }
    }
}

/// Whether a body is on its way: curl has begun to send it, and there is no answer.
const fn is_sent(answered: bool, stand: &Stand) -> bool {
    !answered && stand.asked.is_some()
}

/// The earlier of two points in time, of which `None` never comes.
fn earlier(one: Option<Timestamp>, other: Option<Timestamp>) -> Option<Timestamp> {
    one.into_iter().chain(other).min()
}
