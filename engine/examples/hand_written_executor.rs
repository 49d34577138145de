//! The engine under an executor that is written by hand: whatever waits says when it wants to be
//! polled again, and the executor sleeps until then. Five calls meet an outage of half a second.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use core::cell::{Cell, RefCell};
use core::future::poll_fn;
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::time::Instant;

use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng as _};
use redial_engine::{Action, Call, Cutoff, Outcome, Replay, Retry};
use redial_engine::{StandardPolicy, Timestamp, Upstream, Verdict};

fn main() {
    let clock = Clock { start: Instant::now(), next_poll: Cell::default() };
    let upstream = RefCell::default();
    clock.run((0..5).map(|number| call(number, &clock, &upstream)));
}

struct Clock {
    start: Instant,
    next_poll: Cell<Timestamp>,
}

impl Clock {
    fn run(&self, tasks: impl Iterator<Item = impl Future>) {
        let mut tasks: Vec<_> = tasks.map(Box::pin).collect();
        while !tasks.is_empty() {
            std::thread::sleep(self.next_poll.get().saturating_since(self.now()));
            self.next_poll.set(Timestamp::MAX);
            let mut context = Context::from_waker(Waker::noop());
            tasks.retain_mut(|task| task.as_mut().poll(&mut context).is_pending());
        }
    }

    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(self.start.elapsed())
    }

    async fn sleep_until(&self, at: Timestamp) {
        poll_fn(|_| {
            self.next_poll.set(self.next_poll.get().min(at));
            if self.now() < at { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
    }
}

async fn call(number: u64, clock: &Clock, upstream: &RefCell<Upstream>) {
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(number);
    let call = Call::new(Replay::Freely).timeout(Duration::from_secs(9));
    let retry = Retry::new(StandardPolicy::DEFAULT);
    let mut action = retry.begin(call, clock.now(), &mut upstream.borrow_mut());
    loop {
        action = match action {
            Action::Send(attempt) => {
                let outcome = exchange(clock, attempt.deadline()).await;
                println!("{}: call {number}: {outcome:?}", clock.now());
                match attempt.finish(&outcome, clock.now(), &mut upstream.borrow_mut(), &mut rng) {
                    Verdict::Next(action) => action,
                    Verdict::Done(_) => return,
                }
            }
            Action::Sleep(pause) => {
                clock.sleep_until(pause.until()).await;
                pause.resume(clock.now(), &mut upstream.borrow_mut())
            }
            Action::GiveUp(why) => return println!("call {number}: given up, {}", why.reason),
        };
    }
}

/// Stands for an exchange, which takes 10 ms, or what the attempt has left.
async fn exchange(clock: &Clock, cut: Option<Cutoff>) -> Outcome {
    let answer = clock.now().saturating_add(Duration::from_millis(10));
    clock.sleep_until(cut.map_or(answer, |cut| cut.at.min(answer))).await;
    Outcome::status(if clock.start.elapsed().as_millis() < 500 { 503 } else { 200 })
}
