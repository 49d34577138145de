//! What the calls to one origin share.

use crate::budget::{Bucket, Budget};

/// What the calls to one origin (scheme, host, port) share: their retry budget.
///
/// The driver owns it, behind whatever lock its world needs, and lends it to each transition for
/// as long as that takes: well below a microsecond, never across a wait. It is full at the start.
///
/// ```
/// use redial_engine::{Budget, Upstream};
///
/// let upstream = Upstream::new(Budget::STANDARD);
/// assert_eq!(upstream.tokens_milli(), 100_000);
/// ```
#[derive(Clone, Debug)]
pub struct Upstream {
    pub(crate) bucket: Bucket,
}

impl Upstream {
    /// An upstream whose budget is full.
    pub const fn new(budget: Budget) -> Self {
        Self { bucket: Bucket::full(budget) }
    }

    /// What the budget held after the last transition, in whole milli-tokens.
    pub const fn tokens_milli(&self) -> u64 {
        self.bucket.tokens_milli()
    }
}

impl Default for Upstream {
    /// An upstream with [`Budget::STANDARD`].
    fn default() -> Self {
        Self::new(Budget::STANDARD)
    }
}
