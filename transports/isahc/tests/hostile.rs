//! Servers that mean harm, or do it, and what callers do that no server expects (rows X): errors
//! instead of hangs, each as final as it is, and nothing that is left.

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
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::thread;

use bytes::Bytes;
use common::{SOON, block_on, client, timeouts};
use http::Method;
use http_body::Frame;
use redial_client::{Body, Client, Error, Response};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, Failure, FailureKind, Outcome, Reason};
use redial_isahc::RequestHeadLimit;

fn write(text: &str) -> Step {
    Step::Write(text.as_bytes().to_vec())
}

/// Plays the same to the first request of each of these answers, all at once.
fn each<T: Clone + Send + 'static>(
    rows: impl IntoIterator<Item = (&'static str, Vec<Step>, T)>,
    check: impl Fn(&str, &FaultServer, &Client, T) + Clone + Send + 'static,
) {
    let threads: Vec<_> = rows
        .into_iter()
        .map(|(name, steps, expected)| {
            let check = check.clone();
            thread::spawn(move || {
                let good = vec![Reply::status(201).body("second").step()];
                let script = Script::requests(vec![steps]).otherwise(good);
                let server = FaultServer::start(script).unwrap();
                check(name, &server, &client(), expected);
            })
        })
        .collect();
    let failed = threads.into_iter().map(thread::JoinHandle::join).filter(Result::is_err);
    assert_eq!(failed.count(), 0, "see above");
}

fn get(client: &Client, server: &FaultServer, path: &str) -> Result<Response, Error> {
    let call = client.get(server.url(path)).timeouts(timeouts(Duration::from_secs(5)));
    block_on(call.send())
}

/// R-D-3 and R-X-2 to R-X-4: one attempt, and the connection serves nothing more.
#[test]
fn what_is_no_response_is_a_final_error() {
    const OK: &str = "HTTP/1.1 200 OK\r\n";
    const BODY: &str = "content-length: 2\r\n\r\nok";
    use FailureKind::{RemoteProtocol as Malformed, ResponseTooLarge as TooLarge};
    let head = |line: &str| vec![write(&format!("{OK}{line}\r\n{BODY}"))];
    let begun = |line: &str| vec![write(&format!("{line}\r\n{BODY}"))];
    let length = |value: &str| vec![write(&format!("{OK}content-length: {value}\r\n\r\nokok"))];
    let cut = |value: &str| [length(value), vec![Step::Close]].concat();
    let flood = |first: &str, rest: &str| {
        let bytes = rest.repeat(1000).into_bytes();
        vec![write(first), Step::Flood { bytes, at_most: 50_000_000 }]
    };
    let rows = [
        ("a line without a colon", head("no colon here"), Malformed),
        ("a name with a space", head("x y: 1"), Malformed),
        ("a space before the colon", head("x : 1"), Malformed),
        ("no name", head(": 1"), Malformed),
        ("a first line that is folded", head(" x: 1"), Malformed),
        ("a NUL", head("x: a\0b"), Malformed),
        ("a lonely CR", head("x: a\rb"), Malformed),
        ("a control character", head("x: a\x01b"), Malformed),
        ("line feeds alone", vec![write("HTTP/1.1 200 OK\ncontent-length: 2\n\nok")], Malformed),
        ("status 099", begun("HTTP/1.1 099 Odd"), Malformed),
        ("status 1000", begun("HTTP/1.1 1000 Odd"), Malformed),
        ("status 20", begun("HTTP/1.1 20 Odd"), Malformed),
        ("HTTP/1.2", begun("HTTP/1.2 200 OK"), Malformed),
        ("HTTP/2.0", begun("HTTP/2.0 200 OK"), Malformed),
        ("http/1.1", begun("http/1.1 200 OK"), Malformed),
        ("an empty line first", begun("\r\nHTTP/1.1 200 OK"), Malformed),
        ("two lengths", head("content-length: 4"), Malformed),
        ("a list of two lengths", length("2, 4"), Malformed),
        ("a length with a sign", length("+2"), Malformed),
        ("a negative length", length("-2"), Malformed),
        ("an empty length", length(""), Malformed),
        ("a length beyond 63 bits", cut("9223372036854775808"), Malformed),
        ("a length beyond 64 bits", cut("99999999999999999999"), Malformed),
        ("a coding that nobody asked for", head("transfer-encoding: gzip, chunked"), Malformed),
        (
            "a trailer without a colon",
            vec![write(&format!("{OK}transfer-encoding: chunked\r\n\r\n0\r\nnone\r\n\r\n"))],
            Malformed,
        ),
        ("headers without end", flood(OK, "a: b\r\n"), TooLarge),
        ("a status line without end", flood("HTTP/1.1 200 ", "OK"), TooLarge),
        ("endless 103", flood("", "HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n"), TooLarge),
        (
            "trailers without end",
            flood(&format!("{OK}transfer-encoding: chunked\r\n\r\n0\r\n"), "a: b\r\n"),
            TooLarge,
        ),
    ];
    each(rows, |name, server, client, kind| {
        let error = get(client, server, "/").expect_err(name);
        let outcome = error.attempts()[0].outcome;
        let Outcome::Failure(Failure { kind: seen, delivery, .. }) = outcome else {
            panic!("{name}: {outcome:?}")
        };
        assert_eq!((seen, error.attempts().len()), (kind, 1), "{name}: {error}");
        assert_ne!(delivery, Delivery::Unsent, "{name}");
        assert_eq!(get(client, server, "/2").expect(name).status(), 201, "R-X-3: {name}");
        assert_eq!(server.log().requests()[1].connection, 1, "R-X-3: {name}");
        let sent = server.log().connections()[0].bytes_out;
        assert!(sent < 20_000_000, "R-X-2: {name} took {sent} bytes");
    });
}

