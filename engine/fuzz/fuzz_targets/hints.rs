//! Any header bytes: read without a panic, and a wait of seconds is never read as a shorter one.

#![no_main]

use core::time::Duration;
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderValue};
use libfuzzer_sys::fuzz_target;
use redial_engine::{HintRules, RetryAfter};

const NAMES: [&str; 8] = [
    "retry-after",
    "retry-after-ms",
    "x-ms-retry-after-ms",
    "date",
    "ratelimit",
    "ratelimit-reset",
    "age",
    "x-should-retry",
];

fuzz_target!(|values: Vec<(u8, Vec<u8>)>| {
    let mut headers = HeaderMap::new();
    let mut longest = Duration::ZERO;
    for (name, value) in &values {
        let name = NAMES[usize::from(*name) % NAMES.len()];
        let Ok(value) = HeaderValue::from_bytes(value) else { continue };
        if name == "retry-after"
            && let Some(RetryAfter::Delay(wait)) = RetryAfter::parse(value.as_bytes())
        {
            longest = longest.max(wait.min(Duration::from_nanos(u64::MAX)));
        }
        headers.append(name, value);
    }
    let hint = HintRules::DEFAULT.hint(&headers, || SystemTime::UNIX_EPOCH);
    assert!(hint.wait().unwrap_or_default() >= longest);
    let all = HintRules::DEFAULT.retry_after_ms(true).rate_limit(true).should_retry(true);
    let _ = all.hint(&headers, || SystemTime::UNIX_EPOCH);
});
