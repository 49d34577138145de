//! The retry budget once more, naively: to be compared with the engine's.

use redial_engine::Timestamp;

use crate::scenario::BudgetPlan;

/// What a retry costs, in milli-tokens.
const COST: u64 = 1_000;
/// So many nanosecond-tokens a second make one milli-token.
const NANOS_PER_MILLI: u64 = 1_000_000;

/// A token bucket as R-G-1 says it, in its own units: nothing is shared with the engine's.
#[derive(Clone, Debug)]
pub(super) struct Bucket {
    plan: Option<BudgetPlan>,
    milli: u64,
    /// What has come back and is not a whole milli-token yet.
    rest: u64,
    last: u64,
}

impl Bucket {
    pub(super) fn full(plan: Option<BudgetPlan>) -> Self {
        let milli = plan.map_or(0, |plan| u64::from(plan.capacity) * 1_000);
        Self { plan, milli, rest: 0, last: 0 }
    }

    pub(super) const fn milli(&self) -> u64 {
        self.milli
    }

    /// A call begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        let deposit = self.plan.map_or(0, |plan| u64::from(plan.deposit));
        self.pass(now, deposit);
    }

    /// A retry is wanted; whether it is paid for.
    pub(super) fn charge(&mut self, now: Timestamp) -> bool {
        if self.plan.is_none() {
            return true;
        }
        self.pass(now, 0);
        let paid = self.milli >= COST;
        self.milli -= if paid { COST } else { 0 };
        paid
    }

    /// A retry that was paid for is not made.
    pub(super) fn refund(&mut self) {
        if let Some(plan) = self.plan {
            self.milli = (self.milli + COST).min(u64::from(plan.capacity) * 1_000);
        }
    }

    fn pass(&mut self, now: Timestamp, deposit: u64) {
        let Some(plan) = self.plan else { return };
        let (capacity, now) = (u64::from(plan.capacity) * 1_000, now.as_nanos());
        if self.milli >= capacity {
            // A full bucket saves up nothing.
            (self.rest, self.last) = (0, now);
            return;
        }
        let back = self.rest + (now - self.last) * u64::from(plan.refill);
        self.milli = (self.milli + back / NANOS_PER_MILLI + deposit).min(capacity);
        (self.rest, self.last) = (back % NANOS_PER_MILLI, now);
    }
}
