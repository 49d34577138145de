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
