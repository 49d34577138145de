//! TLS: whom a client trusts, what it never sends to anybody else, and handshakes that end early.

use core::error::Error as _;
use core::net::SocketAddr;
use core::num::NonZeroU32;
use core::time::Duration;
use std::io::{self, Read as _, Write as _};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::thread;

use futures_util::future::join_all;
use http::{Method, Version};
use redial_client::{Client, ClientBuilder, Identity, Protocol, Roots, Tls};
use redial_conformance::{
    Certificate, ErrorCode, FaultServer, Frame, Handshake, Http2, LastStream, Reply, Script, Step,
};
use redial_engine::{Delivery, Failure, FailureKind, Outcome};

use crate::common::{SOON, finish, ok, quick, timeouts, until};
use crate::on::{On, on_each_runtime};

on_each_runtime![
    a_bad_certificate_is_a_final_error_and_nothing_is_sent,
    a_name_or_address_that_the_certificate_is_not_for_is_refused,
    a_certificate_that_turns_bad_between_two_attempts_ends_the_call,
    no_common_version_or_protocol_is_a_final_error,
    a_handshake_that_the_network_cuts_is_retried,
    a_private_authority_is_trusted_where_it_is_given,
    both_sides_agree_on_the_best_protocol_that_they_share,
    an_origin_that_requires_http1_gets_it,
    an_origin_that_requires_what_it_does_not_speak_is_not_lost,
    a_client_shows_its_certificate_where_it_has_one,
    a_complete_response_needs_no_goodbye_and_an_open_one_does,
    an_answer_before_tls_breaks_is_whole,
    a_record_that_comes_slowly_is_no_silence,
];

fn start(script: Script, tls: redial_conformance::Tls) -> FaultServer {
    FaultServer::start(script.secured(tls)).unwrap()
}

fn shows(certificate: Certificate) -> redial_conformance::Tls {
    redial_conformance::Tls::new(certificate)
}

/// A client that trusts this server's authority and no other.
fn builder(on: &On, server: &FaultServer) -> ClientBuilder {
    on.builder().tls(trusting(server))
}

fn client(on: &On, server: &FaultServer) -> Client {
    builder(on, server).build().unwrap()
}

fn trusting(server: &FaultServer) -> Tls {
    let mut tls = Tls::default();
    tls.roots = Roots::Pem(server.roots().unwrap().into());
    tls
}

/// That calls to this URL end at once, in a final error of TLS, whether or not they share what could
/// not be opened, and that the server got nothing.
async fn is_refused(client: &Client, server: &FaultServer, host: &str, what: &str) {
    let calls = [(); 3].map(|()| client.get(server.url_by(host, "/")).send());
    for end in join_all(calls).await {
        let error = end.unwrap_err();
        let outcome = Outcome::failure(FailureKind::Tls, Delivery::Unsent);
        let outcomes: Vec<_> = error.attempts().iter().map(|attempt| attempt.outcome).collect();
        assert_eq!(outcomes, [outcome], "R-X-5: {what}: {error}");
        assert_eq!(error.reason(), None, "R-X-5: {what}: it is final");
        assert!(error.source().is_some(), "R-C-10: {what}: {error:?}");
    }
    assert!(server.log().requests().is_empty(), "R-X-5: {what}");
    until(|| client.pool().open == 0).await;
}

async fn a_bad_certificate_is_a_final_error_and_nothing_is_sent(on: On) {
    for certificate in Certificate::BAD {
        let server =
            start(Script::requests(vec![]).otherwise(vec![ok().step()]), shows(certificate));
        is_refused(&client(&on, &server), &server, "127.0.0.1", &format!("{certificate:?}")).await;
    }
}

