//! A million calls that all fail, from 64 tasks: the budget holds, and memory stays flat (R-X-9).
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests may fail")]

mod common;

use core::cell::Cell;
use core::pin::pin;
use core::task::{Context, Poll, Waker};

use common::VirtualClock;
use redial_client::engine::{Budget, FailureKind};
use redial_client::{
    Answer, BoxFuture, Client, Clock, Exchange, PoolFigures, Transport, TransportError,
};

const TASKS: u64 = 64;
const CALLS: u64 = 1_000_000;

/// Nobody listens, ever.
#[derive(Default)]
struct Down(VirtualClock);

impl Transport for Down {
    fn name(&self) -> &'static str {
        "down"
    }

    fn send(&self, _: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(async { Err(TransportError::unsent(FailureKind::Connect)) })
    }

    fn clock(&self) -> &dyn Clock {
        &self.0
    }

    fn pool(&self) -> PoolFigures {
        PoolFigures::default()
    }

    fn close(&self) {}
}

/// One task's calls, and the attempts that they took.
async fn calls(client: &Client, attempts: &Cell<u64>) {
    for _ in 0..CALLS / TASKS {
        let error = client.get("http://host/").send().await.unwrap_err();
        attempts.set(attempts.get() + error.attempts().len() as u64);
    }
}

#[test]
fn a_million_failing_calls_stay_within_the_budget_and_leave_nothing() {
    // A tenth of the calls may be retried, after a burst of a hundred.
    let budget = Budget::builder().deposit_milli(100).refill_per_second(0).capacity(100);
    let client = Client::builder(Down::default()).budget(budget.build().unwrap()).seed(9);
    let client = client.build().unwrap();
    let attempts = Cell::new(0);
    let counted = allocation_counter::measure(|| {
        let mut tasks: Vec<_> =
            (0..TASKS).map(|_| Some(Box::pin(calls(&client, &attempts)))).collect();
        let mut context = pin!(Context::from_waker(Waker::noop()));
        while tasks.iter().any(Option::is_some) {
            for slot in &mut tasks {
                if let Some(task) = slot
                    && let Poll::Ready(()) = task.as_mut().poll(&mut context)
                {
                    *slot = None;
                }
            }
        }
    });
    assert!((CALLS + 100..=CALLS + CALLS / 10 + 100).contains(&attempts.get()), "{attempts:?}");
    assert!(counted.bytes_max < 1 << 20, "at most {} bytes at a time", counted.bytes_max);
    assert!(counted.bytes_current < 1 << 14, "{} bytes are left", counted.bytes_current);
}
