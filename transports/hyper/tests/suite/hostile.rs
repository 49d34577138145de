//! Servers that mean harm, or do it (rows X): errors instead of hangs, and no answer that belongs
//! to nobody is ever taken for one.

use core::time::Duration;
use std::collections::BTreeMap;

use http::Method;
use redial_conformance::{FaultServer, Reply, Script, Step, WIRE_TIMEOUT, wire_h1};
use redial_engine::{FailureKind, Replay};
use redial_hyper::pool::Limits;

use crate::common::{SOON, finish, ok, timeouts, until};
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![
    what_is_no_response_is_a_final_error,
    the_heads_of_a_response_are_bounded_all_together,
    what_follows_a_response_unasked_is_never_an_answer,
    a_server_sees_a_post_once_whatever_it_does_to_it,
    an_idle_connection_that_floods_is_closed,
];

async fn what_is_no_response_is_a_final_error(on: On) {
    use FailureKind::{RemoteProtocol, ResponseTooLarge};
    let write = |text: &str| Step::Write(text.as_bytes().to_vec());
    let flood = |text: &str| Step::Flood { bytes: text.repeat(100).into(), at_most: 16_000_000 };
    let lines = |count: usize| "x-name: value\r\n".repeat(count);
    let head = "HTTP/1.1 200 OK\r\n";
    let lengths = format!("{head}content-length: 2\r\ncontent-length: 3\r\n\r\nok");
    let cases = [
        ("endless 100", flood("HTTP/1.1 100 Continue\r\n\r\n"), ResponseTooLarge),
        ("endless 103", flood("HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"), ResponseTooLarge),
        ("an endless header", flood(&format!("{head}{}", "x".repeat(10_000))), ResponseTooLarge),
        ("101 headers", write(&format!("{head}{}\r\n", lines(101))), ResponseTooLarge),
        ("101", write("HTTP/1.1 101 Switching Protocols\r\n\r\n"), RemoteProtocol),
        (
            "101 with an upgrade",
            write("HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n"),
            RemoteProtocol,
        ),
        ("two lengths", write(&lengths), RemoteProtocol),
        ("a space before the colon", write(&format!("{head}x : y\r\n\r\n")), RemoteProtocol),
        ("a NUL in a value", write(&format!("{head}x: \0\r\n\r\n")), RemoteProtocol),
    ];
    for (name, step, kind) in cases {
        let steps = vec![Step::ReadRequest, step, Step::AwaitClose { within: SOON }];
        let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
        let client = on.client();
        let error = client.get(server.url("/")).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (kind, 1), "{name}: {error}");
        until(|| client.pool().open == 0).await;
        finish(server).await;
    }
}

/// A head of so many bytes.
fn head(status: &str, headers: &str, length: usize) -> String {
    let begun = format!("HTTP/1.1 {status}\r\n{headers}x: ");
    let rest = length - begun.len() - "\r\n\r\n".len();
    format!("{begun}{}\r\n\r\n", "x".repeat(rest))
}

async fn the_heads_of_a_response_are_bounded_all_together(on: On) {
    const LIMIT: usize = 64 * 1024;
    /// What is read beyond it, because a body may begin there.
    const MORE: usize = 1024;
    // R-X-2: how many interim heads there are and how long each is, and how long the final one is.
    let cases = [
        (0, 0, LIMIT, true),
        (0, 0, LIMIT + 1, false),
        (8, 4096, LIMIT / 2, true),
        (8, 4096, LIMIT / 2 + MORE + 1, false),
        (1000, 65, 536, true),
        (1000, 66, 1000, false),
        (1, 60_000, 60_000, false),
        (2, 60_000, 100, false),
    ];
    for (count, length, last, taken) in cases {
        let interim = if count > 0 { head("103 Early Hints", "", length) } else { String::new() };
        let head = head("200 OK", "content-length: 100000\r\n", last);
        let heads = [interim.repeat(count), head].concat();
        let steps = vec![
            Step::ReadRequest,
            Step::Write([heads.into_bytes(), vec![b'y'; 100_000]].concat()),
            Step::AwaitClose { within: SOON },
        ];
        let script = Script::connections(vec![]).otherwise(steps);
        let server = FaultServer::start(script).unwrap();
        let client = on.client();
        let result = client.get(server.url("/")).send().await;
        let case = format!("{count} of {length}, and one of {last}");
        match result {
            Ok(response) => assert!(taken && response.body().len() == 100_000, "{case}"),
            Err(error) => {
                let (kind, attempts) = (error.kind(), error.attempts().len());
                let expected = (FailureKind::ResponseTooLarge, 1);
                assert!(!taken && (kind, attempts) == expected, "{case}: {error}");
            }
        }
    }
}

async fn what_follows_a_response_unasked_is_never_an_answer(on: On) {
    let unasked = ok().body("unasked").bytes();
    let cases = [
        ("a length", Method::GET, ok()),
        ("chunks", Method::GET, ok().chunked(1)),
        ("204", Method::GET, Reply::status(204)),
        ("304", Method::GET, Reply::status(304)),
        ("HEAD", Method::HEAD, Reply::status(200)),
    ];
    for (name, method, reply) in cases {
        let bytes = [reply.bytes(), unasked.clone()].concat();
        let at_once = vec![Step::Write(bytes)];
        let pause = Step::Pause(Duration::from_millis(20));
        let later = vec![reply.step(), pause, Step::Write(unasked.clone())];
        for answer in [at_once, later] {
            let steps = [vec![Step::ReadRequest], answer].concat();
            let good = vec![Step::ReadRequest, ok().step()];
            let script = Script::connections(vec![steps]).otherwise(good);
            let server = FaultServer::start(script).unwrap();
            let client = on.client();
            client.call(method.clone(), server.url("/first")).send().await.unwrap();
            // What comes while nothing is asked ends the connection.
            until(|| client.pool().open == 0).await;
            let response = client.get(server.url("/second")).send().await.unwrap();
            assert_eq!(response.text(), "ok", "R-X-3: {name}");
            let log = server.log();
            assert_eq!(log.requests().last().unwrap().connection, 1, "R-X-3: {name}");
        }
    }
}

async fn a_server_sees_a_post_once_whatever_it_does_to_it(on: On) {
    // R-X-6, with the standard policy above the transport.
    let rows = wire_h1().into_iter().map(|row| {
        let client = on.builder().timeouts(timeouts(WIRE_TIMEOUT)).build().unwrap();
        on.spawn(async move {
            let server = FaultServer::start(row.script).unwrap();
            for number in 1..=row.requests {
                let call = client.post(server.url(&format!("/{number}")));
                let _ = call.body(vec![b'x'; row.upload]).replay(Replay::Never).send().await;
                sleep(row.rest).await;
            }
            let mut seen = BTreeMap::new();
            for request in server.log().requests() {
                *seen.entry(request.target.clone()).or_insert(0) += 1;
            }
            assert!(seen.values().all(|times| *times == 1), "{}: {seen:?}", row.id);
        })
    });
    for row in rows.collect::<Vec<_>>() {
        row.await;
    }
}

async fn an_idle_connection_that_floods_is_closed(on: On) {
    let flood = Step::Flood { bytes: vec![b'x'; 100_000], at_most: usize::MAX };
    let steps = vec![Step::ReadRequest, ok().step(), Step::Pause(Duration::from_millis(20)), flood];
    let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
    let client = on.limited(Limits::default()).build().unwrap();
    client.get(server.url("/")).send().await.unwrap();
    until(|| client.pool().open == 0).await;
    finish(server).await;
}
