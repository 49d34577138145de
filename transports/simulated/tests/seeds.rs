//! Seeds, each a scenario that the real client goes through before the referee (R-S-4).
#![allow(clippy::panic, reason = "a test fails by panicking")]

use redial_sim::{Level, Search, Seed};

fn go_through(level: Level, seeds: u64) {
    let search = Search::through((0..seeds).map(Seed), level);
    if let Some(finding) = search.finding {
        panic!("{finding}");
    }
    let never: Vec<_> = search.coverage.never(level).collect();
    assert!(never.is_empty(), "never happened: {never:?}\n{}", search.coverage);
}

#[test]
fn no_seed_violates_anything_with_messages() {
    go_through(Level::Messages, 3_000);
}

#[test]
fn no_seed_violates_anything_with_bytes_of_http1() {
    go_through(Level::Bytes, 2_000);
}

#[test]
fn no_seed_violates_anything_with_bytes_of_http2() {
    go_through(Level::Http2, 2_000);
}
