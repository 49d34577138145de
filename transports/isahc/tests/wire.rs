//! Every way in which an HTTP/1.1 server may fail a request, seen through one attempt: as the
//! vectors say, or as the crate declares.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::thread;

use common::vectors::{self, Seen};
use common::{block_on, ok, timeouts};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Transport, TransportError};
use redial_conformance::{FaultServer, Log, Script, Step, WIRE_TIMEOUT, WireRow, wire_h1};
use redial_isahc::IsahcTransport;

#[test]
fn every_row_with_a_method_that_may_not_be_repeated() {
    play_all(&Method::POST);
}

#[test]
fn every_row_with_a_method_that_may_be_repeated() {
    play_all(&Method::GET);
}

fn play_all(method: &Method) {
    let threads: Vec<_> = wire_h1()
        .into_iter()
        .map(|row| {
            let method = method.clone();
            thread::spawn(move || {
                play(&method, &row).map_err(|why| format!("{method} {}: {why}", row.id))
            })
        })
        .collect();
    let results = threads.into_iter().map(|thread| thread.join().unwrap());
    let failures: Vec<_> = results.filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

fn play(method: &Method, row: &WireRow) -> Result<(), String> {
    let server = FaultServer::start(row.script.clone()).map_err(|error| error.to_string())?;
    let seen = block_on(requests(row, &server, method))?;
    let (log, finished) = match server.finish() {
        Ok(log) => (log, true),
        Err(unfinished) => (unfinished.log().clone(), false),
    };
    let declared = vectors::hold(row.id, method, &seen)?;
    // A declared response may leave a part of the script without use.
    if !finished && declared.is_none_or(|_| !matches!(seen, Seen::Response(_))) {
        return Err("the script was not played to its end".to_owned());
    }
    let processed = processed(&log, &target(row.requests));
    if processed > declared.map_or(1, |declared| declared.sent) {
        return Err(format!("the server saw the request {processed} times"));
    }
    Ok(())
}

fn processed(log: &Log, target: &str) -> usize {
    log.requests().iter().filter(|request| request.target == target).count()
}

/// Makes the row's requests, one after the other; all but the last are to succeed.
async fn requests(row: &WireRow, server: &FaultServer, method: &Method) -> Result<Seen, String> {
    let transport = IsahcTransport::new().unwrap();
    for number in 1..row.requests {
        match send(&transport, server, method, row.upload, number).await {
            Ok(200) => thread::sleep(row.rest),
            other => return Err(format!("request {number} came to {other:?}")),
        }
    }
    let last = send(&transport, server, method, row.upload, row.requests).await;
    Ok(last.map_or_else(|error| Seen::from(&error), Seen::Response))
}

async fn send(
    transport: &impl Transport,
    server: &FaultServer,
    method: &Method,
    upload: usize,
    number: usize,
) -> Result<u16, TransportError> {
    let url = server.url(&target(number));
    let body = Body::from(vec![b'x'; upload]);
    let request = Request::builder().method(method).uri(url).body(body).unwrap();
    let answer = transport.send(Exchange::of(request, timeouts(WIRE_TIMEOUT)).unwrap()).await?;
    let status = answer.response.status().as_u16();
    answer.response.into_body().collect().await?;
    Ok(status)
}

fn target(number: usize) -> String {
    format!("/{number}")
}

/// R-X-6: two hundred times, a server closes or resets its connection as the next request comes.
#[test]
fn a_post_meets_no_race_and_is_never_sent_twice() {
    const TRIALS: usize = 200;
    let ends = [Step::Close, Step::Reset, Step::CloseUnread];
    let lists = (0..TRIALS).map(|trial| {
        // The first answer and the end may come together, or a moment apart.
        let pause = Step::Pause(Duration::from_micros(100 * (trial as u64 % 10)));
        vec![ok().step(), pause, ends[trial % ends.len()].clone()]
    });
    let server = FaultServer::start(Script::requests(lists.collect())).unwrap();
    let transport = IsahcTransport::new().unwrap();
    for trial in 0..TRIALS {
        // With a body and without: curl repeats what it need not rewind.
        let upload = if trial % 2 == 0 { 0 } else { 1000 };
        // A reset may overtake the answer: what counts is that there is no second request.
        let _ = block_on(send(&transport, &server, &Method::POST, upload, trial));
    }
    let log = server.finish().unwrap_or_else(|unfinished| panic!("{unfinished}"));
    for trial in 0..TRIALS {
        assert_eq!(processed(&log, &target(trial)), 1, "R-X-6: trial {trial}");
    }
}

/// The connection that curl would have taken is dead, and the request says so or goes elsewhere.
#[test]
fn a_request_with_a_body_is_never_sent_twice_whatever_its_method() {
    let steps = vec![Step::ReadRequest, ok().step(), Step::ReadRequest, Step::Close];
    for method in [Method::PUT, Method::DELETE, Method::GET] {
        let script = Script::connections(vec![steps.clone()]);
        let server = FaultServer::start(script).unwrap();
        let transport = IsahcTransport::new().unwrap();
        assert_eq!(block_on(send(&transport, &server, &method, 9, 1)).unwrap(), 200);
        let error = block_on(send(&transport, &server, &method, 9, 2)).unwrap_err();
        let failure = error.failure();
        assert_eq!((failure.kind.name(), failure.delivery.name()), ("closed", "unknown"));
        assert!(failure.reused);
        let log = server.finish().unwrap();
        assert_eq!(processed(&log, "/2"), 1);
    }
}

/// R-X-7: what curl does by itself has an end.
#[test]
fn a_server_that_closes_every_connection_gets_one_request_an_attempt() {
    let server = common::always(vec![Step::Close]);
    let client = common::client();
    let error = block_on(client.get(server.url("/")).send()).unwrap_err();
    assert_eq!(error.attempts().len(), 5);
    assert_eq!(server.log().requests().len(), 5);
}
