//! Bodies both ways: cut off, sent again, bounded; and what of a request shows on the wire.

use core::error::Error as _;
use std::io;

use bytes::Bytes;
use futures_util::stream;
use http::header::{HOST, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use redial_client::Body;
use redial_conformance::{FaultServer, Reply, RequestRecord, Script, Step};
use redial_engine::{Delivery, FailureKind, Outcome, Reason, Replay};

use crate::common::{SOON, finish, ok, replies, requests, timeouts};
use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![
    a_body_that_is_cut_is_retried_for_a_get,
    a_body_that_is_cut_ends_a_post,
    a_body_that_is_cut_on_every_attempt_is_an_error,
    a_retried_status_counts_although_its_body_is_cut,
    a_give_up_hands_over_the_whole_body,
    a_give_up_hands_over_what_came_of_a_body_that_was_cut,
    a_give_up_hands_over_the_whole_body_beside_an_upload_that_has_not_begun,
    a_stream_that_has_not_begun_is_sent_again,
    a_body_beyond_the_limit_is_a_final_error,
    a_put_body_is_sent_again_whole,
    a_large_body_crosses_whole_both_ways,
    the_wire_shows_only_what_the_caller_asked_for,
    a_method_that_expects_a_body_says_that_it_is_empty,
    a_default_header_is_replaced_by_the_request,
    framing_is_not_the_callers,
    a_tunnel_is_refused,
    what_would_split_a_request_is_refused_before_anything_is_sent,
    errors_show_no_query_and_no_userinfo,
];

fn cut() -> Vec<Step> {
    let reply = Reply::status(200).header("content-length", "10").body("four").raw();
    vec![reply.step(), Step::Close]
}

async fn a_body_that_is_cut_is_retried_for_a_get(on: On) {
    let server = requests(vec![cut(), vec![ok().step()]]);
    let response = on.client().get(server.url("/")).send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 2));
    let outcome = response.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::Truncated, Delivery::Answered), "R-D-8");
    finish(server).await;
}

async fn a_body_that_is_cut_ends_a_post(on: On) {
    for replay in [Replay::Never, Replay::IfUnsent] {
        let server = requests(vec![cut()]);
        let error = on.client().post(server.url("/")).replay(replay).send().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::Truncated);
        assert_eq!(error.reason(), Some(Reason::NotRepeatable));
        finish(server).await;
    }
}

async fn a_body_that_is_cut_on_every_attempt_is_an_error(on: On) {
    let server = requests(vec![cut(), cut(), cut(), cut(), cut()]);
    let error = on.client().get(server.url("/")).send().await.unwrap_err();
    assert_eq!((error.reason(), error.attempts().len()), (Some(Reason::AttemptsExhausted), 5));
    let cut = Outcome::failure(FailureKind::Truncated, Delivery::Answered);
    assert!(error.attempts().iter().all(|attempt| attempt.outcome == cut));
    finish(server).await;
}

async fn a_retried_status_counts_although_its_body_is_cut(on: On) {
    let reply = Reply::status(503).header("content-length", "10").body("four").raw();
    let cut = vec![reply.step(), Step::Close];
    let server = requests(vec![cut, vec![ok().step()]]);
    let response = on.client().get(server.url("/")).send().await.unwrap();
    assert_eq!(response.attempts()[0].status(), Some(503));
    assert_eq!(response.text(), "ok");
    finish(server).await;
}

async fn a_give_up_hands_over_the_whole_body(on: On) {
    let large = "x".repeat(300 * 1024);
    for reply in [Reply::status(503).body(&*large), Reply::status(503).body(&*large).chunked(5000)]
    {
        let server = replies([reply.clone(), reply]);
        let response = on.client().post(server.url("/")).send().await.unwrap();
        assert_eq!(response.reason(), Some(Reason::NotRepeatable));
        assert_eq!((response.body().len(), response.is_complete()), (large.len(), true));

        // The same where it is retried, for the last attempt.
        let call = on.client().get(server.url("/")).max_attempts(core::num::NonZeroU32::MIN);
        let response = call.send().await.unwrap();
        assert_eq!((response.body().len(), response.is_complete()), (large.len(), true));
        finish(server).await;
    }
}

async fn a_give_up_hands_over_what_came_of_a_body_that_was_cut(on: On) {
    let reply = Reply::status(503).header("content-length", "10").body("four").raw();
    let server = requests(vec![vec![reply.step(), Step::Close]]);
    let response = on.client().post(server.url("/")).send().await.unwrap();
    assert_eq!((response.text().as_ref(), response.is_complete()), ("four", false));
    finish(server).await;
}

/// An answer to a head, whose body takes longer.
fn busy_in_two_parts() -> Vec<Step> {
    let reply = Reply::status(503).header("content-length", "8").body("busy").raw();
    let rest = Step::Write(b" now".to_vec());
    vec![Step::ReadHead, reply.step(), Step::Pause(SOON / 200), rest, Step::Close]
}

