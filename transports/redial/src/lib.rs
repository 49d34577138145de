//! HTTP calls with retries, over the transport of your choice.
//!
//! One dependency: everything of the client is here, and each transport is a feature. Which of
//! those that were built is used can be chosen when the program runs, by a [`TransportKind`] or its
//! name in a configuration; [`Client`] is one type whatever the transport (R-C-8).
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use redial::{Client, TransportKind};
//!
//! let client = Client::builder(TransportKind::Tokio).build()?;
//! let response = client.get("https://example.com/").send().await?;
//! println!("{} after {} attempts", response.status(), response.attempts().len());
//! # Ok(())
//! # }
//! ```
//!
//! # Policies of your own
//!
//! What to retry, how often and after which wait is data, [`engine::StandardPolicy`], or a type of
//! yours. The generator that it is given is [`engine::rand_core`]'s:
//!
//! ```
//! use std::time::Duration;
//!
//! use redial::engine::rand_core::Rng;
//! use redial::engine::{Judgement, Limits, Outcome, Policy, RetryContext, StandardPolicy};
//!
//! /// The standard policy, with a short wait before every retry.
//! struct Impatient(StandardPolicy);
//!
//! impl Policy for Impatient {
//!     fn limits(&self) -> Limits {
//!         self.0.limits()
//!     }
//!     fn judge(&self, outcome: &Outcome) -> Judgement {
//!         self.0.judge(outcome)
//!     }
//!     fn delay(&self, _: &RetryContext<'_>, rng: &mut dyn Rng) -> Duration {
//!         Duration::from_millis(100 + rng.next_u64() % 100)
//!     }
//! }
//! # fn builder(builder: redial::ClientBuilder) -> redial::ClientBuilder {
//!
//! builder.policy(Impatient(StandardPolicy::DEFAULT))
//! # }
//! ```
//!
//! # Features
//!
//! | feature | adds |
//! |---|---|
//! | `tokio` (default) | hyper on tokio |
//! | `smol` | hyper on smol |
//! | `async-std` | hyper on async-std |
//! | `isahc` | libcurl, under any executor; needs a C compiler |
#![cfg_attr(
    feature = "blocking",
    doc = "| `blocking` | [`blocking`]: the same client for programs without async |"
)]
#![cfg_attr(
    not(feature = "blocking"),
    doc = "| `blocking` | the same client for programs without async |"
)]
//! | `json` | bodies as JSON |
//! | `serde` | a whole client from TOML or JSON |
//!
//! A feature adds, and changes nothing of the others.
#![forbid(unsafe_code)]

#[cfg(feature = "blocking")]
pub mod blocking;
#[cfg(feature = "serde")]
mod config;
mod kind;

#[cfg(feature = "serde")]
pub use config::{ConfigError, FieldError, from_config, read_config};
/// The types of requests and responses that calls are made of.
pub use http;
pub use kind::{TransportKind, UnknownTransport};
pub use redial_client::*;