/// R-X-2: where curl itself finds a head too large, it says what it says of a reset.
#[test]
fn the_limit_of_curl_itself_is_a_bound_too() {
    let bytes = "HTTP/1.1 100 Continue\r\n\r\n".repeat(1000).into_bytes();
    let rows = [("endless 100", vec![Step::Flood { bytes, at_most: 50_000_000 }], ())];
    each(rows, |name, server, client, ()| {
        let call = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let error = block_on(call.send()).expect_err(name);
        let failure = Outcome::failure(FailureKind::Reset, Delivery::Unknown);
        assert_eq!(error.attempts()[0].outcome, failure, "{name}");
        let sent = server.log().connections()[0].bytes_out;
        assert!(sent < 20_000_000, "{name} took {sent} bytes");
    });
}

/// As it is declared: of some of a head isahc shows nothing, so that its bound is curl's.
#[test]
fn what_isahc_shows_nothing_of_may_be_larger_than_a_head() {
    let end = "content-length: 2\r\n\r\nok";
    let reason = format!("HTTP/1.1 200 {}\r\n{end}", "x".repeat(100_000));
    let hint = format!("HTTP/1.1 103 Early Hints\r\nlink: {}\r\n\r\n", "x".repeat(10_000));
    let hints = format!("{}HTTP/1.1 200 OK\r\n{end}", hint.repeat(10));
    let rows = [("a reason", vec![write(&reason)], ()), ("hints", vec![write(&hints)], ())];
    each(rows, |name, server, client, ()| {
        assert_eq!(get(client, server, "/").expect(name).text(), "ok", "R-X-2: {name}");
    });
}

/// R-X-4: whatever the length, a body that has less is none.
#[test]
fn a_short_body_is_no_success() {
    let rows = [("9", "nine"), ("4294967296", "four"), ("9223372036854775807", "much"), ("1", "")];
    let rows = rows.map(|(length, body)| {
        let text = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}");
        (length, vec![write(&text), Step::Close], ())
    });
    each(rows, |name, server, client, ()| {
        let call = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
        let error = block_on(call.send()).expect_err(name);
        assert_eq!(error.kind(), FailureKind::Truncated, "R-X-4: {name}");
    });
}

/// R-X-4: the end of the connection is no end of a head, where nothing says that it may be one.
#[test]
fn a_head_that_is_cut_is_a_failure_unless_it_says_how_its_body_ends() {
    let cut = |lines: &str| vec![write(&format!("HTTP/1.1 200 OK\r\n{lines}")), Step::Close];
    let rows = [
        ("", None),
        ("x: y\r\n", None),
        ("content-le", None),
        ("content-length: 2\r\n", None),
        ("content-length: 2\r\nx", None),
        // Declared.
        ("content-length: 0\r\n", Some(200)),
        ("connection: close\r\n", Some(200)),
        ("transfer-encoding: chunked\r\n", Some(200)),
    ];
    each(
        rows.map(|(lines, status)| (lines, cut(lines), status)),
        |name, server, client, status| {
            let call = client.get(server.url("/")).max_attempts(NonZeroU32::MIN);
            let seen = block_on(call.send());
            match (seen, status) {
                (Ok(response), Some(status)) => {
                    assert_eq!(
                        (response.status().as_u16(), response.text().as_ref()),
                        (status, "")
                    );
                }
                (Err(error), None) => assert_eq!(error.kind(), FailureKind::Truncated, "{name}"),
                (seen, _) => panic!("{name}: {seen:?}"),
            }
        },
    );
}

