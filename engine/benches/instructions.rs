//! How many instructions a decision takes.
//!
//! `cargo bench -p redial-engine --bench instructions` runs itself once for each row under
//! `valgrind --tool=callgrind`, which counts only while the row's function is on the stack: the
//! functions are not inlined, and neither the loop around them nor the choice of the input counts.
//! It prints a table and fails where a row is above its bound. The bounds are those that the
//! engine's documentation states.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a bench prints what it found, and may panic"
)]

use core::fmt::Write as _;
use core::hint::black_box;
use core::time::Duration;
use std::process::{Command, ExitCode};
use std::time::SystemTime;

use http::header::{DATE, HeaderMap, RETRY_AFTER};
use rand_xoshiro::rand_core::SeedableRng;
use rand_xoshiro::{SplitMix64, Xoshiro256PlusPlus};
use redial_engine::{
    Action, Attempt, Call, HintRules, Outcome, Pause, Policy, Replay, Retry, RetryAfter,
    ServerHint, StandardPolicy, Timestamp, Upstream, Verdict,
};

/// Name, the functions that count, and the most instructions allowed.
const ROWS: &[(&str, &[&str], u64)] = &[
    ("finish of a 200", &["finish_final"], 60),
    ("begin, and finish of a 200", &["begin", "finish_final"], 120),
    ("finish of a 503, and resume", &["finish_retried", "resume"], 200),
    ("429 with Retry-After: 7 from bytes", &["from_bytes", "finish_hinted", "resume"], 250),
    ("429 with Retry-After: 7 from headers", &["from_seconds", "finish_hinted", "resume"], 350),
    ("429 with a date from headers", &["from_date", "finish_hinted", "resume"], 500),
    ("dyn: finish of a 200", &["dyn_finish_final"], 96),
    ("dyn: begin, and finish of a 200", &["dyn_begin", "dyn_finish_final"], 192),
    ("dyn: finish of a 503, and resume", &["dyn_finish_retried", "dyn_resume"], 320),
    ("reading headers without a hint", &["from_none"], 120),
];

/// How many calls a count is divided by.
const CALLS: u64 = 10_000;

fn main() -> ExitCode {
    if std::env::args().any(|argument| argument == "--work") {
        work(CALLS);
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
    let mut table = String::from("instructions a call\n");
    let mut within = true;
    for &(name, functions, bound) in ROWS {
        let mut count = 0;
        for function in functions {
            count += instructions(function)?;
        }
        within &= count <= bound;
        let mark = if count <= bound { "" } else { "  ABOVE ITS BOUND" };
        let _ = writeln!(table, "{name:<40} {count:>5}  of {bound:>4}{mark}");
    }
    print!("{table}");
    Ok(within)
}

/// What one call of `function` takes on average.
fn instructions(function: &str) -> std::io::Result<u64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(format!("--toggle-collect=instructions::rows::{function}"))
        .arg(std::env::current_exe()?)
        .arg("--work")
        .output()?;
    let messages = String::from_utf8_lossy(&output.stderr);
    let collected = messages.lines().find_map(|line| line.split_once("Collected : "));
    let count = collected.and_then(|(_, count)| count.trim().parse::<u64>().ok());
    count
        .filter(|count| *count > 0)
        .map(|count| count / CALLS)
        .ok_or_else(|| std::io::Error::other(format!("no count for {function} in: {messages}")))
}

/// Runs every function `calls` times on varied input.
fn work(calls: u64) {
    let policy = StandardPolicy::DEFAULT;
    let by_reference = Retry::new(&policy);
    let by_object = Retry::new(&policy as &dyn Policy);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(1);
    let mut unused = SplitMix64::seed_from_u64(1);
    let mut upstream = Upstream::default();
    let inputs = Inputs::new();
    for number in 0..calls {
        // What refills and deposits bring is what the three retries below take: never full or empty.
        let start = Timestamp::from_nanos(number * 200_000_001);
        let now = start.saturating_add(Duration::from_millis(3));
        let call = Call::new(Replay::Freely).timeout(Duration::from_secs(100 + number % 7));
        let outcome = Outcome::status(200 + (number % 7) as u16);
        let Action::Send(attempt) = rows::begin(by_reference, call, start, &mut upstream) else {
            panic!("a call with time left begins");
        };
        let _ = black_box(rows::finish_final(attempt, &outcome, now, &mut upstream, &mut unused));
        let Action::Send(attempt) = rows::dyn_begin(by_object, call, start, &mut upstream) else {
            panic!("a call with time left begins");
        };
        let _ =
            black_box(rows::dyn_finish_final(attempt, &outcome, now, &mut upstream, &mut unused));

        let outcome = Outcome::status(503);
        let Action::Send(attempt) = by_reference.begin(call, start, &mut upstream) else { return };
        let verdict = rows::finish_retried(attempt, &outcome, now, &mut upstream, &mut rng);
        resume(verdict, &mut upstream, rows::resume);
        let Action::Send(attempt) = by_object.begin(call, start, &mut upstream) else { return };
        let verdict = rows::dyn_finish_retried(attempt, &outcome, now, &mut upstream, &mut rng);
        resume(verdict, &mut upstream, rows::dyn_resume);
        let Action::Send(attempt) = by_reference.begin(call, start, &mut upstream) else { return };
        let outcome = inputs.seconds(number);
        let verdict = rows::finish_hinted(attempt, &outcome, now, &mut upstream, &mut rng);
        resume(verdict, &mut upstream, rows::resume_hinted);
        inputs.read(number);
    }
}

