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
        match value.as_array().and_then(Self::fixdate) {
            Some(date) => Some(date),
            None => Self::by_httpdate(value),
        }
    }

    /// The same where another date has been read from `text`, which is likely to be of the same day:
    /// then the time is all that there is to read.
    #[inline]
    pub(crate) fn parse_beside(value: &[u8], other: Self, text: &[u8]) -> Option<Self> {
        let pair = value.as_array().zip(text.as_array());
        match pair.and_then(|(value, text)| time_of_same_day(value, text)) {
            Some(in_day) => Some(Self { seconds: other.seconds - other.seconds % DAY + in_day }),
            None => Self::parse(value),
        }
    }

    /// Apart, so that the usual date does not pay for its registers.
    #[cold]
    #[inline(never)]
    fn by_httpdate(value: &[u8]) -> Option<Self> {
        let date = httpdate::parse_http_date(core::str::from_utf8(value).ok()?).ok()?;
        Some(Self { seconds: date.duration_since(SystemTime::UNIX_EPOCH).ok()?.as_secs() })
    }

    /// `Fri, 29 Sep 2023 16:26:37 GMT`, from 2000 to 2099; `None` for all else, which may be a date
    /// all the same.
    ///
    /// In that century every fourth year is a leap year.
    #[inline]
    fn fixdate(text: &[u8; 29]) -> Option<Self> {
        let (&[weekday, day, month, year, ..], _) = text.as_chunks::<4>() else { return None };
        let digits =
            u64::from(u32::from_le_bytes(day)) + (u64::from(u32::from_le_bytes(year)) << 32);
        let [_, day, _, _, _, _, year, _] = pairs(digits, *b" dd 20dd")?.map(u32::from);
        let days = days(year, month, day)?;
        if WEEKDAYS.get(modulo_7(days)) != Some(&weekday) {
            return None;
        }
        let in_day = time_of_day(text.last_chunk()?)?;
        Some(Self { seconds: u64::from(MARCH_1996 + days) * DAY + in_day })
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

/// The seconds of a day.
const DAY: u64 = 86_400;

/// The seconds since midnight of ` 16:26:37 GMT`.
#[inline]
fn time_of_day(text: &[u8; 13]) -> Option<u64> {
    let &[b' ', t0, t1, t2, t3, t4, t5, t6, t7, b' ', b'G', b'M', b'T'] = text else { return None };
    let digits = u64::from_le_bytes([t0, t1, t2, t3, t4, t5, t6, t7]);
    let [hour, _, _, minute, _, _, second, _] = pairs(digits, *b"dd:dd:dd")?.map(u32::from);
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    Some(u64::from(hour * 3600 + minute * 60 + second))
}

/// The time of day of a text that differs in nothing else from `date`, which is one.
#[inline]
fn time_of_same_day(text: &[u8; 29], date: &[u8; 29]) -> Option<u64> {
    if text.first_chunk::<16>() != date.first_chunk() || text.last_chunk::<4>() != date.last_chunk()
    {
        return None;
    }
    time_of_day(text.last_chunk()?)
}

/// 1 March 1996, in days since the epoch. Years that begin in March have their leap day at their
/// end, and every fourth of these has one.
const MARCH_1996: u32 = 9_556;

/// The days of a week that begins as that day did.
const WEEKDAYS: [[u8; 4]; 7] =
    [*b"Fri,", *b"Sat,", *b"Sun,", *b"Mon,", *b"Tue,", *b"Wed,", *b"Thu,"];

/// How many days lie between 1 March 1996 and this day of the year 2000 + `year`.
#[inline]
fn days(year: u32, month: [u8; 4], day: u32) -> Option<u32> {
    let month = Month::named(month)?;
    // No month has a day 0, nor one of the number that this wraps to.
    let (before, length) = (day.wrapping_sub(1), u32::from(month.days));
    let is_leap_day = before == 28 && length == 28 && year.is_multiple_of(4);
    if before >= length && !is_leap_day {
        return None;
    }
    // Four years have 1461 days, and the last of the four has the odd one.
    let years = (year + u32::from(month.years)) * 1461 / 4;
    Some(years + u32::from(month.before) + before)
}

/// A month of years that begin in March.
#[derive(Clone, Copy)]
struct Month {
    name: [u8; 4],
    /// How many days of its year come before it.
    before: u16,
    /// How many it has in a common year.
    days: u8,
    /// How many years its year begins after 1996, in the year 2000.
    years: u8,
}

impl Month {
    /// The month with this name, which a space ends.
    #[inline]
    fn named(name: [u8; 4]) -> Option<&'static Self> {
        MONTHS.get(Self::slot(name)).filter(|month| month.name == name)
    }

    /// A number below sixteen that no two months share, which is checked where the table is made.
    #[inline]
    const fn slot(name: [u8; 4]) -> usize {
        (u32::from_le_bytes(name).wrapping_mul(26_597) >> 28) as usize
    }
}

