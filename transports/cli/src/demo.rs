//! `redial demo`: an origin of its own that misbehaves, and the real client calling it.

use core::time::Duration;
use std::process::ExitCode;
use std::time::Instant;

use redial::{Client, ClientBuilder, Error, Response, TransportKind};
use redial_conformance::FaultServer;
use redial_engine::{Backoff, Outcome, StandardPolicy};

pub use crate::arguments::DemoArguments;
use crate::scenarios::{self, Came, Expected, Scenario};
use crate::streams::say;
use crate::transports::with_transport;
use crate::{Failure, in_one_line, timeline};

/// The base of the demo's backoff: short, so that watching it is no waste of time.
const BASE: Duration = Duration::from_millis(200);

/// Plays all scenarios, and answers the exit code.
///
/// # Errors
///
/// [`Failure`] where this machine stands in the way: no port, no runtime, no room for the output.
pub fn command(arguments: &DemoArguments) -> Result<ExitCode, Failure> {
    play(arguments, &scenarios::all())
}

/// Plays these scenarios, and answers the exit code: 0 where every call ends as its scenario says,
/// else 1.
///
/// # Errors
///
/// [`Failure`] where this machine stands in the way: no port, no runtime, no room for the output.
pub fn play(arguments: &DemoArguments, scenarios: &[Scenario]) -> Result<ExitCode, Failure> {
    let mut passed = true;
    for kind in &arguments.transport.0 {
        if arguments.transport.0.len() > 1 {
            say(format_args!("=== {kind}\n\n"))?;
        }
        passed &= play_on(*kind, scenarios)?;
    }
    Ok(if passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Plays these scenarios over one transport; whether every call ends as it should.
fn play_on(kind: TransportKind, scenarios: &[Scenario]) -> Result<bool, Failure> {
    let wrong = with_transport(kind, async |builder: ClientBuilder| {
        let client = builder.policy(policy()?).build();
        let client = client.map_err(|error| Failure::trouble(in_one_line(&error)))?;
        let mut wrong = 0_usize;
        for (number, scenario) in scenarios.iter().enumerate() {
            say(format_args!("{}. An origin that {}\n", number + 1, scenario.title))?;
            if let Err(difference) = call(&client, scenario).await? {
                say(format_args!("  NOT AS EXPECTED: {difference}\n"))?;
                wrong += 1;
            }
            say(format_args!("\n"))?;
        }
        Ok(wrong)
    })?;
    let all = scenarios.len();
    say(format_args!("{} of {all} calls ended as they should\n", all - wrong))?;
    Ok(wrong == 0)
}

fn policy() -> Result<StandardPolicy, Failure> {
    let policy = StandardPolicy::builder().backoff(Backoff::exponential(BASE)).build();
    policy.map_err(|error| Failure::trouble(in_one_line(&error)))
}

/// Makes a scenario's call and shows it; `Err` in `Ok` says how it ended otherwise than it should.
async fn call(client: &Client, scenario: &Scenario) -> Result<Result<(), String>, Failure> {
    let origin = FaultServer::start(scenario.origin.clone())
        .map_err(|error| Failure::trouble(format!("no port for the demo's origin: {error}")))?;
    let began = Instant::now();
    let result = client.call(scenario.method.clone(), origin.url("/")).send().await;
    say(format_args!("{}", timeline::draw(&result, began.elapsed())))?;
    let unplayed = origin.finish().err().map(|unfinished| in_one_line(&unfinished));
    Ok(compare(&scenario.expected, &seen(&result)).and(unplayed.map_or(Ok(()), Err)))
}

/// What a call came to, in the terms of a scenario.
fn seen(result: &Result<Response, Error>) -> Expected {
    let (records, reason) = match result {
        Ok(response) => (response.attempts(), response.reason()),
        Err(error) => (error.attempts(), error.reason()),
    };
    let attempts = records
        .iter()
        .map(|record| match record.outcome {
            Outcome::Response { status, .. } => Came::Status(status),
            Outcome::Failure(failure) => Came::Failure(failure.kind),
        })
        .collect();
    let waits = records.iter().filter_map(|record| record.wait);
    Expected { attempts, waits: waits.map(|wait| (wait.cause, wait.length)).collect(), reason }
}

fn compare(expected: &Expected, seen: &Expected) -> Result<(), String> {
    let same_waits = expected.waits.len() == seen.waits.len()
        && expected
            .waits
            .iter()
            .zip(&seen.waits)
            .all(|((cause, least), (seen, length))| cause == seen && length >= least);
    if expected.attempts == seen.attempts && expected.reason == seen.reason && same_waits {
        Ok(())
    } else {
        Err(format!("expected {expected:?}, saw {seen:?}"))
    }
}

#[cfg(test)]
mod tests {
    use redial_engine::{PauseCause, Reason};

    use super::*;

    /// Every way in which a call can come to something else than it should.
    const BREAKS: [fn(&mut Expected); 6] = [
        |expected| expected.attempts.clear(),
        |expected| expected.attempts.push(Came::Status(200)),
        |expected| {
            expected.reason = match expected.reason {
                None => Some(Reason::AttemptsExhausted),
                Some(_) => None,
            }
        },
        |expected| expected.waits.push((PauseCause::Backoff, Duration::ZERO)),
        |expected| {
            for (cause, _) in &mut expected.waits {
                let backoff = *cause == PauseCause::Backoff;
                *cause = if backoff { PauseCause::ServerHint } else { PauseCause::Backoff };
            }
        },
        |expected| {
            for (_, least) in &mut expected.waits {
                *least += Duration::from_millis(1);
            }
        },
    ];

    #[test]
    fn every_expectation_is_compared() {
        for Scenario { title, expected: seen, .. } in scenarios::all() {
            assert_eq!(compare(&seen, &seen), Ok(()), "{title}");
            for (number, change) in BREAKS.iter().enumerate() {
                let mut expected = seen.clone();
                change(&mut expected);
                let same = expected == seen;
                assert_eq!(compare(&expected, &seen).is_ok(), same, "{title}, {number}");
            }
        }
    }

    #[test]
    fn a_wait_may_be_longer_than_it_has_to_be() {
        let wait = |millis| Expected {
            attempts: vec![Came::Status(503), Came::Status(200)],
            waits: vec![(PauseCause::Backoff, Duration::from_millis(millis))],
            reason: None,
        };
        assert_eq!(compare(&wait(160), &wait(200)), Ok(()));
        assert!(compare(&wait(200), &wait(160)).is_err());
    }
}
