//! The tokens of a call are small: they live in every pending call's future or event.

use core::mem::size_of;

use redial_engine::{Action, Attempt, Call, Outcome, Pause, StandardPolicy, Upstream, Verdict};

type Policy = &'static StandardPolicy;

#[test]
fn a_call_takes_a_cache_line() {
    let rows = [
        ("Attempt", size_of::<Attempt<Policy>>(), 64),
        ("Pause", size_of::<Pause<Policy>>(), 64),
        ("Action", size_of::<Action<Policy>>(), 72),
        ("Verdict", size_of::<Verdict<Policy>>(), 72),
        ("Outcome", size_of::<Outcome>(), 24),
        ("Call", size_of::<Call>(), 56),
        ("Upstream", size_of::<Upstream>(), 128),
    ];
    for (name, size, most) in rows {
        assert!(size <= most, "{name} takes {size} bytes, more than {most}");
    }
}

#[test]
fn tokens_cross_threads_where_their_policy_does() {
    const fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Attempt<Policy>>();
    send_and_sync::<Pause<Policy>>();
    send_and_sync::<Action<Policy>>();
    send_and_sync::<Verdict<Policy>>();
    send_and_sync::<Upstream>();
}
