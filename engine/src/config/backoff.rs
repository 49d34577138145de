//! Backoff and its jitter, as they are written.

use serde::de::Error;
use serde::ser::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::reading::{Length, Whole, strict};
use super::{checked, fits, given, kinds};
use crate::backoff::{Backoff, BackoffError, Jitter, Shape};
use crate::time::duration;

checked! {
    /// R-B-4.
    Base(Length): core::time::Duration, |base| Backoff::fixed(base).check();
    /// R-B-2.
    Share(Whole<u8, 100>): u8, |percent| {
        Backoff::DEFAULT.jitter(Jitter::Proportional { from_percent: percent }).check()
    };
}

kinds! {
    /// The variants of [`Jitter`].
    JitterKind {
        None = "none" [],
        Proportional = "proportional" ["from_percent"],
        Full = "full" [],
        Equal = "equal" [],
        Decorrelated = "decorrelated" [],
    }
}

/// A [`Jitter`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the kind of the jitter, such as { kind = \"full\" }"
)]
struct JitterConfig {
    kind: JitterKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    from_percent: Option<Share>,
}

impl Serialize for Jitter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, from_percent) = match *self {
            Self::None => (JitterKind::None, None),
            Self::Proportional { from_percent } => {
                (JitterKind::Proportional, Some(Share(Whole(from_percent))))
            }
            Self::Full => (JitterKind::Full, None),
            Self::Equal => (JitterKind::Equal, None),
            Self::Decorrelated => (JitterKind::Decorrelated, None),
        };
        JitterConfig { kind, from_percent }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Jitter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config: JitterConfig = strict(deserializer)?;
        fits(config.kind.name(), config.kind.fields(), &given!(config: from_percent))?;
        Ok(match config.kind {
            JitterKind::None => Self::None,
            JitterKind::Proportional => {
                let missing = || D::Error::missing_field("from_percent");
                Self::Proportional { from_percent: config.from_percent.ok_or_else(missing)?.get() }
            }
            JitterKind::Full => Self::Full,
            JitterKind::Equal => Self::Equal,
            JitterKind::Decorrelated => Self::Decorrelated,
        })
    }
}

kinds! {
    /// The shapes that are data.
    BackoffKind {
        Exponential = "exponential" ["base", "cap", "jitter"],
        Fixed = "fixed" ["wait", "cap", "jitter"],
    }
}

/// A [`Backoff`] as it is written.
#[derive(Serialize, Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "a table with the kind of the backoff, such as { kind = \"exponential\", base = \"1s\" }"
)]
struct BackoffConfig {
    kind: BackoffKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    base: Option<Base>,
    #[serde(skip_serializing_if = "Option::is_none")]
    wait: Option<Base>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cap: Option<Length>,
    #[serde(skip_serializing_if = "Option::is_none")]
    jitter: Option<Jitter>,
}

impl Serialize for Backoff {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let written = |nanos| Some(Base(Length(duration(nanos))));
        let (kind, base, wait) = match self.shape {
            Shape::Exponential { base } => (BackoffKind::Exponential, written(base), None),
            Shape::Fixed { wait } => (BackoffKind::Fixed, None, written(wait)),
            Shape::Custom(_) => {
                return Err(S::Error::custom(
                    "a backoff of one's own is code and cannot be written",
                ));
            }
        };
        let (cap, jitter) = (Some(Length(duration(self.cap))), Some(self.jitter));
        BackoffConfig { kind, base, wait, cap, jitter }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Backoff {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let config: BackoffConfig = strict(deserializer)?;
        let BackoffConfig { kind, base, wait, cap, jitter } = config;
        fits(kind.name(), kind.fields(), &given!(config: base, wait, cap, jitter))?;
        let needed = |field: Option<Base>, name| {
            field.map(Base::get).ok_or_else(|| D::Error::missing_field(name))
        };
        let backoff = match kind {
            BackoffKind::Exponential => Self::exponential(needed(base, "base")?),
            BackoffKind::Fixed => Self::fixed(needed(wait, "wait")?),
        };
        let backoff = backoff.jitter(jitter.unwrap_or_default());
        let backoff = cap.map_or(backoff, |cap| backoff.cap(cap.0));
        backoff.check().map(|()| backoff).map_err(|error: BackoffError| D::Error::custom(error))
    }
}
