//! One suite of HTTP client behaviour, and the misbehaving server that it needs.
//!
//! A [`Scenario`] is data: what an origin does, what a client is to do, what must come of it, and
//! what the origin must have seen. [`scenarios`] is the whole table, and [`run`] plays it over any
//! transport; `COVERAGE.md` says which rows prove which requirement.
//!
//! # Bird's eye
//!
//! ```text
//!   scenarios() ──▶ run ──▶ Report: scenario by transport, each passed, failed or declared
//!                    │
//!                    │ for each: a Script ──▶ FaultServer ──▶ Log    what the origin saw ──┐
//!                    │           a Play ────▶ Subject ──────▶ Seen   what the client saw ──┤
//!                    │                                                                     ▼
//!                    └───────────────────────────────────────────▶ judge: all that is not as it must be
//! ```
//!
//! # A transport of your own
//!
//! A [`Subject`] is a name and a function that plays one scenario, with a runtime and a client of
//! its own. As a test, in a file with `harness = false` in `Cargo.toml`:
//!
//! ```no_run
//! use redial_client::Client;
//! use redial_conformance::{Declaration, Play, PlayError, Seen, Subject, conformance};
//! # use redial_smol::Smol as Mine;
//!
//! fn play(play: Play) -> Result<Seen, PlayError> {
//!     Ok(smol::block_on(play.with(Client::builder(Mine::new())))?)
//! }
//!
//! conformance!(Subject::new("mine", play).declaring([
//!     Declaration::new("http2/*", "HTTP/1.1 is all that it speaks: Mine::into_transport"),
//! ]));
//! ```
//!
//! Each scenario is a test, so `cargo test --test mine -- decisions/status-503` and `cargo nextest`
//! filter them. What a transport cannot pass it declares with a reason, and it is played all the
//! same: a [`Declaration`] of a scenario that passes fails.
//!
//! As a function, for a report rather than a test:
//!
//! ```
//! use std::sync::Arc;
//!
//! use redial_client::Client;
//! use redial_conformance::{Subject, run, scenarios};
//! # use redial_smol::Smol as Mine;
//!
//! let mine = Subject::new("mine", |play| {
//!     Ok(smol::block_on(play.with(Client::builder(Mine::new())))?)
//! });
//! let rows = scenarios().into_iter().filter(|row| row.id.starts_with("decisions/status-"));
//! let report = run(&[Arc::new(mine)], &rows.map(Arc::new).collect::<Vec<_>>(), |_| ());
//! println!("{report}");
//! assert_eq!(report.failures().count(), 0);
//! ```
//!
//! `examples/std_transport.rs` is a transport of another kind, over plain sockets and threads, in
//! 150 lines of code; `tests/std_transport.rs` is its test, and says what it does not claim.
//!
//! # The fault server
//!
//! It listens on the loopback interface, does to an HTTP client exactly what a [`Script`] says
//! (answer, stall, cut off, reset) and writes down what the client did, in a [`Log`]. It runs on
//! threads of its own, so it tests a client of any runtime, and of any other HTTP library.
//!
//! ```text
//!   Script ── start ──▶ FaultServer ── finish ──▶ Ok(Log)
//!   (data: Plan, Step,     │    ▲                 Err(Unfinished): what the client did not
//!    built with Reply)     │    │                 do, or did too much of
//!                          ▼    │
//!                     one thread accepts, one thread for each connection plays its steps
//! ```
//!
//! A script is plain data, in one of two plans. [`Script::connections`] says what happens on the
//! n-th connection, byte by byte or frame by frame. [`Script::requests`] says how the n-th request
//! is answered, whichever connection and protocol it comes over. [`Script::secured`] puts either
//! under TLS, good or bad. [`wire_h1`] and [`wire_h2`] are tables of scripts: every way in which a
//! server may fail a request, and what a client must say of it.
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::TcpStream;
//!
//! use redial_conformance::{FaultServer, Reply, Script};
//!
//! let server = FaultServer::start(Script::replies([
//!     Reply::status(503).header("retry-after", "1").body("busy"),
//!     Reply::status(200).body("ok"),
//! ]))?;
//!
//! let mut client = TcpStream::connect(server.address())?;
//! for expected in ["503 Service Unavailable", "200 OK"] {
//!     client.write_all(b"POST /jobs HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi")?;
//!     let mut answer = [0; 512];
//!     let length = client.read(&mut answer)?;
//!     assert!(String::from_utf8_lossy(&answer[..length]).contains(expected));
//! }
//! drop(client);
//!
//! let log = server.finish()?;
//! assert_eq!(log.count("POST"), 2);
//! assert_eq!(log.peak_open_connections(), 1);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Nothing waits for ever
//!
//! A step that waits for the client has a bound: the one in the step, or [`PATIENCE`]. The server
//! ends with its handle: [`FaultServer::finish`] gives the script [`GRACE`] to come to its end,
//! dropping the handle gives it none, and both join every thread.

#![forbid(unsafe_code)]

mod certificates;
mod connection;
mod coverage;
pub mod declared;
mod harness;
mod http2;
mod judge;
mod link;
mod log;
mod peek;
mod play;
mod reply;
mod report;
mod request;
mod requirements;
mod runner;
mod scenario;
mod scenarios;
mod script;
mod server;
mod shared;
#[cfg(feature = "simulated")]
pub mod simulated;
mod socket;
mod step;
mod subject;
mod tls;
mod unfinished;
mod wire;

pub use certificates::ClientIdentity;
pub use coverage::coverage;
pub use harness::harness;
pub use http2::{ErrorCode, Frame, Http2, LastStream};
pub use judge::judge;
pub use log::{BODY_KEPT, Closing, ConnectionRecord, Log, RequestRecord, TlsRecord};
pub use play::{CallSeen, EndSeen, Figures, Place, Play, RealTime, Seen, Time};
pub use reply::Reply;
pub use report::{Counts, Played, Report, Verdict};
pub use request::Malformed;
pub use requirements::{Proof, Requirement, requirements};
pub use runner::{check, run};
pub use scenario::{
    Act, Attempted, BodySeen, Call, Came, Count, End, HeaderSeen, Payload, QUICK_BASE,
    QUICK_TIMEOUT, Reading, RequestSeen, Scenario, Setup, Sighting, Url, Waited, Waits,
};
pub use scenarios::scenarios;
pub use script::{Plan, Script};
pub use server::{FaultServer, GRACE};
pub use socket::PATIENCE;
pub use step::Step;
pub use subject::{Declaration, PlayError, Subject};
pub use tls::{Certificate, Handshake, Tls};
pub use unfinished::{Leftover, StepError, Unfinished};
pub use wire::{
    Violated, Violation, WIRE_TIMEOUT, WireEnd, WireRow, http2_violations, wire_h1, wire_h2,
};
