//! The fault server, seen by plain sockets: each step does on the wire what it says, and the log
//! tells what the clients did.

mod common;

use core::time::Duration;
use std::io::{ErrorKind, Write};
use std::net::Shutdown;
use std::time::Instant;

use common::{GET, SOON, connect, is_reset, one, read_all, read_exactly, send, until};
use redial_conformance::{Closing, FaultServer, Leftover, Reply, Script, Step, StepError};

const GAP: Duration = Duration::from_millis(30);

fn ok() -> Reply {
    Reply::status(200).body("ok")
}

#[test]
fn close_gives_the_end_and_no_reset_although_data_is_unread() {
    let server = one(vec![Step::ReadHead, Step::Write(b"bye".to_vec()), Step::Close]).unwrap();
    let mut client = send(&server, b"POST / HTTP/1.1\r\ncontent-length: 300000\r\n\r\n").unwrap();
    client.write_all(&[b'x'; 300_000]).unwrap();
    assert_eq!(read_all(&client).unwrap(), b"bye");
    drop(client);
    let log = server.finish().unwrap();
    assert_eq!(log.connections()[0].closed, Some(Closing::ByServer));
    assert!(!log.requests()[0].complete);
}

#[test]
fn close_unread_gives_a_reset() {
    let server = one(vec![Step::AwaitData { within: SOON }, Step::CloseUnread]).unwrap();
    let client = send(&server, GET).unwrap();
    assert!(is_reset(read_all(&client)));
    let log = server.finish().unwrap();
    assert_eq!(log.connections()[0].bytes_in, 0, "to await data is not to read it");
    assert!(log.requests().is_empty());
}

#[test]
fn reset_gives_a_reset() {
    for steps in [
        vec![Step::Reset],
        vec![Step::ReadRequest, Step::Reset],
        vec![Step::AwaitData { within: SOON }, Step::Reset],
    ] {
        let waits_for_data = steps.len() > 1;
        let server = one(steps).unwrap();
        let mut client = connect(&server).unwrap();
        // Where the reset comes first, the write may meet it already.
        let written = client.write_all(GET);
        assert!(written.is_ok() || !waits_for_data);
        assert!(written.is_err() || is_reset(read_all(&client)));
        let log = server.finish().unwrap();
        assert_eq!(log.connections()[0].closed, Some(Closing::ResetByServer));
    }
}

#[test]
fn close_write_leaves_the_other_half_open() {
    let steps = vec![Step::Write(b"first".to_vec()), Step::CloseWrite, Step::ReadRequest];
    let server = one(steps).unwrap();
    let mut client = connect(&server).unwrap();
    assert_eq!(read_all(&client).unwrap(), b"first");
    client.write_all(GET).unwrap();
    drop(client);
    let log = server.finish().unwrap();
    assert_eq!(log.count("GET"), 1);
    assert_eq!(log.connections()[0].closed, Some(Closing::ByPeer));
}

#[test]
fn slow_writes_and_pauses_take_their_time() {
    let slow = Step::WriteSlowly { bytes: b"abcde".to_vec(), piece: 2, gap: GAP };
    let server = one(vec![Step::ReadRequest, Step::Pause(GAP), slow, Step::Close]).unwrap();
    let start = Instant::now();
    let client = send(&server, GET).unwrap();
    assert_eq!(read_all(&client).unwrap(), b"abcde");
    assert!(start.elapsed() >= 3 * GAP);
    assert_eq!(server.finish().unwrap().connections()[0].bytes_out, 5);
}

#[test]
fn await_close_is_met_by_a_close_or_fails() {
    let server = one(vec![Step::AwaitClose { within: SOON }]).unwrap();
    drop(send(&server, b"whatever").unwrap());
    assert_eq!(server.finish().unwrap().connections()[0].bytes_in, 8);

    let server = one(vec![Step::ReadRequest, Step::AwaitClose { within: GAP }]).unwrap();
    let client = send(&server, GET).unwrap();
    assert!(is_reset(read_all(&client)));
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Stopped { connection: 0, list: 0, step: 1, error, .. }]
            if matches!(error, StepError::TimedOut { after: GAP })
    ));
    assert_eq!(unfinished.log().count("GET"), 1);
}

