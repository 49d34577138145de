//! The suite in virtual time, over the real transport on virtual sockets (R-S-2).
#![allow(clippy::panic, reason = "a test fails by panicking")]

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use redial_conformance::scenarios;
use redial_conformance::simulated::check;

#[test]
fn every_scenario_over_plain_tcp_passes_in_virtual_time() {
    let (mut failed, mut left_out, mut passed) = (Vec::new(), BTreeMap::new(), 0);
    let (began, mut virtually) = (Instant::now(), Duration::ZERO);
    for scenario in scenarios().into_iter().map(Arc::new) {
        match check(&scenario) {
            Err(why) => *left_out.entry(why.to_string()).or_insert(0) += 1,
            Ok(came) => {
                virtually += came.elapsed;
                if came.wrong.is_empty() {
                    passed += 1;
                } else {
                    failed.push(format!("{}: {}", scenario.id, came.wrong.join("; ")));
                }
            }
        }
    }
    let real = began.elapsed();
    let summary = format!("{passed} passed, {left_out:?} left out, {virtually:.1?} in {real:.1?}");
    assert!(failed.is_empty(), "{summary}, {} failed:\n{}", failed.len(), failed.join("\n"));
    // Nothing is left out but what needs TLS.
    assert_eq!(left_out.keys().collect::<Vec<_>>(), ["it needs TLS"], "{summary}");
}
