//! What clients and script do not agree on is told, and holds nothing up.

mod common;

use core::error::Error;
use std::io::Write;
use std::time::Instant;

use common::{GET, SOON, connect, is_reset, one, read_all, read_exactly, send, until};
use redial_conformance::{
    Closing, FaultServer, GRACE, Leftover, Malformed, Reply, Script, Step, StepError,
};

#[test]
fn what_never_came_is_reported() {
    let steps = vec![Step::ReadRequest, Step::Close];
    let server = FaultServer::start(Script::connections(vec![steps.clone(), steps])).unwrap();
    read_all(&send(&server, GET).unwrap()).unwrap();
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(unfinished.leftovers(), [Leftover::ConnectionMissing { list: 1 }]));

    let server = FaultServer::start(Script::requests(vec![vec![], vec![]])).unwrap();
    drop(send(&server, GET).unwrap());
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(unfinished.leftovers(), [Leftover::RequestMissing { list: 1 }]));
    assert!(unfinished.to_string().contains("request 1 was never made"));
}

#[test]
fn a_step_that_was_not_reached_is_reported() {
    let server = one(vec![Step::ReadRequest, Step::ReadRequest, Step::Close]).unwrap();
    let client = send(&server, GET).unwrap();
    until(&server, |log| log.requests().len() == 1);
    let start = Instant::now();
    let unfinished = server.finish().unwrap_err();
    assert!(start.elapsed() < GRACE + SOON);
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Stopped { step: 1, instruction: Step::ReadRequest, error, .. }]
            if matches!(error, StepError::ServerFinished)
    ));
    drop(client);
}

#[test]
fn a_step_after_the_close_is_a_mistake_of_the_script() {
    for steps in [
        vec![Step::Close, Step::Write(b"late".to_vec())],
        vec![Step::CloseWrite, Step::Write(b"late".to_vec())],
    ] {
        let server = one(steps).unwrap();
        assert!(read_all(&connect(&server).unwrap()).unwrap_or_default().is_empty());
        let unfinished = server.finish().unwrap_err();
        assert!(matches!(
            unfinished.leftovers(),
            [Leftover::Stopped { step: 1, error, .. }] if matches!(error, StepError::AfterClose)
        ));
    }
}

#[test]
fn what_comes_beyond_the_script_is_reset_and_reported() {
    let server = FaultServer::start(Script::connections(vec![])).unwrap();
    assert!(is_reset(read_all(&connect(&server).unwrap())));
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(unfinished.leftovers(), [Leftover::UnexpectedConnection { connection: 0 }]));

    let reply = Reply::status(200).body("ok");
    let by_connection = Script::connections(vec![vec![Step::ReadRequest, reply.step()]]);
    for script in [Script::replies([reply.clone()]), by_connection] {
        let server = FaultServer::start(script).unwrap();
        let mut client = send(&server, GET).unwrap();
        read_exactly(&client, &reply.bytes()).unwrap();
        client.write_all(GET).unwrap();
        assert!(is_reset(read_all(&client)));
        let unfinished = server.finish().unwrap_err();
        assert!(matches!(unfinished.leftovers(), [Leftover::UnexpectedRequest { request: 1 }]));
        assert_eq!(unfinished.log().count("GET"), 2);
    }
}

#[test]
fn otherwise_serves_what_comes_beyond_the_script() {
    let reply = Reply::status(503);
    let server =
        FaultServer::start(Script::requests(vec![]).otherwise(vec![reply.step()])).unwrap();
    for _ in 0..3 {
        read_exactly(&send(&server, GET).unwrap(), &reply.bytes()).unwrap();
    }
    assert_eq!(server.finish().unwrap().count("GET"), 3);
}

#[test]
fn what_is_no_request_is_reported() {
    let server = FaultServer::start(Script::requests(vec![])).unwrap();
    assert!(is_reset(read_all(&send(&server, b"hello\r\n\r\n").unwrap())));
    let unfinished = server.finish().unwrap_err();
    assert!(matches!(
        unfinished.leftovers(),
        [Leftover::Garbled { connection: 0, error }]
            if matches!(error, StepError::Malformed(Malformed::RequestLine))
    ));
    let source = unfinished.source().and_then(Error::source);
    assert_eq!(source.unwrap().to_string(), Malformed::RequestLine.to_string());
}

#[test]
fn a_client_that_goes_away_within_a_request_holds_nothing_up() {
    let start = Instant::now();
    for script in
        [Script::requests(vec![vec![]]), Script::connections(vec![vec![Step::ReadRequest]])]
    {
        for (sent, logged) in [
            ("POST / HTTP/1.1\r\nconte", 0),
            ("POST / HTTP/1.1\r\ncontent-length: 9\r\n\r\nabc", 1),
        ] {
            let server = FaultServer::start(script.clone()).unwrap();
            drop(send(&server, sent.as_bytes()).unwrap());
            let unfinished = server.finish().unwrap_err();
            assert_eq!(unfinished.leftovers().len(), 1, "{unfinished}");
            assert_eq!(unfinished.log().connections()[0].closed, Some(Closing::ByPeer));
            let requests = unfinished.log().requests();
            assert_eq!(requests.len(), logged);
            assert!(requests.iter().all(|request| request.body == b"abc" && !request.complete));
        }
    }
    assert!(start.elapsed() < SOON);
}

#[test]
fn a_server_that_is_dropped_lets_nobody_wait() {
    let steps = vec![Step::ReadRequest, Step::Pause(10 * SOON), Step::Close];
    let server = FaultServer::start(Script::connections(vec![steps.clone(), steps])).unwrap();
    let clients = [send(&server, GET).unwrap(), connect(&server).unwrap()];
    until(&server, |log| log.requests().len() == 1);
    let start = Instant::now();
    drop(server);
    assert!(start.elapsed() < SOON);
    assert!(clients.iter().all(|client| read_all(client).unwrap_or_default().is_empty()));
}
