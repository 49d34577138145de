//! Finagle's backoff and retry budget. The budget is a token bucket here, without expiring windows.

use core::time::Duration;

use redial_engine::{
    Backoff, Budget, BudgetError, Class, Finagle, Jitter, Outcome, RetryContext, StandardPolicy,
};
use serde_json::Value;

use super::budgets::Client;
use super::common::{Always, at_ms, ms, secs};
use super::{Case, Compared, Differs, compare, walk};

const DIFFERS: &[Differs] = &[
    ("fin-jitter-lost", "R-B-1", "jitter survives at the cap", "spread"),
    ("fin-leaky", "R-G-2", "windows that expire are not modelled", "[1,1,0,null,1,0,0,0,0,0,0]"),
    ("fin-leaky-basic", "R-G-2", "windows that expire are not modelled", "[null,1,1]"),
];

#[test]
fn finagles_backoff_and_budget_are_reproduced_but_for_the_cases_listed() {
    walk("finagle.json", include_str!("finagle.json"), DIFFERS, check);
}

fn check(case: &Case) -> Option<Compared> {
    match case.kind() {
        "backoff_ms" if case.text("variant").is_some() => at_the_cap(),
        "backoff_ms" => backoff(case),
        "finagle_budget" if case.expect["error"].is_string() => refused(case),
        "finagle_budget" if case.given["defaults"] == true => defaults(case),
        "finagle_budget" => withdrawals(case),
        "leaky_bucket" | "bounded_bucket" => operations(case),
        other => panic!("no test knows the kind {other:?}"),
    }
}

fn backoff(case: &Case) -> Option<Compared> {
    let shape = match (&case.given["exp"], &case.given["linear"]) {
        (Value::Array(exp), _) => Backoff::exponential(ms(exp.first()?.as_u64()?)),
        (_, Value::Array(_)) => {
            Backoff::custom(|retry| ms(7 + 10 * u64::from(retry.number().get() - 1)))
        }
        _ => return None,
    };
    let shape = shape.jitter(Jitter::None);
    let shape = case.number("max").map_or(shape, |max| shape.cap(ms(max)));
    let found: Vec<u64> = (1..=case.number("n")?)
        .map(|number| wait(shape, number, Always::lowest()).as_millis() as u64)
        .collect();
    compare(&case.expect["delays"], Value::from(found))
}

fn wait(backoff: Backoff, number: u64, mut rng: Always) -> Duration {
    let outcome = Outcome::status(503);
    let number = u32::try_from(number).unwrap().try_into().unwrap();
    let retry = RetryContext::new(&outcome, number, Duration::ZERO, Class::Server);
    backoff.wait(&retry, &mut rng)
}

fn at_the_cap() -> Option<Compared> {
    let equal = Backoff::exponential(secs(1)).jitter(Jitter::Equal);
    let least = wait(equal, 40, Always::lowest());
    let most = wait(equal, 40, Always::highest());
    assert_eq!(least, secs(30), "half of the cap");
    assert!(secs(59) < most && most < secs(60), "below the cap");
    compare("constant", if least == most { "constant" } else { "spread" })
}

fn refused(case: &Case) -> Option<Compared> {
    let refused = |name: &str, value: &Value| match name {
        "ttl" => {
            let ttl_seconds = value.as_u64().unwrap() as u32;
            let error = Budget::finagle(Finagle { ttl_seconds, ..Finagle::DEFAULT });
            error == Err(BudgetError::FinagleTtl { ttl_seconds })
        }
        // Less than nothing cannot be written down: the fields are unsigned.
        "min_per_sec" => value.as_u64().is_none(),
        "percent" => value.as_f64().unwrap() < 0.0,
        other => panic!("no test knows the field {other:?}"),
    };
    let fields = case.given.as_object()?;
    let all = fields
        .iter()
        .filter_map(|(name, values)| Some((name, values.as_array()?)))
        .all(|(name, values)| values.iter().all(|value| refused(name, value)));
    compare(case.expect["error"].as_str()?, if all { "rejected" } else { "accepted" })
}

fn defaults(case: &Case) -> Option<Compared> {
    let Finagle { ratio_ppm, min_retries_per_second, ttl_seconds, .. } = Finagle::DEFAULT;
    let found = serde_json::json!({
        "ttl_s": ttl_seconds,
        "min_per_sec": min_retries_per_second,
        "percent": f64::from(ratio_ppm) / 1e6,
        "ttl_range_s": ttl_range(),
        "initial_reserve": retries_in(Budget::finagle(Finagle::DEFAULT).unwrap()),
    });
    compare(&case.expect, found)
}

fn ttl_range() -> [u32; 2] {
    let allowed =
        |ttl: &u32| Budget::finagle(Finagle { ttl_seconds: *ttl, ..Finagle::DEFAULT }).is_ok();
    [(0..1_000).find(allowed).unwrap(), (0..1_000).rev().find(allowed).unwrap()]
}

