//! What the crate declares is about requirements and rows that there are, and is shown by tests
//! that there are.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
#![allow(clippy::panic, clippy::indexing_slicing, reason = "the same")]

use std::fs;
use std::path::Path;

use redial_conformance::{wire_h1, wire_h2};
use redial_isahc::DECLARED;

#[test]
fn every_declaration_is_about_something_and_says_why() {
    let rows: Vec<_> = wire_h1().into_iter().chain(wire_h2()).map(|row| row.id).collect();
    for declared in DECLARED {
        assert!(!declared.instead.is_empty() && !declared.because.is_empty(), "{declared:?}");
        for requirement in declared.requirements {
            let mut parts = requirement.splitn(3, '-');
            let (letter, _, number) = (parts.next(), parts.next(), parts.next());
            assert_eq!(letter, Some("R"), "{requirement}");
            assert!(number.is_some_and(|number| number.parse::<u8>().is_ok()), "{requirement}");
        }
        for row in declared.rows {
            assert!(rows.contains(&row.id), "{row:?}");
            assert!(!row.seen.is_empty(), "{row:?}");
        }
    }
}

#[test]
fn every_declaration_is_shown_by_a_test() {
    let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    for declared in DECLARED {
        let (file, test) = declared.shown_by.split_once("::").unwrap();
        let source = fs::read_to_string(tests.join(file).with_extension("rs")).unwrap();
        let attributes = source.split_once(&format!("\nfn {test}()")).unwrap_or_default().0;
        let found = attributes.rsplit("\n\n").next().unwrap_or_default().contains("#[test]");
        assert!(found, "there is no test {}", declared.shown_by);
    }
}
