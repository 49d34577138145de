//! HTTP/2 as far as curl shares its connections.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::error::Error as _;
use core::num::NonZeroU32;
use core::time::Duration;
use std::thread;

use common::{SOON, block_on, ok};
use http::Method;
use redial_client::{ClientBuilder, Protocol, Settings};
use redial_conformance::{ErrorCode, FaultServer, Frame, Http2, Script, Step};
use redial_engine::{Delivery, FailureKind};
use redial_isahc::{IsahcTransport, RequestHeadLimit};

fn client() -> ClientBuilder {
    let mut settings = Settings::default();
    settings.protocol = Protocol::Http2PriorKnowledge;
    common::client_of(IsahcTransport::with(settings).unwrap())
}

#[test]
fn calls_in_sequence_share_a_connection_and_all_have_slots() {
    let steps = vec![Step::Pause(Duration::from_millis(100)), ok().step()];
    let server = FaultServer::start(Script::requests(vec![]).otherwise(steps)).unwrap();
    let client = client().build().unwrap();
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

/// R-T-3, as it is declared: what curl has taken of a body waits unseen for its window.
#[test]
fn a_body_that_curl_has_taken_waits_as_for_its_response() {
    let script = Script::connections(vec![vec![
        Step::Preface(Http2::new().initial_window_size(0).without_window_updates()),
        Step::ReadHead,
        ok().step(),
        Step::ReadHead,
        Step::AwaitClose { within: SOON },
    ]]);
    let server = FaultServer::start(script).unwrap();
    let client = client().build().unwrap();
    // The server's settings have come with the first response.
    assert_eq!(block_on(client.get(server.url("/")).send()).unwrap().text(), "ok");
    let put = client.put(server.url("/")).body("x").max_attempts(NonZeroU32::MIN);
    let put =
        put.read_timeout(Duration::from_millis(600)).write_timeout(Duration::from_millis(200));
    let failure = block_on(put.send()).unwrap_err().failure().unwrap();
    assert_eq!((failure.kind, failure.delivery), (FailureKind::ReadTimeout, Delivery::Unknown));
}

/// R-D-3: a connection whose peer is gone, without a word, does not keep the next attempt.
#[test]
fn a_silent_connection_serves_no_second_attempt() {
    let silent =
        vec![Step::Preface(Http2::new()), Step::ReadRequest, Step::AwaitClose { within: SOON }];
    let answers = vec![Step::Preface(Http2::new()), Step::ReadRequest, ok().step()];
    let server = FaultServer::start(Script::connections(vec![silent, answers])).unwrap();
    let client = client().build().unwrap();
    let call = client.get(server.url("/")).read_timeout(Duration::from_millis(300));
    let response = block_on(call.send()).unwrap();
    assert_eq!((response.text(), response.attempts().len()), ("ok".into(), 2));
    assert_eq!(server.log().connections().len(), 2);
}

/// R-X-6: a stream that is reset because HTTP/1.1 is required, curl sends again by that, whatever the
/// method. What must not be repeated has no end then.
#[test]
fn what_must_not_be_repeated_is_not_whole_where_curl_goes_on_by_http1() {
    let required = Frame::rst_stream(ErrorCode::HTTP_1_1_REQUIRED);
    for (method, body) in [(Method::POST, ""), (Method::POST, "four"), (Method::PATCH, "")] {
        let script = Script::connections(vec![
            vec![
                Step::Preface(Http2::new()),
                Step::ReadRequest,
                Step::Send(vec![required.clone()]),
                Step::Pause(Duration::from_millis(300)),
            ],
            vec![Step::ReadRequest, ok().step()],
        ]);
        let server = FaultServer::start(script).unwrap();
        let call = client().build().unwrap().call(method.clone(), server.url("/")).body(body);
        let error = block_on(call.send()).unwrap_err();
        let failure = error.failure().unwrap();
        let seen = (failure.kind, failure.delivery);
        assert_eq!(seen, (FailureKind::StreamReset, Delivery::Unknown), "{method} {body}");
        let log = server.log();
        let whole = log.requests().iter().filter(|request| request.complete).count();
        assert_eq!(whole, 1, "{method} {body}");
    }
}

/// R-D-7, as it is declared: what may be repeated is repeated; and R-X-4: what comes of it is no end
/// of a response that had begun.
#[test]
fn what_may_be_repeated_goes_on_by_http1() {
    let required = || Frame::rst_stream(ErrorCode::HTTP_1_1_REQUIRED);
    let head = || Frame::headers([(":status", "200")]);
    let cut = Err((FailureKind::StreamReset, Delivery::Answered));
    let cases = [
        (vec![required()], Ok("ok".to_owned())),
        (vec![head(), Frame::data("half, and "), required()], cut),
    ];
    for (frames, end) in cases {
        let script = Script::connections(vec![
            vec![
                Step::Preface(Http2::new()),
                Step::ReadRequest,
                Step::Send(frames),
                Step::Pause(Duration::from_millis(300)),
            ],
            vec![Step::ReadRequest, ok().step()],
        ]);
        let server = FaultServer::start(script).unwrap();
        let call = client().build().unwrap().get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let seen = block_on(call.send()).map(|response| response.text().into_owned());
        let seen = seen.map_err(|error| {
            let failure = error.failure().unwrap();
            (failure.kind, failure.delivery)
        });
        assert_eq!(seen, end);
    }
}

/// R-X-4, as it is declared: to curl such a stream was closed cleanly.
#[test]
fn a_reset_that_names_no_error_ends_a_response() {
    let reset = Step::Send(vec![
        Frame::headers([(":status", "200")]),
        Frame::data("half"),
        Frame::rst_stream(ErrorCode::NO_ERROR),
    ]);
    let server = FaultServer::start(Script::requests(vec![vec![reset]])).unwrap();
    let client = client().build().unwrap();
    assert_eq!(block_on(client.get(server.url("/")).send()).unwrap().text(), "half");
}

/// R-C-3, as it is declared: every head that is not refused can be sent, and one that is refused is
/// so before there is a connection.
#[test]
fn a_head_beyond_what_curl_sends_is_refused_before_it_is_sent() {
    let client = client().build().unwrap();
    for (method, body) in [(Method::GET, ""), (Method::PUT, "body"), (Method::POST, "body")] {
        let server = FaultServer::start(Script::requests(vec![]).otherwise(vec![ok().step()]));
        let server = server.unwrap();
        let call = |length: usize| {
            let call = client.call(method.clone(), server.url("/")).body(body);
            block_on(call.header("x", "y".repeat(length)).send())
        };
        // Of these lengths of a header the first is sent, and the other refused.
        let (mut sent, mut refused, mut requests) = (65_000, 66_000, 0);
        while sent + 1 < refused {
            let length = usize::midpoint(sent, refused);
            match call(length) {
                Ok(response) => {
                    assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1));
                    (sent, requests) = (length, requests + 1);
                }
                Err(error) => {
                    let failure = error.failure().unwrap();
                    let seen = (failure.kind, failure.delivery, error.attempts().len());
                    assert_eq!(seen, (FailureKind::LocalLimit, Delivery::Unsent, 1), "{length}");
                    let limit = error.source().unwrap().downcast_ref::<RequestHeadLimit>();
                    assert_eq!(limit, Some(&RequestHeadLimit::Http2), "{length}");
                    refused = length;
                }
            }
        }
        assert_eq!(server.log().requests().len(), requests, "{method}");
        assert!((65_000..65_536).contains(&sent), "{method}: {sent}");
    }
}

