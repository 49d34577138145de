//! What came of a run, in numbers.

use core::time::Duration;
use std::collections::BTreeMap;

use redial_engine::Timestamp;

use super::checks::Violation;
use super::latency::Latency;
use super::model::nanos;

/// What came of one contender's run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The contender's name.
    pub name: String,
    /// The sums over all calls.
    pub totals: Totals,
    /// How long calls took that succeeded.
    pub latency: Latency,
    /// How many calls were given up, by the reason's name.
    pub give_ups: BTreeMap<&'static str, u64>,
    /// How long a bin is.
    pub bin: Duration,
    /// What happened when, from the beginning to the end of the scenario's duration.
    pub bins: Vec<Bin>,
    /// When the last call had ended.
    pub ended_at: Timestamp,
    /// How many calls were open at once at most.
    pub most_open: usize,
    /// The hash of the trace.
    pub hash: u64,
    /// How many records the trace had.
    pub records: u64,
    /// The first thing that must not happen and did.
    pub violation: Option<Violation>,
}

/// Sums over all calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Calls that began: the load that was offered.
    pub calls: u64,
    /// Requests that were sent: the load that resulted.
    pub attempts: u64,
    /// Requests that the server let in and worked on.
    pub accepted: u64,
    /// Calls that ended with a success.
    pub succeeded: u64,
    /// Calls that ended in any other way.
    pub failed: u64,
}

impl Totals {
    /// Requests that were not the first of their call.
    pub const fn retries(&self) -> u64 {
        self.attempts.saturating_sub(self.calls)
    }

    /// Requests for each call.
    pub fn amplification(&self) -> f64 {
        ratio(self.attempts, self.calls)
    }

    /// Successes for each call, 0 to 1.
    pub fn success_rate(&self) -> f64 {
        ratio(self.succeeded, self.calls)
    }
}

/// What happened in one bin of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Bin {
    /// Calls that began.
    pub calls: u64,
    /// Requests that were sent.
    pub attempts: u64,
    /// Requests that were not the first of their call.
    pub retries: u64,
    /// Calls that succeeded.
    pub succeeded: u64,
    /// Calls that ended in any other way.
    pub failed: u64,
}

/// Counts while a run goes on.
#[derive(Debug)]
pub(super) struct Figures {
    pub(super) totals: Totals,
    latency: Latency,
    pub(super) give_ups: BTreeMap<&'static str, u64>,
    bin: u64,
    bins: Vec<Bin>,
    /// Which bin is filled now, and when it ends: time never goes back.
    current: usize,
    ends: u64,
}

/// About so many bins are drawn.
const BINS: u64 = 180;

impl Figures {
    pub(super) fn new(duration: Duration) -> Self {
        let bin = nice(nanos(duration).div_ceil(BINS));
        let count = nanos(duration).div_ceil(bin);
        Self {
            totals: Totals::default(),
            latency: Latency::default(),
            give_ups: BTreeMap::new(),
            bin,
            bins: vec![Bin::default(); usize::try_from(count).unwrap_or(0)],
            current: 0,
            ends: bin,
        }
    }

    #[inline]
    pub(super) fn began(&mut self, at: Timestamp) {
        self.totals.calls += 1;
        self.count(at, |bin| bin.calls += 1);
    }

    #[inline]
    pub(super) fn sent(&mut self, at: Timestamp, attempt: u32) {
        self.totals.attempts += 1;
        self.count(at, |bin| {
            bin.attempts += 1;
            bin.retries += u64::from(attempt > 1);
        });
    }

    #[inline]
    pub(super) fn succeeded(&mut self, at: Timestamp, began: Timestamp) {
        self.totals.succeeded += 1;
        self.count(at, |bin| bin.succeeded += 1);
        self.latency.record(at.as_nanos().saturating_sub(began.as_nanos()));
    }

    #[inline]
    pub(super) fn failed(&mut self, at: Timestamp) {
        self.totals.failed += 1;
        self.count(at, |bin| bin.failed += 1);
    }

    #[inline]
    fn count(&mut self, at: Timestamp, add: impl FnOnce(&mut Bin)) {
        if at.as_nanos() >= self.ends {
            self.turn(at.as_nanos());
        }
        if let Some(bin) = self.bins.get_mut(self.current) {
            add(bin);
        }
    }

    /// Turns to the bin of a later time.
    #[cold]
    fn turn(&mut self, at: u64) {
        let bin = at / self.bin;
        self.current = usize::try_from(bin).unwrap_or(usize::MAX);
        self.ends = (bin + 1).saturating_mul(self.bin);
    }

    pub(super) fn into_parts(self) -> (Totals, Latency, BTreeMap<&'static str, u64>, Vec<Bin>) {
        (self.totals, self.latency, self.give_ups, self.bins)
    }

    pub(super) const fn bin(&self) -> Duration {
        Duration::from_nanos(self.bin)
    }
}

/// The least of 1, 2 or 5 times a power of ten that is not less.
fn nice(nanos: u64) -> u64 {
    let mut power = 1_u64;
    loop {
        for digit in [1, 2, 5] {
            match power.checked_mul(digit) {
                Some(nice) if nice < nanos => {}
                Some(nice) => return nice,
                None => return nanos,
            }
        }
        match power.checked_mul(10) {
            Some(next) => power = next,
            None => return nanos,
        }
    }
}

fn ratio(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { part as f64 / whole as f64 }
}