async fn a_name_or_address_that_the_certificate_is_not_for_is_refused(on: On) {
    for (certificate, host) in
        [(Certificate::WrongHost, "localhost"), (Certificate::WrongAddress, "127.0.0.1")]
    {
        let server =
            start(Script::requests(vec![]).otherwise(vec![ok().step()]), shows(certificate));
        is_refused(&client(&on, &server), &server, host, &format!("{certificate:?}")).await;
    }
    // Nobody's authority is trusted who was not asked for: not even one that is good elsewhere.
    let (server, other) = (
        start(Script::requests(vec![]), shows(Certificate::Good)),
        start(Script::requests(vec![]), shows(Certificate::Good)),
    );
    is_refused(&client(&on, &other), &server, "localhost", "another authority").await;
    is_refused(&on.client(), &server, "localhost", "the platform's authorities").await;
}

async fn a_certificate_that_turns_bad_between_two_attempts_ends_the_call(on: On) {
    let tls = shows(Certificate::UnknownAuthority).first([Handshake::Complete(Certificate::Good)]);
    let busy = vec![Reply::status(503).header("connection", "close").step(), Step::Close];
    let server = start(Script::requests(vec![busy]), tls);
    let error = client(&on, &server).get(server.url("/")).send().await.unwrap_err();
    let outcomes: Vec<_> = error.attempts().iter().map(|attempt| attempt.outcome).collect();
    assert_eq!(outcomes.len(), 2);
    assert_eq!(outcomes[1], Outcome::failure(FailureKind::Tls, Delivery::Unsent), "R-X-5");
    assert_eq!(server.log().requests().len(), 1, "R-X-5");
}

async fn no_common_version_or_protocol_is_a_final_error(on: On) {
    let every = redial_conformance::Tls::every;
    let server = start(Script::connections(vec![vec![]]), every(Handshake::NoCommonVersion));
    is_refused(&client(&on, &server), &server, "localhost", "no common version").await;
    let tls = shows(Certificate::Good).alpn(["h3"]);
    let server = start(Script::connections(vec![vec![]]), tls);
    is_refused(&client(&on, &server), &server, "localhost", "no common protocol").await;
    // Who wants HTTP/2 and nothing else is not served by less.
    let tls = shows(Certificate::Good).alpn(["http/1.1"]);
    let server = start(Script::connections(vec![vec![]]), tls);
    let client = builder(&on, &server).protocol(Protocol::Http2PriorKnowledge).build().unwrap();
    is_refused(&client, &server, "localhost", "HTTP/1.1 alone").await;
}

async fn a_handshake_that_the_network_cuts_is_retried(on: On) {
    use FailureKind::{Connect, ConnectTimeout};
    for (handshake, kind) in [
        (Handshake::EndOfStream, Connect),
        (Handshake::Reset, Connect),
        (Handshake::Garbage, Connect),
        (Handshake::Silence, ConnectTimeout),
    ] {
        let tls = shows(Certificate::Good).first([handshake.clone()]);
        let server = start(Script::replies([ok()]), tls);
        let mut limits = timeouts(SOON);
        limits.connect = Duration::from_millis(500);
        // It may never be sent twice, and it was not sent at all.
        let call = client(&on, &server).post(server.url("/")).timeouts(limits);
        let response = call.replay(redial_engine::Replay::IfUnsent).send().await.unwrap();
        assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 2));
        let outcome = response.attempts()[0].outcome;
        assert_eq!(outcome, Outcome::failure(kind, Delivery::Unsent), "R-X-5: {handshake:?}");
        finish(server).await;
    }
}

async fn a_private_authority_is_trusted_where_it_is_given(on: On) {
    for certificate in [Certificate::Good, Certificate::GoodByIntermediate] {
        for host in ["127.0.0.1", "localhost"] {
            let server = start(Script::replies([ok(), ok()]), shows(certificate));
            let client = client(&on, &server);
            for _ in 0..2 {
                let response = client.get(server.url_by(host, "/")).send().await.unwrap();
                assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 1));
            }
            assert_eq!(finish(server).await.connections().len(), 1, "R-P-7");
        }
    }
}

