//! Runs one scenario, and shows what happens.
//!
//! `cargo run -p redial-sim --example replay -- 0x2a` for the scenario of a seed, with `bytes` or
//! `http2` before it for one in which every byte is simulated; or the line that a finding prints.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::process::ExitCode;

use redial_sim::{Level, Scenario, Seed, Simulation};

fn main() -> Result<ExitCode, Box<dyn core::error::Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let scenario: Scenario = match words.as_slice() {
        [seed] if !seed.contains('=') => Scenario::of(seed.parse::<Seed>()?, Level::Messages),
        [level, seed] if !seed.contains('=') => Scenario::of(seed.parse::<Seed>()?, level.parse()?),
        words => words.join(" ").parse()?,
    };
    let report = Simulation::new(&scenario).keep_trace().run();
    println!("{scenario}\n{}", report.trace.lines());
    println!("hash {:#018x} after {:?}", report.trace.hash(), report.elapsed);
    match report.violation {
        None => Ok(ExitCode::SUCCESS),
        Some(violation) => {
            println!("{violation}");
            Ok(ExitCode::FAILURE)
        }
    }
}
