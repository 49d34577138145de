//! The world that calls are made in: time, network, server, and what is written down.

use redial_engine::{
    Action, Attempt, Call, Cutoff, Delivery, FailureKind, Finality, Outcome, Pause, Retry,
    StandardPolicy, Timestamp, Upstream, Verdict,
};

use super::checks::Checks;
use super::figures::Figures;
use super::load::Arrivals;
use super::model::nanos;
use super::scenario::{Contender, Scenario};
use super::serving::{Answer, Serving};
use crate::queue::EventQueue;
use crate::rng::{Seed, Stream};
use crate::trace::{Event as Traced, Record, Trace};

/// What is to happen.
pub(super) enum Event {
    /// A call of an open load begins.
    Arrival,
    /// A client begins a call.
    Begin(u32),
    /// The request of the call in this slot arrives at the server.
    Reach(u32),
    /// A request arrives whose call has stopped waiting for it; this was its attempt's number.
    Orphan(u32),
    /// The attempt in this slot has ended, or its pause has.
    GoOn(u32),
}

/// Where a call is.
pub(super) enum Stage<'a> {
    /// There is none in this slot.
    Free,
    /// Its request is on the way, and the answer will take so long to come back.
    OnTheWay(Token<'a>, u64),
    /// Its attempt comes to this when it goes on.
    Answered(Token<'a>, Outcome),
    /// It waits.
    Paused(Pause<&'a StandardPolicy>),
}

/// A call that is open.
pub(super) struct Slot<'a> {
    pub(super) stage: Stage<'a>,
    pub(super) began: Timestamp,
    pub(super) client: u32,
    /// The call's number, counted from 0.
    pub(super) call: u32,
    /// How many of its requests were sent.
    pub(super) sent: u32,
}

/// Everything but the calls.
pub(super) struct World<'a> {
    retry: Retry<&'a StandardPolicy>,
    pub(super) contender: &'a Contender,
    pub(super) scenario: &'a Scenario,
    /// The longest silence that a client bears, in nanoseconds.
    silence: u64,
    pub(super) queue: EventQueue<Event>,
    pub(super) arrivals: Arrivals<'a>,
    server: Serving<'a>,
    network: Stream,
    jitter: Stream,
    pub(super) figures: Figures,
    pub(super) checks: Checks,
    pub(super) trace: Trace,
}

/// A call that is lent to the world for one event.
pub(super) struct Open<'s, 'a> {
    pub(super) index: u32,
    pub(super) slot: &'s mut Slot<'a>,
    pub(super) upstream: &'s mut Upstream,
}

/// An attempt under way.
type Token<'a> = Attempt<&'a StandardPolicy>;

/// What is next of a call, where it need not wait for it.
pub(super) type Next<'a> = Option<Action<&'a StandardPolicy>>;

impl<'a> World<'a> {
    pub(super) fn new(scenario: &'a Scenario, contender: &'a Contender, seed: Seed) -> Self {
        Self {
            retry: Retry::new(&contender.policy),
            contender,
            scenario,
            silence: nanos(contender.timeouts.read),
            queue: EventQueue::new(),
            arrivals: Arrivals::new(&scenario.load, scenario.duration, seed.stream("arrivals")),
            server: Serving::new(&scenario.server, seed.stream("server")),
            network: seed.stream("network"),
            jitter: seed.stream("jitter"),
            figures: Figures::new(scenario.duration),
            checks: Checks::new(contender),
            trace: Trace::hashed(),
        }
    }

    pub(super) fn expect_arrival(&mut self, now: Timestamp) {
        if let Some(at) = self.arrivals.next(now) {
            self.queue.push(at, Event::Arrival);
        }
    }

    /// A client of a closed load rests, and calls again if there is time.
    #[inline]
    pub(super) fn rest(&mut self, client: u32, now: Timestamp) {
        if let Some(at) = self.arrivals.rested(now) {
            self.queue.push(at, Event::Begin(client));
        }
    }

    /// A request arrives that nobody waits for any more.
    pub(super) fn orphan(&mut self, number: u32, now: Timestamp) {
        let answer = self.server.arrive(now, number);
        self.figures.totals.accepted += u64::from(answer.worked_on);
    }

