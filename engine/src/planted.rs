//! Faults that are planted on purpose, to see that the suites notice each of them.
//!
//! They are there under `--cfg redial_planted` alone, which is for tests of the tests. Without it
//! `planted!` is the constant `false`, and a program has nothing of this file.

use core::sync::atomic::{AtomicUsize, Ordering};

macro_rules! faults {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $($requirement:literal)+;)*) => {
        /// One fault: an engine, a client or a transport that is wrong in one way.
        #[allow(clippy::exhaustive_enums, reason = "it is for tests, which know them all")]
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Fault {
            $($(#[$doc])* $variant,)*
        }

        impl Fault {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The name by which it is chosen.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }

            /// The requirements that it breaks.
            pub const fn breaks(self) -> &'static [&'static str] {
                match self {
                    $(Self::$variant => &[$($requirement),+],)*
                }
            }
        }
    };
}

faults! {
    /// One attempt too many.
    OneAttemptMore = "one-attempt-more", "R-D-1";
    /// A 504 is taken for final.
    GatewayTimeoutFinal = "gateway-timeout-final", "R-D-2";
    /// A broken connection is taken for final.
    ResetFinal = "reset-final", "R-D-3";
    /// What must not be repeated is.
    PostRepeated = "post-repeated", "R-D-4" "R-X-6";
    /// A one-shot body that was pulled is sent again.
    SpentBodySent = "spent-body-sent", "R-D-5";
    /// What a user adds to a table is forgotten.
    TableForgotten = "table-forgotten", "R-D-6";
    /// A connection that died unused costs an attempt.
    StaleCounted = "stale-counted", "R-D-7";
    /// A body that was cut off is taken for whole.
    TruncatedAccepted = "truncated-accepted", "R-D-8" "R-X-4";
    /// The reasons are looked at in another order.
    ReasonsInDisorder = "reasons-in-disorder", "R-D-9";
    /// Nobody listens to `x-should-retry`.
    ShouldRetryIgnored = "should-retry-ignored", "R-D-10";
    /// The wait does not grow.
    BackoffNotDoubled = "backoff-not-doubled", "R-B-1";
    /// The jitter goes beyond the cap.
    JitterBeyondCap = "jitter-beyond-cap", "R-B-1";
    /// Where no jitter is wanted, the wait is halved.
    HalvedWithoutJitter = "halved-without-jitter", "R-B-2";
    /// Every wait has the same jitter.
    SameJitter = "same-jitter", "R-B-3";
    /// Nobody listens to `Retry-After`.
    RetryAfterIgnored = "retry-after-ignored", "R-RA-1";
    /// What begins with digits is a number.
    FractionIsHint = "fraction-is-hint", "R-RA-2";
    /// A date is measured against this machine's clock.
    DateByWallClock = "date-by-wall-clock", "R-RA-3";
    /// Zero is a hint: come back at once.
    ZeroIsHint = "zero-is-hint", "R-RA-4";
    /// Of several hints the shortest counts.
    ShortestHint = "shortest-hint", "R-RA-5";
    /// A wait beyond the cap is cut to it.
    HintShortened = "hint-shortened", "R-RA-6";
    /// A number that is too long is none.
    LongNumberIgnored = "long-number-ignored", "R-RA-7";
    /// A hint that has to be switched on counts without.
    MillisecondsAlways = "milliseconds-always", "R-RA-8";
    /// An attempt that the server asked for is not counted.
    HintedForFree = "hinted-for-free", "R-RA-9";
    /// The second attempt knows no deadline.
    DeadlineForgotten = "deadline-forgotten", "R-T-5";
    /// A deadline that is past is looked at when the attempt is over.
    PastDeadlineSends = "past-deadline-sends", "R-T-8";
    /// A retry costs nothing.
    BudgetNotCharged = "budget-not-charged", "R-G-1";
    /// The budget's threshold does not count.
    ThresholdIgnored = "threshold-ignored", "R-G-2";
    /// What comes back to the budget comes back twice.
    RefundedTwice = "refunded-twice", "R-G-2" "R-G-3";
    /// A connection that is closed at once is tried again without a word.
    HiddenResend = "hidden-resend", "R-X-7";
    /// Default headers go to every origin.
    DefaultsEverywhere = "defaults-everywhere", "R-C-1";
    /// A default header replaces that of the request.
    DefaultWins = "default-wins", "R-C-2";
    /// From the second attempt on the body is empty.
    EmptyBodyAgain = "empty-body-again", "R-C-3";
    /// A call that gives up hands over its last error, and no response.
    ResponseLost = "response-lost", "R-C-4";
    /// A client that was closed serves on.
    ClosedServes = "closed-serves", "R-C-6";
    /// Every attempt has an idempotency key of its own.
    NewKeyEachTime = "new-key-each-time", "R-C-12";
    /// The client asks for compressed responses.
    EncodingAccepted = "encoding-accepted", "R-C-13";
    /// A URL that is written to be read in two ways is taken.
    TricksTaken = "tricks-taken", "R-X-1" "R-C-1";
    /// The response is held while the call sleeps.
    HeldWhileAsleep = "held-while-asleep", "R-P-10";
    /// A connection that is gone, such as that of a call that was dropped, keeps its slot.
    SlotLeaked = "slot-leaked", "R-T-7";
    /// No connect timeout.
    ConnectForEver = "connect-for-ever", "R-T-1";
    /// No read timeout.
    ReadForEver = "read-for-ever", "R-T-2";
    /// No write timeout.
    WriteForEver = "write-for-ever", "R-T-3";
    /// No pool timeout.
    QueueForEver = "queue-for-ever", "R-T-4";
    /// The limits of an attempt do not reach the transport.
    CutoffIgnored = "cutoff-ignored", "R-X-8" "R-T-5";
    /// One connection too many.
    OneConnectionMore = "one-connection-more", "R-P-1";
    /// All idle connections are kept.
    SurplusKept = "surplus-kept", "R-P-2";
    /// Idle connections are kept for ever.
    NeverExpires = "never-expires", "R-P-3";
    /// No idle connection makes room.
    NoEviction = "no-eviction", "R-P-4";
    /// Who comes last is served first.
    LastComeFirst = "last-come-first", "R-P-5";
    /// Every HTTP/2 connection has one stream at a time.
    StreamsNotShared = "streams-not-shared", "R-P-6";
    /// Every request has a connection of its own.
    NeverReused = "never-reused", "R-P-7";
    /// What was used again is not counted.
    FiguresForgotten = "figures-forgotten", "R-P-9";
    /// HTTP/2 is not spoken.
    Http1Alone = "http1-alone", "R-C-5";
    /// Limits are twice what was said.
    LimitsDoubled = "limits-doubled", "R-C-11";
    /// A head may be of any size.
    HeadUnlimited = "head-unlimited", "R-X-2";
    /// A connection that is out of step is used again.
    OutOfStepReused = "out-of-step-reused", "R-X-3" "R-P-8";
    /// A certificate that is refused is taken for a network that is down.
    RefusalRetried = "refusal-retried", "R-X-5";
}

/// The planted fault's place in [`Fault::ALL`], counted from one; zero for none.
static PLANTED: AtomicUsize = AtomicUsize::new(0);

/// Plants the fault of this name, for the whole process, instead of any other; answers whether
/// there is one.
pub fn plant(name: &str) -> bool {
    let place = Fault::ALL.iter().position(|fault| fault.name() == name);
    PLANTED.store(place.map_or(0, |place| place + 1), Ordering::SeqCst);
    place.is_some()
}

/// Whether this fault is planted.
pub fn is_planted(fault: Fault) -> bool {
    PLANTED.load(Ordering::Relaxed) == fault as usize + 1
}
