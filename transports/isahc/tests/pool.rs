//! Slots and connections: limited, kept, replaced, given up, and closed with the client.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::future::Future;
use core::num::NonZeroU32;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use common::{
    SOON, always, block_on, client, client_of, finish, limited, ok, replies, silent, timeouts,
    until,
};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{
    Body, Client, Exchange, Observer, PoolEvent, PoolEventKind, PoolLimits, Transport,
};
use redial_conformance::{Closing, FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome};
use redial_isahc::IsahcTransport;

const ONE: PoolLimits = PoolLimits {
    max_connections: 1,
    max_keepalive_connections: 1,
    keepalive_expiry: Some(Duration::from_secs(30)),
};

/// Runs a call on a thread of its own.
fn spawn(client: &Client, url: String, method: Method) -> thread::JoinHandle<u16> {
    let client = client.clone();
    thread::spawn(move || {
        let call = client.call(method, url).timeouts(timeouts(SOON));
        block_on(call.send()).unwrap().status().as_u16()
    })
}

#[test]
fn two_hundred_calls_at_once_take_fifty_connections() {
    for methods in
        [[Method::GET, Method::GET], [Method::POST, Method::POST], [Method::GET, Method::POST]]
    {
        let server = always(vec![Step::Pause(Duration::from_millis(20)), ok().step()]);
        let client = client();
        let calls: Vec<_> = (0..200)
            .map(|number| spawn(&client, server.url("/"), methods[number % 2].clone()))
            .collect();
        for call in calls {
            assert_eq!(call.join().unwrap(), 200);
        }
        let peak = server.log().peak_open_connections();
        assert!((20..=50).contains(&peak), "R-P-1: {peak} with {methods:?}");
        let figures = client.pool();
        assert_eq!((figures.in_use, figures.waiting, figures.pool_timeouts), (0, 0, 0));
        assert!(figures.idle <= 20, "R-P-2: {figures:?}");
    }
}

#[test]
fn a_call_beyond_the_limit_fails_with_a_pool_timeout() {
    let server = silent();
    let client = client_of(limited(ONE)).build().unwrap();
    for method in [Method::GET, Method::POST] {
        let first = {
            let client = client.clone();
            let url = server.url("/first");
            thread::spawn(move || {
                let call = client.get(url).timeout(Duration::from_secs(2));
                drop(block_on(call.send()));
            })
        };
        until(|| client.pool().in_use == 1);
        let (began, wait) = (Instant::now(), timeouts(Duration::from_millis(200)));
        let call = client.call(method, server.url("/second")).timeouts(wait);
        let error = block_on(call.max_attempts(NonZeroU32::MIN).send()).unwrap_err();
        assert!(began.elapsed() >= Duration::from_millis(200));
        let outcome = error.attempts()[0].outcome;
        assert_eq!(outcome, Outcome::failure(FailureKind::PoolTimeout, Delivery::Unsent));
        first.join().unwrap();
        until(|| client.pool().in_use == 0);
    }
    assert_eq!((client.pool().pool_timeouts, client.pool().waiting), (2, 0));
    assert!(server.log().requests().iter().all(|request| request.target == "/first"));
}

#[test]
fn waiters_are_served_in_the_order_in_which_they_came() {
    let server = always(vec![Step::Pause(Duration::from_millis(30)), ok().step()]);
    let client = client_of(limited(ONE)).build().unwrap();
    let calls: Vec<_> = (0..6)
        .map(|number| {
            let method = if number % 2 == 0 { Method::GET } else { Method::POST };
            let call = spawn(&client, server.url(&format!("/{number}")), method);
            until(|| {
                let figures = client.pool();
                figures.waiting + figures.in_use + server.log().requests().len() > number
            });
            until(|| client.pool().waiting >= number.min(1) || number == 0);
            thread::sleep(Duration::from_millis(5));
            call
        })
        .collect();
    for call in calls {
        assert_eq!(call.join().unwrap(), 200);
    }
    let log = finish(server);
    let targets: Vec<_> = log.requests().iter().map(|request| request.target.as_str()).collect();
    assert_eq!(targets, ["/0", "/1", "/2", "/3", "/4", "/5"], "R-P-5");
    assert_eq!(log.peak_open_connections(), 1, "R-P-1");
}

