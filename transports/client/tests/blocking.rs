//! The blocking twin (R-C-7).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail"
)]

mod common;

use core::error::Error as _;
use core::mem;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::collections::BTreeSet;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, mpsc};
use std::thread;

use common::{Piece, Reads, Script, Step, answer, fails, status};
use http_body::Body as _;
use redial_client::blocking::{Client, ClientBuilder};
use redial_client::engine::{Delivery, FailureKind, Reason};
use redial_client::{Body, Error};

const HELLO: &[Piece] = &[Piece::Data(b"hello "), Piece::Data(b"world")];

fn client(steps: impl IntoIterator<Item = Step>) -> (Client, Script) {
    let (builder, script) = common::builder(steps);
    (ClientBuilder::from_parts(builder, ()).build().unwrap(), script)
}

/// The names of public methods in the source of one of the twins.
fn names(source: &str, from: &str) -> BTreeSet<String> {
    let block = source.split_once(from).unwrap().1;
    let block = block.split_once("\n}\n").unwrap().0;
    // Without `pub` are those that a macro makes, and those that nobody outside sees.
    let starts = ["pub fn ", "pub const fn ", "pub async fn ", "fn "];
    let named = block.lines().filter_map(|line| {
        let rest = starts.iter().find_map(|start| line.trim_start().strip_prefix(start))?;
        Some(rest.split(['(', '<']).next()?.to_owned())
    });
    named
        .chain(
            block
                .split("methods!(")
                .skip(1)
                .flat_map(|list| list.split(')').next().unwrap().split(' ').map(str::to_owned)),
        )
        .collect()
}

#[test]
fn the_twins_have_the_same_names() {
    let rows = [
        (
            include_str!("../src/request.rs"),
            include_str!("../src/blocking/request.rs"),
            "impl RequestBuilder {",
            &["authorization", "body_of", "wrong"][..],
        ),
        (
            include_str!("../src/builder.rs"),
            include_str!("../src/blocking/client.rs"),
            "impl ClientBuilder {",
            &[],
        ),
        (
            include_str!("../src/client.rs"),
            include_str!("../src/blocking/client.rs"),
            "impl Client {",
            &["builder"],
        ),
        (
            include_str!("../src/streaming.rs"),
            include_str!("../src/blocking/streaming.rs"),
            "impl StreamingResponse {",
            &["with_bytes", "into_body", "into_http"],
        ),
    ];
    for (of_async, of_blocking, block, own) in rows {
        let mut expected = names(of_async, block);
        assert!(expected.len() > 10, "{expected:?}");
        for name in own {
            assert!(expected.remove(*name), "{name} is not there");
        }
        let missing: Vec<_> = expected.difference(&names(of_blocking, block)).cloned().collect();
        assert!(missing.is_empty(), "{block} of the blocking twin lacks {missing:?}");
    }
}

#[test]
fn a_call_is_made_and_retried_on_any_thread() {
    let (client, script) = client([status(503), answer(200, HELLO)]);
    let worker = thread::spawn(move || client.get("http://h/").send().unwrap());
    let response = worker.join().unwrap();
    assert_eq!((response.text().as_ref(), response.attempts().len()), ("hello world", 2));
    assert_eq!(script.sent().len(), 2);
}

#[test]
fn inside_an_async_task_it_works_as_well() {
    let (client, _) = client([answer(200, HELLO)]);
    let text =
        common::block_on(async { client.get("http://h/").send().unwrap().text().into_owned() });
    assert_eq!(text, "hello world");
}

#[test]
fn a_streaming_response_is_a_reader() {
    let (client, _) = client([answer(200, HELLO), answer(200, HELLO)]);
    let mut text = String::new();
    client.get("http://h/").send_streaming().unwrap().read_to_string(&mut text).unwrap();
    assert_eq!(text, "hello world");

    let mut response = client.get("http://h/").send_streaming().unwrap();
    let mut two = [0; 2];
    response.read_exact(&mut two).unwrap();
    assert_eq!(&two, b"he");
    assert_eq!(response.chunk().unwrap().unwrap(), "llo ", "what was not read is not lost");
    response.read_exact(&mut two).unwrap();
    assert_eq!(response.text().unwrap(), "rld", "nor is it here");
}

