//! What is particular to one call (R-C-3, R-C-12).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail"
)]

mod common;

use core::time::Duration;
use std::collections::BTreeSet;

use common::{block_on, builder, client, fails, status};
use http::Request;
use http::header::{HOST, HeaderMap, HeaderName, HeaderValue};
use redial_client::engine::{
    Budget, Delivery, FailureKind, Limit, Reason, Replay, StandardPolicy, Timestamp,
};
use redial_client::{Body, BuildError, ClientBuilder, RequestBuilder, Timeouts};

#[test]
fn each_timeout_is_set_by_itself() {
    type Set = fn(RequestBuilder, Duration) -> RequestBuilder;
    type Get = fn(&mut Timeouts) -> &mut Duration;
    let rows: [(Set, Get); 4] = [
        (RequestBuilder::connect_timeout, |timeouts| &mut timeouts.connect),
        (RequestBuilder::read_timeout, |timeouts| &mut timeouts.read),
        (RequestBuilder::write_timeout, |timeouts| &mut timeouts.write),
        (RequestBuilder::pool_timeout, |timeouts| &mut timeouts.pool),
    ];
    for (set, get) in rows {
        let (client, script) = client([status(503), status(200)]);
        let hour = Duration::from_secs(3600);
        block_on(set(client.get("http://h/"), hour).send()).unwrap();
        let mut expected = Timeouts::DEFAULT;
        *get(&mut expected) = hour;
        assert!(script.sent().iter().all(|sent| sent.timeouts == expected));
    }
}

#[test]
fn a_deadline_is_a_duration_or_a_point_in_time_whichever_comes_first() {
    let second = Duration::from_secs(1);
    let rows = [
        (Some(second), None, Some(1)),
        (None, Some(2), Some(2)),
        (Some(second), Some(2), Some(1)),
        (Some(second * 3), Some(2), Some(2)),
        (None, None, None),
    ];
    for (timeout, deadline, expected) in rows {
        let (client, script) = client([status(200)]);
        let mut call = client.get("http://h/");
        if let Some(timeout) = timeout {
            call = call.timeout(timeout);
        }
        if let Some(seconds) = deadline {
            call = call.deadline(client.now().saturating_add(Duration::from_secs(seconds)));
        }
        block_on(call.send()).unwrap();
        let cutoff = script.sent()[0].cutoff;
        assert_eq!(cutoff.map(|it| it.at.as_nanos() / 1_000_000_000), expected);
        assert!(cutoff.is_none_or(|it| it.limit == Limit::Deadline));
    }
}

/// R-T-8: nothing is sent, and the error says why.
#[test]
fn a_deadline_that_is_past_sends_nothing() {
    let (client, script) = client([]);
    for call in [
        client.get("http://h/").timeout(Duration::ZERO),
        client.get("http://h/").deadline(Timestamp::ORIGIN),
    ] {
        let error = block_on(call.send()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::Deadline);
        assert_eq!(error.reason(), Some(Reason::DeadlineWouldPass));
        assert!(error.is_timeout() && error.attempts().is_empty());
        assert!(error.to_string().contains("deadline"), "{error}");
    }
    assert!(script.sent().is_empty());
}

#[test]
fn a_call_brings_its_own_limits_and_policy() {
    let (client, script) = client((0..9).map(|_| status(503)));
    let two = 2.try_into().unwrap();
    let response = block_on(client.get("http://h/").max_attempts(two).send()).unwrap();
    assert_eq!(response.reason(), Some(Reason::AttemptsExhausted));
    assert_eq!(script.sent().len(), 2);

    let policy = StandardPolicy::builder().max_attempts(3).build().unwrap();
    block_on(client.get("http://h/").policy(policy).send()).unwrap();
    assert_eq!(script.sent().len(), 3);

    let call = client.get("http://h/").attempt_timeout(Duration::from_secs(4)).max_attempts(two);
    block_on(call.send()).unwrap();
    for sent in script.sent() {
        let cutoff = sent.cutoff.unwrap();
        assert_eq!(cutoff.limit, Limit::AttemptTimeout);
        assert_eq!(cutoff.at.saturating_since(sent.at), Duration::from_secs(4));
    }
}

