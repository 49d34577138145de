//! HTTP/2 servers that are slow, odd or hostile: bounded time and memory, and nothing that was not
//! processed is reported as if it had been (R-X-8, R-P-6, R-T-3).

use core::num::NonZeroU32;
use core::time::Duration;
use std::time::Instant;

use redial_client::{Client, Protocol};
use redial_conformance::{ErrorCode, FaultServer, Frame, Http2, LastStream, Reply, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome, Replay};

use crate::common::{SOON, finish, ok, timeouts, until};
use crate::on::{On, on_each_runtime};

on_each_runtime![
    a_peer_that_permits_no_stream_is_waited_for,
    a_limit_that_is_lowered_holds_for_the_next_calls,
    a_peer_that_never_says_its_settings_makes_no_connection,
    a_closed_window_trips_the_write_timeout,
    a_goaway_before_the_first_request_is_followed_by_another_connection,
    floods_end_a_call_in_bounded_time,
    heads_without_an_end_are_a_final_error,
    a_head_that_is_too_large_is_said_to_be,
    trailers_have_the_limits_of_a_head,
    a_status_without_content_has_none,
    a_silence_beside_a_large_response_is_one,
    an_upload_that_outlives_its_answer_holds_up_no_other_request,
];

fn client(on: &On, length: Duration) -> Client {
    let builder = on.builder().protocol(Protocol::Http2PriorKnowledge);
    builder.timeouts(timeouts(length)).build().unwrap()
}

fn connections(lists: Vec<Vec<Step>>) -> FaultServer {
    FaultServer::start(Script::connections(lists)).unwrap()
}

const MAX_CONCURRENT_STREAMS: u16 = 0x3;

async fn a_peer_that_permits_no_stream_is_waited_for(on: On) {
    let none = Step::Preface(Http2::new().max_concurrent_streams(0));
    let permit = Step::Send(vec![Frame::settings(&[(MAX_CONCURRENT_STREAMS, 1)])]);
    let pause = Step::Pause(Duration::from_millis(100));
    let steps = vec![none.clone(), pause, permit, Step::ReadRequest, Step::Respond(ok())];
    let server = connections(vec![steps]);
    let response = client(&on, SOON).post(server.url("/")).send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1));
    finish(server).await;

    let server = connections(vec![vec![none, Step::AwaitClose { within: SOON }]]);
    let client = client(&on, Duration::from_millis(300));
    let call = client.post(server.url("/")).max_attempts(NonZeroU32::MIN);
    let error = call.send().await.unwrap_err();
    let outcome = Outcome::failure(FailureKind::PoolTimeout, Delivery::Unsent);
    assert_eq!(error.attempts()[0].outcome, outcome, "nothing was sent: it may be sent elsewhere");
    // Nobody has a use for a connection that permits nothing.
    until(|| client.pool().open == 0).await;
    finish(server).await;
}

async fn a_limit_that_is_lowered_holds_for_the_next_calls(on: On) {
    let lower = Step::Send(vec![Frame::settings(&[(MAX_CONCURRENT_STREAMS, 1)])]);
    let slow = || vec![Step::Pause(Duration::from_millis(20)), ok().step()];
    let lists = [vec![lower, ok().step()], slow(), slow(), slow(), slow()];
    let script = Script::requests(lists.into()).http2(Http2::new().max_concurrent_streams(9));
    let server = FaultServer::start(script).unwrap();
    let client = client(&on, SOON);
    client.get(server.url("/")).send().await.unwrap();
    // The client learns of it with the answer, at the latest a moment later.
    crate::on::sleep(Duration::from_millis(50)).await;
    let calls = (0..4).map(|_| on.spawn(client.post(server.url("/")).send()));
    for response in futures_util::future::join_all(calls).await {
        assert_eq!(response.unwrap().attempts().len(), 1, "nothing is refused");
    }
    let log = finish(server).await;
    assert!(log.connections().iter().all(|connection| connection.peak_requests == 1));
}

