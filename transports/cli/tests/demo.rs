//! The demo shows what its scenarios say, and fails where one does not hold.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::process::{Command, ExitCode, Stdio};

use redial::TransportKind;
use redial_cli::demo::{self, DemoArguments};
use redial_cli::scenarios::{self, Scenario};
use redial_conformance::{Reply, Script};
use redial_engine::Reason;

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
fn a_scenario_that_is_broken_fails_the_demo_over_every_transport() {
    let mut hello = scenarios::all().swap_remove(0);
    assert_eq!(play_over(&TransportKind::ALL, &[hello.clone()]), ExitCode::SUCCESS);
    hello.expected.reason = Some(Reason::BudgetExhausted);
    for kind in TransportKind::ALL {
        assert_eq!(play_over(&[kind], &[hello.clone()]), ExitCode::FAILURE, "{kind}");
    }
    assert_eq!(play_over(&TransportKind::ALL, &[hello]), ExitCode::FAILURE);
}

#[test]
fn a_reader_that_has_gone_away_is_no_trouble() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
    let child = command.arg("demo").stdout(writer).stderr(Stdio::piped()).spawn();
    let output = child.expect("the binary runs").wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.stderr, b"");
}

fn play(scenarios: &[Scenario]) -> ExitCode {
    play_over(&[TransportKind::default()], scenarios)
}

fn play_over(kinds: &[TransportKind], scenarios: &[Scenario]) -> ExitCode {
    let arguments = DemoArguments::over(kinds.iter().copied());
    demo::play(&arguments, scenarios).expect("this machine has a port to give")
}
