//! A record as a line.

use core::fmt;
use core::time::Duration;

use redial_engine::{Failure, FailureKind, Finality, Outcome};

use super::{Event, Record};

impl fmt::Display for Record {
    /// Such as `1.500000000 c12 a2 ended status 503 after=2.000000000 tokens=98.200`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, call, attempt, event, tokens_milli } = self;
        let at = Seconds(Duration::from_nanos(at.as_nanos()));
        let (whole, milli) = (tokens_milli / 1000, tokens_milli % 1000);
        write!(f, "{at} c{call} a{attempt} {event} tokens={whole}.{milli:03}")
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Began => f.write_str("began"),
            Self::Sent => f.write_str("sent"),
            Self::Processed => f.write_str("processed"),
            Self::Ended(outcome) => write_outcome(f, outcome),
            Self::Waits { wait, cause } => write!(f, "waits {} {}", Seconds(*wait), cause.name()),
            Self::Done(finality) => write!(f, "done {}", finality_name(*finality)),
            Self::GaveUp(reason) => write!(f, "gave_up {}", reason.name()),
            Self::Cancelled => f.write_str("cancelled"),
        }
    }
}

fn write_outcome(f: &mut fmt::Formatter<'_>, outcome: &Outcome) -> fmt::Result {
    match outcome {
        Outcome::Response { status, hint } => {
            write!(f, "ended status {status}")?;
            if let Some(wait) = hint.wait() {
                write!(f, " after={}", Seconds(wait))?;
            }
            hint.says_retry().map_or(Ok(()), |yes| write!(f, " should_retry={yes}"))
        }
        Outcome::Failure(Failure { kind, delivery, reused, .. }) => {
            write!(f, "ended failure {} {delivery}", kind_name(*kind))?;
            if *reused { f.write_str(" reused") } else { Ok(()) }
        }
    }
}

/// The name of a kind in a line: reports call both forms of GOAWAY by one name.
pub(super) const fn kind_name(kind: FailureKind) -> &'static str {
    if matches!(kind, FailureKind::GoAway { graceful: false }) {
        GO_AWAY_ERROR
    } else {
        kind.name()
    }
}

pub(super) const GO_AWAY_ERROR: &str = "go_away_error";

/// The name of a finality in a line: the variant's in snake_case.
pub(super) const fn finality_name(finality: Finality) -> &'static str {
    match finality {
        Finality::Success => "success",
        Finality::Status => "status",
        Finality::Failure => "failure",
        Finality::ServerSaidNo | _ => "server_said_no",
    }
}

/// Seconds, to the nanosecond.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:09}", self.0.as_secs(), self.0.subsec_nanos())
    }
}