async fn a_peer_that_never_says_its_settings_makes_no_connection(on: On) {
    let server = connections(vec![vec![Step::AwaitClose { within: SOON }]]);
    let client = client(&on, Duration::from_millis(300));
    let call = client.post(server.url("/")).max_attempts(NonZeroU32::MIN);
    let error = call.send().await.unwrap_err();
    let outcome = Outcome::failure(FailureKind::ConnectTimeout, Delivery::Unsent);
    assert_eq!(error.attempts()[0].outcome, outcome);
    assert!(finish(server).await.requests().is_empty());
}

async fn a_closed_window_trips_the_write_timeout(on: On) {
    let narrow = Http2::new().initial_window_size(1000).without_window_updates();
    let steps = vec![Step::Preface(narrow), Step::ReadHead, Step::Stall { at_most: SOON }];
    let server = connections(vec![steps]);
    let client = client(&on, Duration::from_millis(300));
    let began = Instant::now();
    let call = client.put(server.url("/")).body(vec![b'x'; 100_000]).max_attempts(NonZeroU32::MIN);
    let error = call.send().await.unwrap_err();
    let outcome = Outcome::failure(FailureKind::WriteTimeout, Delivery::Unknown);
    assert_eq!(error.attempts()[0].outcome, outcome, "R-T-3");
    assert!(began.elapsed() >= Duration::from_millis(300));
    // The stream is reset, or the connection is closed with it where it was silent altogether.
    until(|| client.pool().in_use == 0).await;
}

async fn a_goaway_before_the_first_request_is_followed_by_another_connection(on: On) {
    for code in [ErrorCode::NO_ERROR, ErrorCode::ENHANCE_YOUR_CALM] {
        let leave = Step::Send(vec![Frame::goaway(LastStream::Number(0), code)]);
        let away = vec![Step::Preface(Http2::new()), leave, Step::AwaitClose { within: SOON }];
        let good = vec![Step::Preface(Http2::new()), Step::ReadRequest, Step::Respond(ok())];
        let server = connections(vec![away, good]);
        let call = client(&on, SOON).post(server.url("/")).replay(Replay::IfUnsent);
        let response = call.send().await.unwrap();
        assert_eq!(response.text(), "ok");
        // It may have been on its way to the first connection when that said that it was not looked at.
        assert_eq!(finish(server).await.processed("/"), 1);
    }
}

fn again(frames: &[Frame], times: usize) -> Vec<Frame> {
    (0..times).flat_map(|_| frames.iter().cloned()).collect()
}

async fn floods_end_a_call_in_bounded_time(on: On) {
    let ping = Frame::ping([7; 8]);
    let settings = Frame::settings(&[(0x4, 65_535)]);
    let empty = Frame::data([]);
    let rows: [(&str, Vec<Frame>, Vec<Frame>); 4] = [
        ("PING", vec![], vec![ping]),
        ("SETTINGS", vec![], vec![settings]),
        (
            "CONTINUATION",
            vec![Frame::headers([]).unfinished()],
            vec![Frame::continuation([]).unfinished()],
        ),
        ("empty DATA", vec![Frame::head(&ok().raw())], vec![empty]),
    ];
    for (name, first, frames) in rows {
        let flood = Step::SendFlood { frames: again(&frames, 500), at_most: 400_000_000 };
        let steps = vec![Step::Preface(Http2::new()), Step::ReadRequest, Step::Send(first), flood];
        let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
        let client = client(&on, Duration::from_millis(500));
        let began = Instant::now();
        let call = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let error = call.timeout(Duration::from_secs(3)).send().await.unwrap_err();
        assert!(began.elapsed() < SOON, "R-X-8: {name}: {error}");
        drop(client);
        crate::common::until_log(&server, |log| log.open_connections() == 0).await;
    }
}

