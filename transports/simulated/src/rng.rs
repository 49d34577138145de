//! Randomness that one seed fixes, in streams that do not disturb each other.

use core::convert::Infallible;
use core::fmt;
use core::num::ParseIntError;
use core::str::FromStr;

use rand_core::{Rng as _, SeedableRng as _, TryRng};
use rand_xoshiro::Xoshiro256PlusPlus;

/// What fixes a whole simulation.
///
/// It is written and read in hexadecimal, as `0x2a`; plain decimal numbers are read too.
///
/// ```
/// use redial_sim::Seed;
///
/// let seed: Seed = "0x2a".parse()?;
/// assert_eq!(seed, Seed(42));
/// assert_eq!(seed.to_string(), "0x2a");
/// # Ok::<(), core::num::ParseIntError>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "a seed is its number")]
pub struct Seed(pub u64);

impl Seed {
    /// The stream of randomness that has this name.
    ///
    /// Streams of different names have nothing in common, so that a draw more in one of them shifts
    /// no other: faults stay where they are when a model of latency draws once more.
    pub fn stream(self, name: &str) -> Stream {
        let named = mix(self.0 ^ mix(hash(name)));
        Stream(Xoshiro256PlusPlus::seed_from_u64(named))
    }

    /// The seed of one part among many, such as a client or a run.
    #[must_use]
    pub const fn child(self, index: u64) -> Self {
        Self(mix(self.0.wrapping_add(mix(index.wrapping_add(GOLDEN)))))
    }
}

impl fmt::Display for Seed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.0)
    }
}

impl FromStr for Seed {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, ParseIntError> {
        match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).map(Self),
            None => text.parse().map(Self),
        }
    }
}

/// A stream of randomness: xoshiro256++, the same on every machine.
///
/// Each helper draws a fixed number of times, so that what is drawn next never depends on what was
/// drawn before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream(Xoshiro256PlusPlus);

impl Stream {
    /// A number below `bound`; zero where that is zero. One draw.
    ///
    /// The highest bits of a product, without rejection: no number is off its share by more than
    /// `bound` in 2^64.
    #[inline]
    pub fn below(&mut self, bound: u64) -> u64 {
        let product = u128::from(self.next_u64()) * u128::from(bound);
        (product >> 64) as u64
    }

    /// A number from `low` up to `high`, both included; `low` where `high` is less. One draw.
    #[inline]
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        let span = u128::from(high.saturating_sub(low)) + 1;
        let product = u128::from(self.next_u64()) * span;
        // At most the difference of the two.
        low + (product >> 64) as u64
    }

    /// True in `numerator` of `denominator` cases; never where the denominator is zero. One draw.
    #[inline]
    pub fn chance(&mut self, numerator: u64, denominator: u64) -> bool {
        self.below(denominator) < numerator.min(denominator)
    }

    /// A number from 0 up to, but not including, 1: 53 bits. One draw.
    #[inline]
    pub fn unit(&mut self) -> f64 {
        const BITS: u32 = 53;
        (self.next_u64() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }

    /// An exponential deviate of mean 1: the time between events that keep no appointments. One
    /// draw.
    #[inline]
    pub fn exponential(&mut self) -> f64 {
        // From above 0 up to 1, so that the logarithm is finite.
        -libm::log(1.0 - self.unit())
    }

    /// A normal deviate of mean 0 and deviation 1 (Box and Muller). Two draws.
    pub fn normal(&mut self) -> f64 {
        let radius = libm::sqrt(2.0 * self.exponential());
        radius * libm::cos(core::f64::consts::TAU * self.unit())
    }
}

impl TryRng for Stream {
    type Error = Infallible;

    #[inline]
    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.0.try_next_u32()
    }

    #[inline]
    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.0.try_next_u64()
    }

    #[inline]
    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.0.try_fill_bytes(bytes)
    }
}

const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// Spreads every bit over all others (the finalizer of SplitMix64).
const fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// FNV-1a.
fn hash(name: &str) -> u64 {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_are_frozen() {
        // Traces of old seeds rest on these numbers.
        let mut faults = Seed(1).stream("faults");
        let mut jitter = Seed(1).stream("jitter");
        let drawn = [
            faults.next_u64(),
            faults.next_u64(),
            jitter.next_u64(),
            Seed(1).child(0).0,
            Seed(1).stream("e").exponential().to_bits(),
            Seed(1).stream("n").normal().to_bits(),
        ];
        let frozen = [
            0xc5fd_e634_e223_6c3d,
            0xa74a_df41_6140_7cc2,
            0x92f2_b7dc_0738_0a48,
            0xea85_68d2_e45f_d6cb,
            0x3ff3_6cee_3d9c_a73e,
            0x3faf_a6d2_6f07_0092,
        ];
        assert_eq!(drawn, frozen);
    }

    #[test]
    fn numbers_keep_within_their_bounds() {
        let mut stream = Seed(7).stream("bounds");
        for bound in [1, 2, 3, 1000, u64::MAX] {
            for _ in 0..1000 {
                assert!(stream.below(bound) < bound);
                assert!((5..=bound.max(5)).contains(&stream.between(5, bound)));
            }
        }
        assert_eq!(stream.below(0), 0);
        assert_eq!(stream.between(0, u64::MAX), Seed(7).clone_after(5 * 2000 + 1));
        assert!(!stream.chance(1, 0) && !stream.chance(0, 9) && stream.chance(9, 9));
    }

    impl Seed {
        /// The number that the stream of the test above gives after so many draws.
        fn clone_after(self, draws: usize) -> u64 {
            let mut stream = self.stream("bounds");
            (0..draws).for_each(|_| _ = stream.next_u64());
            stream.next_u64()
        }
    }

    #[test]
    fn deviates_have_the_moments_that_they_should() {
        const COUNT: u32 = 200_000;
        let mut stream = Seed(3).stream("moments");
        let (mut sum, mut normal_sum, mut squares) = (0.0, 0.0, 0.0);
        for _ in 0..COUNT {
            sum += stream.exponential();
            let normal = stream.normal();
            normal_sum += normal;
            squares += normal * normal;
        }
        let mean = |sum: f64| sum / f64::from(COUNT);
        assert!((mean(sum) - 1.0).abs() < 0.01, "{}", mean(sum));
        assert!(mean(normal_sum).abs() < 0.01, "{}", mean(normal_sum));
        assert!((mean(squares) - 1.0).abs() < 0.02, "{}", mean(squares));
    }
}
