//! Time as the engine sees it: a number that the caller reads from a clock of its own.

use core::fmt;
use core::time::Duration;

const NANOS_PER_SECOND: u64 = 1_000_000_000;

/// In nanoseconds, the length of a timeout that is not set.
pub(crate) const FOREVER: u64 = u64::MAX;

/// The least whole number of seconds beside which not every fraction of one has room.
const TIGHT: u64 = FOREVER / NANOS_PER_SECOND;

/// A point in time: whole nanoseconds since an origin that the caller chose.
///
/// The engine has no clock. It compares and adds what it is given, so any monotonic source will do
/// (the start of the process, a virtual clock, a hardware counter), as long as every timestamp of
/// one call and of its upstream comes from the same source. The range is 584 years; arithmetic
/// saturates at both ends and never panics (R-T-8).
///
/// ```
/// use core::time::Duration;
/// use redial_engine::Timestamp;
///
/// let start = Timestamp::ORIGIN;
/// let later = start.saturating_add(Duration::from_secs(2));
/// assert_eq!(later.saturating_since(start), Duration::from_secs(2));
/// assert_eq!(start.saturating_since(later), Duration::ZERO);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The origin itself.
    pub const ORIGIN: Self = Self(0);

    /// The last representable point in time: as a deadline, it never comes.
    pub const MAX: Self = Self(u64::MAX);

    /// The point in time that lies `nanos` nanoseconds after the origin.
    pub const fn from_nanos(nanos: u64) -> Self {
        Self(nanos)
    }

    /// How many nanoseconds after the origin this is.
    pub const fn as_nanos(self) -> u64 {
        self.0
    }

    /// This point in time, moved on by `duration`; [`Timestamp::MAX`] where the sum has no room.
    pub const fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(nanos(duration)))
    }

    /// This point in time, moved on by `duration`; `None` where the sum has no room: it never comes.
    pub const fn checked_add(self, duration: Duration) -> Option<Self> {
        match self.saturating_add(duration) {
            Self::MAX => None,
            sum => Some(sum),
        }
    }

    /// The same in nanoseconds.
    #[inline]
    pub(crate) const fn after(self, nanos: u64) -> Self {
        Self(self.0.saturating_add(nanos))
    }

    /// The time from `earlier` to this; zero where `earlier` is in fact later (R-T-6).
    pub const fn saturating_since(self, earlier: Self) -> Duration {
        duration(self.0.saturating_sub(earlier.0))
    }
}

impl fmt::Display for Timestamp {
    /// Writes the time since the origin, as [`Duration`] does.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&duration(self.0), f)
    }
}

/// Whole nanoseconds of a duration; `u64::MAX` (584 years) stands for all that is longer.
///
/// Plain arithmetic where there is room for it: behind [`duration`] the compiler folds that to
/// nothing, and saturating arithmetic it would carry out.
#[inline]
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let (seconds, rest) = (duration.as_secs(), duration.subsec_nanos() as u64);
    if seconds < TIGHT {
        seconds * NANOS_PER_SECOND + rest
    } else {
        seconds.saturating_mul(NANOS_PER_SECOND).saturating_add(rest)
    }
}

/// The inverse of [`nanos`].
#[inline]
pub(crate) const fn duration(nanos: u64) -> Duration {
    Duration::from_nanos(nanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_the_range_are_survived() {
        assert_eq!(Timestamp::MAX.saturating_add(Duration::MAX), Timestamp::MAX);
        assert_eq!(Timestamp::ORIGIN.saturating_since(Timestamp::MAX), Duration::ZERO);
        assert_eq!(duration(nanos(Duration::MAX)), Duration::from_nanos(u64::MAX));
    }
}
