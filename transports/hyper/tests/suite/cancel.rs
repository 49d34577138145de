//! Calls that are dropped: nothing more is sent, and the slot is free within a second (R-T-7).

use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use futures_util::future::{Either, select};
use redial_client::Client;
use redial_conformance::{Closing, FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome};
use redial_hyper::Hyper;
use redial_hyper::pool::Limits;

use crate::common::{
    SOON, always, finish, ok, quick, replies, requests, silent, timeouts, until, until_log,
};
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![
    a_call_dropped_while_it_waits_for_the_head_closes_its_connection,
    a_call_dropped_inside_the_body_closes_its_connection,
    a_call_dropped_while_it_uploads_closes_its_connection,
    a_dropped_call_has_closed_its_socket,
    a_call_dropped_while_it_sleeps_sends_nothing_more,
    a_call_dropped_while_it_is_queued_leaves_the_queue,
    a_call_dropped_while_it_connects_frees_its_slot_for_another_origin,
    a_call_dropped_while_it_connects_leaves_its_connection_to_the_next,
    a_connection_that_never_stands_trips_the_connect_timeout,
    a_call_timeout_ends_a_connect_that_never_does,
    a_client_dropped_while_it_connects_gives_up_the_connect,
    a_call_that_ends_before_it_is_sent_keeps_its_connection,
];

/// What R-T-7 allows.
const AT_ONCE: Duration = Duration::from_secs(1);

const ONE: Limits = Limits {
    max_connections: 1,
    max_keepalive_connections: 1,
    keepalive_expiry: Some(Duration::from_secs(30)),
};

/// Makes a call, drops it once the server has seen so many requests, and finds its connection
/// closed and its slot free.
async fn dropped_at_the_server(on: &On, server: FaultServer, upload: usize) {
    let client = on.limited(ONE).build().unwrap();
    let call = on.spawn(client.put(server.url("/")).body(vec![b'x'; upload]).send());
    until_log(&server, |log| log.requests().len() == 1).await;
    sleep(Duration::from_millis(50)).await;
    drop(call);
    let closed = until_log(&server, |log| log.open_connections() == 0).await;
    let freed = until(|| client.pool().open == 0).await;
    assert!(closed + freed < AT_ONCE, "{closed:?}, {freed:?}");
    assert_eq!(server.log().requests().len(), 1);
}

async fn a_call_dropped_while_it_waits_for_the_head_closes_its_connection(on: On) {
    dropped_at_the_server(&on, silent(), 0).await;
}

async fn a_call_dropped_inside_the_body_closes_its_connection(on: On) {
    let start = Reply::status(200).header("content-length", "10").body("four").raw();
    dropped_at_the_server(&on, always(vec![start.step(), Step::AwaitClose { within: SOON }]), 0)
        .await;
    // One that never pauses must not starve whoever wants it to end.
    let endless = Reply::status(200).header("content-length", "1000000000000").raw();
    let flood = Step::Flood { bytes: vec![b'x'; 100_000], at_most: usize::MAX };
    dropped_at_the_server(&on, always(vec![endless.step(), flood]), 0).await;
}

async fn a_call_dropped_while_it_uploads_closes_its_connection(on: On) {
    let steps = vec![Step::ReadHead, Step::AwaitClose { within: SOON }];
    let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
    dropped_at_the_server(&on, server, 100_000_000).await;
    let steps = vec![Step::ReadHead, Step::Stall { at_most: SOON }];
    let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
    let client = on.limited(ONE).build().unwrap();
    let call = on.spawn(client.put(server.url("/")).body(vec![b'x'; 16_000_000]).send());
    until_log(&server, |log| log.requests().len() == 1).await;
    drop(call);
    assert!(until(|| client.pool().open == 0).await < AT_ONCE);
}

async fn a_dropped_call_has_closed_its_socket(on: On) {
    let (server, runtime) = (silent(), on.runtime());
    let client = Client::builder(Hyper::on(runtime.clone())).build().unwrap();
    let call = Box::pin(client.get(server.url("/")).send());
    let arrived = Box::pin(until_log(&server, |log| log.requests().len() == 1));
    let Either::Right((_, call)) = select(call, arrived).await else { panic!("nobody answers") };
    drop(call);
    assert_eq!((runtime.sockets().open(), client.pool().open), (0, 0), "when the drop returns");
}

async fn a_call_dropped_while_it_sleeps_sends_nothing_more(on: On) {
    let server = replies([Reply::status(503).header("retry-after", "1")]);
    let client = on.client();
    let call = on.spawn(client.get(server.url("/")).send());
    until(|| client.pool().idle == 1).await;
    drop(call);
    sleep(Duration::from_millis(1300)).await;
    assert_eq!(client.pool().in_use, 0);
    assert_eq!(finish(server).await.requests().len(), 1);
}

async fn a_call_dropped_while_it_is_queued_leaves_the_queue(on: On) {
    let steps = vec![Step::Pause(Duration::from_millis(300)), ok().step()];
    let server = requests(vec![steps, vec![ok().step()]]);
    let client = on.limited(ONE).build().unwrap();
    let first = on.spawn(client.get(server.url("/1")).send());
    until(|| client.pool().in_use == 1).await;
    let second = on.spawn(client.get(server.url("/2")).send());
    until(|| client.pool().waiting == 1).await;
    let third = on.spawn(client.get(server.url("/3")).send());
    until(|| client.pool().waiting == 2).await;
    drop(second);
    assert!(until(|| client.pool().waiting == 1).await < AT_ONCE);
    for call in [first, third] {
        assert_eq!(call.await.unwrap().status(), 200);
    }
    let log = finish(server).await;
    let targets: Vec<_> = log.requests().iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/1", "/3"]);
}

