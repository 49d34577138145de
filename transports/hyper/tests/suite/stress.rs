//! Many calls at once, some of them dropped, to servers some of whose answers fail: the limits of
//! the pool hold, nothing hangs, and nothing is left.

use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::sync::Arc;

use redial_client::{Client, Error, Response};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Budget, FailureKind};
use redial_hyper::Hyper;
use redial_hyper::pool::Limits;

use crate::common::{draw, ok, quick, timeouts, until, until_log, within};
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![
    the_pool_keeps_its_limits_under_calls_that_fail,
    the_pool_keeps_its_limits_under_calls_that_fail_and_are_dropped,
];

const TASKS: u64 = 40;
const CALLS: u64 = 40;
const LIMITS: Limits = Limits {
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

async fn the_pool_keeps_its_limits_under_calls_that_fail(on: On) {
    let servers = storm(&on, 0).await;
    for server in servers.iter() {
        let peak = server.log().peak_open_connections();
        assert!((1..=4).contains(&peak), "R-P-1: {peak}");
    }
}

async fn the_pool_keeps_its_limits_under_calls_that_fail_and_are_dropped(on: On) {
    // A server that has yet to read what a dropped call sent does not see that its connection is
    // closed, so that here only the client's side is counted.
    storm(&on, 20).await;
}

/// Makes many calls at once and drops so many percent of them.
async fn storm(on: &On, drops: u64) -> Arc<[FaultServer]> {
    let servers: Arc<[_]> = ["alpha", "beta", "gamma"].map(server).into();
    let runtime = on.runtime();
    let sockets = runtime.sockets();
    let client = Client::builder(Hyper::on(runtime))
        .pool(LIMITS)
        .policy(quick().build().unwrap())
        .budget(Budget::UNLIMITED)
        .timeouts(timeouts(Duration::from_secs(20)))
        .build()
        .unwrap();
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| on.spawn(calls(client.clone(), Arc::clone(&servers), task, drops)))
        .collect();
    let over = Arc::new(AtomicBool::new(false));
    let watch = on.spawn(watch(client.clone(), Arc::clone(&over)));
    let mut dropped = 0;
    for task in tasks {
        dropped += task.await;
    }
    assert_eq!(dropped > 0, drops > 0, "{dropped} calls were dropped");
    over.store(true, Ordering::SeqCst);
    watch.await;
    client.close();
    until(|| client.pool().open == 0).await;
    let figures = client.pool();
    assert_eq!((figures.in_use, figures.idle, figures.waiting), (0, 0, 0));
    assert_eq!((sockets.open(), sockets.peak()), (0, 4), "R-P-1");
    for server in servers.iter() {
        until_log(server, |log| log.open_connections() == 0).await;
    }
    servers
}

/// Sees to it that the limits are kept all the time.
async fn watch(client: Client, over: Arc<AtomicBool>) {
    while !over.load(Ordering::SeqCst) {
        let figures = client.pool();
        assert!(figures.open <= 4 && figures.idle <= 2, "{figures:?}");
        sleep(Duration::from_micros(200)).await;
    }
}

/// One task's calls; answers how many of them it dropped.
async fn calls(client: Client, servers: Arc<[FaultServer]>, task: u64, drops: u64) -> u64 {
    let mut seed = task;
    let mut dropped = 0;
    for _ in 0..CALLS {
        let origin = draw(&mut seed) as usize % servers.len();
        let url = servers[origin].url("/");
        let call =
            if draw(&mut seed).is_multiple_of(2) { client.get(url) } else { client.put(url) };
        let call = call.body(vec![b'x'; draw(&mut seed) as usize % 1000]).send();
        if draw(&mut seed) % 100 < drops {
            let patience = Duration::from_micros(draw(&mut seed) % 8000);
            dropped += u64::from(within(patience, call).await.is_none());
        } else {
            judge(origin, call.await);
        }
    }
    dropped
}

/// Every call ends well, or with what the servers do to it.
fn judge(origin: usize, result: Result<Response, Error>) {
    match result {
        Ok(response) if response.status() == 200 => {
            assert_eq!(response.text(), ["alpha", "beta", "gamma"][origin]);
        }
        Ok(response) => assert_eq!(response.status(), 503),
        Err(error) => assert!(
            matches!(
                error.kind(),
                FailureKind::Reset | FailureKind::Closed | FailureKind::Truncated
            ),
            "{error:?}"
        ),
    }
}
