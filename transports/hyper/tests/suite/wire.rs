//! Every way in which a server may fail a request, seen through one attempt of the transport: what
//! kind of failure it is, what is known of the delivery, and what the server saw.

use core::num::NonZeroU32;

use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Protocol, Settings, Transport, TransportError};
use redial_conformance::{
    FaultServer, Log, Violated, Violation, WireEnd, WireRow, http2_violations, wire_h1, wire_h2,
};
use redial_engine::FailureKind;
use redial_hyper::HyperTransport;

use crate::common::timeouts;
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![every_row_of_http1, every_row_of_http2, every_violation_of_http2];

async fn every_row_of_http1(on: On) {
    play_all(&on, wire_h1()).await;
}

async fn every_row_of_http2(on: On) {
    play_all(&on, wire_h2()).await;
}

async fn play_all(on: &On, rows: Vec<WireRow>) {
    let rows = rows.into_iter().map(|row| {
        let on = on.clone();
        async move { play(&on, &row).await.map_err(|why| format!("{}: {why}", row.id)) }
    });
    let failures: Vec<_> = join_all(rows).await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

async fn play(on: &On, row: &WireRow) -> Result<(), String> {
    let server = FaultServer::start(row.script.clone()).map_err(|error| error.to_string())?;
    let end = requests(on, row, &server).await?;
    let finished = smol::unblock(move || server.finish()).await;
    let log = finished.map_err(|unfinished| format!("{unfinished}, saw {end}"))?;
    if !row.allows(end) {
        return Err(format!("{end} is not as required: {:?}", row.expect));
    }
    let processed = log.processed(&target(row.requests));
    if processed > row.processed_at_most {
        return Err(format!("the server processed the request {processed} times"));
    }
    once_each(&log)
}

/// Makes the row's requests, one after the other; all but the last are to succeed.
async fn requests(on: &On, row: &WireRow, server: &FaultServer) -> Result<WireEnd, String> {
    let mut settings = Settings::default();
    settings.protocol = row.protocol;
    let transport = HyperTransport::new(on.runtime(), settings).unwrap();
    for number in 1..row.requests {
        match send(&transport, row, server, number).await {
            Ok(200) => sleep(row.rest).await,
            other => return Err(format!("request {number} came to {other:?}")),
        }
    }
    Ok(match send(&transport, row, server, row.requests).await {
        Ok(status) => WireEnd::Response(status),
        Err(error) => WireEnd::Failure(error.failure()),
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
    let answer = transport.send(Exchange::of(request, timeouts(row.timeout)).unwrap()).await?;
    let status = answer.response.status().as_u16();
    answer.response.into_body().collect().await?;
    Ok(status)
}

fn target(number: usize) -> String {
    format!("/{number}")
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

/// R-X-8: what the protocol forbids is an error at once, and nothing else goes over a connection
/// that is broken; what it permits is no error.
async fn every_violation_of_http2(on: On) {
    let rows = http2_violations().into_iter().map(|row| {
        let on = on.clone();
        async move { violate(&on, &row).await.map_err(|why| format!("{}: {why}", row.id)) }
    });
    let failures: Vec<_> = join_all(rows).await.into_iter().filter_map(Result::err).collect();
    assert!(failures.is_empty(), "{} rows failed:\n{}", failures.len(), failures.join("\n"));
}

/// What h2 permits although it is forbidden, and why nothing comes of it: the answer is the one
/// that was sent for the request, and the connection is in step.
const LENIENT: [(&str, &str); 5] = [
    ("settings-push-by-a-server", "the client has said that it takes no pushes, and takes none"),
    ("data-after-the-end", "it is discarded, and its window given back"),
    ("headers-after-the-end", "they are decoded, so that later blocks are, and discarded"),
    ("pseudo-field-of-a-request", "it is left out of the response"),
    ("window-too-large-on-the-stream", "the request has been sent, so its window is of no use"),
];

async fn violate(on: &On, row: &Violation) -> Result<(), String> {
    let server = FaultServer::start(row.script()).map_err(|error| error.to_string())?;
    // No timeout plays a part: what is wrong is seen when it comes.
    let client = on.builder().protocol(Protocol::Http2PriorKnowledge).build().unwrap();
    let first = client.get(server.url("/first")).max_attempts(NonZeroU32::MIN).send().await;
    let seen = match &first {
        Ok(response) => format!("{} {}", response.status(), response.text()),
        Err(error) => format!("{} ({error})", error.kind().name()),
    };
    let second = client.get(server.url("/second")).send().await;
    second.map_err(|error| format!("saw {seen}; then {error}"))?;
    drop(client);
    let finished = smol::unblock(move || server.finish()).await;
    let log = finished.map_err(|unfinished| format!("{unfinished}, saw {seen}"))?;
    let answered = matches!(&first, Ok(response) if response.text() == "ok");
    let failed = matches!(&first, Err(error) if error.kind() == FailureKind::RemoteProtocol);
    let shared = log.requests()[0].connection == log.requests()[1].connection;
    let lenient = LENIENT.iter().any(|(id, _)| *id == row.id);
    let as_required = match row.verdict {
        _ if lenient => answered && shared,
        Violated::Connection => failed && !shared,
        Violated::ConnectionAfterAnswer => (failed || answered) && !shared,
        Violated::Stream => failed,
        Violated::Nothing | _ => answered && shared,
    };
    if as_required { Ok(()) } else { Err(format!("{:?}: {seen}; shared: {shared}", row.verdict)) }
}
