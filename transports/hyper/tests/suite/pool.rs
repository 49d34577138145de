//! Connections on the wire: kept, limited, expired, found dead, and closed with the client.

use core::num::NonZeroU32;
use core::time::Duration;
use std::time::Instant;

use futures_util::FutureExt as _;
use http::Method;
use redial_client::{Body, Client, Exchange, Settings, Transport};
use redial_conformance::{Closing, FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome};
use redial_hyper::pool::Limits;
use redial_hyper::{Hyper, HyperTransport};

use crate::common::{
    SOON, always, finish, ok, replies, requests, silent, timeouts, until, until_log,
};
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![
    sequential_calls_share_a_connection,
    a_response_that_closes_its_connection_is_followed_by_another,
    an_answer_before_the_upload_has_ended_closes_its_connection,
    an_answer_is_read_although_the_rest_of_the_upload_cannot_be_written,
    an_empty_body_that_nobody_reads_keeps_its_connection,
    a_call_beyond_the_limit_fails_with_a_pool_timeout,
    a_call_timeout_ends_the_wait_for_a_slot,
    a_queued_call_gets_the_slot_that_comes_free,
    a_call_that_sleeps_holds_no_slot,
    an_idle_connection_expires_without_further_traffic,
    an_idle_connection_makes_room_for_another_origin,
    no_connection_is_kept_where_none_may_be,
    a_connection_that_was_closed_while_idle_is_replaced,
    a_closed_client_refuses_calls_and_lets_those_under_way_finish,
    a_closed_client_closes_idle_connections_at_once,
    a_client_that_is_closed_under_load_loses_no_call,
    a_dropped_client_closes_its_connections,
    a_transport_that_is_closed_serves_on_and_keeps_nothing,
    the_figures_add_up,
];

const ONE: Limits = Limits {
    max_connections: 1,
    max_keepalive_connections: 1,
    keepalive_expiry: Some(Duration::from_secs(30)),
};

async fn sequential_calls_share_a_connection(on: On) {
    let large = ok().body(vec![b'x'; 100_000]);
    let cases = [
        ("a short body", Method::GET, ok()),
        ("a large body", Method::GET, large.clone()),
        ("chunks", Method::GET, ok().chunked(1)),
        ("large chunks", Method::GET, large.chunked(40_000)),
        ("an empty body", Method::GET, Reply::status(200)),
        ("no chunk", Method::GET, Reply::status(200).chunked(1)),
        ("204", Method::DELETE, Reply::status(204)),
        ("304", Method::GET, Reply::status(304)),
        ("HEAD", Method::HEAD, Reply::status(200).header("content-length", "5").raw()),
        ("404", Method::GET, Reply::status(404).body("no")),
        ("an upload", Method::POST, ok()),
    ];
    for (name, method, reply) in cases {
        let server = replies(core::iter::repeat_n(reply, 20));
        let client = on.client();
        for _ in 0..20 {
            let upload = if method == Method::POST { vec![b'x'; 100_000] } else { Vec::new() };
            client.call(method.clone(), server.url("/")).body(upload).send().await.unwrap();
        }
        let figures = client.pool();
        assert_eq!((figures.opened_total, figures.reused_total), (1, 19), "R-P-7: {name}");
        assert_eq!(finish(server).await.connections().len(), 1, "R-P-7: {name}");
    }
}

async fn a_response_that_closes_its_connection_is_followed_by_another(on: On) {
    let cases = [
        ("connection: close", ok().header("connection", "close")),
        ("no framing", ok().raw()),
        // Two framings at once: what follows could begin anywhere (R-X-3).
        ("two framings", ok().header("content-length", "2").chunked(2)),
    ];
    for (name, reply) in cases {
        let steps = vec![Step::ReadRequest, reply.step(), Step::Close];
        let server = FaultServer::start(Script::connections(vec![steps; 5])).unwrap();
        let client = on.client();
        for _ in 0..5 {
            let response = client.post(server.url("/")).send().await.unwrap();
            assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1), "{name}");
        }
        finish(server).await;
    }
}

