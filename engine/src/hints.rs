//! From a response's headers to the server's hint.

use core::cell::LazyCell;
use core::time::Duration;
use std::time::SystemTime;

use http::header::{AGE, DATE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};

use crate::http_date::HttpDate;
use crate::outcome::{Outcome, ServerHint};
use crate::retry_after::{RetryAfter, whole_number};

const RETRY_AFTER_MS: [HeaderName; 2] =
    [HeaderName::from_static("retry-after-ms"), HeaderName::from_static("x-ms-retry-after-ms")];
const RATE_LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATE_LIMIT_RESET: HeaderName = HeaderName::from_static("ratelimit-reset");
const RATE_LIMIT_REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const SHOULD_RETRY: [HeaderName; 2] =
    [HeaderName::from_static("x-should-retry"), HeaderName::from_static("stripe-should-retry")];

/// Which headers of a response count as the server's hint.
///
/// The default reads `Retry-After` alone; all else is opt-in (R-RA-8, R-D-10). On which statuses a
/// hint counts is the policy's business.
///
/// ```
/// use std::time::SystemTime;
/// use redial_engine::{HintRules, Outcome, ServerHint};
///
/// let response = http::Response::builder().status(429).header("retry-after", "7").body(())?;
/// let outcome = HintRules::DEFAULT.outcome(&response, SystemTime::now);
/// let seven = std::time::Duration::from_secs(7);
/// assert_eq!(outcome, Outcome::hinted(429, ServerHint::NONE.after(seven)));
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HintRules {
    pub(crate) retry_after_ms: bool,
    pub(crate) rate_limit: bool,
    pub(crate) should_retry: bool,
}

impl HintRules {
    /// `Retry-After` alone.
    pub const DEFAULT: Self =
        Self { retry_after_ms: false, rate_limit: false, should_retry: false };

    /// Whether `retry-after-ms` and `x-ms-retry-after-ms` count, whole milliseconds, before
    /// `Retry-After`: no.
    #[must_use]
    pub const fn retry_after_ms(self, yes: bool) -> Self {
        Self { retry_after_ms: yes, ..self }
    }

    /// Whether `RateLimit` and the older `RateLimit-Reset` count, after `Retry-After`: no.
    ///
    /// They count where nothing remains (`r=0`), and not on a response from a cache (`Age`).
    #[must_use]
    pub const fn rate_limit(self, yes: bool) -> Self {
        Self { rate_limit: yes, ..self }
    }

    /// Whether `x-should-retry` and `stripe-should-retry` count: no.
    #[must_use]
    pub const fn should_retry(self, yes: bool) -> Self {
        Self { should_retry: yes, ..self }
    }

    /// What a response is to the engine: its status, and the hint in its headers.
    ///
    /// `wall` reads the wall clock; it is called only for a date without a usable `Date` beside it.
    pub fn outcome<B>(
        &self,
        response: &http::Response<B>,
        wall: impl FnOnce() -> SystemTime,
    ) -> Outcome {
        let hint = self.hint(response.headers(), wall);
        Outcome::Response { status: response.status().as_u16(), hint }
    }