/// R-D-4.
#[test]
fn a_post_is_repeated_only_where_the_call_says_so() {
    type Mark = fn(RequestBuilder) -> RequestBuilder;
    let rows: [(&str, Mark, Delivery, usize); 8] = [
        ("nothing said", |call| call, Delivery::Unsent, 1),
        ("a header alone", |call| call.header("idempotency-key", "k"), Delivery::Unsent, 1),
        ("if unsent", |call| call.replay(Replay::IfUnsent), Delivery::Unsent, 2),
        ("if unsent, perhaps sent", |call| call.replay(Replay::IfUnsent), Delivery::Unknown, 1),
        ("idempotent", RequestBuilder::idempotent, Delivery::Unknown, 2),
        ("a generated key", RequestBuilder::idempotency_key, Delivery::Unknown, 2),
        ("a given key", |call| call.with_idempotency_key("k"), Delivery::Unknown, 2),
        (
            "a key, and a mark after it",
            |call| call.idempotency_key().replay(Replay::Never),
            Delivery::Unknown,
            1,
        ),
    ];
    for (name, mark, delivery, sends) in rows {
        let (client, script) = client([fails(FailureKind::Reset, delivery), status(200)]);
        let result = block_on(mark(client.post("http://h/")).send());
        assert_eq!(script.sent().len(), sends, "{name}");
        // What was never sent would not be carried out twice.
        let said = result.map_or_else(|error| error.to_string(), |_| String::new());
        assert_eq!(said.contains("not one that may be repeated"), sends == 1, "{name}: {said}");
    }
}

#[test]
fn an_idempotency_key_is_the_same_over_a_call_and_another_for_the_next() {
    let (client, script) = client((0..60).map(|at| status(if at % 3 == 2 { 200 } else { 503 })));
    let mut keys = BTreeSet::new();
    for _ in 0..20 {
        block_on(client.post("http://h/").idempotency_key().send()).unwrap();
        let sent = script.sent();
        assert_eq!(sent.len(), 3);
        let key = sent[0].header("idempotency-key").unwrap().to_owned();
        assert!(sent.iter().all(|sent| sent.header("idempotency-key") == Some(&key)));
        let lengths: Vec<_> = key.split('-').map(str::len).collect();
        assert_eq!(lengths, [8, 4, 4, 4, 12], "{key}");
        assert_eq!(key.as_bytes()[14], b'4', "version 4: {key}");
        assert!(b"89ab".contains(&key.as_bytes()[19]), "variant: {key}");
        keys.insert(key);
    }
    assert_eq!(keys.len(), 20);
}

/// A program that is started again with the same seed makes other calls, and a server that knows a
/// key from before would not carry them out.
#[test]
fn clients_of_the_same_seed_make_different_keys() {
    let key = || {
        let (builder, script) = builder([status(200)]);
        let client = builder.seed(7).build().unwrap();
        block_on(client.post("http://h/").idempotency_key().send()).unwrap();
        script.sent()[0].header("idempotency-key").unwrap().to_owned()
    };
    assert_ne!(key(), key());
}

#[test]
fn credentials_are_sent_and_shown_nowhere() {
    type Mark = fn(RequestBuilder) -> RequestBuilder;
    let rows: [(Mark, &str); 4] = [
        (|call| call.bearer_auth("tok-en"), "Bearer tok-en"),
        // RFC 7617 2.
        (
            |call| call.basic_auth("Aladdin", Some("open sesame")),
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        ),
        (|call| call.basic_auth("name", None), "Basic bmFtZTo="),
        (|call| call.bearer_auth("first").bearer_auth("second"), "Bearer second"),
    ];
    for (mark, expected) in rows {
        let (client, script) = client([status(200)]);
        let call = mark(client.get("http://h/?secret"));
        assert!(!format!("{call:?}").contains("secret"), "{call:?}");
        block_on(call.send()).unwrap();
        let sent = script.sent();
        let value = &sent[0].headers["authorization"];
        assert_eq!(value, expected);
        assert!(value.is_sensitive());
    }
}

