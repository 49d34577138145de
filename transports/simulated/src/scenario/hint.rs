//! What the headers of a response say of when to come back, rightly and wrongly.

use core::fmt;
use core::str::FromStr;
use core::time::Duration;
use std::time::{SystemTime, UNIX_EPOCH};

use super::text::Unreadable;

/// By how much the server's clock is ahead of the client's.
const SKEW: Duration = Duration::from_secs(3_600);
/// What dates ask for.
const DATED: Duration = Duration::from_secs(2);
/// What the header that counts milliseconds asks for.
const IN_MILLIS: Duration = Duration::from_millis(700);

/// What a response says of when to come back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Hint {
    /// Nothing.
    Nothing,
    /// `Retry-After`: so many seconds.
    Seconds(u32),
    /// `Retry-After`: zero, which says nothing (R-RA-4).
    Zero,
    /// `Retry-After`: 1.5, which is no number of seconds (R-RA-2).
    Fraction,
    /// `Retry-After`: 25 digits (R-RA-7).
    Long,
    /// Two lines, of one second and of two: the longest counts (R-RA-5).
    Two,
    /// A word, and a line of two seconds: the word does not count (R-RA-5).
    Garbled,
    /// Two seconds after the response's own `Date`, which is an hour ahead (R-RA-3).
    Date,
    /// A date without a `Date` beside it: two to three seconds after the client's own time (R-RA-3).
    Wall,
    /// A date that is past (R-RA-4).
    Past,
    /// 700 milliseconds, where that counts, and else two seconds (R-RA-8).
    Millis,
    /// Not at all, where that counts (R-D-10).
    Never,
    /// Whatever the status is, where that counts (R-D-10).
    Again,
}

/// How long a client must find that it was asked to wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asked {
    /// It was not.
    Nothing,
    /// Exactly so long.
    Exactly(Duration),
    /// By its own clock: so long at most, and hardly less.
    AtMost(Duration),
    /// Longer than any client waits.
    ForEver,
}

const NAMES: [(Hint, &str); 11] = [
    (Hint::Zero, "zero"),
    (Hint::Fraction, "fraction"),
    (Hint::Long, "long"),
    (Hint::Two, "two"),
    (Hint::Garbled, "garbled"),
    (Hint::Date, "date"),
    (Hint::Wall, "wall"),
    (Hint::Past, "past"),
    (Hint::Millis, "millis"),
    (Hint::Never, "never"),
    (Hint::Again, "again"),
];

impl Hint {
    /// Every hint that is said in other words than a number of seconds.
    pub const UNUSUAL: [Self; 11] = [
        Self::Zero,
        Self::Fraction,
        Self::Long,
        Self::Two,
        Self::Garbled,
        Self::Date,
        Self::Wall,
        Self::Past,
        Self::Millis,
        Self::Never,
        Self::Again,
    ];

    /// The headers of a response that is sent at this time, by the client's clock.
    pub(crate) fn headers(self, wall: SystemTime) -> Vec<(&'static str, String)> {
        const AFTER: &str = "retry-after";
        let after = |text: &str| vec![(AFTER, text.to_owned())];
        match self {
            Self::Nothing => Vec::new(),
            Self::Seconds(seconds) => after(&seconds.to_string()),
            Self::Zero => after("0"),
            Self::Fraction => after("1.5"),
            Self::Long => after("9999999999999999999999999"),
            Self::Two => [after("1"), after("2")].concat(),
            Self::Garbled => [after("soon"), after("2")].concat(),
            Self::Date => {
                let server = wall.checked_add(SKEW).unwrap_or(UNIX_EPOCH);
                [after(&date(server, DATED)), vec![("date", date(server, Duration::ZERO))]].concat()
            }
            Self::Wall => after(&date(wall, DATED + Duration::from_secs(1))),
            Self::Past => after("Sun, 06 Nov 1994 08:49:37 GMT"),
            Self::Millis => {
                let millis = IN_MILLIS.as_millis().to_string();
                [after(&DATED.as_secs().to_string()), vec![("retry-after-ms", millis)]].concat()
            }
            Self::Never => vec![("x-should-retry", "false".to_owned())],
            Self::Again => vec![("x-should-retry", "true".to_owned())],
        }
    }

    /// How long a client must find that it was asked to wait; `millis`: whether it heeds the
    /// header that counts milliseconds.
    pub(crate) const fn asks(self, millis: bool) -> Asked {
        match self {
            Self::Seconds(seconds) => Asked::Exactly(Duration::from_secs(seconds as u64)),
            Self::Two | Self::Garbled | Self::Date => Asked::Exactly(DATED),
            Self::Millis => Asked::Exactly(if millis { IN_MILLIS } else { DATED }),
            Self::Wall => Asked::AtMost(Duration::from_secs(DATED.as_secs() + 1)),
            Self::Long => Asked::ForEver,
            Self::Nothing
            | Self::Zero
            | Self::Fraction
            | Self::Past
            | Self::Never
            | Self::Again => Asked::Nothing,
        }
    }

    /// Whether it says that another attempt makes sense, or makes none.
    pub(crate) const fn says_retry(self) -> Option<bool> {
        match self {
            Self::Never => Some(false),
            Self::Again => Some(true),
            Self::Nothing
            | Self::Seconds(_)
            | Self::Zero
            | Self::Fraction
            | Self::Long
            | Self::Two
            | Self::Garbled
            | Self::Date
            | Self::Wall
            | Self::Past
            | Self::Millis => None,
        }
    }
}

impl Asked {
    /// Whether a client that finds this has read it rightly.
    pub(crate) fn is(self, found: Option<Duration>) -> bool {
        /// What a message may be under way at most.
        const TRAVEL: Duration = Duration::from_millis(1_500);
        const YEAR: Duration = Duration::from_secs(365 * 24 * 3_600);
        match (self, found) {
            (Self::Nothing, None) => true,
            (Self::Exactly(wait), Some(found)) => found == wait,
            (Self::AtMost(wait), Some(found)) => found <= wait && wait - found <= TRAVEL,
            (Self::ForEver, Some(found)) => found > YEAR,
            (Self::Nothing, Some(_)) | (_, None) => false,
        }
    }
}

/// A date so long after this one, as HTTP writes it: in whole seconds.
fn date(from: SystemTime, after: Duration) -> String {
    httpdate::fmt_http_date(from.checked_add(after).unwrap_or(UNIX_EPOCH))
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Seconds(seconds) = self {
            return write!(f, "after_{seconds}");
        }
        let known = NAMES.iter().find(|(known, _)| known == self);
        f.write_str(known.map_or("after_0", |(_, name)| name))
    }
}

impl FromStr for Hint {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let known = NAMES.iter().find(|(_, name)| *name == text);
        known.map(|(hint, _)| *hint).ok_or(Unreadable("a hint"))
    }
}
