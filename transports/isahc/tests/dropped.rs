//! Calls, clients and transports that are dropped: the caller is free at once, slots and connections
//! as soon as curl can be made to let go.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::future::Future;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use common::{
    ONE, SOON, always, block_on, client, client_of, finish, limited, ok, replies, silent, spawn,
    timeouts, until,
};
use http::{Method, Request};
use redial_client::{Body, Exchange, Transport};
use redial_conformance::{Closing, FaultServer, Reply, Script, Step};

#[test]
fn a_dropped_client_closes_its_connections() {
    let server = replies([ok()]);
    let client = client();
    block_on(client.get(server.url("/")).send()).unwrap();
    drop(client);
    until(|| server.log().connections()[0].closed == Some(Closing::ByPeer));
    finish(server);
}

/// Begins a request and drops it once the server has seen it; answers how long its slot was held
/// after that.
fn dropped(server: &FaultServer, method: &Method, upload: usize, read: Duration) -> Duration {
    let transport = Arc::new(limited(ONE));
    let body = Body::from(vec![b'x'; upload]);
    let request = Request::builder().method(method).uri(server.url("/")).body(body).unwrap();
    let mut limits = timeouts(SOON);
    limits.read = read;
    let seen = server.log().requests().len();
    let mut sending = transport.send(Exchange::of(request, limits).unwrap());
    // Woken by nobody: the first poll has handed it to curl.
    let first = sending.as_mut().poll(&mut Context::from_waker(Waker::noop()));
    assert!(matches!(first, Poll::Pending));
    until(|| server.log().requests().len() > seen);
    thread::sleep(Duration::from_millis(50));
    let began = Instant::now();
    drop(sending);
    assert!(began.elapsed() < Duration::from_secs(1), "R-T-7: the caller is free at once");
    assert_eq!(transport.pool().waiting, 0);
    until(|| transport.pool().in_use == 0)
}

/// R-T-7 allows a second.
const AT_ONCE: Duration = Duration::from_secs(1);

#[test]
fn a_dropped_request_frees_its_slot_at_once_while_bytes_move() {
    let endless = Reply::status(200).header("content-length", "1000000000000").raw();
    let flood = Step::Flood { bytes: vec![b'x'; 100_000], at_most: usize::MAX };
    let server = always(vec![endless.step(), flood]);
    assert!(dropped(&server, &Method::GET, 0, SOON) < AT_ONCE);
    // A head that trickles: curl looks at each line.
    let line = Step::WriteSlowly {
        bytes: b"x: y\r\n".repeat(1000),
        piece: 6,
        gap: Duration::from_millis(10),
    };
    let server = always(vec![Step::Write(b"HTTP/1.1 200 OK\r\n".to_vec()), line]);
    assert!(dropped(&server, &Method::GET, 0, SOON) < AT_ONCE);
    // An upload that the server takes so slowly that it is not over before it is dropped.
    let mut slowly = vec![Step::ReadHead];
    for _ in 0..1000 {
        slowly.extend([Step::ReadBytes(64 * 1024), Step::Pause(Duration::from_millis(5))]);
    }
    let server = FaultServer::start(Script::connections(vec![slowly])).unwrap();
    assert!(dropped(&server, &Method::POST, 100_000_000, SOON) < AT_ONCE);
}

#[test]
fn a_dropped_request_to_a_silent_server_frees_its_slot_with_the_reaper() {
    let head = Reply::status(200).header("content-length", "1000").raw();
    let begun = [head.head(), b"and no more".to_vec()].concat();
    let silence = Step::AwaitClose { within: SOON };
    // Read timeout and 5 s, and what bytes that moved before are remembered for; and two seconds, as
    // curl looks once in each.
    let cases = [(silent(), 8), (always(vec![Step::Write(begun), silence]), 16)];
    let cases = cases.map(|(server, most)| {
        thread::spawn(move || {
            let freed = dropped(&server, &Method::GET, 0, Duration::from_secs(1));
            assert!(freed < Duration::from_secs(most), "R-T-7: {freed:?}");
            until(|| server.log().open_connections() == 0);
        })
    });
    cases.into_iter().for_each(|case| case.join().unwrap());
}

#[test]
fn a_dropped_waiter_leaves_the_queue() {
    let server = always(vec![Step::Pause(Duration::from_millis(300)), ok().step()]);
    let client = client_of(limited(ONE)).build().unwrap();
    let first = spawn(&client, server.url("/1"), Method::GET);
    until(|| client.pool().in_use == 1);
    let mut second = Box::pin(client.get(server.url("/2")).timeouts(timeouts(SOON)).send());
    assert!(second.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    assert_eq!(client.pool().waiting, 1);
    let third = spawn(&client, server.url("/3"), Method::GET);
    until(|| client.pool().waiting == 2);
    drop(second);
    assert_eq!((first.join().unwrap(), third.join().unwrap()), (200, 200));
    let log = finish(server);
    let targets: Vec<_> = log.requests().iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/1", "/3"]);
}

/// What is known of uploads that are over goes with them, also where others to the same port never
/// leave off.
#[test]
fn an_upload_that_is_over_is_let_go_of_while_others_are_under_way() {
    let stuck = Step::Stall { at_most: SOON };
    let script = Script::requests(vec![vec![stuck]]).otherwise(vec![ok().step()]);
    let server = FaultServer::start(script).unwrap();
    let client = client();
    let under_way = {
        // Nothing is looked at within so long a time.
        let limits = timeouts(Duration::from_secs(3600));
        let call = client.put(server.url("/")).timeouts(limits).body("stuck");
        smol::spawn(call.send())
    };
    until(|| server.log().requests().len() == 1);
    let lent: Arc<[u8]> = Arc::from(*b"lent");
    for _ in 0..10 {
        let body = Bytes::from_owner(Arc::clone(&lent));
        block_on(client.put(server.url("/")).body(body).send()).unwrap();
    }
    until(|| Arc::strong_count(&lent) == 1);
    assert!(!under_way.is_finished());
}

/// Whoever drops what, and in which order, no thread waits for itself.
#[test]
fn a_transport_may_be_dropped_before_what_it_sends() {
    for method in [Method::GET, Method::POST] {
        let server = always(vec![Step::Pause(Duration::from_millis(100)), ok().step()]);
        for _ in 0..20 {
            let client = client();
            let mut call = Box::pin(client.call(method.clone(), server.url("/")).send());
            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            drop(client);
            drop(call);
        }
        until(|| server.log().open_connections() == 0);
    }
}
