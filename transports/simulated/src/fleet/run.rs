//! The run of one contender: the engine's calls, carried out in virtual time.

use redial_engine::{
    Action, Attempt, Call, Cutoff, Delivery, FailureKind, Finality, GiveUp, Outcome, Pause, Retry,
    StandardPolicy, Timestamp, Upstream, Verdict,
};

use super::checks::Checks;
use super::figures::{Figures, Report};
use super::load::Arrivals;
use super::model::{Answer, Serving, nanos};
use super::scenario::{Contender, Load, Scenario};
use crate::queue::EventQueue;
use crate::rng::{Seed, Stream};
use crate::trace::{Event as Traced, Record, Trace};

/// How far a run has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "made for each report of progress")]
pub struct Progress {
    /// The time that it has come to.
    pub now: Timestamp,
    /// How many calls have begun.
    pub calls: u64,
    /// How many are open.
    pub open: usize,
}

/// Plays a scenario with one of its contenders, to the end of the last call.
///
/// The same scenario and seed give the same report, trace hash included, on every machine. The
/// load is the same for all contenders of a seed. `progress` is told every 65,536 events.
pub fn run(
    scenario: &Scenario,
    contender: &Contender,
    seed: Seed,
    progress: &mut dyn FnMut(Progress),
) -> Report {
    let mut fleet = Fleet::new(scenario, contender, seed);
    fleet.start();
    let mut events = 0_u32;
    while let Some((now, event)) = fleet.queue.pop() {
        fleet.happen(now, event);
        events = events.wrapping_add(1);
        if events.trailing_zeros() >= u16::BITS {
            progress(Progress {
                now,
                calls: fleet.figures.totals.calls,
                open: fleet.slots.len() - fleet.free.len(),
            });
        }
    }
    fleet.report()
}

/// What is to happen.
enum Event {
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
enum Stage<'a> {
    /// There is none in this slot.
    Free,
    /// Its request is on the way, and the answer will take so long to come back.
    OnTheWay(Attempt<&'a StandardPolicy>, u64),
    /// Its attempt comes to this when it goes on.
    Answered(Attempt<&'a StandardPolicy>, Outcome),
    /// It waits.
    Paused(Pause<&'a StandardPolicy>),
}

/// A call that is open.
struct Slot<'a> {
    stage: Stage<'a>,
    began: Timestamp,
    client: u32,
    /// The call's number, counted from 0.
    call: u32,
    /// How many of its requests were sent.
    sent: u32,
}

struct Fleet<'a> {
    retry: Retry<&'a StandardPolicy>,
    contender: &'a Contender,
    scenario: &'a Scenario,
    queue: EventQueue<Event>,
    arrivals: Arrivals<'a>,
    server: Serving<'a>,
    network: Stream,
    jitter: Stream,
    /// One for each client.
    upstreams: Vec<Upstream>,
    slots: Vec<Slot<'a>>,
    /// Slots without a call.
    free: Vec<u32>,
    figures: Figures,
    checks: Checks,
    trace: Trace,
}

impl<'a> Fleet<'a> {
    fn new(scenario: &'a Scenario, contender: &'a Contender, seed: Seed) -> Self {
        let upstream = Upstream::new(contender.budget);
        Self {
            retry: Retry::new(&contender.policy),
            contender,
            scenario,
            queue: EventQueue::new(),
            arrivals: Arrivals::new(&scenario.load, scenario.duration, seed.stream("arrivals")),
            server: Serving::new(&scenario.server, seed.stream("server")),
            network: seed.stream("network"),
            jitter: seed.stream("jitter"),
            upstreams: vec![upstream; scenario.clients as usize],
            slots: Vec::new(),
            free: Vec::new(),
            figures: Figures::new(scenario.duration),
            checks: Checks::new(contender),
            trace: Trace::hashed(),
        }
    }

    /// Puts in the first calls.
    fn start(&mut self) {
        match &self.scenario.load {
            Load::Open(_) => self.expect_arrival(Timestamp::ORIGIN),
            Load::Closed(_) => {
                for client in 0..self.scenario.clients {
                    self.rest(client, Timestamp::ORIGIN);
                }
            }
        }
    }

    #[inline]
    fn happen(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Arrival => {
                let client = self.arrivals.client(self.scenario.clients);
                self.begin(client, now);
                self.expect_arrival(now);
            }
            Event::Begin(client) => self.begin(client, now),
            Event::Reach(slot) => self.reach(slot, now),
            Event::Orphan(number) => {
                let answer = self.server.arrive(now, number);
                self.figures.totals.accepted += u64::from(answer.worked_on);
            }
            Event::GoOn(slot) => self.go_on(slot, now),
        }
    }

    fn expect_arrival(&mut self, now: Timestamp) {
        if let Some(at) = self.arrivals.next(now) {
            self.queue.push(at, Event::Arrival);
        }
    }

