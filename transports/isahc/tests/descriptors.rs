//! A process with many open files, which to curl as isahc builds it looks like a dead network.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(unix)]

mod common;

use core::error::Error as _;
use std::fs::File;

use common::{SOON, always, block_on, ok, timeouts};
use http::Request;
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Transport, TransportError};
use redial_conformance::{FaultServer, Script};
use redial_engine::{Delivery, FailureKind, StandardPolicy};
use redial_isahc::{DescriptorLimit, IsahcTransport};

async fn send(
    transport: &IsahcTransport,
    method: &str,
    server: &FaultServer,
) -> Result<u16, TransportError> {
    let builder = Request::builder().method(method).uri(server.url("/"));
    let exchange = Exchange::of(builder.body(Body::empty()).unwrap(), timeouts(SOON)).unwrap();
    let answer = transport.send(exchange).await?;
    let status = answer.response.status().as_u16();
    answer.response.into_body().collect().await?;
    Ok(status)
}

/// One test alone in its process: the number of open files is everybody's.
#[test]
fn two_thousand_open_files_are_no_dead_network() {
    let (server, nobody) =
        (always(vec![ok().step()]), FaultServer::start(Script::refused()).unwrap());
    let transport = IsahcTransport::new().unwrap();
    assert_eq!(block_on(send(&transport, "GET", &server)).unwrap(), 200);
    let refused = block_on(send(&transport, "GET", &nobody)).unwrap_err().failure();
    assert_eq!(refused.kind, FailureKind::Connect);

    let files: Vec<_> = (0..2000)
        .map(|_| File::open("/dev/null").expect("raise the limit of open files (ulimit -n 4096)"))
        .collect();
    // A connection that stands serves on.
    assert_eq!(block_on(send(&transport, "GET", &server)).unwrap(), 200);
    let error = match block_on(send(&transport, "POST", &server)) {
        Err(error) => error,
        // This libcurl waits with `poll`: there is nothing to tell, and nothing is told.
        Ok(status) => {
            let refused = block_on(send(&transport, "GET", &nobody)).unwrap_err().failure();
            return assert_eq!((status, refused.kind), (200, FailureKind::Connect));
        }
    };
    let failure = error.failure();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::LocalLimit, Delivery::Unsent));
    let source = error.source().unwrap().downcast_ref::<DescriptorLimit>();
    assert!(source.unwrap().to_string().contains("HAVE_POLL"), "it says what to do");
    // Final: another attempt would meet the same.
    let client = common::client_of(transport.clone()).policy(StandardPolicy::default());
    let error = block_on(client.build().unwrap().get(nobody.url("/")).send()).unwrap_err();
    assert_eq!(error.attempts().len(), 1);

    drop(files);
    assert_eq!(block_on(send(&transport, "POST", &server)).unwrap(), 200);
}
