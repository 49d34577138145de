//! The `redial` command, as a library that its tests can call.
//!
//! | file | what it holds |
//! |---|---|
//! | `arguments.rs` | what can be said on the command line |
//! | `transports.rs` | a transport by its name |
//! | `demo.rs`, `scenarios.rs` | `redial demo`: an origin that misbehaves, and the calls to it |
//! | `send.rs` | `redial send`: one call to a real server |
//! | `conform.rs`, `conform/` | `redial conform`: the conformance suite over each transport |
//! | `simulate.rs` | `redial simulate`: fleets of clients in virtual time |
//! | `timeline.rs` | a call's history for people |
//! | `report.rs` | the same for programs |
//! | `report_file.rs` | where a report goes |
//! | `streams.rs` | standard output and standard error |
#![forbid(unsafe_code)]

mod arguments;
pub mod conform;
pub mod demo;
mod report;
mod report_file;
pub mod scenarios;
mod send;
mod simulate;
mod streams;
mod timeline;
mod transports;

use std::process::ExitCode;

use clap::Parser;

use self::arguments::{Arguments, Command};

/// The README's code is compiled with the documentation tests of this crate, which has all of it.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;

/// Runs the command that the process was started with, and answers its exit code.
pub fn run() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => return instead(&error),
    };
    let outcome = match arguments.command {
        Command::Demo(arguments) => demo::command(&arguments),
        Command::Send(arguments) => send::command(&arguments),
        Command::Conform(arguments) => conform::command(&arguments),
        Command::Simulate(arguments) => simulate::command(&arguments),
    };
    outcome.unwrap_or_else(|failure| failed(&failure))
}

/// Shows help that was asked for, or what is wrong with the command line.
fn instead(error: &clap::Error) -> ExitCode {
    let printed = error.print();
    if error.use_stderr() {
        return ExitCode::from(USAGE);
    }
    streams::written(printed).map_or_else(|failure| failed(&failure), |()| ExitCode::SUCCESS)
}

fn failed(failure: &Failure) -> ExitCode {
    streams::tell(format_args!("redial: {failure}\n"));
    ExitCode::from(failure.exit_code())
}

/// Why a command could not be carried out, in one line.
#[derive(Debug)]
pub struct Failure {
    line: String,
    code: u8,
}

/// What was to be shown does not hold.
const FAILED: u8 = 1;
/// Something on the command line cannot be carried out.
const USAGE: u8 = 2;
/// The call brought no response, or this machine stood in the way of making it or showing it.
const NO_RESPONSE: u8 = 3;

impl Failure {
    fn usage(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: USAGE }
    }

    fn failed(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: FAILED }
    }

    fn trouble(line: impl Into<String>) -> Self {
        Self { line: line.into(), code: NO_RESPONSE }
    }

    const fn exit_code(&self) -> u8 {
        self.code
    }
}

impl core::fmt::Display for Failure {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.line)
    }
}

impl core::error::Error for Failure {}

/// An error and its causes in one line.
fn in_one_line(error: &dyn core::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        line.push_str(": ");
        line.push_str(&cause.to_string());
        source = cause.source();
    }
    line.replace(['\r', '\n'], " ")
}