async fn heads_without_an_end_are_a_final_error(on: On) {
    let long = "v".repeat(2000);
    let large = fields(60, &long);
    let interim = Frame::headers([(":status", "103"), ("link", &long)]);
    let small = Frame::headers([(":status", "103")]);
    let begun = || vec![Frame::headers([(":status", "200")]).unfinished()];
    let rows: [(&str, FailureKind, Vec<Frame>, Vec<Frame>); 4] = [
        (
            "a frame of 120 KB",
            FailureKind::RemoteProtocol,
            begun(),
            vec![Frame::continuation(large).unfinished()],
        ),
        (
            "a head without an end",
            FailureKind::ResponseTooLarge,
            begun(),
            vec![Frame::continuation(fields(7, &long)).unfinished()],
        ),
        ("endless 103", FailureKind::ResponseTooLarge, vec![], vec![interim]),
        ("endless 103 of a few bytes", FailureKind::ResponseTooLarge, vec![], vec![small]),
    ];
    for (name, kind, first, frames) in rows {
        let flood = Step::SendFlood { frames: again(&frames, 10), at_most: 1_000_000 };
        let steps = vec![Step::Preface(Http2::new()), Step::ReadRequest, Step::Send(first), flood];
        let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
        let error = client(&on, SOON).get(server.url("/")).send().await.unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (kind, 1), "R-X-2: {name}: {error}");
    }
}

fn fields(count: usize, value: &str) -> Vec<(&str, &str)> {
    vec![("x-name", value); count]
}

/// A block of so many fields, in frames as large as they may be without asking.
fn block(first: Frame, count: usize, value: &str, last: fn(Frame) -> Frame) -> Vec<Frame> {
    const FITS: usize = 16_384;
    let all = fields(count, value);
    let pieces = all.chunks(FITS / (value.len() + 10));
    let mut frames = vec![first.unfinished()];
    frames.extend(pieces.map(|fields| Frame::continuation(fields.iter().copied()).unfinished()));
    let end = frames.pop().map(last);
    frames.extend(end);
    frames
}

/// R-X-2: exactly, as HTTP/2 counts (RFC 9113 6.5.2: name, value, and 32 bytes for each field). The
/// connection has others on it, and stands.
async fn a_head_that_is_too_large_is_said_to_be(on: On) {
    const LIMIT: usize = 64 * 1024;
    const STATUS: usize = 7 + 3 + 32;
    let field = |length: usize| 6 + 32 + length;
    // All fields but the last are of a thousand bytes.
    let fill = (LIMIT - 1 - STATUS) - 62 * field(1000);
    let rows = [
        ("just small enough", 62, 1000, fill - field(0), true),
        ("a byte more", 62, 1000, fill - field(0) + 1, false),
        ("70 KB", 70, 1000, 1000, false),
        ("127 KB", 63, 2000, 2000, false),
        ("260 KB", 130, 2000, 2000, false),
    ];
    for (name, count, length, last, taken) in rows {
        let (value, last) = ("v".repeat(length), "v".repeat(last));
        let mut frames = block(Frame::headers([(":status", "200")]), count, &value, |frame| frame);
        frames.push(Frame::continuation([("x-name", last.as_str())]).end_headers());
        frames.push(Frame::data("ok").end_stream());
        let script = Script::requests(vec![vec![Step::Send(frames)]]).http2(Http2::new());
        let server = FaultServer::start(script).unwrap();
        let client = client(&on, SOON);
        match client.get(server.url("/")).send().await {
            Ok(response) => assert!(taken && response.text() == "ok", "{name}"),
            Err(error) => {
                let outcome = (error.kind(), error.attempts().len());
                assert!(!taken, "{name}: {error}");
                assert_eq!(outcome, (FailureKind::ResponseTooLarge, 1), "{name}: {error}");
            }
        }
    }
}

