//! The tokens that a budget has left, and every way in which they come and go (R-G-1, R-G-3).

use crate::budget::Budget;
use crate::policy::Class;
use crate::time::Timestamp;

/// A budget's tokens, and its rules. Amounts of its own are in parts of milli-tokens (`Refill`).
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    tokens: u64,
    /// The latest time that has been seen: what comes back with time has come back until then.
    seen: Timestamp,
    capacity: u64,
    deposit: u64,
    threshold: u64,
    rules: Budget,
}

impl Bucket {
    pub(crate) const fn full(rules: Budget) -> Self {
        let capacity = rules.refill.parts(rules.capacity as u64);
        Self {
            tokens: capacity,
            seen: Timestamp::ORIGIN,
            capacity,
            deposit: rules.refill.parts(rules.deposit as u64),
            threshold: rules.refill.parts(rules.threshold as u64),
            rules,
        }
    }

    /// A call begins: it deposits its share.
    #[inline]
    pub(crate) fn begin(&mut self, now: Timestamp) {
        self.pass(now, self.deposit);
        planted!(RefundedTwice => self.add(self.deposit));
    }

    /// A retryable failure happened, whether or not it will be retried.
    #[inline]
    pub(crate) fn failed(&mut self) {
        if self.rules.failure > 0 {
            self.tokens =
                self.tokens.saturating_sub(self.rules.refill.parts(u64::from(self.rules.failure)));
        }
    }

    /// A retry is wanted: takes its cost and says how many milli-tokens that was, or takes nothing.
    #[inline]
    pub(crate) fn charge(&mut self, class: Class, now: Timestamp) -> Option<u32> {
        self.pass(now, 0);
        let cost = self.rules.cost.of(class);
        planted!(BudgetNotCharged => return Some(0));
        if self.tokens < self.threshold && !planted!(ThresholdIgnored) {
            return None;
        }
        self.tokens = self.tokens.checked_sub(self.rules.refill.parts(u64::from(cost)))?;
        Some(cost)
    }

    /// A retry that was paid for is not made after all.
    pub(crate) fn refund(&mut self, charged: u32) {
        self.give(u64::from(charged));
    }

    /// The call succeeded; `charged` is what its last retry cost, where there was one.
    #[inline]
    pub(crate) fn succeeded(&mut self, charged: Option<u32>) {
        let reward = match charged {
            None => self.rules.first_success,
            Some(charged) if self.rules.refund => charged,
            Some(_) => 0,
        };
        let reward = u64::from(reward) + u64::from(self.rules.success);
        if reward > 0 {
            self.give(reward);
            planted!(RefundedTwice => self.give(reward));
        }
    }

    /// Whole milli-tokens.
    pub(crate) const fn tokens_milli(&self) -> u64 {
        self.tokens / self.rules.refill.period.get() as u64
    }

    #[inline]
    fn give(&mut self, milli: u64) {
        self.add(self.rules.refill.parts(milli));
    }

    /// Adds what has come back since the latest time seen, and a deposit; a clock that goes back
    /// brings nothing.
    #[inline]
    fn pass(&mut self, now: Timestamp, deposit: u64) {
        let mut more = deposit;
        if now > self.seen {
            let nanos = now.as_nanos() - self.seen.as_nanos();
            more = more.saturating_add(self.rules.refill.in_nanos(nanos));
            self.seen = now;
        }
        self.add(more);
    }

    /// Adds as much as there is room for.
    #[inline]
    fn add(&mut self, parts: u64) {
        self.tokens += parts.min(self.capacity - self.tokens);
    }
}
