//! A call's history for programs: the JSON report, whose names are a contract.

use core::time::Duration;

use redial::{AttemptRecord, Error, PoolFigures, Response};
use redial_engine::{Outcome, Reason};
use serde::Serialize;

/// The report of one call. All times are milliseconds.
#[derive(Debug, Serialize)]
pub(crate) struct Report<'a> {
    transport: &'a str,
    /// Without credentials and query.
    url: &'a str,
    ended: Ended,
    reason: Option<&'static str>,
    attempts: Vec<Attempt>,
    pool: Pool,
    elapsed_ms: f64,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Ended {
    Status(u16),
    Error(&'static str),
}

#[derive(Debug, Serialize)]
struct Attempt {
    number: u32,
    outcome: Came,
    delivery: Option<&'static str>,
    reused: bool,
    started_ms: f64,
    elapsed_ms: f64,
    wait_ms: Option<f64>,
    wait_reason: Option<&'static str>,
}

/// What an attempt came to: a status, or the name of a failure.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Came {
    Status(u16),
    Failure(&'static str),
}

#[derive(Debug, Serialize)]
struct Pool {
    open: usize,
    idle: usize,
    connecting: usize,
    in_use: usize,
    waiting: usize,
    opened_total: u64,
    reused_total: u64,
    evicted_total: u64,
    expired_total: u64,
    pool_timeouts: u64,
}

impl<'a> Report<'a> {
    pub(crate) fn new(
        transport: &'a str,
        url: &'a str,
        result: &Result<Response, Error>,
        pool: &PoolFigures,
        elapsed: Duration,
    ) -> Self {
        let (ended, reason, attempts) = match result {
            Ok(response) => {
                let status = response.status().as_u16();
                (Ended::Status(status), response.reason(), response.attempts())
            }
            Err(error) => (Ended::Error(error.kind().name()), error.reason(), error.attempts()),
        };
        Self {
            transport,
            url,
            ended,
            reason: reason.map(Reason::name),
            attempts: attempts.iter().map(Attempt::of).collect(),
            pool: Pool::of(pool),
            elapsed_ms: milliseconds(elapsed),
        }
    }
}

impl Attempt {
    fn of(record: &AttemptRecord) -> Self {
        let (outcome, delivery) = match record.outcome {
            Outcome::Response { status, .. } => (Came::Status(status), None),
            Outcome::Failure(failure) => {
                (Came::Failure(failure.kind.name()), Some(failure.delivery.name()))
            }
        };
        Self {
            number: record.number,
            outcome,
            delivery,
            reused: record.reused,
            started_ms: milliseconds(record.started),
            elapsed_ms: milliseconds(record.elapsed),
            wait_ms: record.wait.map(|wait| milliseconds(wait.length)),
            wait_reason: record.wait.map(|wait| wait.cause.name()),
        }
    }
}

impl Pool {
    const fn of(figures: &PoolFigures) -> Self {
        Self {
            open: figures.open,
            idle: figures.idle,
            connecting: figures.connecting,
            in_use: figures.in_use,
            waiting: figures.waiting,
            opened_total: figures.opened_total,
            reused_total: figures.reused_total,
            evicted_total: figures.evicted_total,
            expired_total: figures.expired_total,
            pool_timeouts: figures.pool_timeouts,
        }
    }
}

/// Milliseconds, to the microsecond.
fn milliseconds(length: Duration) -> f64 {
    (length.as_secs_f64() * 1e6).round() / 1e3
}
