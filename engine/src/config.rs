//! Policies, budgets and rules as configuration: what is written in TOML or JSON.
//!
//! Durations are written as `"250ms"`, `"1s"` or `"5min"`. A field that is left out has its
//! default; a field that does not exist is an error.
//!
//! A value that has no meaning by itself is refused where it is read, so that whoever follows the
//! path of a value can name its field; fields that do not go together are refused with their table.

mod backoff;
mod budget;
pub mod reading;
#[cfg(feature = "http")]
mod rules;

use alloc::string::String;
use alloc::vec::Vec;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use self::reading::{Length, Whole, strict};
use crate::backoff::Backoff;
use crate::outcome::FailureKind;
use crate::standard::{PolicyError, StandardPolicy};
use crate::tables::Statuses;
use crate::time::{FOREVER, duration};

/// Values that have to pass a check of the engine's own, whose words are the error's.
macro_rules! checked {
    ($($(#[$doc:meta])* $name:ident($by:ty): $inner:ty, |$value:ident| $check:expr;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Serialize)]
        #[serde(transparent)]
        pub(super) struct $name($by);

        impl $name {
            pub(super) const fn get(self) -> $inner {
                self.0.0
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let read = <$by>::deserialize(deserializer)?;
                let $value = read.0;
                $check.map(|_| Self(read)).map_err(D::Error::custom)
            }
        }
    )*};
}
use checked;

/// The kinds of a table: the name of each, and the fields that it has beside `kind`.
macro_rules! kinds {
    ($(#[$doc:meta])* $kind:ident { $($variant:ident = $name:literal [$($field:literal),*],)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy)]
        enum $kind {
            $($variant,)*
        }

        impl $kind {
            const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            const fn fields(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($field),*],)*
                }
            }
        }

        impl Serialize for $kind {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.name())
            }
        }

        impl<'de> Deserialize<'de> for $kind {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                match alloc::string::String::deserialize(deserializer)?.as_str() {
                    $($name => Ok(Self::$variant),)*
                    other => Err(D::Error::unknown_variant(other, &[$($name),*])),
                }
            }
        }
    };
}
use kinds;

/// Which of these fields a table has.
macro_rules! given {
    ($table:ident: $($field:ident),* $(,)?) => {
        [$((stringify!($field), $table.$field.is_some())),*]
    };
}
use given;

/// Refuses a field that belongs to tables of another kind.
fn fits<E: Error>(kind: &str, fields: &[&str], given: &[(&str, bool)]) -> Result<(), E> {
    let foreign = given.iter().find(|(name, given)| *given && !fields.contains(name));
    let Some((name, _)) = foreign else { return Ok(()) };
    let fields = if fields.is_empty() { String::from("none") } else { fields.join(", ") };
    Err(E::custom(format_args!(
        "{name} does not belong to kind = {kind:?}, whose fields are: {fields}"
    )))
}

impl Serialize for FailureKind {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for FailureKind {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|kind| kind.name()).collect();
            let names = names.join(", ");
            D::Error::custom(format_args!("no failure kind is named {name:?}: there are {names}"))
        })
    }
}

checked! {
    /// R-D-1.
    Attempts(Whole<u32, { u64::MAX }, 1>): u32, |attempts| StandardPolicy::builder().max_attempts(attempts).build();
    /// R-RA-8.
    Spread(Whole<u8, 100>): u8, |percent| StandardPolicy::builder().retry_after_spread(percent).build();
    /// R-D-2.
    Status(Whole<u16, 999, 100>): u16, |status| StandardPolicy::builder().retry_status(status).build();
}

/// A [`StandardPolicy`] as it is written. The tables are replaced by `retry_*`, and changed by
/// `also_*` and `never_*`.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table of the policy's fields")]
struct PolicyConfig {
    #[serde(skip_serializing_if = "Option::is_none")]
    max_attempts: Option<Attempts>,
    #[serde(skip_serializing_if = "Option::is_none")]
    attempt_timeout: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_timeout: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_max: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after_spread_percent: Option<Spread>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_statuses: Option<Vec<Status>>,
    #[serde(skip_serializing)]
    also_retry_statuses: Vec<Status>,
    #[serde(skip_serializing)]
    never_retry_statuses: Vec<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_failures: Option<Vec<FailureKind>>,
    #[serde(skip_serializing)]
    also_retry_failures: Vec<FailureKind>,
    #[serde(skip_serializing)]
    never_retry_failures: Vec<FailureKind>,
    #[serde(skip_serializing_if = "Option::is_none")]
    heed_hints_on: Option<Vec<Status>>,
    #[serde(skip_serializing)]
    also_heed_hints_on: Vec<Status>,
    #[serde(skip_serializing)]
    never_heed_hints_on: Vec<Status>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backoff: Option<Backoff>,
}

impl Serialize for StandardPolicy {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        PolicyConfig {
            max_attempts: Some(Attempts(Whole(self.limits.max_attempts.get()))),
            attempt_timeout: limit(self.limits.attempt_timeout),
            call_timeout: limit(self.limits.call_timeout),
            retry_after_max: Some(Length(duration(self.limits.retry_after_max))),
            retry_after_spread_percent: Some(Spread(Whole(self.limits.retry_after_spread))),
            retry_statuses: Some(statuses(self.statuses)),
            retry_failures: Some(self.failures.iter().collect()),
            heed_hints_on: Some(statuses(self.hint_statuses)),
            backoff: Some(self.backoff),
            ..PolicyConfig::default()
        }
        .serialize(serializer)
    }
}

/// A limit as it is written: no limit is left out.
fn limit(nanos: u64) -> Option<Length> {
    (nanos != FOREVER).then(|| Length(duration(nanos)))
}

fn statuses(table: Statuses) -> Vec<Status> {
    table.iter().map(|status| Status(Whole(status))).collect()
}

impl<'de> Deserialize<'de> for StandardPolicy {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict::<PolicyConfig, _>(deserializer)?.build().map_err(D::Error::custom)
    }
}

impl PolicyConfig {
    fn build(self) -> Result<StandardPolicy, PolicyError> {
        let mut policy = self.tables();
        if let Some(attempts) = self.max_attempts {
            policy = policy.max_attempts(attempts.get());
        }
        if let Some(timeout) = self.attempt_timeout {
            policy = policy.attempt_timeout(timeout.0);
        }
        if let Some(timeout) = self.call_timeout {
            policy = policy.call_timeout(timeout.0);
        }
        if let Some(wait) = self.retry_after_max {
            policy = policy.retry_after_max(wait.0);
        }
        if let Some(percent) = self.retry_after_spread_percent {
            policy = policy.retry_after_spread(percent.get());
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
        policy = statuses.fold(policy, |policy, status| policy.retry_status(status.get()));
        let never = &self.never_retry_statuses;
        policy =
            never.iter().fold(policy, |policy, status| policy.never_retry_status(status.get()));
        let failures = self.retry_failures.iter().flatten().chain(&self.also_retry_failures);
        policy = failures.fold(policy, |policy, kind| policy.retry_failure(*kind));
        let never = &self.never_retry_failures;
        policy = never.iter().fold(policy, |policy, kind| policy.never_retry_failure(*kind));
        let hints = self.heed_hints_on.iter().flatten().chain(&self.also_heed_hints_on);
        policy = hints.fold(policy, |policy, status| policy.heed_hint_on(status.get()));
        let never = &self.never_heed_hints_on;
        never.iter().fold(policy, |policy, status| policy.ignore_hint_on(status.get()))
    }
}
