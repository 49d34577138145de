//! What RFC 9110, 9112, 6585 and 8470 say of methods, statuses, `Retry-After` and lost connections.

use http::{HeaderMap, Method};
use redial_engine::{
    Call, Delivery, FailureKind, HintRules, Outcome, Replay, ReplayRules, ServerHint,
    StandardPolicy, Timestamp, Upstream,
};

use super::common::{Always, begin, judged, pause, secs, word};
use super::{Case, Compared, Differs, NOT_OURS, compare, in_words, wait, walk};

const DIFFERS: &[Differs] = &[
    ("rfc-ra-zero", "R-RA-4", "zero says nothing about how long to wait", "no hint"),
    ("rfc-ra-3xx", "R-D-2", "a redirect is final; whoever follows it reads its hint", "success"),
    ("rfc-ra-413", "R-D-2", "413 is final, unless the policy's tables say otherwise", "status"),
    (
        "rfc-421",
        "R-D-2",
        "421 is final: on which connection to try anew is a client's to say",
        "final",
    ),
    ("rfc-425", "R-D-2", "425 is final: Redial sends no early data", "final"),
    ("rfc-retry-of-retry", "R-D-1", "five attempts by default; one re-send beneath them", "retry"),
    ("rfc-pipeline", "R-C-5", "nothing is pipelined", NOT_OURS),
    ("rfc-conn-close-pipelined", "R-C-5", "nothing is pipelined", NOT_OURS),
    (
        "rfc-early-response",
        "R-D-8",
        "a transport stops sending; the engine sees a response",
        NOT_OURS,
    ),
];

#[test]
fn http_semantics_hold_but_for_the_cases_listed() {
    let json = include_str!("rfc-http-semantics.json");
    walk("rfc-http-semantics.json", json, DIFFERS, check);
}

fn check(case: &Case) -> Option<Compared> {
    match case.kind() {
        "method" => method(case),
        "retry_after" => retry_after(case),
        "retry_after_scope" => scope(case),
        "status_rule" => status(case),
        "conn_retry" => lost_connection(case),
        "body" => None,
        other => panic!("no test knows the kind {other:?}"),
    }
}

/// R-D-4: what is idempotent is repeated freely, and nothing else is.
fn method(case: &Case) -> Option<Compared> {
    let idempotent = case.expect["idempotent"].as_bool()?;
    let expected = if idempotent { Replay::Freely } else { Replay::Never };
    compare(format!("{expected:?}"), format!("{:?}", replay(case.text("method")?)))
}

fn replay(method: &str) -> Replay {
    let method = Method::from_bytes(method.as_bytes()).expect("a method");
    ReplayRules::default().judge(&method, &HeaderMap::new())
}

fn retry_after(case: &Case) -> Option<Compared> {
    let value = case.text("value")?;
    let epoch = case.given["now"].as_i64().or(case.given["local_now"].as_i64()).unwrap_or(0);
    let mut fields = vec![("retry-after", value)];
    fields.extend(case.text("response_date").map(|date| ("date", date)));
    let found = wait(HintRules::DEFAULT, &fields, epoch);
    if case.expect["clamped"].as_bool() == Some(true) {
        let hint = ServerHint::NONE.after(found?);
        let outcome = Outcome::hinted(503, hint);
        return compare(
            "hint_beyond_cap",
            judged(&StandardPolicy::DEFAULT, Replay::Freely, &outcome),
        );
    }
    let expected = match case.expect["delay_s"].as_u64() {
        Some(delay) => in_words(Some(secs(delay))),
        None => in_words(None),
    };
    compare(expected, in_words(found))
}

/// On which statuses a hint counts: the retry waits as long as it says.
fn scope(case: &Case) -> Option<Compared> {
    let status = u16::try_from(case.number("status")?).ok()?;
    let outcome = Outcome::hinted(status, ServerHint::NONE.after(secs(7)));
    let mut upstream = Upstream::default();
    let call = Call::new(Replay::Freely);
    let first = begin(&StandardPolicy::DEFAULT, call, Timestamp::ORIGIN, &mut upstream);
    let verdict = first.finish(&outcome, Timestamp::ORIGIN, &mut upstream, &mut Always::lowest());
    let found = word(&verdict);
    if found == "retry" {
        return compare("7 s", in_words(Some(pause(verdict).wait())));
    }
    compare("7 s", found)
}

fn status(case: &Case) -> Option<Compared> {
    let status = u16::try_from(case.number("status")?).ok()?;
    let outcome = Outcome::status(status);
    let policy = StandardPolicy::DEFAULT;
    let freely = judged(&policy, Replay::Freely, &outcome) == "retry";
    let never = judged(&policy, Replay::Never, &outcome) == "retry";
    let found = match (freely, never) {
        (true, true) => "any method",
        (true, false) => "idempotent only",
        (false, _) => "final",
    };
    let any = case.expect["any_method"].as_bool().unwrap_or(true);
    let expected = match &case.expect["retry"] {
        serde_json::Value::String(rule) if rule == "not mandated" => "final",
        serde_json::Value::Bool(false) => "final",
        _ if any => "any method",
        _ => "idempotent only",
    };
    compare(expected, found)
}

/// A connection that was lost before the response; what became of the request is not known.
fn lost_connection(case: &Case) -> Option<Compared> {
    let replay = replay(case.text("method")?);
    let expected = if case.expect["retry"].as_bool()? { "retry" } else { "no retry" };
    let closed = Outcome::failure(FailureKind::Closed, Delivery::Unknown);
    let mut upstream = Upstream::default();
    let mut rng = Always::lowest();
    let policy = &StandardPolicy::DEFAULT;
    let mut attempt = begin(policy, Call::new(replay), Timestamp::ORIGIN, &mut upstream);
    if case.id == "rfc-retry-of-retry" {
        let verdict = attempt.finish(&closed, Timestamp::ORIGIN, &mut upstream, &mut rng);
        let pause = pause(verdict);
        let until = pause.until();
        attempt = super::common::attempt(pause.resume(until, &mut upstream));
    }
    let verdict = attempt.finish(&closed, Timestamp::ORIGIN, &mut upstream, &mut rng);
    compare(expected, if word(&verdict) == "retry" { "retry" } else { "no retry" })
}

#[test]
fn what_the_tables_leave_out_is_one_line_away() {
    let policy = StandardPolicy::builder().retry_status(413).heed_hint_on(413).build().unwrap();
    let hinted = Outcome::hinted(413, ServerHint::NONE.after(secs(7)));
    assert_eq!(judged(&policy, Replay::Freely, &hinted), "retry", "R-D-6");
    let policy = StandardPolicy::builder().retry_status(421).retry_status(425).build().unwrap();
    assert_eq!(judged(&policy, Replay::Freely, &Outcome::status(421)), "retry", "R-D-6");
    assert_eq!(judged(&policy, Replay::Freely, &Outcome::status(425)), "retry", "R-D-6");
}
