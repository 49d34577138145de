//! Whole calls: what is retried, how long it waits, what the caller is handed in the end.

use core::num::NonZeroU32;
use core::time::Duration;
use std::time::Instant;

use http::Method;
use redial_client::Client;
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Delivery, Failure, FailureKind, Outcome, PauseCause, Reason, Replay};

use crate::common::{
    SOON, always, block_on, finish, ok, quick, replies, requests, silent, timeouts, until,
};
use crate::on::{On, on_each_runtime};

on_each_runtime![
    a_retried_status_is_followed_by_the_next_attempt,
    a_429_waits_as_long_as_the_server_asks,
    a_status_beyond_the_table_is_final,
    a_post_is_not_repeated,
    a_post_that_may_be_repeated_if_unsent_is_sent_again_where_it_was_refused,
    a_post_that_may_be_repeated_if_unsent_is_not_where_it_may_have_arrived,
    a_reset_is_followed_by_the_next_attempt,
    a_call_that_exhausts_its_attempts_hands_over_the_last_response,
    a_call_that_gives_up_on_a_failure_hands_over_the_last_response_it_had,
    a_hint_beyond_the_cap_ends_the_call_at_once,
    a_call_timeout_cuts_a_silent_server_off,
    an_attempt_timeout_is_retried,
    a_deadline_that_is_past_sends_nothing,
    a_policy_with_one_attempt_sends_once,
    many_refusals_exhaust_the_attempts,
    fresh_connections_that_close_at_once_are_bounded_by_the_attempts,
    a_silent_server_trips_the_read_timeout_of_each_attempt,
    timeouts_of_no_length_and_of_any_length_are_accepted,
    a_call_works_beside_any_executor,
];

async fn a_retried_status_is_followed_by_the_next_attempt(on: On) {
    for status in [408, 429, 500, 502, 503, 504] {
        let server = replies([Reply::status(status).body("no"), ok()]);
        let response = on.client().get(server.url("/")).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().as_ref()), (200, "ok"));
        assert_eq!(response.reason(), None);
        let attempts = response.attempts();
        assert_eq!(attempts.len(), 2, "{status}");
        assert_eq!((attempts[0].status(), attempts[1].status()), (Some(status), Some(200)));
        assert_eq!(attempts[0].wait.unwrap().cause, PauseCause::Backoff);
        assert_eq!(attempts[1].wait, None);
        assert!(attempts[1].started >= attempts[0].wait.unwrap().length, "{attempts:?}");
        finish(server).await;
    }
}

async fn a_429_waits_as_long_as_the_server_asks(on: On) {
    let server = replies([Reply::status(429).header("retry-after", "1"), ok()]);
    let began = Instant::now();
    let response = on.client().get(server.url("/")).send().await.unwrap();
    assert!(began.elapsed() >= Duration::from_secs(1));
    let wait = response.attempts()[0].wait.unwrap();
    assert_eq!((wait.length, wait.cause), (Duration::from_secs(1), PauseCause::ServerHint));
    finish(server).await;
}

async fn a_status_beyond_the_table_is_final(on: On) {
    for status in [201, 301, 304, 400, 401, 404, 409, 425, 501, 505] {
        let server = replies([Reply::status(status)]);
        let response = on.client().get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), status);
        assert_eq!((response.reason(), response.attempts().len()), (None, 1), "{status}");
        finish(server).await;
    }
}

async fn a_post_is_not_repeated(on: On) {
    for method in [Method::POST, Method::PATCH, Method::from_bytes(b"REPORT").unwrap()] {
        let server = replies([Reply::status(500).body("no")]);
        let response = on.client().call(method, server.url("/")).body("work").send().await.unwrap();
        assert_eq!(response.status(), 500);
        assert_eq!(response.reason(), Some(Reason::NotRepeatable));
        assert_eq!((response.text().as_ref(), response.is_complete()), ("no", true));
        assert_eq!(finish(server).await.requests().len(), 1);
    }
}

async fn a_post_that_may_be_repeated_if_unsent_is_sent_again_where_it_was_refused(on: On) {
    let server = FaultServer::start(Script::refused()).unwrap();
    let post = || on.client().post(server.url("/")).body("work");
    let error = post().replay(Replay::IfUnsent).send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Connect);
    assert_eq!(error.reason(), Some(Reason::AttemptsExhausted));
    assert_eq!(error.attempts().len(), 5);
    assert!(error.is_connect());

    let error = post().send().await.unwrap_err();
    assert_eq!((error.reason(), error.attempts().len()), (Some(Reason::NotRepeatable), 1));
}

