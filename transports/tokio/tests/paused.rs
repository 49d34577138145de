//! tokio's paused time: waits and timeouts pass on its clock, not on the machine's (R-T-6).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

use core::time::Duration;

use redial_conformance::{FaultServer, Script, Step};
use redial_engine::FailureKind;
use tokio::time::Instant;

/// Longer than any test should take, on the machine's clock.
const LONG: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn the_waits_between_attempts_pass_on_tokios_clock() {
    let server = FaultServer::start(Script::refused()).unwrap();
    let client = redial_tokio::client().unwrap().build().unwrap();
    let (began, really) = (Instant::now(), std::time::Instant::now());
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.attempts().len(), 5);
    let waited: Duration =
        error.attempts().iter().filter_map(|attempt| attempt.wait).map(|wait| wait.length).sum();
    assert!(waited >= Duration::from_secs(12), "R-B-1: {waited:?}");
    assert!(began.elapsed() >= waited && really.elapsed() < LONG);
}

#[tokio::test(start_paused = true)]
async fn a_read_timeout_passes_on_tokios_clock() {
    let silent = vec![Step::AwaitClose { within: LONG }];
    let server = FaultServer::start(Script::requests(vec![]).otherwise(silent)).unwrap();
    let client = redial_tokio::client().unwrap().build().unwrap();
    let hour = Duration::from_secs(3600);
    let began = Instant::now();
    // Connecting is real, and time does not stand still for it.
    let call = client.post(server.url("/")).connect_timeout(100 * hour).read_timeout(hour);
    let error = call.send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::ReadTimeout);
    assert!(began.elapsed() >= hour);
}
