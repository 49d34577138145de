//! Many calls at once, some of them dropped, to servers some of whose answers fail: the limits of
//! the pool hold, nothing hangs, and nothing is left.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::sync::Arc;
use std::thread;

use common::{block_on, client_of, limited, ok, timeouts, until};
use http::Method;
use redial_client::{Client, PoolLimits, Transport, race};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Budget, FailureKind};
use redial_isahc::IsahcTransport;

const THREADS: u64 = 24;
const CALLS: u64 = 40;
const LIMITS: PoolLimits = PoolLimits {
    max_connections: 4,
    max_keepalive_connections: 2,
    keepalive_expiry: Some(Duration::from_millis(20)),
};

/// A server whose good answers all have this body, and that fails every seventh request.
fn server(body: &str) -> FaultServer {
    let pause = Step::Pause(Duration::from_millis(3));
    let good = ok().body(body);
    let answers = [
        vec![good.step()],
        vec![good.clone().chunked(3).step()],
        vec![pause.clone(), good.step()],
        vec![Step::Write(good.head()), pause.clone(), Step::Write(body.into())],
        vec![Reply::status(503).body("busy").step()],
        vec![good.clone().header("connection", "close").step(), Step::Close],
    ];
    let cut = Reply::status(200).header("content-length", "100").body(body).raw();
    let failures = [
        vec![Step::Reset],
        vec![Step::Close],
        vec![cut.step(), Step::Close],
        vec![pause, Step::CloseUnread],
    ];
    let lists = (1..2000_usize).map(|number| match number % 7 {
        0 => failures[number / 7 % failures.len()].clone(),
        _ => answers[number % answers.len()].clone(),
    });
    let script = Script::requests(lists.collect()).otherwise(vec![good.step()]);
    FaultServer::start(script).unwrap()
}

/// Draws from a fixed sequence of its own (splitmix64).
fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[test]
fn the_pool_keeps_its_limits_under_calls_that_fail() {
    let servers = storm(0);
    for server in servers.iter() {
        let peak = server.log().peak_open_connections();
        assert!((1..=4).contains(&peak), "R-P-1: {peak}");
    }
}

#[test]
fn nothing_hangs_and_nothing_is_left_where_calls_are_dropped() {
    storm(20);
}

/// Makes many calls at once and drops so many percent of them.
fn storm(drops: u64) -> Arc<[FaultServer]> {
    let servers: Arc<[_]> = ["alpha", "beta", "gamma"].map(server).into();
    let transport = limited(LIMITS);
    let client = client_of(transport.clone())
        .budget(Budget::UNLIMITED)
        .timeouts(timeouts(Duration::from_secs(20)))
        .build()
        .unwrap();
    let threads: Vec<_> = (0..THREADS)
        .map(|number| {
            let (client, transport) = (client.clone(), transport.clone());
            let servers = Arc::clone(&servers);
            thread::spawn(move || calls(&client, &transport, &servers, number, drops))
        })
        .collect();
    while threads.iter().any(|thread| !thread.is_finished()) {
        let figures = client.pool();
        assert!(figures.open <= 4 && figures.idle <= 2, "R-P-1, R-P-2: {figures:?}");
        thread::sleep(Duration::from_millis(1));
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    until(|| client.pool().open == 0);
    until(|| servers.iter().all(|server| server.log().open_connections() == 0));
    let figures = client.pool();
    assert_eq!((figures.in_use, figures.waiting, figures.pool_timeouts), (0, 0, 0));
    servers
}

fn calls(
    client: &Client,
    transport: &IsahcTransport,
    servers: &[FaultServer],
    number: u64,
    drops: u64,
) {
    let names = ["alpha", "beta", "gamma"];
    let mut state = number;
    for _ in 0..CALLS {
        let which = draw(&mut state) as usize % names.len();
        let method = if draw(&mut state).is_multiple_of(3) { Method::POST } else { Method::GET };
        let upload = if draw(&mut state).is_multiple_of(2) { 0 } else { 10_000 };
        let call = client.call(method, servers[which].url("/")).body(vec![b'x'; upload]).send();
        if draw(&mut state) % 100 < drops {
            let length = Duration::from_millis(draw(&mut state) % 8);
            let clock = transport.clock();
            let limit = clock.sleep_until(clock.now().saturating_add(length));
            let _ = block_on(race(call, limit));
            continue;
        }
        match block_on(call) {
            Ok(response) if response.status() == 200 => assert_eq!(response.text(), names[which]),
            Ok(response) => assert_eq!(response.status(), 503),
            // Only what may be repeated is, and even that may fail five times.
            Err(error) => assert!(
                matches!(
                    error.kind(),
                    FailureKind::Reset | FailureKind::Closed | FailureKind::Truncated
                ),
                "{error:?}"
            ),
        }
    }
}
