//! The AWS SDKs' standard retry mode, in both editions of its specification (R-G-2).

use core::time::Duration;

use redial_engine::{Backoff, Budget, Jitter, Outcome, Pause, Replay, ServerHint, StandardPolicy};
use serde_json::Value;

use super::budgets::{ByClass, Client, expected_steps, millis, outcome};
use super::common::{judged, ms, pause, secs, word};
use super::{Case, Compared, Differs, compare, walk};

const FINAL: &str = "final";
const CODES: &str = "an error code in the body of a 400 is a service's matter, not HTTP's";

const DIFFERS_2_0: &[Differs] = &[
    (
        "v20-cost10-refund",
        "R-RA-1",
        "a failure has no head, so it cannot ask for a wait; the tokens agree",
        "retry, 90 left, wait 1000 ms; retry, 80 left, wait 2000 ms; success, 90 left",
    ),
    ("v20-retry-after-capped", "R-RA-1", "never a shorter wait than the server asked for", "30 s"),
    ("v20-status-408", "R-D-2", "408 is retried", "retry"),
    (
        "v20-status-429",
        "R-D-2",
        "429 is retried, as in TypeScript; the SDKs disagree",
        "throttling",
    ),
    ("v20-code-ThrottlingException", "R-D-2", CODES, FINAL),
    ("v20-code-ThrottledException", "R-D-2", CODES, FINAL),
    ("v20-code-RequestThrottledException", "R-D-2", CODES, FINAL),
    ("v20-code-ProvisionedThroughputExceededException", "R-D-2", CODES, FINAL),
    ("v20-code-TransactionInProgressException", "R-D-2", CODES, FINAL),
    ("v20-code-RequestLimitExceeded", "R-D-2", CODES, FINAL),
    ("v20-code-LimitExceededException", "R-D-2", CODES, FINAL),
    ("v20-code-RequestThrottled", "R-D-2", CODES, FINAL),
    ("v20-code-SlowDown", "R-D-2", CODES, FINAL),
    ("v20-code-EC2ThrottledException", "R-D-2", CODES, FINAL),
    ("v20-code-RequestTimeout", "R-D-2", CODES, FINAL),
    ("v20-code-RequestTimeoutException", "R-D-2", CODES, FINAL),
    ("v20-code-Throttling", "R-D-2", CODES, FINAL),
];

const DIFFERS_2_1: &[Differs] = &[
    (
        "std-ra-10000",
        "R-RA-1",
        "the wait is what the server said, and not clamped",
        "retry, 486 left, wait 10000 ms; success, 500 left",
    ),
    (
        "std-longpoll-throttle-empty",
        "R-G-1",
        "a refused retry gives up at once; it never waits",
        "quota_exceeded, 0 left",
    ),
    (
        "std-longpoll-throttle-empty-rs",
        "R-G-1",
        "a refused retry gives up at once; it never waits",
        "quota_exceeded, 0 left",
    ),
];

#[test]
fn aws_standard_mode_2_0_is_reproduced_but_for_the_cases_listed() {
    let json = include_str!("aws-standard-v2_0.json");
    walk("aws-standard-v2_0.json", json, DIFFERS_2_0, |case| check(case, Edition::V2_0));
}

#[test]
fn aws_standard_mode_2_1_is_reproduced_but_for_the_cases_listed() {
    let json = include_str!("aws-standard-v2_1.json");
    walk("aws-standard-v2_1.json", json, DIFFERS_2_1, |case| check(case, Edition::V2_1));
}

#[derive(Clone, Copy)]
enum Edition {
    V2_0,
    V2_1,
}

/// The rules of an edition, which a case may change.
struct Rules {
    budget: Budget,
    base: Duration,
    throttled_base: Duration,
    cap: Duration,
    max_attempts: u32,
}

impl Edition {
    const fn rules(self) -> Rules {
        let (budget, base) = match self {
            Self::V2_0 => (Budget::AWS_STANDARD_2_0, secs(1)),
            Self::V2_1 => (Budget::AWS_STANDARD_2_1, ms(50)),
        };
        Rules { budget, base, throttled_base: secs(1), cap: secs(20), max_attempts: 3 }
    }
}

impl Rules {
    fn client(&self) -> Client<ByClass> {
        let backoff = |base| Backoff::exponential(base).cap(self.cap).jitter(Jitter::Full);
        let standard = StandardPolicy::builder()
            .max_attempts(self.max_attempts)
            .backoff(backoff(self.base))
            .heed_hint_on(500)
            .build()
            .unwrap();
        let policy = ByClass { standard, throttled: backoff(self.throttled_base) };
        Client::new(policy, self.budget)
    }
}