#[test]
fn requests_await_each_other_or_fail() {
    let gathered = || vec![Step::AwaitRequests { count: 2, within: SOON }, ok().step()];
    let server = FaultServer::start(Script::requests(vec![gathered(), gathered()])).unwrap();
    let first = send(&server, GET).unwrap();
    first.set_read_timeout(Some(GAP)).unwrap();
    assert!(read_exactly(&first, &ok().bytes()).is_err());
    let second = send(&server, GET).unwrap();
    for client in [first, second] {
        client.set_read_timeout(Some(SOON)).unwrap();
        read_exactly(&client, &ok().bytes()).unwrap();
    }
    server.finish().unwrap();

    let server = FaultServer::start(Script::requests(vec![vec![
        Step::AwaitRequests { count: 2, within: GAP },
        ok().step(),
    ]]));
    let server = server.unwrap();
    assert!(is_reset(read_all(&send(&server, GET).unwrap())));
    assert!(matches!(
        server.finish().unwrap_err().leftovers(),
        [Leftover::Stopped { step: 0, error, .. }]
            if matches!(error, StepError::TimedOut { after: GAP })
    ));
}

#[test]
fn await_close_does_not_outlast_its_bound_under_a_client_that_talks_on() {
    let server = one(vec![Step::AwaitClose { within: GAP }]).unwrap();
    let mut client = connect(&server).unwrap();
    let start = Instant::now();
    while client.write_all(&[0; 1024]).is_ok() {
        assert!(start.elapsed() < SOON);
    }
    assert!(server.finish().is_err());
}

#[test]
fn heads_bodies_and_bytes_are_read_apart() {
    let server = one(vec![
        Step::ReadBytes(5),
        Step::ReadHead,
        Step::Write(b"go on".to_vec()),
        Step::ReadBody,
        Step::Close,
    ])
    .unwrap();
    let mut client =
        send(&server, b"12345PUT /x HTTP/1.1\r\nContent-Length: 3\r\nA:  b \r\na: c\r\n\r\n")
            .unwrap();
    read_exactly(&client, b"go on").unwrap();
    assert!(!server.log().requests()[0].complete);
    client.write_all(b"abc").unwrap();
    assert_eq!(read_all(&client).unwrap(), b"");
    let log = server.finish().unwrap();
    let request = &log.requests()[0];
    assert_eq!((request.method.as_str(), request.target.as_str()), ("PUT", "/x"));
    let names: Vec<_> = request.headers.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["Content-Length", "A", "a"]);
    assert_eq!(request.header("a"), Some(b"b".as_slice()));
    assert_eq!((request.body.as_slice(), request.complete), (b"abc".as_slice(), true));
    assert!(request.arrived >= log.connections()[0].accepted);
}

#[test]
fn a_flood_ends_when_the_client_has_had_enough_or_at_its_most() {
    let flood = |at_most| Step::Flood { bytes: b"0123456789".to_vec(), at_most };
    let server = one(vec![flood(1 << 40), Step::AwaitClose { within: SOON }]).unwrap();
    let client = connect(&server).unwrap();
    read_exactly(&client, b"012345678901234567890123456789").unwrap();
    drop(client);
    server.finish().unwrap();

    let server = one(vec![flood(25), Step::Close]).unwrap();
    assert_eq!(read_all(&connect(&server).unwrap()).unwrap(), b"0123456789012345678901234");
    server.finish().unwrap();
}