/// Resumes the pause that a retried outcome leads to.
fn resume<P>(
    verdict: Verdict<P>,
    upstream: &mut Upstream,
    by: fn(Pause<P>, Timestamp, &mut Upstream) -> Action<P>,
) where
    P: Policy,
{
    let Verdict::Next(Action::Sleep(pause)) = verdict else { panic!("it is retried") };
    // The upstream lives on, its clock does not run ahead: the budget refills once a round.
    let until = pause.until();
    let _ = black_box(by(pause, until, upstream));
}

/// Header bytes and maps to read hints from.
struct Inputs {
    bytes: Vec<String>,
    seconds: Vec<HeaderMap>,
    dates: Vec<HeaderMap>,
    none: HeaderMap,
}

impl Inputs {
    fn new() -> Self {
        let common = HeaderMap::from_iter(
            [("server", "origin"), ("content-type", "text/plain"), ("content-length", "4")]
                .map(|(name, value)| (name.parse().expect("a name"), value.parse().expect("one"))),
        );
        let with = |retry_after: &str| {
            let mut headers = common.clone();
            headers.insert(DATE, "Fri, 29 Sep 2023 16:26:37 GMT".parse().expect("a value"));
            headers.insert(RETRY_AFTER, retry_after.parse().expect("a value"));
            headers
        };
        let date = |second| format!("Fri, 29 Sep 2023 16:26:{second} GMT");
        Self {
            bytes: (1..10).map(|seconds| seconds.to_string()).collect(),
            seconds: (1..10).map(|seconds| with(&seconds.to_string())).collect(),
            dates: (40..59).map(|second| with(&date(second))).collect(),
            none: common,
        }
    }

    fn seconds(&self, number: u64) -> Outcome {
        let wait = Duration::from_secs(1 + number % self.seconds.len() as u64);
        Outcome::hinted(429, ServerHint::NONE.after(wait))
    }

    fn read(&self, number: u64) {
        let at = |length: usize| number as usize % length;
        black_box(rows::from_bytes(self.bytes[at(self.bytes.len())].as_bytes()));
        black_box(rows::from_seconds(&self.seconds[at(self.seconds.len())]));
        black_box(rows::from_date(&self.dates[at(self.dates.len())]));
        black_box(rows::from_none(&self.none));
    }
}

/// The functions that are counted.
mod rows {
    use super::*;

    type Rng = Xoshiro256PlusPlus;

    macro_rules! decisions {
        ($policy:ty, $begin:ident, $finish_final:ident, $finish_retried:ident, $resume:ident) => {
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
            pub(super) fn $finish_final<'a>(
                attempt: Attempt<&'a $policy>,
                outcome: &Outcome,
                now: Timestamp,
                upstream: &mut Upstream,
                // Another generator, so that this is not merged with the function below.
                rng: &mut SplitMix64,
            ) -> Verdict<&'a $policy> {
                attempt.finish(outcome, now, upstream, rng)
            }

            #[inline(never)]
            pub(super) fn $finish_retried<'a>(
                attempt: Attempt<&'a $policy>,
                outcome: &Outcome,
                now: Timestamp,
                upstream: &mut Upstream,
                rng: &mut Rng,
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

    decisions!(StandardPolicy, begin, finish_final, finish_retried, resume);
    decisions!(dyn Policy + 'a, dyn_begin, dyn_finish_final, dyn_finish_retried, dyn_resume);

    #[inline(never)]
    pub(super) fn finish_hinted<'a>(
        attempt: Attempt<&'a StandardPolicy>,
        outcome: &Outcome,
        now: Timestamp,
        upstream: &mut Upstream,
        rng: &mut Rng,
    ) -> Verdict<&'a StandardPolicy> {
        black_box(3);
        attempt.finish(outcome, now, upstream, rng)
    }

    #[inline(never)]
    pub(super) fn resume_hinted<'a>(
        pause: Pause<&'a StandardPolicy>,
        now: Timestamp,
        upstream: &mut Upstream,
    ) -> Action<&'a StandardPolicy> {
        black_box(4);
        pause.resume(now, upstream)
    }

    #[inline(never)]
    pub(super) fn from_bytes(value: &[u8]) -> Option<RetryAfter> {
        RetryAfter::parse(value)
    }

    #[inline(never)]
    pub(super) fn from_seconds(headers: &HeaderMap) -> ServerHint {
        HintRules::DEFAULT.hint(headers, || SystemTime::UNIX_EPOCH)
    }

    #[inline(never)]
    pub(super) fn from_date(headers: &HeaderMap) -> ServerHint {
        black_box(1);
        HintRules::DEFAULT.hint(headers, || SystemTime::UNIX_EPOCH)
    }

    #[inline(never)]
    pub(super) fn from_none(headers: &HeaderMap) -> ServerHint {
        black_box(2);
        HintRules::DEFAULT.hint(headers, || SystemTime::UNIX_EPOCH)
    }
}
