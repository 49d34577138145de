//! Responses that are odd, and right or wrong: what a caller gets, and whether the connection is
//! used again. Whatever they are, the next call gets its own answer (R-X-3).

use http::Method;
use redial_conformance::{Reply, Step};
use redial_engine::FailureKind;

use crate::common::{finish, quick, requests};
use crate::on::{On, on_each_runtime};

on_each_runtime![odd_responses_are_read_as_they_are_meant_or_refused];

/// What a caller gets.
enum Got {
    /// This status and text; and whether the connection is used for the next call.
    Answer(u16, &'static str, Next),
    Error(FailureKind),
}

/// Over which connection the next call goes.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Same,
    Another,
}

use FailureKind::{RemoteProtocol, Truncated};
use Got::{Answer, Error};
use Next::{Another, Same};

/// What a GET is answered with, byte for byte; where it ends in `<close>`, the server closes then.
const ROWS: [(&str, Got); 43] = [
    // Status lines.
    ("HTTP/1.1 200 \r\ncontent-length: 2\r\n\r\nok", Answer(200, "ok", Same)),
    ("HTTP/1.1 200\r\ncontent-length: 2\r\n\r\nok", Answer(200, "ok", Same)),
    ("HTTP/1.1 200 \u{e4}\r\ncontent-length: 2\r\n\r\nok", Answer(200, "ok", Same)),
    ("HTTP/1.1 299 Odd\r\ncontent-length: 2\r\n\r\nok", Answer(299, "ok", Same)),
    ("HTTP/1.1 999 Odd\r\ncontent-length: 2\r\n\r\nok", Answer(999, "ok", Same)),
    ("HTTP/1.1 20 Odd\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 2000 Odd\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/2.0 200 OK\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("http/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("ICY 200 OK\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\ncontent-length: 2\n\nok", Answer(200, "ok", Same)),
    // Interim responses.
    (
        "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Same),
    ),
    (
        "HTTP/1.1 103 E\r\nlink: a\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Same),
    ),
    // Header lines.
    ("HTTP/1.1 200 OK\r\nx: a\r\n folded\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\r\n: none\r\ncontent-length: 2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\r\nx:\r\ncontent-length:2\r\n\r\nok", Answer(200, "ok", Same)),
    // What keeps a connection, and what does not.
    (
        "HTTP/1.1 200 OK\r\nconnection: CLOSE\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Another),
    ),
    (
        "HTTP/1.1 200 OK\r\nconnection: x, close\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Another),
    ),
    (
        "HTTP/1.1 200 OK\r\nconnection: keep-alive\r\nconnection: close\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Another),
    ),
    ("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\nok", Answer(200, "ok", Another)),
    (
        "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Same),
    ),
    ("HTTP/1.0 200 OK\r\n\r\nok<close>", Answer(200, "ok", Another)),
    ("HTTP/1.1 200 OK\r\n\r\nok<close>", Answer(200, "ok", Another)),
    ("HTTP/1.1 200 OK\r\n\r\n<close>", Answer(200, "", Another)),
    // Lengths.
    (
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 2\r\n\r\nok",
        Answer(200, "ok", Same),
    ),
    ("HTTP/1.1 200 OK\r\ncontent-length: -2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\r\ncontent-length: +2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\r\ncontent-length: 0x2\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\nok", Error(RemoteProtocol)),
    ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nok<close>", Error(Truncated)),
    ("HTTP/1.1 204 None\r\n\r\n", Answer(204, "", Same)),
    ("HTTP/1.1 304 Same\r\ncontent-length: 10\r\n\r\n", Answer(304, "", Same)),
    // Chunks.
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2;a=b;c=\"d\"\r\nok\r\n0\r\nx: y\r\n\r\n",
        Answer(200, "ok", Same),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: , Chunked\r\n\r\n0002\r\nok\r\n0\r\n\r\n",
        Answer(200, "ok", Same),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nokay\r\n0\r\n\r\n",
        Error(RemoteProtocol),
    ),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n<close>", Error(Truncated)),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: , chunked ,\r\n\r\n2\r\nok\r\n0\r\n\r\n<close>",
        Error(RemoteProtocol),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n<close>",
        Error(RemoteProtocol),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n<close>",
        Error(RemoteProtocol),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\ntransfer-encoding: identity\r\n\r\n2\r\nok\r\n0\r\n\r\n<close>",
        Error(RemoteProtocol),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked, chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n<close>",
        Error(RemoteProtocol),
    ),
    (
        "HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n2\r\nok\r\n0\r\n\r\n<close>",
        Error(RemoteProtocol),
    ),
    ("HTTP/1.1 200 OK\r\ntransfer-encoding: identity\r\n\r\nok<close>", Answer(200, "ok", Another)),
];

async fn odd_responses_are_read_as_they_are_meant_or_refused(on: On) {
    let client = on.builder().policy(quick().max_attempts(1).build().unwrap()).build().unwrap();
    for (text, got) in ROWS {
        let (bytes, closes) = match text.strip_suffix("<close>") {
            Some(bytes) => (bytes, true),
            None => (text, false),
        };
        let mut steps = vec![Step::Write(bytes.into())];
        steps.extend(closes.then_some(Step::Close));
        let server = requests(vec![steps, vec![Reply::status(200).body("next").step()]]);
        let result = client.call(Method::GET, server.url("/")).send().await;
        let next = client.get(server.url("/")).send().await.unwrap();
        assert_eq!(next.text(), "next", "R-X-3: after {text:?}");
        let reused = next.attempts()[0].reused;
        match (result, got) {
            (Ok(response), Answer(status, body, next)) => {
                let found = (response.status().as_u16(), response.text());
                assert_eq!(found, (status, body.into()), "{text:?}");
                assert_eq!(reused, next == Same, "{text:?}");
            }
            (Err(error), Error(kind)) => {
                assert_eq!(error.kind(), kind, "{text:?}: {error}");
                assert!(!reused, "R-P-8: {text:?}");
            }
            (Ok(response), Error(kind)) => panic!("{kind:?} expected: {text:?}: {response:?}"),
            (Err(error), Answer(..)) => panic!("{text:?}: {error}"),
        }
        finish(server).await;
    }
}
