//! When calls begin.

use core::time::Duration;

use redial_engine::Timestamp;

use super::model::nanos;
use super::scenario::{Closed, Load, Open};
use crate::rng::Stream;

const NANOS_PER_SECOND: f64 = 1e9;

/// The arrivals of an open load, or the rests of a closed one.
#[derive(Debug)]
pub(super) struct Arrivals<'a> {
    load: &'a Load,
    random: Stream,
    /// No call begins at or after this.
    end: u64,
}

impl<'a> Arrivals<'a> {
    pub(super) const fn new(load: &'a Load, duration: Duration, random: Stream) -> Self {
        Self { load, random, end: nanos(duration) }
    }

    /// When the next call of an open load begins; `None` where there is none.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Timestamp> {
        let Load::Open(open) = self.load else { return None };
        let mut at = now.as_nanos();
        loop {
            let (rate, until) = rate_at(open, at);
            let until = until.min(self.end);
            // A process without memory may begin anew where its rate changes.
            let gap = self.random.exponential() / rate * NANOS_PER_SECOND;
            let next = at.saturating_add(gap as u64);
            if next < until {
                return Some(Timestamp::from_nanos(next));
            }
            if until >= self.end {
                return None;
            }
            at = until;
        }
    }

    /// Which client begins a call.
    #[inline]
    pub(super) fn client(&mut self, clients: u32) -> u32 {
        if clients == 1 {
            return 0;
        }
        // Below the number of clients.
        self.random.below(u64::from(clients)) as u32
    }

    /// When a client of a closed load calls that is at rest from now on; `None` where it does not.
    #[inline]
    pub(super) fn rested(&mut self, now: Timestamp) -> Option<Timestamp> {
        let Load::Closed(Closed { every }) = self.load else { return None };
        let rest = if every.is_zero() {
            0
        } else {
            (nanos(*every) as f64 * self.random.exponential()) as u64
        };
        let at = now.as_nanos().saturating_add(rest);
        (at < self.end).then(|| Timestamp::from_nanos(at))
    }
}

/// The rate at a time, and until when it holds.
fn rate_at(open: &Open, at: u64) -> (f64, u64) {
    let mut until = u64::MAX;
    let mut rate = open.rate;
    for spike in &open.spikes {
        let (from, end) = (nanos(spike.from), nanos(spike.until));
        if from <= at && at < end {
            rate = spike.rate;
            until = until.min(end);
        } else if at < from {
            until = until.min(from);
        }
    }
    (rate, until)
}
