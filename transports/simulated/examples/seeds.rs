//! Goes through many seeds, and fails where one violates something, or where something rare never
//! happened.
//!
//! `cargo run --release -p redial-sim --example seeds -- messages 1000000 bytes 20000`
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::process::ExitCode;
use std::time::Instant;

use redial_sim::{Level, Search, Seed};

fn main() -> Result<ExitCode, Box<dyn core::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut sound = true;
    for pair in words.chunks(2) {
        let [level, count] = pair else { return Err("expected: messages 1000 bytes 1000".into()) };
        sound &= go_through(level.parse()?, count.parse()?);
    }
    Ok(if sound { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn go_through(level: Level, count: u64) -> bool {
    let began = Instant::now();
    let search = Search::through((0..count).map(Seed), level);
    let took = began.elapsed();
    let Search { runs, calls, events, hash, coverage, finding, .. } = search;
    println!(
        "{level}: {runs} seeds, {calls} calls, {events} events in {took:.1?}, hash {hash:#018x}"
    );
    println!("{coverage}");
    let never: Vec<_> = coverage.never(level).collect();
    match finding {
        Some(finding) => println!("{finding}"),
        None if never.is_empty() => return true,
        None => println!("never happened: {never:?}"),
    }
    false
}
