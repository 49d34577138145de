//! `redial simulate --replay LINE`: one run, and everything that happens in it.

use std::process::ExitCode;

use redial_sim::{Scenario, Simulation, Unreadable};

use crate::Failure;
use crate::streams::say;

/// Plays the run that the line says, and shows it; fails where it breaks a rule.
pub(super) fn command(line: &str) -> Result<ExitCode, Failure> {
    if line.trim().is_empty() {
        return Err(Failure::usage("there is no line to replay: it is empty"));
    }
    let scenario: Scenario =
        line.parse().map_err(|why: Unreadable| Failure::usage(why.to_string()))?;
    let report = Simulation::new(&scenario).keep_trace().run();
    say(format_args!("{scenario}\n{}", report.trace.lines()))?;
    say(format_args!("hash {:#018x} after {:?}\n", report.trace.hash(), report.elapsed))?;
    match report.violation {
        None => Ok(ExitCode::SUCCESS),
        Some(violation) => Err(Failure::failed(violation.to_string())),
    }
}
