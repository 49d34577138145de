//! Every way in which an HTTP/1.1 server may fail a request, seen through one attempt: as the
//! vectors say, or as this file declares.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::collections::BTreeMap;
use std::thread;

use common::{block_on, ok, timeouts};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Transport, TransportError};
use redial_conformance::{FaultServer, Log, Script, Step, WIRE_TIMEOUT, WireRow, wire_h1};
use redial_isahc::IsahcTransport;
use serde_json::Value;

/// A row that is not as the vectors say.
struct Declared {
    row: &'static str,
    /// For which methods; empty for all.
    method: Option<Method>,
    /// What is seen instead: a status, or the kind, the delivery and whether on a reused connection.
    seen: Seen,
    /// How often the server sees the last request at most.
    processed: usize,
    /// Whether steps of the script are left, because the transport has no use for them.
    unfinished: bool,
    why: &'static str,
}

const fn failure(kind: &'static str, delivery: &'static str) -> Seen {
    Seen::Failure { kind, delivery, reused: false }
}

const NOTHING_USABLE: &str = "curl says CURLE_GOT_NOTHING where no complete header line has come \
                              (lib/http.c, \"Empty reply from server\"): retried all the same";
const FRESH: &str = "a request that must not be repeated goes over a connection of its own, so that \
                     there is none to find dead";

fn declared() -> Vec<Declared> {
    vec![
        all("100-then-close", failure("closed", "unknown"), NOTHING_USABLE),
        all("partial-status-close", failure("closed", "unknown"), NOTHING_USABLE),
        all(
            "huge-head",
            failure("reset", "unknown"),
            "R-X-2: beyond 300 KiB curl says CURLE_RECV_ERROR, as for a reset (lib/http.c, \"Too \
             large response headers\"); below that the transport looks for itself",
        ),
        all(
            "bad-chunk-size",
            failure("reset", "answered"),
            "curl says CURLE_RECV_ERROR, as for a reset (lib/http_chunks.c, CHUNKE_ILLEGAL_HEX)",
        ),
        Declared {
            method: Some(Method::POST),
            unfinished: true,
            ..all("keepalive-close-race", Seen::Response(200), FRESH)
        },
        Declared {
            method: Some(Method::POST),
            unfinished: true,
            ..all("keepalive-rst-race", Seen::Response(200), FRESH)
        },
        Declared {
            method: Some(Method::GET),
            processed: 2,
            ..all(
                "keepalive-close-race",
                Seen::Response(200),
                "curl sends again what it lost on a reused connection (lib/transfer.c, \
                 Curl_retry_request), which is why only what may be repeated gets one",
            )
        },
        Declared {
            method: Some(Method::GET),
            processed: 2,
            ..all("keepalive-rst-race", Seen::Response(200), "the same")
        },
        Declared {
            method: Some(Method::GET),
            processed: 0,
            unfinished: true,
            ..all(
                "unsolicited-408",
                Seen::Response(408),
                "R-X-3: curl takes what waits on an idle connection for the answer",
            )
        },
    ]
}

/// For any method, once, and with the script played to its end.
const fn all(row: &'static str, seen: Seen, why: &'static str) -> Declared {
    Declared { row, method: None, seen, processed: 1, unfinished: false, why }
}

#[test]
fn every_row_with_a_method_that_may_not_be_repeated() {
    play_all(&Method::POST);
}

#[test]
fn every_row_with_a_method_that_may_be_repeated() {
    play_all(&Method::GET);
}

#[test]
fn every_declaration_has_a_reason_and_a_row() {
    let rows: Vec<_> = wire_h1().into_iter().map(|row| row.id).collect();
    for declared in declared() {
        assert!(rows.contains(&declared.row) && !declared.why.is_empty());
    }
}

/// What each row requires, by its id.
fn cases() -> BTreeMap<String, Value> {
    let file: Value = serde_json::from_str(include_str!("vectors/wire.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    cases.iter().map(|case| (case["id"].as_str().unwrap().to_owned(), case.clone())).collect()
}

fn play_all(method: &Method) {
    let cases = cases();
    let threads: Vec<_> = wire_h1()
        .into_iter()
        .map(|row| {
            let (case, method) = (cases[row.id].clone(), method.clone());
            thread::spawn(move || {
                play(&method, &row, &case).map_err(|why| format!("{method} {}: {why}", row.id))
            })
        })
        .collect();
    let results = threads.into_iter().map(|thread| thread.join().unwrap());
    let failures: Vec<_> = results.filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

fn play(method: &Method, row: &WireRow, case: &Value) -> Result<(), String> {
    let server = FaultServer::start(row.script.clone()).map_err(|error| error.to_string())?;
    let seen = block_on(requests(row, &server, method))?;
    let exception = declared().into_iter().find(|declared| {
        declared.row == row.id && declared.method.as_ref().is_none_or(|only| only == method)
    });
    let (log, finished) = match server.finish() {
        Ok(log) => (log, true),
        Err(unfinished) => (unfinished.log().clone(), false),
    };
    let allowed = match &exception {
        Some(declared) => {
            if seen != declared.seen || finished == declared.unfinished {
                return Err(format!("{seen:?} is not as declared"));
            }
            declared.processed
        }
        None => {
            judge(&seen, &case["expect"])?;
            if !finished {
                return Err("the script was not played to its end".to_owned());
            }
            1
        }
    };
    let processed = processed(&log, &target(row.requests));
    if processed > allowed {
        return Err(format!("the server saw the request {processed} times"));
    }
    Ok(())
}

fn processed(log: &Log, target: &str) -> usize {
    log.requests().iter().filter(|request| request.target == target).count()
}

/// What came of the last request of a row.
#[derive(Debug, PartialEq)]
enum Seen {
    Response(u16),
    Failure { kind: &'static str, delivery: &'static str, reused: bool },
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
    Ok(match send(&transport, server, method, row.upload, row.requests).await {
        Ok(status) => Seen::Response(status),
        Err(error) => {
            let failure = error.failure();
            let (kind, delivery) = (failure.kind.name(), failure.delivery.name());
            Seen::Failure { kind, delivery, reused: failure.reused }
        }
    })
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

fn judge(seen: &Seen, expected: &Value) -> Result<(), String> {
    let any_of = expected["one_of"].as_array().ok_or("the row requires nothing")?;
    let reused = expected.get("reused").and_then(Value::as_bool).unwrap_or(false);
    let fits = match seen {
        Seen::Response(status) => any_of.contains(&Value::from(format!("response {status}"))),
        Seen::Failure { kind, delivery, reused: over_reused } => {
            let same = |one: &Value| one["kind"] == *kind && one["delivery"] == *delivery;
            any_of.iter().any(same) && *over_reused == reused
        }
    };
    if fits { Ok(()) } else { Err(format!("{seen:?} is not as required: {expected}")) }
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
