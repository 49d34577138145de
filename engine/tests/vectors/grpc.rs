//! gRPC's retries (gRFC A6): throttling, attempts, pushback, and transparent retries.

use redial_engine::{
    Backoff, BackoffError, Budget, Call, Delivery, Failure, FailureKind, HintRules, Outcome,
    PauseCause, PolicyError, Replay, ServerHint, StandardPolicy, Timestamp, Upstream,
};
use serde_json::Value;

use super::budgets::{Client, tokens};
use super::common::{Always, at_ms, begin, judged, ms, pause, resent, secs, word};
use super::{Case, Compared, Differs, NOT_OURS, compare, wait, walk};

const HEDGING: &str = "there is no hedging: one attempt at a time";

const DIFFERS: &[Differs] = &[
    ("grpc-maxattempts-8--1", "R-D-1", "a limit below one cannot be written down", "8"),
    ("grpc-backoff", "R-B-1", "jitter is drawn below the cap", "0.8 to 1"),
    ("grpc-pushback-0", "R-RA-2", "what is no number of seconds is no hint", "normal backoff"),
    ("grpc-pushback-1", "R-RA-2", "what is no number of seconds is no hint", "normal backoff"),
    ("grpc-pushback-2", "R-RA-2", "what is no number of seconds is no hint", "normal backoff"),
    ("grpc-pushback-5", "R-RA-4", "zero says nothing: never an immediate retry", "normal backoff"),
    ("grpc-matrix-n-neg", "R-G-2", "every retryable failure counts, and no other", "3, status"),
    ("grpc-transparent-notsent", "R-D-7", "at most one re-send an attempt", "1 resent"),
    ("grpc-transparent-refused", "R-D-7", "a refused stream is an ordinary failure", "0 resent"),
    ("grpc-hedge-inflight", "R-D-9", HEDGING, NOT_OURS),
    ("grpc-hedge-nonfatal", "R-D-9", HEDGING, NOT_OURS),
    ("grpc-hedge-fatal", "R-D-9", HEDGING, NOT_OURS),
    ("grpc-validate-maxattempts", "R-D-1", "1 switches retries off", "[false,true,true]"),
];

#[test]
fn grpcs_retries_are_reproduced_but_for_the_cases_listed() {
    walk("grpc.json", include_str!("grpc.json"), DIFFERS, check);
}

fn check(case: &Case) -> Option<Compared> {
    match case.kind() {
        "grpc_throttle" => throttle(case),
        "grpc_throttle_calls" => calls(case),
        "grpc_max_attempts" => max_attempts(case),
        "grpc_backoff" => backoff(case),
        "grpc_pushback" => pushback(case),
        "grpc_throttled_failure" => throttled_failure(case),
        "grpc_rule" => rule(case),
        other => panic!("no test knows the kind {other:?}"),
    }
}

fn policy(max_attempts: u32) -> StandardPolicy {
    StandardPolicy::builder().max_attempts(max_attempts).build().unwrap()
}

fn budget(case: &Case, ratio: f64) -> Budget {
    let max_tokens = case.number("max_tokens").expect("the case has `max_tokens`");
    Budget::grpc(max_tokens as u32, (ratio * 1_000.0).round() as u32).unwrap()
}

const UNAVAILABLE: Outcome = Outcome::status(503);

/// Failures and successes, one call each: the tokens after each, and whether a retry is allowed.
fn throttle(case: &Case) -> Option<Compared> {
    let budget = budget(case, case.given["token_ratio"].as_f64()?);
    let mut client = Client::new(policy(2), budget);
    let (mut expected, mut found) = (Vec::new(), Vec::new());
    for (operation, step) in case.list("ops").iter().zip(case.expect["steps"].as_array()?) {
        let tokens = &step["tokens"];
        if operation == "F" {
            let allowed = client.charge(&UNAVAILABLE).is_some();
            expected.push(format!("{tokens} {}", step["retry_allowed"]));
            found.push(format!("{} {allowed}", client.tokens()));
        } else {
            client.succeed();
            expected.push(tokens.to_string());
            found.push(client.tokens());
        }
    }
    compare(expected.join(", "), found.join(", "))
}

/// Calls to a server that answers some of the requests it sees, by their number.
fn calls(case: &Case) -> Option<Compared> {
    let answered: Vec<u64> =
        case.list("server_ok_at_index").iter().filter_map(Value::as_u64).collect();
    let budget = budget(case, case.given["token_ratio"].as_f64()?);
    let mut client = Client::new(policy(case.number("max_attempts")? as u32), budget);
    let mut seen = 0;
    let mut found = Vec::new();
    for _ in 0..case.number("calls")? {
        let mut attempt = client.begin();
        let status = loop {
            let ok = answered.contains(&seen);
            seen += 1;
            let outcome = if ok { Outcome::status(200) } else { UNAVAILABLE };
            let verdict = client.finish(attempt, &outcome);
            match word(&verdict) {
                "retry" => attempt = client.wait(pause(verdict)),
                "success" => break "OK",
                "attempts_exhausted" | "budget_exhausted" => break "UNAVAILABLE",
                other => panic!("{other}"),
            }
        };
        found.push(format!("{status} {} {}", seen - 1, client.tokens()));
    }
    let expected = case.expect["calls"].as_array()?.iter().map(|call| {
        let left = tokens(call["tokens"].as_f64().unwrap());
        format!("{} {} {left}", call["status"].as_str().unwrap(), call["last_server_index"])
    });
    compare(expected.collect::<Vec<_>>().join(", "), found.join(", "))
}

