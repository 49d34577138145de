//! `redial conform`: exit codes, the table and the report are a contract.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use std::path::PathBuf;
use std::process::{Command, ExitCode, Output};

use redial_cli::conform::{self, ConformArguments};
use redial_conformance::{Call, Reply, Scenario, Script};
use serde_json::Value;

const COLUMNS: [&str; 7] =
    ["tokio", "tokio-current-thread", "smol", "smol-executor", "async-std", "isahc", "blocking"];

fn redial(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
    command.arg("conform").args(arguments).output().expect("the binary runs")
}

fn shown(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

/// The cells of a line of the table.
fn cells<'a>(table: &'a str, row: &str) -> Vec<&'a str> {
    let line = table.lines().find(|line| line.split_whitespace().next() == Some(row));
    line.expect("the table has the row").split_whitespace().skip(1).collect()
}

#[test]
fn every_transport_is_a_column() {
    let output = redial(&["--filter", "decisions/status-503-retried"]);
    let table = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert_eq!(cells(&table, "scenario"), COLUMNS);
    assert_eq!(cells(&table, "decisions/status-503-retried"), ["passed"; 7]);
    assert_eq!(cells(&table, "passed"), ["1"; 7]);
    assert_eq!(cells(&table, "failed"), ["0"; 7]);
    assert_eq!(cells(&table, "declared"), ["0"; 7]);
    assert!(table.contains("\n7 passed, 0 failed, 0 declared in "), "{table}");
    assert!(output.stderr.is_empty(), "no progress and no colours where there is no terminal");
    assert!(!table.contains('\u{1b}'), "{table}");
}

#[test]
fn one_transport_and_one_requirement_are_chosen() {
    let output = redial(&["--transport", "smol", "--filter", "R-D-1"]);
    let table = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert_eq!(cells(&table, "scenario"), ["smol"]);
    assert_eq!(cells(&table, "decisions/five-attempts"), ["passed"]);
    assert!(!table.contains("status-503"), "{table}");
}

#[test]
fn a_declaration_is_shown_with_its_reason() {
    let output = redial(&["--transport", "isahc", "--filter", "status-104"]);
    let table = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{table}");
    assert_eq!(cells(&table, "decisions/status-104-is-interim"), ["declared"]);
    assert!(
        table.contains("\ndeclared isahc: decisions/status-104-is-interim (R-D-2: "),
        "{table}"
    );
    assert!(table.contains("CURLE_GOT_NOTHING"), "{table}");
}

#[test]
fn scenarios_are_listed_without_being_played() {
    let output = redial(&["--list", "--filter", "decisions/method-"]);
    let list = shown(&output);
    assert_eq!(output.status.code(), Some(0), "{list}");
    assert!(list.lines().count() > 5, "{list}");
    let right = |line: &str| line.starts_with("decisions/method-") && line.contains("R-D-4");
    assert!(list.lines().all(right), "{list}");
}

#[test]
fn the_page_of_what_proves_what_is_written() {
    let output = redial(&["--coverage"]);
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(shown(&output), redial_conformance::coverage());
}

#[test]
fn wrong_usage_is_2_and_says_what_is_wrong() {
    let unknown = redial(&["--transport", "carrier-pigeon"]);
    assert_eq!(unknown.status.code(), Some(2));
    let said = String::from_utf8_lossy(&unknown.stderr).into_owned();
    assert!(COLUMNS.iter().all(|column| said.contains(column)), "{said}");

    let nothing = redial(&["--filter", "no-such-scenario"]);
    assert_eq!(nothing.status.code(), Some(2));
    let said = String::from_utf8_lossy(&nothing.stderr).into_owned();
    assert!(said.contains("no-such-scenario") && said.contains("--list"), "{said}");
}

#[test]
fn the_report_is_written_as_json() {
    let file = Scratch::new("report");
    let path = file.0.to_str().expect("a plain path");
    let output = redial(&["--transport", "isahc", "--filter", "decisions/status-", "--json", path]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let report: Value = file.json();
    let scenarios = report["scenarios"].as_array().expect("a list");
    assert_eq!(report["counts"]["failed"], 0);
    assert_eq!(report["counts"]["declared"], 1);
    assert_eq!(report["counts"]["passed"], scenarios.len() - 1);
    let interim = scenarios.iter().find(|row| row["id"] == "decisions/status-104-is-interim");
    let interim = interim.expect("the scenario");
    assert_eq!(interim["requirements"], serde_json::json!(["R-D-2"]));
    assert!(interim["title"].is_string());
    let result = &interim["results"][0];
    assert_eq!(result["transport"], "isahc");
    assert_eq!(result["result"], "declared");
    assert!(result["reason"].as_str().expect("a reason").contains("curl"));
    // What was seen instead of what the scenario has.
    let seen = result["differences"][0].as_str().expect("a difference");
    assert!(seen.contains("closed (unknown)"), "{seen}");
    assert!(result["elapsed_ms"].as_f64().expect("a time") > 0.0);
}

#[test]
fn standard_output_is_the_reports_by_a_dash() {
    let output =
        redial(&["--transport", "tokio", "--filter", "decisions/status-404", "--json", "-"]);
    assert_eq!(output.status.code(), Some(0), "{}", shown(&output));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(report["counts"]["failed"], 0);
    let table = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(table.contains("decisions/status-404"), "{table}");
}

#[cfg(unix)]
#[test]
fn standard_output_is_the_reports_by_its_own_name_too() {
    for name in [None, Some("/dev/stdout")] {
        let out = Scratch::new("output");
        let path = name.unwrap_or_else(|| out.0.to_str().expect("a plain path"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
        command.args(["conform", "--transport", "tokio", "--filter", "decisions/status-404"]);
        let command = command.args(["--json", path]);
        let output = command.stdout(std::fs::File::create(&out.0).expect("a file")).output();
        let output = output.expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{name:?}");
        assert_eq!(out.json()["counts"]["failed"], 0, "JSON and nothing else");
        let table = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(table.contains("decisions/status-404"), "{table}");
    }
}

#[test]
fn a_file_that_cannot_be_opened_is_2_before_anything_is_played() {
    let output = redial(&["--json", "/nonexistent/directory/report.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(output.stdout.is_empty());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("/nonexistent/directory/report.json"), "{said}");
}

#[test]
fn a_scenario_that_does_not_hold_is_1() {
    let busy = |id| Scenario::new(id, &["R-D-2"], "an origin that is busy once");
    let right = busy("test/busy")
        .origin(Script::replies([503, 200].map(|status| Reply::status(status).body("x"))))
        .call(Call::get("/").comes_to([503, 200]));
    assert_eq!(play(vec![right.clone()]), ExitCode::SUCCESS);

    // It recovers at once: the call does not come to what it must.
    let recovered = busy("test/recovered")
        .origin(Script::replies([Reply::status(200).body("x")]))
        .call(Call::get("/").comes_to([503, 200]));
    assert_eq!(play(vec![right, recovered]), ExitCode::FAILURE);
}

fn play(scenarios: Vec<Scenario>) -> ExitCode {
    conform::play(&ConformArguments::default(), scenarios).expect("this machine has ports to give")
}

/// A file of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let name = format!("redial-conform-{name}-{}.json", std::process::id());
        Self(std::env::temp_dir().join(name))
    }

    fn json(&self) -> Value {
        let text = std::fs::read_to_string(&self.0).expect("a report");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
