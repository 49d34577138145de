//! Every way in which a server may fail a request, seen through one attempt: as the
//! table requires, or as the crate declares.

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

use common::{block_on, ok, timeouts};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Protocol, Settings, Transport, TransportError};
use redial_conformance::{
    FaultServer, Log, Plan, Script, Step, WIRE_TIMEOUT, WireEnd, WireRow, wire_h1, wire_h2,
};
use redial_isahc::{DECLARED, DeclaredRow, IsahcTransport, Requests};

#[test]
fn every_row_of_http1_with_a_method_that_may_not_be_repeated() {
    play_all(wire_h1(), &Method::POST, 0);
}

#[test]
fn every_row_of_http1_with_a_method_that_may_be_repeated() {
    play_all(wire_h1(), &Method::GET, 0);
}

#[test]
fn every_row_of_http2_with_a_method_that_may_be_repeated() {
    play_all(wire_h2(), &Method::GET, 0);
}

/// R-X-6: with a body, and without one, for which curl would have nothing to rewind.
#[test]
fn every_row_of_http2_with_a_method_that_may_not_be_repeated() {
    play_all(wire_h2(), &Method::POST, 0);
    play_all(wire_h2(), &Method::POST, 100);
}

/// Plays these rows at the same time, each with a body of so many bytes at least.
fn play_all(rows: Vec<WireRow>, method: &Method, upload: usize) {
    let threads: Vec<_> = rows
        .into_iter()
        .map(|mut row| {
            let method = method.clone();
            row.upload = row.upload.max(upload);
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
    let declared = declared(row.id, method);
    let again = declared.is_some_and(|declared| declared.sent > 1);
    let script = if again { again_and_again(&row.script) } else { row.script.clone() };
    let server = FaultServer::start(script).map_err(|error| error.to_string())?;
    let end = block_on(requests(row, &server, method))?;
    let (log, unfinished) = match server.finish() {
        Ok(log) => (log, None),
        Err(unfinished) => (unfinished.log().clone(), Some(unfinished)),
    };
    let fits = match declared {
        Some(declared) => declared.seen.contains(&end.to_string().as_str()),
        None => row.allows(end),
    };
    if !fits {
        return Err(format!("{end} is neither required nor declared: {declared:?}"));
    }
    // Where something is declared, the script may have no use, or be short of one.
    if let Some(left) = unfinished.filter(|_| declared.is_none()) {
        return Err(format!("{end}: {left}"));
    }
    let target = target(row.requests);
    let sent = sent(&log, &target);
    let most = declared.map_or(1, |declared| declared.sent);
    if sent > most {
        return Err(format!("the server saw the request {sent} times"));
    }
    // Over HTTP/2 each has a connection of its own: what was refused, curl sends over a new one.
    let connections = log.connections().len();
    if row.protocol == Protocol::Http2PriorKnowledge && connections != most {
        return Err(format!("there were {connections} connections"));
    }
    Ok(())
}

/// How often the request came, whatever the server made of it.
fn sent(log: &Log, target: &str) -> usize {
    log.requests().iter().filter(|request| request.target == target).count()
}

/// What is declared of this row for this method.
fn declared(row: &str, method: &Method) -> Option<&'static DeclaredRow> {
    let repeatable = *method != Method::POST;
    DECLARED.iter().flat_map(|declared| declared.rows).find(|declared| {
        declared.id == row
            && match declared.requests {
                Requests::Repeatable => repeatable,
                Requests::Unrepeatable => !repeatable,
                Requests::All | _ => true,
            }
    })
}

/// The script, whose last list is for all connections beyond it too.
fn again_and_again(script: &Script) -> Script {
    let last = match script.plan() {
        Plan::Connections(lists) | Plan::Requests(lists) => lists.last().cloned(),
        Plan::Refused | _ => None,
    };
    script.clone().otherwise(last.unwrap_or_default())
}

/// Makes the row's requests, one after the other; all but the last are to succeed.
async fn requests(row: &WireRow, server: &FaultServer, method: &Method) -> Result<WireEnd, String> {
    let mut settings = Settings::default();
    settings.protocol = row.protocol;
    let transport = IsahcTransport::with(settings).unwrap();
    for number in 1..row.requests {
        match send(&transport, server, method, row.upload, number).await {
            Ok(200) => thread::sleep(row.rest),
            other => return Err(format!("request {number} came to {other:?}")),
        }
    }
    let last = send(&transport, server, method, row.upload, row.requests).await;
    Ok(last.map_or_else(|error| WireEnd::Failure(error.failure()), WireEnd::Response))
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
    let mut limits = timeouts(WIRE_TIMEOUT);
    // A head that comes slowly has the connect and the read timeout together, as it is declared:
    // room for a machine that is slow as well.
    limits.connect = WIRE_TIMEOUT * 4;
    let answer = transport.send(Exchange::of(request, limits).unwrap()).await?;
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
        assert_eq!(sent(&log, &target(trial)), 1, "R-X-6: trial {trial}");
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
        assert_eq!(sent(&log, "/2"), 1);
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
