//! Whole calls: what is on the wire, retries, bodies both ways, and every executor there is.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod common;

use core::convert::Infallible;
use core::error::Error as _;
use core::num::NonZeroU32;
use core::time::Duration;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use common::{SOON, always, block_on, client, finish, ok, replies, timeouts};
use http::{HeaderValue, Method, Request};
use http_body_util::BodyExt;
use redial_client::{
    Body, Exchange, HeadLimit, Identity, Roots, Settings, SettingsError, Transport,
};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome};
use redial_isahc::{IsahcTransport, StartError, Unsendable};

/// The header lines of a request, sorted.
fn lines(request: &redial_conformance::RequestRecord) -> Vec<String> {
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    let line = |(name, value): &(String, Vec<u8>)| {
        format!("{}: {}", name.to_ascii_lowercase(), text(value))
    };
    let mut lines: Vec<_> =
        request.headers.iter().map(line).filter(|line| !line.starts_with("host: ")).collect();
    lines.sort_unstable();
    lines
}

#[test]
fn the_wire_shows_what_the_caller_asked_for() {
    let own = || {
        let builder = Request::builder().header("accept", "text/plain").header("x-own", "1");
        builder.header("user-agent", "mine").header("content-type", "text/css")
    };
    let asked = ["accept: text/plain", "content-type: text/css", "user-agent: mine", "x-own: 1"];
    // R-C-13, with what the crate's documentation declares.
    let unasked = ["accept: */*", "user-agent: "];
    let large = 2_000_000;
    let cases = [
        (own().method("GET"), 0, vec![], &asked[..]),
        (own().method("POST"), 5, vec!["content-length: 5"], &asked),
        (own().method("POST"), large, vec!["content-length: 2000000"], &asked),
        (own().method("PUT"), 0, vec!["content-length: 0"], &asked),
        (Request::builder().method("GET"), 0, vec![], &unasked),
        (Request::builder().method("HEAD"), 0, vec![], &unasked),
        (Request::builder().method("DELETE"), 0, vec![], &unasked),
        (Request::builder().method("OPTIONS"), 0, vec![], &unasked),
        (Request::builder().method("ODD"), 3, vec!["content-length: 3"], &unasked),
        (Request::builder().method("GET"), 3, vec!["content-length: 3"], &unasked),
        (Request::builder().method("PATCH"), 0, vec!["content-length: 0"], &unasked),
        (Request::builder().method("POST"), 0, vec!["content-length: 0"], &unasked),
        (Request::builder().method("PUT"), large, vec!["content-length: 2000000"], &unasked),
        (
            Request::builder().method("POST"),
            5,
            vec!["content-length: 5", "content-type: "],
            &unasked,
        ),
    ];
    let server = always(vec![Reply::status(204).step()]);
    let transport = IsahcTransport::new().unwrap();
    for (builder, body, framing, own) in cases {
        let request = builder.uri(server.url("/a%20b?c=d")).body(vec![b'x'; body].into()).unwrap();
        let what = format!("{} with {body} bytes", request.method());
        let answer =
            block_on(transport.send(Exchange::of(request, timeouts(SOON)).unwrap())).unwrap();
        assert_eq!(answer.response.status(), 204, "{what}");
        let log = server.log();
        let request = log.requests().last().unwrap();
        let mut expected = [framing, own.to_vec()].concat();
        expected.sort_unstable();
        assert_eq!(lines(request), expected, "R-C-13: {what}");
        assert_eq!((request.target.as_str(), request.body.len()), ("/a%20b?c=d", body), "{what}");
    }
}

#[test]
fn a_percent_encoding_is_sent_in_upper_case() {
    // As RFC 3986 6.2.2.1 writes it, and curl in a path whatever the caller wrote.
    let server = replies([ok()]);
    block_on(client().get(server.url("/a%2fb%zz?c=%e2%82%ac&d=%7e")).send()).unwrap();
    assert_eq!(finish(server).requests()[0].target, "/a%2Fb%zz?c=%e2%82%ac&d=%7e");
}

