//! `redial send`: exit codes, streams and the report are a contract.
#![allow(clippy::expect_used, clippy::indexing_slicing, reason = "a test may panic")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use redial_conformance::{
    ErrorCode, FaultServer, Frame, Http2, LastStream, Log, Reply, Script, Step,
};
use serde_json::{Value, json};

/// Runs `redial send` with these arguments and nothing on standard input.
fn send(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
    command.arg("send").args(arguments).stdin(Stdio::null()).output().expect("the binary runs")
}

/// Runs `redial send` against an origin that plays `script`, with a report.
fn against(script: Script, arguments: &[&str]) -> (Output, Value, Log) {
    let origin = FaultServer::start(script).expect("a port");
    let report = Scratch::new();
    let url = origin.url("/path?secret=1");
    let path = report.0.to_str().expect("a plain path").to_owned();
    let mut all = arguments.to_vec();
    all.extend([url.as_str(), "--report", &path]);
    let output = send(&all);
    let log = origin.finish().expect("the script is played to its end");
    (output, report.read(), log)
}

/// A file of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Self {
        use core::sync::atomic::{AtomicU32, Ordering};
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("redial-{}-{}.json", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        Self(std::env::temp_dir().join(name))
    }

    fn read(&self) -> Value {
        let text = std::fs::read_to_string(&self.0).expect("a report");
        serde_json::from_str(&text).expect("JSON")
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

fn text(bytes: &[u8]) -> &str {
    core::str::from_utf8(bytes).expect("text")
}

#[test]
fn the_exit_code_says_how_it_ended() {
    let cases: [(u16, i32); 6] = [(200, 0), (204, 0), (302, 0), (400, 1), (404, 1), (501, 1)];
    for (status, code) in cases {
        let (output, report, _) = against(Script::replies([Reply::status(status)]), &[]);
        assert_eq!(output.status.code(), Some(code), "{status}");
        assert_eq!(report["ended"], json!({ "status": status }));
        assert_eq!(report["reason"], Value::Null);
    }
}

/// R-D-7: that counts as no attempt, and is in the history all the same.
#[test]
fn what_is_sent_again_at_once_is_no_other_attempt() {
    let refuse = Step::Send(vec![Frame::rst_stream(ErrorCode::REFUSED_STREAM)]);
    let leave = Frame::goaway(LastStream::BeforeRequest, ErrorCode::NO_ERROR);
    let begin = [Step::Preface(Http2::new()), Step::ReadRequest, refuse];
    let gone = [Step::ReadRequest, Step::Send(vec![leave])];
    let first = begin.iter().cloned().chain(gone).collect();
    let arguments = ["--http2-prior-knowledge", "--max-attempts", "2"];
    let (output, report, _) = against(Script::connections(vec![first, begin.to_vec()]), &arguments);
    let numbers = report["attempts"].as_array().expect("attempts").iter();
    let numbers: Vec<_> = numbers.map(|attempt| &attempt["number"]).collect();
    assert_eq!(numbers, [1, 2, 2], "{report}");
    let said = text(&output.stderr);
    assert!(said.contains("refused stream after 2 attempts"), "{said}");
    assert!(said.contains("given up after 2 attempts"), "{said}");
}

#[test]
fn a_body_that_is_not_whole_says_so() {
    let whole = "HTTP/1.1 503 Busy\r\ncontent-length: 4\r\n\r\nbusy";
    for (answer, complaints) in [(whole, 0), (whole.trim_end_matches("sy"), 1)] {
        let steps = vec![Step::Write(answer.into()), Step::Close];
        let (output, _, _) = against(Script::requests(vec![steps]), &["--max-attempts", "1"]);
        assert_eq!(output.status.code(), Some(1));
        assert!("busy".starts_with(text(&output.stdout)), "{}", text(&output.stdout));
        let lines = text(&output.stderr).lines().filter(|line| line.starts_with("redial:"));
        assert_eq!(lines.count(), complaints, "{}", text(&output.stderr));
    }
}

#[test]
fn a_server_that_is_not_there_is_one_line_and_exit_code_3() {
    let (output, report, _) = against(Script::refused(), &["--max-attempts", "1"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(report["ended"], json!({ "error": "connect" }));
    assert_eq!(report["reason"], "attempts_exhausted");
    assert_eq!(report["attempts"][0]["delivery"], "unsent");
    let complaints = text(&output.stderr).lines().filter(|line| line.starts_with("redial:"));
    let complaints: Vec<_> = complaints.collect();
    assert_eq!(complaints.len(), 1, "{}", text(&output.stderr));
    assert!(complaints[0].contains("given up after 1 attempt:"), "{}", complaints[0]);
}

#[test]
fn wrong_usage_is_one_line_and_exit_code_2() {
    let report = std::env::temp_dir().join("no-such-folder").join("report.json");
    let report = report.to_str().expect("a plain path");
    let cases: [&[&str]; 29] = [
        &["not a url"],
        &[""],
        &["127.0.0.1:8080"],
        &["localhost:8080/path"],
        &["file:///etc/hosts"],
        &["http://[::1/"],
        &["--report", report, "http://127.0.0.1:1/"],
        &["http://"],
        &["//host/path"],
        &["/path"],
        &["ftp://127.0.0.1/"],
        &["http://user:secret@127.0.0.1/"],
        &["http://127.0.0.1:99999/"],
        &["http://127.0.0.1/\r\nx: y"],
        &["G ET", "http://127.0.0.1/"],
        &["-H", "authorization secret", "http://127.0.0.1/"],
        &["-H", "authori zation: secret", "http://127.0.0.1/"],
        &["-H", "authorization: secret\u{1}", "http://127.0.0.1/"],
        &["-H", "x: a\r\nb: c", "http://127.0.0.1/"],
        &["-H", "x: secret\r\n", "http://127.0.0.1/"],
        &["-H", "x:\n secret", "http://127.0.0.1/"],
        &["-H", "x: secret\u{b}", "http://127.0.0.1/"],
        &["-H", "x\n: secret", "http://127.0.0.1/"],
        &["-H", "x : secret", "http://127.0.0.1/"],
        &["-H", " x: secret", "http://127.0.0.1/"],
        &["--max-attempts", "0", "http://127.0.0.1/"],
        &["--retry-status", "1000", "http://127.0.0.1/"],
        &["-d", "@/no/such/file", "http://127.0.0.1/"],
        &["-d", "@", "http://127.0.0.1/"],
    ];
    for arguments in cases {
        let output = send(arguments);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
        assert!(!complaint.contains("secret") && !complaint.contains("panicked"), "{complaint}");
    }
    for arguments in [&[][..], &["--no-such"]] {
        assert_eq!(send(arguments).status.code(), Some(2), "{arguments:?}");
    }
}

#[test]
fn a_timeout_that_is_no_length_of_time_is_refused_by_its_name() {
    for (value, why) in [("-1", "negative"), ("nan", "not a number"), ("1s", "not a number")] {
        let output = send(&["--read-timeout", value, "http://127.0.0.1/"]);
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{value}: {complaint}");
        assert!(complaint.contains("--read-timeout") && complaint.contains(why), "{complaint}");
    }
}

#[test]
fn a_number_below_zero_is_refused_by_the_name_of_its_option() {
    for (command, option) in [
        ("send", "--max-attempts"),
        ("send", "--retry-status"),
        ("send", "--connect-timeout"),
        ("send", "--read-timeout"),
        ("send", "--write-timeout"),
        ("send", "--pool-timeout"),
        ("send", "--attempt-timeout"),
        ("send", "--call-timeout"),
        ("simulate", "--seed"),
        ("simulate", "--clients"),
        ("simulate", "--duration"),
    ] {
        let mut redial = Command::new(env!("CARGO_BIN_EXE_redial"));
        let output = redial.args([command, option, "-1", "http://127.0.0.1/"]).output();
        let output = output.expect("the binary runs");
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{option}: {complaint}");
        let said = format!("invalid value '-1' for '{option} ");
        assert!(complaint.contains(&said), "{option}: {complaint}");
    }
}

#[test]
fn blanks_around_a_headers_value_are_not_of_it() {
    for line in ["x-mine:here", "x-mine: here", "x-mine: \t here\t "] {
        let (output, _, log) = against(Script::replies([Reply::status(200)]), &["-H", line]);
        assert_eq!(output.status.code(), Some(0), "{line:?}: {}", text(&output.stderr));
        assert_eq!(log.requests()[0].header("x-mine"), Some(b"here".as_slice()), "{line:?}");
    }
}

#[test]
fn a_timeout_can_be_nothing_and_can_be_for_ever() {
    let silent = || Step::AwaitClose { within: Duration::from_secs(10) };
    for (value, code) in [("0", 3), ("0.0000001", 3), ("1e9", 0), ("1e300", 0), ("inf", 0)] {
        // Where the timeout is next to nothing, an answer could still be faster.
        let then = if code == 3 { silent() } else { Reply::status(200).step() };
        let origin = FaultServer::start(Script::connections(vec![vec![Step::ReadHead, then]]));
        let origin = origin.expect("a port");
        let output = send(&["--read-timeout", value, "--max-attempts", "1", &origin.url("/")]);
        assert_eq!(output.status.code(), Some(code), "{value}: {}", text(&output.stderr));
    }
}

#[cfg(unix)]
#[test]
fn what_is_not_utf8_is_refused_in_one_line() {
    use std::ffi::OsStr;
    use std::os::unix::ffi::OsStrExt as _;

    let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
    let output =
        command.arg("send").arg(OsStr::from_bytes(b"http://127.0.0.1/?secret=\xff")).output();
    let output = output.expect("the binary runs");
    let complaint = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complaint}");
    assert_eq!(complaint.lines().count(), 1, "{complaint}");
    assert!(!complaint.contains("secret"), "{complaint}");
}

#[test]
fn a_report_that_cannot_be_written_is_said_before_anything_is_sent() {
    let origin = FaultServer::start(Script::requests(vec![])).expect("a port");
    let folder = std::env::temp_dir();
    let folder = folder.to_str().expect("a plain path");
    let output = send(&["POST", &origin.url("/"), "--report", folder]);
    assert_eq!(output.status.code(), Some(2), "{}", text(&output.stderr));
    let log = origin.finish().expect("nothing was to be asked for");
    assert_eq!(log.connections().len(), 0);
}

#[test]
fn a_report_goes_to_standard_output_by_a_dash() {
    let origin = FaultServer::start(Script::replies([Reply::status(204)])).expect("an origin");
    let output = send(&[&origin.url("/"), "--report", "-"]);
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(report["ended"], json!({ "status": 204 }));
    assert_eq!(output.status.code(), Some(0));
    assert!(!Path::new("-").exists());
}

/// As `redial send URL --report out.json > out.json` does, and `--report /dev/stdout > out.json`.
#[cfg(unix)]
#[test]
fn a_report_to_the_file_of_standard_output_comes_behind_the_body() {
    for name in [None, Some("/dev/stdout")] {
        let out = Scratch::new();
        let file = std::fs::File::create(&out.0).expect("a file");
        let output = with_report(name.map_or(&out.0, Path::new), file.into(), Stdio::piped());
        assert_eq!(output.status.code(), Some(0), "{name:?}: {}", text(&output.stderr));
        let written = std::fs::read_to_string(&out.0).expect("a file");
        let report = written.strip_prefix("here").expect("the body is first");
        let report: Value = serde_json::from_str(report).expect("then comes JSON and nothing else");
        assert_eq!(report["ended"], json!({ "status": 200 }));
    }
}

#[cfg(unix)]
#[test]
fn a_report_to_the_file_of_standard_error_comes_behind_the_timeline() {
    for name in [None, Some("/dev/stderr")] {
        let errors = Scratch::new();
        let file = std::fs::File::create(&errors.0).expect("a file");
        let output = with_report(name.map_or(&errors.0, Path::new), Stdio::piped(), file.into());
        assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "here"), "{name:?}");
        let written = std::fs::read_to_string(&errors.0).expect("a file");
        let (timeline, report) = written.split_once("\n{").expect("the timeline, then JSON");
        assert!(timeline.contains("attempt 1  200 OK"), "{written}");
        let report: Value = serde_json::from_str(&format!("{{{report}")).expect("JSON");
        assert_eq!(report["ended"], json!({ "status": 200 }));
    }
}

