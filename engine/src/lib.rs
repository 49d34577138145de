//! The pure state machine that decides whether and when to send an HTTP request again.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod backoff;
mod budget;
mod call;
#[cfg(feature = "serde")]
mod config;
#[cfg(feature = "http")]
mod hints;
mod outcome;
mod policy;
#[cfg(feature = "http")]
mod replay;
#[cfg(feature = "http")]
mod retry_after;
mod standard;
mod tables;
mod time;
mod upstream;

pub use backoff::{Backoff, BackoffError, Jitter};
pub use budget::{Budget, BudgetBuilder, BudgetError, Finagle};
pub use call::{
    Action, Attempt, Call, Cutoff, Final, Finality, GiveUp, Limit, Pause, PauseCause, Reason,
    Retry, Verdict,
};
#[cfg(feature = "http")]
pub use hints::HintRules;
pub use outcome::{Delivery, Failure, FailureKind, Outcome, Replay, ServerHint};
pub use policy::{Class, Judgement, Limits, Policy, RetryContext};
#[cfg(feature = "http")]
pub use replay::ReplayRules;
#[cfg(feature = "http")]
pub use retry_after::RetryAfter;
pub use standard::{PolicyError, StandardPolicy, StandardPolicyBuilder};
pub use time::Timestamp;
pub use upstream::Upstream;
