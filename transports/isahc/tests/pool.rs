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
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Instant;

use common::{
    ONE, SOON, always, block_on, client, client_of, finish, limited, ok, replies, silent, spawn,
    timeouts, until,
};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Observer, PoolEvent, PoolEventKind, PoolLimits, Transport};
use redial_conformance::{Closing, FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome};
use redial_isahc::IsahcTransport;

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
        // curl lets go of the last a moment after their ends.
        until(|| client.pool().in_use == 0);
        let figures = client.pool();
        assert_eq!((figures.waiting, figures.pool_timeouts), (0, 0));
        assert!(figures.idle <= 20, "R-P-2: {figures:?}");
    }
}

/// R-P-1, R-T-4 and R-P-5: fifty have a slot, and nobody else waits for longer than the timeout.
#[test]
fn of_two_hundred_calls_to_a_silent_server_fifty_have_a_slot() {
    const WAIT: Duration = Duration::from_millis(300);
    for method in [Method::GET, Method::POST] {
        let server = silent();
        let client = client();
        let calls = (0..200).map(|_| {
            let mut limits = timeouts(Duration::from_secs(1));
            limits.pool = WAIT;
            let call = client.call(method.clone(), server.url("/")).timeouts(limits);
            let call = call.max_attempts(NonZeroU32::MIN).send();
            thread::spawn(move || {
                let began = Instant::now();
                (block_on(call).unwrap_err().attempts()[0].outcome, began.elapsed())
            })
        });
        let calls: Vec<_> = calls.collect();
        let ends: Vec<_> = calls.into_iter().map(|call| call.join().unwrap()).collect();
        let timed_out = Outcome::failure(FailureKind::PoolTimeout, Delivery::Unsent);
        let without: Vec<_> = ends.iter().filter(|(outcome, _)| *outcome == timed_out).collect();
        assert_eq!(without.len(), 150, "R-P-1: {method}");
        assert!(without.iter().all(|(_, took)| *took >= WAIT), "R-T-4");
        let silence = Outcome::failure(FailureKind::ReadTimeout, Delivery::Unknown);
        assert_eq!(ends.iter().filter(|(outcome, _)| *outcome == silence).count(), 50);
        assert_eq!(server.log().peak_open_connections(), 50, "R-P-1: {method}");
        assert_eq!((client.pool().pool_timeouts, client.pool().waiting), (150, 0));
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

/// R-P-3: it does not wait for a moment in which all are idle.
#[test]
fn an_idle_connection_expires_beside_traffic() {
    let busy = always(vec![Step::Pause(Duration::from_millis(20)), ok().step()]);
    let idle = replies([ok()]);
    let expiry = Some(Duration::from_millis(200));
    let transport = limited(PoolLimits { keepalive_expiry: expiry, ..PoolLimits::DEFAULT });
    let client = client_of(transport).build().unwrap();
    let began = Instant::now();
    block_on(client.get(idle.url("/")).send()).unwrap();
    let open = || idle.log().open_connections() > 0;
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                while open() && began.elapsed() < SOON {
                    block_on(client.get(busy.url("/")).send()).unwrap();
                }
            });
        }
    });
    assert!(!open() && began.elapsed() >= Duration::from_millis(200), "R-P-3");
    assert!(client.pool().expired_total >= 1, "R-P-3");
    finish(idle);
    // The traffic went over few connections all the same.
    let log = busy.log();
    assert!(log.connections().len() <= 8, "R-P-7: {}", log.connections().len());
    assert!(log.requests().len() > log.connections().len());
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

/// R-P-4, as it is declared.
#[test]
fn an_idle_connection_makes_room_for_all_but_a_fresh_one_beside_a_busy_one() {
    let slow = always(vec![Step::Pause(Duration::from_millis(500)), ok().step()]);
    let (idle, other) = (replies([ok()]), replies([ok(), ok()]));
    let limits = PoolLimits { max_connections: 2, max_keepalive_connections: 2, ..ONE };
    let client = client_of(limited(limits)).build().unwrap();
    block_on(client.get(idle.url("/")).send()).unwrap();
    let busy = spawn(&client, slow.url("/"), Method::GET);
    until(|| slow.log().requests().len() == 1);
    let began = Instant::now();
    let post = client.post(other.url("/")).timeouts(timeouts(SOON)).send();
    assert_eq!(block_on(post).unwrap().status(), 200);
    assert!(began.elapsed() >= Duration::from_millis(300), "it waited for the one that ran");
    assert_eq!(busy.join().unwrap(), 200);
    // One that may be repeated goes over the same handle, where curl makes room.
    let busy = spawn(&client, slow.url("/"), Method::GET);
    until(|| slow.log().requests().len() == 2);
    let get = client.get(other.url("/")).pool_timeout(Duration::from_millis(100)).send();
    assert_eq!(block_on(get).unwrap().status(), 200);
    assert_eq!(busy.join().unwrap(), 200);
    finish(idle);
    finish(other);
}

/// R-P-2 and R-P-7, as it is declared: curl counts the connections in use among those that it keeps.
#[test]
fn more_requests_than_may_be_kept_idle_keep_no_connection() {
    for (kept, reused) in [(4, true), (1, false)] {
        let server = always(vec![Step::Pause(Duration::from_millis(100)), ok().step()]);
        let limits = PoolLimits { max_connections: 4, max_keepalive_connections: kept, ..ONE };
        let client = client_of(limited(limits)).build().unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..5 {
                        let call = client.get(server.url("/")).timeouts(timeouts(SOON));
                        block_on(call.send()).unwrap();
                    }
                });
            }
        });
        let log = server.log();
        assert_eq!(log.requests().len(), 20);
        // Four threads begin, and the last may be alone at the end.
        assert_eq!(log.connections().len() <= 6, reused, "{}", log.connections().len());
        assert!(log.peak_open_connections() <= 4, "R-P-1");
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

/// Panics whatever happens.
struct Panicking;

impl Observer for Panicking {
    fn pool(&self, event: &PoolEvent<'_>) {
        panic!("{event:?}");
    }
}

#[test]
fn an_observer_that_panics_costs_no_call() {
    // R-O-2.
    let server = always(vec![ok().step()]);
    let client = redial_isahc::client().pool(ONE).observer(Arc::new(Panicking)).build().unwrap();
    for _ in 0..2 {
        let response = block_on(client.get(server.url("/")).send()).unwrap();
        assert_eq!(response.attempts().len(), 1);
    }
    let figures = client.pool();
    assert_eq!((figures.opened_total, figures.reused_total, figures.in_use), (1, 1, 0));
}