/// R-X-2: what comes behind a body is read by nobody, and is no reason to take more.
async fn trailers_have_the_limits_of_a_head(on: On) {
    let rows = [
        ("a few", 2, 10, true),
        ("a hundred", 100, 10, true),
        ("101", 101, 10, false),
        ("150", 150, 10, false),
        ("60 KB", 60, 960, true),
        ("70 KB", 70, 1000, false),
    ];
    for (name, count, length, taken) in rows {
        let value = "v".repeat(length);
        let first = Frame::headers([("x-first", "")]).end_stream();
        let trailers = block(first, count - 1, &value, Frame::end_headers);
        let frames = vec![Frame::headers([(":status", "200")]), Frame::data("ok")];
        let steps = vec![Step::Send([frames, trailers].concat())];
        let server = FaultServer::start(Script::requests(vec![steps]).http2(Http2::new())).unwrap();
        match client(&on, SOON).get(server.url("/")).send().await {
            Ok(response) => assert!(taken && response.text() == "ok", "{name}"),
            Err(error) => {
                let failure = error.failure().map(|it| (it.kind, it.delivery));
                let expected = (FailureKind::ResponseTooLarge, Delivery::Answered);
                assert!(!taken && error.attempts().len() == 1, "{name}: {error}");
                assert_eq!(failure, Some(expected), "{name}: {error}");
            }
        }
    }
}

/// RFC 9110 15.3.5, 15.4.5: whoever takes the content of such a response is told what was not said.
async fn a_status_without_content_has_none(on: On) {
    for status in ["204", "304"] {
        for (content, taken) in [("", true), ("ok", false)] {
            let frames =
                vec![Frame::headers([(":status", status)]), Frame::data(content).end_stream()];
            let script = Script::requests(vec![vec![Step::Send(frames)]]).http2(Http2::new());
            let server = FaultServer::start(script).unwrap();
            match client(&on, SOON).get(server.url("/")).send().await {
                Ok(response) => assert!(taken && response.text().is_empty(), "{status}"),
                Err(error) => {
                    assert!(!taken && error.attempts().len() == 1, "{status}: {error}");
                    assert_eq!(error.kind(), FailureKind::RemoteProtocol, "{status}: {error}");
                }
            }
        }
    }
}

/// There is always a frame of the other response on its way, which might be this one's (R-T-2).
async fn a_silence_beside_a_large_response_is_one(on: On) {
    let mut bytes = Frame::headers([(":status", "200")]).bytes(1);
    (0..250).for_each(|_| bytes.extend(Frame::data(vec![b'x'; 1000]).bytes(1)));
    let slowly = Step::WriteSlowly { bytes, piece: 700, gap: Duration::from_millis(20) };
    let steps = vec![Step::Preface(Http2::new()), Step::ReadRequest, Step::ReadRequest, slowly];
    let server = connections(vec![steps]);
    let client = client(&on, Duration::from_millis(300));
    let large = on.spawn(client.get(server.url("/large")).read_timeout(SOON).send());
    crate::common::until_log(&server, |log| log.requests().len() == 1).await;
    let began = Instant::now();
    let call = client.get(server.url("/silent")).max_attempts(NonZeroU32::MIN);
    let error = call.send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::ReadTimeout);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    drop(large);
}

/// The server answers before it has read the request, reads no more of it, and does not say so: until
/// it does, the stream counts against what it permits (RFC 9113 5.1.2).
async fn an_upload_that_outlives_its_answer_holds_up_no_other_request(on: On) {
    let one = Step::Preface(Http2::new().max_concurrent_streams(1).without_window_updates());
    let busy = Step::Respond(Reply::status(503).body("busy"));
    let answer = || vec![Step::ReadHead, Step::Respond(ok())];
    let reset = Step::Send(vec![Frame::rst_stream(ErrorCode::NO_ERROR)]);
    let begin = vec![one.clone(), Step::ReadHead, busy];
    // The stream of a request that is reset counts no more, and the connection serves the next.
    for (more, reused) in [(vec![], false), ([vec![reset], answer()].concat(), true)] {
        let second = [vec![one.clone()], answer()].concat();
        let server = connections(vec![[begin.clone(), more].concat(), second]);
        let body = vec![b'x'; 200_000];
        let call = client(&on, SOON).put(server.url("/")).body(body);
        let response = call.send().await.unwrap();
        let attempts = response.attempts();
        assert_eq!((response.status().as_u16(), attempts.len()), (200, 2), "{attempts:?}");
        assert_eq!(attempts[1].reused, reused, "{attempts:?}");
    }
}
