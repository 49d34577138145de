//! A server at work.
//!
//! A request that arrives is answered at once, in the simulation's sense: queue, capacity and
//! windows say when the answer leaves, and nobody has to ask again. That works because requests
//! arrive in the order of time, and because work that was begun is carried out, wanted or not.

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BinaryHeap, VecDeque};

use redial_engine::{Delivery, FailureKind, Outcome, ServerHint, Timestamp};

use super::model::{Fault, RateLimit, Server, SlowStart, Window, nanos};
use crate::rng::Stream;

/// When an answer leaves the server, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "an answer has a time and a content")]
pub struct Answer {
    /// When; [`Timestamp::MAX`] where no answer ever comes.
    pub at: Timestamp,
    /// What.
    pub outcome: Outcome,
    /// Whether the request was carried out, or will be.
    pub worked_on: bool,
}

/// A server at work.
#[derive(Clone, Debug)]
pub struct Serving<'a> {
    model: &'a Server,
    random: Stream,
    /// When each worker is free again; as many as there are workers, or none were the number does
    /// not matter.
    free_at: BinaryHeap<Reverse<u64>>,
    /// When the work begins of those that wait, in order.
    waiting: VecDeque<u64>,
    /// When those that are worked on leave.
    leaving: BinaryHeap<Reverse<u64>>,
    /// The number of the current window of the rate limit, and the requests in it.
    limited: (u64, u32),
}

const OK: Outcome = Outcome::status(200);
const UNAVAILABLE: Outcome = Outcome::status(503);

impl<'a> Serving<'a> {
    /// The server at the origin of time, with nothing to do.
    pub fn new(model: &'a Server, random: Stream) -> Self {
        let workers = model.workers.unwrap_or(0);
        Self {
            model,
            random,
            free_at: (0..workers).map(|_| Reverse(0)).collect(),
            waiting: VecDeque::new(),
            leaving: BinaryHeap::new(),
            limited: (0, 0),
        }
    }

    /// How a request is answered that arrives now, no earlier than the one before; `attempt` is
    /// its number in its call.
    #[inline]
    pub fn arrive(&mut self, now: Timestamp, attempt: u32) -> Answer {
        let now = now.as_nanos();
        let fault = self.model.faults.iter().find(|window| window.covers(now));
        if let Some(answer) = fault.and_then(|window| self.misbehave(window, now)) {
            return answer;
        }
        if attempt <= self.model.fails_first {
            return at_once(now, UNAVAILABLE);
        }
        if let Some(limit) = self.model.rate_limit
            && let Some(answer) = self.limit(limit, now)
        {
            return answer;
        }
        self.work(now)
    }

    /// What a fault makes of a request; nothing where it only delays it, or spares it.
    fn misbehave(&mut self, window: &Window, now: u64) -> Option<Answer> {
        let never = Answer { at: Timestamp::MAX, outcome: OK, worked_on: false };
        match window.kind {
            Fault::Stalls => None,
            Fault::Silent => Some(never),
            Fault::Refuses => {
                let refused = Outcome::failure(FailureKind::Connect, Delivery::Unsent);
                Some(at_once(now, refused))
            }
            Fault::Errors => {
                let hint = ServerHint::NONE.after(window.retry_after.unwrap_or(Duration::ZERO));
                let hit = self.random.chance(u64::from(window.permille), 1000);
                hit.then(|| at_once(now, Outcome::hinted(window.status, hint)))
            }
        }
    }

    /// 429 where the window of time is full.
    fn limit(&mut self, limit: RateLimit, now: u64) -> Option<Answer> {
        let per = nanos(limit.per).max(1);
        let window = now / per;
        if self.limited.0 != window {
            self.limited = (window, 0);
        }
        if self.limited.1 < limit.requests {
            self.limited.1 += 1;
            return None;
        }
        let left = (window + 1).saturating_mul(per) - now;
        let seconds = left.div_ceil(NANOS_PER_SECOND);
        let hint = ServerHint::NONE.after(Duration::from_secs(seconds));
        Some(at_once(now, Outcome::hinted(429, hint)))
    }

    /// The request is worked on, as soon as somebody can.
    fn work(&mut self, now: u64) -> Answer {
        let begin = match self.model.workers {
            None => self.not_stalled(now),
            Some(_) => {
                let Reverse(free) = self.free_at.peek().copied().unwrap_or(Reverse(0));
                let begin = self.not_stalled(free.max(now));
                if self.is_full(now, begin) {
                    return at_once(now, UNAVAILABLE);
                }
                self.free_at.pop();
                begin
            }
        };
        let length = self.model.service.draw(&mut self.random);
        let length = self.slowed(length, begin).saturating_add(self.crowded(now));
        let end = begin.saturating_add(length);
        if self.model.workers.is_some() {
            self.free_at.push(Reverse(end));
        }
        if !self.model.slowdown.is_zero() {
            self.leaving.push(Reverse(end));
        }
        Answer { at: Timestamp::from_nanos(end), outcome: OK, worked_on: true }
    }

    /// When work can begin that could begin at `at`.
    fn not_stalled(&self, at: u64) -> u64 {
        let mut at = at;
        // One may follow on another, in whatever order they are written.
        while let Some(window) = self.model.faults.iter().find(|window| window.stalls(at)) {
            at = nanos(window.until);
        }
        at
    }

    /// Whether nobody more may wait. One that may, and has to, waits from here on.
    fn is_full(&mut self, now: u64, begin: u64) -> bool {
        let Some(most) = self.model.queue else { return false };
        while self.waiting.front().is_some_and(|begins| *begins <= now) {
            self.waiting.pop_front();
        }
        if begin <= now {
            return false;
        }
        if self.waiting.len() >= most as usize {
            return true;
        }
        self.waiting.push_back(begin);
        false
    }

    /// How long work takes that begins at `begin`, so soon after a fault.
    fn slowed(&self, length: u64, begin: u64) -> u64 {
        let Some(SlowStart { from_percent, over }) = self.model.slow_start else { return length };
        let ended = self.model.faults.iter().map(|window| nanos(window.until));
        let Some(ended) = ended.filter(|until| *until <= begin).max() else { return length };
        let (since, over) = (begin - ended, nanos(over));
        if since >= over {
            return length;
        }
        // The speed in percent, to a thousandth of one.
        let foot = u64::from(from_percent) * 1000;
        let climbed = (100_000 - foot) as u128 * u128::from(since) / u128::from(over);
        let speed = u128::from(foot) + climbed;
        u64::try_from(u128::from(length) * 100_000 / speed).unwrap_or(u64::MAX)
    }

    /// How much longer it takes because of others.
    fn crowded(&mut self, now: u64) -> u64 {
        if self.model.slowdown.is_zero() {
            return 0;
        }
        while self.leaving.peek().is_some_and(|Reverse(end)| *end <= now) {
            self.leaving.pop();
        }
        nanos(self.model.slowdown).saturating_mul(self.leaving.len() as u64)
    }
}

const fn at_once(now: u64, outcome: Outcome) -> Answer {
    Answer { at: Timestamp::from_nanos(now), outcome, worked_on: false }
}

const NANOS_PER_SECOND: u64 = 1_000_000_000;
