//! The run of one contender: the engine's calls, carried out in virtual time.

use redial_engine::{Timestamp, Upstream};

use super::figures::Report;
use super::scenario::{Contender, Load, Scenario};
use super::world::{Event, Next, Open, Slot, Stage, World};
use crate::rng::Seed;

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
    let mut instant = Instant::of(scenario);
    let mut events = 0_u32;
    while let Some((now, event)) = fleet.world.queue.pop() {
        fleet.happen(now, event);
        events = events.wrapping_add(1);
        if events.trailing_zeros() >= u16::BITS {
            if instant.has_no_end(now) {
                fleet.world.checks.stands_still(now);
                break;
            }
            progress(Progress {
                now,
                calls: fleet.world.figures.totals.calls,
                open: fleet.slots.len() - fleet.free.len(),
            });
        }
    }
    fleet.report()
}

/// How much happens without time moving on: clients that call again at once, and are refused at
/// once, would do so for ever.
struct Instant {
    at: Timestamp,
    /// How many reports of progress fell into it, and how many are too many.
    reports: u64,
    most: u64,
}

impl Instant {
    /// Each client may do a few things in one instant, such as all beginning at once.
    fn of(scenario: &Scenario) -> Self {
        const EACH: u64 = 16;
        let most = 2 + u64::from(scenario.clients) * EACH / (u64::from(u16::MAX) + 1);
        Self { at: Timestamp::ORIGIN, reports: 0, most }
    }

    /// Takes note of a report. Answers whether it is one too many.
    fn has_no_end(&mut self, now: Timestamp) -> bool {
        if now > self.at {
            (self.at, self.reports) = (now, 0);
        }
        self.reports += 1;
        self.reports > self.most
    }
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

impl<'a> Fleet<'a> {
    fn new(scenario: &'a Scenario, contender: &'a Contender, seed: Seed) -> Self {
        let upstream = Upstream::new(contender.budget);
        let upstreams = vec![upstream; scenario.clients as usize];
        let world = World::new(scenario, contender, seed);
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