#[test]
fn a_stall_takes_nothing_and_ends_with_the_server() {
    let server = one(vec![Step::Stall { at_most: SOON }, Step::CloseUnread]).unwrap();
    let mut client = connect(&server).unwrap();
    client.set_write_timeout(Some(GAP)).unwrap();
    let stuck = (0..1024).find_map(|_| client.write_all(&[0; 64 * 1024]).err());
    assert!(matches!(stuck.unwrap().kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut));
    let start = Instant::now();
    assert_eq!(server.finish().unwrap().connections()[0].bytes_in, 0);
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_refusing_server_refuses() {
    let server = FaultServer::start(Script::refused()).unwrap();
    assert_eq!(connect(&server).unwrap_err().kind(), ErrorKind::ConnectionRefused);
    assert!(server.url("/a").ends_with("/a"));
    assert!(server.finish().unwrap().connections().is_empty());
}

#[test]
fn requests_share_a_connection_and_a_plan() {
    let replies = ["a", "b", "c"].map(|body| Reply::status(200).body(body));
    let server = FaultServer::start(Script::replies(replies.clone())).unwrap();
    let mut first = send(&server, GET).unwrap();
    read_exactly(&first, &replies[0].bytes()).unwrap();
    let second = send(&server, GET).unwrap();
    read_exactly(&second, &replies[1].bytes()).unwrap();
    first.write_all(GET).unwrap();
    read_exactly(&first, &replies[2].bytes()).unwrap();
    let log = server.finish().unwrap();
    let connections: Vec<_> = log.requests().iter().map(|request| request.connection).collect();
    assert_eq!(connections, [0, 1, 0]);
    assert!(log.requests().is_sorted_by_key(|request| request.arrived));
    assert_eq!(log.open_connections(), 0);
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    let replies = [Reply::status(200).body("a"), Reply::status(201).body("b").chunked(1)];
    let server = FaultServer::start(Script::replies(replies.clone())).unwrap();
    let client = send(&server, &[GET, GET].concat()).unwrap();
    read_exactly(&client, &replies.map(|reply| reply.bytes()).concat()).unwrap();
    server.finish().unwrap();
}

#[test]
fn a_chunked_body_is_read_whole_whatever_the_pieces() {
    let server = FaultServer::start(Script::replies([Reply::status(204)])).unwrap();
    let mut client = connect(&server).unwrap();
    client.set_nodelay(true).unwrap();
    let request = b"POST / HTTP/1.1\r\nTransfer-Encoding: Chunked\r\n\r\n\
        4;ext=1\r\nfour\r\nA\r\n0123456789\r\n0\r\ntrailer: x\r\n\r\n";
    for piece in request.chunks(7) {
        client.write_all(piece).unwrap();
    }
    read_exactly(&client, &Reply::status(204).bytes()).unwrap();
    let log = server.finish().unwrap();
    assert_eq!(log.requests()[0].body, b"four0123456789");
    assert!(log.requests()[0].complete);
}

#[test]
fn what_was_sent_before_the_finish_is_still_served() {
    for _ in 0..20 {
        let server = FaultServer::start(Script::replies([Reply::status(200)])).unwrap();
        let client = send(&server, GET).unwrap();
        assert_eq!(server.finish().unwrap().count("GET"), 1);
        read_exactly(&client, &Reply::status(200).bytes()).unwrap();
    }
}

#[test]
fn the_peak_of_open_connections_is_kept() {
    let server = FaultServer::start(Script::requests(vec![])).unwrap();
    let mut clients = Vec::new();
    for count in 1..=5 {
        clients.push(connect(&server).unwrap());
        until(&server, |log| log.open_connections() == count);
    }
    clients.truncate(2);
    until(&server, |log| log.open_connections() == 2);
    clients.push(connect(&server).unwrap());
    until(&server, |log| log.open_connections() == 3);
    drop(clients);
    let log = server.finish().unwrap();
    assert_eq!((log.peak_open_connections(), log.open_connections()), (5, 0));
    assert!(log.connections().iter().all(|record| record.closed == Some(Closing::ByPeer)));
}

#[test]
fn connections_one_after_the_other_are_never_open_together() {
    let ok = Reply::status(200);
    let server = FaultServer::start(Script::requests(vec![]).otherwise(vec![ok.step()])).unwrap();
    for _ in 0..200 {
        let client = send(&server, GET).unwrap();
        read_exactly(&client, &ok.bytes()).unwrap();
        client.shutdown(Shutdown::Both).unwrap();
    }
    let log = server.finish().unwrap();
    assert_eq!((log.connections().len(), log.peak_open_connections()), (200, 1));
}

#[test]
#[cfg(target_os = "linux")]
fn nor_are_those_that_end_with_something_unread() {
    // The first list never reads; each client says something before it goes.
    let stall = || vec![Step::Stall { at_most: SOON }, Step::CloseUnread];
    let server = FaultServer::start(Script::connections(vec![stall(), stall(), stall()])).unwrap();
    for _ in 0..3 {
        let client = send(&server, b"farewell").unwrap();
        client.shutdown(Shutdown::Both).unwrap();
        drop(client);
    }
    until(&server, |log| log.connections().len() == 3);
    assert_eq!(server.log().open_connections(), 0);
    assert_eq!(server.finish().unwrap().peak_open_connections(), 1);
}
