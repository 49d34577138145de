//! What is known of connections: who waits for one, and what comes over them (bytes only).

use core::time::Duration;

use redial_client::Timeouts;
use redial_engine::Timestamp;

use super::{Invariant, Referee};
use crate::scenario::{Level, Target};

/// For how long a request may find nobody else at work, and no connection for itself: what is left
/// of others is read to its end, or closed, within a tenth of it.
const LEFTOVERS: Duration = Duration::from_secs(1);

/// Which calls are being sent, and since when it is one alone.
#[derive(Debug, Default)]
pub(super) struct UnderWay {
    count: usize,
    alone_since: Timestamp,
}

impl UnderWay {
    pub(super) const fn one_more(&mut self, now: Timestamp) {
        self.count += 1;
        self.alone_since = now;
    }

    pub(super) const fn one_less(&mut self, now: Timestamp) {
        self.count = self.count.saturating_sub(1);
        self.alone_since = now;
    }
}

/// What of a request's headers the client has a say in.
#[derive(Debug, Default)]
pub(crate) struct Marks {
    /// The values of the header for which there is a default.
    default: Vec<String>,
    /// The idempotency key.
    key: Vec<String>,
    /// A header that nobody asked for.
    unasked: Option<String>,
}

/// The header for which a client may have a default, and its values.
pub(crate) const DEFAULT: &str = "x-default";
pub(crate) const HOME: &str = "home";
pub(crate) const OWN: &str = "own";
const KEY: &str = "idempotency-key";

/// The key of this call.
pub(crate) fn key(call: u32) -> String {
    format!("key-{call}")
}

impl Marks {
    /// Takes note of a header, whose name is in lower case.
    pub(crate) fn see(&mut self, name: &str, value: &[u8]) {
        const USUAL: [&str; 5] =
            ["user-agent", "host", "content-length", "transfer-encoding", super::SEND];
        let text = || String::from_utf8_lossy(value).into_owned();
        if USUAL.contains(&name) || name.starts_with(':') {
            return;
        }
        match name {
            DEFAULT => self.default.push(text()),
            KEY => self.key.push(text()),
            _ => _ = self.unasked.get_or_insert_with(|| name.to_owned()),
        }
    }
}

impl Referee {
    /// A request has come to the server with these headers (R-C-1, R-C-2, R-C-12, R-C-13).
    pub(crate) fn marked(&mut self, call: u32, marks: &Marks) {
        let Some(plan) = self.calls.get(call as usize).map(|state| state.plan) else { return };
        let default = match plan.target {
            _ if plan.own => Some(OWN),
            Target::Home if self.defaults => Some(HOME),
            Target::Home | Target::Elsewhere | Target::Ambiguous => None,
        };
        let key = plan.key.then(|| key(call));
        let right = marks.default.iter().map(String::as_str).eq(default)
            && marks.key.iter().eq(&key)
            && marks.unasked.is_none();
        self.check(right, Invariant::Headers, call, || {
            format!("it came with {marks:?} instead of {default:?} and the key {key:?}")
        });
    }

    /// The head of a request has come over a connection.
    pub(crate) fn arrived(&mut self, call: u32, send: u32, now: Timestamp) {
        let Some(state) = self.calls.get_mut(call as usize) else { return };
        let first = state.arrive(send);
        let took = now.saturating_since(state.sent_at);
        let (target, sent_at) = (state.plan.target, state.sent_at);
        self.check(first, Invariant::OneAtATime, call, || format!("send {send} came twice"));
        let Timeouts { pool, connect, .. } = Timeouts::DEFAULT;
        let most = pool + connect + self.slack * 2;
        self.check(took <= most, Invariant::Pool, call, || {
            format!("came {took:?} after it was sent: a slot and a connection take {most:?}")
        });
        if self.level != Level::Bytes || self.connections != 1 {
            return;
        }
        let before = self.calls.iter().position(|other| {
            other.waits_its_turn() && other.plan.target == target && other.sent_at < sent_at
        });
        if let Some(other) = before {
            let what = format!("it came before call {other}, which had waited for longer");
            self.violated(Invariant::Pool, call, what);
        }
    }

    /// A request waited too long for a slot: somebody else must have had it (R-P-4, R-P-10).
    pub(super) fn waited_in_vain(&mut self, call: u32, now: Timestamp) {
        let alone = now.saturating_since(self.under_way.alone_since);
        let in_vain = self.under_way.count == 1 && alone > LEFTOVERS + self.slack;
        let is_clear = self.level.has_connections() && !self.truth.suspended;
        self.check(!in_vain || !is_clear, Invariant::Pool, call, || {
            format!("waited in vain for a connection that nobody else has used for {alone:?}")
        });
    }
}
