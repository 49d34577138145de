//! The wire table allows what its vectors require, and nothing else.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeSet;

use redial_conformance::{WireEnd, wire_h1, wire_h2};
use serde_json::Value;

/// What a vector requires, in the words of the table.
fn required(case: &Value) -> BTreeSet<String> {
    let expect = &case["expect"];
    let reused = expect.get("reused").is_some_and(|reused| reused == true);
    let suffix = if reused { ", reused" } else { "" };
    let end = |one: &Value| match one.as_str() {
        Some(response) => response.to_owned(),
        None => {
            let word = |name: &str| one[name].as_str().unwrap();
            format!("{} ({}{suffix})", word("kind"), word("delivery"))
        }
    };
    let mut ends: BTreeSet<_> = expect["one_of"].as_array().unwrap().iter().map(end).collect();
    let note = case.get("note").and_then(Value::as_str).unwrap_or_default();
    if note.starts_with("or a response") {
        ends.insert(WireEnd::Response(200).to_string());
    }
    ends
}

#[test]
fn every_vector_has_its_row() {
    let file: Value = serde_json::from_str(include_str!("vectors/wire.json")).unwrap();
    let cases = file["cases"].as_array().unwrap();
    let rows: Vec<_> = wire_h1().into_iter().chain(wire_h2()).collect();
    assert_eq!(rows.len(), cases.len());
    for case in cases {
        let id = case["id"].as_str().unwrap();
        let row = rows.iter().find(|row| row.id == id).unwrap_or_else(|| panic!("no row {id}"));
        let allowed: BTreeSet<_> = row.expect.iter().map(WireEnd::to_string).collect();
        assert_eq!(allowed, required(case), "{id}");
        let most = case["expect"]["requests_processed_at_most"].as_u64();
        assert_eq!(Some(row.processed_at_most as u64), most, "{id}");
    }
}
