//! A scenario: what a server does, what a client is to do, and what must come of it. All data.

mod act;
mod expected;
mod setup;
mod sighting;

pub use act::{Act, Call, Payload, Reading, Url};
pub use expected::{Attempted, Came, End, Waited, Waits};
pub use setup::{QUICK_BASE, QUICK_TIMEOUT, Setup};
pub use sighting::{BodySeen, Count, HeaderSeen, RequestSeen, Sighting};

use crate::Script;

/// One behaviour: the origins' scripts, the client's acts, and what must have been seen.
///
/// A scenario is a row: its id names it in tests and tables, and its requirements are what it
/// proves. Nothing in it knows of a transport.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Scenario {
    /// The group and the name, as in `decisions/status-503`.
    pub id: String,
    /// What it shows, in a line.
    pub title: String,
    /// The ids of the requirements that it proves.
    pub requirements: Vec<&'static str>,
    /// What each origin does; the calls name them by their index.
    pub origins: Vec<Script>,
    /// How the client is set up.
    pub setup: Setup,
    /// What the client does, one after the other.
    pub acts: Vec<Act>,
    /// What the origins must have seen.
    pub sightings: Vec<Sighting>,
}

impl Scenario {
    /// A scenario without origins, acts and sightings, under the quick setup.
    pub fn new(
        id: impl Into<String>,
        requirements: &[&'static str],
        title: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            title: title.into(),
            requirements: requirements.to_vec(),
            origins: Vec::new(),
            setup: Setup::quick(),
            acts: Vec::new(),
            sightings: Vec::new(),
        }
    }

    /// One more origin.
    #[must_use]
    pub fn origin(mut self, script: Script) -> Self {
        self.origins.push(script);
        self
    }

    /// The client's setup, changed.
    #[must_use]
    pub fn setup(mut self, change: impl FnOnce(Setup) -> Setup) -> Self {
        self.setup = change(self.setup);
        self
    }

    /// One more act.
    #[must_use]
    pub fn act(mut self, act: Act) -> Self {
        self.acts.push(act);
        self
    }

    /// One more call, made when those before it are over.
    #[must_use]
    pub fn call(self, call: Call) -> Self {
        self.act(Act::Calls(vec![call]))
    }

    /// Calls that are made at the same time.
    #[must_use]
    pub fn together(self, calls: impl IntoIterator<Item = Call>) -> Self {
        self.act(Act::Calls(calls.into_iter().collect()))
    }

    /// One more thing that an origin must have seen.
    #[must_use]
    pub fn sees(mut self, sighting: Sighting) -> Self {
        self.sightings.push(sighting);
        self
    }

    /// The first origin sees this many requests.
    #[must_use]
    pub fn sees_requests(self, count: usize) -> Self {
        self.sees(Sighting::RequestCount { origin: 0, count: Count::Exactly(count) })
    }

    /// The first origin sees this many connections.
    #[must_use]
    pub fn sees_connections(self, count: usize) -> Self {
        self.sees(Sighting::Connections { origin: 0, count: Count::Exactly(count) })
    }

    /// The group, which is what comes before the slash of the id.
    pub fn group(&self) -> &str {
        self.id.split_once('/').map_or("", |(group, _)| group)
    }

    /// The calls, in the order in which they are written down.
    pub fn calls(&self) -> impl Iterator<Item = &Call> {
        self.acts.iter().flat_map(|act| match act {
            Act::Calls(calls) => calls.as_slice(),
            Act::Rest(_) | Act::Close | Act::Figures { .. } | Act::Totals { .. } => &[],
        })
    }
}