#[test]
fn a_host_of_the_callers_own_replaces_the_urls() {
    let server = replies([ok()]);
    let call = client().get(server.url("/")).header("host", "example.org");
    block_on(call.send()).unwrap();
    let log = finish(server);
    assert_eq!(log.requests()[0].header("host").unwrap(), b"example.org");
}

#[test]
fn what_isahc_would_change_is_refused_before_anything_is_sent() {
    let server = replies([]);
    let url = |path: &str| server.url(path);
    let cases = [
        (Request::get(url("/a/../b")), "", Unsendable::DotSegments),
        (Request::get(url("/%2e%2E/b")), "", Unsendable::DotSegments),
        (Request::get(url("/a/.")), "", Unsendable::DotSegments),
        (Request::head(url("/")), "body", Unsendable::HeadWithBody),
        (
            Request::get(url("/")).header("x", HeaderValue::from_bytes(b"\xe9").unwrap()),
            "",
            Unsendable::HeaderValue,
        ),
    ];
    let transport = IsahcTransport::new().unwrap();
    for (builder, body, why) in cases {
        let request = builder.body(Body::from(body)).unwrap();
        let sent = block_on(transport.send(Exchange::of(request, timeouts(SOON)).unwrap()));
        let error = sent.unwrap_err();
        let failure = error.failure();
        assert_eq!(failure.kind, FailureKind::InvalidRequest, "{why:?}");
        assert_eq!(failure.delivery, Delivery::Unsent, "{why:?}");
        let source = error.source().unwrap().downcast_ref::<Unsendable>();
        assert_eq!(source, Some(&why));
    }
    for url in
        ["/relative", "ftp://localhost/", "http://user@localhost/", "http://localhost:99999/"]
    {
        let request = Request::get(url).body(Body::empty()).unwrap();
        assert!(Exchange::of(request, timeouts(SOON)).is_err(), "{url}");
    }
    assert!(finish(server).connections().is_empty());
    // Dots that are no segments are nobody's business.
    let server = replies([ok()]);
    let response = block_on(client().get(server.url("/a..b/...?c=../d")).send()).unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(finish(server).requests()[0].target, "/a..b/...?c=../d");
}

#[test]
fn calls_are_retried_and_keep_their_history() {
    let server = replies([
        Reply::status(503).body("busy"),
        Reply::status(429).header("retry-after", "0"),
        ok().chunked(1),
    ]);
    let response = block_on(client().get(server.url("/")).send()).unwrap();
    assert_eq!((response.status().as_u16(), response.text().as_ref()), (200, "ok"));
    assert_eq!(response.attempts().len(), 3);
    assert_eq!(response.attempts()[0].outcome, Outcome::status(503));
    finish(server);
    // A POST is not repeated, whatever becomes of it.
    let server = always(vec![Step::Close]);
    let error = block_on(client().post(server.url("/")).body("once").send()).unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::Closed, 1));
    assert_eq!(server.log().requests().len(), 1);
}

#[test]
fn nothing_is_followed_decoded_or_kept_for_the_server() {
    let moved = Reply::status(302).header("location", "/elsewhere").header("set-cookie", "a=b");
    let denied = Reply::status(401).header("www-authenticate", "Basic realm=\"a\"");
    let server = replies([moved, ok().header("content-encoding", "gzip"), denied, ok()]);
    let client = client();
    let response = block_on(client.get(server.url("/")).send()).unwrap();
    assert_eq!(response.status(), 302);
    let response = block_on(client.get(server.url("/2")).send()).unwrap();
    assert_eq!(response.text(), "ok");
    let response = block_on(client.get(server.url("/3")).send()).unwrap();
    assert_eq!(response.status(), 401);
    let response = block_on(client.post(server.url("/4")).body("four").send()).unwrap();
    assert_eq!(response.text(), "ok");
    for request in finish(server).requests() {
        for name in ["cookie", "accept-encoding", "authorization", "proxy-authorization"] {
            assert_eq!(request.header(name), None, "R-C-13: {}", request.target);
        }
    }
}