/// A client to which connecting to this server takes so long, and which tries once.
fn slow(on: &On, server: &FaultServer, delay: Duration) -> Client {
    let runtime = on.runtime().slow(server.address(), delay);
    let builder = Client::builder(Hyper::on(runtime)).pool(ONE);
    builder.policy(quick().max_attempts(1).build().unwrap()).build().unwrap()
}

/// Longer than any of these tests waits.
const NEVER: Duration = Duration::from_secs(3600);

async fn a_call_dropped_while_it_connects_frees_its_slot_for_another_origin(on: On) {
    let (stuck, other) = (replies([]), replies([ok()]));
    let client = slow(&on, &stuck, NEVER);
    let call = on.spawn(client.get(stuck.url("/")).send());
    until(|| client.pool().connecting == 1).await;
    drop(call);
    let began = Instant::now();
    let response = client.get(other.url("/")).send().await.unwrap();
    assert_eq!(response.status(), 200);
    assert!(began.elapsed() < AT_ONCE);
    finish(other).await;
}

async fn a_call_dropped_while_it_connects_leaves_its_connection_to_the_next(on: On) {
    let server = replies([ok()]);
    let client = slow(&on, &server, Duration::from_millis(200));
    let call = on.spawn(client.get(server.url("/1")).send());
    until(|| client.pool().connecting == 1).await;
    drop(call);
    assert_eq!(client.get(server.url("/2")).send().await.unwrap().status(), 200);
    let log = finish(server).await;
    assert_eq!((log.connections().len(), log.requests()[0].target.as_str()), (1, "/2"));
}

async fn a_connection_that_never_stands_trips_the_connect_timeout(on: On) {
    let server = replies([]);
    let client = slow(&on, &server, NEVER);
    let mut limits = timeouts(SOON);
    limits.connect = Duration::from_millis(200);
    // The pool timeout is for the queue, not for the connect that comes after it.
    limits.pool = Duration::from_millis(50);
    let began = Instant::now();
    let error = client.get(server.url("/")).timeouts(limits).send().await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(200));
    let outcome = error.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::ConnectTimeout, Delivery::Unsent));
    until(|| client.pool().open == 0).await;
}

async fn a_call_timeout_ends_a_connect_that_never_does(on: On) {
    let server = replies([]);
    let client = slow(&on, &server, NEVER);
    let call = client.get(server.url("/")).timeout(Duration::from_millis(200));
    let error = call.send().await.unwrap_err();
    let outcome = error.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::Deadline, Delivery::Unsent));
}

async fn a_client_dropped_while_it_connects_gives_up_the_connect(on: On) {
    let server = FaultServer::start(Script::connections(vec![]).otherwise(vec![])).unwrap();
    let client = slow(&on, &server, Duration::from_millis(200));
    let call = on.spawn(client.get(server.url("/")).send());
    until(|| client.pool().connecting == 1).await;
    drop(call);
    drop(client);
    sleep(Duration::from_millis(500)).await;
    let log = finish(server).await;
    let left = log.connections().iter().find(|one| one.closed != Some(Closing::ByPeer));
    assert_eq!(left, None);
    assert_eq!(log.connections().len(), 0, "nobody waits for it");
}

/// With another under way, the reactor is asked of an idle connection first, which may take long.
async fn a_call_that_ends_before_it_is_sent_keeps_its_connection(on: On) {
    let server = requests(vec![
        vec![Step::Pause(Duration::from_secs(1)), ok().step()],
        vec![Step::AwaitClose { within: SOON }],
        vec![ok().step()],
    ]);
    let turn = Arc::new(Mutex::new(SOON));
    let runtime = on.runtime().taking_turns_of(&turn);
    let client = Client::builder(Hyper::on(runtime)).build().unwrap();
    let first = on.spawn(client.get(server.url("/first")).send());
    until(|| client.pool().in_use == 1).await;
    let slow = on.spawn(client.get(server.url("/slow")).send());
    until(|| client.pool().opened_total == 2).await;
    assert_eq!(first.await.unwrap().status(), 200);
    until(|| client.pool().idle == 1).await;

    let dropped = on.spawn(client.get(server.url("/dropped")).send());
    until(|| client.pool().in_use == 2).await;
    drop(dropped);
    assert!(until(|| client.pool().idle == 1).await < AT_ONCE);

    *turn.lock().unwrap() = Duration::from_millis(300);
    let late = client.get(server.url("/late")).timeout(Duration::from_millis(50)).send().await;
    assert_eq!(late.unwrap_err().kind(), FailureKind::Deadline, "R-T-5");
    assert_eq!((client.pool().idle, client.pool().opened_total), (1, 2));

    assert_eq!(client.get(server.url("/last")).send().await.unwrap().status(), 200);
    assert_eq!(client.pool().opened_total, 2, "it went over the same connection");
    drop(slow);
    let log = finish(server).await;
    let mut targets: Vec<_> = log.requests().iter().map(|request| &*request.target).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["/first", "/last", "/slow"]);
}
