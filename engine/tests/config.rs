//! Policies, budgets and rules as configuration: what is written is what is read, or an error.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use core::fmt::Debug;

use common::{judged, ms, secs};
use http::{HeaderMap, Method};
use redial_engine::{
    Backoff, Budget, FailureKind, Finagle, HintRules, Jitter, Outcome, PolicyError, Replay,
    ReplayRules, StandardPolicy,
};
use serde::Serialize;
use serde::de::DeserializeOwned;

/// Writes and reads again, in both formats.
fn survives<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let toml = toml::to_string(value).unwrap();
    assert_eq!(toml::from_str::<T>(&toml).unwrap(), *value, "{toml}");
    let json = serde_json::to_string(value).unwrap();
    assert_eq!(serde_json::from_str::<T>(&json).unwrap(), *value, "{json}");
}

/// The error for a text that must not be taken, TOML.
fn refusal<T: DeserializeOwned + Debug>(toml: &str) -> String {
    match toml::from_str::<T>(toml) {
        Ok(value) => panic!("{toml:?} was taken for {value:?}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_policy_is_read_as_it_was_written() {
    let builder = StandardPolicy::builder;
    let policies = [
        builder().build(),
        builder().max_attempts(1).build(),
        builder().max_attempts(u32::MAX).attempt_timeout(secs(3)).call_timeout(secs(30)).build(),
        builder().retry_after_max(ms(1)).retry_after_spread(100).build(),
        builder().attempt_timeout(secs(0)).call_timeout(secs(0)).retry_after_max(secs(0)).build(),
        builder().retry_status(425).never_retry_status(500).heed_hint_on(500).build(),
        builder().ignore_hint_on(429).ignore_hint_on(503).build(),
        builder().retry_failure(FailureKind::Tls).never_retry_failure(FailureKind::Reset).build(),
        builder().backoff(Backoff::fixed(ms(250)).jitter(Jitter::None)).build(),
        builder().backoff(Backoff::exponential(ms(1)).cap(ms(1)).jitter(Jitter::Full)).build(),
        builder().backoff(Backoff::DEFAULT.jitter(Jitter::Equal)).build(),
        builder().backoff(Backoff::DEFAULT.jitter(Jitter::Decorrelated)).build(),
        builder()
            .backoff(Backoff::DEFAULT.jitter(Jitter::Proportional { from_percent: 0 }))
            .build(),
    ];
    for policy in policies {
        survives(&policy.unwrap());
    }
}

#[test]
fn rules_are_read_as_they_were_written() {
    survives(&HintRules::DEFAULT);
    survives(&HintRules::DEFAULT.retry_after_ms(true).rate_limit(true).should_retry(true));
    survives(&ReplayRules::default());
    let propfind = Method::from_bytes(b"PROPFIND").unwrap();
    survives(&ReplayRules::default().repeat(propfind).never_repeat(&Method::PUT));
    survives(&ReplayRules::default().others(Replay::IfUnsent).idempotency_key(true));
    survives(&ReplayRules::default().others(Replay::Freely));
    survives(&Finagle { ratio_ppm: 1, min_retries_per_second: 2, ttl_seconds: 3, burst: 4 });
}

#[test]
fn what_is_left_out_has_its_default() {
    assert_eq!(toml::from_str::<StandardPolicy>("").unwrap(), StandardPolicy::DEFAULT);
    assert_eq!(toml::from_str::<HintRules>("").unwrap(), HintRules::DEFAULT);
    assert_eq!(toml::from_str::<ReplayRules>("").unwrap(), ReplayRules::default());
    assert_eq!(toml::from_str::<Budget>("kind = \"token_bucket\"").unwrap(), Budget::STANDARD);
    let found: Budget = toml::from_str("kind = \"finagle\"").unwrap();
    assert_eq!(found, Budget::finagle(Finagle::DEFAULT).unwrap());
    let found: StandardPolicy =
        toml::from_str("backoff = { kind = \"exponential\", base = \"50ms\" }").unwrap();
    let expected = StandardPolicy::builder().backoff(Backoff::exponential(ms(50))).build();
    assert_eq!(found, expected.unwrap());
}

#[test]
fn a_policy_can_be_written_by_hand() {
    let found: StandardPolicy = toml::from_str(
        r#"
        max_attempts = 3
        attempt_timeout = "250ms"
        call_timeout = "1min 30s"
        retry_after_max = "2min"
        retry_after_spread_percent = 10
        also_retry_statuses = [425]
        never_retry_statuses = [500]
        also_retry_failures = ["tls"]
        never_retry_failures = ["go_away", "other"]
        also_heed_hints_on = [502]
        never_heed_hints_on = [429]

        [backoff]
        kind = "fixed"
        wait = "100ms"
        cap = "1s"
        jitter = { kind = "proportional", from_percent = 50 }
        "#,
    )
    .unwrap();
    let jitter = Jitter::Proportional { from_percent: 50 };
    let expected = StandardPolicy::builder()
        .max_attempts(3)
        .attempt_timeout(ms(250))
        .call_timeout(secs(90))
        .retry_after_max(secs(120))
        .retry_after_spread(10)
        .retry_status(425)
        .never_retry_status(500)
        .retry_failure(FailureKind::Tls)
        .never_retry_failure(FailureKind::GoAway { graceful: false })
        .never_retry_failure(FailureKind::Other)
        .heed_hint_on(502)
        .ignore_hint_on(429)
        .backoff(Backoff::fixed(ms(100)).cap(secs(1)).jitter(jitter))
        .build();
    assert_eq!(found, expected.unwrap());
}

#[test]
fn tables_are_replaced_added_to_and_taken_from() {
    // R-D-6.
    let retried = |toml: &str| -> Vec<u16> {
        let policy: StandardPolicy = toml::from_str(toml).unwrap();
        (100..=999).filter(|status| policy.retries_status(*status)).collect()
    };
    assert!(retried("retry_statuses = []").is_empty());
    assert_eq!(retried("retry_statuses = [503, 425]"), [425, 503]);
    assert_eq!(retried("also_retry_statuses = [425]"), [104, 408, 425, 429, 500, 502, 503, 504]);
    assert_eq!(
        retried(
            "retry_statuses = [500]\nalso_retry_statuses = [501]\nnever_retry_statuses = [500]"
        ),
        [501]
    );
    let policy: StandardPolicy = toml::from_str("retry_failures = [\"resolve\"]").unwrap();
    let kinds = FailureKind::ALL.iter().filter(|kind| policy.retries_failure(**kind));
    assert!(kinds.copied().eq([FailureKind::Resolve]));
}

#[test]
fn replay_rules_can_be_written_by_hand() {
    // R-D-4, R-D-6.
    let rules: ReplayRules = toml::from_str(
        r#"
        repeatable_methods = ["GET", "REPORT"]
        other_methods = "if_unsent"
        idempotency_key = true
        "#,
    )
    .unwrap();
    let none = HeaderMap::new();
    assert_eq!(rules.judge(&Method::GET, &none), Replay::Freely);
    assert_eq!(rules.judge(&Method::from_bytes(b"REPORT").unwrap(), &none), Replay::Freely);
    assert_eq!(rules.judge(&Method::PUT, &none), Replay::IfUnsent);
    let mut keyed = HeaderMap::new();
    keyed.insert("idempotency-key", "\"8e03\"".parse().unwrap());
    assert_eq!(rules.judge(&Method::POST, &keyed), Replay::Freely);
    assert!(!refusal::<ReplayRules>("repeatable_methods = [\"GET IT\"]").is_empty());
    assert!(!refusal::<ReplayRules>("other_methods = \"always\"").is_empty());
}

#[test]
fn every_budget_has_a_name() {
    // R-G-1, R-G-2.
    let rows = [
        ("kind = \"unlimited\"", Budget::UNLIMITED),
        ("kind = \"empty\"", Budget::EMPTY),
        ("kind = \"aws_standard_2_0\"", Budget::AWS_STANDARD_2_0),
        ("kind = \"aws_standard_2_1\"", Budget::AWS_STANDARD_2_1),
        (
            "kind = \"grpc\"\nmax_tokens = 10\ntoken_ratio_milli = 100",
            Budget::grpc(10, 100).unwrap(),
        ),
        (
            "kind = \"finagle\"\nratio_ppm = 100000\nmin_retries_per_second = 5\nttl_seconds = 20",
            Budget::finagle(Finagle {
                ratio_ppm: 100_000,
                min_retries_per_second: 5,
                ttl_seconds: 20,
                ..Finagle::DEFAULT
            })
            .unwrap(),
        ),
        (
            "kind = \"token_bucket\"\ncapacity = 50\ndeposit_milli = 100\nrefill_per_second = 0\ncost_milli = 2000",
            Budget::builder()
                .capacity(50)
                .deposit_milli(100)
                .refill_per_second(0)
                .cost_milli(2_000)
                .build()
                .unwrap(),
        ),
    ];
    for (toml, expected) in rows {
        assert_eq!(toml::from_str::<Budget>(toml).unwrap(), expected, "{toml}");
    }
}

#[test]
fn a_field_that_does_not_exist_is_an_error() {
    for toml in [
        "max_attempt = 3",
        "backoff = { kind = \"exponential\", base = \"1s\", max = \"2s\" }",
        "backoff = { kind = \"fixed\", base = \"1s\" }",
        "backoff = { kind = \"custom\" }",
        "backoff = { kind = \"fixed\", wait = \"1s\", jitter = { kind = \"some\" } }",
    ] {
        assert!(!refusal::<StandardPolicy>(toml).is_empty());
    }
    assert!(refusal::<HintRules>("retry_after = true").contains("retry_after"));
    assert!(refusal::<ReplayRules>("methods = [\"GET\"]").contains("methods"));
    for toml in [
        "kind = \"tower\"",
        "kind = \"token_bucket\"\nburst = 3",
        "kind = \"grpc\"\nmax_tokens = 10\ntoken_ratio_milli = 100\nratio = 3",
        "kind = \"finagle\"\nttl = 3",
        "capacity = 3",
    ] {
        assert!(!refusal::<Budget>(toml).is_empty());
    }
}

/// R-D-6: tables are read from tables, not from lists in the order of the fields.
#[test]
fn a_list_is_no_table_and_a_table_is_no_word() {
    fn is_refused<T: DeserializeOwned>(json: &[&str]) {
        for text in json {
            assert!(serde_json::from_str::<T>(text).is_err(), "{text}");
        }
    }
    is_refused::<StandardPolicy>(&["[3]", "[]", r#"{"backoff": ["fixed", null, "1s"]}"#, "null"]);
    is_refused::<Backoff>(&[r#"["exponential", "1s"]"#]);
    is_refused::<Jitter>(&[r#"["full"]"#, r#"{"kind": {"full": null}}"#]);
    is_refused::<Budget>(&[r#"["unlimited"]"#, r#""unlimited""#, r#"{"kind": {"empty": null}}"#]);
    is_refused::<ReplayRules>(&[r#"[["GET"]]"#, r#"{"other_methods": {"never": null}}"#]);
    is_refused::<HintRules>(&["[true]", "true"]);
}

#[test]
fn presets_without_numbers_take_none() {
    for name in ["unlimited", "empty", "aws_standard_2_0", "aws_standard_2_1"] {
        assert!(
            refusal::<Budget>(&format!("kind = \"{name}\"\ncapacity = 3")).contains("capacity")
        );
    }
}

#[test]
fn jitter_without_numbers_takes_none() {
    for name in ["none", "full", "equal", "decorrelated"] {
        let jitter = format!("{{ kind = \"{name}\", from_percent = 3 }}");
        let toml = format!("backoff = {{ kind = \"fixed\", wait = \"1s\", jitter = {jitter} }}");
        assert!(refusal::<StandardPolicy>(&toml).contains("from_percent"));
    }
}

#[test]
fn what_makes_no_sense_is_refused_with_its_typed_reason() {
    // R-D-1, R-B-4: the text is that of the typed error.
    let built = |policy: Result<StandardPolicy, PolicyError>| policy.unwrap_err().to_string();
    let builder = StandardPolicy::builder;
    let rows = [
        ("max_attempts = 0", built(builder().max_attempts(0).build())),
        ("retry_statuses = [99]", built(builder().retry_status(99).build())),
        ("never_heed_hints_on = [1000]", built(builder().ignore_hint_on(1_000).build())),
        ("retry_after_spread_percent = 101", built(builder().retry_after_spread(101).build())),
        (
            "backoff = { kind = \"exponential\", base = \"999us\" }",
            built(builder().backoff(Backoff::exponential(ms(999) / 1_000)).build()),
        ),
        (
            "backoff = { kind = \"fixed\", wait = \"2s\", cap = \"1s\" }",
            built(builder().backoff(Backoff::fixed(secs(2)).cap(secs(1))).build()),
        ),
        (
            "backoff = { kind = \"fixed\", wait = \"2s\", jitter = { kind = \"proportional\", from_percent = 101 } }",
            built(
                builder()
                    .backoff(
                        Backoff::fixed(secs(2)).jitter(Jitter::Proportional { from_percent: 101 }),
                    )
                    .build(),
            ),
        ),
    ];
    for (toml, reason) in rows {
        let found = refusal::<StandardPolicy>(toml);
        assert!(found.contains(&reason), "{toml}: {found:?} does not say {reason:?}");
    }
    let rows = [
        ("kind = \"token_bucket\"\ncapacity = 0", Budget::builder().capacity(0).build()),
        (
            "kind = \"token_bucket\"\ncapacity = 4294968",
            Budget::builder().capacity(4_294_968).build(),
        ),
        ("kind = \"grpc\"\nmax_tokens = 0\ntoken_ratio_milli = 1", Budget::grpc(0, 1)),
        ("kind = \"grpc\"\nmax_tokens = 1\ntoken_ratio_milli = 0", Budget::grpc(1, 0)),
        (
            "kind = \"finagle\"\nttl_seconds = 61",
            Budget::finagle(Finagle { ttl_seconds: 61, ..Finagle::DEFAULT }),
        ),
        (
            "kind = \"finagle\"\nratio_ppm = 1000001",
            Budget::finagle(Finagle { ratio_ppm: 1_000_001, ..Finagle::DEFAULT }),
        ),
    ];
    for (toml, built) in rows {
        let (found, reason) = (refusal::<Budget>(toml), built.unwrap_err().to_string());
        assert!(found.contains(&reason), "{toml}: {found:?} does not say {reason:?}");
    }
    for toml in [
        "max_attempts = -1",
        "max_attempts = 1.5",
        "retry_statuses = [\"5xx\"]",
        "retry_failures = [\"timeout\"]",
        "attempt_timeout = 3",
        "attempt_timeout = \"-3s\"",
    ] {
        assert!(!refusal::<StandardPolicy>(toml).is_empty());
    }
}

#[test]
fn every_kind_of_failure_is_written_by_its_name() {
    for kind in FailureKind::ALL {
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.name());
        survives_in_json(kind);
    }
    // GOAWAY is one kind in tables, however the server left.
    let rude = FailureKind::GoAway { graceful: false };
    assert_eq!(serde_json::to_value(rude).unwrap(), "go_away");
}

fn survives_in_json(kind: &FailureKind) {
    let json = serde_json::to_string(kind).unwrap();
    assert_eq!(serde_json::from_str::<FailureKind>(&json).unwrap(), *kind);
}

#[test]
fn a_backoff_of_ones_own_is_code_and_cannot_be_written() {
    let policy = StandardPolicy::builder().backoff(Backoff::custom(|_| secs(1))).build().unwrap();
    assert!(serde_json::to_string(&policy).is_err());
}

#[test]
fn a_policy_that_was_read_decides_as_the_one_that_was_written() {
    let written =
        StandardPolicy::builder().retry_status(425).never_retry_status(503).build().unwrap();
    let read: StandardPolicy = toml::from_str(&toml::to_string(&written).unwrap()).unwrap();
    for status in 100..=999 {
        let outcome = Outcome::status(status);
        for replay in [Replay::Freely, Replay::Never] {
            assert_eq!(judged(&read, replay, &outcome), judged(&written, replay, &outcome));
        }
    }
}
