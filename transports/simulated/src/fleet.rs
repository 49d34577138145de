//! Many clients on the bare engine, over a server model, on one thread: storms that can be seen.
//!
//! Every wait and every refusal is the engine's: it comes out of
//! [`Attempt::finish`](redial_engine::Attempt::finish) and
//! [`Pause::resume`](redial_engine::Pause::resume). Here are only the load, the network and the
//! server; a request is a message that arrives or does not.
//!
//! ```
//! use redial_sim::Seed;
//! use redial_sim::fleet::{self, Scenario};
//!
//! let scenario = Scenario::from_toml(fleet::OUTAGE)?;
//! let report = fleet::run(&scenario, &scenario.contenders[0], Seed(1), &mut |_| {});
//! assert_eq!(report.violation, None);
//! # Ok::<(), redial_sim::fleet::ScenarioError>(())
//! ```

mod checks;
mod figures;
mod latency;
mod load;
mod model;
mod run;
mod scenario;
mod serving;
mod world;

pub use self::checks::Violation;
pub use self::figures::{Bin, Report, Totals};
pub use self::latency::Latency;
pub use self::model::{
    Delay, Fault, LogNormal, Normal, RateLimit, Server, SlowStart, Span, Window,
};
pub use self::run::{Progress, run};
pub use self::scenario::{Closed, Contender, Load, Open, Scenario, ScenarioError, Spike, Timeouts};
pub use self::serving::{Answer, Serving};

/// The scenario `storm`: a million clients, and an outage of 30 s.
pub const STORM: &str = include_str!("../scenarios/storm.toml");
/// The scenario `collapse`: a spike of load that retries turn into a state of its own (R3).
pub const COLLAPSE: &str = include_str!("../scenarios/collapse.toml");
/// The scenario `outage`: a server that stops for 10 s and is never left alone again (R4).
pub const OUTAGE: &str = include_str!("../scenarios/outage.toml");
/// The scenario `ratelimit`: more clients than a limit lets in, and what they make of
/// `Retry-After`.
pub const RATE_LIMIT: &str = include_str!("../scenarios/ratelimit.toml");
