//! Scripts by request: one plan for whatever protocol a client begins with, and for requests that
//! share a connection.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::time::Instant;

use common::http2::{DATA, END, GOAWAY, HEADERS, Http2Client, RST_STREAM, head};
use common::{GET, SOON, read_exactly, send, until};
use redial_conformance::{
    ErrorCode, FaultServer, Frame, GRACE, Http2, LastStream, Leftover, Reply, Script, Step,
    StepError,
};

const GAP: Duration = Duration::from_millis(30);

fn requests(lists: Vec<Vec<Step>>) -> FaultServer {
    FaultServer::start(Script::requests(lists)).unwrap()
}

fn ok(body: &str) -> Reply {
    Reply::status(200).body(body)
}

#[test]
fn the_same_plan_answers_both_protocols() {
    let replies = ["a", "b", "c", "d"].map(ok);
    let server = FaultServer::start(Script::replies(replies.clone())).unwrap();
    let first = send(&server, GET).unwrap();
    read_exactly(&first, &replies[0].bytes()).unwrap();
    let mut second = Http2Client::connect(&server, &[]).unwrap();
    for (stream, body) in [(1, "b"), (3, "c")] {
        second.ask(stream, "/", true).unwrap();
        assert_eq!(second.body(stream).unwrap(), body.as_bytes());
    }
    read_exactly(&send(&server, GET).unwrap(), &replies[3].bytes()).unwrap();
    drop((first, second));
    let log = server.finish().unwrap();
    let streams: Vec<_> = log.requests().iter().map(|request| request.stream).collect();
    assert_eq!(streams, [None, Some(1), Some(3), None]);
    assert!(log.requests().iter().all(|request| request.processed && request.complete));
    let peaks: Vec<_> = log.connections().iter().map(|one| one.peak_requests).collect();
    assert_eq!(peaks, [1, 1, 1]);
}

#[test]
fn requests_on_one_connection_are_answered_side_by_side() {
    let script = Script::requests(vec![
        vec![Step::Pause(8 * GAP), ok("first").step()],
        vec![Step::Pause(4 * GAP), ok("second").step()],
        vec![ok("third").slowly(1, GAP)],
    ]);
    let server = FaultServer::start(script.http2(Http2::new().max_concurrent_streams(3))).unwrap();
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    let start = Instant::now();
    client.send(&[head(1, "/1", true), head(3, "/3", true), head(5, "/5", true)]).unwrap();
    let mut heads = Vec::new();
    let mut ends = Vec::new();
    while ends.len() < 3 {
        let came = client.read().unwrap();
        if came.kind == HEADERS {
            heads.push(came.stream);
        }
        if came.kind == DATA && came.flags & END != 0 {
            ends.push(came.stream);
        }
    }
    assert!(start.elapsed() >= 8 * GAP);
    assert_eq!(heads, [5, 3, 1]);
    drop(client);
    let log = server.finish().unwrap();
    assert_eq!((log.connections()[0].peak_requests, log.requests().len()), (3, 3));
}

#[test]
fn a_list_waits_for_its_request_to_end_and_claims_it_when_it_begins() {
    let server = requests(vec![vec![ok("a").step()], vec![ok("b").step()]]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.send(&[head(1, "/1", false), head(3, "/3", true)]).unwrap();
    assert_eq!(client.body(3).unwrap(), b"b");
    client.send(&[Frame::data("x").on(1).end_stream()]).unwrap();
    assert_eq!(client.body(1).unwrap(), b"a");
    drop(client);
    server.finish().unwrap();
}

#[test]
fn a_large_body_waits_for_its_window_and_holds_nobody_up() {
    let large = "x".repeat(200_000);
    let server = requests(vec![vec![ok(&large).step()], vec![ok("small").step()]]);
    let mut client = Http2Client::connect(&server, &[(4, 100)]).unwrap();
    client.send(&[head(1, "/1", true), head(3, "/3", true)]).unwrap();
    let mut bytes = 0;
    loop {
        let came = client.await_kind(DATA).unwrap();
        if came.stream == 3 {
            assert_eq!(came.payload, b"small");
            break;
        }
        bytes += came.payload.len();
    }
    assert!(bytes <= 100);
    client
        .send(&[Frame::window_update(1 << 20).on(1), Frame::window_update(1 << 20).on(0)])
        .unwrap();
    assert_eq!(bytes + client.body(1).unwrap().len(), large.len());
    drop(client);
    server.finish().unwrap();
}

#[test]
fn a_client_that_resets_its_stream_has_gone() {
    let within = SOON;
    let server = requests(vec![
        vec![Step::AwaitClose { within }],
        vec![Step::AwaitReset { code: Some(ErrorCode::CANCEL), within }],
        vec![Step::AwaitClose { within }, Step::Pause(GAP), ok("too late").step()],
        vec![ok("the connection goes on").step()],
    ]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    for stream in [1, 3, 5] {
        client.ask(stream, "/", true).unwrap();
        client.send(&[Frame::rst_stream(ErrorCode::CANCEL).on(stream)]).unwrap();
    }
    client.ask(7, "/", true).unwrap();
    assert_eq!(client.body(7).unwrap(), b"the connection goes on");
    until(&server, |log| {
        log.requests().iter().filter(|request| request.reset.is_some()).count() == 3
    });
    std::thread::sleep(4 * GAP);
    drop(client);
    let unfinished = server.finish().unwrap_err();
    assert!(
        matches!(
            unfinished.leftovers(),
            [Leftover::Stopped { list: 2, step: 2, error: StepError::PeerReset, .. }]
        ),
        "{unfinished}"
    );
}

#[test]
fn a_list_that_fails_resets_its_stream_alone() {
    let server = requests(vec![vec![Step::ReadRequest], vec![ok("b").step()]]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    let reset = client.await_kind(RST_STREAM).unwrap();
    assert_eq!(
        (reset.stream, reset.payload),
        (1, ErrorCode::INTERNAL_ERROR.0.to_be_bytes().into())
    );
    client.ask(3, "/", true).unwrap();
    assert_eq!(client.body(3).unwrap(), b"b");
    drop(client);
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Stopped { list: 0, step: 0, error: StepError::OutOfPlace, .. }]
    ));
}

