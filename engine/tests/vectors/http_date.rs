//! HTTP-dates (RFC 9110 5.6.7), as a `Retry-After` header brings them.

use redial_engine::{HintRules, RetryAfter};
use serde_json::Value;

use super::{Case, Compared, Differs, compare, wait, walk};

/// Where the `httpdate` crate departs from RFC 9110 5.6.7, and where it makes a choice (R-RA-2).
const DIFFERS: &[Differs] = &[
    ("date-leap", "R-RA-2", "httpdate refuses a leap second", "invalid"),
    ("date-850-pivot-future49", "R-RA-2", "httpdate checks the weekday", "invalid"),
    (
        "date-850-pivot-past51",
        "R-RA-2",
        "httpdate takes 45 for 2045; the weekday is wrong",
        "invalid",
    ),
    ("date-year0069-850", "R-RA-2", "httpdate checks the weekday", "invalid"),
    ("date-year71-850", "R-RA-2", "httpdate takes 70 to 99 for 1970 to 1999", "epoch 31536000"),
    ("date-pre-epoch", "R-RA-2", "httpdate begins in 1970; what is past says nothing", "invalid"),
    ("date-opt-wc-weekday", "R-RA-2", "httpdate minds the case", "invalid"),
    ("date-opt-wc-month", "R-RA-2", "httpdate minds the case", "invalid"),
    ("date-opt-wc-tz", "R-RA-2", "httpdate minds the case", "invalid"),
];

#[test]
fn dates_are_read_as_rfc_9110_says_but_for_the_cases_listed() {
    walk("http-date.json", include_str!("http-date.json"), DIFFERS, check);
}

fn check(case: &Case) -> Option<Compared> {
    let value = case.text("value")?;
    let expected = match &case.expect["either"] {
        Value::Array(_) => "the recipient's choice".to_owned(),
        _ => said(&case.expect),
    };
    compare(expected, read(value))
}

fn said(expect: &Value) -> String {
    match expect["epoch"].as_i64() {
        Some(epoch) => format!("epoch {epoch}"),
        None => "invalid".to_owned(),
    }
}

/// The date by the wall clock of 1970, where it is one.
fn read(value: &str) -> String {
    if RetryAfter::parse(value.as_bytes()).is_none() {
        assert_eq!(wait(HintRules::DEFAULT, &[("retry-after", value)], 0), None);
        return "invalid".to_owned();
    }
    let wait = wait(HintRules::DEFAULT, &[("retry-after", value)], 0).unwrap_or_default();
    format!("epoch {}", wait.as_secs())
}
