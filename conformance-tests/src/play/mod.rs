//! A client going through the acts of a scenario.
//!
//! The same acts are played by async clients (`asynchronous.rs`) and by blocking ones
//! (`blocking.rs`); `call.rs` turns a call of a scenario into a request of either.

mod asynchronous;
mod blocking;
mod call;
mod seen;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use redial_client::{BoxFuture, PoolFigures};

use crate::{Act, Scenario, Sighting};

pub use seen::{CallSeen, EndSeen, Figures, Seen};

/// A scenario that is ready to be played: its origins are there.
///
/// A transport under test gets one for each scenario, and plays it with a client of its own:
/// [`Play::with`] or [`Play::with_blocking`].
#[derive(Debug)]
pub struct Play {
    scenario: Arc<Scenario>,
    places: Vec<Place>,
    time: Arc<dyn Time>,
}

impl Play {
    /// A scenario with its origins, in the order in which the scenario has them.
    pub fn new(scenario: Arc<Scenario>, places: Vec<Place>, time: Arc<dyn Time>) -> Self {
        Self { scenario, places, time }
    }

    /// What is played.
    pub fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    /// The certificates that the client is to trust; `None` where no origin speaks TLS.
    fn roots(&self) -> Option<Vec<u8>> {
        let mut all = Vec::new();
        for roots in self.places.iter().filter_map(|place| place.roots.as_ref()) {
            all.extend_from_slice(roots);
        }
        (!all.is_empty()).then_some(all)
    }

    fn base(&self) -> &str {
        self.places.first().map_or("", |place| place.url.as_str())
    }

    /// How many connections are open, as the origins see it.
    fn open_connections(&self) -> usize {
        self.places.iter().map(|place| (place.open)()).sum()
    }

    /// How long the client is to wait for its connections to close while it stands, and after.
    fn patience(&self) -> (Option<Duration>, Option<Duration>) {
        let mut patience = (None, None);
        for sighting in &self.scenario.sightings {
            match sighting {
                Sighting::AllClosed { within } => patience.0 = Some(*within),
                Sighting::AllClosedAfterDrop { within } => patience.1 = Some(*within),
                Sighting::Requests { .. }
                | Sighting::RequestCount { .. }
                | Sighting::Processed { .. }
                | Sighting::Connections { .. }
                | Sighting::PeakOpen { .. }
                | Sighting::Alpn { .. }
                | Sighting::WaitsDiffer
                | Sighting::Gap { .. } => {}
            }
        }
        patience
    }
}

/// How often something is looked at that is to happen soon.
pub(crate) const LOOK_EVERY: Duration = Duration::from_millis(2);

/// How long one call waits for the others that it is to find at the pool.
const COMPANY: Duration = Duration::from_secs(5);

/// Whether a connection is in use, and so many requests wait for one.
const fn has_company(found: &PoolFigures, waiting: usize) -> bool {
    found.in_use >= 1 && found.waiting >= waiting
}

/// How long the figures of a pool may take to be what they must be.
const SETTLE: Duration = Duration::from_secs(2);

/// Whether the figures of a pool are what this act says.
fn figures_are(act: &Act, found: &PoolFigures) -> bool {
    match act {
        Act::Figures { open, in_use, waiting } => {
            found.open <= *open && found.in_use <= *in_use && found.waiting <= *waiting
        }
        Act::Totals { opened, reused } => {
            found.opened_total == *opened && found.reused_total == *reused
        }
        Act::Calls(_) | Act::Rest(_) | Act::Close => true,
    }
}

/// An origin of a scenario, as a client sees it.
pub struct Place {
    /// The URL of the origin, without a path: `http://127.0.0.1:8080`.
    pub url: String,
    /// The certificates that vouch for it, as PEM text, where it speaks TLS.
    pub roots: Option<Vec<u8>>,
    /// How many connections are open there now.
    pub open: Box<dyn Fn() -> usize + Send + Sync>,
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Place").field("url", &self.url).finish_non_exhaustive()
    }
}

/// The time that a play is played in.
pub trait Time: fmt::Debug + Send + Sync {
    /// How long it has been since an origin of the implementation's choice.
    fn now(&self) -> Duration;

    /// Completes after so long, or a little later.
    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()>;
}

/// The time of this world.
#[derive(Debug)]
pub struct RealTime(Instant);

impl RealTime {
    /// Counted from now.
    pub fn new() -> Self {
        Self(Instant::now())
    }
}

impl Default for RealTime {
    fn default() -> Self {
        Self::new()
    }
}

impl Time for RealTime {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            async_io::Timer::after(length).await;
        })
    }
}
