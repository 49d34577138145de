//! A long random walk of a faithful driver, checked at each step against a model of what the
//! driver knows. A failure names the seed and the step.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]
#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "pool_walk/driver.rs"]
mod driver;
#[path = "pool_walk/model.rs"]
mod model;

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::panic::catch_unwind;

use redial_hyper::pool::Limits;

use crate::driver::Walk;

/// Walks of 400 steps each, with a seed each; altogether 1.2 million steps over the tests.
const STEPS: u32 = 400;
const WALKS: u64 = 750;

fn walk(salt: u64, origins: u64, limits: impl Fn(u64) -> Limits) {
    for seed in (0..WALKS).map(|seed| salt << 32 | seed) {
        let mut walk = Walk::new(seed, origins, limits(seed));
        let mut steps = 0;
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            while steps < STEPS {
                walk.step();
                steps += 1;
            }
            walk.wind_up();
        }));
        assert!(outcome.is_ok(), "seed {seed}, after {steps} steps: {walk:#?}");
    }
}

fn some_limits(seed: u64) -> Limits {
    Limits {
        max_connections: 1 + (seed % 5) as usize,
        max_keepalive_connections: (seed / 5 % 5) as usize,
        keepalive_expiry: match seed / 25 % 4 {
            0 => None,
            1 => Some(Duration::ZERO),
            _ => Some(Duration::from_secs(30)),
        },
    }
}

#[test]
fn one_origin() {
    walk(1, 1, some_limits);
}

#[test]
fn some_origins() {
    walk(2, 3, some_limits);
}

#[test]
fn more_origins_than_connections() {
    walk(3, 8, some_limits);
}

#[test]
fn room_for_all() {
    walk(4, 4, |seed| Limits { max_connections: 40, ..some_limits(seed) });
}
