//! An HTTP client with retries, over any transport.
//!
//! A [`Client`] carries out calls: it begins them with the engine, sends each attempt through its
//! [`Transport`], sleeps on the transport's [`Clock`], and hands back the last response or error
//! with the reason and the history of attempts. It decides nothing: whether and when to send again
//! is the engine's business, how to send is the transport's.
//!
//! ```
//! # async fn example(client: redial_client::Client) -> Result<(), Box<dyn std::error::Error>> {
//! // Retried, also where the body of the response is cut off.
//! let users = client.get("/users").query(&[("page", "1")]).send().await?;
//! println!("{} after {} attempts", users.status(), users.attempts().len());
//!
//! // Repeated with the same key, so that the server can tell.
//! let order = client.post("/orders").idempotency_key().form(&[("item", "7")]).send().await?;
//! order.error_for_status()?;
//!
//! // Read as it arrives: nothing is retried once its head is there.
//! let mut export = client.get("/export").send_streaming().await?;
//! while let Some(piece) = export.chunk().await? {
//!     println!("{} bytes", piece.len());
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Most programs do not use this crate by itself: they take a transport crate, which builds the
//! client, or implement [`Transport`] to bring their own.
//!
//! # Code map
//!
//! | file | what it holds |
//! |---|---|
//! | `client.rs`, `builder.rs` | [`Client`], and how it is built |
//! | `request.rs` | [`RequestBuilder`]: one call, and its own settings |
//! | `url.rs`, `headers.rs` | where a request goes, and with which headers |
//! | `driver.rs`, `job.rs` | the one async loop, and the exchange that each attempt begins |
//! | `reading.rs`, `streaming.rs` | response bodies, read into memory or as they arrive |
//! | `response.rs`, `error.rs`, `history.rs` | what a call ends with |
//! | `observe.rs` | the observer, spans and events |
//! | `transport.rs`, `clock.rs` | the traits that a transport implements |
//! | `thread_clock.rs` | a clock for transports without a runtime |
//! | `into_transport.rs` | from a choice to a transport |
//! | `settings.rs` | what every transport can be told |
//! | `config.rs` | a whole client as configuration (feature `serde`) |
//! | `body/` | request bodies; `feed.rs` is a stream that attempts take turns in reading |
//! | `blocking/` | the same client for programs without async |
//! | `origin.rs`, `upstreams.rs` | what calls to one origin share |
//! | `known.rs` | the origins met last, so that their URLs are not parsed again |
//!
//! # Features
//!
//! `json` (default) adds JSON bodies, of requests and of responses; `serde` adds `ClientConfig`.
#![forbid(unsafe_code)]

pub mod blocking;
mod body;
mod builder;
mod client;
mod clock;
#[cfg(feature = "serde")]
mod config;
mod driver;
mod error;
mod headers;
mod history;
mod into_transport;
mod job;
mod known;
mod observe;
mod origin;
#[cfg(redial_planted)]
mod planted;
mod random;
mod reading;
mod request;
mod response;
mod settings;
mod streaming;
mod thread_clock;
mod transport;
mod upstreams;
mod url;

pub use crate::url::UrlError;
pub use body::{Body, BodyError, StreamError};
pub use builder::{BuildError, ClientBuilder};
pub use client::Client;
pub use clock::{Clock, race};
#[cfg(feature = "serde")]
pub use config::{
    BaseUrl, ClientConfig, Headers, IdentityFiles, TlsConfig, UnreadableFile, UserAgent,
};
pub use error::Error;
pub use history::{AttemptRecord, Wait};
pub use into_transport::{IntoTransport, NoTransport};
pub use observe::{CallEnd, CallInfo, Observer, PoolEvent, PoolEventKind, PoolObserver};
pub use origin::{Origin, OriginError, Scheme};
pub use redial_engine as engine;
pub use request::RequestBuilder;
pub use response::Response;
pub use settings::{
    HeadLimit, Identity, PoolLimits, Protocol, Roots, Settings, SettingsError, Tls,
};
pub use streaming::{StreamingBody, StreamingResponse};
pub use thread_clock::{Alarm, ThreadClock};
pub use transport::{
    Answer, BoxError, BoxFuture, Exchange, PoolFigures, ResponseBody, Timeouts, Transport,
    TransportError,
};
