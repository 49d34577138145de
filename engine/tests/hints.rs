//! Headers of a response to the server's hint, with any bytes in them.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod common;

use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use common::{judged, ms, secs};
use http::header::{AGE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use http::{Method, Response};
use proptest::prelude::*;
use redial_engine::{
    HintRules, Outcome, Replay, ReplayRules, RetryAfter, ServerHint, StandardPolicy,
};

const ALL: HintRules = HintRules::DEFAULT.retry_after_ms(true).rate_limit(true).should_retry(true);

/// 29 September 2023, 16:26:37, as all dates here are near it.
const NOW: u64 = 1_696_004_797;

/// Names and values of header fields.
type Fields<'a> = &'a [(&'static str, &'a str)];

fn headers(fields: Fields<'_>) -> HeaderMap {
    let field = |(name, value): &(&'static str, &str)| {
        (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap())
    };
    let mut headers = HeaderMap::new();
    for (name, value) in fields.iter().map(field) {
        headers.append(name, value);
    }
    headers
}

/// The wait that these headers ask for.
fn wait(rules: HintRules, fields: Fields<'_>) -> Option<Duration> {
    rules.hint(&headers(fields), || UNIX_EPOCH + secs(NOW)).wait()
}

#[test]
fn retry_after_is_seconds_or_a_date_and_nothing_else() {
    // R-RA-2, R-RA-4, R-RA-7. In 64 bits, ten to the 64 would wrap to zero.
    let ten_to_the_64 = format!("1{}", "0".repeat(64));
    let rows: &[(&str, Option<Duration>)] = &[
        ("120", Some(secs(120))),
        ("1", Some(secs(1))),
        ("007", Some(secs(7))),
        ("1:", None),
        ("1/", None),
        (" 7", Some(secs(7))),
        ("\t7 \t", Some(secs(7))),
        ("18446744073", Some(secs(18_446_744_073))),
        ("18446744074", Some(Duration::from_nanos(u64::MAX))),
        ("18446744073709551616", Some(Duration::from_nanos(u64::MAX))),
        ("18446744073709551621", Some(Duration::from_nanos(u64::MAX))),
        ("99999999999999999999999999999999999", Some(Duration::from_nanos(u64::MAX))),
        (&ten_to_the_64, Some(Duration::from_nanos(u64::MAX))),
        ("Fri, 29 Sep 2023 16:26:57 GMT", Some(secs(20))),
        ("Friday, 29-Sep-23 16:26:57 GMT", Some(secs(20))),
        ("Fri Sep 29 16:26:57 2023", Some(secs(20))),
        (" Fri, 29 Sep 2023 16:26:57 GMT ", Some(secs(20))),
        // Zero, now and the past say nothing.
        ("0", None),
        ("00000", None),
        ("Fri, 29 Sep 2023 16:26:37 GMT", None),
        ("Fri, 29 Sep 2023 16:26:36 GMT", None),
        ("Thu, 01 Jan 1970 00:00:00 GMT", None),
        // Signs, fractions, units, lists, exponents, other bases, words.
        ("", None),
        (" ", None),
        ("+1", None),
        ("-1", None),
        ("1.5", None),
        ("1,5", None),
        ("1s", None),
        ("1 s", None),
        ("5, 10", None),
        ("5;10", None),
        ("1e3", None),
        ("0x10", None),
        ("1_000", None),
        ("1 2", None),
        ("\"7\"", None),
        ("inf", None),
        ("nan", None),
        ("soon", None),
        ("2023-09-29T16:26:57Z", None),
        ("Fri, 29 Sep 2023 16:26:57 UTC", None),
        ("Fri, 29 Sep 100000 16:26:57 GMT", None),
    ];
    for (value, expected) in rows {
        assert_eq!(wait(HintRules::DEFAULT, &[("retry-after", value)]), *expected, "{value:?}");
    }
    assert_eq!(RetryAfter::parse(b"120"), Some(RetryAfter::Delay(secs(120))));
    assert_eq!(RetryAfter::parse("\u{664}".as_bytes()), None, "digits are ASCII");
}

#[test]
fn of_several_lines_the_longest_valid_one_counts() {
    // R-RA-5.
    let rows: &[(&[&str], Option<u64>)] = &[
        (&["5", "10"], Some(10)),
        (&["10", "5"], Some(10)),
        (&["soon", "5"], Some(5)),
        (&["5", "-1", "1.5"], Some(5)),
        (&["5", "Fri, 29 Sep 2023 16:26:57 GMT"], Some(20)),
        (&["30", "Fri, 29 Sep 2023 16:26:57 GMT", "Fri, 29 Sep 2023 16:26:47 GMT"], Some(30)),
        (&["0", "soon"], None),
    ];
    for (values, expected) in rows {
        let fields: Vec<_> = values.iter().map(|value| ("retry-after", *value)).collect();
        assert_eq!(wait(HintRules::DEFAULT, &fields), expected.map(secs), "{values:?}");
    }
}

#[test]
fn a_date_is_measured_against_the_responses_own_where_that_is_usable() {
    // R-RA-3: the machine's clock is an hour off, either way.
    let at = ("retry-after", "Fri, 29 Sep 2023 16:26:57 GMT");
    let rows = [
        (vec![at, ("date", "Fri, 29 Sep 2023 16:26:37 GMT")], Some(20), Some(20)),
        (vec![at, ("date", "Fri Sep 29 16:26:56 2023")], Some(1), Some(1)),
        (vec![at, ("date", "Fri, 29 Sep 2023 16:26:58 GMT")], None, None),
        (vec![at, ("date", "yesterday")], Some(3_620), None),
        (vec![at], Some(3_620), None),
        (vec![("retry-after", "7"), ("date", "yesterday")], Some(7), Some(7)),
    ];
    for (fields, slow, fast) in rows {
        for (clock, expected) in [(NOW - 3_600, slow), (NOW + 3_600, fast)] {
            let hint = HintRules::DEFAULT.hint(&headers(&fields), || UNIX_EPOCH + secs(clock));
            assert_eq!(hint.wait(), expected.map(secs), "{fields:?}");
        }
    }
}

#[test]
fn a_date_is_a_point_in_time() {
    let parse = |value: &str| match RetryAfter::parse(value.as_bytes()) {
        Some(RetryAfter::Date(date)) => date,
        other => panic!("{value} is a date, not {other:?}"),
    };
    let date = parse("Fri, 29 Sep 2023 16:26:37 GMT");
    assert_eq!(SystemTime::from(date), UNIX_EPOCH + secs(NOW));
    assert_eq!(date.since_epoch(), secs(NOW));
    assert!(parse("Fri, 29 Sep 2023 16:26:38 GMT") > date);
    assert_eq!(parse("\tFri, 29 Sep 2023 16:26:37 GMT "), date, "white space is allowed (R-RA-2)");
    assert_eq!(RetryAfter::Date(date).wait(|| secs(NOW - 7)), secs(7));
    assert_eq!(RetryAfter::Date(date).wait(|| secs(NOW + 7)), Duration::ZERO);
    assert_eq!(RetryAfter::Delay(secs(3)).wait(|| panic!("it needs no clock")), secs(3));
}

#[test]
fn the_wall_clock_is_read_only_where_it_is_needed() {
    let rows = [
        vec![],
        vec![("retry-after", "7")],
        vec![("retry-after", "soon")],
        vec![
            ("retry-after", "Fri, 29 Sep 2023 16:26:57 GMT"),
            ("date", "Fri, 29 Sep 2023 16:26:37 GMT"),
        ],
    ];
    for fields in rows {
        let _ = ALL.hint(&headers(&fields), || panic!("{fields:?} need no clock"));
    }
}

#[test]
fn other_hints_are_opt_in_and_have_their_order() {
    // R-RA-8.
    let rows: &[(Fields, Option<Duration>)] = &[
        (&[("retry-after-ms", "1500")], Some(ms(1_500))),
        (&[("x-ms-retry-after-ms", "250")], Some(ms(250))),
        (&[("retry-after-ms", "100"), ("x-ms-retry-after-ms", "250")], Some(ms(250))),
        (&[("retry-after-ms", "1500"), ("retry-after", "20")], Some(ms(1_500))),
        (&[("retry-after-ms", "0"), ("retry-after", "20")], Some(secs(20))),
        (&[("retry-after-ms", "1.5"), ("retry-after", "20")], Some(secs(20))),
        (&[("retry-after-ms", "99999999999999999999")], Some(Duration::from_nanos(u64::MAX))),
        (&[("ratelimit", "\"default\";r=0;t=10")], Some(secs(10))),
        (&[("ratelimit", "\"default\";r=1;t=10")], None),
        (&[("ratelimit", "\"default\";r=0;t=10"), ("retry-after", "5")], Some(secs(5))),
        (&[("ratelimit", "\"default\";r=0;t=10"), ("retry-after", "0")], Some(secs(10))),
        (&[("ratelimit", "\"a\";r=0;t=1, \"b\";r=0;t=9, \"c\";r=3;t=99")], Some(secs(9))),
        (&[("ratelimit", "\"default\";r=0;t=-10")], None),
        (&[("ratelimit", "\"default\";r=0;t=1.5")], None),
        (&[("ratelimit", "\"default\";r=0")], None),
        (&[("ratelimit", "(\"a\" \"b\");r=0;t=10")], None),
        (&[("ratelimit", "\"default\";r=0;t=10"), ("age", "30")], None),
        (&[("ratelimit", "\"default\";r=0;t=10"), ("age", "0")], Some(secs(10))),
        (&[("ratelimit-reset", "12")], Some(secs(12))),
        (&[("ratelimit-reset", "12"), ("ratelimit-remaining", "0")], Some(secs(12))),
        (&[("ratelimit-reset", "12"), ("ratelimit-remaining", "3")], None),
        (&[("ratelimit", "\"a\";r=0;t=10"), ("ratelimit-reset", "12")], Some(secs(10))),
    ];
    for (fields, expected) in rows {
        assert_eq!(wait(ALL, fields), *expected, "{fields:?}");
        let plain: Vec<_> =
            fields.iter().copied().filter(|field| field.0 == "retry-after").collect();
        assert_eq!(wait(HintRules::DEFAULT, fields), wait(HintRules::DEFAULT, &plain));
    }
}

#[test]
fn a_server_says_whether_to_retry_by_two_words() {
    // R-D-10: opt-in.
    let rows: &[(Fields, Option<bool>)] = &[
        (&[("x-should-retry", "true")], Some(true)),
        (&[("x-should-retry", "false")], Some(false)),
        (&[("stripe-should-retry", "true")], Some(true)),
        (&[("stripe-should-retry", " false ")], Some(false)),
        (&[("x-should-retry", "yes"), ("stripe-should-retry", "true")], Some(true)),
        (&[("x-should-retry", "1")], None),
        (&[("x-should-retry", "")], None),
        (&[], None),
    ];
    for (fields, expected) in rows {
        let headers = headers(fields);
        assert_eq!(ALL.hint(&headers, || UNIX_EPOCH).says_retry(), *expected, "{fields:?}");
        assert_eq!(HintRules::DEFAULT.hint(&headers, || UNIX_EPOCH).says_retry(), None);
    }
}

#[test]
fn the_methods_of_rfc_9110_are_repeated_and_no_others() {
    // R-D-4.
    let rules = ReplayRules::default();
    let none = HeaderMap::new();
    for (method, expected) in [
        ("GET", Replay::Freely),
        ("HEAD", Replay::Freely),
        ("OPTIONS", Replay::Freely),
        ("TRACE", Replay::Freely),
        ("QUERY", Replay::Freely),
        ("PUT", Replay::Freely),
        ("DELETE", Replay::Freely),
        ("POST", Replay::Never),
        ("PATCH", Replay::Never),
        ("CONNECT", Replay::Never),
        ("PROPFIND", Replay::Never),
        ("get", Replay::Never),
    ] {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        assert_eq!(rules.judge(&method, &none), expected, "{method}");
        let unsent = rules.clone().others(Replay::IfUnsent);
        let or_unsent = if expected == Replay::Never { Replay::IfUnsent } else { expected };
        assert_eq!(unsent.judge(&method, &none), or_unsent, "{method}");
        assert_eq!(rules.clone().repeat(method.clone()).judge(&method, &none), Replay::Freely);
        assert_eq!(rules.clone().never_repeat(&method).judge(&method, &none), Replay::Never);
    }
}

/// Header values of all sorts: near misses of what means something, and any bytes at all.
fn values() -> impl Strategy<Value = HeaderValue> {
    let near = prop_oneof![
        "[0-9]{0,30}",
        "[ \\t]*[-+]?[0-9]{1,22}(\\.[0-9]+)?[ \\t]*",
        "(Mon|Fri|Friday), [0-9]{2}[ -](Sep|Feb)[ -][0-9]{2,5} [0-9]{2}:[0-9]{2}:[0-9]{2} GMT",
        "(Fri|Sun) (Sep|Nov) [ 0-9][0-9] [0-9]{2}:[0-9]{2}:[0-9]{2} [0-9]{4}",
        "\"[a-z]{1,8}\";r=[0-9]{1,20};t=-?[0-9]{1,20}",
        "(true|false|yes)",
    ];
    prop_oneof![
        near.prop_map(|text| HeaderValue::from_str(&text).unwrap()),
        prop::collection::vec(prop_oneof![Just(b'\t'), b' '..=b'~', 0x80_u8..=0xff], 0..64)
            .prop_map(|bytes| HeaderValue::from_bytes(&bytes).unwrap()),
    ]
}

fn names() -> impl Strategy<Value = HeaderName> {
    let mut names = vec![RETRY_AFTER, RETRY_AFTER, DATE, AGE];
    names.extend(
        [
            "retry-after-ms",
            "x-ms-retry-after-ms",
            "ratelimit",
            "ratelimit-reset",
            "ratelimit-remaining",
            "x-should-retry",
            "stripe-should-retry",
        ]
        .map(HeaderName::from_static),
    );
    prop::sample::select(names)
}

/// Wall clocks, before 1970 and far beyond as well.
fn clocks() -> impl Strategy<Value = SystemTime> {
    prop_oneof![
        (0_u64..4_000_000_000).prop_map(|after| UNIX_EPOCH + secs(after)),
        any::<u64>().prop_map(|after| UNIX_EPOCH.checked_add(secs(after)).unwrap_or(UNIX_EPOCH)),
        any::<u64>().prop_map(|before| UNIX_EPOCH.checked_sub(secs(before)).unwrap_or(UNIX_EPOCH)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4_000, failure_persistence: None, ..ProptestConfig::default()
    })]

    #[test]
    fn any_headers_are_survived_and_any_hint_obeyed_or_refused(
        fields in prop::collection::vec((names(), values()), 0..6),
        status in 100_u16..=999,
        clock in clocks(),
        rules in prop::sample::select(vec![HintRules::DEFAULT, ALL]),
    ) {
        // R-RA-6, R-RA-7.
        let mut response = Response::builder().status(status).body(()).unwrap();
        for (name, value) in fields {
            response.headers_mut().append(name, value);
        }
        let outcome = rules.outcome(&response, || clock);
        let Outcome::Response { status: seen, hint } = outcome else { panic!("it is a response") };
        prop_assert_eq!(seen, status);
        prop_assert_ne!(hint.wait(), Some(Duration::ZERO), "R-RA-4");
        let found = judged(&StandardPolicy::DEFAULT, Replay::Freely, &outcome);
        let refused = hint.wait().is_some_and(|wait| wait > secs(300))
            && (status == 429 || status == 503)
            && hint.says_retry() != Some(false);
        prop_assert_eq!(found == "hint_beyond_cap", refused);
    }

    #[test]
    fn any_bytes_are_survived(value in prop::collection::vec(any::<u8>(), 0..64)) {
        // R-RA-7.
        if let Some(RetryAfter::Delay(wait)) = RetryAfter::parse(&value) {
            let text = String::from_utf8(value).unwrap();
            let digits = text.trim_matches([' ', '\t', '\r', '\n', '\x0c']);
            prop_assert!(digits.bytes().all(|byte| byte.is_ascii_digit()), "{:?}", text);
            prop_assert_eq!(wait, secs(digits.parse().unwrap_or(u64::MAX)));
        }
    }

    #[test]
    fn whole_seconds_are_read_whatever_is_around_them(seconds in any::<u64>(), pad in "[ \\t]{0,4}") {
        let value = format!("{pad}{seconds}{pad}");
        let expected = ServerHint::NONE.after(secs(seconds)).wait();
        prop_assert_eq!(wait(HintRules::DEFAULT, &[("retry-after", &value)]), expected);
    }
}
