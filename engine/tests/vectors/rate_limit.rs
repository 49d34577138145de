//! The IETF drafts on `RateLimit` and `Idempotency-Key`.

use redial_engine::{HintRules, Outcome, Replay, ReplayRules, ServerHint, StandardPolicy};

use super::common::{judged, secs};
use super::{Case, Compared, Differs, NOT_OURS, compare, in_words, wait, walk};

const DIFFERS: &[Differs] = &[
    ("rl-3xx", "R-D-2", "a redirect is final; whoever follows it reads its hint", "success"),
    ("rl-legacy-epoch", "R-RA-8", "an epoch under an X- name is none of the opt-ins", "no hint"),
    ("ik-inflight", "R-D-2", "409 is final, unless the policy's table says otherwise", "status"),
    ("ik-stable", "R-C-12", "the client makes the key, once a call", NOT_OURS),
];

#[test]
fn the_drafts_on_rate_limits_and_idempotency_hold_but_for_the_cases_listed() {
    let json = include_str!("drafts-ratelimit-idempotency.json");
    walk("drafts-ratelimit-idempotency.json", json, DIFFERS, check);
}

fn check(case: &Case) -> Option<Compared> {
    match case.kind() {
        "ratelimit" => rate_limit(case),
        "ratelimit_legacy" => legacy(case),
        "idempotency_key" => idempotency_key(case),
        other => panic!("no test knows the kind {other:?}"),
    }
}

fn rate_limit(case: &Case) -> Option<Compared> {
    let age = case.number("age_s").map(|age| age.to_string());
    let mut fields: Vec<(&str, &str)> = case.given["fields"]
        .as_object()?
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.as_str()?)))
        .collect();
    fields.extend(age.as_deref().map(|age| ("age", age)));
    let found = wait(HintRules::DEFAULT.rate_limit(true), &fields, 0);
    assert_eq!(
        wait(HintRules::DEFAULT, &fields, 0),
        wait(HintRules::DEFAULT, &fields, 0).filter(|_| case.id == "rl-both"),
        "{}: `RateLimit` is read without being asked for (R-RA-8)",
        case.id
    );
    if let Some(status) = case.number("status") {
        let hint = ServerHint::NONE.after(found?);
        let outcome = Outcome::hinted(u16::try_from(status).ok()?, hint);
        return compare("retry", judged(&StandardPolicy::DEFAULT, Replay::Freely, &outcome));
    }
    let expected = case.expect["wait_s"].as_u64().filter(|wait| *wait > 0).map(secs);
    compare(in_words(expected), in_words(found))
}

fn legacy(case: &Case) -> Option<Compared> {
    let fields = [(case.text("header")?, case.text("value")?)];
    let found = wait(HintRules::DEFAULT.rate_limit(true), &fields, case.given["now"].as_i64()?);
    compare(in_words(case.expect["delay_s"].as_u64().map(secs)), in_words(found))
}

fn idempotency_key(case: &Case) -> Option<Compared> {
    let rules = ReplayRules::default().idempotency_key(true);
    let value = case.text("value").unwrap_or("\"8e03978e\"");
    let request = http::Request::post("/").header("idempotency-key", value).body(()).ok()?;
    let replay = rules.replay(&request);
    if case.text("value").is_some() {
        assert_eq!(ReplayRules::default().replay(&request), Replay::Never, "an opt-in (R-D-4)");
        let valid = case.expect["valid"].as_bool()?;
        return compare(valid, replay == Replay::Freely);
    }
    let status = u16::try_from(case.number("server_status")?).ok()?;
    let expected = if case.expect["retry"].as_bool()? { "retry" } else { "status" };
    compare(expected, judged(&StandardPolicy::DEFAULT, replay, &Outcome::status(status)))
}

#[test]
fn a_request_still_in_flight_is_repeated_where_the_table_names_409() {
    let policy = StandardPolicy::builder().retry_status(409).build().unwrap();
    assert_eq!(judged(&policy, Replay::Freely, &Outcome::status(409)), "retry", "R-D-6");
}
