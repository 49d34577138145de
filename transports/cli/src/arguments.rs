//! What can be said on the command line.

use core::time::Duration;
use std::ffi::OsString;
use std::path::PathBuf;

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Parser, Subcommand};
use redial::TransportKind;

use crate::conform::columns;
use crate::simulate::SimulateArguments;

/// Stands for every transport that there is.
pub(crate) const ALL: &str = "all";

/// HTTP calls with retries.
#[derive(Debug, Parser)]
#[command(name = "redial", version, arg_required_else_help = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Shows calls to an origin of its own that misbehaves in named ways.
    ///
    /// Exits with 0 where every call ends as its scenario says, else with 1.
    Demo(DemoArguments),
    /// Makes one call: the body goes to standard output, the timeline to standard error.
    ///
    /// Exits with 0 below status 400, 1 from 400 on, 2 for wrong usage and for a file that cannot be
    /// opened, 3 without a response or where it could not be written.
    Send(Box<SendArguments>),
    /// Plays the conformance suite over each transport, against origins of its own.
    ///
    /// Exits with 0 where everything passes or is declared, 1 where something fails, 2 for wrong
    /// usage and for a file that cannot be opened, 3 where this machine stands in the way.
    Conform(ConformArguments),
    /// Plays many clients and a server in virtual time, and shows what came of each policy.
    ///
    /// Exits with 0 where all is well, 1 where an invariant is broken or two plays of one seed differ
    /// (--check-determinism), 2 for wrong usage and for a file that cannot be opened, 3 where this
    /// machine stands in the way.
    Simulate(SimulateArguments),
}

/// What is said after `redial demo`.
#[derive(Debug, Args)]
pub struct DemoArguments {
    /// What to send the requests with; all: one after the other.
    #[arg(long, default_value = "tokio", value_parser = one_or_all())]
    pub(crate) transport: Transports,
}

impl DemoArguments {
    /// The demo over these transports, one after the other.
    pub fn over(transports: impl IntoIterator<Item = TransportKind>) -> Self {
        Self { transport: Transports(transports.into_iter().collect()) }
    }
}

impl Default for DemoArguments {
    fn default() -> Self {
        Self::over([TransportKind::default()])
    }
}

/// One transport, or all of them.
#[derive(Clone, Debug)]
pub(crate) struct Transports(pub(crate) Vec<TransportKind>);

/// Takes the name of a transport.
fn one() -> impl TypedValueParser<Value = TransportKind> {
    let names = PossibleValuesParser::new(TransportKind::ALL.map(TransportKind::name));
    names.try_map(|name| name.parse::<TransportKind>())
}

/// Takes the name of a transport, or `all`.
fn one_or_all() -> impl TypedValueParser<Value = Transports> {
    let names = TransportKind::ALL.map(TransportKind::name).into_iter().chain([ALL]);
    PossibleValuesParser::new(names).try_map(|name| match name.as_str() {
        ALL => Ok(Transports(TransportKind::ALL.to_vec())),
        name => name.parse().map(|kind| Transports(vec![kind])),
    })
}

/// What is said after `redial conform`.
#[derive(Debug, Args)]
pub struct ConformArguments {
    /// What to play the scenarios over; all: each of them.
    #[arg(long, default_value = ALL, value_parser = column_or_all())]
    pub(crate) transport: String,
    /// Only scenarios with this in their ids, or that prove the requirement of this id.
    #[arg(long, value_name = "TEXT")]
    pub(crate) filter: Option<String>,
    /// Where to write the report as JSON; - for standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Lists the scenarios, and plays none.
    #[arg(long, conflicts_with = "json")]
    pub(crate) list: bool,
    /// Writes the page that says which scenarios prove which requirement, and plays none.
    #[arg(long, conflicts_with_all = ["transport", "filter", "json", "list"])]
    pub(crate) coverage: bool,
}

impl Default for ConformArguments {
    fn default() -> Self {
        Self { transport: ALL.to_owned(), filter: None, json: None, list: false, coverage: false }
    }
}

