//! What the transport costs over bare hyper connections: instructions, allocations, system calls,
//! requests a second, and memory for an idle connection.
//!
//! `cargo bench -p redial-hyper --bench overhead` prints a table and fails where a row is above
//! its bound. Everything is on: pool, timeouts, policy, budget. Bare hyper is one connection of
//! `hyper::client::conn` for each request in flight, without pool, timeout or retry. Beside them
//! stands hyper-util's client, which has a pool and nothing else of it. The server is a hyper server
//! on loopback, with a body of 13 bytes.
//!
//! Counts are differences between two runs of different length, divided by the difference: what
//! happens once falls out. The client that is counted has a process of its own. Speed is the median
//! ratio of rounds by turns in one process. valgrind and strace count; a figure whose tool is missing
//! is said to be missing, and fails nothing.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a bench prints what it found, and may panic"
)]

mod idle;
mod load;
mod server;
mod slot;
mod speed;
mod tools;

use std::process::ExitCode;

use crate::load::{Load, Stack};
use crate::server::Served;
use crate::tools::Tool;

/// How many requests are in flight at a time.
const IN_FLIGHT: [usize; 3] = [1, 16, 64];

/// A figure of one stack, what it is compared with, and the most (or least) that it may be.
struct Row {
    what: String,
    found: Option<f64>,
    bound: Bound,
}

enum Bound {
    AtMost(f64),
    AtLeast(f64),
    /// Of another's, to compare with.
    None,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("--serve") => server::serve_until_killed(&arguments[1]),
        Some("--load") => {
            Load::parse(&arguments[1..]).run();
            ExitCode::SUCCESS
        }
        Some("--idle") => {
            idle::print(&arguments[1]);
            ExitCode::SUCCESS
        }
        Some(_) | None => report(),
    }
}

fn report() -> ExitCode {
    let mut within = true;
    for protocol in ["http1", "http2"] {
        let server = Served::start(protocol);
        let rows = on_tokio(&server).chain(on_others(&server)).chain(idle(&server));
        for row in rows {
            within &= print(&row);
        }
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// On tokio, against bare hyper on tokio.
fn on_tokio(server: &Served) -> impl Iterator<Item = Row> + '_ {
    let (instructions, allocations) = if server.is_http2() { (1.15, 19.0) } else { (1.35, 16.0) };
    IN_FLIGHT.into_iter().flat_map(move |in_flight| {
        let load = |stack| Load::new(stack, server, in_flight);
        let (raw, pooled, ours) = (load(Stack::Raw), load(Stack::Pooled), load(Stack::Tokio));
        let speed = speed::measure(server.is_http2(), in_flight);
        let row = |stack: Stack, figure: &str, found, bound| Row {
            what: format!("{} {} x{in_flight:<2} {figure}", stack.name(), server.protocol()),
            found,
            bound,
        };
        let (counted, timed) =
            ("instructions, of bare hyper's", "requests a second, of bare hyper's");
        [
            row(
                Stack::Tokio,
                counted,
                ratio(Tool::Instructions, &ours, &raw),
                Bound::AtMost(instructions),
            ),
            row(
                Stack::Tokio,
                "allocations",
                Tool::Allocations.per_request(&ours),
                Bound::AtMost(allocations),
            ),
            row(Stack::Tokio, timed, Some(speed.ours), Bound::AtLeast(0.92)),
            row(Stack::Pooled, counted, ratio(Tool::Instructions, &pooled, &raw), Bound::None),
            row(Stack::Pooled, timed, Some(speed.pooled), Bound::None),
        ]
    })
}

/// On smol and async-std, against bare hyper on tokio.
fn on_others(server: &Served) -> impl Iterator<Item = Row> + '_ {
    let stacks = if server.is_http2() { vec![] } else { vec![Stack::Smol, Stack::AsyncStd] };
    stacks.into_iter().flat_map(move |stack| {
        let raw = Load::new(Stack::Raw, server, 1);
        let ours = Load::new(stack, server, 1);
        let name = |figure: &str| format!("{} {} x1  {figure}", stack.name(), server.protocol());
        [
            Row {
                what: name("instructions, of bare hyper's on tokio"),
                found: ratio(Tool::Instructions, &ours, &raw),
                bound: Bound::AtMost(1.6),
            },
            Row {
                what: name("system calls"),
                found: Tool::SystemCalls.per_request(&ours),
                bound: Bound::AtMost(6.0),
            },
        ]
    })
}

fn idle(server: &Served) -> impl Iterator<Item = Row> {
    let row = Row {
        what: format!("tokio {} memory of an idle connection, KiB", server.protocol()),
        found: idle::kib_for_each(server),
        bound: Bound::AtMost(40.0),
    };
    (!server.is_http2()).then_some(row).into_iter()
}

fn ratio(tool: Tool, ours: &Load, raw: &Load) -> Option<f64> {
    Some(tool.per_request(ours)? / tool.per_request(raw)?)
}

/// Prints a row; whether it is within its bound.
fn print(row: &Row) -> bool {
    let Some(found) = row.found else {
        println!("{:<60} not measured: its tool is missing", row.what);
        return true;
    };
    let (within, sign, bound) = match row.bound {
        Bound::AtMost(most) => (found <= most, "at most", most),
        Bound::AtLeast(least) => (found >= least, "at least", least),
        Bound::None => {
            println!("{:<60} {found:>7.2}", row.what);
            return true;
        }
    };
    let mark = if within { "" } else { "  MISSED" };
    println!("{:<60} {found:>7.2}  {sign} {bound}{mark}", row.what);
    within
}