async fn both_sides_agree_on_the_best_protocol_that_they_share(on: On) {
    let cases: [(&[&str], Protocol, Version); 5] = [
        (&["h2", "http/1.1"], Protocol::Negotiated, Version::HTTP_2),
        (&["http/1.1"], Protocol::Negotiated, Version::HTTP_11),
        (&[], Protocol::Negotiated, Version::HTTP_11),
        (&["h2", "http/1.1"], Protocol::Http1, Version::HTTP_11),
        (&["h2"], Protocol::Http2PriorKnowledge, Version::HTTP_2),
    ];
    for (offered, protocol, version) in cases {
        let tls = shows(Certificate::Good).alpn(offered.iter().copied());
        let server = start(Script::replies([ok(), ok(), ok()]).http2(Http2::new()), tls);
        let client = builder(&on, &server).protocol(protocol).build().unwrap();
        for _ in 0..3 {
            let response = client.get(server.url("/")).send().await.unwrap();
            assert_eq!(response.version(), version, "{offered:?} {protocol:?}");
        }
        assert_eq!(finish(server).await.connections().len(), 1, "R-P-7");
    }
}

/// R-C-5: a server that wants HTTP/1.1 after all (RFC 9113 7), as for a client certificate, gets it from
/// then on. What it made of the request nobody knows, unless it says so: what may be repeated is.
async fn an_origin_that_requires_http1_gets_it(on: On) {
    let reset = Frame::rst_stream(ErrorCode::HTTP_1_1_REQUIRED);
    let goaway = Frame::goaway(LastStream::Number(0), ErrorCode::HTTP_1_1_REQUIRED);
    let unknown = Failure::new(FailureKind::StreamReset, Delivery::Unknown);
    let unsent = Failure::new(FailureKind::GoAway { graceful: false }, Delivery::Unsent);
    let rows = [
        (Method::GET, &reset, Ok(2)),
        (Method::POST, &reset, Err(unknown)),
        (Method::GET, &goaway, Ok(2)),
        (Method::POST, &goaway, Err(unsent)),
    ];
    for (method, frame, first) in rows {
        let answers = vec![[Step::ReadRequest, ok().step()]; 1 + usize::from(first.is_ok())];
        let tls = shows(Certificate::Good).alpn(["h2", "http/1.1"]);
        let server = start(Script::connections(vec![asks(frame), answers.concat()]), tls);
        let client = client(&on, &server);
        let call = || client.call(method.clone(), server.url("/")).send();

        let seen = call().await.map(|response| response.attempts().len());
        assert_eq!(seen.map_err(|error| error.failure().unwrap()), first, "{method}");
        let response = call().await.unwrap();
        assert_eq!((response.version(), response.attempts().len()), (Version::HTTP_11, 1));
        assert_eq!(finish(server).await.connections().len(), 2, "R-P-7");
    }
}

/// One that does not speak it is offered HTTP/2 again.
async fn an_origin_that_requires_what_it_does_not_speak_is_not_lost(on: On) {
    let reset = Frame::rst_stream(ErrorCode::HTTP_1_1_REQUIRED);
    let by_http2 = vec![Step::Preface(Http2::new()), Step::ReadRequest, ok().step()];
    let tls = shows(Certificate::Good).alpn(["h2"]);
    let server = start(Script::connections(vec![asks(&reset), vec![], by_http2]), tls);
    let client = client(&on, &server);
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::Tls, 2), "{error}");
    let response = client.get(server.url("/")).send().await.unwrap();
    assert_eq!((response.version(), response.attempts().len()), (Version::HTTP_2, 1));
    finish(server).await;
}

/// A connection on which a request is answered by this frame.
fn asks(frame: &Frame) -> Vec<Step> {
    let answer = Step::Send(vec![frame.clone()]);
    let wait = Step::AwaitClose { within: SOON };
    vec![Step::Preface(Http2::new()), Step::ReadRequest, answer, wait]
}