/// R-C-4: the response to a stream that can be read once, and has nothing to read yet.
async fn a_give_up_hands_over_the_whole_body_beside_an_upload_that_has_not_begun(on: On) {
    for method in [Method::POST, Method::PUT] {
        let script = Script::connections(vec![busy_in_two_parts()]);
        let server = FaultServer::start(script).unwrap();
        let body = Body::once(stream::pending::<Result<Bytes, io::Error>>());
        let call = on.client().call(method, server.url("/")).body(body);
        let response = call.max_attempts(core::num::NonZeroU32::MIN).send().await.unwrap();
        assert!(response.reason().is_some());
        assert_eq!((response.text().as_ref(), response.is_complete()), ("busy now", true));
        finish(server).await;
    }
}

/// R-D-5, R-D-8: one that is sent again is whole.
async fn a_stream_that_has_not_begun_is_sent_again(on: On) {
    let next = vec![Step::ReadRequest, ok().step()];
    let script = Script::connections(vec![busy_in_two_parts(), next]);
    let server = FaultServer::start(script).unwrap();
    let pause = async {
        sleep(SOON / 20).await;
        Ok::<_, io::Error>("late")
    };
    let call = on.client().put(server.url("/")).body(Body::once(stream::once(pause)));
    let response = call.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 2));
    assert_eq!(finish(server).await.requests().last().unwrap().body, b"late");
}

async fn a_body_beyond_the_limit_is_a_final_error(on: On) {
    let fits = ok().body(vec![b'x'; 1000]);
    let chunked = fits.clone().chunked(300);
    let beyond = ok().body(vec![b'x'; 1001]);
    let server = replies([fits, chunked, beyond.clone(), beyond.chunked(300)]);
    let client = on.builder().max_response_bytes(1000).build().unwrap();
    for _ in 0..2 {
        let response = client.get(server.url("/")).send().await.unwrap();
        assert_eq!((response.body().len(), response.is_complete()), (1000, true));
    }
    for _ in 0..2 {
        let error = client.get(server.url("/")).send().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::ResponseTooLarge);
        assert_eq!((error.reason(), error.attempts().len()), (None, 1), "R-C-4: it is final");
    }
    finish(server).await;
}

async fn a_put_body_is_sent_again_whole(on: On) {
    let body = vec![b'b'; 100_000];
    let server =
        requests(vec![vec![Reply::status(503).step()], vec![Step::Reset], vec![ok().step()]]);
    let response = on.client().put(server.url("/")).body(body.clone()).send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 3));
    let log = finish(server).await;
    assert!(log.requests().iter().all(|request| request.complete && request.body == body));
}

async fn a_large_body_crosses_whole_both_ways(on: On) {
    let body: Vec<_> = (0..8_000_000_u32).map(|at| (at % 251) as u8).collect();
    let server = replies([ok().body(body.clone()), ok().body(body.clone()).chunked(65_537)]);
    let client = on.client();
    for _ in 0..2 {
        let response = client.put(server.url("/")).body(body.clone()).send().await.unwrap();
        assert!(response.body() == &body);
    }
    let log = finish(server).await;
    for request in log.requests() {
        assert!(request.complete && request.body_length == body.len() as u64);
        assert!(request.body == body[..request.body.len()]);
    }
    assert_eq!(log.connections().len(), 1);
}

/// The names of the headers that a request had, in lower case, in order of name.
fn names(request: &RequestRecord) -> Vec<String> {
    let mut names: Vec<_> = request.headers.iter().map(|(name, _)| name.to_lowercase()).collect();
    names.sort_unstable();
    names
}

async fn the_wire_shows_only_what_the_caller_asked_for(on: On) {
    let server = replies([ok(), ok(), ok(), ok()]);
    let client = on.client();
    client.get(server.url("/a/b?c=d&e")).send().await.unwrap();
    client.post(server.url("/")).body("four").send().await.unwrap();
    let anonymous = on.builder().no_user_agent().build().unwrap();
    anonymous.delete(server.url("")).header("X-One", "1").send().await.unwrap();
    let twice = client.get(server.url("?q")).header("x-two", "1").header("x-two", "2");
    twice.header(HOST, "elsewhere.example").send().await.unwrap();

    let host = server.address().to_string();
    let log = finish(server).await;
    let requests = log.requests();
    assert_eq!(requests[0].target, "/a/b?c=d&e");
    assert_eq!(names(&requests[0]), ["host", "user-agent"]);
    assert_eq!(requests[0].header("host"), Some(host.as_bytes()));
    let agent = requests[0].header("user-agent").unwrap();
    assert!(agent.starts_with(b"redial/"), "{agent:?}");
    assert_eq!(names(&requests[1]), ["content-length", "host", "user-agent"]);
    assert_eq!((requests[2].method.as_str(), requests[2].target.as_str()), ("DELETE", "/"));
    assert_eq!(names(&requests[2]), ["host", "x-one"]);
    assert_eq!(requests[3].target, "/?q");
    assert_eq!(names(&requests[3]), ["host", "user-agent", "x-two", "x-two"]);
    assert_eq!(requests[3].header("host"), Some(b"elsewhere.example".as_slice()));
}