/// The policy's limit, and the caller's own, which is a call's here.
fn max_attempts(case: &Case) -> Option<Compared> {
    let policy = policy(case.number("service_config")? as u32);
    let own =
        case.given["client_cap"].as_u64().and_then(|cap| u32::try_from(cap).ok()?.try_into().ok());
    let mut call = Call::new(Replay::Freely);
    if let Some(own) = own {
        call = call.max_attempts(own);
    }
    compare(&case.expect["attempts"], attempts(&policy, call, &UNAVAILABLE))
}

/// How many attempts a call makes whose every attempt comes to this outcome.
fn attempts(policy: &StandardPolicy, call: Call, outcome: &Outcome) -> u32 {
    let mut upstream = Upstream::new(Budget::UNLIMITED);
    let mut attempt = begin(policy, call, Timestamp::ORIGIN, &mut upstream);
    let mut now = Timestamp::ORIGIN;
    loop {
        let number = attempt.number().get();
        let verdict = attempt.finish(outcome, now, &mut upstream, &mut Always::lowest());
        if word(&verdict) != "retry" {
            return number;
        }
        let pause = pause(verdict);
        now = pause.until();
        attempt = super::common::attempt(pause.resume(now, &mut upstream));
    }
}

fn backoff(case: &Case) -> Option<Compared> {
    let backoff = Backoff::exponential(ms(100)).cap(secs(case.number("max_s")?));
    let policy = StandardPolicy::builder().max_attempts(9).backoff(backoff).build().unwrap();
    let mut shares = Vec::new();
    for mut rng in [Always::lowest(), Always::highest()] {
        let mut upstream = Upstream::new(Budget::UNLIMITED);
        let mut now = Timestamp::ORIGIN;
        let mut attempt = begin(&policy, Call::new(Replay::Freely), now, &mut upstream);
        for center in case.expect["center_s"].as_array()? {
            let pause = pause(attempt.finish(&UNAVAILABLE, now, &mut upstream, &mut rng));
            let share = pause.wait().as_secs_f64() / center.as_f64()?;
            shares.push((share * 1e6).round() / 1e6);
            now = pause.until();
            attempt = super::common::attempt(pause.resume(now, &mut upstream));
        }
    }
    let least = shares.iter().copied().fold(f64::MAX, f64::min);
    let most = shares.iter().copied().fold(f64::MIN, f64::max);
    assert!(case.expect["range"].as_str()?.contains("[0.8,1.2]"));
    compare("0.8 to 1.2", format!("{least} to {most}"))
}

/// `grpc-retry-pushback-ms` as its twin in HTTP, `retry-after-ms`.
fn pushback(case: &Case) -> Option<Compared> {
    let value = case.text("grpc-retry-pushback-ms");
    let fields: Vec<_> = value.map(|value| ("retry-after-ms", value)).into_iter().collect();
    let asked = wait(HintRules::DEFAULT.retry_after_ms(true), &fields, 0);
    let outcome = Outcome::hinted(503, ServerHint::NONE.after(asked.unwrap_or_default()));
    let mut upstream = Upstream::default();
    let policy = policy(5);
    let first = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
    let pause = pause(first.finish(&outcome, at_ms(0), &mut upstream, &mut Always::lowest()));
    let found = match pause.cause() {
        PauseCause::ServerHint => format!("retry after {} ms", pause.wait().as_millis()),
        _ => "normal backoff".to_owned(),
    };
    compare(case.expect["outcome"].as_str()?, found)
}

fn throttled_failure(case: &Case) -> Option<Compared> {
    let mut client = Client::new(policy(5), budget(case, 0.1));
    assert!(client.charge(&UNAVAILABLE).is_some());
    assert_eq!(client.tokens(), case.given["tokens_before"].to_string());
    let status = if case.given["retryable"].as_bool()? { 503 } else { 400 };
    // A negative pushback is no hint; a positive one is.
    let hint = case.given["pushback"]
        .as_u64()
        .map_or(ServerHint::NONE, |millis| ServerHint::NONE.after(ms(millis)));
    let attempt = client.begin();
    let verdict = client.finish(attempt, &Outcome::hinted(status, hint));
    let word = word(&verdict);
    assert_eq!(word == "retry", case.expect["retry"].as_bool()?, "{}", case.id);
    compare(format!("{}, {word}", case.expect["tokens"]), format!("{}, {word}", client.tokens()))
}

