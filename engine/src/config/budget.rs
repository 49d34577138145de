//! Budgets as they are written.

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reading::{Whole, strict};
use super::{checked, fits, given, kinds};
use crate::budget::{Budget, Finagle, MAX_CAPACITY, PPM};

/// The most tokens that a bucket holds, and that a second brings.
const TOKENS: u64 = MAX_CAPACITY as u64;

checked! {
    /// R-G-1; in tokens.
    Capacity(Whole<u32, TOKENS, 1>): u32, |tokens| Budget::builder().capacity(tokens).build();
    /// R-G-1; in tokens.
    Refill(Whole<u32, TOKENS>): u32, |tokens| Budget::builder().refill_per_second(tokens).build();
    /// R-G-1; more than any bucket holds is refused here, more than this one holds with its table.
    Cost(Whole<u32, { TOKENS * 1000 }, 1>): u32, |milli| {
        Budget::builder().capacity(MAX_CAPACITY).cost_milli(milli).build()
    };
    /// R-G-2.
    MaxTokens(Whole<u32, 1000, 1>): u32, |tokens| Budget::grpc(tokens, 1);
    /// R-G-2.
    TokenRatio(Whole<u32, { u64::MAX }, 1>): u32, |milli| Budget::grpc(1, milli);
    /// R-G-2; alone, because a small share needs a large bucket for its burst.
    Ratio(Whole<u32, { PPM as u64 }>): u32, |ratio_ppm| {
        Budget::finagle(Finagle { ratio_ppm, min_retries_per_second: 0, burst: 0, ..Finagle::DEFAULT })
    };
    /// R-G-2.
    TimeToLive(Whole<u32, 60, 1>): u32, |ttl_seconds| {
        Budget::finagle(Finagle { ttl_seconds, ..Finagle::DEFAULT })
    };
}

kinds! {
    /// The presets, and the two that have numbers of one's own.
    BudgetKind {
        TokenBucket = "token_bucket" ["capacity", "deposit_milli", "refill_per_second", "cost_milli"],
        Unlimited = "unlimited" [],
        Empty = "empty" [],
        AwsStandard20 = "aws_standard_2_0" [],
        AwsStandard21 = "aws_standard_2_1" [],
        Grpc = "grpc" ["max_tokens", "token_ratio_milli"],
        Finagle = "finagle" ["ratio_ppm", "min_retries_per_second", "ttl_seconds", "burst"],
    }
}

/// A [`Budget`] as it is written: with the fields of every kind, so that each is read where it
/// stands. What serde does for tables with a tag forgets the path to what is wrong in them.
#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the kind of the budget, such as { kind = \"unlimited\" }"
)]
struct BudgetConfig {
    kind: BudgetKind,
    capacity: Option<Capacity>,
    deposit_milli: Option<Whole<u32>>,
    refill_per_second: Option<Refill>,
    cost_milli: Option<Cost>,
    max_tokens: Option<MaxTokens>,
    token_ratio_milli: Option<TokenRatio>,
    ratio_ppm: Option<Ratio>,
    min_retries_per_second: Option<Whole<u32>>,
    ttl_seconds: Option<TimeToLive>,
    burst: Option<Whole<u32>>,
}

impl BudgetConfig {
    fn build<E: Error>(&self) -> Result<Budget, E> {
        let given = given!(
            self: capacity, deposit_milli, refill_per_second, cost_milli, max_tokens,
            token_ratio_milli, ratio_ppm, min_retries_per_second, ttl_seconds, burst
        );
        fits(self.kind.name(), self.kind.fields(), &given)?;
        match self.kind {
            BudgetKind::TokenBucket => self.token_bucket(),
            BudgetKind::Unlimited => Ok(Budget::UNLIMITED),
            BudgetKind::Empty => Ok(Budget::EMPTY),
            BudgetKind::AwsStandard20 => Ok(Budget::AWS_STANDARD_2_0),
            BudgetKind::AwsStandard21 => Ok(Budget::AWS_STANDARD_2_1),
            BudgetKind::Grpc => self.grpc(),
            BudgetKind::Finagle => self.finagle(),
        }
    }

    /// The numbers of [`Budget::builder`].
    fn token_bucket<E: Error>(&self) -> Result<Budget, E> {
        let mut budget = Budget::builder();
        if let Some(tokens) = self.capacity {
            budget = budget.capacity(tokens.get());
        }
        if let Some(milli) = self.deposit_milli {
            budget = budget.deposit_milli(milli.0);
        }
        if let Some(tokens) = self.refill_per_second {
            budget = budget.refill_per_second(tokens.get());
        }
        if let Some(milli) = self.cost_milli {
            budget = budget.cost_milli(milli.get());
        }
        budget.build().map_err(E::custom)
    }

    fn grpc<E: Error>(&self) -> Result<Budget, E> {
        let tokens = self.max_tokens.ok_or_else(|| E::missing_field("max_tokens"))?;
        let milli = self.token_ratio_milli.ok_or_else(|| E::missing_field("token_ratio_milli"))?;
        Budget::grpc(tokens.get(), milli.get()).map_err(E::custom)
    }

    fn finagle<E: Error>(&self) -> Result<Budget, E> {
        let Finagle { ratio_ppm, min_retries_per_second, ttl_seconds, burst } = Finagle::DEFAULT;
        Budget::finagle(Finagle {
            ratio_ppm: self.ratio_ppm.map_or(ratio_ppm, Ratio::get),
            min_retries_per_second: self
                .min_retries_per_second
                .map_or(min_retries_per_second, |floor| floor.0),
            ttl_seconds: self.ttl_seconds.map_or(ttl_seconds, TimeToLive::get),
            burst: self.burst.map_or(burst, |burst| burst.0),
        })
        .map_err(E::custom)
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::<BudgetConfig, _>(deserializer)?.build()
    }
}
