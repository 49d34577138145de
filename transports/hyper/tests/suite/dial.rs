//! Names with several addresses, and addresses that lead nowhere (RFC 8305, R-T-1).

#![allow(clippy::print_stdout, reason = "what a machine does not have is left out aloud")]

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::Instant;

use redial_client::Client;
use redial_conformance::{FaultServer, Script};
use redial_engine::{Delivery, FailureKind, Outcome};
use redial_hyper::Hyper;

use crate::common::{SOON, finish, ok, quick, replies, timeouts, until};
use crate::on::{On, on_each_runtime};
use crate::runtime::TestRuntime;

on_each_runtime![
    an_address_that_refuses_is_followed_by_the_next,
    an_address_that_leads_nowhere_does_not_hold_up_the_next,
    a_name_whose_addresses_all_refuse_is_a_connect_failure,
    a_name_whose_addresses_all_lead_nowhere_trips_the_connect_timeout,
    a_name_without_an_address_is_a_resolve_failure,
    an_origin_may_be_an_address_of_either_family,
];

const NEVER: Duration = Duration::from_secs(3600);

fn client(runtime: &TestRuntime, connect: Duration) -> Client {
    let mut limits = timeouts(SOON);
    limits.connect = connect;
    let builder = Client::builder(Hyper::on(runtime.clone())).timeouts(limits);
    builder.policy(quick().max_attempts(1).build().unwrap()).build().unwrap()
}

fn refuses() -> FaultServer {
    FaultServer::start(Script::refused()).unwrap()
}

async fn fails_with(client: &Client, kind: FailureKind) {
    let error = client.post("http://name.example/").send().await.unwrap_err();
    let outcome = Outcome::failure(kind, Delivery::Unsent);
    assert_eq!(error.attempts()[0].outcome, outcome, "{error}");
    assert!(error.is_connect() || error.is_timeout(), "{error:?}");
    until(|| client.pool().open == 0).await;
}

async fn an_address_that_refuses_is_followed_by_the_next(on: On) {
    let (refused, server) = (refuses(), replies([ok()]));
    let runtime = on.runtime().resolving_to([refused.address(), server.address()]);
    let response = client(&runtime, SOON).get("http://name.example/").send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1));
    assert_eq!(finish(server).await.requests()[0].header("host"), Some(b"name.example".as_slice()));
}

async fn an_address_that_leads_nowhere_does_not_hold_up_the_next(on: On) {
    let (nowhere, server) = (replies([]), replies([ok()]));
    let addresses = [nowhere.address(), server.address()];
    let runtime = on.runtime().slow(nowhere.address(), NEVER).resolving_to(addresses);
    let client = client(&runtime, SOON);
    let began = Instant::now();
    let response = client.get("http://name.example/").send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1));
    // The first one had its head start.
    assert!(began.elapsed() >= Duration::from_millis(250), "{:?}", began.elapsed());
    assert_eq!(client.pool().open, 1);
    until(|| runtime.sockets().open() == 1).await;
    finish(server).await;
}

async fn a_name_whose_addresses_all_refuse_is_a_connect_failure(on: On) {
    let (one, other) = (refuses(), refuses());
    let runtime = on.runtime().resolving_to([one.address(), other.address()]);
    fails_with(&client(&runtime, SOON), FailureKind::Connect).await;
}

async fn a_name_whose_addresses_all_lead_nowhere_trips_the_connect_timeout(on: On) {
    let nowhere = replies([]);
    let runtime = on.runtime().slow(nowhere.address(), NEVER).resolving_to([nowhere.address(); 3]);
    let connect = Duration::from_millis(600);
    let began = Instant::now();
    fails_with(&client(&runtime, connect), FailureKind::ConnectTimeout).await;
    assert!(began.elapsed() >= connect);
    assert_eq!(runtime.sockets().open(), 0, "the race is over for all of them");
    assert_eq!(runtime.sockets().peak(), 3);
}

async fn a_name_without_an_address_is_a_resolve_failure(on: On) {
    fails_with(&client(&on.runtime().resolving_to([]), SOON), FailureKind::Resolve).await;
    // RFC 6761 6.4: nobody ever has this name. Who resolves it answers at once, or not in time.
    let client = client(&on.runtime(), SOON);
    let error = client.get("http://nobody.invalid/").send().await.unwrap_err();
    let kind = error.kind();
    assert!(matches!(kind, FailureKind::Resolve | FailureKind::ConnectTimeout), "{error}");
}

async fn an_origin_may_be_an_address_of_either_family(on: On) {
    for local in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(listener) = TcpListener::bind(local) else {
            println!("left out: this machine has no {local}");
            continue;
        };
        let address: SocketAddr = listener.local_addr().unwrap();
        let server = std::thread::spawn(move || {
            let (mut socket, _) = listener.accept().unwrap();
            let (mut head, mut piece) = (Vec::new(), [0; 512]);
            while !head.windows(4).any(|end| end == b"\r\n\r\n") {
                let length = socket.read(&mut piece).unwrap();
                head.extend_from_slice(&piece[..length]);
            }
            socket.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").unwrap();
            String::from_utf8(head).unwrap()
        });
        let response = on.client().get(format!("http://{address}/")).send().await.unwrap();
        assert_eq!(response.text(), "ok");
        let head = server.join().unwrap();
        assert!(head.contains(&format!("host: {address}\r\n")), "{head}");
    }
}
