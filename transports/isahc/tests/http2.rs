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

use common::{SOON, block_on, timeouts};
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

/// A row: what the server does, what is seen of it, and how many connections curl makes.
struct Row {
    id: &'static str,
    server: FaultServer,
    seen: &'static [(&'static str, &'static str)],
    /// For a request without a body; with one it is always one.
    connections: usize,
}

/// curl sends what was refused again, five times, and says then what a reset says.
const RESENT: &[(&str, &str)] = &[("reset", "unknown")];
const CLOSED: &[(&str, &str)] = &[("closed", "unknown")];
const STREAM: &[(&str, &str)] = &[("stream_reset", "unknown")];
const CUT: &[(&str, &str)] = &[("truncated", "answered")];
const SILENT: &[(&str, &str)] = &[("read_timeout", "unknown")];
/// curl says CURLE_HTTP2 of both, and may say it late.
const NO_HTTP2: &[(&str, &str)] = &[("closed", "unknown"), ("read_timeout", "unknown")];

/// The ids are those of the vectors. Declared are `RESENT`, `NO_HTTP2`, the timeout for streams that
/// the server allows none of, and `CUT` for a GOAWAY inside a body.
fn rows() -> Vec<Row> {
    let wait = || Step::AwaitClose { within: SOON };
    let plain = |then, end| server(settings(&[]), then, end);
    let early = server([settings(&[]), goaway(0, 0)].concat(), vec![], wait());
    let text = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok".to_vec();
    let none = server(settings(&[0, 3, 0, 0, 0, 0]), vec![], wait());
    let row = |id, server, seen, connections| Row { id, server, seen, connections };
    vec![
        row("h2-refused-stream", plain(reset(7), wait()), RESENT, 6),
        row("h2-goaway-unprocessed", plain(goaway(0, 0), wait()), RESENT, 6),
        row("h2-goaway-before-request", early, RESENT, 6),
        row("h2-goaway-processed-close", plain(goaway(1, 0), Step::Close), CLOSED, 1),
        row("h2-goaway-err-processed", plain(goaway(1, 2), Step::Close), CLOSED, 1),
        row("h2-rst-internal", plain(reset(2), wait()), STREAM, 1),
        row(
            "h2-rst-cancel-midbody",
            plain([half(), reset(8)].concat(), wait()),
            &[("stream_reset", "answered")],
            1,
        ),
        row("h2-rst-noerror", plain(reset(0), wait()), STREAM, 1),
        row("h2-close-after-headers", plain(vec![], Step::Close), CLOSED, 1),
        row("h2-tcp-rst-after-headers", plain(vec![], Step::Reset), &[("reset", "unknown")], 1),
        row("h2-close-midbody", plain(half(), Step::Close), CUT, 1),
        row("h2-silent", plain(vec![], wait()), SILENT, 1),
        row("h2-bad-frame", plain(frame(4, 0, 0, &[1, 2, 3]), wait()), NO_HTTP2, 1),
        row("h2-http1-reply", server(text, vec![], wait()), NO_HTTP2, 1),
        row("h2-max-streams-0", none, SILENT, 1),
        row("h2-goaway-midbody", plain([half(), goaway(1, 2)].concat(), Step::Close), CUT, 1),
    ]
}

#[test]
fn every_row_without_a_body_that_may_be_repeated() {
    for row in rows() {
        let failure = send(&row.server, &Method::GET, 0).unwrap_err().failure();
        let seen = (failure.kind.name(), failure.delivery.name());
        assert!(row.seen.contains(&seen), "{}: {seen:?}", row.id);
        assert_eq!(row.server.log().connections().len(), row.connections, "{}", row.id);
    }
}

/// R-X-6: one connection, and so one request, also where the server has refused it.
#[test]
fn every_row_with_a_request_that_must_not_be_repeated() {
    for upload in [0, 100] {
        for row in rows() {
            let failure = send(&row.server, &Method::POST, upload).unwrap_err().failure();
            let seen = (failure.kind.name(), failure.delivery.name());
            let resent = row.connections > 1 && CLOSED.contains(&seen);
            assert!(resent || row.seen.contains(&seen), "{} {upload}: {seen:?}", row.id);
            assert_eq!(row.server.log().connections().len(), 1, "{} {upload}", row.id);
        }
    }
}

/// R-T-3: a window that never opens is a peer that accepts nothing.
#[test]
fn a_window_that_never_opens_is_a_write_timeout() {
    let server = server(settings(&[]), vec![], Step::AwaitClose { within: SOON });
    let failure = send(&server, &Method::POST, 1_000_000).unwrap_err().failure();
    assert_eq!((failure.kind.name(), failure.delivery.name()), ("write_timeout", "unknown"));
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