#[test]
fn repeatable_requests_share_a_connection_and_others_have_one_each() {
    let cases = [
        (Method::GET, ok(), 1),
        (Method::GET, ok().chunked(1), 1),
        (Method::GET, Reply::status(204), 1),
        (Method::HEAD, Reply::status(200).header("content-length", "5").raw(), 1),
        (Method::PUT, Reply::status(404).body("no"), 1),
        (Method::DELETE, Reply::status(200), 1),
        (Method::POST, ok(), 5),
        (Method::PATCH, ok(), 5),
    ];
    for (method, reply, connections) in cases {
        let server = replies(core::iter::repeat_n(reply, 5));
        let client = client();
        for _ in 0..5 {
            block_on(client.call(method.clone(), server.url("/")).send()).unwrap();
            assert!(client.pool().in_use <= 1);
        }
        let figures = client.pool();
        assert_eq!(figures.opened_total, connections, "R-P-7: {method}");
        assert_eq!(figures.reused_total, 5 - connections, "R-P-7: {method}");
        let log = finish(server);
        assert_eq!(log.connections().len() as u64, connections, "R-P-7: {method}");
        assert_eq!(log.peak_open_connections(), 1);
    }
}

#[test]
fn a_fresh_connection_is_fresh() {
    let server = replies([ok(), ok(), ok()]);
    let transport = IsahcTransport::new().unwrap();
    for (fresh, reused) in [(false, false), (true, false), (false, true)] {
        let request = Request::get(server.url("/")).body(Body::empty()).unwrap();
        let mut exchange = Exchange::of(request, timeouts(SOON)).unwrap();
        exchange.fresh_connection = fresh;
        let answer = block_on(transport.send(exchange)).unwrap();
        assert_eq!(answer.reused, reused);
        block_on(answer.response.into_body().collect()).unwrap();
    }
    assert_eq!(finish(server).connections().len(), 2);
}

#[test]
fn an_idle_connection_expires_without_further_traffic() {
    let server = replies([ok()]);
    let expiry = Some(Duration::from_millis(100));
    let transport = limited(PoolLimits { keepalive_expiry: expiry, ..PoolLimits::DEFAULT });
    let client = client_of(transport).build().unwrap();
    block_on(client.get(server.url("/")).send()).unwrap();
    until(|| server.log().connections()[0].closed == Some(Closing::ByPeer));
    until(|| client.pool().open == 0);
    assert_eq!(client.pool().expired_total, 1, "R-P-3");
    finish(server);
}

#[test]
fn an_idle_connection_makes_room() {
    // For another origin, and for a request that must not use it.
    let servers = [replies([ok(), ok()]), replies([ok(), ok()])];
    let client = client_of(limited(ONE)).build().unwrap();
    for method in [Method::GET, Method::POST] {
        for server in &servers {
            let call = client.call(method.clone(), server.url("/")).timeouts(timeouts(SOON));
            block_on(call.send()).unwrap();
            assert!(client.pool().open <= 1, "R-P-1");
        }
        let open = || servers.iter().map(|server| server.log().open_connections()).sum::<usize>();
        until(|| open() <= 1);
    }
    for server in servers {
        finish(server);
    }
}

#[test]
fn no_connection_is_kept_where_none_may_be() {
    let cases = [
        PoolLimits { max_keepalive_connections: 0, ..ONE },
        PoolLimits { keepalive_expiry: Some(Duration::ZERO), ..ONE },
    ];
    for limits in cases {
        let server = replies([ok(), ok(), ok()]);
        let client = client_of(limited(limits)).build().unwrap();
        for _ in 0..3 {
            block_on(client.get(server.url("/")).send()).unwrap();
        }
        let log = finish(server);
        assert_eq!((log.connections().len(), log.peak_open_connections()), (3, 1));
    }
}

#[test]
fn limits_without_an_end_are_taken() {
    let limits = PoolLimits {
        max_connections: usize::MAX,
        max_keepalive_connections: usize::MAX,
        keepalive_expiry: Some(Duration::MAX),
    };
    let server = replies([ok(), ok(), ok()]);
    let client = client_of(limited(limits)).build().unwrap();
    for method in [Method::GET, Method::POST, Method::GET] {
        let response = block_on(client.call(method, server.url("/")).send()).unwrap();
        assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 1));
    }
    assert_eq!(finish(server).connections().len(), 2);
}

#[test]
fn a_connection_out_of_step_serves_nothing_more() {
    // R-X-3: two framings at once, beside a request that is under way on the same handle.
    let both = ok().header("content-length", "2").chunked(2);
    let slow = vec![Step::Pause(Duration::from_millis(300)), ok().step()];
    let (odd, even) = (replies([both, ok()]), always(slow));
    let client = client();
    let other = spawn(&client, even.url("/"), Method::GET);
    until(|| !even.log().requests().is_empty());
    for _ in 0..2 {
        assert_eq!(block_on(client.get(odd.url("/")).send()).unwrap().text(), "ok");
    }
    assert_eq!(other.join().unwrap(), 200);
    assert_eq!(finish(odd).connections().len(), 2);
}

