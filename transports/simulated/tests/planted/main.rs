//! Wrong clients and transports, each of which the referee must catch, and shrink to at most three
//! faults.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::wildcard_enum_match_arm, reason = "each fault changes one thing and no other")]

mod policies;
mod transports;

use core::time::Duration;

use http::Method;
use redial_client::{ClientBuilder, Timeouts, Transport};
use redial_engine::{Budget, Replay, ReplayRules};
use redial_sim::{
    BudgetPlan, Finding, Level, Report, Scenario, Search, Seed, Simulation, VirtualTime,
};

use self::policies::{How, Wrong};
use self::transports::{Bad, Front};

/// In how many seeds a fault may hide.
const SEEDS: u64 = 20_000;

/// Searches for a seed that shows a fault, and shrinks it.
fn find(run: &dyn Fn(Simulation<'_>) -> Report) -> Finding {
    let search = Search::with((0..SEEDS).map(Seed), Level::Messages, run);
    search.finding.unwrap_or_else(|| panic!("not found in {SEEDS} seeds"))
}

fn check(name: &str, run: &dyn Fn(Simulation<'_>) -> Report) {
    let found = find(run);
    let faults = found.scenario.faults.len();
    assert!(faults <= 3, "{name} needs {faults} faults:\n{found}");
    // The line that is printed says it all.
    let line: Scenario = found.scenario.to_string().parse().unwrap();
    assert_eq!(run(Simulation::new(&line)).violation, Some(found.violation), "{name}");
    // Without what was planted nothing is wrong.
    assert_eq!(Simulation::new(&line).run().violation, None, "{name}");
}

#[test]
fn every_wrong_policy_is_caught() {
    for how in How::ALL {
        check(&format!("{how:?}"), &|simulation| {
            let policy = Wrong { inner: simulation.scenario().policy.policy().unwrap(), how };
            let tamper = |client: ClientBuilder| client.policy(policy);
            simulation.tamper_with_client(&tamper).run()
        });
    }
}

#[test]
fn every_bad_transport_is_caught() {
    for bad in Bad::ALL {
        check(&format!("{bad:?}"), &|simulation| {
            let front = |inner: Box<dyn Transport>, time: VirtualTime| -> Box<dyn Transport> {
                Box::new(Front { inner, bad, time })
            };
            simulation.tamper_with_transport(&front).run()
        });
    }
}

#[test]
fn every_wrong_client_is_caught() {
    let posts = |client: ClientBuilder| client.replay(ReplayRules::default().repeat(Method::POST));
    let others =
        |client: ClientBuilder| client.replay(ReplayRules::default().others(Replay::IfUnsent));
    let puts =
        |client: ClientBuilder| client.replay(ReplayRules::default().never_repeat(&Method::PUT));
    let no_budget = |client: ClientBuilder| client.budget(Budget::UNLIMITED);
    let small_answers = |client: ClientBuilder| client.max_response_bytes(10);
    let seed = |client: ClientBuilder| client.seed(1);
    let impatient = |client: ClientBuilder| {
        let mut timeouts = Timeouts::DEFAULT;
        timeouts.read = Duration::from_millis(5);
        client.timeouts(timeouts)
    };
    type Tamper<'a> = &'a dyn Fn(ClientBuilder) -> ClientBuilder;
    let rows: [(&str, Tamper<'_>); 7] = [
        ("POST repeated", &posts),
        ("POST repeated where unsent", &others),
        ("PUT never repeated", &puts),
        ("no budget", &no_budget),
        ("small answers only", &small_answers),
        ("a constant seed", &seed),
        ("impatient", &impatient),
    ];
    for (name, tamper) in rows {
        check(name, &|simulation| simulation.tamper_with_client(tamper).run());
    }
}

#[test]
fn a_deposit_that_is_too_large_is_caught() {
    check("double deposit", &|simulation| {
        let generous = simulation.scenario().budget.map(|mut plan| {
            if let BudgetPlan::Tokens { deposit, .. } = &mut plan {
                *deposit = *deposit * 2 + 1;
            }
            plan.budget().unwrap()
        });
        let tamper = |client: ClientBuilder| client.budget(generous.unwrap_or(Budget::UNLIMITED));
        simulation.tamper_with_client(&tamper).run()
    });
}
