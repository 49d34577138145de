//! Faults that are planted in the transport, for tests of the tests (see the engine's `planted`).

use core::time::Duration;

use redial_client::{Exchange, HeadLimit, Protocol, Settings};
use redial_engine::planted;

/// Spoils what a transport is told when it is made.
pub(crate) fn spoil_settings(mut settings: Settings) -> Settings {
    let limits = &mut settings.limits;
    if planted!(OneConnectionMore) {
        limits.max_connections += 1;
    }
    if planted!(LimitsDoubled) {
        limits.max_connections *= 2;
        limits.max_keepalive_connections *= 2;
    }
    if planted!(SurplusKept) {
        limits.max_keepalive_connections = usize::MAX;
    }
    if planted!(NeverExpires) {
        limits.keepalive_expiry = None;
    }
    if planted!(Http1Alone) {
        settings.protocol = Protocol::Http1;
    }
    if planted!(HeadUnlimited) {
        settings.max_head_bytes = HeadLimit::new(1 << 30);
    }
    settings
}

/// Spoils the limits of an exchange.
pub(crate) fn spoil_exchange(mut exchange: Exchange) -> Exchange {
    let timeouts = &mut exchange.timeouts;
    if planted!(ConnectForEver) {
        timeouts.connect = Duration::MAX;
    }
    if planted!(ReadForEver) {
        timeouts.read = Duration::MAX;
    }
    if planted!(WriteForEver) {
        timeouts.write = Duration::MAX;
    }
    if planted!(QueueForEver) {
        timeouts.pool = Duration::MAX;
    }
    if planted!(CutoffIgnored) {
        exchange.cutoff = None;
    }
    exchange
}
