//! One HTTP transport over hyper, for every async runtime.
//!
//! [`HyperTransport`] sends requests over connections of its own pool; a [`Runtime`] gives it
//! sockets, time and tasks. Names, connecting, timeouts, the pool and the classification of
//! failures are here once for all runtimes.
//!
//! # Code map, in the order of a request
//!
//! | file | what it holds |
//! |---|---|
//! | `transport.rs` | [`HyperTransport`]: from an exchange to an answer |
//! | `connections.rs` | who gets which connection: the driver around the pure [`pool`] |
//! | `connect.rs` | from an origin to a connection that serves |
//! | `dial.rs` | from a name to a socket: its addresses are raced |
//! | `tls.rs`, `stream.rs` | whom to trust, and a socket with or without TLS |
//! | `wire.rs` | that socket, between who drives a connection and who looks at it |
//! | `http2.rs` | one HTTP/2 connection with all that hyper runs for it |
//! | `exchange.rs` | one request on one connection, and its response head |
//! | `response.rs` | the response body, and giving the connection back |
//! | `timeouts.rs` | when an exchange has been silent for too long |
//! | `io.rs` | what crosses the wire, metered |
//! | `upload.rs` | how far the request body has been taken |
//! | `classify.rs` | from hyper's errors to a kind and a delivery |
//! | `runtime.rs` | [`Runtime`]: what a runtime has to give |
//! | `tune.rs` | what HTTP wants of a TCP socket |
//! | `async_io.rs` | a socket for the runtimes that stand on async-io (feature `async-io`) |
//!
//! Architecture invariant: nothing here sends a request twice. What hyper hands back unsent is
//! reported, and the engine decides (R-D-7).
#![forbid(unsafe_code)]

#[cfg(feature = "async-io")]
pub mod async_io;
mod classify;
mod connect;
mod connections;
mod dial;
mod exchange;
mod http2;
mod io;
#[cfg(redial_planted)]
mod planted;
pub mod pool;
mod response;
mod runtime;
mod stream;
mod timeouts;
mod tls;
mod transport;
mod tune;
mod upload;
mod wire;

pub use runtime::{Peeked, Runtime, Socket};
pub use transport::{Hyper, HyperTransport};
pub use tune::tune;
