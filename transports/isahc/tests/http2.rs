//! Every way in which an HTTP/2 server may fail a request, as curl reports it, and how often curl
//! sends by itself.

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
use common::{SOON, block_on, ok, timeouts};
use http::{Method, Request};
use http_body_util::BodyExt;
use redial_client::{Body, Exchange, Protocol, Settings, Transport, TransportError};
use redial_conformance::{FaultServer, Script, Step};
use redial_isahc::IsahcTransport;

const TIMEOUT: Duration = Duration::from_millis(400);

/// A frame of HTTP/2 (RFC 9113 4.1).
fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u8::try_from(payload.len()).unwrap();
    [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
}

fn settings(payload: &[u8]) -> Vec<u8> {
    frame(4, 0, 0, payload)
}

fn reset(code: u8) -> Vec<u8> {
    frame(3, 0, 1, &[0, 0, 0, code])
}

fn goaway(last: u8, code: u8) -> Vec<u8> {
    frame(7, 0, 0, &[0, 0, 0, last, 0, 0, 0, code])
}

/// `:status: 200`, and a part of the body.
fn half() -> Vec<u8> {
    [frame(1, 4, 1, &[0x88]), frame(0, 0, 1, b"four")].concat()
}

/// Sends its settings, lets the request come, and goes on so.
fn server(first: Vec<u8>, then: Vec<u8>, end: Step) -> FaultServer {
    let pause = Step::Pause(Duration::from_millis(50));
    let steps = vec![
        Step::AwaitData { within: SOON },
        Step::Write(first),
        pause.clone(),
        Step::Write(then),
        pause,
        end,
    ];
    FaultServer::start(Script::connections(vec![]).otherwise(steps)).unwrap()
}

/// What a server does, by the id of its row in the vectors.
fn rows() -> Vec<(&'static str, FaultServer)> {
    let wait = || Step::AwaitClose { within: SOON };
    let plain = |then, end| server(settings(&[]), then, end);
    let early = server([settings(&[]), goaway(0, 0)].concat(), vec![], wait());
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let none = server(settings(&[0, 3, 0, 0, 0, 0]), vec![], wait());
    vec![
        ("h2-refused-stream", plain(reset(7), wait())),
        ("h2-goaway-unprocessed", plain(goaway(0, 0), wait())),
        ("h2-goaway-before-request", early),
        ("h2-goaway-processed-close", plain(goaway(1, 0), Step::Close)),
        ("h2-goaway-err-processed", plain(goaway(1, 2), Step::Close)),
        ("h2-rst-internal", plain(reset(2), wait())),
        ("h2-rst-cancel-midbody", plain([half(), reset(8)].concat(), wait())),
        ("h2-rst-noerror", plain(reset(0), wait())),
        ("h2-close-after-headers", plain(vec![], Step::Close)),
        ("h2-tcp-rst-after-headers", plain(vec![], Step::Reset)),
        ("h2-close-midbody", plain(half(), Step::Close)),
        ("h2-silent", plain(vec![], wait())),
        ("h2-bad-frame", plain(frame(4, 0, 0, &[1, 2, 3]), wait())),
        ("h2-http1-reply", server(text, vec![], wait())),
        ("h2-max-streams-0", none),
        ("h2-goaway-midbody", plain([half(), goaway(1, 2)].concat(), Step::Close)),
    ]
}

/// As the vectors say, or as the crate declares, how often curl itself sends included.
fn play(method: &Method, upload: usize) {
    let threads = rows().into_iter().map(|(row, server)| {
        let method = method.clone();
        thread::spawn(move || {
            let error = send(&server, &method, upload).unwrap_err();
            let declared = vectors::hold(row, &method, &Seen::from(&error))
                .unwrap_or_else(|why| panic!("{method} {row} with {upload} bytes: {why}"));
            // One request comes over each connection, unless the server has gone before it.
            let sent = declared.map_or(1, |declared| declared.sent);
            assert_eq!(server.log().connections().len(), sent, "{method} {row} {upload}");
        })
    });
    let threads: Vec<_> = threads.collect();
    let failed = threads.into_iter().map(thread::JoinHandle::join).filter(Result::is_err);
    assert_eq!(failed.count(), 0, "see above");
}

#[test]
fn every_row_without_a_body_that_may_be_repeated() {
    play(&Method::GET, 0);
}

/// R-X-6: one connection, and so one request, also where the server has refused it.
#[test]
fn every_row_with_a_request_that_must_not_be_repeated() {
    play(&Method::POST, 0);
    play(&Method::POST, 100);
}

/// R-T-3: a window that never opens is a peer that accepts nothing.
#[test]
fn a_window_that_never_opens_is_a_write_timeout() {
    let server = server(settings(&[]), vec![], Step::AwaitClose { within: SOON });
    let failure = send(&server, &Method::POST, 1_000_000).unwrap_err().failure();
    assert_eq!((failure.kind.name(), failure.delivery.name()), ("write_timeout", "unknown"));
}

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

fn send(server: &FaultServer, method: &Method, upload: usize) -> Result<u16, TransportError> {
    let mut settings = Settings::default();
    settings.protocol = Protocol::Http2PriorKnowledge;
    let transport = IsahcTransport::with(settings).unwrap();
    let body = Body::from(vec![b'x'; upload]);
    let request = Request::builder().method(method).uri(server.url("/")).body(body).unwrap();
    block_on(async {
        let answer = transport.send(Exchange::of(request, timeouts(TIMEOUT)).unwrap()).await?;
        let status = answer.response.status().as_u16();
        answer.response.into_body().collect().await?;
        Ok(status)
    })
}
