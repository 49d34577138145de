//! Bodies that stream, both ways, and the blocking twin, over real sockets (R-C-3, R-C-4, R-C-7).

use core::error::Error as _;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::VecDeque;
use std::io::{self, Cursor, Read as _};

use bytes::Bytes;
use redial_client::{Body, blocking};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{FailureKind, Reason};

use crate::common::{block_on, finish, ok, replies, requests, silent, timeouts, until_log};
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![
    a_stream_that_is_made_again_crosses_whole_on_every_attempt,
    a_one_shot_stream_is_sent_once,
    a_stream_that_fails_or_is_too_short_ends_the_call,
    a_response_streams_and_gives_its_connection_back,
    a_streamed_response_that_is_cut_is_an_error,
    an_upload_goes_on_while_nobody_reads_the_answer,
    a_response_is_read_beside_its_runtime,
    a_caller_that_reads_slowly_trips_no_timeout,
    the_blocking_twin_works_beside_a_runtime,
];

/// A stream of these pieces.
struct Pieces(VecDeque<io::Result<Bytes>>);

fn pieces(items: impl IntoIterator<Item = io::Result<&'static str>>) -> Pieces {
    Pieces(items.into_iter().map(|item| item.map(Bytes::from)).collect())
}

impl futures_core::Stream for Pieces {
    type Item = io::Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front())
    }
}

fn hello() -> Pieces {
    pieces([Ok("hello "), Ok("world")])
}

async fn a_stream_that_is_made_again_crosses_whole_on_every_attempt(on: On) {
    for (length, framing) in [(None, "transfer-encoding"), (Some(11), "content-length")] {
        let server = replies([Reply::status(503), ok()]);
        let body = Body::replayable(hello);
        let body = match length {
            Some(length) => body.with_length(length),
            None => body,
        };
        let response = on.client().put(server.url("/")).body(body).send().await.unwrap();
        assert_eq!(response.attempts().len(), 2);
        let log = finish(server).await;
        for request in log.requests() {
            assert!(request.complete && request.header(framing).is_some(), "{request:?}");
            assert_eq!(request.body, b"hello world");
        }
        assert_eq!(log.connections().len(), 1, "the connection serves both");
    }
}

async fn a_one_shot_stream_is_sent_once(on: On) {
    let server = replies([Reply::status(503)]);
    let body = Body::once(hello());
    let response = on.client().put(server.url("/")).body(body).send().await.unwrap();
    assert_eq!(response.reason(), Some(Reason::BodySpent));
    assert_eq!(finish(server).await.requests()[0].body, b"hello world");
}

/// Neither looks complete to the server, if it hears of it at all, and neither is sent again.
async fn a_stream_that_fails_or_is_too_short_ends_the_call(on: On) {
    let broken = || pieces([Ok("hello "), Err(io::Error::other("the disk is gone"))]);
    let rows = [
        (Body::replayable(broken), "the disk is gone"),
        (Body::once(broken()), "the disk is gone"),
        (Body::replayable(hello).with_length(12), "the length that was said"),
    ];
    for (body, message) in rows {
        let server = silent();
        let error = on.client().put(server.url("/")).body(body).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (FailureKind::InvalidRequest, 1));
        assert!(error.source().unwrap().to_string().contains(message), "{error:?}");
        let log = finish(server).await;
        assert!(log.requests().iter().all(|request| !request.complete), "{log:?}");
    }
}

async fn a_response_streams_and_gives_its_connection_back(on: On) {
    let server = replies([Reply::status(200).body("x".repeat(200_000)), ok()]);
    let client = on.client();
    let mut response = client.get(server.url("/")).send_streaming().await.unwrap();
    let mut length = 0;
    while let Some(piece) = response.chunk().await.unwrap() {
        length += piece.len();
    }
    assert_eq!(length, 200_000);
    drop(response);
    client.get(server.url("/")).send().await.unwrap();
    assert_eq!(finish(server).await.connections().len(), 1);
}

