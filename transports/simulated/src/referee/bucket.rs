//! The retry budget once more, naively: to be compared with the engine's.

use redial_engine::Timestamp;

use crate::scenario::BudgetPlan;

/// What a retry costs, in milli-tokens.
const COST: u64 = 1_000;
/// So many nanosecond-tokens a second make one milli-token.
const NANOS_PER_MILLI: u64 = 1_000_000;

/// A budget as R-G-1 and gRFC A6 say it, in its own units: nothing is shared with the engine's.
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
        Self { plan, milli: plan.map_or(0, capacity), rest: 0, last: 0 }
    }

    pub(super) const fn milli(&self) -> u64 {
        self.milli
    }

    /// A call begins.
    pub(super) fn begin(&mut self, now: Timestamp) {
        if let Some(BudgetPlan::Tokens { deposit, .. }) = self.plan {
            self.pass(now, u64::from(deposit));
        }
    }

    /// A failure that is retried, if anything allows it.
    pub(super) const fn failed(&mut self) {
        if let Some(BudgetPlan::Throttle { .. }) = self.plan {
            self.milli = self.milli.saturating_sub(1_000);
        }
    }

    /// A success.
    pub(super) fn succeeded(&mut self) {
        if let Some(plan @ BudgetPlan::Throttle { ratio, .. }) = self.plan {
            self.milli = (self.milli + u64::from(ratio)).min(capacity(plan));
        }
    }

    /// A retry is wanted; whether it is paid for.
    pub(super) fn charge(&mut self, now: Timestamp) -> bool {
        match self.plan {
            None => true,
            Some(plan @ BudgetPlan::Throttle { .. }) => self.milli > capacity(plan) / 2,
            Some(BudgetPlan::Tokens { .. }) => {
                self.pass(now, 0);
                let paid = self.milli >= COST;
                self.milli -= if paid { COST } else { 0 };
                paid
            }
        }
    }

    /// A retry that was paid for is not made.
    pub(super) fn refund(&mut self) {
        if let Some(plan @ BudgetPlan::Tokens { .. }) = self.plan {
            self.milli = (self.milli + COST).min(capacity(plan));
        }
    }

    fn pass(&mut self, now: Timestamp, deposit: u64) {
        let Some(plan @ BudgetPlan::Tokens { refill, .. }) = self.plan else { return };
        let (capacity, now) = (capacity(plan), now.as_nanos());
        if self.milli >= capacity {
            // A full bucket saves up nothing.
            (self.rest, self.last) = (0, now);
            return;
        }
        let back = self.rest + (now - self.last) * u64::from(refill);
        self.milli = (self.milli + back / NANOS_PER_MILLI + deposit).min(capacity);
        (self.rest, self.last) = (back % NANOS_PER_MILLI, now);
    }
}

/// In milli-tokens.
fn capacity(plan: BudgetPlan) -> u64 {
    let (BudgetPlan::Tokens { capacity: tokens, .. } | BudgetPlan::Throttle { tokens, .. }) = plan;
    u64::from(tokens) * 1_000
}