    /// A client of a closed load rests, and calls again if there is time.
    #[inline]
    fn rest(&mut self, client: u32, now: Timestamp) {
        if let Some(at) = self.arrivals.rested(now) {
            self.queue.push(at, Event::Begin(client));
        }
    }

    fn begin(&mut self, client: u32, now: Timestamp) {
        // A trace counts calls in 32 bits; a run with more begins anew with 0.
        let call = self.figures.totals.calls as u32;
        let slot = Slot { stage: Stage::Free, began: now, client, call, sent: 0 };
        self.figures.began(now);
        self.checks.began();
        let index = self.keep(slot);
        let call = Call::new(self.contender.replay);
        let Some(upstream) = self.upstreams.get_mut(client as usize) else { return };
        let action = self.retry.begin(call, now, upstream);
        self.note(index, now, Traced::Began);
        self.act(index, action, now);
    }

    /// Finds room for a call.
    #[inline]
    fn keep(&mut self, slot: Slot<'a>) -> u32 {
        if let Some(index) = self.free.pop()
            && let Some(room) = self.slots.get_mut(index as usize)
        {
            *room = slot;
            return index;
        }
        self.slots.push(slot);
        // No more calls are open at once than there is memory for.
        (self.slots.len() - 1) as u32
    }

    /// The request in a slot arrives at the server.
    fn reach(&mut self, index: u32, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        match core::mem::replace(&mut slot.stage, Stage::Free) {
            Stage::OnTheWay(attempt, way_back) => {
                let answer = self.server.arrive(now, slot.sent);
                if let Some(action) = self.expect(index, attempt, answer, way_back, now) {
                    self.act(index, action, now);
                }
            }
            other @ (Stage::Free | Stage::Answered(..) | Stage::Paused(_)) => slot.stage = other,
        }
    }

    /// The call in a slot goes on.
    fn go_on(&mut self, index: u32, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let action = match core::mem::replace(&mut slot.stage, Stage::Free) {
            Stage::Answered(attempt, outcome) => self.finish(index, attempt, outcome, now),
            Stage::Paused(pause) => {
                let upstream = self.upstreams.get_mut(slot.client as usize);
                upstream.map(|upstream| pause.resume(now, upstream))
            }
            Stage::Free | Stage::OnTheWay(..) => None,
        };
        if let Some(action) = action {
            self.act(index, action, now);
        }
    }

    /// Carries out what the engine answers, for as long as nothing has to be waited for.
    fn act(&mut self, index: u32, mut action: Action<&'a StandardPolicy>, now: Timestamp) {
        loop {
            let next = match action {
                Action::Send(attempt) => self.send(index, attempt, now),
                Action::Sleep(pause) => self.sleep(index, pause, now),
                Action::GiveUp(why) => {
                    self.give_up(index, why, now);
                    return;
                }
            };
            match next {
                Some(next) => action = next,
                None => return,
            }
        }
    }

