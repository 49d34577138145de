//! Ten thousand calls, each dropped at a random point: nothing of them is left (R-T-7).

#![allow(clippy::print_stdout, reason = "the time is measured, not only bounded")]

use core::time::Duration;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use redial_client::{Client, PoolLimits};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_hyper::Hyper;

use crate::common::{SOON, draw, quick, until};
use crate::on::{On, on_each_runtime, sleep};
use crate::runtime::TestRuntime;

on_each_runtime![ten_thousand_dropped_calls_leave_nothing];

const LANES: u64 = 8;
const CALLS: u64 = 10_000;

const LIMITS: PoolLimits = PoolLimits {
    max_connections: 2,
    max_keepalive_connections: 1,
    keepalive_expiry: Some(Duration::from_secs(30)),
};

/// Answers after a while, in two pieces, and sometimes with what is retried.
fn server() -> FaultServer {
    let pause = || Step::Pause(Duration::from_micros(400));
    let halves = Reply::status(200).header("content-length", "4").raw();
    let answers = [
        vec![pause(), Step::Write(halves.head()), pause(), Step::Write(b"four".to_vec())],
        vec![Reply::status(503).step()],
        vec![pause(), Reply::status(200).body("ok").step()],
    ];
    let lists = (0..4000).map(|number| answers[number % answers.len()].clone()).collect();
    FaultServer::start(Script::requests(lists).otherwise(answers[0].clone())).unwrap()
}

async fn ten_thousand_dropped_calls_leave_nothing(on: On) {
    let lanes = (0..LANES).map(|lane| on.spawn(drop_calls(on.clone(), lane)));
    let mut times: Vec<_> = join_all(lanes).await.into_iter().flatten().collect();
    times.sort_unstable();
    assert!(times.len() > CALLS as usize / 4, "only {} calls were dropped in time", times.len());
    let [median, p99] = [50, 99].map(|percent| times[times.len() * percent / 100]);
    let worst = times[times.len() - 1];
    println!(
        "{:?}: from drop to closed socket, {} times: median {median:?}, p99 {p99:?}, worst {worst:?}",
        on.flavour(),
        times.len(),
    );
    // The worst is printed alone: on a busy machine it is what the machine was busy with.
    assert!(p99 < Duration::from_secs(1), "R-T-7");
}

/// Drops one call after the other; answers how long each took to be gone that was under way.
async fn drop_calls(on: On, lane: u64) -> Vec<Duration> {
    let (server, runtime) = (server(), on.runtime());
    let client = Client::builder(Hyper::on(runtime.clone()))
        .pool(LIMITS)
        .policy(quick().build().unwrap())
        .build()
        .unwrap();
    let (mut seed, mut times) = (lane, Vec::new());
    for _ in 0..CALLS / LANES {
        let mut call = on.spawn(client.put(server.url("/")).body(vec![b'x'; 200]).send());
        sleep(Duration::from_micros(draw(&mut seed) % 2500)).await;
        if (&mut call).now_or_never().is_some() {
            continue;
        }
        let dropped = Instant::now();
        drop(call);
        while !is_at_rest(&client, &runtime) {
            assert!(dropped.elapsed() < SOON, "something is left");
            sleep(Duration::from_micros(100)).await;
        }
        times.push(dropped.elapsed());
    }
    client.close();
    until(|| runtime.sockets().open() == 0 && runtime.tasks().open() == 0).await;
    let figures = client.pool();
    assert_eq!((figures.open, figures.waiting, figures.in_use), (0, 0, 0));
    assert!(runtime.sockets().peak() <= 2, "R-P-1");
    until(|| server.log().open_connections() == 0).await;
    times
}

/// Every socket that is left is an idle connection's.
fn is_at_rest(client: &Client, runtime: &TestRuntime) -> bool {
    let figures = client.pool();
    figures.open == figures.idle && runtime.sockets().open() == figures.idle
}
