//! Every way in which an HTTP/1.1 server may fail a request, seen through one attempt.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use std::thread;

use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Transport, TransportError};
use redial_conformance::{FaultServer, WIRE_TIMEOUT, WireRow, wire_h1};
use redial_isahc::IsahcTransport;
use serde_json::Value;

#[test]
fn explore() {
    let file: Value = serde_json::from_str(include_str!("vectors/wire.json")).unwrap();
    for method in [Method::POST, Method::GET] {
        for row in wire_h1() {
            let case = file["cases"].as_array().unwrap().iter().find(|c| c["id"] == row.id).unwrap();
            let began = std::time::Instant::now();
            let server = FaultServer::start(row.script.clone()).unwrap();
            let seen = common::block_on(requests(&row, &server, &method));
            let took = began.elapsed();
            let (log, unfinished) = match server.finish() {
                Ok(log) => (log, String::new()),
                Err(e) => (e.log().clone(), e.to_string()),
            };
            println!("{method} {:24} {seen:?} {took:?} conns {} heads {} | {} {} {unfinished}", row.id, log.connections().len(), log.requests().len(), case["expect"]["one_of"], case["expect"]["reused"]);
        }
    }
}

#[derive(Debug)]
#[allow(dead_code)]
enum Seen {
    Response(u16),
    Failure(&'static str, &'static str, bool, String),
}

async fn requests(row: &WireRow, server: &FaultServer, method: &Method) -> Result<Seen, String> {
    let transport = IsahcTransport::new().unwrap();
    for number in 1..row.requests {
        match send(&transport, row, server, method, number).await {
            Ok(200) => thread::sleep(row.rest),
            other => return Err(format!("request {number} came to {other:?}")),
        }
    }
    Ok(match send(&transport, row, server, method, row.requests).await {
        Ok(status) => Seen::Response(status),
        Err(error) => {
            let failure = error.failure();
            let src = std::error::Error::source(&error).map(|s| s.to_string()).unwrap_or_default();
            Seen::Failure(failure.kind.name(), failure.delivery.name(), failure.reused, src)
        }
    })
}

async fn send(
    transport: &impl Transport,
    row: &WireRow,
    server: &FaultServer,
    method: &Method,
    number: usize,
) -> Result<u16, TransportError> {
    let url = server.url(&format!("/{number}"));
    let body = Body::from(vec![b'x'; row.upload]);
    let request = Request::builder().method(method).uri(url).body(body).unwrap();
    let answer = transport.send(Exchange::new(request, common::timeouts(WIRE_TIMEOUT))).await?;
    let status = answer.response.status().as_u16();
    answer.response.into_body().collect().await?;
    Ok(status)
}
