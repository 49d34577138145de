//! A line as a record.

use core::error::Error as StdError;
use core::fmt;
use core::str::{FromStr, SplitWhitespace};
use core::time::Duration;

use redial_engine::{
    Delivery, Failure, FailureKind, Finality, Outcome, PauseCause, Reason, ServerHint, Timestamp,
};

use super::line::{GO_AWAY_ERROR, finality_name};
use super::{Event, Record};

/// Why a line is no record: which word was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceError(&'static str);

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line is no record of a trace: expected {}", self.0)
    }
}

impl StdError for TraceError {}

impl FromStr for Record {
    type Err = TraceError;

    fn from_str(line: &str) -> Result<Self, TraceError> {
        let mut words = line.split_whitespace();
        let at = seconds(next(&mut words, "a time")?)?;
        let call = number(next(&mut words, "a call")?, "c")?;
        let attempt = number(next(&mut words, "an attempt")?, "a")?;
        let (event, rest) = event(&mut words)?;
        let tokens_milli = tokens(rest.or_else(|| words.next()))?;
        match words.next() {
            Some(_) => Err(TraceError("the end of the line")),
            None => Ok(Self {
                at: Timestamp::ORIGIN.saturating_add(at),
                call,
                attempt,
                event,
                tokens_milli,
            }),
        }
    }
}

type Words<'a> = SplitWhitespace<'a>;

fn next<'a>(words: &mut Words<'a>, expected: &'static str) -> Result<&'a str, TraceError> {
    words.next().ok_or(TraceError(expected))
}

/// The event, and the word after it where that had to be read to see that the event had ended.
fn event<'a>(words: &mut Words<'a>) -> Result<(Event, Option<&'a str>), TraceError> {
    const EXPECTED: TraceError = TraceError("an event");
    let event = match next(words, "an event")? {
        "began" => Event::Began,
        "sent" => Event::Sent,
        "processed" => Event::Processed,
        "cancelled" => Event::Cancelled,
        "waits" => {
            let wait = seconds(next(words, "a wait")?)?;
            Event::Waits { wait, cause: cause(next(words, "a cause")?)? }
        }
        "done" => Event::Done(finality(next(words, "an end")?)?),
        "gave_up" => Event::GaveUp(reason(next(words, "a reason")?)?),
        "ended" => return ended(words),
        _ => return Err(EXPECTED),
    };
    Ok((event, None))
}

fn ended<'a>(words: &mut Words<'a>) -> Result<(Event, Option<&'a str>), TraceError> {
    match next(words, "an outcome")? {
        "status" => {
            let status = number(next(words, "a status")?, "")?;
            let status = u16::try_from(status).map_err(|_| TraceError("a status"))?;
            let (hint, rest) = hint(words)?;
            Ok((Event::Ended(Outcome::hinted(status, hint)), rest))
        }
        "failure" => {
            let kind = kind(next(words, "a kind of failure")?)?;
            let failure = Failure::new(kind, delivery(next(words, "a delivery")?)?);
            match words.next() {
                Some("reused") => Ok((Event::Ended(Outcome::Failure(failure.on_reused())), None)),
                rest => Ok((Event::Ended(Outcome::Failure(failure)), rest)),
            }
        }
        _ => Err(TraceError("an outcome")),
    }
}

fn hint<'a>(words: &mut Words<'a>) -> Result<(ServerHint, Option<&'a str>), TraceError> {
    let mut hint = ServerHint::NONE;
    loop {
        let word = words.next();
        if let Some(wait) = word.and_then(|word| word.strip_prefix("after=")) {
            hint = hint.after(seconds(wait)?);
        } else if let Some(yes) = word.and_then(|word| word.strip_prefix("should_retry=")) {
            hint = hint.should_retry(yes.parse().map_err(|_| TraceError("true or false"))?);
        } else {
            return Ok((hint, word));
        }
    }
}

fn cause(name: &str) -> Result<PauseCause, TraceError> {
    let all = [PauseCause::Backoff, PauseCause::ServerHint];
    all.into_iter().find(|cause| cause.name() == name).ok_or(TraceError("a cause"))
}

fn reason(name: &str) -> Result<Reason, TraceError> {
    let all = [
        Reason::NotRepeatable,
        Reason::BodySpent,
        Reason::AttemptsExhausted,
        Reason::HintBeyondCap,
        Reason::DeadlineWouldPass,
        Reason::BudgetExhausted,
    ];
    all.into_iter().find(|reason| reason.name() == name).ok_or(TraceError("a reason"))
}

fn finality(name: &str) -> Result<Finality, TraceError> {
    let all = [Finality::Success, Finality::Status, Finality::Failure, Finality::ServerSaidNo];
    all.into_iter().find(|end| finality_name(*end) == name).ok_or(TraceError("an end"))
}

fn delivery(name: &str) -> Result<Delivery, TraceError> {
    let all = [Delivery::Unsent, Delivery::Unknown, Delivery::Answered];
    all.into_iter().find(|delivery| delivery.name() == name).ok_or(TraceError("a delivery"))
}

fn kind(name: &str) -> Result<FailureKind, TraceError> {
    if name == GO_AWAY_ERROR {
        return Ok(FailureKind::GoAway { graceful: false });
    }
    FailureKind::from_name(name).ok_or(TraceError("a kind of failure"))
}

fn number(word: &str, prefix: &'static str) -> Result<u32, TraceError> {
    let digits = word.strip_prefix(prefix).ok_or(TraceError("a number"))?;
    digits.parse().map_err(|_| TraceError("a number"))
}

/// Seconds with exactly nine decimals.
fn seconds(word: &str) -> Result<Duration, TraceError> {
    const EXPECTED: TraceError = TraceError("seconds with nine decimals");
    let (whole, fraction) = word.split_once('.').ok_or(EXPECTED)?;
    let nanos = fraction.parse().ok().filter(|_| fraction.len() == 9).ok_or(EXPECTED)?;
    Ok(Duration::new(whole.parse().map_err(|_| EXPECTED)?, nanos))
}

fn tokens(word: Option<&str>) -> Result<u64, TraceError> {
    const EXPECTED: TraceError = TraceError("tokens with three decimals");
    let word = word.and_then(|word| word.strip_prefix("tokens=")).ok_or(EXPECTED)?;
    let (whole, milli) = word.split_once('.').ok_or(EXPECTED)?;
    let milli = milli.parse::<u64>().ok().filter(|_| milli.len() == 3).ok_or(EXPECTED)?;
    let whole = whole.parse::<u64>().map_err(|_| EXPECTED)?;
    whole.checked_mul(1000).and_then(|whole| whole.checked_add(milli)).ok_or(EXPECTED)
}
