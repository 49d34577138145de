//! `redial simulate`: figures that a seed fixes, files that programs can read, and plain refusals.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn simulate(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
    command.arg("simulate").args(arguments).output().expect("the binary runs")
}

/// What a play that is well writes to standard output.
fn shown(arguments: &[&str]) -> String {
    let output = simulate(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{errors}");
    assert_eq!(errors, "", "no progress where there is no terminal");
    String::from_utf8(output.stdout).expect("text")
}

/// A file of one test's own.
fn file(name: &str) -> PathBuf {
    let directory = Path::new(env!("CARGO_TARGET_TMPDIR")).join("simulate");
    fs::create_dir_all(&directory).expect("a directory");
    directory.join(name)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a path that is text")
}

#[test]
fn the_table_has_every_contender_and_what_became_of_it() {
    let shown = shown(&["collapse"]);
    for expected in [
        "A spike of 10 s",
        "redial simulate collapse --seed 0x1: 1 client, 80.0 s of virtual time, message level",
        "requests  per call  accepted  success",
        "p50",
        "p99.9",
        "no retry",
        "3 attempts, backoff and jitter",
        "budget exhausted",
        "attempts exhausted",
        "hash ",
    ] {
        assert!(shown.contains(expected), "{expected:?} is not in\n{shown}");
    }
    assert!(!shown.contains('\u{1b}'), "no colours where there is no terminal");
}

#[test]
fn a_seed_fixes_the_figures() {
    let play = |seed| shown(&["outage", "--duration", "40.5", "--seed", seed]);
    let one = play("7");
    assert_eq!(one, play("0x7"));
    assert_ne!(one, play("8"));
    assert!(one.contains("40.5 s of virtual time"), "{one}");
}

#[test]
fn two_plays_are_compared_on_demand() {
    for scenario in [&["ratelimit", "--clients", "50"][..], &["jitter", "--clients", "20"]] {
        let shown = shown(&[scenario, &["--check-determinism"]].concat());
        assert!(shown.ends_with("played twice, and the same in both\n"), "{shown}");
    }
}

#[test]
fn standard_output_is_the_figures_by_a_dash() {
    let output = simulate(&["ratelimit", "--clients", "50", "--check-determinism", "--json", "-"]);
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(json["scenario"], "ratelimit");
    let table = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(table.ends_with("played twice, and the same in both\n"), "{table}");
}

#[test]
fn figures_are_written_as_json() {
    let path = file("figures.json");
    let shown = shown(&["collapse", "--json", text(&path)]);
    let json: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    assert_eq!((&json["scenario"], &json["level"]), (&"collapse".into(), &"message".into()));
    let contenders = json["contenders"].as_array().expect("contenders");
    assert_eq!(contenders.len(), 4);
    for contender in contenders {
        let number = |field: &str| contender[field].as_u64().expect("a number");
        assert_eq!(number("calls"), number("succeeded") + number("failed"));
        assert_eq!(number("requests"), number("calls") + number("retries"));
        let hash = contender["hash"].as_str().expect("a hash");
        assert!(shown.contains(hash), "{hash} is not in\n{shown}");
        let bins = contender["bins"].as_array().expect("bins");
        let calls: u64 = bins.iter().filter_map(|bin| bin["calls"].as_u64()).sum();
        assert_eq!(calls, number("calls"));
    }
    assert!(contenders[3]["gave_up"]["budget_exhausted"].as_u64() > Some(100));
}

#[test]
fn jitter_gives_the_published_table() {
    let path = file("jitter.json");
    let shown = shown(&["jitter", "--clients", "50", "--json", text(&path)]);
    assert!(shown.contains("writes until every client has made its own"), "{shown}");
    assert!(shown.contains("decorrelated jitter"), "{shown}");
    let json: Value =
        serde_json::from_str(&fs::read_to_string(&path).expect("a file")).expect("JSON");
    let points = json["points"].as_array().expect("points");
    let full =
        points.iter().find(|point| point["algorithm"] == "full jitter" && point["clients"] == 50);
    let writes = full.and_then(|point| point["writes"].as_f64()).expect("a number");
    assert!((writes / 332.0 - 1.0).abs() < 0.03, "published: 332; here: {writes}");
}

#[test]
fn plots_are_pictures_with_everything_that_a_reader_needs() {
    let (svg, png) = (file("collapse.svg"), file("collapse.png"));
    for path in [&svg, &png] {
        shown(&["collapse", "--duration", "60", "--plot", text(path)]);
    }
    let svg = fs::read_to_string(svg).expect("a file");
    assert!(svg.starts_with("<svg ") && svg.trim_end().ends_with("</svg>"));
    for expected in [
        "A spike of 10 s",
        "load: requests sent each second",
        "goodput: calls that succeed each second",
        "retries each second",
        "time in seconds",
        "message level",
        "3 attempts, budget of 10 %",
        "spike",
    ] {
        assert!(svg.contains(expected), "{expected:?} is not in the picture");
    }
    let png = fs::read(png).expect("a file");
    assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
    // The header's width and height.
    assert_eq!(
        (&png[16..20], &png[20..24]),
        (&1600_u32.to_be_bytes()[..], &900_u32.to_be_bytes()[..])
    );
    assert_eq!(&png[png.len() - 8..png.len() - 4], b"IEND");
}

#[test]
fn a_storm_has_as_many_clients_as_are_asked_for() {
    let plot = file("storm.svg");
    let shown = shown(&["storm", "--clients", "2000", "--plot", text(&plot)]);
    assert!(shown.contains("2 000 clients"), "{shown}");
    let svg = fs::read_to_string(plot).expect("a file");
    assert!(svg.contains("2 000 clients") && svg.contains("refuses"));
}

#[test]
fn what_is_printed_can_be_changed_and_played() {
    let path = file("own.toml");
    let printed = shown(&["outage", "--print"]).replace("rate = 200.0", "rate = 50.0");
    fs::write(&path, printed).expect("a file");
    let own = shown(&[text(&path), "--duration", "60"]);
    assert!(own.contains("A server that stops for 10 s"), "{own}");
    assert!(own.contains(text(&path)), "{own}");
}

#[test]
fn a_line_is_replayed_and_shown() {
    let line = "level=bytes call=0:get fault=0.1:status_503";
    let replayed = shown(&["--replay", line]);
    assert!(replayed.starts_with("seed=") && replayed.contains("fault=0.1:status_503"));
    assert_eq!(replayed.matches("sent").count(), 2, "{replayed}");
    assert_eq!(replayed, shown(&["--replay", line]), "a line says everything");
}

#[test]
fn what_cannot_be_played_is_refused_in_one_line() {
    let wrong = file("wrong.toml");
    let scenario = shown(&["outage", "--print"]).replace("workers = 1", "wrokers = 1");
    fs::write(&wrong, scenario).expect("a file");
    for (arguments, said) in [
        (&["strom"][..], "choose jitter, storm, collapse, outage, ratelimit, or a TOML file"),
        (&[text(&wrong)], "column 1: unknown field `wrokers`"),
        (&["storm", "--clients", "0"], "clients: choose 1 to 10,000,000"),
        (&["jitter", "--clients", "0"], "choose 1 to 2000 clients"),
        (&["jitter", "--duration", "1"], "jitter has no duration"),
        (&["jitter", "--print"], "no TOML to print"),
        (&["outage", "--duration", "0"], "duration"),
        (&["outage", "--plot", "plot.pdf"], ".svg or .png"),
        (&["outage", "--plot", "-"], ".svg or .png"),
        (&["outage", "--plot", "x.svg", "--json", "x.svg"], "to one file"),
        (&["outage", "--duration", "inf"], "at most a century"),
        (&[text(&wrong), "--print"], "column 1: unknown field `wrokers`"),
        (&["--replay", ""], "no line to replay"),
        (&["--replay", " \t"], "no line to replay"),
        (&["--replay", "fault=1"], "expected call.send:fault"),
        (&["--replay", "call=0:get fault=0.1:status_99"], "a status of 200 to 999"),
        (&["--replay", "level=bytes call=0:get fault=0.1:untrusted"], "messages alone"),
        (&["--replay", "call=0:get attempts=0"], "a valid policy"),
        (&["--replay", "call=0:get connections=0"], "1 or more connections"),
    ] {
        let output = simulate(arguments);
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {errors}");
        assert!(errors.starts_with("redial: ") && errors.contains(said), "{arguments:?}: {errors}");
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        assert!(output.stdout.is_empty());
    }
    for arguments in [
        &["outage", "--seed", "x"][..],
        &["outage", "--duration", "-1"],
        &["outage", "--print", "--clients", "3"],
        &[],
    ] {
        assert_eq!(simulate(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_scenario_that_means_nothing_is_refused_in_one_line() {
    const WHOLE: &str = "title = 't'\nduration = '5s'\nload = { rate = 9.0 }\n\
                         contender = [{ name = 'c' }]\n[server]\n";
    let path = file("nothing.toml");
    for (written, said) in [
        (String::new(), "line 1, column 1: missing field `title`"),
        ("a = ".to_owned() + &"[".repeat(5_000), "line 1, column"),
        (WHOLE.replace("rate = 9.0", "rate = -0.0"), "load: a rate"),
        (WHOLE.replace("rate = 9.0", "every = '0s'"), "load.every"),
        (WHOLE.replace("'t'", "\"a\\nb\""), "title"),
        (WHOLE.to_owned() + "workers = 4294967295", "server.workers"),
        (WHOLE.to_owned() + "service = { uniform = { from = '2s', to = '1s' } }", "uniform"),
    ] {
        fs::write(&path, &written).expect("a file");
        let output = simulate(&[text(&path)]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{written}: {errors}");
        assert!(errors.contains(said), "{written}: {errors}");
        assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
        assert!(output.stdout.is_empty());
    }
}

#[test]
fn a_play_without_end_is_broken_off_and_said_with_how_it_is_seen_again() {
    let path = file("end less.toml");
    let written = "title = 't'\nclients = 5\nduration = '70ms'\nload = { every = '0s' }\n\
                   contender = [{ name = 'a' }, { name = 'b', policy = { max_attempts = 1 } }]\n\
                   [server]\nfails_first = 1\nservice = { fixed = '1s' }";
    fs::write(&path, written).expect("a file");
    let output = simulate(&[text(&path), "--seed", "7"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{errors}");
    assert!(
        errors.contains("b: at 0ns in call 0: ") && errors.contains("in one instant"),
        "{errors}"
    );
    let again = format!(
        "(seed 0x7); again: redial simulate '{}' --seed 0x7 --clients 1 --duration 0.001\n",
        text(&path)
    );
    assert!(errors.ends_with(&again), "{errors}");
    let output = simulate(&[text(&path), "--seed", "0x7", "--clients", "1", "--duration", "0.001"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), errors, "it is as small as it gets");
}

#[test]
fn attempts_that_may_take_no_time_break_no_rule() {
    for (scenario, timeout) in [("collapse", "3s"), ("outage", "1s")] {
        let path = file(&format!("{scenario}-at-once.toml"));
        let written = shown(&[scenario, "--print"]);
        let limit = |timeout| format!("attempt_timeout = \"{timeout}\"");
        let at_once = written.replace(&limit(timeout), &limit("0s"));
        assert_ne!(at_once, written);
        fs::write(&path, at_once).expect("a file");
        shown(&[text(&path), "--clients", "20", "--duration", "5"]);
    }
}

#[cfg(unix)]
#[test]
fn a_file_that_is_standard_outputs_too_has_nothing_else_in_it() {
    for option in ["--json", "--plot"] {
        let path = file(&format!("output{option}.svg"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
        command.args(["simulate", "outage", "--duration", "5", option, text(&path)]);
        let output = command.stdout(fs::File::create(&path).expect("a file")).output();
        let output = output.expect("the binary runs");
        let table = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(0), "{table}");
        assert!(table.contains("outage"), "{table}");
        let written = fs::read_to_string(&path).expect("a file");
        let (begin, end) = if option == "--json" { ("{", "}") } else { ("<svg", "</svg>") };
        assert!(written.starts_with(begin) && written.trim_end().ends_with(end), "{written}");
    }
}

#[cfg(unix)]
#[test]
fn two_names_of_one_file_are_one_file() {
    let (plot, json) = (file("one.svg"), file("one.json"));
    // What an earlier run of this test left is not in the way.
    let _ = fs::remove_file(&json);
    fs::write(&plot, "").expect("a file");
    fs::hard_link(&plot, &json).expect("another name for it");
    let output = simulate(&["outage", "--plot", text(&plot), "--json", text(&json)]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("to one file"), "{errors}");
}

#[test]
fn a_file_that_cannot_be_written_is_said() {
    for option in ["--json", "--plot"] {
        let path = file("missing").join("directory").join("x.svg");
        let output = simulate(&["outage", "--duration", "5", option, text(&path)]);
        let errors = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains("was not written"), "{errors}");
        assert!(output.stdout.is_empty(), "nothing is played for a file that cannot be");
    }
}
