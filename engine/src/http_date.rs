//! HTTP-dates, as `httpdate` reads them.

use core::time::Duration;
use std::time::SystemTime;

/// A date and time as HTTP writes it, to the second (RFC 9110 5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HttpDate {
    /// Since the Unix epoch.
    seconds: u64,
}

impl HttpDate {
    /// What these bytes say, in any of the three forms; `None` where `httpdate` refuses them.
    ///
    /// The form that servers send (IMF-fixdate) is read by a few comparisons here, because
    /// `httpdate` checks a date by writing it again, which costs more than all the rest of a
    /// decision. Whatever those comparisons do not settle goes to `httpdate`, so that nothing is
    /// read otherwise than it reads it.
    pub fn parse(value: &[u8]) -> Option<Self> {
        match value.as_array().and_then(imf_fixdate) {
            Some(seconds) => Some(Self { seconds }),
            None => Self::by_httpdate(value),
        }
    }

    /// Apart, so that the usual date does not pay for its registers.
    #[cold]
    #[inline(never)]
    fn by_httpdate(value: &[u8]) -> Option<Self> {
        let date = httpdate::parse_http_date(core::str::from_utf8(value).ok()?).ok()?;
        let since = date.duration_since(SystemTime::UNIX_EPOCH).ok()?;
        Some(Self { seconds: since.as_secs() })
    }

    /// The time since the Unix epoch.
    pub const fn since_epoch(self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

impl From<HttpDate> for SystemTime {
    fn from(date: HttpDate) -> Self {
        Self::UNIX_EPOCH + date.since_epoch()
    }
}

/// Seconds since the epoch of `Fri, 29 Sep 2023 16:26:37 GMT`, from 2000 to 2099; `None` for all
/// else, which may be a date all the same.
///
/// In that century every fourth year is a leap year, and its first day was a Saturday.
#[inline]
fn imf_fixdate(text: &[u8; 29]) -> Option<u64> {
    let &[
        w0,
        w1,
        w2,
        w3,
        d0,
        d1,
        d2,
        d3,
        m0,
        m1,
        m2,
        m3,
        y0,
        y1,
        y2,
        y3,
        b' ', //
        t0,
        t1,
        t2,
        t3,
        t4,
        t5,
        t6,
        t7,
        b' ',
        b'G',
        b'M',
        b'T',
    ] = text
    else {
        return None;
    };
    let [_, day, _, _, _, _, year, _] =
        pairs([d0, d1, d2, d3, y0, y1, y2, y3], *b" dd 20dd")?.map(u32::from);
    let [hour, _, _, minute, _, _, second, _] =
        pairs([t0, t1, t2, t3, t4, t5, t6, t7], *b"dd:dd:dd")?.map(u32::from);
    let (before, length) = month([m0, m1, m2, m3])?;
    let leap = year % 4 == 0;
    let length = length + u32::from(leap && before == 31);
    if day == 0 || day > length || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let leap_days = year.div_ceil(4) + u32::from(leap && before > 31);
    let days = year * 365 + leap_days + before + day - 1;
    if WEEKDAYS.get((days % 7) as usize) != Some(&[w0, w1, w2, w3]) {
        return None;
    }
    let in_day = hour * 3600 + minute * 60 + second;
    Some(YEAR_2000 + u64::from(days) * 86_400 + u64::from(in_day))
}

/// 1 January 2000, in seconds since the epoch.
const YEAR_2000: u64 = 946_684_800;

/// The days of a week that begins as the year 2000 did.
const WEEKDAYS: [[u8; 4]; 7] =
    [*b"Sat,", *b"Sun,", *b"Mon,", *b"Tue,", *b"Wed,", *b"Thu,", *b"Fri,"];

/// How many days of a common year come before this month, and how many it has.
#[inline]
const fn month(name: [u8; 4]) -> Option<(u32, u32)> {
    Some(match &name {
        b"Jan " => (0, 31),
        b"Feb " => (31, 28),
        b"Mar " => (59, 31),
        b"Apr " => (90, 30),
        b"May " => (120, 31),
        b"Jun " => (151, 30),
        b"Jul " => (181, 31),
        b"Aug " => (212, 31),
        b"Sep " => (243, 30),
        b"Oct " => (273, 31),
        b"Nov " => (304, 30),
        b"Dec " => (334, 31),
        _ => return None,
    })
}

/// Where `shape` has `d`, `text` must have a digit, else what `shape` has. Answers, at the place of
/// each digit that another follows, the number that the two make.
///
/// All eight bytes at once, as one integer.
#[inline]
#[allow(clippy::indexing_slicing, reason = "eight is the length of all four arrays")]
const fn pairs(text: [u8; 8], shape: [u8; 8]) -> Option<[u8; 8]> {
    let (mut expected, mut margin) = ([0; 8], [0; 8]);
    let mut at = 0;
    while at < 8 {
        (expected[at], margin[at]) =
            if shape[at] == b'd' { (b'0', 0x7f - 9) } else { (shape[at], 0x7f) };
        at += 1;
    }
    let digits = u64::from_le_bytes(text) ^ u64::from_le_bytes(expected);
    // A byte above what its place allows sets its high bit here; one that has it set already is
    // caught by itself, so that no carry out of it matters.
    if (digits | digits.wrapping_add(u64::from_le_bytes(margin))) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    Some(digits.wrapping_mul(10).wrapping_add(digits >> 8).to_le_bytes())
}

#[cfg(test)]
mod tests {
    use std::string::String;
    use std::vec::Vec;

    use proptest::prelude::*;

    use super::*;

    fn by_httpdate(text: &[u8]) -> Option<u64> {
        let date = httpdate::parse_http_date(core::str::from_utf8(text).ok()?).ok()?;
        Some(date.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs())
    }

    fn same(text: &[u8]) {
        let ours = HttpDate::parse(text).map(|date| date.seconds);
        assert_eq!(ours, by_httpdate(text), "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn every_day_of_the_century_is_read_as_httpdate_reads_it() {
        for day in 0..=36_525 {
            let seconds = YEAR_2000 + day * 86_400 + day * 7_919 % 86_400;
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let text = httpdate::fmt_http_date(date);
            same(text.as_bytes());
            let fast = text.as_bytes().first_chunk().and_then(imf_fixdate);
            assert_eq!(fast.is_some(), day < 36_525, "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_date_with_bytes_changed_is_read_as_httpdate_reads_it(
            seconds in 0_u64..253_402_300_800,
            changes in proptest::collection::vec((0_usize..29, any::<u8>()), 0..3),
            digits in proptest::collection::vec((0_usize..29, b'0'..=b'9'), 0..3),
        ) {
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let mut text = httpdate::fmt_http_date(date).into_bytes();
            for (at, byte) in changes.into_iter().chain(digits) {
                text[at] = byte;
            }
            same(&text);
        }

        #[test]
        fn any_words_of_a_date_are_read_as_httpdate_reads_them(
            weekday in "(Mon|Tue|Wed|Thu|Fri|Sat|Sun)",
            day in 0_u8..40,
            month in "(Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)",
            year in 1960_u16..2110,
            (hour, minute, second) in (0_u8..26, 0_u8..62, 0_u8..62),
        ) {
            let text = std::format!(
                "{weekday}, {day:02} {month} {year} {hour:02}:{minute:02}:{second:02} GMT"
            );
            same(text.as_bytes());
        }

        #[test]
        fn any_bytes_are_read_as_httpdate_reads_them(text: Vec<u8>) {
            same(&text);
        }
    }
}