/// R-C-13: the test above again, in a process whose environment names proxies that are none, and
/// whose home has a password for everybody.
#[test]
fn the_environment_names_no_proxy_and_no_password() {
    const CHILD: &str = "nothing_is_followed_decoded_or_kept_for_the_server";
    let home = Path::new(env!("CARGO_TARGET_TMPDIR"));
    fs::write(home.join(".netrc"), "default login somebody password secret\n").unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        child.env(name, "http://127.0.0.1:1");
    }
    let output = child
        .env("HOME", home)
        .env_remove("no_proxy")
        .env("NO_PROXY", "")
        .args(["--exact", CHILD])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

#[test]
fn bodies_stream_both_ways_whole() {
    let body: Vec<u8> = (0..3_000_000_u32).map(|number| (number % 251) as u8).collect();
    let replies = [ok().body(body.clone()), ok().body(body.clone()).chunked(70_000)];
    let server = common::replies(replies);
    let client = client();
    for method in [Method::PUT, Method::POST] {
        let call = client.call(method, server.url("/")).body(body.clone());
        let response = block_on(call.send()).unwrap();
        assert!(response.body() == &body);
    }
    for request in finish(server).requests() {
        assert!(request.complete && request.body == body);
    }
}

/// As it is declared: isahc takes the body from curl with the response head. What then looks whole
/// to the server, and is not, must not be taken for a success.
#[test]
fn an_upload_that_is_not_over_ends_with_its_response() {
    let half = || Reply::status(200).header("content-length", "4").raw();
    let steps = |reply: Vec<u8>| {
        let within = SOON;
        [Step::ReadBytes(1000), Step::Write(reply), Step::AwaitClose { within }].to_vec()
    };
    let begun = || steps([half().head(), b"ab".to_vec()].concat());
    let whole = || steps([half().head(), b"abcd".to_vec()].concat());
    let refused = || steps(Reply::status(413).header("content-length", "0").raw().head());
    let last = || Reply::status(413).header("connection", "close").header("content-length", "4");
    let refusing = |body: &[u8]| steps([&*last().raw().head(), body].concat());
    let chunked = |status| Reply::status(status).header("transfer-encoding", "chunked").raw();
    let chunks = |status| steps([&*chunked(status).head(), b"4\r\nabcd\r\n0\r\n\r\n"].concat());
    let large = || Body::from(vec![b'x'; 20_000_000]);
    let stream = || {
        let piece = |_| async { Some((Ok::<_, Infallible>(vec![b'x'; 5000]), ())) };
        Body::once(smol::stream::unfold((), piece))
    };
    let cut = Err((FailureKind::LocalLimit, Delivery::Answered));
    let cases = [
        ("a length", begun(), large(), cut),
        ("a length, and all of the response", whole(), large(), Ok(200)),
        ("no length", begun(), stream(), cut),
        ("no length, and all of the response", whole(), stream(), cut),
        ("no length, and an error", refused(), stream(), Ok(413)),
        ("no length, and all of the last error", refusing(b"abcd"), stream(), Ok(413)),
        ("a length, and a response that says none", chunks(200), large(), cut),
        ("a length, and an error that says none", chunks(413), large(), Ok(413)),
        ("a length, and a part of the last error", refusing(b"ab"), large(), cut),
        ("a length, and all of the last error", refusing(b"abcd"), large(), Ok(413)),
    ];
    for (what, steps, body, end) in cases {
        let server = FaultServer::start(Script::connections(vec![steps])).unwrap();
        let call = client().put(server.url("/")).body(body);
        let seen = block_on(call.send()).map(|response| response.status().as_u16());
        let seen = seen.map_err(|error| {
            let failure = error.failure().unwrap();
            assert_eq!(error.attempts().len(), 1, "it is final: {error:?}");
            (failure.kind, failure.delivery)
        });
        assert_eq!(seen, end, "{what}");
    }
}

