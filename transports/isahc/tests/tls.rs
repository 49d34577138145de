//! TLS: whom a server is trusted by, what is agreed on, and how a connection ends.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::num::NonZeroU32;
use core::time::Duration;
use std::thread;

use common::{SOON, block_on, client_of, ok, timeouts};
use http::{Method, Version};
use redial_client::{Client, Identity, Protocol, Roots, Settings};
use redial_conformance::{Certificate, FaultServer, Handshake, Reply, Script, Step, Tls};
use redial_engine::{Delivery, Failure, FailureKind, Outcome};
use redial_isahc::IsahcTransport;

/// A client that trusts this server's authority.
fn trusting(server: &FaultServer, change: impl FnOnce(&mut Settings)) -> Client {
    let mut settings = Settings::default();
    settings.tls.roots = Roots::Pem(server.roots().unwrap().into());
    change(&mut settings);
    let transport = IsahcTransport::with(settings).unwrap();
    client_of(transport).timeouts(timeouts(SOON)).build().unwrap()
}

/// A server that answers every request so.
fn server(tls: Tls, steps: Vec<Step>) -> FaultServer {
    FaultServer::start(Script::requests(vec![]).otherwise(steps).secured(tls)).unwrap()
}

fn failure(outcome: Outcome) -> (FailureKind, Delivery) {
    match outcome {
        Outcome::Failure(Failure { kind, delivery, .. }) => (kind, delivery),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_server_that_cannot_be_trusted_is_sent_nothing() {
    for certificate in Certificate::BAD {
        let server = server(Tls::new(certificate), vec![ok().step()]);
        let client = trusting(&server, |_| {});
        for method in [Method::GET, Method::POST] {
            let error = block_on(client.call(method, server.url("/")).send()).unwrap_err();
            assert_eq!(error.attempts().len(), 1, "R-X-5: {certificate:?} is final");
            let seen = failure(error.attempts()[0].outcome);
            assert_eq!(seen, (FailureKind::Tls, Delivery::Unsent), "R-X-5: {certificate:?}");
        }
        assert!(server.log().requests().is_empty(), "R-X-5: {certificate:?}");
    }
}

#[test]
fn a_server_that_can_be_trusted_is_called_by_name_and_by_address() {
    for certificate in [Certificate::Good, Certificate::GoodByIntermediate] {
        let server = server(Tls::new(certificate), vec![ok().step()]);
        let client = trusting(&server, |_| {});
        for host in ["localhost", "127.0.0.1"] {
            let response = block_on(client.get(server.url_by(host, "/")).send()).unwrap();
            assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 1));
        }
    }
}

#[test]
fn a_certificate_that_changes_between_attempts_ends_the_call() {
    let first = [Handshake::Complete(Certificate::Good)];
    let tls = Tls::new(Certificate::WrongHost).first(first);
    let busy = vec![Reply::status(503).header("connection", "close").step(), Step::Close];
    let server = server(tls, busy);
    let client = trusting(&server, |_| {});
    let error = block_on(client.get(server.url("/")).send()).unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::Tls, 2), "R-X-5");
    assert_eq!(server.log().requests().len(), 1);
}

/// R-X-5: silence is the connect timeout; all else is to curl what a refusal is.
#[test]
fn a_handshake_that_is_cut_is_final() {
    let cases = [
        (Handshake::EndOfStream, FailureKind::Tls),
        (Handshake::Reset, FailureKind::Tls),
        (Handshake::Garbage, FailureKind::Tls),
        (Handshake::NoCommonVersion, FailureKind::Tls),
        (Handshake::Silence, FailureKind::ConnectTimeout),
    ];
    for (handshake, kind) in cases {
        let server = server(Tls::every(handshake.clone()), vec![ok().step()]);
        let client = trusting(&server, |_| {});
        let call = client.get(server.url("/")).connect_timeout(Duration::from_millis(300));
        let error = block_on(call.max_attempts(NonZeroU32::MIN).send()).unwrap_err();
        let seen = failure(error.attempts()[0].outcome);
        assert_eq!(seen, (kind, Delivery::Unsent), "{handshake:?}");
        assert!(server.log().requests().is_empty(), "{handshake:?}");
    }
}

/// R-X-6: on a connection that others share, curl would repeat it by itself.
#[test]
fn what_must_not_be_repeated_is_sent_by_http1() {
    let server = server(Tls::new(Certificate::Good).alpn(["h2", "http/1.1"]), vec![ok().step()]);
    let cases = [
        (Protocol::Negotiated, Method::GET, Version::HTTP_2),
        (Protocol::Negotiated, Method::PUT, Version::HTTP_2),
        (Protocol::Negotiated, Method::POST, Version::HTTP_11),
        (Protocol::Negotiated, Method::PATCH, Version::HTTP_11),
        (Protocol::Http1, Method::GET, Version::HTTP_11),
    ];
    for (protocol, method, version) in cases {
        let client = trusting(&server, |settings| settings.protocol = protocol);
        for _ in 0..2 {
            let call = client.call(method.clone(), server.url("/")).body("four");
            assert_eq!(block_on(call.send()).unwrap().version(), version, "{method}");
        }
    }
}

/// R-C-5: what is too large for curl's HTTP/2 goes by HTTP/1.1, where both may be.
#[test]
fn a_head_that_is_too_large_for_http2_is_sent_by_http1() {
    let server = server(Tls::new(Certificate::Good).alpn(["h2", "http/1.1"]), vec![ok().step()]);
    let client = trusting(&server, |settings| settings.protocol = Protocol::Negotiated);
    for (length, version) in [(65_000, Version::HTTP_2), (70_000, Version::HTTP_11)] {
        for _ in 0..2 {
            let response =
                block_on(client.get(server.url("/")).header("x", "y".repeat(length)).send());
            let response = response.unwrap();
            assert_eq!((response.version(), response.attempts().len()), (version, 1), "{length}");
        }
    }
}

