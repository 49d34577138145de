//! What must never happen, and that it did.

use core::fmt;

use redial_engine::Timestamp;

/// A rule that holds after every event of a run (R-S-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Invariant {
    /// No more attempts than the policy allows (R-D-1).
    Attempts,
    /// Nothing is sent again that may not be (R-D-4, R-X-6).
    Replay,
    /// Nothing begins at or after the deadline, and no call outlives it (R-T-5).
    Deadline,
    /// Nothing is sent before its wait is over, and waits are what the policy says (R-B, R-RA).
    Wait,
    /// The budget's arithmetic, and who it refuses (R-G).
    Budget,
    /// Each call ends once, with what its attempts came to (R-C-4, R-D-9).
    End,
    /// Nothing is done for a call that is over or was dropped (R-T-7).
    Silence,
    /// Time does not go back.
    Time,
    /// Every attempt sends the body that the first one sent (R-D-5).
    Body,
    /// Every request has the headers that it was given, and no others (R-C-1, R-C-2, R-C-12).
    Headers,
    /// A call has one send under way at a time.
    OneAtATime,
    /// What a transport says of an exchange is what happened (R-X-4, `Delivery`).
    Report,
    /// No more connections than allowed, none for nothing (R-P-1, R-X-7).
    Pool,
    /// Everything comes to its end once nothing goes wrong any more.
    Liveness,
}

/// An invariant that does not hold.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// Which one.
    pub invariant: Invariant,
    /// When.
    pub at: Timestamp,
    /// By which call; `None` where it is by all of them together.
    pub call: Option<u32>,
    /// What was seen, and what was expected.
    pub what: String,
}

impl Violation {
    pub(crate) const fn new(
        invariant: Invariant,
        at: Timestamp,
        call: Option<u32>,
        what: String,
    ) -> Self {
        Self { invariant, at, call, what }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { invariant, at, call, what } = self;
        let at = at.saturating_since(Timestamp::ORIGIN);
        write!(f, "{invariant:?} violated at {at:?}")?;
        if let Some(call) = call {
            write!(f, " by call {call}")?;
        }
        write!(f, ": {what}")
    }
}

impl core::error::Error for Violation {}
