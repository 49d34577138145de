//! A call's history for people: one line an attempt, one line a wait, one line the end.

use core::fmt::Write as _;
use core::time::Duration;

use anstyle::{AnsiColor, Style};
use http::StatusCode;
use redial::{AttemptRecord, Error, Response, Wait};
use redial_engine::{Outcome, PauseCause, Reason};

const GOOD: Style = AnsiColor::Green.on_default();
const BAD: Style = AnsiColor::Red.on_default();
const DIM: Style = Style::new().dimmed();
const BOLD: Style = Style::new().bold();

/// Draws the history of a call that ended with this result, every line indented by two blanks.
pub(crate) fn draw(result: &Result<Response, Error>, elapsed: Duration) -> String {
    let (attempts, reason) = match result {
        Ok(response) => (response.attempts(), response.reason()),
        Err(error) => (error.attempts(), error.reason()),
    };
    let mut lines = String::new();
    for record in attempts {
        attempt(&mut lines, record);
        if let Some(pause) = &record.wait {
            wait(&mut lines, pause);
        }
    }
    // What was sent again at once is no other attempt (R-D-7).
    let made = attempts.last().map_or(0, |last| last.number);
    end(&mut lines, result, reason, made, elapsed);
    lines
}

fn attempt(lines: &mut String, record: &AttemptRecord) {
    let (style, what) = match record.outcome {
        Outcome::Response { status, .. } => {
            (if status < 400 { GOOD } else { BAD }, status_line(status))
        }
        Outcome::Failure(failure) => {
            (BAD, format!("{} ({})", words(failure.kind.name()), failure.delivery))
        }
    };
    let connection = if record.reused { "reused connection" } else { "new connection" };
    let (at, number) = (time(record.started), record.number);
    let took = length(record.elapsed);
    // Writing to a string does not fail.
    let _ = writeln!(
        lines,
        "  {DIM}{at}{DIM:#}  attempt {number}  {style}{what}{style:#}  {DIM}{took}, {connection}{DIM:#}"
    );
}

fn wait(lines: &mut String, wait: &Wait) {
    let cause = match wait.cause {
        PauseCause::Backoff => "backoff",
        PauseCause::ServerHint => "the server asked for it",
        _ => wait.cause.name(),
    };
    let wait = length(wait.length);
    let _ = writeln!(lines, "             {DIM}wait {wait}: {cause}{DIM:#}");
}

fn end(
    lines: &mut String,
    result: &Result<Response, Error>,
    reason: Option<Reason>,
    attempts: u32,
    elapsed: Duration,
) {
    let (style, what) = match result {
        Ok(response) => {
            let good = response.status().as_u16() < 400;
            (if good { GOOD } else { BAD }, status_line(response.status().as_u16()))
        }
        Err(error) => (BAD, words(error.kind().name())),
    };
    let plural = if attempts == 1 { "" } else { "s" };
    let why = reason.map_or(String::new(), |reason| format!("; given up: {reason}"));
    let at = time(elapsed);
    let _ = writeln!(
        lines,
        "  {DIM}{at}{DIM:#}  {BOLD}ended{BOLD:#}      {style}{what}{style:#} after {attempts} attempt{plural}{why}"
    );
}

fn status_line(status: u16) -> String {
    let known = StatusCode::from_u16(status).ok();
    let phrase = known.and_then(|status| status.canonical_reason()).unwrap_or("");
    format!("{status} {phrase}").trim_end().to_owned()
}

/// A name in snake_case, as words.
fn words(name: &str) -> String {
    name.replace('_', " ")
}

/// A point in time of the call, in a column of fixed width.
fn time(at: Duration) -> String {
    format!("{:>7.3} s", at.as_secs_f64())
}

/// A length of time, to three digits of the unit that suits it.
fn length(length: Duration) -> String {
    if length < Duration::from_secs(1) {
        format!("{:.1} ms", length.as_secs_f64() * 1e3)
    } else {
        format!("{:.2} s", length.as_secs_f64())
    }
}
