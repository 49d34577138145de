//! Every way in which an HTTP/1.1 server may fail a request, seen through one attempt of the
//! transport: what kind of failure it is, what is known of the delivery, and what the server saw.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "what is not run yet is to be seen")]

mod common;

use std::collections::BTreeMap;
use std::thread;

use common::Flavour;
use http::Request;
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Settings, Transport, TransportError};
use redial_conformance::{FaultServer, Log, WIRE_TIMEOUT, WireRow, wire_h1};
use redial_hyper::HyperTransport;
use redial_tokio::Tokio;
use serde_json::Value;

#[test]
fn every_row_on_a_current_thread_runtime() {
    play_all(Flavour::CurrentThread);
}

#[test]
fn every_row_on_a_multi_thread_runtime() {
    play_all(Flavour::MultiThread);
}

#[test]
fn the_rows_of_http2_are_not_run_yet() {
    let cases = cases();
    let (http2, http1): (Vec<_>, Vec<_>) = cases.keys().partition(|id| id.starts_with("h2-"));
    println!(
        "{} rows of HTTP/1.1; of HTTP/2, {} are not run yet: {http2:?}",
        http1.len(),
        http2.len()
    );
    let mut scripts: Vec<_> = wire_h1().into_iter().map(|row| row.id.to_owned()).collect();
    scripts.sort_unstable();
    assert_eq!(http1.into_iter().cloned().collect::<Vec<_>>(), scripts);
    assert_eq!(http2.len(), 17);
}

/// What each row requires, by its id.
fn cases() -> BTreeMap<String, Value> {
    let file: Value = serde_json::from_str(include_str!("vectors/wire.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    cases.iter().map(|case| (case["id"].as_str().unwrap().to_owned(), case.clone())).collect()
}

fn play_all(flavour: Flavour) {
    let cases = cases();
    let rows = wire_h1().into_iter().map(|row| {
        let case = cases[row.id].clone();
        thread::spawn(move || {
            play(flavour, &row, &case).map_err(|why| format!("{}: {why}", row.id))
        })
    });
    let threads: Vec<_> = rows.collect();
    let results = threads.into_iter().map(|thread| thread.join().unwrap());
    let failures: Vec<_> = results.filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

fn play(flavour: Flavour, row: &WireRow, case: &Value) -> Result<(), String> {
    let server = FaultServer::start(row.script.clone()).map_err(|error| error.to_string())?;
    let runtime = flavour.runtime();
    let seen = runtime.block_on(requests(row, &server));
    // With the runtime go the tasks that had yet to close their sockets.
    drop(runtime);
    let log = server.finish().map_err(|unfinished| format!("{unfinished}, saw {seen:?}"))?;
    judge(&seen?, &case["expect"], case.get("note").is_some())?;
    let processed = log.requests().iter().filter(|r| r.target == target(row.requests)).count();
    if processed as u64 > case["expect"]["requests_processed_at_most"].as_u64().unwrap_or(0) {
        return Err(format!("the server saw the request {processed} times"));
    }
    once_each(&log)
}

/// What came of the last request of a row.
#[derive(Debug)]
enum Seen {
    Response(u16),
    Failure { kind: &'static str, delivery: &'static str, reused: bool },
}

/// Makes the row's requests, one after the other; all but the last are to succeed.
async fn requests(row: &WireRow, server: &FaultServer) -> Result<Seen, String> {
    let transport =
        HyperTransport::new(Tokio::new(tokio::runtime::Handle::current()), Settings::default())
            .unwrap();
    for number in 1..row.requests {
        match send(&transport, row, server, number).await {
            Ok(200) => tokio::time::sleep(row.rest).await,
            other => return Err(format!("request {number} came to {other:?}")),
        }
    }
    Ok(match send(&transport, row, server, row.requests).await {
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
    row: &WireRow,
    server: &FaultServer,
    number: usize,
) -> Result<u16, TransportError> {
    let url = server.url(&target(number));
    let request = Request::post(url).body(Body::from(vec![b'x'; row.upload])).unwrap();
    let answer =
        transport.send(Exchange::of(request, common::timeouts(WIRE_TIMEOUT)).unwrap()).await?;
    let status = answer.response.status().as_u16();
    answer.response.into_body().collect().await?;
    Ok(status)
}

fn target(number: usize) -> String {
    format!("/{number}")
}

fn judge(seen: &Seen, expected: &Value, race: bool) -> Result<(), String> {
    let any_of = expected["one_of"].as_array().ok_or("the row requires nothing")?;
    let reused = expected.get("reused").and_then(Value::as_bool).unwrap_or(false);
    let fits = match seen {
        // Where the server closes as the request is sent, either may be first.
        Seen::Response(200) if race && reused => true,
        Seen::Response(status) => any_of.contains(&Value::from(format!("response {status}"))),
        Seen::Failure { kind, delivery, reused: over_reused } => {
            let same = |one: &Value| one["kind"] == *kind && one["delivery"] == *delivery;
            any_of.iter().any(same) && *over_reused == reused
        }
    };
    if fits { Ok(()) } else { Err(format!("{seen:?} is not as required: {expected}")) }
}

/// No request, the earlier ones included, came twice.
fn once_each(log: &Log) -> Result<(), String> {
    let mut targets: Vec<_> = log.requests().iter().map(|request| &request.target).collect();
    targets.sort_unstable();
    match targets.windows(2).find(|two| two[0] == two[1]) {
        Some(two) => Err(format!("{} came twice", two[0])),
        None => Ok(()),
    }
}
