//! The demo shows what its scenarios say, and fails where one does not hold.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::process::{Command, ExitCode};

use redial_cli::demo::{self, DemoArguments};
use redial_cli::scenarios;
use redial_conformance::{Reply, Script};

fn redial(arguments: &[&str]) -> std::process::Output {
    Command::new(env!("CARGO_BIN_EXE_redial")).args(arguments).output().expect("the binary runs")
}

#[test]
fn every_call_ends_as_its_scenario_says() {
    let output = redial(&["demo"]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let all = scenarios::all().len();
    assert!(shown.contains(&format!("{all} of {all} calls ended as they should")), "{shown}");
    assert!(!shown.contains('\u{1b}'), "no colours where there is no terminal: {shown}");
}

#[test]
fn every_transport_comes_to_the_same_ends() {
    let output = redial(&["demo", "--transport", "all"]);
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    let all = scenarios::all().len();
    let passed = format!("{all} of {all} calls ended as they should");
    assert_eq!(shown.matches(&passed).count(), 4, "{shown}");
    for name in ["tokio", "smol", "async-std", "isahc"] {
        assert!(shown.contains(&format!("=== {name}")), "{shown}");
    }
}

#[test]
fn a_scenario_that_is_broken_fails_the_demo() {
    let busy = scenarios::all().into_iter().find(|scenario| scenario.title.contains("busy"));
    let mut busy = busy.expect("there is a scenario with a busy origin");
    assert_eq!(play(&[busy.clone()]), ExitCode::SUCCESS);

    // An origin that recovers too early: what the call comes to is not what the scenario says.
    busy.origin = Script::replies([Reply::status(200)]);
    assert_eq!(play(&[busy.clone()]), ExitCode::FAILURE);

    // An origin that was to be called once more: the call looks right, but the script was not
    // played to its end.
    busy.origin = Script::replies([Reply::status(503), Reply::status(200), Reply::status(200)]);
    assert_eq!(play(&[busy]), ExitCode::FAILURE);
}

#[test]
fn every_expectation_is_compared() {
    for scenario in scenarios::all() {
        let mut other = scenario.clone();
        other.expected.attempts.clear();
        assert_eq!(play(&[other]), ExitCode::FAILURE, "{}", scenario.title);
    }
}

fn play(scenarios: &[scenarios::Scenario]) -> ExitCode {
    demo::play(&DemoArguments::default(), scenarios).expect("this machine has a port to give")
}
