//! The steps of HTTP/2, seen by a client that writes and reads frames.

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

use common::http2::{
    Came, DATA, END, GOAWAY, HEADERS, Http2Client, PING, RST_STREAM, SETTINGS, WINDOW_UPDATE, head,
};
use common::{SOON, one, read_all, send};
use redial_conformance::{
    ErrorCode, FaultServer, Frame, Http2, LastStream, Leftover, Malformed, Reply, Step, StepError,
};

const GAP: Duration = Duration::from_millis(30);

/// A server of one connection, which begins with its preface.
fn server(steps: Vec<Step>) -> FaultServer {
    one([vec![Step::Preface(Http2::new())], steps].concat()).unwrap()
}

fn came(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Came {
    Came { kind, flags, stream, payload: payload.to_vec() }
}

#[test]
fn settings_and_pings_are_acknowledged_and_settings_said() {
    let manners = Http2::new().max_concurrent_streams(7).initial_window_size(9);
    let server = one(vec![Step::Preface(manners), Step::AwaitClose { within: SOON }]).unwrap();
    let mut client = Http2Client::connect(&server, &[(1, 2)]).unwrap();
    assert_eq!(client.read().unwrap(), came(SETTINGS, 0, 0, b"\0\x03\0\0\0\x07\0\x04\0\0\0\x09"));
    assert_eq!(client.read().unwrap(), came(SETTINGS, 1, 0, b""));
    client.send(&[Frame::ping(*b"12345678")]).unwrap();
    assert_eq!(client.read().unwrap(), came(PING, 1, 0, b"12345678"));
    drop(client);
    server.finish().unwrap();
}

#[test]
fn a_server_without_manners_acknowledges_nothing_and_gives_no_window() {
    let manners = Http2::new().without_acknowledgements().without_window_updates();
    let steps = vec![Step::Preface(manners), Step::ReadRequest, Step::Close];
    let server = one(steps).unwrap();
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.send(&[Frame::ping([0; 8]), head(1, "/", false)]).unwrap();
    client.send(&[Frame::data("abc").on(1), Frame::data("de").on(1).end_stream()]).unwrap();
    assert_eq!(client.read().unwrap(), came(SETTINGS, 0, 0, b""));
    assert!(client.read().is_err());
    let log = server.finish().unwrap();
    assert_eq!(
        (log.requests()[0].body.as_slice(), log.requests()[0].body_length),
        (&b"abcde"[..], 5)
    );
}

#[test]
fn heads_and_bodies_are_read_apart() {
    let ping = Step::Send(vec![Frame::ping(*b"the head")]);
    let server = server(vec![Step::ReadHead, ping, Step::ReadBody, Step::Close]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/x?y", false).unwrap();
    assert_eq!(client.await_kind(PING).unwrap().payload, b"the head");
    let request = server.log().requests()[0].clone();
    assert_eq!((request.complete, request.processed, request.ended), (false, true, None));
    // Padded, and ended by trailers.
    client.send(&[Frame::new(DATA, b"\x02abc\0\0").flags(8).on(1)]).unwrap();
    let window = came(WINDOW_UPDATE, 0, 0, &6_u32.to_be_bytes());
    assert_eq!(client.await_kind(WINDOW_UPDATE).unwrap(), window);
    assert_eq!(client.await_kind(WINDOW_UPDATE).unwrap(), Came { stream: 1, ..window });
    client.send(&[Frame::headers([("a", "b")]).on(1).end_stream()]).unwrap();
    assert!(client.await_kind(HEADERS).is_err(), "the end");
    let log = server.finish().unwrap();
    let request = &log.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("GET", "/x?y"));
    assert_eq!((request.stream, request.authority()), (Some(1), Some(&b"a"[..])));
    assert_eq!((request.body.as_slice(), request.complete), (&b"abc"[..], true));
    assert!(request.ended.unwrap() >= request.arrived);
}

#[test]
fn a_head_may_come_in_pieces() {
    let server = server(vec![Step::ReadRequest, Step::Respond(Reply::status(204))]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    let block = &head(1, "/pieces", true).bytes(0)[9..];
    let first = Frame::new(HEADERS, &block[..10]).on(1).end_stream();
    let second = Frame::new(9, &block[10..20]).on(1);
    let third = Frame::new(9, &block[20..]).on(1).end_headers();
    client.send(&[first, second, third]).unwrap();
    assert_eq!(client.await_kind(HEADERS).unwrap().flags & END, END, "no body, no DATA");
    drop(client);
    assert_eq!(server.finish().unwrap().requests()[0].target, "/pieces");
}

#[test]
fn a_response_keeps_to_the_windows_of_the_client() {
    let reply = Reply::status(200).body("0123456789");
    let server = server(vec![Step::ReadRequest, reply.step(), Step::Close]);
    let mut client = Http2Client::connect(&server, &[(4, 3)]).unwrap();
    client.ask(1, "/", true).unwrap();
    assert_eq!(client.await_kind(HEADERS).unwrap().flags & END, 0);
    assert_eq!(client.read().unwrap(), came(DATA, 0, 1, b"012"));
    client.send(&[Frame::window_update(2).on(1)]).unwrap();
    assert_eq!(client.read().unwrap(), came(DATA, 0, 1, b"34"));
    client.send(&[Frame::settings(&[(4, 100)])]).unwrap();
    assert_eq!(client.read().unwrap(), came(SETTINGS, 1, 0, b""));
    assert_eq!(client.read().unwrap(), came(DATA, END, 1, b"56789"));
    server.finish().unwrap();
}

#[test]
fn a_slow_response_comes_in_pieces() {
    let server = server(vec![
        Step::ReadRequest,
        Reply::status(103).step(),
        Reply::status(200).body("abcde").slowly(2, GAP),
        Step::Close,
    ]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    let start = Instant::now();
    client.ask(1, "/", true).unwrap();
    assert_eq!(client.await_kind(HEADERS).unwrap().flags & END, 0, "an interim response");
    assert_eq!(client.await_kind(HEADERS).unwrap().flags & END, 0);
    for (flags, piece) in [(0, "ab"), (0, "cd"), (END, "e")] {
        assert_eq!(client.read().unwrap(), came(DATA, flags, 1, piece.as_bytes()));
    }
    assert!(start.elapsed() >= 3 * GAP);
    server.finish().unwrap();
}

#[test]
fn what_a_server_refuses_it_does_not_process() {
    let goaway = |last| Frame::goaway(last, ErrorCode::NO_ERROR);
    for (frame, kind, processed) in [
        (Frame::rst_stream(ErrorCode::REFUSED_STREAM), RST_STREAM, false),
        (Frame::rst_stream(ErrorCode::CANCEL), RST_STREAM, true),
        (goaway(LastStream::BeforeRequest), GOAWAY, false),
        (goaway(LastStream::Request), GOAWAY, true),
        (goaway(LastStream::Number(3)), GOAWAY, true),
    ] {
        let server = server(vec![Step::ReadRequest, Step::Send(vec![frame.clone()]), Step::Close]);
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        client.ask(3, "/", true).unwrap();
        let sent = client.await_kind(kind).unwrap();
        assert_eq!([sent.payload, vec![]].concat(), frame.bytes(3)[9..], "{frame}");
        let log = server.finish().unwrap();
        assert_eq!(
            (log.requests()[0].processed, log.processed("/")),
            (processed, processed.into())
        );
    }
}

#[test]
fn a_reset_and_a_goaway_can_be_awaited() {
    let reset = |code| Step::AwaitReset { code, within: SOON };
    let leave = |code| Step::AwaitGoAway { code, within: SOON };
    let server = server(vec![
        Step::ReadRequest,
        reset(Some(ErrorCode::CANCEL)),
        leave(Some(ErrorCode::PROTOCOL_ERROR)),
        // What has come is not awaited again.
        reset(None),
        leave(None),
        Step::Close,
    ]);
    let mut client = Http2Client::connect(&server, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    client.send(&[Frame::rst_stream(ErrorCode::CANCEL).on(1)]).unwrap();
    client.send(&[Frame::goaway(LastStream::Number(0), ErrorCode::PROTOCOL_ERROR)]).unwrap();
    assert!(client.await_kind(GOAWAY).is_err());
    let log = server.finish().unwrap();
    assert_eq!(log.requests()[0].reset.unwrap().1, ErrorCode::CANCEL);
}

#[test]
fn what_is_awaited_and_does_not_come_is_reported() {
    for (awaits, sent, timed_out) in [
        (Step::AwaitReset { code: Some(ErrorCode::CANCEL), within: SOON }, true, false),
        (Step::AwaitReset { code: None, within: GAP }, false, true),
        (Step::AwaitGoAway { code: None, within: GAP }, true, true),
        (Step::AwaitClose { within: GAP }, true, true),
    ] {
        let server = server(vec![Step::ReadRequest, awaits.clone()]);
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        client.ask(1, "/", true).unwrap();
        if sent {
            client.send(&[Frame::rst_stream(ErrorCode::NO_ERROR).on(1)]).unwrap();
        }
        assert!(client.await_kind(GOAWAY).is_err());
        let unfinished = server.finish().unwrap_err();
        let [Leftover::Stopped { step: 2, instruction, error, .. }] = unfinished.leftovers() else {
            panic!("{unfinished}");
        };
        assert_eq!(*instruction, awaits);
        let expected = if timed_out {
            matches!(error, StepError::TimedOut { after: GAP })
        } else {
            matches!(error, StepError::OtherCode(ErrorCode::NO_ERROR))
        };
        assert!(expected, "{error}");
    }
}

#[test]
fn a_flood_of_frames_ends_when_the_client_has_had_enough_or_at_its_most() {
    let flood = |at_most| Step::SendFlood { frames: vec![Frame::ping(*b"87654321")], at_most };
    let plain = server(vec![Step::ReadRequest, flood(2 * 17), Step::Close]);
    let mut client = Http2Client::connect(&plain, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    for _ in 0..2 {
        assert_eq!(client.await_kind(PING).unwrap(), came(PING, 0, 0, b"87654321"));
    }
    assert!(client.read().is_err());
    plain.finish().unwrap();

    let endless =
        server(vec![Step::ReadRequest, flood(1 << 40), Step::AwaitClose { within: SOON }]);
    let mut client = Http2Client::connect(&endless, &[]).unwrap();
    client.ask(1, "/", true).unwrap();
    client.await_kind(PING).unwrap();
    drop(client);
    endless.finish().unwrap();
}

#[test]
fn steps_of_http2_have_their_place() {
    let ping = Step::Send(vec![Frame::ping([0; 8])]);
    let again = vec![Step::Preface(Http2::new()), Step::Preface(Http2::new())];
    for (steps, place) in [(vec![ping], 0), (again, 1)] {
        let server = one(steps).unwrap();
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        while client.read().is_ok() {}
        let unfinished = server.finish().unwrap_err();
        assert!(matches!(
            unfinished.leftovers(),
            [Leftover::Stopped { step, error: StepError::OutOfPlace, .. }] if *step == place
        ));
    }
}

#[test]
fn what_is_no_preface_is_reported() {
    let server = server(vec![]);
    // The server's settings have come before its reset, or have been lost by it.
    let _ = read_all(&send(&server, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").unwrap());
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Stopped { step: 0, error: StepError::Malformed(Malformed::Preface), .. }]
    ));
}

#[test]
fn what_is_no_frame_is_reported() {
    let raw = |kind, payload: &[u8]| Frame::new(kind, payload.to_vec());
    let no_path = Frame::headers([(":method", "GET")]).on(1).end_stream();
    let continued = [head(1, "/", true).unfinished(), Frame::ping([0; 8])];
    for (frames, reason) in [
        (vec![raw(DATA, b"x").on(1)], Malformed::Frame),
        (vec![raw(PING, b"short").on(0)], Malformed::Frame),
        (vec![raw(SETTINGS, b"short").on(0)], Malformed::Frame),
        (vec![raw(RST_STREAM, b"1234").on(1)], Malformed::Frame),
        (vec![raw(5, b"1234").on(1)], Malformed::Frame),
        (vec![raw(9, b"1234").on(1)], Malformed::Frame),
        (vec![raw(DATA, b"").announcing(16_385)], Malformed::Frame),
        (vec![head(2, "/", true)], Malformed::Frame),
        (vec![head(1, "/", false), head(1, "/", false)], Malformed::Frame),
        (continued.to_vec(), Malformed::Frame),
        (vec![no_path], Malformed::HeaderBlock),
        (vec![raw(HEADERS, b"\xff\xff\xff").flags(5).on(1)], Malformed::HeaderBlock),
    ] {
        let server = server(vec![Step::ReadHead, Step::ReadHead]);
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        client.send(&frames).unwrap();
        assert!(client.await_kind(GOAWAY).is_err());
        let unfinished = server.finish().unwrap_err();
        let [Leftover::Stopped { error: StepError::Malformed(found), .. }] = unfinished.leftovers()
        else {
            panic!("{frames:?}: {unfinished}");
        };
        assert_eq!(*found, reason, "{frames:?}");
    }
}

#[test]
fn a_request_beyond_the_list_is_reported_unless_it_was_refused() {
    let goaway = Frame::goaway(LastStream::Request, ErrorCode::NO_ERROR);
    for refused in [false, true] {
        let frames = if refused { vec![goaway.clone()] } else { vec![] };
        let server = server(vec![Step::ReadRequest, Reply::status(200).step(), Step::Send(frames)]);
        let mut client = Http2Client::connect(&server, &[]).unwrap();
        client.ask(1, "/1", true).unwrap();
        client.await_kind(if refused { GOAWAY } else { HEADERS }).unwrap();
        client.ask(3, "/3", true).unwrap();
        common::until(&server, |log| log.requests().len() == 2);
        drop(client);
        let log = match server.finish() {
            Ok(log) => log,
            Err(unfinished) => {
                let reported = unfinished.leftovers();
                assert!(matches!(reported, [Leftover::UnexpectedRequest { request: 1 }]));
                assert!(!refused);
                unfinished.log().clone()
            }
        };
        assert_eq!((log.processed("/1"), log.processed("/3")), (1, 0));
    }
}
