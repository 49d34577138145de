//! What happens only sometimes, and must happen some time.

use core::fmt;

use crate::scenario::Level;

macro_rules! sometimes {
    ($($(#[$doc:meta])* $variant:ident,)*) => {
        /// Something rare that a run may come to. A search in which one of them never occurs has
        /// not looked everywhere.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum Sometimes {
            $($(#[$doc])* $variant,)*
        }

        impl Sometimes {
            /// Each of them once.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];
        }
    };
}

sometimes! {
    /// A call succeeded at once.
    FirstTry,
    /// A call succeeded after a retry.
    Recovered,
    /// A final status came.
    FinalStatus,
    /// A final failure came.
    FinalFailure,
    /// A request might have been carried out twice, and was not repeated.
    NotRepeatable,
    /// A request was repeated because it was proved unsent.
    ProvedUnsent,
    /// A one-shot body was spent.
    BodySpent,
    /// A one-shot body was not pulled, and sent later.
    BodyKept,
    /// All attempts were made.
    AttemptsExhausted,
    /// The server asked for a wait, and got it.
    HintHeeded,
    /// The server asked for too long a wait.
    HintBeyondCap,
    /// A wait would have ended after the deadline.
    DeadlineCutWait,
    /// A timer was so late that the deadline was past.
    DeadlineWhileAsleep,
    /// The deadline was past before anything was sent.
    DeadlinePast,
    /// A call could be sent nowhere, and was not.
    Unsendable,
    /// The deadline cut an attempt.
    DeadlineCutAttempt,
    /// An attempt took longer than its own timeout.
    AttemptTimeout,
    /// The budget refused a retry.
    BudgetExhausted,
    /// A request was sent again at once, for its connection had died unused. Not over HTTP/1.1 in
    /// virtual time: there the socket is asked and written to in one poll, and nothing comes in
    /// between.
    Resent,
    /// A call was dropped while it slept.
    CancelledAsleep,
    /// A call was dropped while it was being sent.
    CancelledSending,
    /// A response was handed over although a later attempt failed without one.
    EarlierResponse,
    /// The server carried a request out twice, which was allowed.
    ProcessedTwice,
    /// The machine was suspended.
    Suspended,
    /// The wall clock was stepped.
    WallStepped,
}

/// How often each of them has happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Coverage {
    counts: [u64; Sometimes::ALL.len()],
}

impl Coverage {
    pub(super) fn saw(&mut self, what: Sometimes) {
        if let Some(count) = self.counts.get_mut(what as usize) {
            *count += 1;
        }
    }

    /// How often this has happened.
    pub fn count(&self, what: Sometimes) -> u64 {
        self.counts.get(what as usize).copied().unwrap_or(0)
    }

    /// What has never happened, of all that can at this level.
    pub fn never(&self, level: Level) -> impl Iterator<Item = Sometimes> {
        let can = move |what: &Sometimes| level != Level::Bytes || *what != Sometimes::Resent;
        Sometimes::ALL.iter().copied().filter(can).filter(|what| self.count(*what) == 0)
    }

    /// Adds what happened elsewhere.
    pub fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
    }
}

impl Default for Coverage {
    fn default() -> Self {
        Self { counts: [0; Sometimes::ALL.len()] }
    }
}

impl fmt::Display for Coverage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for what in Sometimes::ALL {
            writeln!(f, "{:>12}  {what:?}", self.count(*what))?;
        }
        Ok(())
    }
}
