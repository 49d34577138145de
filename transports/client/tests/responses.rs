//! What a call ends with: whole responses, and bodies as they arrive (R-C-4, R-C-10, R-D-8).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail"
)]

mod common;

use core::time::Duration;

use common::{Piece, answer, block_on, builder, client, fails, hangs, status};
use http_body_util::BodyExt as _;
use redial_client::engine::{Delivery, FailureKind, Reason};
use redial_client::{Error, RequestBuilder, Response, StreamingResponse};

const HELLO: &[Piece] = &[Piece::Data(b"hello "), Piece::Data(b"world")];
const CUT: &[Piece] = &[Piece::Data(b"hello "), Piece::Fails(FailureKind::Truncated)];
const ENDLESS: &[Piece] = &[Piece::Data(b"hello "), Piece::Hangs];

fn buffered(call: RequestBuilder) -> Result<Response, Error> {
    block_on(call.send())
}

fn streamed(call: RequestBuilder) -> Result<StreamingResponse, Error> {
    block_on(call.send_streaming())
}

#[test]
fn the_futures_of_calls_can_be_moved_between_threads() {
    fn is_send(_: impl Send) {}
    let (client, _) = client([]);
    is_send(client.get("http://h/").send());
    is_send(client.get("http://h/").send_streaming());
}

#[test]
fn a_whole_body_is_part_of_the_attempt() {
    let (client, script) = client([answer(200, CUT), answer(200, HELLO)]);
    let response = buffered(client.get("http://h/")).unwrap();
    assert_eq!(response.body(), "hello world");
    assert_eq!(response.attempts().len(), 2);
    assert_eq!(script.sent().len(), 2);
}

#[test]
fn a_streaming_caller_has_the_response_when_its_head_is_there() {
    let (client, script) = client([status(503), answer(200, CUT)]);
    let mut response = streamed(client.get("http://h/?secret")).unwrap();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 2));
    assert_eq!(block_on(response.chunk()).unwrap().unwrap(), "hello ");
    let error = block_on(response.chunk()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Truncated);
    assert!(error.is_body());
    assert_eq!(error.attempts().len(), 2, "the history is kept");
    assert!(!error.to_string().contains("secret"), "{error}");
    assert!(block_on(response.chunk()).unwrap().is_none(), "after an error comes the end");
    assert_eq!(script.sent().len(), 2, "nothing is retried after the head");
}

/// A status that is not retried comes with its live body, whatever it is.
#[test]
fn a_final_response_streams_whatever_its_status() {
    for code in [200, 204, 302, 404, 501] {
        let (client, _) = client([answer(code, HELLO)]);
        let response = streamed(client.get("http://h/")).unwrap();
        assert_eq!((response.status().as_u16(), response.reason()), (code, None));
        assert_eq!(block_on(response.bytes()).unwrap(), "hello world");
    }
    let (client, _) = client([answer(503, ENDLESS)]);
    let mut response = streamed(client.post("http://h/")).unwrap();
    assert_eq!(response.reason(), Some(Reason::NotRepeatable));
    assert_eq!(block_on(response.chunk()).unwrap().unwrap(), "hello ");
}

/// R-P-10: no connection is held while a call sleeps, and what was read is kept.
#[test]
fn a_response_that_is_retried_is_drained_for_a_moment() {
    let (client, script) = client([answer(503, ENDLESS), status(200)]);
    buffered(client.get("http://h/")).unwrap();
    let sent = script.sent();
    let between = sent[1].at.saturating_since(sent[0].at);
    // The drain of at most 100 ms is part of the wait, and not another one before it.
    assert!(between >= Duration::from_millis(800), "{between:?}");
    assert!(between <= Duration::from_millis(1_000), "{between:?}");
}

#[test]
fn a_call_that_gives_up_later_hands_over_what_was_kept() {
    let script = || [answer(503, ENDLESS), fails(FailureKind::Connect, Delivery::Unsent)];
    let (client, _) = client(script());
    let two = 2.try_into().unwrap();
    let response = buffered(client.get("http://h/").max_attempts(two)).unwrap();
    assert_eq!(response.reason(), Some(Reason::AttemptsExhausted));
    assert_eq!((response.text().as_ref(), response.is_complete()), ("hello ", false));
    assert_eq!(response.attempts().len(), 2);

    let (client, _) = common::client(script());
    let mut response = streamed(client.get("http://h/").max_attempts(two)).unwrap();
    assert_eq!(block_on(response.chunk()).unwrap().unwrap(), "hello ");
    let error = block_on(response.chunk()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::Truncated, "a part never looks like the whole");
}

#[test]
fn the_largest_body_is_set_for_a_client_and_for_a_call() {
    let rows = [(11, None, true), (10, None, false), (10, Some(11), true), (11, Some(5), false)];
    for (of_client, of_call, fits) in rows {
        for streaming in [false, true] {
            let (builder, script) = builder([answer(200, HELLO), answer(200, HELLO)]);
            let client = builder.max_response_bytes(of_client).build().unwrap();
            let call = client.get("http://h/");
            let call = match of_call {
                Some(bytes) => call.max_response_bytes(bytes),
                None => call,
            };
            let result = match streaming {
                false => buffered(call).map(|response| response.body().clone()),
                true => block_on(streamed(call).unwrap().bytes()),
            };
            match result {
                Ok(body) => assert!(fits && body == "hello world"),
                Err(error) => {
                    assert!(!fits, "{error}");
                    assert_eq!(error.kind(), FailureKind::ResponseTooLarge);
                }
            }
            assert_eq!(script.sent().len(), 1, "it is final");
        }
    }
}

