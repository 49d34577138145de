//! HTTP/2 as far as curl shares its connections.

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

use common::{block_on, ok};
use redial_client::{Protocol, Settings};
use redial_conformance::{FaultServer, Script, Step};
use redial_isahc::IsahcTransport;

#[test]
fn calls_in_sequence_share_a_connection_and_all_have_slots() {
    let steps = vec![Step::Pause(Duration::from_millis(100)), ok().step()];
    let server = FaultServer::start(Script::requests(vec![]).otherwise(steps)).unwrap();
    let mut settings = Settings::default();
    settings.protocol = Protocol::Http2PriorKnowledge;
    let client = common::client_of(IsahcTransport::with(settings).unwrap()).build().unwrap();
    for _ in 0..3 {
        assert_eq!(block_on(client.get(server.url("/")).send()).unwrap().text(), "ok");
    }
    assert_eq!(server.log().connections().len(), 1, "R-P-7");
    let threads = [(); 8].map(|()| {
        let (client, url) = (client.clone(), server.url("/"));
        thread::spawn(move || block_on(client.get(url).send()).unwrap().text().into_owned())
    });
    common::until(|| client.pool().in_use == 8);
    assert_eq!(threads.map(|thread| thread.join().unwrap()), ["ok"; 8]);
    let log = server.log();
    assert!(log.connections().len() <= 8 && log.connections()[0].peak_requests > 1, "R-P-6");
}
