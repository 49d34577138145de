//! The pure state machine that decides whether and when to send an HTTP request again.
//!
//! A call goes from value to value. Each holds the only legal next step, which takes it:
//!
//! ```
//! use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng};
//! use redial_engine::{
//!     Action, Call, Outcome, Replay, Retry, StandardPolicy, Timestamp, Upstream, Verdict,
//! };
//!
//! let retry = Retry::new(&StandardPolicy::DEFAULT);
//! let mut upstream = Upstream::default();
//! let mut rng = Xoshiro256PlusPlus::seed_from_u64(7);
//! let now = Timestamp::from_nanos(1_000);
//!
//! let Action::Send(attempt) = retry.begin(Call::new(Replay::Freely), now, &mut upstream) else {
//!     unreachable!("there is no deadline that could be past");
//! };
//! // ... the request is sent, and answered by a 503 ...
//! let verdict = attempt.finish(&Outcome::status(503), now, &mut upstream, &mut rng);
//! let Verdict::Next(Action::Sleep(pause)) = verdict else {
//!     unreachable!("a first 503 is retried");
//! };
//! // ... the pause is waited for ...
//! let later = pause.until();
//! let Action::Send(attempt) = pause.resume(later, &mut upstream) else {
//!     unreachable!("there is no deadline that could be past");
//! };
//! assert_eq!(attempt.number().get(), 2);
//! ```
//!
//! - [`Retry`] begins calls under a [`Policy`]; [`StandardPolicy`] is one made of data.
//! - [`Attempt::finish`] takes what came of an attempt, an [`Outcome`], and answers a [`Verdict`].
//! - [`Action`] is what to do next; [`GiveUp`] says why nothing more is done.
//! - [`Upstream`] is what the calls to one origin share: a retry [`Budget`].
//! - [`Backoff`] and [`Jitter`] choose waits; with feature `http`, `HintRules` reads the server's.
//!
//! Time comes in as [`Timestamp`]s of the caller's own clock, randomness as a
//! [`rand_core::Rng`]. The same generator, outcomes and times give the same schedule, bit for bit,
//! on every platform and build profile.
//!
//! # What holds whatever the policy
//!
//! - No request is sent more often than its limits allow, and one that must not be repeated is not,
//!   unless it is proved that the server saw nothing of it (R-D-1, R-D-4, R-D-7).
//! - Nothing begins at or after the deadline (R-T-5).
//! - No wait is shorter than a server's hint that the policy heeds (R-RA-6).
//! - A budget's tokens are conserved, and a refused retry never waits (R-G-1, R-G-3).
//! - Nothing panics, on any input.
//!
//! # Cost
//!
//! No allocation. Instructions a call, counted by `cargo bench --bench instructions` under callgrind
//! for `&StandardPolicy` with backoff, jitter, a deadline and the default budget (x86-64, rustc
//! 1.95, the generator Xoshiro256++):
//!
//! | step | instructions | goal |
//! |---|---|---|
//! | `finish` of a final 200 | 42 | 60 |
//! | `begin`, and that `finish` | 106 | 120 |
//! | `finish` of a retried 503, and `resume` | 193 | 200 |
//! | the same for a 429, with `Retry-After: 7` read from its bytes | 195 | 250 |
//! | ... read from a `HeaderMap` of 3 to 11 headers | 289 | 350 |
//! | ... with a date, and `Date` beside it | 490 | 500 |
//!
//! `&dyn Policy` takes 76, 142 and 278 in the first three rows. An [`Attempt`] or a [`Pause`] of a
//! policy behind a reference is at most 64 bytes, an [`Action`] 72.
//!
//! # Features
//!
//! | feature | what it adds | needs |
//! |---|---|---|
//! | `http` (default) | `HintRules`, `ReplayRules`, `RetryAfter`: from `http` types to outcomes | `std` |
//! | `serde` | policies, budgets and rules as configuration | `std` |
//! | `alloc` | [`Policy`] for `Arc`, `Rc` and `Box` | `alloc` |
//! | `std` | nothing by itself | `std` |
//!
//! Without any, the only dependency is `rand_core`. A feature adds items and changes no behaviour.
#![no_std]
#![forbid(unsafe_code)]
#![cfg_attr(docsrs, feature(doc_cfg))]

#[cfg(feature = "alloc")]
extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

/// Whether this fault is planted: never, but under `--cfg redial_planted` (see `planted.rs`). With
/// an arrow, what is done then: nothing of that is in a program otherwise.
#[cfg(not(redial_planted))]
#[doc(hidden)]
#[macro_export]
macro_rules! planted {
    ($fault:ident) => {
        false
    };
    ($fault:ident => $($wrong:tt)+) => {};
}
/// Whether this fault is planted, or what is done then.
#[cfg(redial_planted)]
#[doc(hidden)]
#[macro_export]
macro_rules! planted {
    ($fault:ident) => {
        $crate::planted::is_planted($crate::planted::Fault::$fault)
    };
    ($fault:ident => $($wrong:tt)+) => {
        if $crate::planted!($fault) {
            $($wrong)+
        }
    };
}

mod backoff;
mod budget;
mod call;
#[cfg(feature = "serde")]
mod config;
mod ending;
#[cfg(feature = "http")]
mod hints;
#[cfg(feature = "http")]
mod http_date;
mod outcome;
#[cfg(redial_planted)]
pub mod planted;
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
pub use call::{Action, Attempt, Call, Pause, PauseCause, Retry, Verdict};
#[cfg(feature = "serde")]
#[doc(hidden)]
pub use config::reading;
pub use ending::{Cutoff, Final, Finality, GiveUp, Limit, Reason};
#[cfg(feature = "http")]
pub use hints::HintRules;
#[cfg(feature = "http")]
pub use http_date::HttpDate;
pub use outcome::{Delivery, Failure, FailureKind, Outcome, Replay, ServerHint};
pub use policy::{Class, Judgement, Limits, Policy, RetryContext};
/// The traits of generators, in the version that [`Policy::delay`] and [`Attempt::finish`] take.
pub use rand_core;
#[cfg(feature = "http")]
pub use replay::ReplayRules;
#[cfg(feature = "http")]
pub use retry_after::RetryAfter;
pub use standard::{PolicyError, StandardPolicy, StandardPolicyBuilder};
pub use time::Timestamp;
pub use upstream::Upstream;
