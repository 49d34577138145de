//! The value of a `Retry-After` header: bytes to a wait.

use crate::http_date::HttpDate;
use core::time::Duration;

/// What a `Retry-After` header says (RFC 9110 10.2.3).
///
/// ```
/// use core::time::Duration;
/// use redial_engine::RetryAfter;
///
/// let hint = RetryAfter::parse(b"120");
/// assert_eq!(hint, Some(RetryAfter::Delay(Duration::from_secs(120))));
/// assert_eq!(RetryAfter::parse(b"1.5"), None);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums)] // The grammar has two forms, and will have no third.
pub enum RetryAfter {
    /// So long after the response.
    Delay(Duration),
    /// Not before this point in time, by the server's clock.
    Date(HttpDate),
}

impl RetryAfter {
    /// What these bytes say; `None` where they are neither whole seconds nor an HTTP-date (R-RA-2).
    ///
    /// White space around the value is allowed. Seconds of any length saturate (R-RA-7).
    pub fn parse(value: &[u8]) -> Option<Self> {
        match value.first()? {
            b'0'..=b'9' => {
                whole_number(value.trim_ascii_end()).map(Duration::from_secs).map(Self::Delay)
            }
            byte if byte.is_ascii_whitespace() => Self::parse(value.trim_ascii_start()),
            _ => HttpDate::parse(value).map(Self::Date),
        }
    }

    /// How long to wait; zero where that is over, which says nothing (R-RA-4).
    ///
    /// `now` is the time since the Unix epoch; it is called only for a date. Pass that of the
    /// response's own `Date`, so that a difference between the two machines' clocks cancels
    /// (R-RA-3).
    pub fn wait(self, now: impl FnOnce() -> Duration) -> Duration {
        match self {
            Self::Delay(wait) => wait,
            Self::Date(date) => date.since_epoch().saturating_sub(now()),
        }
    }
}

/// A number of ASCII digits alone; it saturates.
pub(crate) fn whole_number(value: &[u8]) -> Option<u64> {
    if value.is_empty() {
        return None;
    }
    planted!(LongNumberIgnored => if value.len() > 19 { return None; });
    value.iter().try_fold(0_u64, |number, byte| {
        let digit = byte.checked_sub(b'0').filter(|digit| *digit < 10);
        let digit = if planted!(FractionIsHint) { digit.or(Some(0)) } else { digit }?;
        Some(number.saturating_mul(10).saturating_add(u64::from(digit)))
    })
}
