//! The same scripted faults, in virtual time and over real sockets, lead to the same decisions on
//! every transport: what each attempt came to, what followed it, and how the call ended.
//!
//! Times are not compared, nor whether a connection was used before: those are what a simulation
//! has of its own.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use redial_async_std::AsyncStd;
use redial_client::Client;
use redial_conformance::{
    CallSeen, Declaration, EndSeen, Play, PlayError, Scenario, Seen, Subject, check, declared,
    scenarios, simulated, wire_h1, wire_h2,
};
use redial_engine::{Failure, Outcome};
use redial_smol::Smol;
use redial_tokio::Tokio;
use tokio::runtime::Builder;

/// The groups whose scenarios are about what follows what. In the others time, headers or figures
/// are the point.
const GROUPS: [&str; 6] = ["decisions", "failures", "hints", "bodies", "deadlines", "timeouts"];

/// Scenarios in which chance decides, or how much a transport holds back, and where it does.
const BY_CHANCE: [(&str, &str); 3] = [
    ("deadlines/zero-for-an-attempt", "a connection stands at once, or not quite at once"),
    ("bodies/longer-than-said", "something has been sent when the stream fails, or nothing"),
    ("bodies/shorter-than-said", "something has been sent when the stream fails, or nothing"),
];

type Player = fn(Play) -> Result<Seen, PlayError>;

fn tokio(play: Play) -> Result<Seen, PlayError> {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let builder = {
        let _inside = runtime.enter();
        Client::builder(Tokio::current()?)
    };
    Ok(runtime.block_on(play.with(builder))?)
}

fn smol(play: Play) -> Result<Seen, PlayError> {
    Ok(smol::block_on(play.with(Client::builder(Smol::new())))?)
}

fn async_std(play: Play) -> Result<Seen, PlayError> {
    Ok(async_std::task::block_on(play.with(Client::builder(AsyncStd::new())))?)
}

fn isahc(play: Play) -> Result<Seen, PlayError> {
    Ok(smol::block_on(play.with(redial_isahc::client()))?)
}

#[test]
fn every_transport_decides_as_the_simulation_does() {
    let simulated = simulated();
    let transports: [(&str, Player, Vec<Declaration>); 4] = [
        ("tokio", tokio, Vec::new()),
        ("smol", smol, Vec::new()),
        ("async-std", async_std, Vec::new()),
        ("isahc", isahc, declared::isahc()),
    ];
    let simulated = &simulated;
    let wrong: Vec<String> = thread::scope(|scope| {
        let threads: Vec<_> = transports
            .into_iter()
            .map(|(name, player, declared)| {
                scope.spawn(move || differences(name, player, &declared, simulated))
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap_or_default()).collect()
    });
    assert!(
        wrong.is_empty(),
        "{} of {} differ:\n{}",
        wrong.len(),
        simulated.len(),
        wrong.join("\n")
    );
}

/// The scenarios that leave nothing to chance, with what was decided in virtual time.
fn simulated() -> Vec<(Arc<Scenario>, Vec<String>)> {
    let rows = wire_h1().into_iter().chain(wire_h2());
    let races: Vec<_> = rows.filter(|row| row.expect.len() > 1).map(|row| row.id).collect();
    let by_chance = |scenario: &Scenario| {
        let named = BY_CHANCE.iter().any(|(id, _)| *id == scenario.id);
        named || scenario.id.strip_prefix("failures/").is_some_and(|id| races.contains(&id))
    };
    let compared = scenarios().into_iter().filter(|it| GROUPS.contains(&it.group()));
    let mut counts = BTreeMap::new();
    let mut played = Vec::new();
    for scenario in compared.filter(|it| !by_chance(it)).map(Arc::new) {
        let Ok(virtually) = simulated::check(&scenario) else { continue };
        assert!(virtually.wrong.is_empty(), "{}: {:?}", scenario.id, virtually.wrong);
        *counts.entry(scenario.group().to_owned()).or_insert(0) += 1;
        played.push((Arc::clone(&scenario), decisions(&virtually.seen.unwrap_or_default())));
    }
    assert_eq!(counts.len(), GROUPS.len(), "every group is there: {counts:?}");
    assert!(played.len() >= 100, "{counts:?}");
    played
}

/// Where a transport decides otherwise, what it does not declare aside.
fn differences(
    name: &str,
    player: Player,
    declared: &[Declaration],
    simulated: &[(Arc<Scenario>, Vec<String>)],
) -> Vec<String> {
    let seen: Arc<Mutex<Option<Seen>>> = Arc::default();
    let kept = Arc::clone(&seen);
    let subject = Arc::new(Subject::new(name, move |play| {
        let seen = player(play)?;
        *kept.lock().unwrap_or_else(PoisonError::into_inner) = Some(seen.clone());
        Ok(seen)
    }));
    let mut wrong = Vec::new();
    for (scenario, expected) in simulated {
        if declared.iter().any(|declaration| declaration.covers(&scenario.id)) {
            continue;
        }
        let played = check(&subject, scenario);
        let seen = seen.lock().unwrap_or_else(PoisonError::into_inner).take().unwrap_or_default();
        let found = decisions(&seen);
        if found != *expected {
            wrong.push(format!(
                "{name}, {}: {found:#?} instead of {expected:#?} ({:?})",
                scenario.id, played.verdict
            ));
        }
    }
    wrong
}

/// What was decided, call by call.
fn decisions(seen: &Seen) -> Vec<String> {
    seen.calls.iter().map(decided).collect()
}

fn decided(call: &CallSeen) -> String {
    let attempts = call.attempts.iter().map(|attempt| {
        let came = match attempt.outcome {
            Outcome::Response { status, .. } => status.to_string(),
            Outcome::Failure(Failure { kind, delivery, .. }) => {
                format!("{} ({})", kind.name(), delivery.name())
            }
        };
        let wait = attempt.wait.map_or("", |wait| wait.cause.name());
        format!("{}: {came}, {wait}", attempt.number)
    });
    let attempts = attempts.collect::<Vec<_>>().join("; ");
    let end = match &call.end {
        EndSeen::Response { status, .. } => status.to_string(),
        EndSeen::Body(kind) | EndSeen::Error { kind, .. } => kind.name().to_owned(),
        EndSeen::Cancelled | _ => "dropped".to_owned(),
    };
    let reason = call.reason.map_or("", |reason| reason.name());
    format!("{attempts} -> {end} {reason}")
}