#[test]
fn closing_ends_every_list_on_the_connection() {
    for end in [Step::Close, Step::Reset, Step::CloseUnread] {
        let server = requests(vec![
            vec![Step::Pause(SOON), ok("never").step()],
            vec![Step::Pause(GAP), end.clone()],
        ]);
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        client.send(&[head(1, "/", true), head(3, "/", true)]).unwrap();
        assert!(client.await_kind(HEADERS).is_err());
        let unfinished = server.finish().unwrap_err();
        assert!(
            matches!(
                unfinished.leftovers(),
                [Leftover::Stopped { list: 0, step: 0, error: StepError::AfterClose, .. }]
            ),
            "{end}: {unfinished}"
        );
    }
}

#[test]
fn requests_after_a_goaway_claim_no_list() {
    let leave = Frame::goaway(LastStream::Request, ErrorCode::NO_ERROR);
    let server = requests(vec![
        vec![Step::Send(vec![leave]), Step::Pause(4 * GAP), ok("a").step()],
        vec![ok("b").step()],
    ]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/1", true).unwrap();
    client.await_kind(GOAWAY).unwrap();
    client.ask(3, "/3", true).unwrap();
    assert_eq!(client.body(1).unwrap(), b"a");
    let mut second = Http2Client::connect(&server, &[]).unwrap();
    second.ask(1, "/3", true).unwrap();
    assert_eq!(second.body(1).unwrap(), b"b");
    drop((client, second));
    let log = server.finish().unwrap();
    assert_eq!((log.processed("/1"), log.processed("/3"), log.requests().len()), (1, 1, 3));
}

#[test]
fn what_comes_beyond_the_plan_is_reset_and_reported_or_served_otherwise() {
    let server = requests(vec![]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    assert!(client.await_kind(HEADERS).is_err());
    let unfinished = server.finish().unwrap_err();
    assert!(
        matches!(unfinished.leftovers(), [Leftover::UnexpectedRequest { request: 0 }]),
        "{unfinished}"
    );

    let script = Script::requests(vec![]).otherwise(vec![ok("again").step()]);
    let server = FaultServer::start(script).unwrap();
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    for stream in [1, 3, 5] {
        client.ask(stream, "/", true).unwrap();
        assert_eq!(client.body(stream).unwrap(), b"again");
    }
    drop(client);
    assert_eq!(server.finish().unwrap().processed("/"), 3);
}

#[test]
fn a_request_that_does_not_end_is_cut_off() {
    let server = requests(vec![vec![ok("a").step()]]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/", false).unwrap();
    until(&server, |log| log.requests().len() == 1);
    drop(client);
    let unfinished = server.finish().unwrap_err();
    assert!(
        matches!(
            unfinished.leftovers(),
            [Leftover::RequestCutOff { request: 0, list: 0, error }]
                if matches!(error, StepError::PeerClosed | StepError::PeerReset)
        ),
        "{unfinished}"
    );
}

#[test]
fn an_idle_connection_holds_no_finish_up_and_a_list_has_its_grace() {
    let server = requests(vec![vec![ok("a").step()]]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    client.body(1).unwrap();
    let start = Instant::now();
    server.finish().unwrap();
    assert!(start.elapsed() < GRACE);

    let server = requests(vec![vec![Step::AwaitClose { within: 10 * SOON }]]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    until(&server, |log| log.processed("/") == 1);
    let start = Instant::now();
    let unfinished = server.finish().unwrap_err();
    assert!(start.elapsed() < GRACE + SOON);
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Stopped { list: 0, step: 0, error: StepError::ServerFinished, .. }]
    ));
}

#[test]
fn what_was_sent_before_the_finish_is_still_served() {
    for _ in 0..20 {
        let server = requests(vec![vec![ok("a").step()]]);
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        client.ask(1, "/", true).unwrap();
        assert_eq!(server.finish().unwrap().processed("/"), 1);
        assert_eq!(client.body(1).unwrap(), b"a");
    }
}
