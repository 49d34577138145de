//! Runs in which something was wrong once, each as the line that was printed then.
#![allow(clippy::panic, reason = "a test fails by panicking")]

use redial_sim::{Scenario, Simulation};

/// What was wrong, and the run that showed it.
const CORPUS: [(&str, &str); 1] = [(
    "a request that waited to be opened as a stream when the server went away was called invalid",
    "seed=0x9cb level=http2 attempts=4 backoff=10..600 jitter=decorrelated connections=4/4 \
     latency=40 call=0:get call=800:post call=800:get call=820:post fault=2.1:go_away",
)];

#[test]
fn what_was_wrong_once_is_right() {
    for (what, line) in CORPUS {
        let scenario: Scenario = line.parse().unwrap_or_else(|why| panic!("{why}: {line}"));
        let report = Simulation::new(&scenario).run();
        assert_eq!(report.violation, None, "{what}");
    }
}