fn check(case: &Case, edition: Edition) -> Option<Compared> {
    match case.kind() {
        "aws_standard_v2_0" | "aws_standard_v2_1" => steps(case, edition),
        "quota" if case.given["calls"].is_u64() => exhausted(case, edition),
        "quota" => quota(case, edition),
        "backoff" => backoff(case, edition),
        "aws_mixed" => mixed(case, edition),
        "retry_after" => retry_after(case, edition),
        "retryable" => retryable(case),
        "cost" => costs(case, edition),
        "fractional_reward" => fractions(case),
        other => panic!("no test knows the kind {other:?}"),
    }
}

fn steps(case: &Case, edition: Edition) -> Option<Compared> {
    let mut rules = edition.rules();
    rules.max_attempts = case.number("max_attempts").map_or(rules.max_attempts, |n| n as u32);
    rules.base =
        case.number("base").map(ms).or(case.number("base_s").map(secs)).unwrap_or(rules.base);
    rules.cap =
        case.number("cap").map(ms).or(case.number("max_backoff_s").map(secs)).unwrap_or(rules.cap);
    let mut client = rules.client();
    client.bring_to(case.number("initial_quota").unwrap_or(500));
    let outcomes: Vec<_> = case.list("responses").iter().map(outcome).collect();
    let found = client.steps(&outcomes);
    let expected = match &case.expect["steps"] {
        Value::Null => vec![case.expect.to_string()],
        steps => expected_steps(steps),
    };
    compare(expected.join("; "), found.join("; "))
}

/// Operations on the quota alone, each made by calls that have that effect.
fn quota(case: &Case, edition: Edition) -> Option<Compared> {
    let capacity = case.number("cap").unwrap_or(500);
    let refused = case.expect["last_ok"].as_bool() == Some(false);
    // The preset's capacity is 500. Where a case has a smaller one and is not about its floor, its
    // tokens are counted from the top.
    let offset = if refused { 0 } else { 500 - capacity };
    let mut client = edition.rules().client();
    client.bring_to(offset + case.number("init")?);
    let mut charged: Option<Pause<ByClass>> = None;
    let mut last_ok = true;
    for operation in case.list("ops") {
        let (name, amount) =
            operation.as_str()?.split_once(' ').unwrap_or((operation.as_str()?, "0"));
        let amount: u64 = amount.parse().unwrap();
        match name {
            "acquire" => match (edition, amount) {
                (Edition::V2_0, 5) | (Edition::V2_1, 14) => {
                    charged = client.charge(&Outcome::status(500))
                }
                (Edition::V2_1, 5) => charged = client.charge(&Outcome::status(429)),
                (Edition::V2_0, 10) => {
                    charged = client.charge(&outcome(&Value::from("read timeout")))
                }
                // No retry has this price, but several calls have this effect.
                _ => client.bring_to(client.upstream.tokens_milli() / 1_000 - amount),
            },
            "success" | "success_after_retry" => {
                let attempt = client.wait(charged.take()?);
                assert_eq!(word(&client.finish(attempt, &Outcome::status(200))), "success");
            }
            "fail" => {
                if let Some(pause) = charged.take() {
                    let attempt = client.wait(pause);
                    assert_eq!(word(&client.finish(attempt, &Outcome::status(400))), "status");
                }
            }
            "release" => (0..amount).for_each(|_| client.succeed()),
            other => panic!("no test knows the operation {other:?}"),
        }
        last_ok = charged.is_some();
    }
    if refused {
        assert!(!last_ok, "{}: the last is refused", case.id);
    }
    let found = client.upstream.tokens_milli() / 1_000 - offset;
    compare(&case.expect["quota"], found)
}

/// So many calls that all fail, and one more.
fn exhausted(case: &Case, edition: Edition) -> Option<Compared> {
    let mut client = edition.rules().client();
    for _ in 0..case.number("calls")? {
        let steps = client.steps(&[Outcome::status(500); 3]);
        assert_eq!(steps.len() as u64, case.number("retries_each")? + 1, "{steps:?}");
    }
    let expected = match case.expect["call_51"].as_str()? {
        "RetryQuotaReached" => format!("quota_exceeded, {} left", case.expect["quota"]),
        other => other.to_owned(),
    };
    compare(expected, client.steps(&[Outcome::status(500)]).join("; "))
}