async fn an_answer_before_the_upload_has_ended_closes_its_connection(on: On) {
    // What would be sent next, the server would take for the rest of the upload.
    let early = vec![
        Step::ReadHead,
        Reply::status(413).step(),
        Step::AwaitData { within: SOON },
        Step::Stall { at_most: SOON },
    ];
    let script = Script::connections(vec![early, vec![Step::ReadRequest, ok().step()]]);
    let server = FaultServer::start(script).unwrap();
    let client = on.limited(ONE).build().unwrap();
    let upload = client.post(server.url("/")).body(vec![b'x'; 16_000_000]);
    assert_eq!(upload.send().await.unwrap().status(), 413);
    assert_eq!(client.post(server.url("/")).send().await.unwrap().status(), 200);
    finish(server).await;
}

async fn an_answer_is_read_although_the_rest_of_the_upload_cannot_be_written(on: On) {
    let early =
        vec![Step::ReadHead, Reply::status(413).body("no").step(), Step::Stall { at_most: SOON }];
    let script =
        Script::connections(vec![early.clone(), early, vec![Step::ReadRequest, ok().step()]]);
    let server = FaultServer::start(script).unwrap();
    let runtime = on.runtime().answering_and_going();
    let client = Client::builder(Hyper::on(runtime)).build().unwrap();
    for method in [Method::POST, Method::PUT] {
        let upload = client.call(method, server.url("/")).body(vec![b'x'; 16_000_000]);
        let response = upload.send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().as_ref()), (413, "no"));
        assert_eq!(response.attempts().len(), 1, "{:?}", response.attempts());
    }
    // Neither connection serves another.
    assert_eq!(client.post(server.url("/")).send().await.unwrap().status(), 200);
    finish(server).await;
}

async fn an_empty_body_that_nobody_reads_keeps_its_connection(on: On) {
    let server = replies([Reply::status(204), Reply::status(204)]);
    let transport = HyperTransport::new(on.runtime(), Settings::default()).unwrap();
    for reused in [false, true] {
        let request = http::Request::get(server.url("/")).body(Body::empty()).unwrap();
        let answer = transport.send(Exchange::of(request, timeouts(SOON)).unwrap()).await.unwrap();
        assert_eq!((answer.response.status().as_u16(), answer.reused), (204, reused));
    }
    finish(server).await;
}

async fn a_call_timeout_ends_the_wait_for_a_slot(on: On) {
    let server = silent();
    let client = on.limited(ONE).build().unwrap();
    let first = on.spawn(client.get(server.url("/first")).send());
    until(|| client.pool().in_use == 1).await;
    let call = client.get(server.url("/second")).timeout(Duration::from_millis(200));
    let error = call.send().await.unwrap_err();
    let outcome = error.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::Deadline, Delivery::Unsent));
    assert_eq!((client.pool().pool_timeouts, client.pool().waiting), (0, 0));
    drop(first);
}

async fn a_call_beyond_the_limit_fails_with_a_pool_timeout(on: On) {
    let server = silent();
    let client = on.limited(ONE).build().unwrap();
    let first = on.spawn(client.get(server.url("/first")).send());
    until(|| client.pool().in_use == 1).await;
    let began = Instant::now();
    let call = client.get(server.url("/second")).timeouts(timeouts(Duration::from_millis(200)));
    let error = call.max_attempts(NonZeroU32::MIN).send().await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(200));
    let outcome = error.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::PoolTimeout, Delivery::Unsent));
    assert!(error.is_timeout());
    assert_eq!((client.pool().pool_timeouts, client.pool().waiting), (1, 0));
    assert_eq!(server.log().requests().len(), 1);
    drop(first);
}