#[test]
fn a_report_replaces_a_longer_one() {
    let report = Scratch::new();
    std::fs::write(&report.0, "x".repeat(100_000)).expect("a file");
    let origin = FaultServer::start(Script::replies([Reply::status(200)])).expect("a port");
    let path = report.0.to_str().expect("a plain path");
    let output = send(&[&origin.url("/"), "--report", path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(report.read()["ended"], json!({ "status": 200 }));
}

/// Runs `redial` with these streams against an origin that answers, and says what came of it.
fn with_streams(stdout: Stdio, stderr: Stdio) -> Output {
    answered(&[], stdout, stderr)
}

/// The same, with a report.
#[cfg(unix)]
fn with_report(report: &Path, stdout: Stdio, stderr: Stdio) -> Output {
    answered(&["--report", report.to_str().expect("a plain path")], stdout, stderr)
}

fn answered(arguments: &[&str], stdout: Stdio, stderr: Stdio) -> Output {
    let origin = FaultServer::start(Script::replies([Reply::status(200).body("here")]));
    let origin = origin.expect("a port");
    let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
    let command = command.args(["send", &origin.url("/")]).args(arguments);
    let child = command.stdout(stdout).stderr(stderr).spawn();
    child.expect("the binary runs").wait_with_output().expect("it ends")
}

/// A pipe from which nobody reads any more.
fn unread() -> Stdio {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    writer.into()
}

#[test]
fn a_reader_that_has_gone_away_is_no_trouble() {
    let output = with_streams(unread(), Stdio::piped());
    let timeline = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{timeline}");
    assert!(!timeline.contains("redial:") && !timeline.contains("panicked"), "{timeline}");

    let output = with_streams(Stdio::piped(), unread());
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "here"));

    let output = Command::new(env!("CARGO_BIN_EXE_redial")).arg("--help").stdout(unread()).output();
    assert_eq!(output.expect("the binary runs").status.code(), Some(0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_one_line_and_exit_code_3() {
    let full = || Stdio::from(std::fs::File::create("/dev/full").expect("Linux has one"));
    let output = with_streams(full(), Stdio::piped());
    let complaints = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{complaints}");
    let lines = complaints.lines().filter(|line| line.starts_with("redial: standard output:"));
    assert_eq!(lines.count(), 1, "{complaints}");
    assert!(!complaints.contains("panicked"), "{complaints}");

    // The timeline is for people; where it has no room, the body is still what was asked for.
    let output = with_streams(Stdio::piped(), full());
    assert_eq!((output.status.code(), text(&output.stdout)), (Some(0), "here"));

    for arguments in [&["demo"][..], &["--help"], &["--version"], &["send", "-h"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
        let output = command.args(arguments).stdout(full()).output().expect("the binary runs");
        let complaint = text(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{arguments:?}: {complaint}");
        assert_eq!(complaint.lines().count(), 1, "{arguments:?}: {complaint}");
    }
}

#[test]
fn the_body_goes_to_standard_output_and_the_timeline_to_standard_error() {
    let reply = Reply::status(200).header("x-from", "origin").body("\u{0}\u{1}body");
    let (output, ..) = against(Script::replies([reply.clone()]), &[]);
    assert_eq!(output.stdout, b"\0\x01body");
    assert!(text(&output.stderr).contains("attempt 1  200 OK"), "{}", text(&output.stderr));

    let (output, ..) = against(Script::replies([reply]), &["-i"]);
    let shown = text(&output.stdout);
    assert!(shown.starts_with("HTTP/1.1 200 OK\r\n"), "{shown}");
    assert!(shown.contains("x-from: origin\r\n"), "{shown}");
    assert!(shown.ends_with("\r\n\r\n\u{0}\u{1}body"), "{shown}");
}

#[test]
fn the_report_has_every_attempt() {
    let script = Script::requests(vec![
        vec![Reply::status(429).header("retry-after", "1").step()],
        vec![Step::Reset],
        vec![Reply::status(200).step()],
    ]);
    let (output, report, log) = against(script, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(log.requests().len(), 3);
    assert_eq!(report["transport"], "tokio");
    let attempts = report["attempts"].as_array().expect("a list");
    let column = |name: &str| attempts.iter().map(|row| row[name].clone()).collect::<Vec<_>>();
    assert_eq!(column("number"), [json!(1), json!(2), json!(3)]);
    assert_eq!(column("outcome"), [json!(429), json!("reset"), json!(200)]);
    assert_eq!(column("delivery"), [Value::Null, json!("unknown"), Value::Null]);
    assert_eq!(column("reused"), [json!(false), json!(true), json!(false)]);
    assert_eq!(column("wait_reason"), [json!("server_hint"), json!("backoff"), Value::Null]);
    assert_eq!(attempts[0]["wait_ms"], json!(1000.0));
    // Retry 2 waits 1.6 to 2 s (R-B-1).
    let wait = attempts[1]["wait_ms"].as_f64().expect("a number");
    assert!((1600.0..2000.0).contains(&wait), "{wait}");
    assert_eq!(report["pool"]["opened_total"], 2);
    assert_eq!(report["pool"]["reused_total"], 1);
    let url = report["url"].as_str().expect("text");
    assert!(url.ends_with("/path") && !url.contains("secret"), "{url}");
}

#[test]
fn the_report_has_these_names_and_no_others() {
    let names = |value: &Value| -> Vec<String> {
        value.as_object().expect("an object").keys().cloned().collect()
    };
    let sorted = |mut names: Vec<&'static str>| {
        names.sort_unstable();
        names
    };
    let script = Script::replies([Reply::status(503), Reply::status(200)]);
    let (_, report, _) = against(script, &[]);
    let whole =
        sorted(vec!["transport", "url", "ended", "reason", "attempts", "pool", "elapsed_ms"]);
    assert_eq!(names(&report), whole);
    let attempt = sorted(vec![
        "number",
        "outcome",
        "delivery",
        "reused",
        "started_ms",
        "elapsed_ms",
        "wait_ms",
        "wait_reason",
    ]);
    for record in report["attempts"].as_array().expect("a list") {
        assert_eq!(names(record), attempt);
        assert!(record["started_ms"].is_f64() && record["elapsed_ms"].is_f64(), "{record}");
    }
    assert_eq!(report["attempts"][1]["wait_ms"], Value::Null, "nothing is waited for at the end");
}

#[test]
fn data_can_be_any_bytes_of_a_file_or_of_standard_input() {
    let bytes = b"\x00\xff\r\n not text \xfe";
    let file = Scratch::new();
    std::fs::write(&file.0, bytes).expect("a file");
    let path = format!("@{}", file.0.to_str().expect("a plain path"));
    let (output, _, log) = against(Script::replies([Reply::status(200)]), &["-d", &path]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(log.requests()[0].body, bytes);

    for input in ["-", "@-"] {
        let origin = FaultServer::start(Script::replies([Reply::status(200)])).expect("a port");
        let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
        let file = std::fs::File::open(&file.0).expect("the file");
        let command = command.args(["send", "-d", input, &origin.url("/")]).stdin(file);
        let output = command.output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let log = origin.finish().expect("it was called");
        let request = &log.requests()[0];
        assert_eq!((request.method.as_str(), &*request.body), ("POST", &bytes[..]), "{input}");
    }
}

#[test]
fn data_is_sent_by_post_and_not_repeated() {
    let (output, report, log) =
        against(Script::replies([Reply::status(503)]), &["-d", "a=1", "-H", "x-one: 1"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(report["reason"], "not_repeatable");
    let request = &log.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("POST", "/path?secret=1"));
    assert_eq!(request.body, b"a=1");
    assert_eq!(request.header("x-one"), Some(b"1".as_slice()));
}

#[test]
fn put_data_is_sent_again() {
    let script = Script::replies([Reply::status(503), Reply::status(200)]);
    let (output, _, log) = against(script, &["-d", "body", "PUT"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let bodies: Vec<_> = log.requests().iter().map(|request| request.body.clone()).collect();
    assert_eq!(bodies, [b"body", b"body"]);
}

#[test]
fn a_status_can_be_added_to_those_that_are_retried() {
    let script = Script::replies([Reply::status(425), Reply::status(200)]);
    let (output, ..) = against(script, &["--retry-status", "425"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn what_the_server_never_saw_can_be_repeated_whatever_its_method() {
    let (output, report, _) = against(Script::refused(), &["POST", "--max-attempts", "2"]);
    assert_eq!((output.status.code(), &report["reason"]), (Some(3), &json!("not_repeatable")));
    let arguments = &["POST", "--max-attempts", "2", "--retry-unsent"];
    let (_, report, _) = against(Script::refused(), arguments);
    assert_eq!(report["reason"], "attempts_exhausted");
    let (_, report, _) = against(Script::replies([Reply::status(503)]), arguments);
    assert_eq!(report["reason"], "not_repeatable");
}

#[test]
fn each_timeout_has_its_own_name() {
    let silent = || {
        Script::connections(vec![vec![
            Step::ReadRequest,
            Step::AwaitClose { within: Duration::from_secs(20) },
        ]])
    };
    let cases = [
        ("--read-timeout", "read_timeout", json!("attempts_exhausted")),
        ("--attempt-timeout", "attempt_timeout", json!("attempts_exhausted")),
        ("--call-timeout", "deadline", json!("attempts_exhausted")),
    ];
    for (option, kind, reason) in cases {
        let arguments = &[option, "0.2", "--max-attempts", "1"];
        let (output, report, _) = against(silent(), arguments);
        assert_eq!(output.status.code(), Some(3), "{option}");
        assert_eq!(report["ended"], json!({ "error": kind }), "{option}");
        assert_eq!(report["reason"], reason, "{option}");
    }
    let (_, report, _) = against(silent(), &["--call-timeout", "0.2"]);
    assert_eq!(report["reason"], "deadline_would_pass");
}

#[test]
fn a_call_without_time_sends_nothing() {
    let (output, report, log) = against(Script::requests(vec![]), &["--call-timeout", "0"]);
    assert_eq!(output.status.code(), Some(3));
    assert_eq!(report["ended"], json!({ "error": "deadline" }));
    assert_eq!(report["reason"], "deadline_would_pass");
    assert_eq!((report["attempts"].clone(), log.connections().len()), (json!([]), 0));
}

#[test]
fn every_transport_and_the_blocking_client_make_the_same_call() {
    for transport in ["tokio", "smol", "async-std", "isahc"] {
        for blocking in [&[][..], &["--blocking"]] {
            let server = FaultServer::start(Script::replies([
                Reply::status(429).header("retry-after", "1"),
                Reply::status(200).body("here"),
            ]));
            let server = server.expect("there is a port");
            let url = server.url("/");
            let arguments =
                ["--transport", transport, &url].into_iter().chain(blocking.iter().copied());
            let output = send(&arguments.collect::<Vec<_>>());
            assert_eq!(output.status.code(), Some(0), "{transport}: {}", text(&output.stderr));
            assert_eq!(text(&output.stdout), "here");
            assert!(text(&output.stderr).contains("server"), "{}", text(&output.stderr));
            server.finish().expect("both replies were asked for");
        }
    }
}