#[test]
fn what_cannot_be_sent_is_an_error_before_anything_is() {
    type Mark = fn(RequestBuilder) -> RequestBuilder;
    let rows: [(Mark, &str); 7] = [
        (|call| call.header("a b", "x"), "invalid HTTP header name"),
        (|call| call.header("a", "x\r\ny: z"), "failed to parse header value"),
        (|call| call.bearer_auth("a\nb"), "failed to parse header value"),
        (|call| call.basic_auth("a:b", None), "colon"),
        (|call| call.with_idempotency_key("a\0"), "failed to parse header value"),
        (|call| call.query(&7), "top-level"),
        (|call| call.form(&7), "top-level"),
    ];
    for (mark, message) in rows {
        let (client, script) = client([]);
        // What was wrong first is what is said.
        let call = mark(client.post("http://h/")).header("also wrong", "x");
        let error = block_on(call.send()).unwrap_err();
        assert!(error.is_request(), "{error}");
        let text = error.to_string();
        assert!(text.contains(message), "{text} does not say {message}");
        assert!(script.sent().is_empty());
    }
}

#[test]
fn the_framing_of_a_body_is_not_the_callers() {
    let rows = [
        ("transfer-encoding", "chunked", Err("Transfer-Encoding")),
        ("content-length", "4", Err("Content-Length")),
        ("content-length", "5", Ok(())),
    ];
    for (name, value, expected) in rows {
        let (client, script) = client([status(200)]);
        let result = block_on(client.post("http://h/").header(name, value).body("five!").send());
        match expected {
            Ok(()) => assert!(result.is_ok() && script.sent()[0].header(name).is_none()),
            Err(message) => {
                assert!(result.unwrap_err().to_string().contains(message));
                assert!(script.sent().is_empty());
            }
        }
    }
}

#[test]
fn a_request_has_one_host() {
    let (client, script) = client([status(200)]);
    let call = client.get("http://h/").header("host", "a").header("host", "b");
    assert!(block_on(call.send()).unwrap_err().to_string().contains("one Host"));
    assert!(script.sent().is_empty());
}

/// RFC 9110 7.2: over HTTP/2 it is the authority, which has no user in it (RFC 9113 8.3.1), and what
/// one version of HTTP refuses, another is not to send.
#[test]
fn a_host_is_one() {
    let rows = [
        ("name.example", true),
        ("Name.example:8080", true),
        ("under_score:", true),
        ("[::1]", true),
        ("[::1]:80", true),
        ("127.0.0.1:80", true),
        ("", true),
        ("a@b", false),
        ("user:password@b:80", false),
        ("a b", false),
        ("a/b", false),
        ("http://a", false),
        ("a?b", false),
        ("a\\b", false),
        ("a:b", false),
        ("a:80:80", false),
        (":80", false),
        ("[::1", false),
        ("[::1]80", false),
        ("\u{e9}", false),
    ];
    for (host, right) in rows {
        let value = HeaderValue::from_bytes(host.as_bytes()).unwrap();
        let (client, script) = client([status(200)]);
        let result = block_on(client.get("http://h/").header(HOST, value.clone()).send());
        let built = builder([]).0.default_header(HOST, value).build();
        if right {
            assert!(result.is_ok() && built.is_ok(), "{host}");
            assert_eq!(script.sent()[0].header("host"), Some(host), "{host}");
        } else {
            let error = result.unwrap_err();
            assert_eq!((error.kind(), error.attempts().len()), (FailureKind::InvalidRequest, 0));
            assert!(script.sent().is_empty(), "{host}");
            assert!(matches!(built, Err(BuildError::Host)), "{host}");
        }
    }
}

