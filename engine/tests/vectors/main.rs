//! Redial does what public specifications and published tests say, case by case, or says where not.
//!
//! The `.json` files beside this hold facts: what is given, and what is expected. Each has a test
//! that walks all its cases. A case either holds as it stands, or is a row of that test's `DIFFERS`,
//! which names the requirement that Redial follows instead and what Redial does; a row that is not
//! true, or not needed, fails the test. So no case is skipped in silence.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::wildcard_enum_match_arm, reason = "JSON has more shapes than a case may have")]
#![allow(clippy::print_stdout, reason = "the counts of each walk are worth reading")]

mod aws;
mod budgets;
#[path = "../common/mod.rs"]
mod common;
mod finagle;
mod grpc;
mod http2;
mod http_date;
mod openai;
mod rate_limit;
mod semantics;

use core::fmt::Display;
use core::time::Duration;
use std::collections::BTreeSet;
use std::time::{SystemTime, UNIX_EPOCH};

use http::header::{HeaderMap, HeaderName, HeaderValue};
use redial_engine::HintRules;
use serde_json::Value;

/// A case that Redial differs on: its id, the requirement that Redial follows, why it does, and
/// what Redial does instead ([`NOT_OURS`] where that is no engine's business).
type Differs = (&'static str, &'static str, &'static str, &'static str);

/// The case is about something that no engine sees, so there is nothing to compare.
const NOT_OURS: &str = "";

/// One case of a file.
struct Case {
    id: String,
    given: Value,
    expect: Value,
}

impl Case {
    fn kind(&self) -> &str {
        self.given["kind"].as_str().expect("every case has a kind")
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.given[name].as_str()
    }

    fn number(&self, name: &str) -> Option<u64> {
        self.given[name].as_u64()
    }

    fn list(&self, name: &str) -> &[Value] {
        self.given[name].as_array().expect("the case has this list")
    }
}

/// What a case expects, and what Redial does.
struct Compared {
    expected: String,
    found: String,
}

fn compare(expected: impl Display, found: impl Display) -> Option<Compared> {
    Some(Compared { expected: expected.to_string(), found: found.to_string() })
}

/// Checks every case of a file.
fn walk(file: &str, json: &str, differs: &[Differs], check: impl Fn(&Case) -> Option<Compared>) {
    let document: Value = serde_json::from_str(json).expect("the file is JSON");
    let mut wrong = Vec::new();
    let mut ids = BTreeSet::new();
    for case in document["cases"].as_array().expect("the file has cases") {
        let id = case["id"].as_str().expect("a case has an id").to_owned();
        let case = Case { id, given: case["given"].clone(), expect: case["expect"].clone() };
        if !ids.insert(case.id.clone()) {
            wrong.push(format!("{}: the id is there twice", case.id));
        }
        let row = differs.iter().find(|row| row.0 == case.id);
        if let Err(what) = verify(check(&case), row) {
            wrong.push(format!("{}: {what}", case.id));
        }
    }
    for (position, (id, ..)) in differs.iter().enumerate() {
        if !ids.contains(*id) {
            wrong.push(format!("{id}: is in the table, but the file has no such case"));
        }
        if differs.iter().skip(position + 1).any(|row| row.0 == *id) {
            wrong.push(format!("{id}: is in the table twice"));
        }
    }
    assert!(wrong.is_empty(), "{file}:\n{}", wrong.join("\n"));
    let foreign = differs.iter().filter(|row| row.3 == NOT_OURS).count();
    println!(
        "{file}: {} cases, {} hold, {} differ on purpose, {foreign} are no engine's business",
        ids.len(),
        ids.len() - differs.len(),
        differs.len() - foreign,
    );
}

fn verify(compared: Option<Compared>, row: Option<&Differs>) -> Result<(), String> {
    match (compared, row) {
        (Some(Compared { expected, found }), None) if expected != found => {
            Err(format!("expected {expected:?}, found {found:?}"))
        }
        (Some(Compared { expected, found }), Some(_)) if expected == found => {
            Err(format!("is said to differ, but Redial does just that: {found:?}"))
        }
        (Some(Compared { found, .. }), Some((_, _, _, instead))) if found != *instead => {
            Err(format!("is said to come to {instead:?} instead, but found {found:?}"))
        }
        (Some(_), _) => Ok(()),
        (None, Some((_, requirement, _, NOT_OURS))) if requirement.starts_with("R-") => Ok(()),
        (None, Some(_)) => Err("is said to differ, but there is nothing to compare".to_owned()),
        (None, None) => Err("is neither checked nor in the table".to_owned()),
    }
}

/// A point in time by the wall clock, seconds after (or before) 1970.
fn wall(epoch: i64) -> SystemTime {
    let distance = Duration::from_secs(epoch.unsigned_abs());
    if epoch < 0 { UNIX_EPOCH - distance } else { UNIX_EPOCH + distance }
}

fn headers(fields: &[(&str, &str)]) -> HeaderMap {
    let field = |(name, value): &(&str, &str)| {
        let name = HeaderName::from_bytes(name.as_bytes()).expect("a header's name");
        (name, HeaderValue::from_str(value).expect("a header's value"))
    };
    fields.iter().map(field).collect()
}

#[test]
fn the_table_of_differences_can_neither_lie_nor_leave_a_case_out() {
    let row: Differs = ("id", "R-X-0", "why", "b");
    let foreign: Differs = ("id", "R-X-0", "why", NOT_OURS);
    assert!(verify(compare("a", "a"), None).is_ok());
    assert!(verify(compare("a", "b"), Some(&row)).is_ok());
    assert!(verify(None, Some(&foreign)).is_ok());
    assert!(verify(compare("a", "b"), None).is_err(), "it differs and is not in the table");
    assert!(verify(compare("a", "a"), Some(&row)).is_err(), "it holds and is in the table");
    assert!(verify(compare("a", "c"), Some(&row)).is_err(), "it comes to something else");
    assert!(verify(compare("a", "b"), Some(&foreign)).is_err(), "it can be compared");
    assert!(verify(None, Some(&row)).is_err(), "there is nothing to compare");
    assert!(verify(None, None).is_err(), "nobody looked");
}

/// The wait that these headers ask for, at a time of the wall clock.
fn wait(rules: HintRules, fields: &[(&str, &str)], epoch: i64) -> Option<Duration> {
    rules.hint(&headers(fields), || wall(epoch)).wait()
}

/// A wait in words.
fn in_words(wait: Option<Duration>) -> String {
    wait.map_or_else(|| "no hint".to_owned(), |wait| format!("{} s", wait.as_secs_f64()))
}
