//! Redial in virtual time.
//!
//! One 64-bit [`Seed`] fixes everything that happens; the same seed gives the same [`trace`], byte
//! for byte, on every machine and build profile. Time is a number that jumps from event to event:
//! sleeping for ten years costs one event (R-S-1).
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
    BudgetPlan, CallPlan, ClockStep, Fault, FaultPlan, Level, PolicyPlan, Scenario, Unfollowable,
    Unreadable, Verb,
};
pub use self::search::{Finding, Search};
pub use self::shrink::shrink;