    pub(super) fn begin(&mut self, open: &mut Open<'_, 'a>, now: Timestamp) -> Next<'a> {
        self.figures.began(now);
        self.checks.began();
        let action = self.retry.begin(Call::new(self.contender.replay), now, open.upstream);
        self.note(open, now, Traced::Began);
        Some(action)
    }

    /// A request arrives at the server.
    pub(super) fn reach(&mut self, open: &mut Open<'_, 'a>, now: Timestamp) -> Next<'a> {
        match core::mem::replace(&mut open.slot.stage, Stage::Free) {
            Stage::OnTheWay(attempt, way_back) => {
                let answer = self.server.arrive(now, open.slot.sent);
                self.expect(open, attempt, answer, way_back, now)
            }
            Stage::Free | Stage::Answered(..) | Stage::Paused(_) => None,
        }
    }

    /// An attempt has ended, or a pause has.
    #[inline]
    pub(super) fn go_on(&mut self, open: &mut Open<'_, 'a>, now: Timestamp) -> Next<'a> {
        match core::mem::replace(&mut open.slot.stage, Stage::Free) {
            Stage::Answered(attempt, outcome) => self.finish(open, attempt, outcome, now),
            Stage::Paused(pause) => Some(pause.resume(now, open.upstream)),
            Stage::Free | Stage::OnTheWay(..) => None,
        }
    }

    /// Carries out what the engine answers.
    #[inline]
    pub(super) fn act(
        &mut self,
        open: &mut Open<'_, 'a>,
        action: Action<&'a StandardPolicy>,
        now: Timestamp,
    ) -> Next<'a> {
        match action {
            Action::Send(attempt) => self.send(open, attempt, now),
            Action::Sleep(pause) if pause.until() <= now => Some(pause.resume(now, open.upstream)),
            Action::Sleep(pause) => {
                self.queue.push(pause.until(), Event::GoOn(open.index));
                open.slot.stage = Stage::Paused(pause);
                None
            }
            Action::GiveUp(why) => {
                *self.figures.give_ups.entry(why.reason.name()).or_default() += 1;
                self.note(open, now, Traced::GaveUp(why.reason));
                self.end(open, why.attempts, false, now);
                None
            }
        }
    }

    /// Sends a request.
    #[inline]
    fn send(&mut self, open: &mut Open<'_, 'a>, attempt: Token<'a>, now: Timestamp) -> Next<'a> {
        let slot = &mut *open.slot;
        self.checks.sends(&attempt, slot.sent, (now, slot.call));
        slot.sent += 1;
        let number = slot.sent;
        self.figures.sent(now, number);
        self.note(open, now, Traced::Sent);
        match self.scenario.server.network.fixed() {
            Some(way) => {
                // Requests then arrive in the order in which they are sent: the server may be asked
                // now.
                let answer = self.server.arrive(after(now, way), number);
                self.expect(open, attempt, answer, way, now)
            }
            None => {
                self.put_on_the_way(open, attempt, now);
                None
            }
        }
    }

    /// A request takes its time to the server, and may overtake others.
    fn put_on_the_way(&mut self, open: &mut Open<'_, 'a>, attempt: Token<'a>, now: Timestamp) {
        let network = &self.scenario.server.network;
        let (way, way_back) = (network.draw(&mut self.network), network.draw(&mut self.network));
        let arrives = after(now, way);
        match self.cutoff(&attempt, now) {
            Some((at, outcome)) if at <= arrives => {
                self.queue.push(arrives, Event::Orphan(open.slot.sent));
                self.answered(open, attempt, at, outcome);
            }
            Some(_) | None => {
                open.slot.stage = Stage::OnTheWay(attempt, way_back);
                self.queue.push(arrives, Event::Reach(open.index));
            }
        }
    }

    /// An answer is known, or that none will come in time. What comes at once is finished at once.
    #[inline]
    fn expect(
        &mut self,
        open: &mut Open<'_, 'a>,
        attempt: Token<'a>,
        answer: Answer,
        way_back: u64,
        now: Timestamp,
    ) -> Next<'a> {
        self.figures.totals.accepted += u64::from(answer.worked_on);
        let comes = after(answer.at, way_back);
        let (at, outcome) = match self.cutoff(&attempt, now) {
            Some((at, outcome)) if at < comes => (at, outcome),
            Some(_) | None => (comes, answer.outcome),
        };
        if at <= now {
            return self.finish(open, attempt, outcome, now);
        }
        self.answered(open, attempt, at, outcome);
        None
    }

    /// When the caller stops waiting for an answer to what it sent, and what that is.
    #[inline]
    fn cutoff(&self, attempt: &Token<'a>, now: Timestamp) -> Option<(Timestamp, Outcome)> {
        let silence = after(now, self.silence);
        let outcome = |kind| Outcome::failure(kind, Delivery::Unknown);
        match attempt.deadline() {
            Some(cutoff @ Cutoff { at, .. }) if at <= silence => Some((at, outcome(cutoff.kind()))),
            Some(_) | None if silence < Timestamp::MAX => {
                Some((silence, outcome(FailureKind::ReadTimeout)))
            }
            Some(_) | None => None,
        }
    }

    #[inline]
    fn answered(
        &mut self,
        open: &mut Open<'_, 'a>,
        attempt: Token<'a>,
        at: Timestamp,
        outcome: Outcome,
    ) {
        open.slot.stage = Stage::Answered(attempt, outcome);
        self.queue.push(at, Event::GoOn(open.index));
    }

    /// Hands the engine what came of an attempt.
    fn finish(
        &mut self,
        open: &mut Open<'_, 'a>,
        attempt: Token<'a>,
        outcome: Outcome,
        now: Timestamp,
    ) -> Next<'a> {
        self.note(open, now, Traced::Ended(outcome));
        let place = (now, open.slot.call);
        let verdict = attempt.finish(&outcome, now, open.upstream, &mut self.jitter);
        self.checks.budget(open.upstream, place);
        match verdict {
            Verdict::Done(end) => {
                self.note(open, now, Traced::Done(end.finality));
                self.end(open, end.attempts, end.finality == Finality::Success, now);
                None
            }
            Verdict::Next(action) => {
                if let Action::Sleep(pause) = &action {
                    self.checks.waits(pause, &outcome, place);
                    let (wait, cause) = (pause.wait(), pause.cause());
                    self.note(open, now, Traced::Waits { wait, cause });
                }
                Some(action)
            }
        }
    }

    /// A call has ended; it waits for nothing any more.
    fn end(&mut self, open: &mut Open<'_, 'a>, attempts: u32, success: bool, now: Timestamp) {
        let slot = &*open.slot;
        self.checks.ended(attempts, slot.sent, (now, slot.call));
        if success {
            self.figures.succeeded(now, slot.began);
        } else {
            self.figures.failed(now);
        }
    }

    #[inline]
    fn note(&mut self, open: &Open<'_, 'a>, at: Timestamp, event: Traced) {
        let Slot { call, sent: attempt, .. } = *open.slot;
        let tokens_milli = open.upstream.tokens_milli();
        self.trace.record(Record { at, call, attempt, event, tokens_milli });
    }
}

#[inline]
const fn after(at: Timestamp, nanos: u64) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_add(nanos))
}
