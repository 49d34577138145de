//! How many instructions a decision takes.
//!
//! `cargo bench -p redial-engine --bench instructions` runs itself once for each row under
//! `valgrind --tool=callgrind`, which counts only while one of the row's functions is on the stack:
//! the functions are not inlined, and neither the loop around them nor the choice of the input
//! counts. It prints a table and fails where a row is above its bound. The bounds are those that
//! the engine's documentation states.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench prints what it found, and may panic"
)]

use core::hint::black_box;
use core::time::Duration;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use http::header::{HeaderMap, HeaderName};
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng;
use redial_engine::{
    Action, Attempt, Call, HintRules, Outcome, Pause, Policy, Replay, Retry, RetryAfter,
    ServerHint, StandardPolicy, Timestamp, Upstream, Verdict,
};

/// What is counted: its name, what its calls meet, the functions that count, and the most
/// instructions that a call may take in them.
struct Row(&'static str, Work, &'static [&'static str], u64);

/// What the calls of a row meet.
#[derive(Clone, Copy, Debug)]
enum Work {
    Final,
    Retried,
    HintFromBytes,
    HintFromHeaders,
    DateFromHeaders,
    NoHint,
    DynFinal,
    DynRetried,
}

const ROWS: &[Row] = &[
    Row("finish of a 200", Work::Final, &["finish"], 60),
    Row("begin, and finish of a 200", Work::Final, &["begin", "finish"], 120),
    Row("finish of a 503, and resume", Work::Retried, &["finish", "resume"], 200),
    Row(
        "429 with Retry-After: 7 from bytes",
        Work::HintFromBytes,
        &["parse", "finish", "resume"],
        250,
    ),
    Row(
        "429 with Retry-After: 7 from headers",
        Work::HintFromHeaders,
        &["hint", "finish", "resume"],
        350,
    ),
    Row("429 with a date from headers", Work::DateFromHeaders, &["hint", "finish", "resume"], 500),
    Row("reading headers without a hint", Work::NoHint, &["hint"], 120),
    Row("dyn: finish of a 200", Work::DynFinal, &["dyn_finish"], 96),
    Row("dyn: begin, and finish of a 200", Work::DynFinal, &["dyn_begin", "dyn_finish"], 192),
    Row("dyn: finish of a 503, and resume", Work::DynRetried, &["dyn_finish", "dyn_resume"], 320),
];

/// How many calls a count is divided by.
const CALLS: u64 = 10_000;

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip_while(|argument| argument != "--row").skip(1);
    if let Some(row) = arguments.next() {
        let number: usize = row.parse().expect("the number of a row");
        work(ROWS[number].1);
        return ExitCode::SUCCESS;
    }
    match report() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("valgrind is needed to count instructions: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints the table; whether every row is within its bound.
fn report() -> std::io::Result<bool> {
    println!("instructions a call");
    let mut within = true;
    for (number, Row(name, _, functions, bound)) in ROWS.iter().enumerate() {
        let count = instructions(number, functions)?;
        within &= count <= *bound;
        let mark = if count <= *bound { "" } else { "  ABOVE ITS BOUND" };
        println!("{name:<40} {count:>5}  of {bound:>4}{mark}");
    }
    Ok(within)
}

/// What one call of a row takes in these functions, on average and rounded up.
fn instructions(row: usize, functions: &[&str]) -> std::io::Result<u64> {
    let counted =
        functions.iter().map(|name| format!("--toggle-collect=instructions::rows::{name}"));
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .args(counted)
        .arg(std::env::current_exe()?)
        .args(["--row", &row.to_string()])
        .output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    let collected = messages.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    count
        .filter(|count| output.status.success() && *count > 0)
        .map(|count| count.div_ceil(CALLS))
        .ok_or_else(|| std::io::Error::other(format!("no count of {functions:?} in: {messages}")))
}

/// Carries out the calls of one row, each on other input.
fn work(work: Work) {
    let policy = StandardPolicy::DEFAULT;
    let mut client = Client {
        upstream: Upstream::default(),
        rng: Xoshiro256PlusPlus::seed_from_u64(1),
        inputs: Inputs::new(),
    };
    for number in 0..CALLS {
        client.half_empty(&policy, at(number.saturating_sub(1)).saturating_add(ATTEMPT));
        let outcome = client.inputs.outcome(work, number);
        match work {
            Work::DynFinal | Work::DynRetried => client.by_object(&policy, &outcome, number),
            Work::Final
            | Work::Retried
            | Work::HintFromBytes
            | Work::HintFromHeaders
            | Work::DateFromHeaders
            | Work::NoHint => client.by_reference(&policy, &outcome, number),
        }
    }
}

/// When a call begins: so that a deposit and what has come back pay for its retry.
const fn at(number: u64) -> Timestamp {
    Timestamp::from_nanos(number * 100_000_001)
}

/// How long its first attempt takes.
const ATTEMPT: Duration = Duration::from_millis(3);

fn call(number: u64) -> Call {
    Call::new(Replay::Freely).timeout(Duration::from_secs(100 + number % 7))
}

struct Client {
    upstream: Upstream,
    rng: Xoshiro256PlusPlus,
    inputs: Inputs,
}

impl Client {
    fn by_reference(&mut self, policy: &StandardPolicy, outcome: &Outcome, number: u64) {
        let (retry, start, upstream) = (Retry::new(policy), at(number), &mut self.upstream);
        let Action::Send(attempt) = rows::begin(retry, call(number), start, upstream) else {
            panic!("a call with time left begins");
        };
        let now = start.saturating_add(ATTEMPT);
        let verdict = rows::finish(attempt, outcome, now, upstream, &mut self.rng);
        if let Verdict::Next(Action::Sleep(pause)) = verdict {
            let until = pause.until();
            let _ = black_box(rows::resume(pause, until, upstream));
        }
    }

    fn by_object(&mut self, policy: &dyn Policy, outcome: &Outcome, number: u64) {
        let (retry, start, upstream) = (Retry::new(policy), at(number), &mut self.upstream);
        let Action::Send(attempt) = rows::dyn_begin(retry, call(number), start, upstream) else {
            panic!("a call with time left begins");
        };
        let now = start.saturating_add(ATTEMPT);
        let verdict = rows::dyn_finish(attempt, outcome, now, upstream, &mut self.rng);
        if let Verdict::Next(Action::Sleep(pause)) = verdict {
            let until = pause.until();
            let _ = black_box(rows::dyn_resume(pause, until, upstream));
        }
    }

    /// Spends on retries that do not count whatever is above one half of the budget, so that the
    /// calls which count find it neither full nor empty.
    fn half_empty(&mut self, policy: &StandardPolicy, now: Timestamp) {
        while self.upstream.tokens_milli() > 50_000 {
            let action = Retry::new(policy).begin(call(0), now, &mut self.upstream);
            let Action::Send(attempt) = action else { panic!("a call with time left begins") };
            let outcome = Outcome::status(503);
            let _ = attempt.finish(&outcome, now, &mut self.upstream, &mut self.rng);
        }
    }
}

/// The names of headers beside `Retry-After`, in the order in which servers send them.
const HEADS: &[&[&str]] = &[
    &["server", "date", "content-type", "content-length", "connection", "retry-after"],
    &["date", "server", "retry-after", "content-length", "content-type"],
    &["retry-after", "content-length", "content-type", "date", "server", "x-request-id"],
    &["date", "content-type", "content-length", "retry-after", "cache-control", "vary", "server"],
    &["content-type", "content-length", "date", "x-request-id", "retry-after", "x-cache", "via"],
    &["content-length", "retry-after", "date"],
    &[
        "date",
        "content-type",
        "x-ratelimit-limit",
        "x-ratelimit-remaining",
        "x-ratelimit-reset",
        "retry-after",
        "cache-control",
        "access-control-allow-origin",
        "strict-transport-security",
        "content-length",
        "server",
    ],
];

/// What calls meet: header bytes and maps to read hints from.
struct Inputs {
    bytes: Vec<String>,
    seconds: Vec<HeaderMap>,
    dates: Vec<HeaderMap>,
    none: Vec<HeaderMap>,
}

impl Inputs {
    fn new() -> Self {
        let bytes: Vec<_> = (1..10).map(|seconds| seconds.to_string()).collect();
        let months = [
            "Mon, 08 Jan",
            "Wed, 28 Feb",
            "Fri, 29 Mar",
            "Fri, 14 Jun",
            "Thu, 10 Oct",
            "Tue, 31 Dec",
        ];
        let dates = (10..59).zip(months.iter().cycle());
        let dates = dates.map(|(second, day)| format!("{day} 2024 16:26:{second} GMT"));
        Self {
            seconds: heads(bytes.iter().map(|value| ["Fri, 29 Sep 2023 16:26:37 GMT", value])),
            dates: heads(dates.map(|date| [date.replace(":26:", ":25:"), date])),
            none: heads(bytes.iter().map(|_| ["Fri, 29 Sep 2023 16:26:37 GMT", ""])),
            bytes,
        }
    }

    fn outcome(&self, work: Work, number: u64) -> Outcome {
        let at = |length: usize| number as usize % length;
        let hint = match work {
            Work::Final | Work::DynFinal => return Outcome::status(200 + (number % 7) as u16),
            Work::Retried | Work::DynRetried => return Outcome::status(503),
            Work::HintFromBytes => {
                let value = self.bytes[at(self.bytes.len())].as_bytes();
                let hint = rows::parse(value).expect("the bytes are whole seconds");
                ServerHint::NONE.after(hint.wait(|| Duration::ZERO))
            }
            Work::HintFromHeaders => rows::hint(&self.seconds[at(self.seconds.len())]),
            Work::DateFromHeaders => rows::hint(&self.dates[at(self.dates.len())]),
            Work::NoHint => rows::hint(&self.none[at(self.none.len())]),
        };
        assert_eq!(hint.wait().is_some(), !matches!(work, Work::NoHint));
        Outcome::hinted(429, hint)
    }
}

/// Every head with each of these values of `Date` and `Retry-After`; without one that is empty.
fn heads(values: impl Iterator<Item = [impl AsRef<str>; 2]>) -> Vec<HeaderMap> {
    let mut maps = Vec::new();
    for [date, retry_after] in values {
        for names in HEADS {
            let mut headers = HeaderMap::with_capacity(names.len());
            for name in *names {
                let value = match *name {
                    "date" => date.as_ref(),
                    "retry-after" => retry_after.as_ref(),
                    _ => "a value",
                };
                if !value.is_empty() {
                    let name = HeaderName::from_static(name);
                    headers.insert(name, value.parse().expect("a value"));
                }
            }
            maps.push(headers);
        }
    }
    maps
}

/// The functions that are counted.
mod rows {
    use super::*;

    macro_rules! decisions {
        ($policy:ty, $begin:ident, $finish:ident, $resume:ident) => {
            #[inline(never)]
            pub(super) fn $begin<'a>(
                retry: Retry<&'a $policy>,
                call: Call,
                now: Timestamp,
                upstream: &mut Upstream,
            ) -> Action<&'a $policy> {
                retry.begin(call, now, upstream)
            }

            #[inline(never)]
            pub(super) fn $finish<'a>(
                attempt: Attempt<&'a $policy>,
                outcome: &Outcome,
                now: Timestamp,
                upstream: &mut Upstream,
                rng: &mut Xoshiro256PlusPlus,
            ) -> Verdict<&'a $policy> {
                attempt.finish(outcome, now, upstream, rng)
            }

            #[inline(never)]
            pub(super) fn $resume<'a>(
                pause: Pause<&'a $policy>,
                now: Timestamp,
                upstream: &mut Upstream,
            ) -> Action<&'a $policy> {
                pause.resume(now, upstream)
            }
        };
    }

    decisions!(StandardPolicy, begin, finish, resume);
    decisions!(dyn Policy + 'a, dyn_begin, dyn_finish, dyn_resume);

    #[inline(never)]
    pub(super) fn parse(value: &[u8]) -> Option<RetryAfter> {
        RetryAfter::parse(value)
    }

    #[inline(never)]
    pub(super) fn hint(headers: &HeaderMap) -> ServerHint {
        HintRules::DEFAULT.hint(headers, || SystemTime::UNIX_EPOCH)
    }
}
