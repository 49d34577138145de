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
//! is said to be missing, and fails nothing. With `-- --speed` that alone is measured.

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

const PROTOCOLS: [&str; 2] = ["http1", "http2"];

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
        Some("--speed") => within_bounds(PROTOCOLS.into_iter().flat_map(speeds)),
        Some("--idle") => {
            idle::print(&arguments[1]);
            ExitCode::SUCCESS
        }
        Some(_) | None => report(),
    }
}

fn report() -> ExitCode {
    let servers = PROTOCOLS.map(Served::start);
    within_bounds(servers.iter().flat_map(|server| {
        let counted = on_tokio(server).chain(on_others(server)).chain(idle(server));
        speeds(server.protocol()).chain(counted)
    }))
}

/// Prints all rows; fails where one is beyond its bound.
fn within_bounds(rows: impl Iterator<Item = Row>) -> ExitCode {
    let beyond = rows.filter(|row| !print(row)).count();
    if beyond == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// How fast, on tokio.
fn speeds(protocol: &'static str) -> impl Iterator<Item = Row> {
    IN_FLIGHT.into_iter().flat_map(move |in_flight| {
        let speed = speed::measure(protocol == "http2", in_flight);
        let row = |stack: Stack, found, bound| Row {
            what: what(stack, protocol, in_flight, "requests a second, of bare hyper's"),
            found: Some(found),
            bound,
        };
        [
            row(Stack::Tokio, speed.ours, Bound::AtLeast(0.92)),
            row(Stack::Pooled, speed.pooled, Bound::None),
        ]
    })
}

fn what(stack: Stack, protocol: &str, in_flight: usize, figure: &str) -> String {
    format!("{} {protocol} x{in_flight:<2} {figure}", stack.name())
}

/// What is counted on tokio, against bare hyper on tokio.
fn on_tokio(server: &Served) -> impl Iterator<Item = Row> + '_ {
    let (instructions, allocations) = if server.is_http2() { (1.15, 19.0) } else { (1.35, 16.0) };
    IN_FLIGHT.into_iter().flat_map(move |in_flight| {
        let load = |stack| Load::new(stack, server, in_flight);
        let (raw, pooled, ours) = (load(Stack::Raw), load(Stack::Pooled), load(Stack::Tokio));
        let row = |stack, figure, found, bound| Row {
            what: what(stack, server.protocol(), in_flight, figure),
            found,
            bound,
        };
        let of_raw = |load| ratio(Tool::Instructions, load, &raw);
        let counted = "instructions, of bare hyper's";
        [
            row(Stack::Tokio, counted, of_raw(&ours), Bound::AtMost(instructions)),
            row(Stack::Pooled, counted, of_raw(&pooled), Bound::None),
            row(
                Stack::Tokio,
                "allocations",
                Tool::Allocations.per_request(&ours),
                Bound::AtMost(allocations),
            ),
        ]
    })
}

/// On smol and async-std, against bare hyper on tokio.
fn on_others(server: &Served) -> impl Iterator<Item = Row> + '_ {
    let stacks = if server.is_http2() { vec![] } else { vec![Stack::Smol, Stack::AsyncStd] };
    stacks.into_iter().flat_map(move |stack| {
        let raw = Load::new(Stack::Raw, server, 1);
        let ours = Load::new(stack, server, 1);
        let name = |figure| what(stack, server.protocol(), 1, figure);
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