/// R-X-2, as it is declared: interim heads end by curl's own limits, of which it says what it says of
/// a connection that broke.
#[test]
fn interim_heads_without_end_are_bounded_by_curl() {
    let long = "y".repeat(8000);
    let cases = [("</a>", FailureKind::Closed), (long.as_str(), FailureKind::Reset)];
    for (link, kind) in cases {
        let frames = vec![Frame::headers([(":status", "103"), ("link", link)])];
        let flood = vec![Step::SendFlood { frames, at_most: 50_000_000 }];
        let server = FaultServer::start(Script::requests(vec![]).otherwise(flood)).unwrap();
        let call = client().build().unwrap().get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let failure = block_on(call.send()).unwrap_err().failure().unwrap();
        assert_eq!((failure.kind, failure.delivery), (kind, Delivery::Unknown));
        let sent = server.log().connections()[0].bytes_out;
        assert!(sent < 20_000_000, "{kind:?} after {sent} bytes");
    }
    let some = vec![Frame::headers([(":status", "103"), ("link", &long)]); 20];
    let steps = vec![Step::Send(some), ok().step()];
    let server = FaultServer::start(Script::requests(vec![steps])).unwrap();
    assert_eq!(
        block_on(client().build().unwrap().get(server.url("/")).send()).unwrap().text(),
        "ok"
    );
}

/// R-X-3: where a head or a trailer breaks off in its middle, HTTP/2 is out of step for all that
/// comes, although curl keeps the connection.
#[test]
fn a_connection_that_is_out_of_step_serves_nothing_more() {
    let hints = vec![Frame::headers([(":status", "103"), ("link", "</a>")]); 3000];
    // One header of 3,000 bytes, and then again and again by its place in the table (RFC 7541 6.1).
    let header =
        [&[0x40, 1, b'x', 0x7f, 0xb9, 0x16], [b'y'; 3000].as_slice(), &[0xbe; 400]].concat();
    let trailers = vec![Frame::new(1, header).end_headers().end_stream()];
    let begun = vec![Frame::headers([(":status", "200")]), Frame::data("half")];
    let cases = [
        ("interim heads", hints, FailureKind::Closed),
        ("trailers", [begun, trailers].concat(), FailureKind::Truncated),
    ];
    for (name, frames, kind) in cases {
        let broken = vec![Step::Send(frames), ok().step()];
        let script = Script::requests(vec![broken]).otherwise(vec![ok().step()]);
        let server = FaultServer::start(script).unwrap();
        let client = client().build().unwrap();
        let first = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
        assert_eq!(block_on(first.send()).unwrap_err().kind(), kind, "{name}");
        assert_eq!(block_on(client.get(server.url("/")).send()).unwrap().text(), "ok", "{name}");
        let log = server.log();
        let seen: Vec<_> = log.requests().iter().map(|request| request.connection).collect();
        assert_eq!(seen, [0, 1], "{name}");
    }
}