/// As it is declared: where there is no body, that it has not come shows nothing.
#[test]
fn a_head_that_is_cut_before_no_body_is_taken() {
    let cut = |status: &str| vec![write(&format!("HTTP/1.1 {status}\r\nx: y\r\n")), Step::Close];
    for (method, status) in [(Method::HEAD, 200), (Method::GET, 204), (Method::GET, 304)] {
        let steps = cut(&format!("{status} Cut"));
        let server = FaultServer::start(Script::requests(vec![steps])).unwrap();
        let seen = block_on(client().call(method, server.url("/")).send()).unwrap();
        assert_eq!((seen.status().as_u16(), seen.attempts().len()), (status, 1), "R-X-4");
    }
}

/// What is unusual, and right all the same: the status, the body, and whether the connection serves
/// the next request too.
#[test]
fn what_is_odd_but_a_response_is_taken() {
    let head = |first: &str, lines: &str, body: &str| {
        vec![write(&format!("{first}\r\n{lines}content-length: 2\r\n\r\n{body}"))]
    };
    let plain = |lines: &str| head("HTTP/1.1 200 OK", lines, "ok");
    let closed = |text: &str| vec![write(text), Step::Close];
    let coded = |coding: &str| {
        let head = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: {coding}\r\n\r\n");
        vec![write(&format!("{head}2\r\nok\r\n0\r\n\r\n"))]
    };
    let rows = [
        ("no reason", head("HTTP/1.1 200", "", "ok"), (200, "ok", true)),
        ("a status of no class", head("HTTP/1.1 600 Odd", "", "ok"), (600, "ok", true)),
        ("a body of 205", head("HTTP/1.1 205 Reset", "", "ok"), (205, "ok", true)),
        ("the length twice", plain("content-length: 2\r\n"), (200, "ok", true)),
        ("bytes beyond ASCII", plain("x: gr\u{fc}n\r\n"), (200, "ok", true)),
        ("a folded line", plain("x: a\r\n b\r\n"), (200, "ok", true)),
        ("a coding of the content", plain("content-encoding: gzip\r\n"), (200, "ok", true)),
        ("another service", plain("alt-svc: h2=\"127.0.0.1:1\"\r\n"), (200, "ok", true)),
        ("an offer to upgrade", plain("upgrade: h2c\r\n"), (200, "ok", true)),
        ("a wish for a password", head("HTTP/1.1 401 No", AUTHENTICATE, "no"), (401, "no", true)),
        ("a broken place", head("HTTP/1.1 302 No", "location: ::\r\n", "no"), (302, "no", true)),
        ("304 with a length", head("HTTP/1.1 304 Not", "", ""), (304, "", true)),
        (
            "early hints",
            head("HTTP/1.1 103 Early\r\nlink: a\r\n\r\nHTTP/1.1 200 OK", "", "ok"),
            (200, "ok", true),
        ),
        ("HTTP/1.0", head("HTTP/1.0 200 OK", "", "ok"), (200, "ok", false)),
        (
            "HTTP/1.0 that keeps its connection",
            head("HTTP/1.0 200 OK", "connection: keep-alive\r\n", "ok"),
            (200, "ok", true),
        ),
        ("HTTP/1.0 without a body", closed("HTTP/1.0 200 OK\r\n\r\n"), (200, "", false)),
        ("the end as the end", closed("HTTP/1.1 200 OK\r\n\r\nok"), (200, "ok", false)),
        (
            "no body, and a close that is announced",
            closed("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"),
            (200, "", false),
        ),
        ("204 with bytes behind it", head("HTTP/1.1 204 No", "", "no"), (204, "", false)),
        ("chunks", coded("chunked"), (200, "ok", true)),
        ("chunks, loudly", coded("CHUNKED"), (200, "ok", true)),
        ("chunks, beside nothing", coded(", chunked ,"), (200, "ok", true)),
        (
            "chunks and identity",
            coded("chunked\r\ntransfer-encoding: identity"),
            (200, "ok", false),
        ),
        (
            "identity and chunks",
            coded("identity\r\ntransfer-encoding: chunked"),
            (200, "ok", false),
        ),
        ("chunks twice", coded("chunked\r\ntransfer-encoding: chunked"), (200, "ok", false)),
        ("a list of identity and chunks", coded("identity, chunked"), (200, "ok", false)),
        // In one piece: curl may take what comes later for the next answer, as is declared (R-X-3).
        ("more than the length", head("HTTP/1.1 200 OK", "", "ok!"), (200, "ok", false)),
    ];
    each(rows, |name, server, client, (status, body, kept)| {
        let response = get(client, server, "/").expect(name);
        assert_eq!(
            (response.status().as_u16(), response.text().as_ref()),
            (status, body),
            "{name}"
        );
        assert_eq!(response.attempts().len(), 1, "{name}");
        // What lies behind a response is looked at when it is read, or a moment later.
        thread::sleep(Duration::from_millis(50));
        assert_eq!(get(client, server, "/2").expect(name).text(), "second", "R-X-3: {name}");
        let reused = server.log().requests()[1].connection == 0;
        assert_eq!(reused, kept, "R-P-7, R-P-8: {name}");
    });
}