/// R-C-4: also of a response that was kept while the call went on.
#[test]
fn what_was_not_read_of_a_kept_response_is_not_lost() {
    for read in [0, 2, 11] {
        let failure = fails(FailureKind::Connect, Delivery::Unsent);
        let (client, _) = client([answer(503, HELLO), failure]);
        let call = client.get("http://h/").max_attempts(2.try_into().unwrap());
        let mut response = call.send_streaming().unwrap();
        assert_eq!(response.reason(), Some(Reason::AttemptsExhausted));
        let mut some = vec![0; read];
        response.read_exact(&mut some).unwrap();
        let whole = [some.as_slice(), response.text().unwrap().as_bytes()].concat();
        assert_eq!(whole, b"hello world", "after {read} bytes");
    }
}

#[test]
fn a_reader_fails_with_the_error_of_the_call() {
    for (kind, expected) in [
        (FailureKind::ReadTimeout, io::ErrorKind::TimedOut),
        (FailureKind::Truncated, io::ErrorKind::Other),
    ] {
        let body: &'static [Piece] = Box::leak(Box::new([Piece::Data(b"x"), Piece::Fails(kind)]));
        let (client, _) = client([answer(200, body)]);
        let mut response = client.get("http://h/").send_streaming().unwrap();
        let error = response.read_to_end(&mut Vec::new()).unwrap_err();
        assert_eq!(error.kind(), expected);
        let inner = error.get_ref().unwrap().downcast_ref::<Error>().unwrap();
        assert_eq!(inner.kind(), kind);
    }
}

#[test]
fn a_body_is_read_from_a_reader_once() {
    let (client, script) = client([status(200), status(503).reads(Reads::Pieces(1))]);
    let large = vec![7; 100_000];
    let body = Body::from_reader(Cursor::new(large.clone()));
    client.put("http://h/").body(body).send().unwrap();
    assert_eq!(script.sent()[0].body(), large);

    let body = Body::from_reader(Cursor::new(large));
    let response = client.put("http://h/").body(body).send().unwrap();
    assert_eq!(response.reason(), Some(Reason::BodySpent));
}

#[test]
fn a_reader_that_fails_ends_the_call() {
    struct Broken(bool);
    impl Read for Broken {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            assert!(!self.0, "a reader may panic, too");
            Err(io::Error::other("the disk is gone"))
        }
    }
    for (panics, message) in [(false, "the disk is gone"), (true, "the reader panicked")] {
        let (client, _) = client([status(200)]);
        let call = client.put("http://h/").body(Body::from_reader(Broken(panics)));
        let error = call.send().unwrap_err();
        assert_eq!(error.kind(), FailureKind::InvalidRequest);
        assert_eq!(error.source().unwrap().to_string(), message);
    }
}

/// A reader that has one byte, and then panics.
struct Panicking {
    has_byte: bool,
    /// Closed when the reader is dropped, and its thread has said all that it will.
    _alive: mpsc::Sender<()>,
}

impl Read for Panicking {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(mem::take(&mut self.has_byte), "a reader may panic after a good piece, too");
        buffer[0] = b'x';
        Ok(1)
    }
}

#[test]
fn a_reader_that_panics_before_its_last_piece_is_taken_makes_no_whole_body() {
    for length in [None, Some(1)] {
        let (alive, dropped) = mpsc::channel();
        let body = Body::from_reader(Panicking { has_byte: true, _alive: alive });
        let mut body = length.into_iter().fold(body, Body::with_length);
        let mut next = || {
            let mut context = Context::from_waker(Waker::noop());
            Pin::new(&mut body).poll_frame(&mut context)
        };
        // This begins the thread; how it ended is known before anybody asks again.
        let mut frame = next();
        dropped.recv().unwrap_err();
        while matches!(frame, Poll::Pending | Poll::Ready(Some(Ok(_)))) {
            frame = next();
        }
        assert!(matches!(frame, Poll::Ready(Some(Err(_)))), "{length:?}: {frame:?}");
    }
}

#[test]
fn the_guard_lives_as_long_as_anything_that_needs_it() {
    struct Guard(Arc<AtomicBool>);
    impl Drop for Guard {
        fn drop(&mut self) {
            self.0.store(true, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicBool::new(false));
    let (inner, _) = common::client([answer(200, HELLO)]);
    let client = Client::from_parts(inner, Guard(Arc::clone(&dropped)));
    let call = client.clone().get("http://h/").timeout(Duration::from_secs(60));
    drop(client);
    let response = call.send_streaming().unwrap();
    assert!(!dropped.load(Ordering::SeqCst));
    assert_eq!(response.text().unwrap(), "hello world");
    assert!(dropped.load(Ordering::SeqCst));
}
