//! Redial in virtual time.
//!
//! One 64-bit [`Seed`] fixes everything that happens; the same seed gives the same [`trace`], byte
//! for byte, on every machine and build profile. Time is a number that jumps from event to event:
//! sleeping for ten years costs one event (R-S-1).
//!
//! | to | use |
//! |---|---|
//! | run async code in virtual time | [`Executor`], [`VirtualTime`] |
//! | run the real client and its HTTP transport there | [`net::Virtual`] |
//! | run the real client without bytes | [`message::MessageTransport`] |
//! | look for seeds that break a rule | [`Search`], [`Scenario`], [`Simulation`] |
//! | see a fleet of clients under the bare engine | [`fleet`] |
//!
//! A client in virtual time, against a server that is a function:
//!
//! ```
//! use core::time::Duration;
//!
//! use redial_client::{Client, Exchange};
//! use redial_engine::Timestamp;
//! use redial_sim::Executor;
//! use redial_sim::message::{End, Fate, MessageTransport, Reply, Script};
//!
//! /// Down for the first ten seconds.
//! struct Outage;
//!
//! impl Script for Outage {
//!     fn fate(&self, _: &Exchange, now: Timestamp) -> Fate {
//!         let up = now.saturating_since(Timestamp::ORIGIN) >= Duration::from_secs(10);
//!         let reply = Reply::status(if up { 200 } else { 503 });
//!         Fate { after: Duration::from_millis(5), end: End::Response(reply) }
//!     }
//! }
//!
//! let mut executor = Executor::new();
//! let transport = MessageTransport::new(executor.time(), Outage);
//! let client = Client::builder(transport).seed(1).build()?;
//! let response = executor.run(client.get("http://api.test/").send())??;
//! assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 5));
//! # Ok::<(), Box<dyn core::error::Error>>(())
//! ```
#![forbid(unsafe_code)]

pub mod contention;
mod executor;
pub mod fleet;
pub mod message;
pub mod net;
mod queue;
mod referee;
mod rng;
mod run;
mod scenario;
mod search;
mod shrink;
pub mod trace;

pub use self::executor::{Executor, Halt, Sleep, VirtualTime};
pub use self::queue::EventQueue;
pub use self::referee::{Coverage, Invariant, Sometimes, Violation};
pub use self::rng::{Seed, Stream};
pub use self::run::{Report, Simulation};
pub use self::scenario::{
    BudgetPlan, CallPlan, ClockStep, Fault, FaultPlan, Hint, Level, PolicyPlan, Scenario, Target,
    Unfollowable, Unreadable, Verb,
};
pub use self::search::{Finding, Search};
pub use self::shrink::shrink;
