//! Callers of every kind: inside and outside runtimes, in ones that end, and without a name server.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use common::{always, block_on, client, ok, silent, until};
use http::Method;
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::FailureKind;

/// R-C-7: no runtime is needed, and none is in the way.
#[test]
fn a_blocking_call_may_be_made_anywhere() {
    let server = always(vec![ok().step()]);
    let client = redial_isahc::blocking().build().unwrap();
    let call = || assert_eq!(client.get(server.url("/")).send().unwrap().text(), "ok");
    call();
    block_on(async { call() });
    smol::block_on(async { call() });
    async_std::task::block_on(async { call() });
    let mut flavours = [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ];
    for flavour in &mut flavours {
        flavour.build().unwrap().block_on(async { call() });
    }
}

/// A runtime that ends takes its own calls with it, and nothing of the client.
#[test]
fn a_client_outlives_the_runtimes_it_was_used_in() {
    let (server, stuck) = (always(vec![ok().step()]), silent());
    let client = client();
    for _ in 0..3 {
        let runtime = tokio::runtime::Builder::new_multi_thread().build().unwrap();
        let (clone, url) = (client.clone(), stuck.url("/"));
        let call = clone.post(url).body("x").read_timeout(Duration::from_millis(200)).send();
        let call = runtime.spawn(call);
        until(|| client.pool().in_use > 0);
        runtime.shutdown_background();
        assert!(block_on(call).unwrap_err().is_cancelled());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let response = runtime.block_on(client.get(server.url("/")).send()).unwrap();
        assert_eq!(response.text(), "ok");
    }
    let executor = smol::Executor::new();
    drop(executor.spawn(client.get(stuck.url("/")).send()));
    assert_eq!(smol::block_on(client.get(server.url("/")).send()).unwrap().text(), "ok");
}

#[test]
fn an_origin_may_be_an_address_of_the_sixth_version() {
    let Ok(listener) = TcpListener::bind("[::1]:0") else {
        // A machine without that version has no such origins.
        return;
    };
    let address: SocketAddr = listener.local_addr().unwrap();
    let server = thread::spawn(move || {
        let mut heads = Vec::new();
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 1024];
            let length = stream.read(&mut head).unwrap();
            let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok";
            stream.write_all(answer).unwrap();
            heads.push(String::from_utf8_lossy(&head[..length]).into_owned());
        }
        heads
    });
    let client = client();
    for call in
        [client.get(format!("http://{address}/six")), client.post(format!("http://{address}/"))]
    {
        assert_eq!(block_on(call.send()).unwrap().text(), "ok");
    }
    for head in server.join().unwrap() {
        assert!(head.to_ascii_lowercase().contains(&format!("\r\nhost: {address}\r\n")), "{head}");
    }
}

/// R-C-4: of a body that is too long, no more is read, and the connection serves nothing more.
#[test]
fn a_body_beyond_its_limit_is_left() {
    let flood = Step::Flood { bytes: vec![b'x'; 100_000], at_most: usize::MAX };
    let endless = Reply::status(200).header("content-length", "1000000000000").raw();
    let until_the_end = Reply::status(200).header("connection", "close").raw();
    for reply in [endless, until_the_end] {
        let server = always(vec![reply.step(), flood.clone()]);
        let client = client();
        let error =
            block_on(client.get(server.url("/")).max_response_bytes(1000).send()).unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (FailureKind::ResponseTooLarge, 1));
        until(|| client.pool().in_use == 0);
        until(|| server.log().open_connections() == 0);
    }
}

/// As it is declared: what a caller expects of that is left out, because curl would answer a 417 by
/// the same request again, and that by the next.
#[test]
fn nobody_waits_to_be_told_to_continue() {
    let go = b"HTTP/1.1 100 Continue\r\n\r\n".to_vec();
    let told = vec![Step::ReadHead, Step::Write(go), Step::ReadBody, ok().step()];
    let refusal = || Reply::status(417).header("content-length", "0");
    let refused = vec![Step::ReadHead, refusal().step()];
    let closed = vec![Step::ReadHead, refusal().header("connection", "close").step()];
    let ignored = vec![Step::ReadRequest, ok().step()];
    for (steps, status) in [(told, 200), (refused, 417), (closed, 417), (ignored, 200)] {
        for method in [Method::POST, Method::PUT] {
            for expected in ["100-continue", "100-Continue, 100-continue"] {
                let script = Script::connections(vec![]).otherwise(steps.clone());
                let server = FaultServer::start(script).unwrap();
                let call = client().call(method.clone(), server.url("/")).body("body");
                let seen = block_on(call.header("expect", expected).send());
                assert_eq!(seen.unwrap().status(), status, "{method}");
                let log = server.log();
                assert_eq!(log.requests().len(), 1, "{method}, {status}: R-X-7");
                assert_eq!(log.requests()[0].header("expect"), None);
            }
        }
    }
}

#[test]
fn another_expectation_is_sent() {
    let server = always(vec![ok().step()]);
    let call = client().post(server.url("/")).header("expect", "more").body("body");
    assert_eq!(block_on(call.send()).unwrap().status(), 200);
    assert_eq!(server.log().requests()[0].header("expect").unwrap(), b"more");
}