/// The map that holds headers panics at 24,577 of them.
#[test]
fn there_is_an_end_to_how_many_headers_a_request_has() {
    let names = |count: usize| {
        let name = |at: usize| HeaderName::try_from(format!("x-{at}")).unwrap();
        (0..count).map(move |at| (name(at), HeaderValue::from_static("v")))
    };
    let map = |count| names(count).collect::<HeaderMap>();
    let each = |count| {
        let (client, script) = client([status(200)]);
        let add = |call: RequestBuilder, (name, value)| call.header(name, value);
        (names(count).fold(client.get("http://h/"), add), script)
    };
    let at_once = |count| {
        let (client, script) = client([status(200)]);
        (client.get("http://h/").headers(map(count)), script)
    };
    let as_it_is = |count| {
        let (client, script) = client([status(200)]);
        let mut request = Request::get("http://h/").body(Body::empty()).unwrap();
        *request.headers_mut() = map(count);
        (client.request(request), script)
    };
    for (call, script) in [each(8192), at_once(8192), as_it_is(8192)] {
        block_on(call.send()).unwrap();
        assert!(script.sent()[0].header("x-8191").is_some());
    }
    for (call, script) in [each(25_000), at_once(8193), as_it_is(8193), as_it_is(24_000)] {
        let error = block_on(call.send()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::InvalidRequest);
        assert!(error.to_string().contains("8192 headers"), "{error}");
        assert!(script.sent().is_empty());
    }
    let add = |builder: ClientBuilder, (name, value)| builder.default_header(name, value);
    for defaults in [
        names(25_000).fold(builder([]).0, add),
        builder([]).0.default_headers(map(8193)),
        builder([]).0.default_headers(map(8192)).default_headers(map(24_000)),
    ] {
        assert!(matches!(defaults.build(), Err(BuildError::TooManyHeaders)));
    }
}

/// RFC 9112 3.2, as for a request's own. Other names may have several lines, and one `Host` is one.
#[test]
fn default_headers_have_one_host_at_most() {
    let rows = [("host", 2, false), ("host", 3, false), ("host", 1, true), ("accept", 2, true)];
    for (name, lines, built) in rows {
        let name = HeaderName::from_static(name);
        let line = (name.clone(), HeaderValue::from_static("h"));
        let builder = builder([]).0.default_headers(vec![line; lines].into_iter().collect());
        match builder.build() {
            Ok(_) => assert!(built, "{lines} of {name}"),
            Err(BuildError::Hosts) => assert!(!built, "{lines} of {name}"),
            Err(other) => panic!("{lines} of {name}: {other}"),
        }
    }
    // The last one that is set counts, as for every name.
    let host = || (HOST, HeaderValue::from_static("h"));
    let twice = builder([]).0.default_headers([host(), host()].into_iter().collect());
    assert!(twice.default_header(HOST, host().1).build().is_ok());
}

#[test]
fn a_query_is_added_to_what_the_url_has() {
    let pairs = [("a", "1 2"), ("b", "&=#")];
    let rows = [
        ("http://h/p", "http://h/p?a=1+2&b=%26%3D%23"),
        ("http://h/p?", "http://h/p?a=1+2&b=%26%3D%23"),
        ("http://h/p?x=y", "http://h/p?x=y&a=1+2&b=%26%3D%23"),
        ("http://h", "http://h/?a=1+2&b=%26%3D%23"),
    ];
    for (url, expected) in rows {
        let (client, script) = client([status(200)]);
        let nothing: [(&str, &str); 0] = [];
        let call = client.get(url).query(&pairs[..1]).query(&nothing).query(&pairs[1..]);
        block_on(call.send()).unwrap();
        assert_eq!(script.sent()[0].url.to_string(), expected);
    }
}