    /// The hint in these headers. Any bytes are survived.
    pub fn hint(&self, headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> ServerHint {
        let mut hint = ServerHint::NONE.after(self.wait(headers, wall));
        if self.should_retry
            && let Some(yes) = should_retry(headers)
        {
            hint = hint.should_retry(yes);
        }
        hint
    }

    /// The first source that asks for a wait at all; zero where none does.
    fn wait(&self, headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Duration {
        let mut wait = Duration::ZERO;
        if self.retry_after_ms || planted!(MillisecondsAlways) {
            wait = retry_after_ms(headers);
        }
        if wait.is_zero() {
            wait = retry_after(headers, wall);
        }
        if wait.is_zero() && self.rate_limit {
            wait = rate_limit(headers);
        }
        wait
    }
}

/// The longest wait among the valid values of `Retry-After` (R-RA-5).
fn retry_after(headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Duration {
    let mut values = headers.get_all(&RETRY_AFTER).iter();
    let Some(only) = values.next() else { return Duration::ZERO };
    if values.next().is_some() {
        return longest(headers, || server_time(headers, wall));
    }
    match RetryAfter::parse(only.as_bytes()) {
        Some(RetryAfter::Delay(wait)) => {
            planted!(ZeroIsHint => if wait.is_zero() { return Duration::from_nanos(1); });
            wait
        }
        Some(RetryAfter::Date(date)) => wait_until(date, only.as_bytes(), headers, wall),
        None => Duration::ZERO,
    }
}

/// How long to wait until a date that was read from `text`, by the response's own `Date` where that
/// is usable (R-RA-3).
#[inline]
fn wait_until(
    date: HttpDate,
    text: &[u8],
    headers: &HeaderMap,
    wall: impl FnOnce() -> SystemTime,
) -> Duration {
    let now = headers.get(&DATE).filter(|_| !planted!(DateByWallClock));
    match now.and_then(|now| HttpDate::parse_beside(now.as_bytes(), date, text)) {
        Some(now) => date.since_epoch().saturating_sub(now.since_epoch()),
        None => date.since_epoch().saturating_sub(since_epoch(wall)),
    }
}

/// The same for several lines: apart, because a server hardly ever sends them. `now` is called once,
/// and only if there is a date.
#[cold]
#[inline(never)]
fn longest(headers: &HeaderMap, now: impl FnOnce() -> Duration) -> Duration {
    let now = LazyCell::new(now);
    let values = headers.get_all(&RETRY_AFTER).into_iter();
    let hints = values.filter_map(|value| RetryAfter::parse(value.as_bytes()));
    let waits = hints.map(|hint| hint.wait(|| *now));
    let chosen = if planted!(ShortestHint) { waits.min() } else { waits.max() };
    chosen.unwrap_or(Duration::ZERO)
}

/// The time since the Unix epoch, by the response's own `Date` where that is usable (R-RA-3).
#[inline]
fn server_time(headers: &HeaderMap, wall: impl FnOnce() -> SystemTime) -> Duration {
    match headers.get(&DATE).and_then(|date| HttpDate::parse(date.as_bytes())) {
        Some(date) => date.since_epoch(),
        None => since_epoch(wall),
    }
}

/// The same by the wall clock.
#[cold]
fn since_epoch(wall: impl FnOnce() -> SystemTime) -> Duration {
    wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO)
}

fn retry_after_ms(headers: &HeaderMap) -> Duration {
    RETRY_AFTER_MS
        .iter()
        .flat_map(|name| headers.get_all(name))
        .filter_map(number)
        .max()
        .map_or(Duration::ZERO, Duration::from_millis)
}

fn number(value: &HeaderValue) -> Option<u64> {
    whole_number(value.as_bytes().trim_ascii())
}

/// The longest reset among exhausted policies; a cached response says nothing about now.
fn rate_limit(headers: &HeaderMap) -> Duration {
    if headers.get(AGE).and_then(number).is_some_and(|age| age > 0) {
        return Duration::ZERO;
    }
    let current = headers.get_all(RATE_LIMIT).into_iter().filter_map(exhausted_for).max();
    Duration::from_secs(current.or_else(|| older_reset(headers)).unwrap_or(0))
}

/// The longest `t` of the items with `r=0` in one structured field; a malformed field is ignored.
fn exhausted_for(value: &HeaderValue) -> Option<u64> {
    let list: sfv::List = sfv::Parser::new(value.as_bytes()).parse().ok()?;
    list.iter()
        .filter_map(|entry| match entry {
            sfv::ListEntry::Item(item) => Some(&item.params),
            sfv::ListEntry::InnerList(_) => None,
        })
        .filter(|parameters| integer(parameters, "r") == Some(0))
        .filter_map(|parameters| integer(parameters, "t"))
        .filter_map(|seconds| u64::try_from(seconds).ok())
        .max()
}

fn integer(parameters: &sfv::Parameters, name: &str) -> Option<i64> {
    parameters.get(name)?.as_integer().map(i64::from)
}

/// `RateLimit-Reset`, seconds from now, unless `RateLimit-Remaining` says that some is left.
fn older_reset(headers: &HeaderMap) -> Option<u64> {
    let remaining = headers.get(RATE_LIMIT_REMAINING).and_then(number);
    if remaining.is_some_and(|remaining| remaining > 0) {
        return None;
    }
    headers.get_all(RATE_LIMIT_RESET).into_iter().filter_map(number).max()
}

fn should_retry(headers: &HeaderMap) -> Option<bool> {
    SHOULD_RETRY.iter().filter_map(|name| headers.get(name)).find_map(|value| {
        match value.as_bytes().trim_ascii() {
            b"true" => Some(true),
            b"false" => Some(false),
            _ => None,
        }
    })
}