#[test]
fn an_answer_before_the_upload_has_ended_closes_its_connection() {
    // What would be sent next, the server would take for the rest of the upload.
    for method in [Method::PUT, Method::POST] {
        let early = vec![
            Step::ReadHead,
            Reply::status(413).body("too much").step(),
            Step::AwaitData { within: SOON },
            Step::Stall { at_most: SOON },
        ];
        let script = Script::connections(vec![early, vec![Step::ReadRequest, ok().step()]]);
        let server = FaultServer::start(script).unwrap();
        let client = client_of(limited(ONE)).build().unwrap();
        let upload = client.call(method, server.url("/")).body(vec![b'x'; 16_000_000]);
        assert_eq!(block_on(upload.timeouts(timeouts(SOON)).send()).unwrap().status(), 413);
        let call = client.get(server.url("/")).timeouts(timeouts(SOON));
        assert_eq!(block_on(call.send()).unwrap().status(), 200);
        drop(server);
    }
}

#[test]
fn a_closed_client_keeps_nothing_and_lets_calls_finish() {
    let server = always(vec![Step::Pause(Duration::from_millis(200)), ok().step()]);
    let client = client();
    block_on(client.get(server.url("/")).send()).unwrap();
    let call = spawn(&client, server.url("/"), Method::GET);
    until(|| server.log().requests().len() == 2);
    for _ in 0..2 {
        client.close();
        let error = block_on(client.get(server.url("/")).send()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::ClientClosed);
    }
    assert_eq!(call.join().unwrap(), 200);
    until(|| server.log().open_connections() == 0);
    until(|| client.pool().open == 0);
}

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
    let slowly = Step::ReadBytes(100_000_000);
    let script = Script::connections(vec![vec![Step::ReadHead, slowly]]);
    let server = FaultServer::start(script).unwrap();
    assert!(dropped(&server, &Method::POST, 100_000_000, SOON) < AT_ONCE);
}

#[test]
fn a_dropped_request_to_a_silent_server_frees_its_slot_with_the_reaper() {
    let server = silent();
    let freed = dropped(&server, &Method::GET, 0, Duration::from_secs(1));
    // Read timeout and 5 s, in the whole seconds in which curl looks (and a second to notice).
    assert!(freed < Duration::from_secs(9), "R-T-7: {freed:?}");
    until(|| server.log().open_connections() == 0);
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

/// Notes the names of what it is told.
#[derive(Default)]
struct Notes(Mutex<Vec<&'static str>>);

impl Observer for Notes {
    fn pool(&self, event: &PoolEvent<'_>) {
        let name = match event.kind {
            PoolEventKind::Opened { took } => {
                assert!(took > Duration::ZERO);
                "opened"
            }
            PoolEventKind::Waited { wait } => {
                assert!(wait > Duration::ZERO);
                "waited"
            }
            PoolEventKind::Reused => "reused",
            PoolEventKind::TimedOut => "timed out",
            PoolEventKind::Evicted | PoolEventKind::Expired | PoolEventKind::Closed | _ => {
                "what curl does not tell"
            }
        };
        self.0.lock().unwrap().push(name);
    }
}

#[test]
fn an_observer_is_told_what_curl_tells() {
    // R-O-2.
    let server = always(vec![Step::Pause(Duration::from_millis(100)), ok().step()]);
    let stuck = silent();
    let notes = Arc::new(Notes::default());
    let observer = Arc::clone(&notes) as Arc<dyn Observer>;
    let client = redial_isahc::client().pool(ONE).observer(observer).build().unwrap();
    let first = spawn(&client, server.url("/"), Method::GET);
    until(|| client.pool().in_use == 1);
    assert_eq!(spawn(&client, server.url("/"), Method::GET).join().unwrap(), 200);
    assert_eq!(first.join().unwrap(), 200);
    let mut told = notes.0.lock().unwrap().clone();
    told.sort_unstable();
    assert_eq!(told, ["opened", "reused", "waited"]);

    let call = client.get(stuck.url("/")).timeouts(timeouts(SOON)).timeout(SOON).send();
    let mut call = Box::pin(call);
    assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
    let call = client.get(server.url("/")).timeouts(timeouts(Duration::from_millis(100)));
    block_on(call.max_attempts(NonZeroU32::MIN).send()).unwrap_err();
    assert_eq!(notes.0.lock().unwrap().last(), Some(&"timed out"));
}
