//! Every requirement is proved by something that is there, and the page that says so is true.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use redial_conformance::{Proof, coverage, declared, requirements, scenarios};

/// Requirements that nothing proves yet. It is to be empty.
const NOT_YET: &[&str] = &["R-S-2"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the repository")
}

#[test]
fn every_requirement_is_proved() {
    let scenarios = scenarios();
    let proved = |id: &str| scenarios.iter().any(|it| it.requirements.contains(&id));
    let unproved: Vec<_> = requirements()
        .iter()
        .filter(|requirement| match requirement.proof {
            Proof::Wire => !proved(requirement.id),
            Proof::Elsewhere { by, .. } => by.is_empty(),
        })
        .map(|requirement| requirement.id)
        .collect();
    assert_eq!(unproved, NOT_YET, "left: what nothing proves; right: what is known of that");
}

#[test]
fn what_proves_a_requirement_elsewhere_is_there() {
    let files = requirements().iter().flat_map(|requirement| match requirement.proof {
        Proof::Wire => &[],
        Proof::Elsewhere { by, .. } => by,
    });
    let missing: Vec<_> = files.filter(|file| !root().join(file).is_file()).collect();
    assert!(missing.is_empty(), "there are no such files: {missing:?}");
}

#[test]
fn a_scenario_has_an_id_of_its_own_and_proves_requirements_that_there_are() {
    let known: BTreeSet<_> = requirements().iter().map(|requirement| requirement.id).collect();
    assert_eq!(known.len(), requirements().len(), "an id stands there twice");
    let (mut ids, mut wrong) = (BTreeSet::new(), Vec::new());
    for scenario in scenarios() {
        let unknown: Vec<_> =
            scenario.requirements.iter().filter(|id| !known.contains(*id)).collect();
        if !unknown.is_empty() || scenario.requirements.is_empty() {
            wrong.push(format!("{} proves {unknown:?}, which is none", scenario.id));
        }
        if scenario.group().is_empty() || scenario.title.is_empty() {
            wrong.push(format!("{} has no group or no title", scenario.id));
        }
        if !ids.insert(scenario.id.clone()) {
            wrong.push(format!("{} stands there twice", scenario.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_declaration_is_about_a_scenario_and_has_a_reason() {
    let scenarios = scenarios();
    for declaration in declared::isahc() {
        let covers = scenarios.iter().any(|scenario| declaration.covers(&scenario.id));
        assert!(covers, "there is no scenario {}", declaration.scenario());
        assert!(!declaration.reason().is_empty(), "{} has no reason", declaration.scenario());
    }
}

#[test]
fn the_page_is_true() {
    let written = fs::read_to_string(root().join("conformance-tests/COVERAGE.md"));
    let same = written.expect("the page") == coverage();
    assert!(
        same,
        "conformance-tests/COVERAGE.md is not what the scenarios say; write it again:\n\
         cargo run -- conform --coverage >conformance-tests/COVERAGE.md"
    );
}
