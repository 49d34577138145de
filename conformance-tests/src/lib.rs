//! One suite of HTTP client behaviour, and the misbehaving server that it needs.
//!
//! This first slice is the **fault server**: it listens on the loopback interface, does to an HTTP
//! client exactly what a [`Script`] says (answer, stall, cut off, reset) and writes down what the
//! client did, in a [`Log`]. It runs on threads of its own, so it tests a client of any runtime.
//!
//! # Bird's eye
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
