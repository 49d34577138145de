//! Sets of statuses and of failure kinds: bits, so that a policy needs no allocation.

use crate::outcome::FailureKind;

/// The least status code there is (RFC 9110 15).
const MIN_STATUS: u16 = 100;
/// The greatest status code there is (RFC 9110 15).
const MAX_STATUS: u16 = 999;

const WORDS: usize = 16;

/// A set of status codes, 100 to 999.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Statuses([u64; WORDS]);

impl Statuses {
    pub(crate) const fn of(statuses: &[u16]) -> Self {
        let mut set = Self([0; WORDS]);
        let mut rest = statuses;
        while let [status, others @ ..] = rest {
            set = set.with(*status, true);
            rest = others;
        }
        set
    }

    /// The same set with or without a status; unchanged where it is no status at all.
    #[must_use]
    pub(crate) const fn with(mut self, status: u16, member: bool) -> Self {
        if !is_status(status) {
            return self;
        }
        let bit = 1 << (status % 64);
        // A status is at most 999, and sixteen words hold 1024 bits.
        #[allow(clippy::indexing_slicing)]
        let word = &mut self.0[(status / 64) as usize];
        *word = if member { *word | bit } else { *word & !bit };
        self
    }

    #[inline]
    pub(crate) fn contains(&self, status: u16) -> bool {
        self.0.get(usize::from(status / 64)).is_some_and(|word| word >> (status % 64) & 1 == 1)
    }

    #[cfg(feature = "serde")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = u16> {
        (MIN_STATUS..=MAX_STATUS).filter(|status| self.contains(*status))
    }
}

/// Whether this is a status code at all.
pub(crate) const fn is_status(status: u16) -> bool {
    MIN_STATUS <= status && status <= MAX_STATUS
}

/// A set of failure kinds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Failures(u32);

impl Failures {
    pub(crate) const fn of(kinds: &[FailureKind]) -> Self {
        let mut set = Self(0);
        let mut rest = kinds;
        while let [kind, others @ ..] = rest {
            set = set.with(*kind, true);
            rest = others;
        }
        set
    }

    #[must_use]
    pub(crate) const fn with(self, kind: FailureKind, member: bool) -> Self {
        Self(if member { self.0 | kind.bit() } else { self.0 & !kind.bit() })
    }

    #[inline]
    pub(crate) const fn contains(&self, kind: FailureKind) -> bool {
        self.0 & kind.bit() != 0
    }

    #[cfg(feature = "serde")]
    pub(crate) fn iter(&self) -> impl Iterator<Item = FailureKind> {
        FailureKind::ALL.iter().copied().filter(|kind| self.contains(*kind))
    }
}
