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
//! # Cost
//!
//! `cargo bench -p redial-hyper --bench overhead` measures a GET of 13 bytes with everything on
//! (pool, timeouts, policy, budget) against one bare connection of hyper's on tokio for each request
//! in flight. Instructions in user space, by callgrind, as multiples of that:
//!
//! | requests in flight | 1 | 16 | 64 | goal |
//! |---|---|---|---|---|
//! | tokio, HTTP/1.1 | 1.39 | 1.35 | 1.36 | 1.35 |
//! | tokio, HTTP/2 | 1.19 | 1.16 | 1.19 | 1.15 |
//! | smol, HTTP/1.1 | 1.53 | | | 1.6 |
//! | async-std, HTTP/1.1 | 1.71 to 1.79 | | | 1.6 |
//!
//! A hundredth more or less is a matter of what the compiler inlines: with the driver's loop inlined
//! into the call, the first row is 1.38, 1.34 and 1.34.
//!
//! Bare hyper takes 15,000 instructions over HTTP/1.1, and so many heap allocations as this crate
//! with the whole client on it: 9. Of the 5,900 instructions on top, 1,050 are the pool's (a
//! connection is taken and given back, under its lock), 840 the connection's task (bytes are
//! metered, and copied once, see `io.rs`), 530 moves of requests and responses that are larger than
//! 128 bytes, 430 the copy of the headers that belongs to an attempt, 380 five looks at the clock,
//! 240 the timer, and 230 the URL where it was the last as well. With one request in flight tokio's
//! reactor takes 210 more, because there is a timer to wait for.
//!
//! System calls of one request over HTTP/1.1, one at a time: bare hyper 3, tokio 4, smol 9,
//! async-std 19 to 22, where 6 are the goal. One is the look at the socket before it is used again
//! (R-D-7), which keeps requests from connections that have ended. Of the nine on smol, async-io's
//! reactor makes six, whatever the transport does: it arms the socket, and a wait is an
//! `epoll_pwait`, a `timerfd_settime`, a `read` and twice `epoll_ctl`. On async-std connections live
//! on threads of its own, so that a request wakes another thread and that one wakes the caller: two
//! waits, three calls of `futex`, and one or two writes that interrupt a wait. Nothing of that can be
//! changed from here, short of polling connections by the tasks that wait for them.
//!
//! Requests a second on loopback, of bare hyper's, on tokio with 1, 16 and 64 in flight: 0.92 to
//! 0.98, 0.80 and 0.80 over HTTP/1.1, and 0.93, 0.86 and 0.87 over HTTP/2, where 0.92 is the goal.
//! The look at the socket is some 0.05 of that with many in flight, and nothing with one. A request
//! that is lost, and may not be sent again, would cost more.
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