/// Takes the name of a column of the suite's table, or `all`.
fn column_or_all() -> PossibleValuesParser {
    PossibleValuesParser::new(columns::names().chain([ALL]))
}

/// What is said after `redial send`.
#[derive(Debug, Args)]
pub(crate) struct SendArguments {
    /// The method (GET, or POST where there is data), and the URL.
    #[arg(value_names = ["METHOD", "URL"], num_args = 1..=2, required = true)]
    pub(crate) target: Vec<OsString>,
    /// What to send the request with.
    #[arg(long, default_value = "tokio", value_parser = one())]
    pub(crate) transport: TransportKind,
    /// Makes the call by the blocking client.
    #[arg(long)]
    pub(crate) blocking: bool,
    /// A header, as in 'Accept: text/plain'.
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE")]
    pub(crate) headers: Vec<String>,
    /// The body: text, @FILE for what is in a file, - or @- for standard input.
    #[arg(short = 'd', long, value_name = "DATA", allow_hyphen_values = true)]
    pub(crate) data: Option<String>,
    /// The most attempts, the first included.
    #[arg(long, value_name = "N", default_value_t = 5, allow_negative_numbers = true)]
    pub(crate) max_attempts: u32,
    /// A status that is retried as well.
    #[arg(long = "retry-status", value_name = "STATUS", allow_negative_numbers = true)]
    pub(crate) retry_statuses: Vec<u16>,
    /// Repeats also what is not idempotent, where the server has certainly seen nothing of it.
    #[arg(long)]
    pub(crate) retry_unsent: bool,
    /// Writes the response's head before its body.
    #[arg(short = 'i', long)]
    pub(crate) include: bool,
    /// Where to write the history as JSON; - for standard output, after the body.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Speaks HTTP/1.1 alone.
    #[arg(long, conflicts_with = "http2_prior_knowledge")]
    pub(crate) http1: bool,
    /// Speaks HTTP/2 without asking, over plain TCP too.
    #[arg(long)]
    pub(crate) http2_prior_knowledge: bool,
    /// Trusts the authorities in this PEM file, and no others.
    #[arg(long, value_name = "FILE")]
    pub(crate) cacert: Option<PathBuf>,
    /// Seconds to a usable connection.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) connect_timeout: Option<Duration>,
    /// Seconds of silence while waiting for the response.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) read_timeout: Option<Duration>,
    /// Seconds during which the server accepts nothing of the request.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) write_timeout: Option<Duration>,
    /// Seconds of waiting for a connection slot.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) pool_timeout: Option<Duration>,
    /// Seconds for each attempt as a whole.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) attempt_timeout: Option<Duration>,
    /// Seconds for the call as a whole, its waits included.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) call_timeout: Option<Duration>,
}

/// Decimal seconds. What is too long for a clock means "never" (R-T-8).
pub(crate) fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds < 0.0 => Err("seconds are not negative".into()),
        Ok(seconds) if !seconds.is_nan() => {
            Ok(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
        }
        Ok(_) | Err(_) => Err("not a number of seconds, such as 2 or 0.5".into()),
    }
}

#[cfg(test)]
#[allow(clippy::expect_used, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    #[test]
    fn seconds_are_decimal_and_never_negative() {
        assert_eq!(seconds("0.25"), Ok(Duration::from_millis(250)));
        assert_eq!(seconds("0.0005"), Ok(Duration::from_micros(500)));
        assert_eq!(seconds("1e9"), Ok(Duration::from_secs(1_000_000_000)));
        for zero in ["0", "-0", "1e-300"] {
            assert_eq!(seconds(zero), Ok(Duration::ZERO), "{zero}");
        }
        for never in ["1e300", "inf"] {
            assert_eq!(seconds(never), Ok(Duration::MAX), "{never}");
        }
        for negative in ["-1", "-0.5", "-inf"] {
            assert_eq!(seconds(negative), Err("seconds are not negative".into()), "{negative}");
        }
        for wrong in ["nan", "-nan", "", "1s", " 1", "0x10"] {
            let error = seconds(wrong).expect_err("it is no number of seconds");
            assert!(error.starts_with("not a number"), "{wrong}: {error}");
        }
    }
}