async fn a_client_shows_its_certificate_where_it_has_one(on: On) {
    let tls = || shows(Certificate::Good).client_certificate();
    let server = start(Script::replies([ok()]), tls());
    let identity = server.identity().unwrap();
    let mut trusting = trusting(&server);
    trusting.identity =
        Some(Identity::from_pem(identity.certificates.as_bytes(), identity.key.as_bytes()));
    let client = on.builder().tls(trusting).build().unwrap();
    assert_eq!(client.get(server.url("/")).send().await.unwrap().status(), 200);
    assert!(finish(server).await.connections()[0].tls.as_ref().unwrap().client_certificate);

    // Without one it is refused; over TLS 1.3 only after the client has taken the handshake for
    // done, so that what it sent meanwhile is in nobody's hands.
    let server = start(Script::requests(vec![]), tls());
    let error = self::client(&on, &server).get(server.url("/")).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::Tls, 1), "{error}");
    assert!(server.log().requests().is_empty());
}

async fn a_complete_response_needs_no_goodbye_and_an_open_one_does(on: On) {
    let rude = || shows(Certificate::Good).without_close_notify();
    let close = |reply: Reply| Script::requests(vec![vec![reply.step(), Step::Close]]);
    let server = start(close(ok()), rude());
    let response = client(&on, &server).get(server.url("/")).send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.is_complete()), ("ok", true));
    finish(server).await;

    // A body that ends with its connection may have been cut by anybody (RFC 9112 9.8).
    let open = ok().raw().header("connection", "close");
    for (tls, whole) in [(shows(Certificate::Good), true), (rude(), false)] {
        let server = start(close(open.clone()), tls);
        let once = on.builder().policy(quick().max_attempts(1).build().unwrap());
        let client = once.tls(trusting(&server)).build().unwrap();
        let result = client.get(server.url("/")).send().await;
        match result {
            Ok(response) => assert!(whole && response.text() == "ok", "R-X-4"),
            Err(error) => assert!(!whole && error.kind() == FailureKind::Truncated, "{error}"),
        }
        finish(server).await;
    }
}

/// What comes in one piece with a record that is none, and before it, is in order.
async fn an_answer_before_tls_breaks_is_whole(on: On) {
    for _ in 0..20 {
        let server = start(
            Script::requests(vec![vec![ok().step(), Step::BreakTls]]),
            shows(Certificate::Good).alpn(["http/1.1"]),
        );
        let client = client(&on, &server);
        let response = client.post(server.url("/")).body("four").send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 1));
    }
}

/// A record shows nothing of itself before it is whole, however long that takes (R-T-2).
async fn a_record_that_comes_slowly_is_no_silence(on: On) {
    for protocol in [Protocol::Http1, Protocol::Http2PriorKnowledge] {
        let tls = shows(Certificate::Good).alpn(["h2", "http/1.1"]);
        let long = Reply::status(200).body(vec![b'x'; 8000]);
        let server = start(Script::replies([long]).http2(Http2::new()), tls);
        let slow = slowly(server.address());
        let client = builder(&on, &server).protocol(protocol).build().unwrap();
        let mut limits = timeouts(SOON);
        limits.read = Duration::from_millis(400);
        let call = client.get(format!("https://{slow}/")).timeouts(limits);
        let response = call.max_attempts(NonZeroU32::MIN).send().await.unwrap();
        assert_eq!(response.body().len(), 8000, "{protocol:?}");
        finish(server).await;
    }
}

/// An address that leads to this one, and from which bytes come back a few at a time.
fn slowly(server: SocketAddr) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (client, _) = listener.accept().unwrap();
        let server = TcpStream::connect(server).unwrap();
        let (mut from_client, mut to_server) =
            (client.try_clone().unwrap(), server.try_clone().unwrap());
        thread::spawn(move || {
            let _ = io::copy(&mut from_client, &mut to_server);
            let _ = to_server.shutdown(Shutdown::Write);
        });
        let (mut from_server, mut to_client, mut few) = (server, client, [0; 100]);
        while let Ok(read @ 1..) = from_server.read(&mut few) {
            if to_client.write_all(&few[..read]).is_err() {
                return;
            }
            thread::sleep(Duration::from_millis(10));
        }
    });
    address
}
