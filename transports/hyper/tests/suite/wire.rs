//! Every way in which a server may fail a request, seen through one attempt of the transport: what
//! kind of failure it is, what is known of the delivery, and what the server saw.

use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Settings, Transport, TransportError};
use redial_conformance::{FaultServer, Log, WIRE_TIMEOUT, WireEnd, WireRow, wire_h1, wire_h2};
use redial_hyper::HyperTransport;

use crate::common::timeouts;
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![every_row_of_http1, every_row_of_http2];

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
    let answer = transport.send(Exchange::of(request, timeouts(WIRE_TIMEOUT)).unwrap()).await?;
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