const AUTHENTICATE: &str = "www-authenticate: Basic realm=\"a\"\r\n";

/// A body that has nothing but a panic.
struct Panicking;

impl http_body::Body for Panicking {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        panic!("no byte of it")
    }
}

/// As it is declared: curl hands over a head with the first byte of its body, and an error alone.
#[test]
fn a_status_is_lost_with_a_body_that_never_begins() {
    const BUSY: &str = "HTTP/1.1 503 Busy\r\nretry-after: 3600\r\n";
    let sized = |body: &str| write(&format!("{BUSY}content-length: 2\r\n\r\n{body}"));
    let chunk = write(&format!("{BUSY}transfer-encoding: chunked\r\n\r\nnone\r\n"));
    let rows = [
        ("its end", vec![sized(""), Step::Close], Some(FailureKind::Truncated)),
        ("a reset", vec![sized(""), Step::Reset], Some(FailureKind::Reset)),
        (
            "silence",
            vec![sized(""), Step::AwaitClose { within: SOON }],
            Some(FailureKind::ReadTimeout),
        ),
        ("no chunk", vec![chunk], Some(FailureKind::Reset)),
        ("its end in the body", vec![sized("o"), Step::Close], None),
    ];
    each(rows, |name, server, client, lost| {
        let call = client.get(server.url("/")).timeouts(timeouts(Duration::from_secs(1)));
        let response = block_on(call.send()).expect(name);
        let Some(kind) = lost else {
            assert_eq!(response.reason(), Some(Reason::HintBeyondCap), "{name}");
            return assert_eq!(response.status(), 503, "{name}");
        };
        assert_eq!(response.status(), 201, "{name}: it is retried at once");
        let failure = Outcome::failure(kind, Delivery::Unknown);
        assert_eq!(response.attempts()[0].outcome, failure, "{name}");
    });
}

/// A source that panics fails its own request, and no other: isahc's thread is not its to end.
#[test]
fn a_source_that_panics_fails_its_own_request() {
    let slow = vec![Step::Pause(Duration::from_millis(300)), Reply::status(201).step()];
    let server = common::always(slow);
    let client = client();
    for method in [Method::PUT, Method::POST] {
        let other = {
            let (client, url) = (client.clone(), server.url("/"));
            thread::spawn(move || block_on(client.get(url).send()).unwrap().status())
        };
        common::until(|| client.pool().in_use == 1);
        let call = client.call(method, server.url("/bad")).body(Body::from_http(Panicking));
        let error = block_on(call.send()).unwrap_err();
        assert_eq!((error.kind(), error.attempts().len()), (FailureKind::InvalidRequest, 1));
        assert_eq!(other.join().unwrap(), 201);
    }
}

/// R-C-3, as it is declared: every head that is not refused is sent.
#[test]
fn a_head_beyond_what_curl_writes_is_refused_before_it_is_sent() {
    let client = client();
    for (method, body) in [(Method::GET, ""), (Method::POST, "body")] {
        let call = |length: usize| {
            let taken = vec![
                Step::ReadBytes(length),
                write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"),
                Step::AwaitClose { within: SOON },
            ];
            let server = FaultServer::start(Script::connections(vec![taken])).unwrap();
            let call = client.call(method.clone(), server.url("/")).body(body);
            let answer = block_on(call.header("x", "y".repeat(length)).send());
            (answer, server.log().connections().len())
        };
        // Of these lengths of a header the first is sent, and the other refused.
        let (mut sent, mut refused) = (1_048_000, 1_049_000);
        while sent + 1 < refused {
            let length = usize::midpoint(sent, refused);
            match call(length) {
                (Ok(response), connections) => {
                    assert_eq!((response.text().as_ref(), connections), ("ok", 1), "{length}");
                    sent = length;
                }
                (Err(error), connections) => {
                    assert_eq!((error.attempts().len(), connections), (1, 0), "{length}: {error}");
                    let outcome = Outcome::failure(FailureKind::LocalLimit, Delivery::Unsent);
                    assert_eq!(error.attempts()[0].outcome, outcome, "{length}");
                    let limit = error.source().unwrap().downcast_ref();
                    assert_eq!(limit, Some(&RequestHeadLimit::Http1), "{length}");
                    refused = length;
                }
            }
        }
        assert!((1_048_200..1_048_576).contains(&sent), "{method}: {sent}");
    }
}