#[cfg(feature = "json")]
#[test]
fn json_and_forms_say_what_they_are_unless_the_caller_does() {
    type Mark = fn(RequestBuilder) -> RequestBuilder;
    const JSON: Option<&str> = Some("application/json");
    const FORM: Option<&str> = Some("application/x-www-form-urlencoded");
    const TEXT: Option<&str> = Some("text/plain");
    let rows: [(Mark, Option<&str>, &str); 8] = [
        (|call| call.json(&[1, 2]), JSON, "[1,2]"),
        (|call| call.form(&[("a", "1 2")]), FORM, "a=1+2"),
        (|call| call.header("content-type", "text/plain").json(&"x"), TEXT, "\"x\""),
        (|call| call.json(&"x").header("content-type", "text/plain"), TEXT, "\"x\""),
        (|call| call.body("x").header("content-type", "text/plain"), TEXT, "x"),
        (|call| call.json(&"x").form(&[("a", "1")]), FORM, "a=1"),
        (|call| call.form(&[("a", "1")]).json(&1), JSON, "1"),
        (|call| call.json(&"x").body("y"), None, "y"),
    ];
    for (mark, media_type, body) in rows {
        let (client, script) = client([status(200)]);
        block_on(mark(client.post("http://h/")).send()).unwrap();
        let sent = script.sent();
        let sent_type: Vec<_> = sent[0].headers.get_all("content-type").iter().collect();
        assert_eq!(sent_type, media_type.into_iter().collect::<Vec<_>>());
        assert_eq!(sent[0].body(), body.as_bytes());
        assert_eq!(sent[0].length, Some(body.len() as u64));
    }
}

#[test]
fn every_method_has_its_name() {
    let (client, script) = client((0..7).map(|_| status(200)));
    let calls = [
        client.get("http://h/"),
        client.head("http://h/"),
        client.options("http://h/"),
        client.put("http://h/"),
        client.patch("http://h/"),
        client.post("http://h/"),
        client.delete("http://h/"),
    ];
    for call in calls {
        block_on(call.send()).unwrap();
    }
    let sent = script.sent();
    let methods: Vec<_> = sent.iter().map(|sent| sent.method.as_str()).collect();
    assert_eq!(methods, ["GET", "HEAD", "OPTIONS", "PUT", "PATCH", "POST", "DELETE"]);
}

/// R-C-6.
#[test]
fn closing_is_for_all_clones_and_idempotent() {
    let (client, script) = client([status(200)]);
    let clone = client.clone();
    let early = client.get("http://h/");
    client.close();
    client.close();
    for call in [clone.get("http://h/"), early] {
        let error = block_on(call.send()).unwrap_err();
        assert_eq!(error.kind(), FailureKind::ClientClosed);
        assert!(error.is_closed());
    }
    assert!(script.sent().is_empty());
    let closed = script.closed();
    drop((client, clone));
    assert!(script.closed() > closed, "the last clone closes everything");
}

/// R-G-4: an origin that was forgotten begins again with a full budget.
#[test]
fn the_least_recently_used_of_1_025_origins_is_forgotten() {
    let (builder, script) = builder((0..2_100).map(|_| status(503)));
    let one_retry = Budget::builder().capacity(1).deposit_milli(0).refill_per_second(0);
    let client = builder.budget(one_retry.build().unwrap()).build().unwrap();
    let sends = |url: String, attempts: u32| {
        let call = client.get(url).max_attempts(attempts.try_into().unwrap());
        block_on(call.send()).unwrap();
        script.sent().len()
    };
    let first = || sends("http://first/".to_owned(), 2);
    assert_eq!(first(), 2, "the budget has one retry");
    assert_eq!(first(), 1, "and no more");
    for other in 0..1_023 {
        sends(format!("http://h{other}/"), 1);
    }
    assert_eq!(first(), 1, "1,024 origins are remembered");
    for other in 0..1_024 {
        sends(format!("http://h{other}/"), 1);
    }
    assert_eq!(first(), 2, "it was forgotten for the 1,025th, and begins again");
}