fn backoff(case: &Case, edition: Edition) -> Option<Compared> {
    let mut rules = edition.rules();
    rules.base = Duration::from_secs_f64(case.given["base_s"].as_f64()?);
    rules.cap = secs(case.number("cap_s")?);
    rules.max_attempts = u32::MAX;
    let retries = case.number("n").or(case.number("attempt"))?;
    let waits = waits(&rules, &vec![Outcome::status(500); retries as usize]);
    let (expected, found): (Vec<f64>, Vec<f64>) = match &case.expect["delays_s"] {
        Value::Null => (vec![case.expect["delay_s"].as_f64()?], vec![*waits.last()?]),
        delays => (delays.as_array()?.iter().filter_map(Value::as_f64).collect(), waits),
    };
    compare(format!("{:?}", to_millis(&expected)), format!("{found:?}"))
}

fn to_millis(seconds: &[f64]) -> Vec<f64> {
    seconds.iter().map(|seconds| (seconds * 1e6).round() / 1e3).collect()
}

/// The waits in milliseconds that these outcomes lead to, with all the budget in the world.
fn waits(rules: &Rules, outcomes: &[Outcome]) -> Vec<f64> {
    let mut client = Rules { budget: Budget::UNLIMITED, ..*rules }.client();
    let mut next = client.begin();
    let mut waits = Vec::new();
    for outcome in outcomes {
        let pause = pause(client.finish(next, outcome));
        waits.push(millis(pause.wait()));
        next = client.wait(pause);
    }
    waits
}

/// Throttling and other trouble in one call: one exponent, a base for each.
fn mixed(case: &Case, edition: Edition) -> Option<Compared> {
    let errors = case.list("errors");
    let mut rules = edition.rules();
    rules.max_attempts = errors.len() as u32 + 1;
    if case.text("variant").is_some_and(|variant| variant.contains("base 100/500")) {
        (rules.base, rules.throttled_base) = (ms(100), ms(500));
    }
    // In 2.1 the price of trouble is one; a 500 stands for it as well as a lost connection.
    let outcomes: Vec<_> = errors.iter().map(outcome).collect();
    let mut client = rules.client();
    let found = client.steps(&outcomes);
    let mut tokens = 500;
    let expected = case.expect["steps"].as_array()?.iter().map(|step| {
        tokens -= step["cost"].as_u64().unwrap();
        format!("retry, {tokens} left, wait {} ms", step["delay_ms"])
    });
    let expected = expected.collect::<Vec<_>>().join("; ");
    assert_eq!(tokens, case.expect["quota_left"].as_u64()?, "{}: its own arithmetic", case.id);
    compare(expected, found.join("; "))
}

fn retry_after(case: &Case, edition: Edition) -> Option<Compared> {
    let mut client = edition.rules().client();
    let hint = ServerHint::NONE.after(secs(case.number("explicit_s")?));
    let attempt = client.begin();
    let pause = pause(client.finish(attempt, &Outcome::hinted(503, hint)));
    compare(format!("{} s", case.expect["delay_s"]), format!("{} s", pause.wait().as_secs()))
}

fn retryable(case: &Case) -> Option<Compared> {
    let outcome = Outcome::status(case.number("status")? as u16);
    let found = match judged(&StandardPolicy::DEFAULT, Replay::Freely, &outcome) {
        "status" => FINAL,
        "retry" if case.number("status") == Some(429) => "throttling",
        other => other,
    };
    let expected = match (case.expect["retryable"].as_bool(), &case.expect["kind"]) {
        (Some(true), Value::Null) => "retry".to_owned(),
        (Some(true), kind) => kind.to_string(),
        (Some(false), _) => FINAL.to_owned(),
        (None, _) => case.expect.to_string(),
    };
    compare(expected, found)
}

/// What a retry costs after each; the SDKs disagree, and the preset is smithy-rs's.
fn costs(case: &Case, edition: Edition) -> Option<Compared> {
    let cost = |error: &Value| {
        let mut client = edition.rules().client();
        let _ = client.charge(&outcome(error)).expect("a full budget pays");
        500 - client.upstream.tokens_milli() / 1_000
    };
    let found: Vec<u64> = case.list("errors").iter().map(cost).collect();
    compare(&case.expect["smithy_rs"], Value::from(found))
}

/// Fractions of tokens add up exactly.
fn fractions(case: &Case) -> Option<Compared> {
    let reward = (case.given["reward"].as_f64()? * 1_000.0).round() as u32;
    let mut client = Client::new(StandardPolicy::DEFAULT, Budget::grpc(1, reward).unwrap());
    assert!(client.charge(&Outcome::status(500)).is_none());
    assert_eq!(client.upstream.tokens_milli(), case.number("from")?);
    // The bucket of one token holds what two rewards give, and clips what three do.
    (0..case.number("times")?).for_each(|_| client.succeed());
    compare(&case.expect["whole_tokens"], client.upstream.tokens_milli() / 1_000)
}