async fn a_post_that_may_be_repeated_if_unsent_is_not_where_it_may_have_arrived(on: On) {
    let server = requests(vec![vec![Step::Reset]]);
    let post = on.client().post(server.url("/")).body("work").replay(Replay::IfUnsent);
    let error = post.send().await.unwrap_err();
    assert_eq!(error.reason(), Some(Reason::NotRepeatable));
    let outcome = error.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::Reset, Delivery::Unknown));
    assert_eq!(finish(server).await.count("POST"), 1);
}

async fn a_reset_is_followed_by_the_next_attempt(on: On) {
    for end in [Step::Reset, Step::Close, Step::CloseUnread] {
        let server = requests(vec![vec![end.clone()], vec![ok().step()]]);
        let response = on.client().get(server.url("/")).send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.attempts().len(), 2, "{end}");
        assert!(matches!(
            response.attempts()[0].outcome,
            Outcome::Failure(Failure { delivery: Delivery::Unknown, reused: false, .. })
        ));
        finish(server).await;
    }
}

async fn a_call_that_exhausts_its_attempts_hands_over_the_last_response(on: On) {
    let reply = |number: u32| Reply::status(503).body(format!("busy {number}"));
    let server = replies((1..=5).map(reply));
    let response = on.client().get(server.url("/")).send().await.unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(response.reason(), Some(Reason::AttemptsExhausted));
    assert_eq!((response.text().as_ref(), response.is_complete()), ("busy 5", true));
    let numbers: Vec<_> = response.attempts().iter().map(|attempt| attempt.number).collect();
    assert_eq!(numbers, [1, 2, 3, 4, 5]);
    assert!(response.attempts().iter().all(|attempt| attempt.status() == Some(503)));
    let waits: Vec<_> = response.attempts().iter().map(|attempt| attempt.wait.is_some()).collect();
    assert_eq!(waits, [true, true, true, true, false]);
    assert_eq!(finish(server).await.connections().len(), 1, "R-P-10: drained and kept");
}

async fn a_call_that_gives_up_on_a_failure_hands_over_the_last_response_it_had(on: On) {
    let server = requests(vec![vec![Reply::status(503).body("busy").step()], vec![Step::Reset]]);
    let call = on.client().get(server.url("/")).max_attempts(NonZeroU32::new(2).unwrap());
    let response = call.send().await.unwrap();
    assert_eq!((response.status().as_u16(), response.text().as_ref()), (503, "busy"));
    assert_eq!(response.reason(), Some(Reason::AttemptsExhausted));
    let outcome = response.attempts()[1].outcome;
    assert!(matches!(outcome, Outcome::Failure(Failure { kind: FailureKind::Reset, .. })));
    finish(server).await;
}

async fn a_hint_beyond_the_cap_ends_the_call_at_once(on: On) {
    let server = replies([Reply::status(503).header("retry-after", "301").body("later")]);
    let began = Instant::now();
    let response = on.client().get(server.url("/")).send().await.unwrap();
    assert!(began.elapsed() < SOON);
    assert_eq!(response.reason(), Some(Reason::HintBeyondCap));
    assert_eq!((response.status().as_u16(), response.text().as_ref()), (503, "later"));
    finish(server).await;
}

async fn a_call_timeout_cuts_a_silent_server_off(on: On) {
    let server = silent();
    let began = Instant::now();
    let call = on.client().get(server.url("/")).timeout(Duration::from_millis(300));
    let error = call.send().await.unwrap_err();
    let elapsed = began.elapsed();
    assert_eq!(error.kind(), FailureKind::Deadline);
    assert!(error.is_timeout());
    assert_eq!(error.reason(), Some(Reason::DeadlineWouldPass));
    assert_eq!(error.attempts().len(), 1);
    assert!(elapsed >= Duration::from_millis(300) && elapsed < SOON / 2, "{elapsed:?}");
}

async fn an_attempt_timeout_is_retried(on: On) {
    let server = requests(vec![vec![Step::AwaitClose { within: SOON }], vec![ok().step()]]);
    let call = on.client().get(server.url("/")).attempt_timeout(Duration::from_millis(300));
    let response = call.send().await.unwrap();
    assert_eq!(response.attempts().len(), 2);
    let outcome = response.attempts()[0].outcome;
    assert_eq!(outcome, Outcome::failure(FailureKind::AttemptTimeout, Delivery::Unknown));
    finish(server).await;
}