#[test]
fn a_response_that_nobody_reads_does_not_pile_up() {
    let endless = Reply::status(200).header("content-length", "1000000000000").raw();
    let flood = Step::Flood { bytes: vec![b'x'; 100_000], at_most: usize::MAX };
    let server = always(vec![endless.step(), flood]);
    let transport = IsahcTransport::new().unwrap();
    let request = Request::get(server.url("/")).body(Body::empty()).unwrap();
    let answer = block_on(transport.send(Exchange::of(request, timeouts(SOON)).unwrap())).unwrap();
    thread::sleep(Duration::from_millis(500));
    let sent = server.log().connections()[0].bytes_out;
    assert!(sent < 100_000_000, "{sent} bytes went out to nobody");
    drop(answer);
    common::until(|| transport.pool().in_use == 0);
}

#[test]
fn a_head_beyond_its_limit_is_refused() {
    let long = "x".repeat(20_000);
    let many = |count: usize| {
        (0..count).fold(ok(), |reply, number| reply.header(format!("x-{number}"), "1"))
    };
    let cases = [
        (64, ok().header("x", &long), None),
        (16, ok().header("x", &long), Some(FailureKind::ResponseTooLarge)),
        (64, many(90), None),
        (64, many(101), Some(FailureKind::ResponseTooLarge)),
    ];
    for (kib, reply, expected) in cases {
        let server = replies([reply]);
        let mut settings = Settings::default();
        settings.max_head_bytes = HeadLimit::new(kib * 1024);
        let client = common::client_of(IsahcTransport::with(settings).unwrap()).build().unwrap();
        let result = block_on(client.get(server.url("/")).send());
        assert_eq!(result.err().map(|error| error.kind()), expected, "R-X-2: {kib} KiB");
        assert_eq!(finish(server).requests().len(), 1, "R-X-2: not retried");
    }
}

#[test]
fn an_unasked_upgrade_is_refused() {
    let upgrade = Reply::status(101).header("upgrade", "x").header("connection", "upgrade");
    let cases = [
        (Step::Write(b"no HTTP".to_vec()), FailureKind::RemoteProtocol),
        (ok().step(), FailureKind::RemoteProtocol),
        // curl takes the end that follows for one before any response (CURLE_GOT_NOTHING).
        (Step::Close, FailureKind::Closed),
        // It waits for a body, as of any other response.
        (Step::AwaitClose { within: SOON }, FailureKind::ReadTimeout),
    ];
    for (then, kind) in cases {
        let server = always(vec![upgrade.step(), then]);
        let call = client().get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let call = call.read_timeout(Duration::from_millis(300));
        let error = block_on(call.send()).unwrap_err();
        assert_eq!(error.attempts()[0].outcome, Outcome::failure(kind, Delivery::Unknown), "R-X-2");
    }
}

#[test]
fn settings_that_cannot_be_carried_out_are_refused() {
    let roots = |text: &str| {
        let mut settings = Settings::default();
        settings.tls.roots = Roots::Pem(text.into());
        IsahcTransport::with(settings)
    };
    let broken = "-----BEGIN CERTIFICATE-----\nno base64!\n-----END CERTIFICATE-----\n";
    let no_certificate = "-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n";
    for text in ["", "no PEM", broken, no_certificate] {
        let error = roots(text).unwrap_err();
        assert!(matches!(error, StartError::Settings(SettingsError::Roots(_))), "{error:?}");
    }
    for text in ["", "no PEM", broken] {
        let mut settings = Settings::default();
        settings.tls.identity = Some(Identity::from_pem(text, text));
        let error = IsahcTransport::with(settings).unwrap_err();
        assert!(matches!(error, StartError::Settings(SettingsError::Identity(_))), "{error:?}");
    }
}