async fn a_streamed_response_that_is_cut_is_an_error(on: On) {
    let reply = Reply::status(200).header("content-length", "10").body("four").raw();
    let server = requests(vec![vec![reply.step(), Step::Close]]);
    let response = on.client().get(server.url("/")).send_streaming().await.unwrap();
    let error = response.bytes().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Truncated);
    assert_eq!(finish(server).await.requests().len(), 1, "its head had come: R-D-8");
}

async fn an_upload_goes_on_while_nobody_reads_the_answer(on: On) {
    let head = Reply::status(200).header("content-length", "2").raw();
    let early = [Step::ReadHead, head.step(), Step::ReadBody, Step::Write(b"ok".to_vec())];
    let next = [Step::ReadRequest, ok().step()];
    let script = Script::connections(vec![early.into_iter().chain(next).collect()]);
    let server = FaultServer::start(script).unwrap();
    let client = on.client();
    let (source, body) = smol::channel::bounded::<io::Result<Bytes>>(1);
    let call = client.put(server.url("/")).body(Body::once(body));
    let response = call.send_streaming().await.unwrap();
    // Each waits for the one before to be taken, and together they are more than a socket holds.
    for _ in 0..200 {
        source.send(Ok(Bytes::from_static(&[b'x'; 100_000]))).await.unwrap();
    }
    drop(source);
    until_log(&server, |log| log.requests().iter().any(|request| request.complete)).await;
    assert_eq!(response.bytes().await.unwrap(), "ok");
    client.get(server.url("/")).send().await.unwrap();
    assert_eq!(finish(server).await.connections().len(), 1, "R-P-7");
}

async fn a_response_is_read_beside_its_runtime(on: On) {
    let head = Reply::status(200).header("content-length", "8").raw();
    let pause = || Step::Pause(Duration::from_millis(50));
    let halves = [head.step(), pause(), Step::Write(b"four".to_vec()), pause()];
    let steps = halves.into_iter().chain([Step::Write(b"more".to_vec())]).collect();
    let server = requests(vec![steps, vec![ok().step()]]);
    let client = on.client();
    let response = client.get(server.url("/")).send_streaming().await.unwrap();
    let bytes = smol::unblock(|| block_on(response.bytes())).await.unwrap();
    assert_eq!(bytes, "fourmore");
    client.get(server.url("/")).send().await.unwrap();
    assert_eq!(finish(server).await.connections().len(), 1, "R-P-7");
}

async fn a_caller_that_reads_slowly_trips_no_timeout(on: On) {
    // R-T-2: only waiting for bytes is silence. The second half comes long after the first, but
    // shortly after somebody begins to wait for it.
    let head = Reply::status(200).header("content-length", "8").raw();
    let steps = vec![
        Step::Write([head.head(), b"four".to_vec()].concat()),
        Step::Pause(Duration::from_millis(700)),
        Step::Write(b"more".to_vec()),
    ];
    let server = requests(vec![steps]);
    let call = on.client().get(server.url("/")).timeouts(timeouts(Duration::from_millis(400)));
    let mut response = call.send_streaming().await.unwrap();
    assert_eq!(response.chunk().await.unwrap().unwrap(), "four");
    sleep(Duration::from_millis(550)).await;
    assert_eq!(response.chunk().await.unwrap().unwrap(), "more");
    assert_eq!(response.chunk().await.unwrap(), None);
    finish(server).await;
}

async fn the_blocking_twin_works_beside_a_runtime(on: On) {
    let server = replies([Reply::status(503), Reply::status(200).body("hello"), ok()]);
    let url = server.url("/");
    let client = blocking::Client::from_parts(on.client(), ());
    let calls = smol::unblock(move || {
        let body = Body::from_reader(Cursor::new("from a reader"));
        let mut text = String::new();
        client.get(&url).send_streaming().unwrap().read_to_string(&mut text).unwrap();
        (text, client.post(&url).body(body).send().unwrap().text().into_owned())
    });
    assert_eq!(calls.await, ("hello".to_owned(), "ok".to_owned()));
    assert_eq!(finish(server).await.requests()[2].body, b"from a reader");
}