/// Each month at its slot.
const MONTHS: [Month; 16] = {
    let mut slots = [Month { name: [0; 4], before: 0, days: 0, years: 0 }; 16];
    let mut months: &[([u8; 4], u8)] = &[
        (*b"Mar ", 31),
        (*b"Apr ", 30),
        (*b"May ", 31),
        (*b"Jun ", 30),
        (*b"Jul ", 31),
        (*b"Aug ", 31),
        (*b"Sep ", 30),
        (*b"Oct ", 31),
        (*b"Nov ", 30),
        (*b"Dec ", 31),
        (*b"Jan ", 31),
        (*b"Feb ", 28),
    ];
    let mut before = 0;
    while let [(name, days), rest @ ..] = months {
        // The new calendar year begins before the last two.
        let years = if rest.len() < 2 { 3 } else { 4 };
        #[allow(clippy::indexing_slicing, reason = "a slot is below sixteen")]
        let slot = &mut slots[Month::slot(*name)];
        assert!(slot.days == 0, "two months have one slot");
        *slot = Month { name: *name, before, days: *days, years };
        before += *days as u16;
        months = rest;
    }
    slots
};

/// The rest of a division by seven of less than two hundred million, by two multiplications.
#[inline]
const fn modulo_7(number: u32) -> usize {
    /// A seventh of 2^32, rounded up: times the number, its low half is the fraction of a week.
    const SEVENTH: u32 = u32::MAX / 7 + 1;
    ((number.wrapping_mul(SEVENTH) as u64 * 7) >> 32) as usize
}

