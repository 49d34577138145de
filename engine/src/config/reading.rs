//! How configurations are read, here and in the client's crate: no part of the interface.
//!
//! What serde reads by itself is too generous with tables, and speaks of Rust's types to people who
//! write TOML.

use core::fmt;
use core::marker::PhantomData;
use core::time::Duration;

use humantime_serde::re::humantime::parse_duration;
use serde::de::{Error, IntoDeserializer, MapAccess, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer, forward_to_deserialize_any};

/// Reads a struct from a table, or an enum without data from a word, and from nothing else.
///
/// A derived struct would be read from a list as well, by the order of its fields, and a word from
/// a table with the word as its key: nobody means to write either.
///
/// # Errors
///
/// Those of the format, also where there is something else.
pub fn strict<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    T::deserialize(Strictly(deserializer))
}

/// A value that is read by [`strict`].
#[derive(Debug)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct Strict<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Strict<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        strict(deserializer).map(Self)
    }
}

struct Strictly<D>(D);

impl<'de, D: Deserializer<'de>> Deserializer<'de> for Strictly<D> {
    type Error = D::Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_struct(name, fields, Fields(visitor))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        _name: &'static str,
        _words: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, D::Error> {
        self.0.deserialize_str(Word(visitor))
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, D::Error> {
        self.0.deserialize_any(visitor)
    }

    fn is_human_readable(&self) -> bool {
        self.0.is_human_readable()
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option
        unit unit_struct newtype_struct seq tuple tuple_struct map identifier ignored_any
    }
}

/// Takes a table alone: whatever else a visitor is handed is an error unless it says otherwise.
struct Fields<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Fields<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_map<A: MapAccess<'de>>(self, fields: A) -> Result<V::Value, A::Error> {
        self.0.visit_map(fields)
    }
}

/// Takes a word alone.
struct Word<V>(V);

impl<'de, V: Visitor<'de>> Visitor<'de> for Word<V> {
    type Value = V::Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.expecting(f)
    }

    fn visit_str<E: Error>(self, word: &str) -> Result<V::Value, E> {
        self.0.visit_enum(word.into_deserializer())
    }
}

/// A whole number, from zero to the largest that `T` holds.
///
/// `MOST` and `LEAST` are only said, where fewer than that have a meaning: whoever takes the number
/// checks it.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(transparent)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct Whole<T, const MOST: u64 = { u64::MAX }, const LEAST: u64 = 0>(pub T);

impl<'de, T: TryFrom<u64>, const MOST: u64, const LEAST: u64> Deserialize<'de>
    for Whole<T, MOST, LEAST>
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_u64(Digits::<T, MOST, LEAST>(PhantomData)).map(Self)
    }
}

struct Digits<T, const MOST: u64, const LEAST: u64>(PhantomData<T>);

impl<T: TryFrom<u64>, const MOST: u64, const LEAST: u64> Visitor<'_> for Digits<T, MOST, LEAST> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `T` is an unsigned number of as many bits.
        let bits = u32::try_from(size_of::<T>() * 8).unwrap_or(u64::BITS);
        let most = MOST.min(u64::MAX >> u64::BITS.saturating_sub(bits));
        write!(f, "a whole number from {LEAST} to {most}")
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        let wrong = |_| E::invalid_value(Unexpected::Unsigned(number), &self);
        T::try_from(number).map_err(wrong)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        match u64::try_from(number) {
            Ok(number) => self.visit_u64(number),
            Err(_) => Err(E::invalid_value(Unexpected::Signed(number), &self)),
        }
    }
}

/// A duration in words, as in `"1min 30s"`.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "a wrapper")]
pub struct Length(pub Duration);

impl Length {
    /// The duration that this text says.
    ///
    /// # Errors
    ///
    /// That it says none, and that `expected` was.
    pub fn parse<E: Error>(text: &str, expected: &dyn serde::de::Expected) -> Result<Self, E> {
        let wrong = |_| E::invalid_value(Unexpected::Str(text), expected);
        parse_duration(text).map(Self).map_err(wrong)
    }
}

impl Serialize for Length {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        humantime_serde::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Length {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Words;
        impl Visitor<'_> for Words {
            type Value = Length;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a duration such as \"250ms\", \"30s\" or \"5min\"")
            }

            fn visit_str<E: Error>(self, text: &str) -> Result<Length, E> {
                Length::parse(text, &self)
            }
        }
        deserializer.deserialize_str(Words)
    }
}
