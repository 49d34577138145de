//! `redial conform`: the conformance suite over each transport, against origins of its own.

pub(crate) mod columns;
mod page;

use core::net::Ipv4Addr;
use core::time::Duration;
use std::net::{TcpListener, TcpStream};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use redial_conformance::{
    FaultServer, Report, Scenario, Script, Subject, coverage, run, scenarios,
};

use crate::Failure;
pub use crate::arguments::ConformArguments;
use crate::report_file::{ReportFile, show};
use crate::streams::say;

/// How long this machine may take to reach itself.
const PATIENCE: Duration = Duration::from_secs(5);

/// Plays the suite, or says what it proves, and answers the exit code.
///
/// # Errors
///
/// [`Failure`] where nothing is chosen by the arguments, or this machine stands in the way.
pub fn command(arguments: &ConformArguments) -> Result<ExitCode, Failure> {
    if arguments.coverage {
        say(format_args!("{}", coverage()))?;
        return Ok(ExitCode::SUCCESS);
    }
    play(arguments, scenarios())
}

/// Plays these scenarios, and answers the exit code: 0 where everything passes or is declared,
/// else 1.
///
/// # Errors
///
/// [`Failure`] where nothing is chosen by the arguments, or this machine stands in the way.
pub fn play(arguments: &ConformArguments, scenarios: Vec<Scenario>) -> Result<ExitCode, Failure> {
    let scenarios = chosen(scenarios, arguments.filter.as_deref())?;
    if arguments.list {
        say(format_args!("{}", list(&scenarios)))?;
        return Ok(ExitCode::SUCCESS);
    }
    reach(Ipv4Addr::LOCALHOST)?;
    // What cannot be written is found out before minutes are spent.
    let json = arguments.json.as_deref().map(ReportFile::open).transpose()?;
    let began = Instant::now();
    let report = watched(&columns::named(&arguments.transport), &scenarios);
    let page = page::draw(&report, began.elapsed());
    let shown = show(&json, format_args!("{page}"));
    if let Some(mut json) = json {
        json.write(&report)?;
    }
    shown?;
    let failed = report.counts().failed > 0;
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// The scenarios that a filter lets through.
fn chosen(scenarios: Vec<Scenario>, filter: Option<&str>) -> Result<Vec<Arc<Scenario>>, Failure> {
    let passes = |it: &Scenario| {
        filter.is_none_or(|text| it.id.contains(text) || it.requirements.contains(&text))
    };
    let chosen: Vec<_> = scenarios.into_iter().filter(passes).map(Arc::new).collect();
    match filter {
        Some(text) if chosen.is_empty() => Err(Failure::usage(format!(
            "no scenario has {text:?} in its id, and none proves a requirement of that id; \
             --list shows them all"
        ))),
        Some(_) | None => Ok(chosen),
    }
}

/// Whether origins can be started, and reached at this address. Where they cannot, every scenario
/// would fail, and none would say anything of its transport.
fn reach(address: Ipv4Addr) -> Result<(), Failure> {
    FaultServer::start(Script::requests(Vec::new()))
        .map_err(|error| Failure::trouble(format!("no origin can be started: {error}")))?;
    let origin = TcpListener::bind((address, 0));
    let reached = origin.and_then(|origin| {
        let address = origin.local_addr()?;
        TcpStream::connect_timeout(&address, PATIENCE)
    });
    reached.map(drop).map_err(|error| {
        Failure::trouble(format!("no origin can be reached at {address}: {error}"))
    })
}

/// A line for each scenario: its id, what it proves, and its title.
fn list(scenarios: &[Arc<Scenario>]) -> String {
    let width = scenarios.iter().map(|it| it.id.len()).max().unwrap_or(0);
    let line = |it: &Arc<Scenario>| {
        format!("{:width$}  {}  {}\n", it.id, it.requirements.join(","), it.title)
    };
    scenarios.iter().map(line).collect()
}

/// Plays the scenarios, and shows on a terminal how far that is.
fn watched(subjects: &[Arc<Subject>], scenarios: &[Arc<Scenario>]) -> Report {
    let all = subjects.len().saturating_mul(scenarios.len());
    // On standard error, and nowhere where that is no terminal.
    let bar = ProgressBar::new(u64::try_from(all).unwrap_or(u64::MAX));
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} in {elapsed} {msg}") {
        bar.set_style(style);
    }
    let report = run(subjects, scenarios, |played| {
        if played.verdict.is_failure() {
            bar.println(format!("failed: {} over {}", played.scenario.id, played.subject));
        }
        bar.set_message(played.scenario.id.clone());
        bar.inc(1);
    });
    bar.finish_and_clear();
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_that_cannot_reach_its_origins_is_trouble() {
        assert!(reach(Ipv4Addr::LOCALHOST).is_ok());
        // RFC 5737 keeps this address for documents: no machine has it.
        let failure = reach(Ipv4Addr::new(192, 0, 2, 1)).expect_err("it is nobody's");
        assert_eq!(failure.exit_code(), 3);
        assert!(failure.to_string().contains("192.0.2.1: "), "{failure}");
    }
}