/// Where `shape` has `d`, `text` must have a digit, else what `shape` has. Answers, at the place of
/// each digit that another follows, the number that the two make.
///
/// All eight bytes at once, as one integer, the first byte lowest.
#[inline]
#[allow(clippy::indexing_slicing, reason = "eight is the length of all three arrays")]
const fn pairs(text: u64, shape: [u8; 8]) -> Option<[u8; 8]> {
    let (mut expected, mut margin) = ([0; 8], [0; 8]);
    let mut at = 0;
    while at < 8 {
        (expected[at], margin[at]) =
            if shape[at] == b'd' { (b'0', 0x7f - 9) } else { (shape[at], 0x7f) };
        at += 1;
    }
    let digits = text ^ u64::from_le_bytes(expected);
    // A byte above what its place allows sets its high bit here; one that has it set already is
    // caught by itself, so that no carry out of it matters.
    if (digits | digits.wrapping_add(u64::from_le_bytes(margin))) & 0x8080_8080_8080_8080 != 0 {
        return None;
    }
    Some(digits.wrapping_mul(10).wrapping_add(digits >> 8).to_le_bytes())
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]
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
        let ours = HttpDate::parse(text).map(|date| date.since_epoch().as_secs());
        assert_eq!(ours, by_httpdate(text), "{:?}", String::from_utf8_lossy(text));
    }

    #[test]
    fn every_day_of_the_century_is_read_as_httpdate_reads_it() {
        for day in 0..=36_525 {
            let seconds = 946_684_800 + day * 86_400 + day * 7_919 % 86_400;
            let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
            let text = httpdate::fmt_http_date(date);
            same(text.as_bytes());
            let fast = text.as_bytes().first_chunk().and_then(HttpDate::fixdate);
            assert_eq!(fast.is_some(), day < 36_525, "{text}");
        }
    }

    #[test]
    fn any_byte_at_any_place_is_read_as_httpdate_reads_it() {
        for date in ["Fri, 29 Sep 2023 16:26:37 GMT", "Sat, 01 Jan 2000 00:00:00 GMT"] {
            for at in 0..date.len() {
                for byte in 0..=u8::MAX {
                    let mut text = date.as_bytes().to_vec();
                    text[at] = byte;
                    same(&text);
                }
            }
        }
    }

    #[test]
    fn a_day_that_its_month_has_not_is_read_as_httpdate_reads_it() {
        for year in 2000..2100 {
            for month in ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Nov", "Dec"] {
                for (day, weekday) in [0, 28, 29, 30, 31, 32].into_iter().flat_map(|day| {
                    ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"].map(|weekday| (day, weekday))
                }) {
                    same(
                        std::format!("{weekday}, {day:02} {month} {year} 00:00:00 GMT").as_bytes(),
                    );
                }
            }
        }
    }

    #[test]
    fn of_a_date_of_the_same_day_the_time_is_enough() {
        let date = b"Fri, 29 Sep 2023 16:26:37 GMT";
        let midnight = HttpDate::parse(b"Fri, 29 Sep 2023 00:00:00 GMT").unwrap().seconds;
        let rows: [(&[u8; 29], Option<u64>); 7] = [
            (date, Some(59_197)),
            (b"Fri, 29 Sep 2023 00:00:00 GMT", Some(0)),
            (b"Fri, 29 Sep 2023 23:59:59 GMT", Some(86_399)),
            (b"Sat, 30 Sep 2023 16:26:37 GMT", None),
            (b"Fri, 29 Sep 2023 16:26:60 GMT", None),
            (b"Fri, 29 Sep 2023 24:00:00 GMT", None),
            (b"Fri, 29 Sep 2023 16:26:37 UTC", None),
        ];
        for (text, expected) in rows {
            assert_eq!(time_of_same_day(text, date), expected, "{}", String::from_utf8_lossy(text));
            let beside = HttpDate::parse_beside(text, HttpDate::parse(date).unwrap(), date);
            assert_eq!(beside, HttpDate::parse(text));
            if let Some(in_day) = expected {
                assert_eq!(beside.unwrap().seconds, midnight + in_day);
            }
        }
    }

    #[test]
    fn only_a_date_in_the_same_form_is_read_beside_another() {
        // The first is a date in another form that is as long, with white space around it.
        let texts = ["Sun Nov  6 08:49:37 1994     ", "     Sun Nov  6 08:49:37 1994"];
        for text in texts.map(str::as_bytes) {
            let date = HttpDate::parse(text).expect("httpdate reads it");
            for tail in [&b"23:59:59 GMT"[..], b"23:59:59    ", b"49:37 1994  "] {
                let mut value = [&text[..17], tail].concat();
                assert_eq!(HttpDate::parse_beside(&value, date, text), HttpDate::parse(&value));
                value.truncate(28);
                assert_eq!(HttpDate::parse_beside(&value, date, text), HttpDate::parse(&value));
            }
            assert_eq!(HttpDate::parse_beside(text, date, text), Some(date));
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
        fn a_date_beside_another_is_read_as_it_is_by_itself(
            seconds in 0_u64..253_402_300_800,
            apart in prop_oneof![0_u64..1_000, 0_u64..200_000],
            changes in proptest::collection::vec((0_usize..29, any::<u8>()), 0..2),
            both in proptest::collection::vec((0_usize..29, any::<u8>()), 0..2),
        ) {
            let format = |seconds| {
                let date = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
                httpdate::fmt_http_date(date).into_bytes()
            };
            let (mut other, mut value) = (format(seconds), format(seconds.saturating_sub(apart)));
            for (at, byte) in both {
                (other[at], value[at]) = (byte, byte);
            }
            for (at, byte) in changes {
                value[at] = byte;
            }
            if let Some(date) = HttpDate::parse(&other) {
                prop_assert_eq!(HttpDate::parse_beside(&value, date, &other), HttpDate::parse(&value));
            }
        }

        #[test]
        fn any_bytes_are_read_as_httpdate_reads_them(text: Vec<u8>) {
            same(&text);
        }
    }
}
