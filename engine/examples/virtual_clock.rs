//! Ten thousand calls through an outage, in virtual time: a heap of events is all the clock there is.
//!
//! A call begins every millisecond; for five seconds in the middle the server answers 503. The same
//! seed gives the same summary on every machine, and waiting costs nothing.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use core::cmp::Reverse;
use core::time::Duration;
use std::collections::{BTreeMap, BinaryHeap};

use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::{Rng as _, SeedableRng as _};
use redial_engine::{
    Action, Attempt, Call, Outcome, Pause, Replay, Retry, StandardPolicy, Timestamp, Upstream,
    Verdict,
};

const CALLS: u64 = 10_000;
const SEED: u64 = 1;

/// What a call waits for.
enum Pending {
    Start,
    Answer(Attempt<StandardPolicy>),
    Wake(Pause<StandardPolicy>),
}

#[derive(Default)]
struct Summary {
    attempts: u64,
    successes: u64,
    give_ups: BTreeMap<&'static str, u64>,
}

fn main() {
    let retry = Retry::new(StandardPolicy::DEFAULT);
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(SEED);
    let mut upstream = Upstream::default();
    let mut summary = Summary::default();
    let mut now = Timestamp::ORIGIN;
    // When which call goes on, and with what. Of two at the same time, the elder goes first.
    let mut agenda: BinaryHeap<_> =
        (0..CALLS).map(|call| Reverse((Timestamp::from_nanos(call * 1_000_000), call))).collect();
    let mut calls: BTreeMap<_, _> = (0..CALLS).map(|call| (call, Pending::Start)).collect();

    while let Some(Reverse((at, call))) = agenda.pop() {
        now = at;
        let action = match calls.remove(&call) {
            None => continue,
            Some(Pending::Start) => retry.begin(Call::new(Replay::Freely), now, &mut upstream),
            Some(Pending::Wake(pause)) => pause.resume(now, &mut upstream),
            Some(Pending::Answer(attempt)) => {
                match attempt.finish(&answer(now), now, &mut upstream, &mut rng) {
                    Verdict::Next(action) => action,
                    Verdict::Done(_) => {
                        summary.successes += 1;
                        continue;
                    }
                }
            }
        };
        let (at, pending) = match action {
            Action::Send(attempt) => {
                summary.attempts += 1;
                let latency = Duration::from_micros(5_000 + rng.next_u64() % 20_000);
                (now.saturating_add(latency), Pending::Answer(attempt))
            }
            Action::Sleep(pause) => (pause.until(), Pending::Wake(pause)),
            Action::GiveUp(why) => {
                *summary.give_ups.entry(why.reason.name()).or_default() += 1;
                continue;
            }
        };
        agenda.push(Reverse((at, call)));
        calls.insert(call, pending);
    }

    println!("{CALLS} calls in {now} of virtual time");
    println!("{:>7} attempts", summary.attempts);
    println!("{:>7} successes", summary.successes);
    for (reason, count) in summary.give_ups {
        println!("{count:>7} gave up: {reason}");
    }
    println!("{:>7} milli-tokens left", upstream.tokens_milli());
}

/// The server: down from the third second to the eighth.
fn answer(now: Timestamp) -> Outcome {
    let seconds = now.saturating_since(Timestamp::ORIGIN).as_secs();
    Outcome::status(if (3..8).contains(&seconds) { 503 } else { 200 })
}
