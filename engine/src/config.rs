//! Policies, budgets and replay rules as configuration: what is written in TOML or JSON.
//!
//! Durations are written as `"250ms"`, `"1s"` or `"5min"`. A field that is left out has its
//! default; a field that does not exist is an error.

use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use serde::de::Error as _;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::backoff::{Backoff, Jitter, Shape};
use crate::budget::{Budget, BudgetError, Finagle};
use crate::outcome::FailureKind;
use crate::standard::{PolicyError, StandardPolicy};
use crate::time::{FOREVER, duration};

impl Serialize for FailureKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for FailureKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name)
            .ok_or_else(|| D::Error::custom(alloc::format!("no failure kind is named {name:?}")))
    }
}

/// A [`StandardPolicy`] as it is written. The tables are replaced by `retry_*`, and changed by
/// `also_*` and `never_*`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct PolicyConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<u32>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Duration>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    call_timeout: Option<Duration>,
    #[serde(with = "humantime_serde", skip_serializing_if = "Option::is_none")]
    retry_after_max: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_spread_percent: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_statuses: Option<Vec<u16>>,
    #[serde(skip_serializing)]
    also_retry_statuses: Vec<u16>,
    #[serde(skip_serializing)]
    never_retry_statuses: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_failures: Option<Vec<FailureKind>>,
    #[serde(skip_serializing)]
    also_retry_failures: Vec<FailureKind>,
    #[serde(skip_serializing)]
    never_retry_failures: Vec<FailureKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heed_hints_on: Option<Vec<u16>>,
    #[serde(skip_serializing)]
    also_heed_hints_on: Vec<u16>,
    #[serde(skip_serializing)]
    never_heed_hints_on: Vec<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Backoff>,
}

impl Serialize for StandardPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PolicyConfig {
            max_attempts: Some(self.limits.max_attempts.get()),
            attempt_timeout: limit(self.limits.attempt_timeout),
            call_timeout: limit(self.limits.call_timeout),
            retry_after_max: Some(duration(self.limits.retry_after_max)),
            retry_after_spread_percent: Some(self.limits.retry_after_spread),
            retry_statuses: Some(self.statuses.iter().collect()),
            retry_failures: Some(self.failures.iter().collect()),
            heed_hints_on: Some(self.hint_statuses.iter().collect()),
            backoff: Some(self.backoff),
            ..PolicyConfig::default()
        }
        .serialize(serializer)
    }
}

/// A limit as it is written: no limit is left out.
fn limit(nanos: u64) -> Option<Duration> {
    (nanos != FOREVER).then(|| duration(nanos))
}

impl<'de> Deserialize<'de> for StandardPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        PolicyConfig::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

impl PolicyConfig {
    fn build(self) -> Result<StandardPolicy, PolicyError> {
        let mut policy = self.tables();
        if let Some(attempts) = self.max_attempts {
            policy = policy.max_attempts(attempts);
        }
        if let Some(timeout) = self.attempt_timeout {
            policy = policy.attempt_timeout(timeout);
        }
        if let Some(timeout) = self.call_timeout {
            policy = policy.call_timeout(timeout);
        }
        if let Some(wait) = self.retry_after_max {
            policy = policy.retry_after_max(wait);
        }
        if let Some(percent) = self.retry_after_spread_percent {
            policy = policy.retry_after_spread(percent);
        }
        if let Some(backoff) = self.backoff {
            policy = policy.backoff(backoff);
        }
        policy.build()
    }

    /// The default tables, first replaced, then added to, then taken from.
    fn tables(&self) -> crate::standard::StandardPolicyBuilder {
        let mut policy = StandardPolicy::builder();
        if self.retry_statuses.is_some() {
            policy = policy.clear_statuses();
        }
        if self.retry_failures.is_some() {
            policy = policy.clear_failures();
        }
        if self.heed_hints_on.is_some() {
            policy = policy.clear_hint_statuses();
        }
        let statuses = self.retry_statuses.iter().flatten().chain(&self.also_retry_statuses);
        policy = statuses.fold(policy, |policy, status| policy.retry_status(*status));
        let never = &self.never_retry_statuses;
        policy = never.iter().fold(policy, |policy, status| policy.never_retry_status(*status));
        let failures = self.retry_failures.iter().flatten().chain(&self.also_retry_failures);
        policy = failures.fold(policy, |policy, kind| policy.retry_failure(*kind));
        let never = &self.never_retry_failures;
        policy = never.iter().fold(policy, |policy, kind| policy.never_retry_failure(*kind));
        let hints = self.heed_hints_on.iter().flatten().chain(&self.also_heed_hints_on);
        policy = hints.fold(policy, |policy, status| policy.heed_hint_on(*status));
        let never = &self.never_heed_hints_on;
        never.iter().fold(policy, |policy, status| policy.ignore_hint_on(*status))
    }
}

/// A [`Jitter`] as it is written; braces as in `BudgetConfig`.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum JitterConfig {
    None {},
    Proportional { from_percent: u8 },
    Full {},
    Equal {},
    Decorrelated {},
}

impl Serialize for Jitter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match *self {
            Self::None => JitterConfig::None {},
            Self::Proportional { from_percent } => JitterConfig::Proportional { from_percent },
            Self::Full => JitterConfig::Full {},
            Self::Equal => JitterConfig::Equal {},
            Self::Decorrelated => JitterConfig::Decorrelated {},
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Jitter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(match JitterConfig::deserialize(deserializer)? {
            JitterConfig::None {} => Self::None,
            JitterConfig::Proportional { from_percent } => Self::Proportional { from_percent },
            JitterConfig::Full {} => Self::Full,
            JitterConfig::Equal {} => Self::Equal,
            JitterConfig::Decorrelated {} => Self::Decorrelated,
        })
    }
}