#[test]
fn a_streaming_body_is_a_body_and_a_stream() {
    let (client, _) = client([answer(200, HELLO), answer(200, HELLO)]);
    let body = streamed(client.get("http://h/")).unwrap().into_body();
    assert_eq!(block_on(body.collect()).unwrap().to_bytes(), "hello world");
    // What one call streams in, another can send on.
    let body = streamed(client.get("http://h/")).unwrap().into_body();
    let (to, script) = common::client([status(200)]);
    block_on(to.post("http://h/").body(redial_client::Body::once(body)).send()).unwrap();
    assert_eq!(script.sent()[0].body(), b"hello world");
}

#[test]
fn text_is_utf_8_or_latin_1() {
    const BYTES: &[Piece] = &[Piece::Data(b"caf\xe9")];
    let rows = [
        (None, "caf\u{fffd}"),
        (Some("text/plain"), "caf\u{fffd}"),
        (Some("text/plain; charset=utf-8"), "caf\u{fffd}"),
        (Some("text/plain; charset=ISO-8859-1"), "caf\u{e9}"),
        (Some("text/plain; x=y; Charset=\"iso-8859-1\""), "caf\u{e9}"),
        (Some("charset=iso-8859-1"), "caf\u{fffd}"),
    ];
    for (media_type, expected) in rows {
        let step = answer(200, BYTES);
        let step = match media_type {
            Some(value) => step.header("content-type", value),
            None => step,
        };
        let (client, _) = client([step]);
        assert_eq!(buffered(client.get("http://h/")).unwrap().text(), expected, "{media_type:?}");
    }
}

#[cfg(feature = "json")]
#[test]
fn json_is_read_or_the_error_says_so() {
    let (client, _) = client([answer(200, &[Piece::Data(b"[1, 2]")]), answer(200, HELLO)]);
    let numbers: Vec<u8> = buffered(client.get("http://h/")).unwrap().json().unwrap();
    assert_eq!(numbers, [1, 2]);
    let response = streamed(client.get("http://h/p?secret")).unwrap();
    let error = block_on(response.json::<Vec<u8>>()).unwrap_err();
    assert!(error.is_decode() && !error.is_status() && !error.is_body());
    assert_eq!(error.status().unwrap().as_u16(), 200);
    assert!(
        core::error::Error::source(&error).unwrap().to_string().contains("line 1"),
        "{error:?}"
    );
    assert_eq!(error.url(), Some("http://h/p"));
    assert_eq!(error.attempts().len(), 1);
}

#[test]
fn error_for_status_keeps_the_history() {
    for streaming in [false, true] {
        let (client, _) = client([answer(503, HELLO), answer(404, HELLO), answer(302, HELLO)]);
        let error = match streaming {
            false => buffered(client.get("http://h/")).unwrap().error_for_status().unwrap_err(),
            true => streamed(client.get("http://h/")).unwrap().error_for_status().unwrap_err(),
        };
        assert!(error.is_status() && !error.is_timeout() && !error.is_body());
        assert_eq!((error.status().unwrap().as_u16(), error.attempts().len()), (404, 2));
        assert_eq!(error.failure(), None);
        assert_eq!(error.to_string(), "the server answered 404 Not Found (http://h/)");
        let redirect = buffered(client.get("http://h/")).unwrap().error_for_status();
        assert_eq!(redirect.unwrap().status(), 302, "no redirect is an error (R-C-13)");
    }
}

/// R-C-10: the questions that `reqwest` answers too.
#[test]
fn an_error_says_what_kind_it_is() {
    let rows = [
        (FailureKind::Resolve, Delivery::Unsent, "connect"),
        (FailureKind::Connect, Delivery::Unsent, "connect"),
        (FailureKind::Tls, Delivery::Unsent, "connect"),
        (FailureKind::ConnectTimeout, Delivery::Unsent, "connect timeout"),
        (FailureKind::ReadTimeout, Delivery::Unknown, "timeout"),
        (FailureKind::ReadTimeout, Delivery::Answered, "timeout body"),
        (FailureKind::Truncated, Delivery::Answered, "body"),
        (FailureKind::InvalidRequest, Delivery::Unsent, "request"),
        (FailureKind::Reset, Delivery::Unknown, ""),
    ];
    let one = 1.try_into().unwrap();
    for (kind, delivery, expected) in rows {
        let (client, _) = client([fails(kind, delivery)]);
        let error = buffered(client.get("http://h/").max_attempts(one)).unwrap_err();
        let answers = [
            (error.is_connect(), "connect"),
            (error.is_timeout(), "timeout"),
            (error.is_body(), "body"),
            (error.is_request(), "request"),
        ];
        let yes: Vec<_> = answers.iter().filter(|it| it.0).map(|it| it.1).collect();
        assert_eq!(yes.join(" "), expected, "{kind} {delivery}");
        assert_eq!(error.kind(), kind);
    }
}

#[test]
fn the_limits_of_the_attempt_reach_the_transport() {
    let (client, script) = client([hangs(), status(200)]);
    let call = client.get("http://h/").attempt_timeout(Duration::from_secs(3));
    let response = streamed(call.timeout(Duration::from_secs(60))).unwrap();
    assert_eq!(response.attempts().len(), 2);
    let sent = script.sent();
    assert_eq!(sent[0].cutoff.unwrap().kind(), FailureKind::AttemptTimeout);
    assert!(sent[1].at.as_nanos() >= 3_800_000_000, "{}", sent[1].at);
}