async fn a_deadline_that_is_past_sends_nothing(on: On) {
    let server = replies([]);
    let client = on.client();
    let error = client.get(server.url("/")).timeout(Duration::ZERO).send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Deadline);
    assert_eq!(error.reason(), Some(Reason::DeadlineWouldPass));
    assert_eq!(error.attempts().len(), 0);
    assert_eq!(client.pool().opened_total, 0);
    assert!(finish(server).await.connections().is_empty());
}

async fn a_policy_with_one_attempt_sends_once(on: On) {
    let server = replies([Reply::status(503)]);
    let call = on.client().get(server.url("/")).max_attempts(NonZeroU32::MIN);
    let response = call.send().await.unwrap();
    assert_eq!(response.reason(), Some(Reason::AttemptsExhausted));
    assert_eq!(finish(server).await.requests().len(), 1);
}

async fn many_refusals_exhaust_the_attempts(on: On) {
    let server = FaultServer::start(Script::refused()).unwrap();
    let client = on.client();
    let error = client.get(server.url("/")).send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::Connect);
    assert_eq!((error.reason(), error.attempts().len()), (Some(Reason::AttemptsExhausted), 5));
    let figures = client.pool();
    assert_eq!((figures.open, figures.waiting, figures.opened_total), (0, 0, 0));
}

async fn fresh_connections_that_close_at_once_are_bounded_by_the_attempts(on: On) {
    // R-X-7: what dies young is no stale connection, and is not sent again for free.
    for end in [Step::Close, Step::Reset] {
        let script = Script::connections(vec![]).otherwise(vec![end]);
        let server = FaultServer::start(script).unwrap();
        let error = on.client().get(server.url("/")).send().await.unwrap_err();
        assert_eq!((error.reason(), error.attempts().len()), (Some(Reason::AttemptsExhausted), 5));
        assert_eq!(finish(server).await.connections().len(), 5);
    }
}

async fn a_silent_server_trips_the_read_timeout_of_each_attempt(on: On) {
    let server = silent();
    let policy = quick().max_attempts(3).build().unwrap();
    let client = on.builder().policy(policy).timeouts(timeouts(Duration::from_millis(200))).build();
    let began = Instant::now();
    let error = client.unwrap().get(server.url("/")).send().await.unwrap_err();
    assert!(began.elapsed() >= Duration::from_millis(600));
    assert_eq!(error.kind(), FailureKind::ReadTimeout);
    assert_eq!(error.attempts().len(), 3);
}

async fn timeouts_of_no_length_and_of_any_length_are_accepted(on: On) {
    // R-T-8: nothing panics, zero means at once, and too long means never.
    let (server, silent) = (always(vec![ok().step()]), silent());
    let client = on.client();
    let call = |server: &FaultServer, timeouts| client.get(server.url("/")).timeouts(timeouts);
    for long in [Duration::MAX, Duration::from_nanos(u64::MAX), Duration::from_secs(1 << 40)] {
        let call = call(&server, timeouts(long)).attempt_timeout(long).timeout(long);
        assert_eq!(call.send().await.unwrap().status(), 200);
    }
    let mut zero = timeouts(SOON);
    zero.pool = Duration::ZERO;
    let response = call(&server, zero).send().await.unwrap();
    assert_eq!(response.status(), 200, "there is no wait for a slot");
    zero.read = Duration::ZERO;
    let error = call(&silent, zero).send().await.unwrap_err();
    assert_eq!(error.kind(), FailureKind::ReadTimeout);
    let call = call(&silent, timeouts(SOON)).attempt_timeout(Duration::ZERO);
    let error = call.send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::AttemptTimeout, 5));
}

async fn a_call_works_beside_any_executor(on: On) {
    // R-C-9: the runtime that a client was built on carries its calls, whoever polls them.
    let server = replies([Reply::status(503), ok()]);
    let (client, url): (Client, _) = (on.client(), server.url("/"));
    let thread = std::thread::spawn(move || block_on(client.get(url).send()));
    until(|| thread.is_finished()).await;
    assert_eq!(thread.join().unwrap().unwrap().status(), 200);
    finish(server).await;
}
