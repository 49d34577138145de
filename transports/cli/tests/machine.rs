//! `redial send` on a machine that gives it little: the exit code, and an end, it has all the same.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use core::time::Duration;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::Instant;

use redial_conformance::{FaultServer, Script};
use serde_json::Value;

const TRANSPORTS: [&str; 4] = ["tokio", "smol", "async-std", "isahc"];
const TWINS: [&[&str]; 2] = [&[], &["--blocking"]];

/// glibc reads the aliases of hosts from a file before it asks a name server, and to open a pipe to
/// which nobody writes blocks its thread for ever. Where the system looks names up in another way,
/// it says at once that there is none.
#[test]
fn the_process_ends_with_its_call_whatever_the_resolver_does() {
    for transport in TRANSPORTS {
        for twin in TWINS {
            let (aliases, report) = (Scratch::new("aliases"), Scratch::new("report"));
            let made = Command::new("mkfifo").arg(&aliases.0).status();
            assert!(made.expect("every system has it").success());
            let mut command = Command::new(env!("CARGO_BIN_EXE_redial"));
            command.args(["send", "http://silent/", "--call-timeout", "1", "--report"]);
            command.arg(&report.0).args(["--transport", transport]).args(twin);
            command.env("HOSTALIASES", &aliases.0).stderr(Stdio::null());
            let status = ends_within(&mut command, Duration::from_secs(10));
            assert_eq!(status.code(), Some(3), "{transport} {twin:?}: {status}");
            assert_eq!(report.json()["transport"], transport);
        }
    }
}

/// There is room for one file more than the streams: enough to start a process, and for no socket.
#[test]
fn a_machine_without_descriptors_is_exit_code_3() {
    let origin = FaultServer::start(Script::requests(vec![])).expect("a port");
    for transport in TRANSPORTS {
        for twin in TWINS {
            let mut command = Command::new("sh");
            command.args(["-c", "ulimit -n 4 && exec \"$0\" \"$@\""]);
            command.args([env!("CARGO_BIN_EXE_redial"), "send", &origin.url("/")]);
            command.args(["--max-attempts", "1", "--transport", transport]).args(twin);
            let output = command.stdin(Stdio::null()).output().expect("every system has a shell");
            let said = String::from_utf8_lossy(&output.stderr);
            assert_eq!(output.status.code(), Some(3), "{transport} {twin:?}: {said}");
            assert!(said.lines().any(|line| line.contains("redial: ")), "{transport}: {said}");
        }
    }
    assert_eq!(origin.finish().expect("nothing was to be asked for").connections().len(), 0);
}

/// How a process ends, which is killed where it does not in time.
fn ends_within(command: &mut Command, time: Duration) -> ExitStatus {
    let mut child = command.spawn().expect("the binary runs");
    let began = Instant::now();
    while began.elapsed() < time {
        if let Some(status) = child.try_wait().expect("it is a child") {
            return status;
        }
        thread::sleep(Duration::from_millis(20));
    }
    child.kill().expect("it runs");
    child.wait().expect("it is a child")
}

/// A file of its own, removed at the end.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let path = Path::new(env!("CARGO_TARGET_TMPDIR"));
        let scratch = Self(path.join(format!("machine-{name}-{}", std::process::id())));
        scratch.remove();
        scratch
    }

    fn json(&self) -> Value {
        let text = std::fs::read_to_string(&self.0).expect("a report");
        serde_json::from_str(&text).expect("JSON")
    }

    fn remove(&self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        self.remove();
    }
}