#[test]
fn no_common_protocol_is_final() {
    let server = server(Tls::new(Certificate::Good).alpn(["other"]), vec![ok().step()]);
    let client = trusting(&server, |_| {});
    let error = block_on(client.get(server.url("/")).send()).unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::Tls, 1), "R-D-3");
}

#[test]
fn a_client_certificate_is_shown() {
    let server = server(Tls::new(Certificate::Good).client_certificate(), vec![ok().step()]);
    let identity = server.identity().unwrap();
    let identity = Identity::from_pem(identity.certificates.clone(), identity.key.clone());
    let shown = trusting(&server, |settings| settings.tls.identity = Some(identity));
    for method in [Method::GET, Method::POST] {
        let call = shown.call(method, server.url("/"));
        assert_eq!(block_on(call.send()).unwrap().status(), 200, "R-C-5");
    }
    assert!(server.log().connections()[0].tls.as_ref().unwrap().client_certificate);
    let nobody = trusting(&server, |_| {});
    let call = nobody.get(server.url("/")).max_attempts(NonZeroU32::MIN);
    let error = block_on(call.send()).expect_err("a server that asks who it is gets no answer");
    assert_eq!(error.kind(), FailureKind::Reset, "as it is declared");
    assert_eq!(server.log().requests().len(), 2);
}

/// R-P-8: curl keeps an HTTP/2 connection that its TLS has given up, and fails whatever goes over it.
#[test]
fn a_connection_whose_tls_is_broken_fails_one_attempt_at_most() {
    let breaking = vec![Reply::status(503).step(), Step::BreakTls];
    let tls = Tls::new(Certificate::Good).alpn(["h2"]);
    let script = Script::requests(vec![breaking]).otherwise(vec![ok().step()]).secured(tls);
    let server = FaultServer::start(script).unwrap();
    let client = trusting(&server, |_| {});
    let response = block_on(client.get(server.url("/")).send()).unwrap();
    let attempts = response.attempts();
    assert!(response.status() == 200 && attempts.len() <= 3, "{attempts:?}");
}

/// R-D-3, as it is declared: curl says the same of TLS that can no longer send.
#[test]
fn a_header_that_is_none_is_told_where_no_stream_may_have_been_lost() {
    let malformed = b"HTTP/1.1 200 OK\r\nna me: x\r\ncontent-length: 0\r\n\r\n".to_vec();
    let tls = Tls::new(Certificate::Good).alpn(["http/1.1"]);
    let server = server(tls, vec![Step::Write(malformed), Step::Close]);
    let cases = [
        (Protocol::Negotiated, Method::GET, FailureKind::Reset),
        (Protocol::Negotiated, Method::POST, FailureKind::RemoteProtocol),
        (Protocol::Http1, Method::GET, FailureKind::RemoteProtocol),
    ];
    for (protocol, method, kind) in cases {
        let client = trusting(&server, |settings| settings.protocol = protocol);
        let call = client.call(method.clone(), server.url("/")).max_attempts(NonZeroU32::MIN);
        assert_eq!(block_on(call.send()).unwrap_err().kind(), kind, "{protocol:?} {method}");
    }
}

/// R-X-4: whoever cuts a connection is not taken for its peer.
#[test]
fn an_end_without_close_notify_is_an_error() {
    let closing = |body: &str| Reply::status(200).header("connection", "close").body(body).raw();
    let cut = Reply::status(200).header("content-length", "9").body("four").raw();
    let cases = [
        // Until the end, and with a length that is not reached: an end that nobody vouches for.
        (closing("whole"), false, None),
        (closing("whole"), true, Some("whole")),
        (cut.clone(), false, None),
        (cut, true, None),
    ];
    for (reply, says_goodbye, body) in cases {
        let tls = Tls::new(Certificate::Good);
        let tls = if says_goodbye { tls } else { tls.without_close_notify() };
        let server = server(tls, vec![reply.step(), Step::Close]);
        let client = trusting(&server, |_| {});
        let call = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let seen = block_on(call.send()).ok();
        assert_eq!(seen.as_ref().map(|it| it.text().into_owned()).as_deref(), body, "{reply:?}");
    }
    // A body that is whole by its length may be lost, as it is declared, but is never cut.
    let tls = Tls::new(Certificate::Good).without_close_notify();
    let server = server(tls, vec![ok().step(), Step::Close]);
    let client = trusting(&server, |_| {});
    for _ in 0..10 {
        let call = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
        match block_on(call.send()) {
            Ok(response) => assert_eq!(response.text(), "ok"),
            Err(error) => assert_eq!(error.kind(), FailureKind::Reset),
        }
    }
}

/// R-C-6: what is under way when the client is dropped is let go, over TLS as over TCP.
#[test]
fn a_dropped_client_closes_its_connections() {
    let server = server(Tls::new(Certificate::Good), vec![ok().step()]);
    let client = trusting(&server, |_| {});
    let calls = [Method::GET, Method::POST].map(|method| {
        let (client, url) = (client.clone(), server.url("/"));
        thread::spawn(move || block_on(client.call(method, url).send()).unwrap().status())
    });
    calls.into_iter().for_each(|call| assert_eq!(call.join().unwrap(), 200));
    drop(client);
    common::until(|| server.log().open_connections() == 0);
}