fn rule(case: &Case) -> Option<Compared> {
    match case.id.as_str() {
        "grpc-nonretryable" => {
            let attempts = attempts(&policy(5), Call::new(Replay::Freely), &Outcome::status(501));
            compare(&case.expect["attempts"], attempts)
        }
        "grpc-committed-buffer" => {
            let mut upstream = Upstream::default();
            let policy = policy(5);
            let mut first = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
            first.body_spent();
            let verdict =
                first.finish(&UNAVAILABLE, at_ms(0), &mut upstream, &mut Always::lowest());
            assert_eq!(word(&verdict), "body_spent", "R-D-5");
            compare(&case.expect["retry"], word(&verdict) == "retry")
        }
        "grpc-transparent-notsent" => {
            let closed = Failure::new(FailureKind::Closed, Delivery::Unsent).on_reused();
            compare(case.expect["retries"].as_str()?, resends(closed, case.number("times")?))
        }
        "grpc-transparent-refused" => {
            let refused = Failure::new(FailureKind::RefusedStream, Delivery::Unsent).on_reused();
            let expected = format!("{} resent", case.expect["transparent"]);
            compare(expected, resends(refused, case.list("event").len() as u64))
        }
        "grpc-transparent-not-counted" => not_counted(case),
        "grpc-prev-attempts-header" => {
            let mut upstream = Upstream::default();
            let policy = policy(5);
            let first = begin(&policy, Call::new(Replay::Freely), at_ms(0), &mut upstream);
            let previous = Some(first.number().get() - 1).filter(|previous| *previous > 0);
            compare(&case.expect["grpc-previous-rpc-attempts"], Value::from(previous))
        }
        "grpc-deadline" => deadline(case),
        "grpc-validate-maxattempts" => {
            let valid = |given: &Value| match given {
                Value::Null => true,
                given => given.as_u64().is_some_and(|attempts| {
                    StandardPolicy::builder().max_attempts(attempts as u32).build().is_ok()
                }),
            };
            let none = StandardPolicy::builder().max_attempts(0).build();
            assert_eq!(none, Err(PolicyError::NoAttempts));
            let found: Vec<_> = case.list("maxAttempts").iter().map(valid).collect();
            compare(Value::from(vec![false; found.len()]), Value::from(found))
        }
        "grpc-validate-backoff0" => {
            let backoff = Backoff::exponential(ms(0));
            let found = StandardPolicy::builder().backoff(backoff).build();
            let error = PolicyError::Backoff(BackoffError::BaseTooShort { base: ms(0) });
            assert_eq!(found, Err(error), "R-B-4");
            compare(&case.expect["valid"], found.is_ok())
        }
        "grpc-validate-ratio3" => {
            // Thousandths by type: what is beyond them cannot be written down.
            let ratio = (case.given["tokenRatio"].as_f64()? * 1_000.0).floor() as u32;
            let mut client = Client::new(policy(1), Budget::grpc(2, ratio).unwrap());
            assert!(client.charge_without_retry());
            client.succeed();
            compare(1.0 + case.expect["used"].as_f64()?, client.tokens())
        }
        _ => None,
    }
}

/// How often a failure is followed by a re-send that is not counted.
fn resends(failure: Failure, times: u64) -> String {
    let mut client = Client::new(policy(5), Budget::STANDARD);
    let mut attempt = client.begin();
    let mut resends = 0;
    for _ in 0..times {
        let verdict = client.finish(attempt, &Outcome::Failure(failure));
        if word(&verdict) != "resend" {
            assert_eq!(word(&verdict), "retry", "after that it is an ordinary failure");
            break;
        }
        resends += 1;
        attempt = resent(verdict);
    }
    format!("{resends} resent")
}

fn not_counted(case: &Case) -> Option<Compared> {
    let mut client = Client::new(policy(1), Budget::grpc(4, 100).unwrap());
    let closed = Failure::new(FailureKind::Closed, Delivery::Unsent).on_reused();
    let first = client.begin();
    let (number, before) = (first.number(), client.tokens());
    let again = resent(client.finish(first, &Outcome::Failure(closed)));
    let found = serde_json::json!({
        "counts_attempts": again.number() != number,
        "touches_throttle": client.tokens() != before,
        "previous_attempts_header": if again.number() == number { "unchanged" } else { "changed" },
    });
    compare(&case.expect, found)
}

fn deadline(case: &Case) -> Option<Compared> {
    let mut upstream = Upstream::default();
    let mut rng = Always::lowest();
    let policy = policy(5);
    let call = Call::new(Replay::Freely).deadline(at_ms(2_000));
    let first = begin(&policy, call, at_ms(0), &mut upstream);
    let pause = pause(first.finish(&UNAVAILABLE, at_ms(300), &mut upstream, &mut rng));
    let second = super::common::attempt(pause.resume(at_ms(1_100), &mut upstream));
    assert_eq!(second.deadline().unwrap().at, at_ms(2_000), "what is left, and no more");
    let verdict = second.finish(&UNAVAILABLE, at_ms(1_200), &mut upstream, &mut rng);
    let covers = word(&verdict) == "deadline_would_pass";
    assert_eq!(judged(&policy, Replay::Freely, &UNAVAILABLE), "retry", "without a deadline");
    let found = if covers { "all attempts plus backoff" } else { "one attempt" };
    compare(case.expect["covers"].as_str()?, found)
}