/// How many retries a budget allows at one point in time, from its beginning.
fn retries_in(budget: Budget) -> u64 {
    let mut client = Client::new(StandardPolicy::DEFAULT, budget);
    // A full bucket takes no deposit: calls begun now cost and bring nothing.
    let calls: Vec<_> = (0..200).map(|_| client.begin()).collect();
    let paid = calls.into_iter().filter_map(|call| {
        let verdict = client.finish(call, &Outcome::status(503));
        (super::common::word(&verdict) == "retry").then_some(())
    });
    paid.count() as u64
}

/// So many deposits on top of the reserve, and then retries until one is refused.
fn withdrawals(case: &Case) -> Option<Compared> {
    let expected = case.expect["withdrawals"].as_u64()?;
    let tolerance = case.expect["tolerance"].as_u64().unwrap_or(0);
    let found = if case.text("variant") == Some("Empty") {
        retries_in(Budget::EMPTY)
    } else {
        let rules = Finagle {
            ratio_ppm: (case.given["percent"].as_f64()? * 1e6).round() as u32,
            min_retries_per_second: case.number("min_per_sec")? as u32,
            ttl_seconds: case.number("ttl_s")? as u32,
            burst: (expected + tolerance + 1) as u32,
        };
        let reserve = u64::from(rules.min_retries_per_second * rules.ttl_seconds);
        withdrawn(rules, reserve, case.number("deposits")?)
    };
    if found.abs_diff(expected) <= tolerance {
        return compare(expected, expected);
    }
    compare(expected, found)
}

fn withdrawn(rules: Finagle, reserve: u64, deposits: u64) -> u64 {
    let burst = u64::from(rules.burst).max(reserve);
    let mut client = Client::new(StandardPolicy::DEFAULT, Budget::finagle(rules).unwrap());
    let mut calls: Vec<_> = (0..2 * burst + 2).map(|_| client.begin()).collect();
    let mut withdraw = |client: &mut Client<StandardPolicy>| {
        let verdict = client.finish(calls.pop().unwrap(), &Outcome::status(503));
        super::common::word(&verdict) == "retry"
    };
    // Redial's bucket is full at the start, Finagle's holds the reserve alone.
    for _ in reserve..burst {
        assert!(withdraw(&mut client), "what is above the reserve is there");
    }
    for _ in 0..deposits {
        let _ = client.begin();
    }
    let mut count = 0;
    while withdraw(&mut client) {
        count += 1;
    }
    count
}

/// Puts and gets on a bucket of tokens: a put is a call that begins, a get so many retries at once.
fn operations(case: &Case) -> Option<Compared> {
    let capacity = case.number("cap").unwrap_or(150) as u32;
    let budget = Budget::builder().capacity(capacity).deposit_milli(1_000).refill_per_second(0);
    let mut client = Client::new(StandardPolicy::DEFAULT, budget.build().unwrap());
    let spare = capacity - case.number("reserve").unwrap_or(0) as u32;
    assert!(get(&mut client, spare), "the bucket is full at the start");
    let (mut oks, mut counts) = (Vec::new(), Vec::new());
    for operation in case.list("ops") {
        let (at, operation) = match operation.as_str()?.split_once(' ') {
            Some((at, operation)) => {
                (at.strip_prefix('+')?.strip_suffix('s')?.parse().ok(), operation)
            }
            None => (None, operation.as_str()?),
        };
        at.into_iter().for_each(|seconds: u64| client.at(at_ms(1_000 * seconds)));
        if let Some(amount) = operation.strip_prefix("put") {
            (0..amount.parse().unwrap()).for_each(|_| drop(client.begin()));
            oks.push(Value::Null);
        } else {
            let amount = operation.strip_prefix("get")?.parse().unwrap();
            oks.push(Value::from(u64::from(get(&mut client, amount))));
        }
        counts.push(client.upstream.tokens_milli() / 1_000);
    }
    if case.expect["counts"].is_array() {
        let expected = format!("{} {}", case.expect["ok"], case.expect["counts"]);
        return compare(expected, format!("{} {}", Value::from(oks), Value::from(counts)));
    }
    compare(&case.expect["ok"], Value::from(oks))
}

/// Takes so many tokens, or none at all.
fn get(client: &mut Client<StandardPolicy>, amount: u32) -> bool {
    let before = client.upstream.clone();
    for _ in 0..amount {
        // The deposit of this call would spoil the count: it is begun beside the bucket.
        let bucket = client.upstream.clone();
        let call = client.begin();
        client.upstream = bucket;
        if super::common::word(&client.finish(call, &Outcome::status(503))) != "retry" {
            client.upstream = before;
            return false;
        }
    }
    true
}
