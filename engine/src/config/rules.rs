//! Which requests are repeated, and which headers are hints, as they are written.

use alloc::string::String;
use alloc::vec::Vec;

use http::Method;
use serde::de::{Error, Unexpected};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reading::strict;
use crate::hints::HintRules;
use crate::outcome::Replay;
use crate::replay::ReplayRules;

/// A method by its name.
struct Named(Method);

impl Serialize for Named {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.as_str())
    }
}

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let expected = "the name of a method, such as \"POST\"";
        Method::from_bytes(name.as_bytes())
            .map(Self)
            .map_err(|_| D::Error::invalid_value(Unexpected::Str(&name), &expected))
    }
}

/// [`ReplayRules`] as they are written.
#[derive(Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table of rules for repeating requests")]
struct ReplayConfig {
    repeatable_methods: Vec<Named>,
    #[serde(serialize_with = "word", deserialize_with = "strict")]
    other_methods: Replay,
    idempotency_key: bool,
}

/// Writes what [`strict`] reads, also where a format has variants of its own.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn word<S: Serializer>(replay: &Replay, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(match replay {
        Replay::Freely => "freely",
        Replay::IfUnsent => "if_unsent",
        Replay::Never => "never",
    })
}

impl Default for ReplayConfig {
    fn default() -> Self {
        Self::from(ReplayRules::default())
    }
}

impl From<ReplayRules> for ReplayConfig {
    fn from(rules: ReplayRules) -> Self {
        Self {
            repeatable_methods: rules.repeatable.into_iter().map(Named).collect(),
            other_methods: rules.others,
            idempotency_key: rules.idempotency_key,
        }
    }
}

impl Serialize for ReplayRules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        ReplayConfig::from(self.clone()).serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for ReplayRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config: ReplayConfig = strict(deserializer)?;
        Ok(Self {
            repeatable: config.repeatable_methods.into_iter().map(|method| method.0).collect(),
            others: config.other_methods,
            idempotency_key: config.idempotency_key,
        })
    }
}

/// [`HintRules`] as they are written.
#[derive(Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "a table of the headers that are hints")]
struct HintsConfig {
    retry_after_ms: bool,
    rate_limit: bool,
    should_retry: bool,
}

impl Serialize for HintRules {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { retry_after_ms, rate_limit, should_retry } = *self;
        HintsConfig { retry_after_ms, rate_limit, should_retry }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for HintRules {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let HintsConfig { retry_after_ms, rate_limit, should_retry } = strict(deserializer)?;
        Ok(Self { retry_after_ms, rate_limit, should_retry })
    }
}