async fn a_queued_call_gets_the_slot_that_comes_free(on: On) {
    let steps = vec![Step::Pause(Duration::from_millis(50)), ok().step()];
    let server = always(steps);
    let client = on.limited(ONE).build().unwrap();
    let calls: Vec<_> = (0..8).map(|_| on.spawn(client.post(server.url("/")).send())).collect();
    for call in calls {
        assert_eq!(call.await.unwrap().attempts().len(), 1);
    }
    let log = finish(server).await;
    assert_eq!((log.connections().len(), log.requests().len()), (1, 8));
}

async fn a_call_that_sleeps_holds_no_slot(on: On) {
    let wait = || Reply::status(503).header("retry-after", "2");
    let stalled = wait().header("content-length", "10").body("four").raw();
    let whole = vec![wait().body("four").step()];
    // R-P-10: what is not drained in time, or is too long to be, is closed instead.
    let firsts = [
        whole,
        vec![stalled.step(), Step::AwaitClose { within: SOON }],
        vec![wait().body(vec![b'x'; 1_000_000]).step()],
    ];
    for first in firsts {
        // Too long a body is not taken to its end, so that its step may fail.
        let retrying = FaultServer::start(
            Script::connections(vec![]).otherwise([vec![Step::ReadRequest], first].concat()),
        );
        let (retrying, other) = (retrying.unwrap(), replies([ok()]));
        let client = on.limited(ONE).build().unwrap();
        let sleeping = on.spawn(client.get(retrying.url("/")).send());
        until_log(&retrying, |log| log.requests().len() == 1).await;
        let call = client.get(other.url("/")).timeouts(timeouts(Duration::from_secs(1)));
        let response = call.max_attempts(NonZeroU32::MIN).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert!(sleeping.now_or_never().is_none(), "it still sleeps");
        finish(other).await;
    }
}

async fn an_idle_connection_expires_without_further_traffic(on: On) {
    let server = replies([ok()]);
    let expiry = Some(Duration::from_millis(50));
    let client = on.limited(Limits { keepalive_expiry: expiry, ..ONE }).build().unwrap();
    client.get(server.url("/")).send().await.unwrap();
    until_log(&server, |log| log.connections()[0].closed == Some(Closing::ByPeer)).await;
    until(|| client.pool().open == 0).await;
    assert_eq!(client.pool().expired_total, 1);
    finish(server).await;
}

async fn an_idle_connection_makes_room_for_another_origin(on: On) {
    let servers = [replies([ok(), ok()]), replies([ok(), ok()])];
    let client = on.limited(ONE).build().unwrap();
    for _ in 0..2 {
        for server in &servers {
            client.post(server.url("/")).send().await.unwrap();
            assert!(client.pool().open <= 1);
        }
    }
    assert_eq!(client.pool().evicted_total, 3);
    for server in servers {
        finish(server).await;
    }
}

async fn no_connection_is_kept_where_none_may_be(on: On) {
    let cases = [
        Limits { max_keepalive_connections: 0, ..ONE },
        Limits { keepalive_expiry: Some(Duration::ZERO), ..ONE },
    ];
    for limits in cases {
        let server = replies([ok(), ok(), ok()]);
        let client = on.limited(limits).build().unwrap();
        for _ in 0..3 {
            client.post(server.url("/")).send().await.unwrap();
        }
        until(|| client.pool().open == 0).await;
        let log = finish(server).await;
        assert_eq!((log.connections().len(), log.peak_open_connections()), (3, 1));
    }
}

/// A server that closes each connection shortly after its first answer.
fn closes_when_idle(connections: usize) -> FaultServer {
    let pause = Step::Pause(Duration::from_millis(20));
    let steps = vec![Step::ReadRequest, ok().step(), pause, Step::Close];
    FaultServer::start(Script::connections(vec![steps; connections])).unwrap()
}

async fn a_connection_that_was_closed_while_idle_is_replaced(on: On) {
    let server = closes_when_idle(5);
    let client = on.client();
    for _ in 0..5 {
        let response = client.post(server.url("/")).body("once").send().await.unwrap();
        assert_eq!(response.attempts().len(), 1);
        until(|| client.pool().open == 0).await;
    }
    finish(server).await;
}

