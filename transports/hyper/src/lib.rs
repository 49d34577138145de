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
//! | `http1.rs` | one HTTP/1.1 connection, for whoever has it to drive |
//! | `relay.rs` | whom that wakes |
//! | `http2.rs` | one HTTP/2 connection with all that hyper runs for it |
//! | `tasks.rs` | the futures of that |
//! | `exchange.rs` | one request on one connection, and its response head |
//! | `response.rs` | the response body, and giving the connection back |
//! | `timeouts.rs` | when an exchange has been silent for too long |
//! | `io.rs` | what crosses the wire, metered |
//! | `upload.rs` | how far the request body has been taken, and sent |
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
//! | tokio, HTTP/1.1 | 1.32 | 1.26 | 1.26 | 1.35 |
//! | tokio, HTTP/2 | 1.14 | 1.10 | 1.11 | 1.15 |
//! | smol, HTTP/1.1 | 1.43 | | | 1.6 |
//! | async-std, HTTP/1.1 | 1.64 to 1.84 | | | 1.6 |
//!
//! Bare hyper takes 15,000 instructions over HTTP/1.1, and so many heap allocations as this crate
//! with the whole client on it: 9. Over HTTP/2 it is 12 of bare hyper's and one more. With one
//! request in flight tokio's reactor takes 210 instructions more, because there is a timer to wait
//! for.
//!
//! Over HTTP/1.1 no task stands between a request and its socket: the exchange that has a connection
//! drives it (`http1.rs`), and the reactor wakes the exchange (`relay.rs`). So a request costs one
//! task switch, on the thread of whoever waits, and where hyper reads five times for each response,
//! the socket is asked twice (`wire.rs`). Only an idle connection, and one that answers before its
//! upload has ended, is driven by a task of its own, its keeper. An HTTP/2 connection has such a task
//! always, which is woken twice for a request, and its parts wake each other without it (`tasks.rs`).
//!
//! System calls of one request over HTTP/1.1, one at a time: bare hyper 3, tokio 4, smol 9,
//! async-std 16 to 22, where 6 are the goal. One is the look at the socket before it is used again
//! (R-D-7), which keeps requests from connections that have ended. Of the nine on smol, async-io's
//! reactor makes six, whatever the transport does: it arms the socket, and a wait is an
//! `epoll_pwait`, a `timerfd_settime`, a `read` and twice `epoll_ctl`. async-std runs an executor on
//! each core, which wakes another one with each task that it takes up: a second wait, whose reactor
//! makes the same calls again, a `write` that interrupts it, and calls of `futex`. Nothing of that can
//! be changed from here, and how often it happens is a matter of luck.
//!
//! Requests a second on loopback, of bare hyper's, on tokio with 1, 16 and 64 in flight: 0.95, 0.86
//! and 0.85 over HTTP/1.1, and 0.98, 0.94 and 0.91 over HTTP/2, where 0.92 is the goal; on a machine
//! that has others to serve, some 0.05 less. Over HTTP/1.1 with many in flight the look at the socket
//! is a third system call beside bare hyper's two, some 0.05; a request that is lost, and may not be
//! sent again, would cost more than that. To leave it out, or to send in batches as bare hyper's
//! tasks do, by a turn of the runtime before each request, was tried, and made it no faster.
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
mod http1;
mod http2;
mod io;
#[cfg(redial_planted)]
mod planted;
pub mod pool;
mod relay;
mod response;
mod runtime;
mod stream;
mod tasks;
mod timeouts;
mod tls;
mod transport;
mod tune;
mod upload;
mod wire;

pub use runtime::{Peeked, Runtime, Socket};
pub use transport::{Hyper, HyperTransport};
pub use tune::tune;
