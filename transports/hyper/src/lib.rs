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
//! | `connections.rs` and its folder | who gets which connection: the driver around the pure [`pool`] |
//! | `connect.rs` | from an origin to a connection that serves |
//! | `dial.rs` | from a name to a socket: its addresses are raced |
//! | `tls.rs`, `stream.rs`, `tap.rs` | whom to trust, a socket with or without TLS, and what comes below it |
//! | `frames.rs` | the frames of HTTP/2: where they begin and end, and which break a response off |
//! | `framing.rs` | what those tell of a connection, and when hyper is told of its end |
//! | `wire.rs` | that socket, between who drives a connection and who looks at it |
//! | `http1.rs` | one HTTP/1.1 connection, for whoever has it to drive |
//! | `relay.rs` | whom that wakes |
//! | `http2.rs` | one HTTP/2 connection with all that hyper runs for it |
//! | `tasks.rs` | the futures of that |
//! | `exchange.rs` | one request on one connection, and its response head |
//! | `codings.rs` | which transfer codings a response may have |
//! | `response.rs` | the response body, and giving the connection back |
//! | `timeouts.rs` | when an exchange has been silent for too long |
//! | `io.rs`, `meter.rs` | the socket as hyper wants it, and what has crossed it |
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
//! in flight; and hyper-util's client, which has a pool, but neither timeouts nor retries.
//! Instructions in user space, by callgrind, as multiples of bare hyper's:
//!
//! | requests in flight | 1 | 16 | 64 | goal |
//! |---|---|---|---|---|
//! | tokio, HTTP/1.1 | 1.21 | 1.17 | 1.16 | 1.35 |
//! | hyper-util, HTTP/1.1 | 1.69 | 1.69 | 1.70 | |
//! | tokio, HTTP/2 | 1.11 | 1.06 | 1.06 | 1.15 |
//! | hyper-util, HTTP/2 | 1.15 | 1.19 | 1.19 | |
//! | smol, HTTP/1.1 | 1.31 | | | 1.6 |
//! | async-std, HTTP/1.1 | 1.38 to 1.8 | | | 1.6 |
//!
//! Bare hyper takes 16,300 instructions over HTTP/1.1, and 10 heap allocations, of which this crate
//! with the whole client on it makes 9. Over HTTP/2 it is 12 of
//! bare hyper's and one more. With one request in flight tokio's reactor takes 210 instructions more,
//! because there is a timer to wait for.
//!
//! Over HTTP/1.1 no task stands between a request and its socket: the exchange that has a connection
//! drives it (`http1.rs`), and the reactor wakes the exchange (`relay.rs`). So a request costs one
//! task switch, on the thread of whoever waits, and where hyper reads five times for each response,
//! the socket is asked twice (`wire.rs`). Only an idle connection, and one that answers before its
//! upload has ended, is driven by a task of its own, its keeper. An HTTP/2 connection has such a task
//! always, which is woken twice for a request, and its parts wake each other without it (`tasks.rs`).
//!
//! System calls of one request over HTTP/1.1, one at a time: bare hyper 3, tokio 4, smol 9 to 13,
//! async-std 8 to 75, where 6 are the goal. One is the look at the socket before it is used again
//! (R-D-7), which keeps requests from connections that have ended. Of nine on smol, async-io's
//! reactor makes six, whatever the transport does: it arms the socket, and a wait is an
//! `epoll_pwait`, a `timerfd_settime`, a `read` and twice `epoll_ctl`. async-std runs an executor on
//! each core, which wakes another one with each task that it takes up: a second wait, whose reactor
//! makes the same calls again, a `write` that interrupts it, and calls of `futex`. Nothing of that can
//! be changed from here, and how often it happens is a matter of luck.
//!
//! Requests a second on loopback, as parts of bare hyper's, where 0.92 is the goal. Client and server
//! share one CPU, because on two the wake-ups between them are measured as well; even so, runs on a
//! machine that others use differ by some 0.03:
//!
//! | requests in flight | 1 | 16 | 64 |
//! |---|---|---|---|
//! | tokio, HTTP/1.1 | 0.91 to 0.95 | 0.88 to 0.91 | 0.89 to 0.92 |
//! | hyper-util, HTTP/1.1 | 0.93 to 0.95 | 0.87 to 0.90 | 0.87 to 0.90 |
//! | tokio, HTTP/2 | 0.92 to 0.96 | 0.91 to 0.93 | 0.90 to 0.92 |
//! | hyper-util, HTTP/2 | 0.95 to 0.98 | 0.86 to 0.90 | 0.85 to 0.89 |
//!
//! On another machine, where bare hyper makes 97,000 and not 60,000 a second because system calls cost
//! less there, it is 0.86 to 0.90 over HTTP/1.1 and 0.90 to 0.94 over HTTP/2, and hyper-util's 0.79 to
//! 0.87 and 0.86 to 0.95.
//!
//! On two CPUs, with 16 and 64 in flight over HTTP/1.1, it is 0.82 to 0.87, and hyper-util's 0.80 to
//! 0.85: there the client is all that there is to wait for.
//!
//! What a request costs with many in flight is less its instructions than how many of them are not
//! in the processor's first cache, of 32 KiB: 1,370 lines of it are missed, of bare hyper 290. Bare
//! hyper's task reads for all connections, then its callers run, then it writes for all, while here
//! each request goes its whole way at once. To have it go by stages, with turns for the others between
//! them, brings that to 900, and costs as much as it saves. Then come 45 locked instructions more than
//! bare hyper's 97, and the client's five looks at the clock, at some 50 ns each in a virtual machine.
//! To ask the system of each connection before it is used again was 0.05 to 0.1 of it; where others
//! are in flight on one thread, tokio's reactor is asked instead, once for all of them
//! ([`Runtime::reactor_turn`]).
//!
//! On one CPU, fewer instructions are not more requests. Without the reactor's turn a request takes
//! 700 fewer, and half a microsecond, and yet no more are made in a second: the server's thread, which
//! each write wakes, interrupts the client 0.35 times for each request then instead of 0.24 times.
//! Bare hyper, which writes for all connections in a row, is interrupted 0.17 times.
//!
//! Architecture invariant: nothing here sends a request twice. What hyper hands back unsent is
//! reported, and the engine decides (R-D-7).
#![forbid(unsafe_code)]

#[cfg(feature = "async-io")]
pub mod async_io;
mod classify;
mod codings;
mod connect;
mod connections;
mod dial;
mod exchange;
mod frames;
mod framing;
mod http1;
mod http2;
mod io;
mod meter;
#[cfg(redial_planted)]
mod planted;
pub mod pool;
mod relay;
mod response;
mod runtime;
mod stream;
mod tap;
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
