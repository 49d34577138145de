//! What the OpenAI and Anthropic clients do with `Retry-After` and `x-should-retry`.
//!
//! Their policy: half a second, doubling, at most eight; hints of up to two minutes.

use core::time::Duration;

use redial_engine::{
    Backoff, Call, HintRules, Jitter, Outcome, Replay, Retry, StandardPolicy, Upstream, Verdict,
};

use super::common::{Always, at_ms, attempt, pause, word};
use super::{Case, Compared, Differs, compare, headers, in_words, walk, wall};

const DIFFERS: &[Differs] = &[
    ("oai-ra-06", "R-RA-6", "never a shorter wait than the server asked for", "hint_beyond_cap"),
    ("oai-ra-13", "R-RA-6", "never a shorter wait than the server asked for", "hint_beyond_cap"),
    ("oai-ra-14", "R-RA-7", "a number of any length saturates", "hint_beyond_cap"),
    ("anthropic-ra-61", "R-RA-1", "never a shorter wait than the server asked for", "61 s"),
    ("oai-node-ra-0", "R-RA-4", "zero says nothing: never an immediate retry", "0.5 s"),
    (
        "oai-status-409-None",
        "R-D-2",
        "409 is final, unless the policy's table says otherwise",
        "status",
    ),
];

#[test]
fn the_clients_of_two_apis_would_see_the_same_but_for_the_cases_listed() {
    walk("openai-anthropic.json", include_str!("openai-anthropic.json"), DIFFERS, check);
}

fn check(case: &Case) -> Option<Compared> {
    match case.kind() {
        "retry_timeout" => retry_timeout(case),
        "should_retry" => should_retry(case),
        other => panic!("no test knows the kind {other:?}"),
    }
}

fn policy() -> StandardPolicy {
    let backoff = Backoff::exponential(Duration::from_millis(500))
        .cap(Duration::from_secs(8))
        .jitter(Jitter::None);
    StandardPolicy::builder()
        .max_attempts(u32::MAX)
        .backoff(backoff)
        .retry_after_max(Duration::from_secs(120))
        .build()
        .unwrap()
}

const RULES: HintRules = HintRules::DEFAULT.retry_after_ms(true).should_retry(true);

fn outcome(status: u16, fields: &[(&str, &str)], epoch: i64) -> Outcome {
    Outcome::Response { status, hint: RULES.hint(&headers(fields), || wall(epoch)) }
}

/// What follows an outcome that came after so many retries.
fn after_retries(retries: u32, outcome: &Outcome) -> Verdict<StandardPolicy> {
    let mut upstream = Upstream::new(redial_engine::Budget::UNLIMITED);
    let mut rng = Always::lowest();
    let mut now = at_ms(0);
    let action = Retry::new(policy()).begin(Call::new(Replay::Freely), now, &mut upstream);
    let mut next = attempt(action);
    for _ in 0..retries {
        let pause = pause(next.finish(&Outcome::status(503), now, &mut upstream, &mut rng));
        now = pause.until();
        next = attempt(pause.resume(now, &mut upstream));
    }
    next.finish(outcome, now, &mut upstream, &mut rng)
}

fn retry_timeout(case: &Case) -> Option<Compared> {
    let retries = match case.given["remaining"].as_i64() {
        Some(remaining) => case.given["max_retries"].as_i64()? - remaining,
        None => 0,
    };
    let mut fields = Vec::new();
    fields.extend(case.text("retry_after").map(|value| ("retry-after", value)));
    fields.extend(case.text("retry_after_ms").map(|value| ("retry-after-ms", value)));
    let outcome = outcome(429, &fields, case.given["now"].as_i64().unwrap_or(0));
    let verdict = after_retries(u32::try_from(retries).ok()?, &outcome);
    let expected = match case.expect["delay_ms"].as_u64() {
        Some(millis) => Duration::from_millis(millis),
        None => Duration::from_secs_f64(case.expect["delay_s"].as_f64()?),
    };
    let found = match word(&verdict) {
        "retry" => in_words(Some(pause(verdict).wait())),
        other => other.to_owned(),
    };
    compare(in_words(Some(expected)), found)
}

fn should_retry(case: &Case) -> Option<Compared> {
    let status = u16::try_from(case.number("status")?).ok()?;
    let mut fields = Vec::new();
    if let Some(given) = case.given["headers"].as_object() {
        fields.extend(
            given.iter().filter_map(|(name, value)| Some((name.as_str(), value.as_str()?))),
        );
    }
    fields.extend(case.text("x-should-retry").map(|value| ("x-should-retry", value)));
    let outcome = outcome(status, &fields, case.given["now"].as_i64().unwrap_or(0));
    let found = word(&after_retries(0, &outcome));
    let expected = match case.expect["retry"].as_bool()? {
        true => "retry",
        // Why it is not repeated is Redial's to say; that it is not is the case's.
        false if found == "retry" => "no retry",
        false => found,
    };
    compare(expected, found)
}
