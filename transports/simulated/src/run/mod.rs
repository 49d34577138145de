//! A run: a scenario, carried out by the real client in virtual time, before a referee.

mod bytes;
mod call;
mod calm;
mod clients;
mod messages;
mod watched;
mod world;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use redial_client::{Client, ClientBuilder, Transport};

use self::clients::Makes;
use self::world::World;
use crate::executor::{Executor, VirtualTime};
use crate::referee::{Coverage, Invariant, Violation};
use crate::scenario::{Scenario, millis};
use crate::trace::Trace;

/// What a run came to.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// What happened, hashed, and kept where that was asked for.
    pub trace: Trace,
    /// What rare things happened.
    pub coverage: Coverage,
    /// The first thing that must not have happened.
    pub violation: Option<Violation>,
    /// How often a request was sent, re-sends included.
    pub sends: u32,
    /// How much virtual time has passed.
    pub elapsed: Duration,
}

/// A scenario that is to be run.
///
/// ```
/// use redial_sim::{Level, Scenario, Seed, Simulation};
///
/// let scenario = Scenario::of(Seed(7), Level::Messages);
/// let (one, other) = (Simulation::new(&scenario).run(), Simulation::new(&scenario).run());
/// assert_eq!(one.trace.hash(), other.trace.hash());
/// assert_eq!(one.violation, None);
/// ```
#[must_use = "a simulation does nothing until it is run"]
pub struct Simulation<'a> {
    scenario: &'a Scenario,
    trace: Trace,
    client: Option<TamperWithClient<'a>>,
    transport: Option<TamperWithTransport<'a>>,
}

/// From the client that is right to one that is not.
type TamperWithClient<'a> = &'a dyn Fn(ClientBuilder) -> ClientBuilder;
/// The same of a transport, which may want to know the time.
type TamperWithTransport<'a> = &'a dyn Fn(Box<dyn Transport>, VirtualTime) -> Box<dyn Transport>;

impl<'a> Simulation<'a> {
    /// This scenario.
    pub const fn new(scenario: &'a Scenario) -> Self {
        Self { scenario, trace: Trace::hashed(), client: None, transport: None }
    }

    /// The scenario.
    pub const fn scenario(&self) -> &'a Scenario {
        self.scenario
    }

    /// Keeps every record of the trace, not only their hash.
    pub fn keep_trace(self) -> Self {
        Self { trace: Trace::kept(), ..self }
    }

    /// Changes the client behind the referee's back: to see whether the referee would notice.
    pub fn tamper_with_client(self, client: &'a dyn Fn(ClientBuilder) -> ClientBuilder) -> Self {
        Self { client: Some(client), ..self }
    }

    /// Puts another transport in front of the simulated one, for the same reason.
    pub fn tamper_with_transport(
        self,
        transport: &'a dyn Fn(Box<dyn Transport>, VirtualTime) -> Box<dyn Transport>,
    ) -> Self {
        Self { transport: Some(transport), ..self }
    }

    /// Runs it: first with everything that goes wrong, until every call is over; then once more
    /// with nothing going wrong, to see that nothing has stuck.
    pub fn run(self) -> Report {
        let Self { scenario, trace, client: tamper, transport: front } = self;
        let mut executor = Executor::new();
        let time = executor.time();
        if scenario.late > 0 {
            time.make_timers_late(millis(scenario.late), scenario.seed.stream("late"));
        }
        let world = World::new(scenario, trace, time.clone());
        let makes = Makes { world: &world, client: tamper, front };
        match makes.make() {
            Ok((client, network)) => {
                carry_out(&mut executor, &world, &client, scenario);
                calm::come_to_rest(&mut executor, &world, client, network.as_ref());
            }
            Err(error) => world.violated(Invariant::Liveness, error.to_string()),
        }
        drop(executor);
        let sends = world.lock().referee.all_sends();
        let (trace, coverage, violation) = world.finish();
        Report { trace, coverage, violation, sends, elapsed: time.elapsed() }
    }
}

impl fmt::Debug for Simulation<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation").field("scenario", &self.scenario).finish_non_exhaustive()
    }
}

fn carry_out(executor: &mut Executor, world: &Arc<World>, client: &Client, scenario: &Scenario) {
    world.time().spawn(call::make_all(Arc::clone(world), client.clone()));
    for step in &scenario.steps {
        world.time().spawn(call::step(Arc::clone(world), *step));
    }
    if let Err(halt) = executor.run(world.all_over()) {
        world.violated(Invariant::Liveness, halt.to_string());
    }
}
