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
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;
use std::fs::File;
use std::thread;

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

/// What others in the process close while curl connects is no reason to blame the network.
fn others_come_and_go(transport: &IsahcTransport, server: &FaultServer, low: File) {
    let over = AtomicBool::new(false);
    let failures: Vec<_> = thread::scope(|scope| {
        scope.spawn(|| {
            let mut low = Some(low);
            while !over.load(Ordering::Relaxed) {
                thread::sleep(Duration::from_micros(200));
                drop(low.take());
                thread::yield_now();
                low = File::open("/dev/null").ok();
            }
        });
        // Whoever gets the number that came free is connected.
        let sent = (0..300).map(|_| block_on(send(transport, "POST", server)).err());
        let failures = sent.flatten().map(|error| error.failure()).collect();
        over.store(true, Ordering::Relaxed);
        failures
    });
    for failure in failures {
        assert_eq!((failure.kind, failure.delivery), (FailureKind::LocalLimit, Delivery::Unsent));
    }
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

    let mut files: Vec<_> = (0..2000)
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
    // The lowest: it was opened first.
    others_come_and_go(&transport, &server, files.remove(0));
    // Final: another attempt would meet the same.
    let client = common::client_of(transport.clone()).policy(StandardPolicy::default());
    let error = block_on(client.build().unwrap().get(nobody.url("/")).send()).unwrap_err();
    assert_eq!(error.attempts().len(), 1);

    drop(files);
    assert_eq!(block_on(send(&transport, "POST", &server)).unwrap(), 200);
}