    /// Sends a request.
    fn send(
        &mut self,
        index: u32,
        attempt: Attempt<&'a StandardPolicy>,
        now: Timestamp,
    ) -> Option<Action<&'a StandardPolicy>> {
        let slot = self.slots.get_mut(index as usize)?;
        self.checks.sends(&attempt, slot.sent, (now, slot.call));
        slot.sent += 1;
        let number = slot.sent;
        self.figures.sent(now, number);
        self.note(index, now, Traced::Sent);
        let network = &self.scenario.server.network;
        if let Some(way) = network.fixed() {
            // Requests then arrive in the order in which they are sent: the server may be asked now.
            let answer = self.server.arrive(after(now, way), number);
            return self.expect(index, attempt, answer, way, now);
        }
        let (way, way_back) = (network.draw(&mut self.network), network.draw(&mut self.network));
        let arrives = after(now, way);
        match self.cutoff(&attempt, now) {
            Some((at, outcome)) if at <= arrives => {
                self.queue.push(arrives, Event::Orphan(number));
                self.answered(index, attempt, at, outcome);
            }
            Some(_) | None => {
                self.stage(index, Stage::OnTheWay(attempt, way_back));
                self.queue.push(arrives, Event::Reach(index));
            }
        }
        None
    }

    /// An answer is known, or that none will come in time. What comes at once is finished at once.
    fn expect(
        &mut self,
        index: u32,
        attempt: Attempt<&'a StandardPolicy>,
        answer: Answer,
        way_back: u64,
        now: Timestamp,
    ) -> Option<Action<&'a StandardPolicy>> {
        self.figures.totals.accepted += u64::from(answer.worked_on);
        let comes = after(answer.at, way_back);
        let (at, outcome) = match self.cutoff(&attempt, now) {
            Some((at, outcome)) if at < comes => (at, outcome),
            Some(_) | None => (comes, answer.outcome),
        };
        if at <= now {
            return self.finish(index, attempt, outcome, now);
        }
        self.answered(index, attempt, at, outcome);
        None
    }

    /// When the caller stops waiting for an answer to what it sends now, and what that is.
    fn cutoff(
        &self,
        attempt: &Attempt<&'a StandardPolicy>,
        now: Timestamp,
    ) -> Option<(Timestamp, Outcome)> {
        let silence = after(now, nanos(self.contender.timeouts.read));
        let outcome = |kind| Outcome::failure(kind, Delivery::Unknown);
        match attempt.deadline() {
            Some(cutoff @ Cutoff { at, .. }) if at <= silence => Some((at, outcome(cutoff.kind()))),
            Some(_) | None if silence < Timestamp::MAX => {
                Some((silence, outcome(FailureKind::ReadTimeout)))
            }
            Some(_) | None => None,
        }
    }

    fn answered(
        &mut self,
        index: u32,
        attempt: Attempt<&'a StandardPolicy>,
        at: Timestamp,
        outcome: Outcome,
    ) {
        self.stage(index, Stage::Answered(attempt, outcome));
        self.queue.push(at, Event::GoOn(index));
    }

    /// Hands the engine what came of an attempt.
    fn finish(
        &mut self,
        index: u32,
        attempt: Attempt<&'a StandardPolicy>,
        outcome: Outcome,
        now: Timestamp,
    ) -> Option<Action<&'a StandardPolicy>> {
        self.note(index, now, Traced::Ended(outcome));
        let slot = self.slots.get(index as usize)?;
        let place = (now, slot.call);
        let upstream = self.upstreams.get_mut(slot.client as usize)?;
        let verdict = attempt.finish(&outcome, now, upstream, &mut self.jitter);
        self.checks.budget(upstream, place);
        match verdict {
            Verdict::Done(end) => {
                self.note(index, now, Traced::Done(end.finality));
                self.end(index, end.attempts, end.finality == Finality::Success, now);
                None
            }
            Verdict::Next(action) => {
                if let Action::Sleep(pause) = &action {
                    self.checks.waits(pause, &outcome, place);
                    let (wait, cause) = (pause.wait(), pause.cause());
                    self.note(index, now, Traced::Waits { wait, cause });
                }
                Some(action)
            }
        }
    }

    fn sleep(
        &mut self,
        index: u32,
        pause: Pause<&'a StandardPolicy>,
        now: Timestamp,
    ) -> Option<Action<&'a StandardPolicy>> {
        let until = pause.until();
        if until <= now {
            let client = self.slots.get(index as usize)?.client;
            return Some(pause.resume(now, self.upstreams.get_mut(client as usize)?));
        }
        self.stage(index, Stage::Paused(pause));
        self.queue.push(until, Event::GoOn(index));
        None
    }

    fn give_up(&mut self, index: u32, why: GiveUp, now: Timestamp) {
        *self.figures.give_ups.entry(why.reason.name()).or_default() += 1;
        self.note(index, now, Traced::GaveUp(why.reason));
        self.end(index, why.attempts, false, now);
    }

    /// A call has ended; its client rests.
    fn end(&mut self, index: u32, attempts: u32, success: bool, now: Timestamp) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        slot.stage = Stage::Free;
        self.checks.ended(attempts, slot.sent, (now, slot.call));
        if success {
            self.figures.succeeded(now, slot.began);
        } else {
            self.figures.failed(now);
        }
        let client = slot.client;
        self.free.push(index);
        self.rest(client, now);
    }

    #[inline]
    fn stage(&mut self, index: u32, stage: Stage<'a>) {
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.stage = stage;
        }
    }

    #[inline]
    fn note(&mut self, index: u32, at: Timestamp, event: Traced) {
        let Some(slot) = self.slots.get(index as usize) else { return };
        let upstream = self.upstreams.get(slot.client as usize);
        let tokens_milli = upstream.map_or(0, Upstream::tokens_milli);
        self.trace.record(Record { at, call: slot.call, attempt: slot.sent, event, tokens_milli });
    }

    fn report(mut self) -> Report {
        let ended_at = self.queue.now();
        self.checks.finished(ended_at, self.figures.totals.calls as u32);
        let bin = self.figures.bin();
        let (totals, latency, give_ups, bins) = self.figures.into_parts();
        Report {
            name: self.contender.name.clone(),
            totals,
            latency,
            give_ups,
            bin,
            bins,
            ended_at,
            most_open: self.slots.len(),
            hash: self.trace.hash(),
            records: self.trace.len(),
            violation: self.checks.violation(),
        }
    }
}

#[inline]
const fn after(at: Timestamp, nanos: u64) -> Timestamp {
    Timestamp::from_nanos(at.as_nanos().saturating_add(nanos))
}
