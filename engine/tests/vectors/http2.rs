//! What RFC 9113 says of requests that a server refused, or may have processed.

use http::{HeaderMap, Method};
use redial_engine::{
    Call, Delivery, Failure, FailureKind, Outcome, PauseCause, Replay, ReplayRules, StandardPolicy,
    Timestamp, Upstream, Verdict,
};
use serde_json::Value;

use super::common::{Always, begin, pause, resent, word};
use super::{Case, Compared, Differs, NOT_OURS, compare, walk};

const DIFFERS: &[Differs] = &[
    ("h2-refused", "R-D-4", "POST is repeated by an opt-in only", "no"),
    ("h2-goaway-zero", "R-D-4", "on a fresh connection it is an ordinary failure", "no"),
    ("h2-goaway-below-open", "R-P-6", "a transport reads on, and reports nothing", NOT_OURS),
    (
        "h2-partial-response",
        "R-D-8",
        "a failure in the body, which ends the attempt",
        "idempotent only",
    ),
    ("h2-http11-required", "R-C-5", "a transport chooses the protocol", NOT_OURS),
    ("h2-max-concurrent", "R-P-6", "the pool queues it; there is no outcome yet", NOT_OURS),
];

#[test]
fn http2_requests_are_repeated_as_rfc_9113_allows_but_for_the_cases_listed() {
    walk("rfc9113-http2.json", include_str!("rfc9113-http2.json"), DIFFERS, check);
}

#[test]
fn what_a_server_did_not_process_is_repeated_whatever_the_method_under_the_opt_in() {
    let document: Value = serde_json::from_str(include_str!("rfc9113-http2.json")).unwrap();
    let unprocessed = document["cases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|case| case["expect"]["processed"] == false);
    let rules = ReplayRules::default().others(Replay::IfUnsent);
    let mut checked = 0;
    for case in unprocessed {
        let case = Case {
            id: case["id"].as_str().unwrap().to_owned(),
            given: case["given"].clone(),
            expect: case["expect"].clone(),
        };
        let failure = reported(&case).expect("a failure is reported");
        let replay = rules.judge(&Method::POST, &HeaderMap::new());
        let found = word(&finish(replay, failure));
        assert!(found == "retry" || found == "resend", "{}: {found} (R-D-4)", case.id);
        checked += 1;
    }
    assert_eq!(checked, 4);
}

/// What a transport reports of a case, by RFC 9113 6.8 and 8.7.
fn reported(case: &Case) -> Option<Failure> {
    let event = case.text("event").or_else(|| case.list("events").last()?.as_str())?;
    let code = case.text("code").unwrap_or("NO_ERROR");
    let graceful = code == "NO_ERROR";
    let first = case.number("stream_id").unwrap_or(1) == 1;
    let on = |failure: Failure| if first { failure } else { failure.on_reused() };
    let last = match case.id.as_str() {
        "h2-goaway-2stage" => 3,
        _ => case.number("last_stream_id").unwrap_or(u64::from(u32::MAX >> 1)),
    };
    let stream = case.number("stream_id").unwrap_or(1);
    if event.starts_with("GOAWAY") && stream > last {
        return Some(on(Failure::new(FailureKind::GoAway { graceful }, Delivery::Unsent)));
    }
    match event {
        "RST_STREAM REFUSED_STREAM" => {
            Some(on(Failure::new(FailureKind::RefusedStream, Delivery::Answered)))
        }
        "RST_STREAM" if code == "REFUSED_STREAM" => {
            Some(on(Failure::new(FailureKind::RefusedStream, Delivery::Unsent)))
        }
        "RST_STREAM" if code == "HTTP_1_1_REQUIRED" => None,
        "RST_STREAM" => Some(on(Failure::new(FailureKind::StreamReset, Delivery::Unknown))),
        "connection closed without GOAWAY" => {
            Some(on(Failure::new(FailureKind::Closed, Delivery::Unknown)))
        }
        "GOAWAY" if case.text("then").is_some() => {
            Some(on(Failure::new(FailureKind::Closed, Delivery::Unknown)))
        }
        _ => None,
    }
}

fn check(case: &Case) -> Option<Compared> {
    let failure = reported(case)?;
    let rules = ReplayRules::default();
    let method = case.text("method").and_then(|method| method.parse().ok());
    let replay = method.as_ref().map(|method| rules.judge(method, &HeaderMap::new()));
    if let Some(true) = case.expect["backoff_required"].as_bool() {
        let pause = pause(finish(Replay::Freely, failure));
        return compare(
            "after backoff",
            match pause.cause() {
                PauseCause::Backoff if !pause.wait().is_zero() => "after backoff",
                _ => "at once",
            },
        );
    }
    if case.expect["new_connection"].as_bool() == Some(true) {
        let again = resent(finish(replay?, failure));
        return compare(true, again.needs_fresh_connection());
    }
    let sent_again = |replay| matches!(word(&finish(replay, failure)), "retry" | "resend");
    let found = match replay {
        Some(replay) if sent_again(replay) => "yes",
        Some(_) => "no",
        None if sent_again(Replay::Never) => "yes",
        None if sent_again(Replay::Freely) => "idempotent only",
        None => "no",
    };
    let expected = match &case.expect["retry"] {
        Value::Bool(true) => "yes",
        Value::Bool(false) => "no",
        // The case's method is GET, so "idempotent only" is a yes for it.
        Value::String(_) => "yes",
        _ => match case.expect["after_second"].as_str()? {
            "5 unprocessed => retry" => "yes",
            other => panic!("no test knows {other:?}"),
        },
    };
    compare(expected, found)
}

fn finish(replay: Replay, failure: Failure) -> Verdict<&'static StandardPolicy> {
    let mut upstream = Upstream::default();
    let first =
        begin(&StandardPolicy::DEFAULT, Call::new(replay), Timestamp::ORIGIN, &mut upstream);
    let outcome = Outcome::Failure(failure);
    first.finish(&outcome, Timestamp::ORIGIN, &mut upstream, &mut Always::lowest())
}
