//! The run of one contender: the engine's calls, carried out in virtual time.

use redial_engine::{
    Action, Attempt, Call, Cutoff, Delivery, FailureKind, Finality, Outcome, Pause, Retry,
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
    while let Some((now, event)) = fleet.world.queue.pop() {
        fleet.happen(now, event);
        events = events.wrapping_add(1);
        if events.trailing_zeros() >= u16::BITS {
            progress(Progress {
                now,
                calls: fleet.world.figures.totals.calls,
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

/// The calls, and the world that they are made in.
struct Fleet<'a> {
    world: World<'a>,
    /// One for each client.
    upstreams: Vec<Upstream>,
    slots: Vec<Slot<'a>>,
    /// Slots without a call.
    free: Vec<u32>,
}

/// Everything but the calls.
struct World<'a> {
    retry: Retry<&'a StandardPolicy>,
    contender: &'a Contender,
    scenario: &'a Scenario,
    /// The longest silence that a client bears, in nanoseconds.
    silence: u64,
    queue: EventQueue<Event>,
    arrivals: Arrivals<'a>,
    server: Serving<'a>,
    network: Stream,
    jitter: Stream,
    figures: Figures,
    checks: Checks,
    trace: Trace,
}

/// A call that is lent to the world for one event.
struct Open<'s, 'a> {
    index: u32,
    slot: &'s mut Slot<'a>,
    upstream: &'s mut Upstream,
}

type Next<'a> = Option<Action<&'a StandardPolicy>>;

impl<'a> Fleet<'a> {
    fn new(scenario: &'a Scenario, contender: &'a Contender, seed: Seed) -> Self {
        let upstream = Upstream::new(contender.budget);
        let world = World {
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
        };
        let upstreams = vec![upstream; scenario.clients as usize];
        Self { world, upstreams, slots: Vec::new(), free: Vec::new() }
    }

    /// Puts in the first calls.
    fn start(&mut self) {
        match &self.world.scenario.load {
            Load::Open(_) => self.world.expect_arrival(Timestamp::ORIGIN),
            Load::Closed(_) => {
                for client in 0..self.world.scenario.clients {
                    self.world.rest(client, Timestamp::ORIGIN);
                }
            }
        }
    }

    #[inline]
    fn happen(&mut self, now: Timestamp, event: Event) {
        match event {
            Event::Arrival => {
                let client = self.world.arrivals.client(self.world.scenario.clients);
                self.begin(client, now);
                self.world.expect_arrival(now);
            }
            Event::Begin(client) => self.begin(client, now),
            Event::Orphan(number) => self.world.orphan(number, now),
            Event::Reach(index) => self.with(index, now, World::reach),
            Event::GoOn(index) => self.with(index, now, World::go_on),
        }
    }

    fn begin(&mut self, client: u32, now: Timestamp) {
        // A trace counts calls in 32 bits; a run with more begins anew with 0.
        let call = self.world.figures.totals.calls as u32;
        let slot = Slot { stage: Stage::Free, began: now, client, call, sent: 0 };
        let index = self.keep(slot);
        self.with(index, now, World::begin);
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

    /// Lends a call to the world, which answers what is next, and has that done for as long as
    /// nothing has to be waited for.
    #[inline]
    fn with(
        &mut self,
        index: u32,
        now: Timestamp,
        step: impl FnOnce(&mut World<'a>, &mut Open<'_, 'a>, Timestamp) -> Next<'a>,
    ) {
        let Some(slot) = self.slots.get_mut(index as usize) else { return };
        let Some(upstream) = self.upstreams.get_mut(slot.client as usize) else { return };
        let mut open = Open { index, slot, upstream };
        let mut next = step(&mut self.world, &mut open, now);
        while let Some(action) = next {
            next = self.world.act(&mut open, action, now);
        }
        // What waits for nothing has ended.
        if matches!(open.slot.stage, Stage::Free) {
            let client = open.slot.client;
            self.free.push(index);
            self.world.rest(client, now);
        }
    }

    fn report(self) -> Report {
        let World { contender, queue, mut checks, figures, trace, .. } = self.world;
        checks.finished(queue.now(), figures.totals.calls as u32);
        let bin = figures.bin();
        let (totals, latency, give_ups, bins) = figures.into_parts();
        Report {
            name: contender.name.clone(),
            totals,
            latency,
            give_ups,
            bin,
            bins,
            ended_at: queue.now(),
            most_open: self.slots.len(),
            hash: trace.hash(),
            records: trace.len(),
            violation: checks.violation(),
        }
    }
}

impl<'a> World<'a> {
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

    /// A request arrives that nobody waits for any more.
    fn orphan(&mut self, number: u32, now: Timestamp) {
        let answer = self.server.arrive(now, number);
        self.figures.totals.accepted += u64::from(answer.worked_on);
    }

    fn begin(&mut self, open: &mut Open<'_, 'a>, now: Timestamp) -> Next<'a> {
        self.figures.began(now);
        self.checks.began();
        let action = self.retry.begin(Call::new(self.contender.replay), now, open.upstream);
        self.note(open, now, Traced::Began);
        Some(action)
    }

    /// A request arrives at the server.
    fn reach(&mut self, open: &mut Open<'_, 'a>, now: Timestamp) -> Next<'a> {
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
    fn go_on(&mut self, open: &mut Open<'_, 'a>, now: Timestamp) -> Next<'a> {
        match core::mem::replace(&mut open.slot.stage, Stage::Free) {
            Stage::Answered(attempt, outcome) => self.finish(open, attempt, outcome, now),
            Stage::Paused(pause) => Some(pause.resume(now, open.upstream)),
            Stage::Free | Stage::OnTheWay(..) => None,
        }
    }

    /// Carries out what the engine answers.
    #[inline]
    fn act(
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
    fn send(
        &mut self,
        open: &mut Open<'_, 'a>,
        attempt: Attempt<&'a StandardPolicy>,
        now: Timestamp,
    ) -> Next<'a> {
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
    fn put_on_the_way(
        &mut self,
        open: &mut Open<'_, 'a>,
        attempt: Attempt<&'a StandardPolicy>,
        now: Timestamp,
    ) {
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
        attempt: Attempt<&'a StandardPolicy>,
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
    fn cutoff(
        &self,
        attempt: &Attempt<&'a StandardPolicy>,
        now: Timestamp,
    ) -> Option<(Timestamp, Outcome)> {
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
        attempt: Attempt<&'a StandardPolicy>,
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
        attempt: Attempt<&'a StandardPolicy>,
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
