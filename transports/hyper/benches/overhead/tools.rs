//! The tools that count.

use std::process::{Command, Output};

use crate::load::Load;

/// How long the two runs are whose difference counts.
const SHORT: usize = 640;
const LONG: usize = 2560;

/// What counts, and what it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tool {
    /// Instructions in user space, by callgrind.
    Instructions,
    /// Heap allocations of the process, by memcheck.
    Allocations,
    /// System calls of the process, by strace.
    SystemCalls,
}

impl Tool {
    /// The count for each request; `None` where the tool is missing.
    pub(crate) fn per_request(self, load: &Load) -> Option<f64> {
        let (short, long) = (self.count(load, SHORT)?, self.count(load, LONG)?);
        Some((long - short) / (LONG - SHORT) as f64)
    }

    fn count(self, load: &Load, requests: usize) -> Option<f64> {
        let mut command = match self {
            Self::Instructions => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=callgrind", "--callgrind-out-file=/dev/null"]);
                command
            }
            Self::Allocations => {
                let mut command = Command::new("valgrind");
                command.args(["--tool=memcheck", "--leak-check=no", "--undef-value-errors=no"]);
                command
            }
            Self::SystemCalls => {
                let mut command = Command::new("strace");
                command.args(["-f", "-c", "-S", "name"]);
                command
            }
        };
        let command = command.arg(std::env::current_exe().unwrap()).args(load.arguments(requests));
        let output = command.output().ok()?;
        assert!(
            output.status.success(),
            "{command:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        Some(self.read(&output))
    }

    /// The count in the tool's words.
    fn read(self, output: &Output) -> f64 {
        let text = String::from_utf8_lossy(&output.stderr);
        let count = match self {
            Self::Instructions => after(&text, "Collected : "),
            Self::Allocations => after(&text, "total heap usage: "),
            Self::SystemCalls => text
                .lines()
                .find(|line| line.ends_with(" total"))
                .and_then(|line| line.split_whitespace().nth(3)),
        };
        let count = count.unwrap_or_else(|| panic!("no count in: {text}"));
        count.replace(',', "").parse().unwrap()
    }
}

fn after<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    text.split_once(mark)?.1.split_whitespace().next()
}