/// A [`Backoff`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum BackoffConfig {
    Exponential {
        #[serde(with = "humantime_serde")]
        base: Duration,
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        cap: Option<Duration>,
        #[serde(default)]
        jitter: Jitter,
    },
    Fixed {
        #[serde(with = "humantime_serde")]
        wait: Duration,
        #[serde(default, with = "humantime_serde", skip_serializing_if = "Option::is_none")]
        cap: Option<Duration>,
        #[serde(default)]
        jitter: Jitter,
    },
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (cap, jitter) = (Some(duration(self.cap)), self.jitter);
        match self.shape {
            Shape::Exponential { base } => {
                BackoffConfig::Exponential { base: duration(base), cap, jitter }
            }
            Shape::Fixed { wait } => BackoffConfig::Fixed { wait: duration(wait), cap, jitter },
            Shape::Custom(_) => {
                return Err(S::Error::custom(
                    "a backoff of one's own is code and cannot be written",
                ));
            }
        }
        .serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (backoff, cap) = match BackoffConfig::deserialize(deserializer)? {
            BackoffConfig::Exponential { base, cap, jitter } => {
                (Self::exponential(base).jitter(jitter), cap)
            }
            BackoffConfig::Fixed { wait, cap, jitter } => (Self::fixed(wait).jitter(jitter), cap),
        };
        let backoff = cap.map_or(backoff, |cap| backoff.cap(cap));
        backoff.check().map_err(D::Error::custom)?;
        Ok(backoff)
    }
}

/// A [`Budget`] as it is written.
///
/// What has no numbers has braces all the same: serde ignores unknown fields beside a tag otherwise.
#[derive(Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
enum BudgetConfig {
    TokenBucket(TokenBucketConfig),
    Unlimited {},
    Empty {},
    #[serde(rename = "aws_standard_2_0")]
    AwsStandard20 {},
    #[serde(rename = "aws_standard_2_1")]
    AwsStandard21 {},
    Grpc {
        max_tokens: u32,
        token_ratio_milli: u32,
    },
    Finagle(Finagle),
}

/// The numbers of [`Budget::builder`].
#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct TokenBucketConfig {
    capacity: Option<u32>,
    deposit_milli: Option<u32>,
    refill_per_second: Option<u32>,
    cost_milli: Option<u32>,
}

impl TokenBucketConfig {
    fn build(&self) -> Result<Budget, BudgetError> {
        let mut budget = Budget::builder();
        if let Some(tokens) = self.capacity {
            budget = budget.capacity(tokens);
        }
        if let Some(milli) = self.deposit_milli {
            budget = budget.deposit_milli(milli);
        }
        if let Some(tokens) = self.refill_per_second {
            budget = budget.refill_per_second(tokens);
        }
        if let Some(milli) = self.cost_milli {
            budget = budget.cost_milli(milli);
        }
        budget.build()
    }
}

impl BudgetConfig {
    fn build(self) -> Result<Budget, BudgetError> {
        match self {
            Self::TokenBucket(numbers) => numbers.build(),
            Self::Unlimited {} => Ok(Budget::UNLIMITED),
            Self::Empty {} => Ok(Budget::EMPTY),
            Self::AwsStandard20 {} => Ok(Budget::AWS_STANDARD_2_0),
            Self::AwsStandard21 {} => Ok(Budget::AWS_STANDARD_2_1),
            Self::Grpc { max_tokens, token_ratio_milli } => {
                Budget::grpc(max_tokens, token_ratio_milli)
            }
            Self::Finagle(rules) => Budget::finagle(rules),
        }
    }
}

impl<'de> Deserialize<'de> for Budget {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        BudgetConfig::deserialize(deserializer)?.build().map_err(D::Error::custom)
    }
}

#[cfg(feature = "http")]
mod replay {
    use alloc::string::ToString;

    use super::*;
    use crate::outcome::Replay;
    use crate::replay::ReplayRules;

    /// [`ReplayRules`] as they are written.
    #[derive(Serialize, Deserialize)]
    #[serde(default, deny_unknown_fields)]
    struct ReplayConfig {
        repeatable_methods: Vec<String>,
        other_methods: Replay,
        idempotency_key: bool,
    }

    impl Default for ReplayConfig {
        fn default() -> Self {
            Self::from(&ReplayRules::default())
        }
    }

    impl From<&ReplayRules> for ReplayConfig {
        fn from(rules: &ReplayRules) -> Self {
            Self {
                repeatable_methods: rules.repeatable.iter().map(ToString::to_string).collect(),
                other_methods: rules.others,
                idempotency_key: rules.idempotency_key,
            }
        }
    }

    impl Serialize for ReplayRules {
        fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            ReplayConfig::from(self).serialize(serializer)
        }
    }

    impl<'de> Deserialize<'de> for ReplayRules {
        fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
            let config = ReplayConfig::deserialize(deserializer)?;
            let rules = Self::of(config.repeatable_methods.iter().map(String::as_str))
                .map_err(D::Error::custom)?;
            Ok(rules.others(config.other_methods).idempotency_key(config.idempotency_key))
        }
    }
}
