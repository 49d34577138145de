//! Bodies of requests: what is sent again, and what never is (R-D-5, R-C-3).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail"
)]

mod common;

use core::cell::Cell;
use core::error::Error as _;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::Poll;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use common::{Items, Reads, answer, block_on, client, failing, fails, status};
use http_body_util::Full;
use redial_client::Body;
use redial_client::engine::{Delivery, Failure, FailureKind, Reason};

type Item = Result<Bytes, io::Error>;

fn items(pieces: &[&'static str]) -> Items<Item> {
    Items::ready(pieces.iter().map(|piece| Ok(Bytes::from_static(piece.as_bytes()))))
}

fn broken() -> Items<Item> {
    Items::ready([Ok(Bytes::from_static(b"some")), Err(io::Error::other("the disk is gone"))])
}

/// `Send` is enough: a stream need not be `Sync`.
struct NotSync(Items<Item>, Cell<u8>);

impl futures_core::Stream for NotSync {
    type Item = Item;

    fn poll_next(
        mut self: core::pin::Pin<&mut Self>,
        context: &mut core::task::Context<'_>,
    ) -> Poll<Option<Item>> {
        self.1.set(1);
        core::pin::Pin::new(&mut self.0).poll_next(context)
    }
}

#[test]
fn what_can_be_produced_again_is_sent_again_whole() {
    type Row = (&'static str, fn() -> Body, Option<u64>);
    let bodies: [Row; 4] = [
        ("bytes", || Body::from("hello world"), Some(11)),
        ("replayable", || Body::replayable(|| items(&["hello", " ", "world"])), None),
        (
            "replayable of a known length",
            || Body::replayable(|| items(&["hello", "", " world"])).with_length(11),
            Some(11),
        ),
        ("nothing", Body::empty, Some(0)),
    ];
    for (name, body, length) in bodies {
        let (client, script) = client([status(503), status(502), status(200)]);
        let response = block_on(client.put("http://h/").body(body()).send()).unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let sent = script.sent();
        assert_eq!(sent.len(), 3, "{name}");
        for sent in &sent {
            assert_eq!(sent.length, length, "{name}");
            let expected: &[u8] = if name == "nothing" { b"" } else { b"hello world" };
            assert_eq!(sent.body(), expected, "{name}");
        }
    }
}

#[test]
fn a_replayable_stream_is_made_once_an_attempt() {
    let made = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&made);
    let body = Body::replayable(move || {
        counter.fetch_add(1, Ordering::SeqCst);
        items(&["x"])
    });
    let (client, _) = client([status(503), status(200)]);
    block_on(client.put("http://h/").body(body).send()).unwrap();
    assert_eq!(made.load(Ordering::SeqCst), 2);
}

/// R-D-5, whatever else would allow a repetition: the method, the mark, R-D-7.
#[test]
fn a_one_shot_stream_is_never_sent_again_once_something_was_pulled_of_it() {
    let stale = Failure::new(FailureKind::Closed, Delivery::Unsent).on_reused();
    let rows = [
        ("503", status(503)),
        ("503, the first piece alone", status(503).reads(Reads::Pieces(1))),
        ("a reset", fails(FailureKind::Reset, Delivery::Unknown).reads(Reads::Pieces(1))),
        ("a stale connection", failing(stale).reads(Reads::Pieces(1))),
    ];
    for (name, step) in rows {
        let (client, script) = client([step, status(200)]);
        let body = Body::once(items(&["one", "two"]));
        let call = client.put("http://h/").body(body).idempotent();
        let reason = match block_on(call.send()) {
            Ok(response) => response.reason(),
            Err(error) => error.reason(),
        };
        assert_eq!(reason, Some(Reason::BodySpent), "{name}");
        assert_eq!(script.sent().len(), 1, "{name}");
    }
}

#[test]
fn a_one_shot_stream_of_which_nothing_was_pulled_is_sent_by_the_next_attempt() {
    let stale = Failure::new(FailureKind::Closed, Delivery::Unsent).on_reused();
    let unread = |step: common::Step| step.reads(Reads::Pieces(0));
    let rows = [
        ("503", unread(status(503))),
        ("no connection", unread(fails(FailureKind::Connect, Delivery::Unsent))),
        ("a stale connection", unread(failing(stale))),
        ("asked, and nothing there yet", status(503).reads(Reads::Asks)),
    ];
    for (name, step) in rows {
        let mut stream = items(&["one", "two"]);
        stream.0.push_front(Poll::Pending);
        let (client, script) = client([step, status(200)]);
        let response = block_on(client.put("http://h/").body(Body::once(stream)).send()).unwrap();
        assert_eq!(response.status(), 200, "{name}");
        let sent = script.sent();
        assert_eq!(sent.last().unwrap().body(), b"onetwo", "{name}");
        assert_eq!(sent.len(), 2, "{name}");
    }
}

#[test]
fn a_stream_that_fails_ends_the_call_with_its_own_error() {
    for (name, body) in [
        ("once", Body::once(broken())),
        ("replayable", Body::replayable(broken)),
        ("not sync", Body::once(NotSync(broken(), Cell::new(0)))),
    ] {
        let (client, script) = client([status(200), status(200)]);
        let error = block_on(client.put("http://h/").body(body).send()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::InvalidRequest, "{name}");
        assert!(error.is_request(), "{name}");
        assert_eq!(error.source().unwrap().to_string(), "the disk is gone", "{name}");
        assert_eq!(error.attempts().len(), 1, "{name}");
        assert!(script.sent()[0].body_failed, "{name}");
    }
}

#[test]
fn a_stream_of_another_length_than_was_said_never_looks_complete() {
    let rows = [
        ("short", 12, &["hello", " world"][..], "ended before", "hello worl"),
        ("empty", 1, &[], "ended before", ""),
        ("long", 10, &["hello", " world"], "went on beyond", "hello"),
        ("long by a piece", 5, &["hello", " world"], "went on beyond", ""),
        ("not empty", 0, &["x"], "went on beyond", ""),
    ];
    for (name, length, pieces, message, most) in rows {
        let (client, script) = client([status(200), status(200)]);
        let body = Body::replayable(move || items(pieces)).with_length(length);
        let error = block_on(client.put("http://h/").body(body).send()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::InvalidRequest, "{name}");
        assert!(error.source().unwrap().to_string().contains(message), "{name}: {error:?}");
        let sent = script.sent();
        assert_eq!(sent.is_empty(), length == 0, "{name}: a request without a body is complete");
        for sent in sent {
            assert!(sent.body_failed, "{name}");
            assert!((sent.body().len() as u64) < length, "{name}");
            assert!(sent.body().len() <= most.len() + 1, "{name}: {:?}", sent.body());
        }
    }
}

/// R-T-3: a piece is small, so that a peer that accepts nothing can be told from a slow one.
#[test]
fn a_large_body_is_handed_over_in_pieces_of_32_kib() {
    const LARGE: usize = 100_000;
    for body in [
        Body::from(vec![7; LARGE]),
        Body::once(Items::ready([Ok::<_, io::Error>(vec![7; LARGE])])),
        Body::from_http(Full::new(Bytes::from(vec![7; LARGE]))),
    ] {
        let (client, script) = client([status(200)]);
        block_on(client.put("http://h/").body(body).send()).unwrap();
        let sent = script.sent();
        assert_eq!(sent[0].body(), vec![7; LARGE]);
        assert!(sent[0].pieces.iter().all(|piece| piece.len() <= 32 * 1024));
    }
}

#[test]
fn a_body_of_the_http_body_crate_keeps_its_exact_length() {
    let (client, script) = client([status(200)]);
    let body = Body::from_http(Full::new(Bytes::from_static(b"twelve bytes")));
    block_on(client.post("http://h/").body(body).send()).unwrap();
    let sent = script.sent();
    assert_eq!((sent[0].length, sent[0].body()), (Some(12), b"twelve bytes".to_vec()));
}

/// An attempt that lives on somewhere must not pull what belongs to the next one.
#[test]
fn an_earlier_attempt_gets_nothing_of_a_stream_that_a_later_one_has() {
    use http_body_util::BodyExt as _;
    let body = Body::once(items(&["one"]));
    let mut first = body.again().unwrap();
    let mut second = body.again().unwrap();
    assert!(block_on(first.frame()).unwrap().is_err());
    assert_eq!(block_on(second.frame()).unwrap().unwrap().into_data().unwrap(), "one");
    assert!(body.again().is_none(), "something was pulled of it");
}

#[test]
fn a_response_that_is_final_is_handed_over_although_a_one_shot_body_was_sent() {
    let (client, _) = client([answer(413, &[])]);
    let body = Body::once(items(&["one"]));
    let response = block_on(client.post("http://h/").body(body).send()).unwrap();
    assert_eq!((response.status().as_u16(), response.reason()), (413, None));
}