#[test]
fn an_attempt_ends_at_its_cutoff_and_says_whose_it_was() {
    const LIMIT: Duration = Duration::from_millis(200);
    let server = common::silent();
    let client = client();
    for kind in [FailureKind::AttemptTimeout, FailureKind::Deadline] {
        let call =
            client.get(server.url("/")).timeouts(timeouts(SOON)).max_attempts(NonZeroU32::MIN);
        let deadline = kind == FailureKind::Deadline;
        let call = if deadline { call.timeout(LIMIT) } else { call.attempt_timeout(LIMIT) };
        let began = Instant::now();
        let error = block_on(call.send()).unwrap_err();
        assert_eq!(error.attempts()[0].outcome, Outcome::failure(kind, Delivery::Unknown));
        assert!(began.elapsed() >= LIMIT && began.elapsed() < SOON);
        // curl is told of it as well, so that it lets go although the server is silent.
        assert!(common::until(|| client.pool().in_use == 0) < Duration::from_secs(5));
    }
}

#[test]
fn a_name_that_cannot_be_resolved_is_no_mystery() {
    let call = client().get("http://name.invalid/").timeouts(timeouts(SOON));
    let error = block_on(call.send()).unwrap_err();
    assert_eq!(
        error.attempts()[0].outcome,
        Outcome::failure(FailureKind::Resolve, Delivery::Unsent)
    );
}

/// R-C-9: the same call under every executor, and under none.
#[test]
fn every_executor_will_do() {
    let call = || async {
        let server = replies([Reply::status(503), ok()]);
        let response = client().get(server.url("/")).send().await.unwrap();
        assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 2));
        finish(server);
    };
    block_on(call());
    smol::block_on(call());
    smol::block_on(smol::Executor::new().run(call()));
    async_std::task::block_on(call());
    let mut flavours = [
        tokio::runtime::Builder::new_current_thread(),
        tokio::runtime::Builder::new_multi_thread(),
    ];
    for flavour in &mut flavours {
        flavour.build().unwrap().block_on(call());
    }
    // One client may be used under several at once.
    let server = always(vec![ok().step()]);
    let client = client();
    let url = server.url("/");
    let threads = [0, 1, 2].map(|executor| {
        let (client, url) = (client.clone(), url.clone());
        thread::spawn(move || {
            for _ in 0..20 {
                let call = client.get(url.as_str()).send();
                let response = match executor {
                    0 => block_on(call),
                    1 => smol::block_on(call),
                    _ => async_std::task::block_on(call),
                };
                assert_eq!(response.unwrap().status(), 200);
            }
        })
    });
    threads.into_iter().for_each(|thread| thread.join().unwrap());
}

#[test]
fn a_body_may_be_read_piece_by_piece() {
    let steps = vec![
        Reply::status(200).header("content-length", "6").raw().step(),
        Step::WriteSlowly { bytes: b"slowly".to_vec(), piece: 1, gap: Duration::from_millis(50) },
    ];
    let server = always(steps);
    let transport = IsahcTransport::new().unwrap();
    let request = Request::get(server.url("/")).body(Body::empty()).unwrap();
    let answer = block_on(transport.send(Exchange::of(request, timeouts(SOON)).unwrap())).unwrap();
    let mut body = answer.response.into_body();
    let mut pieces = Vec::new();
    while let Some(frame) = block_on(body.frame()) {
        pieces.push(frame.unwrap().into_data().unwrap());
    }
    assert_eq!(pieces.concat(), b"slowly");
    assert!(pieces.len() > 1, "it came as a stream");
}

/// R-C-9: a source may be of a runtime that curl's thread knows nothing of, as files and sockets are.
#[test]
fn a_source_is_read_where_the_call_is_made() {
    let server = replies([ok()]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let pieces = smol::stream::unfold(0, |piece| async move {
        tokio::time::sleep(Duration::from_millis(5)).await;
        (piece < 20).then(|| (Ok::<_, Infallible>(vec![b'x'; 10_000]), piece + 1))
    });
    let call = client().put(server.url("/")).body(Body::once(pieces)).send();
    assert_eq!(runtime.block_on(call).unwrap().status(), 200);
    let log = finish(server);
    assert!(log.requests()[0].complete && log.requests()[0].body.len() == 200_000);
}
