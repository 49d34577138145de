//! How long calls took: counts in classes that grow with the length, so that each is exact to a
//! hundredth.

use core::time::Duration;

/// How long calls took that succeeded, to a hundredth.
///
/// A class holds lengths that agree in their first eight bits (below 256 ns, in all of them).
#[derive(Clone, Debug, Default)]
pub struct Latency {
    /// As many classes as have been needed.
    classes: Vec<u64>,
    count: u64,
    /// Nanoseconds.
    max: u64,
}

/// The bits in which the lengths of a class agree, without the highest.
const BITS: u32 = 7;

impl Latency {
    #[inline]
    pub(super) fn record(&mut self, nanos: u64) {
        let class = class(nanos);
        if class >= self.classes.len() {
            self.classes.resize(class + 1, 0);
        }
        if let Some(count) = self.classes.get_mut(class) {
            *count += 1;
        }
        self.count += 1;
        self.max = self.max.max(nanos);
    }

    /// How many lengths there are.
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The length within which so many of a thousand calls succeeded; `None` where none did.
    pub fn permille(&self, permille: u32) -> Option<Duration> {
        let wanted = u128::from(self.count) * u128::from(permille);
        let wanted = u64::try_from(wanted.div_ceil(1000)).unwrap_or(self.count).max(1);
        let mut seen = 0;
        for (class, count) in self.classes.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Some(Duration::from_nanos(longest(class).min(self.max)));
            }
        }
        None
    }

    /// The longest; `None` where no call succeeded.
    pub fn max(&self) -> Option<Duration> {
        (self.count > 0).then(|| Duration::from_nanos(self.max))
    }
}

/// Which class a length belongs to.
#[inline]
const fn class(nanos: u64) -> usize {
    match nanos.checked_ilog2() {
        Some(highest) if highest > BITS => {
            let shift = highest - BITS;
            ((shift as usize) << BITS) + (nanos >> shift) as usize
        }
        Some(_) | None => nanos as usize,
    }
}

/// The longest length of a class.
const fn longest(class: usize) -> u64 {
    let shift = (class >> BITS).saturating_sub(1);
    let head = (class - (shift << BITS)) as u64;
    // The highest class ends with the longest length that there is.
    (((head as u128 + 1) << shift) - 1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_lies_in_a_class_that_is_exact_to_a_hundredth() {
        let mut before = 0;
        let lengths = (0..64).flat_map(|bit| {
            let power = 1_u64 << bit;
            [power - 1, power, power + power / 3, power + (power - 1)]
        });
        for nanos in lengths {
            let longest = longest(class(nanos));
            assert!(longest >= nanos && longest - nanos <= nanos / 100, "{nanos}: {longest}");
            assert!(class(nanos) >= before, "{nanos}");
            before = class(nanos);
        }
        assert_eq!(longest(class(u64::MAX)), u64::MAX);
    }

    #[test]
    fn percentiles_are_those_of_the_lengths() {
        let mut latency = Latency::default();
        assert_eq!((latency.permille(500), latency.max()), (None, None));
        for milliseconds in 1..=1000 {
            latency.record(milliseconds * 1_000_000);
        }
        for permille in [1, 500, 990, 999, 1000] {
            let found = latency.permille(permille).expect("there are lengths").as_secs_f64();
            let wanted = f64::from(permille) / 1000.0;
            assert!((found / wanted - 1.0).abs() < 0.01, "{permille}: {found}");
        }
        assert_eq!(latency.max(), Some(Duration::from_secs(1)));
    }
}