async fn a_method_that_expects_a_body_says_that_it_is_empty(on: On) {
    // RFC 9110 8.6: without a length, a server may wait for a body, or answer 411.
    let cases = [
        (Method::POST, Some(b"0".as_slice())),
        (Method::PUT, Some(b"0")),
        (Method::PATCH, Some(b"0")),
        (Method::GET, None),
        (Method::HEAD, None),
        (Method::DELETE, None),
        (Method::OPTIONS, None),
    ];
    let server = replies(cases.iter().map(|_| Reply::status(204)));
    let client = on.client();
    for (method, _) in &cases {
        client.call(method.clone(), server.url("/")).send().await.unwrap();
    }
    let log = finish(server).await;
    for (request, (method, length)) in log.requests().iter().zip(cases) {
        assert_eq!(request.header("content-length"), length, "{method}");
        assert_eq!(request.header("transfer-encoding"), None, "{method}");
    }
}

async fn a_default_header_is_replaced_by_the_request(on: On) {
    let server = replies([ok(), ok()]);
    let default = HeaderValue::from_static("default");
    let client = on.builder().default_header(HeaderName::from_static("x-name"), default);
    let client = client.build().unwrap();
    client.get(server.url("/")).send().await.unwrap();
    let own = client.get(server.url("/")).header("x-name", "own").header("x-name", "second");
    own.header(USER_AGENT, "mine").send().await.unwrap();
    let log = finish(server).await;
    let values = |at: usize| {
        let lines = log.requests()[at].headers.iter().filter(|(name, _)| name == "x-name");
        lines.map(|(_, value)| String::from_utf8_lossy(value).into_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(0), ["default"]);
    assert_eq!(values(1), ["own", "second"]);
    assert_eq!(log.requests()[1].header("user-agent"), Some(b"mine".as_slice()));
}

async fn framing_is_not_the_callers(on: On) {
    // A length that is not the body's would let the server read the next request as this body.
    let server = replies([ok()]);
    let client = on.client();
    let refused =
        [("content-length", "5"), ("content-length", "4, 4"), ("transfer-encoding", "chunked")];
    for (name, value) in refused {
        for body in ["", "four"] {
            let call = client.post(server.url("/")).body(body).header(name, value);
            let error = call.send().await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::InvalidRequest, "{name}: {value}");
        }
    }
    let right = client.post(server.url("/")).body("four").header("content-length", "4");
    right.send().await.unwrap();
    let log = finish(server).await;
    assert_eq!(names(&log.requests()[0]), ["content-length", "host", "user-agent"]);
    assert_eq!(log.connections().len(), 1);
}

async fn a_tunnel_is_refused(on: On) {
    let server = replies([]);
    let error = on.client().call(Method::CONNECT, server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::InvalidRequest);
    assert!(finish(server).await.connections().is_empty());
}

async fn what_would_split_a_request_is_refused_before_anything_is_sent(on: On) {
    let server = replies([]);
    let client = on.client();
    for bad in ["\r", "\n", "\0", "a\r\nx: y"] {
        let calls = [
            client.get(server.url("/")).header("x-name", bad),
            client.get(server.url("/")).header(format!("x-{bad}"), "value"),
            client.get(server.url(&format!("/{bad}"))),
            client.get(server.url(&format!("/?{bad}"))),
            client.get(format!("http://{bad}{}/", server.address())),
        ];
        for call in calls {
            let error = call.send().await.unwrap_err();
            assert_eq!(error.kind(), FailureKind::InvalidRequest, "{bad:?}");
            assert!(error.attempts().is_empty() && error.is_request());
        }
        assert!(Method::from_bytes(bad.as_bytes()).is_err());
    }
    for url in ["/relative", "ftp://host/", "http://user:secret@host/", "http:///", "//host/", ""] {
        let error = client.get(url).send().await.unwrap_err();
        assert_eq!(error.kind(), FailureKind::InvalidRequest, "{url}");
    }
    assert!(finish(server).await.connections().is_empty(), "R-X-1");
}

async fn errors_show_no_query_and_no_userinfo(on: On) {
    let server = requests(vec![vec![Step::Reset]]);
    let client = on.client();
    let address = server.address();
    let call = client.post(server.url("/path?token=hunter2")).header("authorization", "hunter2");
    let shown = format!("{call:?}");
    let sent = call.send().await.unwrap_err();
    let refused = client.get(format!("http://hunter2:hunter2@{address}/path?hunter2")).send().await;
    let refused = refused.unwrap_err();
    let garbled = client.get(format!("http://{address}/\r\n?hunter2")).send().await.unwrap_err();
    for error in [&sent, &refused, &garbled] {
        let chain = error.source().map(|source| format!("{source} {source:?}"));
        let text = format!("{error} {error:?} {chain:?} {shown}");
        assert!(!text.contains("hunter2"), "R-O-3: {text}");
    }
    assert!(sent.to_string().contains("/path"), "{sent}");
    finish(server).await;

    let request = Request::get(format!("http://{address}/?hunter2"));
    let request = request.header("cookie", "hunter2").body(Body::from("hunter2")).unwrap();
    let text = format!("{:?}", redial_client::Exchange::of(request, timeouts(SOON)).unwrap());
    assert!(!text.contains("hunter2"), "R-O-3: {text}");
}
