//! The transport on every runtime, over real sockets: one suite, run on five executors.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod bodies;
mod calls;
mod cancel;
mod common;
mod dial;
mod dropped;
mod failing;
mod hostile;
mod http2;
mod http2_hostile;
mod observing;
mod odd;
mod on;
mod peer;
mod pool;
mod relay;
mod restart;
mod runtime;
mod streaming;
mod stress;
mod tls;
mod unseen;
mod wire;