async fn a_closed_client_refuses_calls_and_lets_those_under_way_finish(on: On) {
    let slow = |reply: Reply| vec![Step::Pause(Duration::from_millis(200)), reply.step()];
    let server = requests(vec![slow(Reply::status(503)), slow(ok())]);
    let client = on.client();
    let call = on.spawn(client.get(server.url("/")).send());
    until_log(&server, |log| log.requests().len() == 1).await;
    for _ in 0..2 {
        client.close();
        let error = client.get(server.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::ClientClosed);
        assert_eq!((error.attempts().len(), error.reason()), (0, None));
        let clone = client.clone().post(server.url("/")).send().await;
        assert_eq!(clone.unwrap_err().kind(), FailureKind::ClientClosed);
    }
    let response = call.await.unwrap();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 2));
    until(|| client.pool().open == 0).await;
    let log = finish(server).await;
    assert!(log.connections().iter().all(|one| one.closed == Some(Closing::ByPeer)));
}

async fn a_closed_client_closes_idle_connections_at_once(on: On) {
    let server = replies([ok()]);
    let client = on.client();
    client.get(server.url("/")).send().await.unwrap();
    client.close();
    until_log(&server, |log| log.connections()[0].closed == Some(Closing::ByPeer)).await;
    until(|| client.pool().open == 0).await;
    finish(server).await;
}

async fn a_client_that_is_closed_under_load_loses_no_call(on: On) {
    let server = always(vec![ok().step()]);
    let client = on.client();
    let callers = (0..20).map(|_| {
        let (client, url) = (client.clone(), server.url("/"));
        on.spawn(async move {
            for served in 0.. {
                match client.post(&url).body("once").send().await {
                    Ok(response) => assert_eq!(response.attempts().len(), 1, "R-C-6"),
                    Err(error) => {
                        assert_eq!(error.kind(), FailureKind::ClientClosed, "R-C-6: {error}");
                        return served;
                    }
                }
            }
            0
        })
    });
    let callers: Vec<_> = callers.collect();
    until_log(&server, |log| log.requests().len() >= 200).await;
    client.close();
    let mut served = 0;
    for caller in callers {
        served += caller.await;
    }
    until(|| client.pool().open == 0).await;
    until_log(&server, |log| log.open_connections() == 0).await;
    assert_eq!(server.log().requests().len(), served, "R-C-6");
}

async fn a_dropped_client_closes_its_connections(on: On) {
    let server = replies([ok()]);
    let client = on.client();
    let clone = client.clone();
    client.get(server.url("/")).send().await.unwrap();
    drop(client);
    sleep(Duration::from_millis(50)).await;
    assert_eq!(server.log().open_connections(), 1, "a clone is left");
    drop(clone);
    until_log(&server, |log| log.connections()[0].closed == Some(Closing::ByPeer)).await;
    finish(server).await;
}

async fn a_transport_that_is_closed_serves_on_and_keeps_nothing(on: On) {
    let server = replies([ok(), ok()]);
    let transport = HyperTransport::new(on.runtime(), Settings::default()).unwrap();
    let client = Client::builder(transport.clone()).build().unwrap();
    transport.close();
    for _ in 0..2 {
        let response = client.post(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        until(|| client.pool().open == 0).await;
    }
    assert_eq!(finish(server).await.connections().len(), 2);
}

async fn the_figures_add_up(on: On) {
    let server = replies([Reply::status(503), ok(), ok()]);
    let client = on.client();
    client.get(server.url("/")).send().await.unwrap();
    let response = client.get(server.url("/")).send().await.unwrap();
    assert!(response.attempts()[0].reused && response.reason().is_none());
    until(|| client.pool().idle == 1).await;
    let figures = client.pool();
    assert_eq!((figures.open, figures.in_use, figures.connecting, figures.waiting), (1, 0, 0, 0));
    assert_eq!((figures.opened_total, figures.reused_total), (1, 2));
    finish(server).await;
}
