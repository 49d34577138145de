//! The executor: time jumps from event to event, in an order that is always the same (R-S-1).
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::future::{pending, poll_fn};
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use redial_client::Clock as _;
use redial_engine::Timestamp;
use redial_sim::{Executor, Halt, Seed, VirtualTime};

const SECOND: Duration = Duration::from_secs(1);

/// What happened, in its order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<(&'static str, Duration)>>>);

impl Log {
    fn say(&self, what: &'static str, time: &VirtualTime) {
        self.0.lock().unwrap().push((what, time.elapsed()));
    }

    fn taken(&self) -> Vec<(&'static str, Duration)> {
        core::mem::take(&mut self.0.lock().unwrap())
    }

    /// A task that sleeps and then says so.
    fn sleeper(&self, what: &'static str, length: Duration, time: &VirtualTime) {
        let (log, own) = (self.clone(), time.clone());
        time.spawn(async move {
            own.sleep(length).await;
            log.say(what, &own);
        });
    }
}

#[test]
fn ten_years_cost_as_much_as_a_second() {
    let polls = |length| {
        let mut executor = Executor::new();
        let time = executor.time();
        executor.run(time.sleep(length)).unwrap();
        assert_eq!(time.elapsed(), length);
        executor.polls()
    };
    assert_eq!(polls(SECOND), 2);
    assert_eq!(polls(SECOND * 10 * 365 * 24 * 3600), 2);
}

#[test]
fn timers_fire_in_the_order_of_time_and_then_of_being_set() {
    let (log, mut executor) = (Log::default(), Executor::new());
    let time = executor.time();
    for (what, length) in [("third", 2), ("first", 1), ("fourth", 2), ("second", 1), ("last", 9)] {
        log.sleeper(what, SECOND * length, &time);
    }
    executor.run(time.sleep(SECOND * 5)).unwrap();
    let expected = [("first", 1), ("second", 1), ("third", 2), ("fourth", 2)];
    assert_eq!(log.taken(), expected.map(|(what, at)| (what, SECOND * at)));
    // What was not complete goes on with the next run.
    executor.run(time.sleep(SECOND * 5)).unwrap();
    assert_eq!(log.taken(), [("last", SECOND * 9)]);
}

#[test]
fn what_can_never_complete_is_seen() {
    let mut executor = Executor::new();
    let time = executor.time();
    assert_eq!(executor.run(pending::<()>()), Err(Halt::Stalled));
    assert_eq!(executor.run(time.sleep_until(Timestamp::MAX)), Err(Halt::Stalled));
    let spinning = poll_fn::<(), _>(|context| {
        context.waker().wake_by_ref();
        Poll::Pending
    });
    assert_eq!(executor.run(spinning), Err(Halt::Spinning));
    // Sleeps of no length do not hide a loop.
    let waking = time.clone();
    let dozing = async {
        loop {
            waking.sleep(Duration::ZERO).await;
            poll_fn(|context| {
                context.waker().wake_by_ref();
                Poll::<()>::Pending
            })
            .await;
        }
    };
    assert_eq!(executor.run(dozing), Err::<(), _>(Halt::Spinning));
}

#[test]
fn a_task_that_spun_goes_on_with_the_next_run() {
    let (log, mut executor) = (Log::default(), Executor::new());
    let (time, said, mut left) = (executor.time(), log.clone(), 150_000);
    let own = time.clone();
    time.spawn(async move {
        poll_fn(|context| {
            left -= 1;
            context.waker().wake_by_ref();
            if left > 0 { Poll::Pending } else { Poll::Ready(()) }
        })
        .await;
        said.say("done", &own);
    });
    assert_eq!(executor.run(time.sleep(SECOND)), Err(Halt::Spinning));
    assert_eq!(log.taken(), []);
    executor.run(time.sleep(SECOND)).unwrap();
    assert_eq!(log.taken(), [("done", Duration::ZERO)]);
}

#[test]
fn sleeps_in_a_set_wake_the_set() {
    let (log, mut executor) = (Log::default(), Executor::new());
    let time = executor.time();
    let sleeps: FuturesUnordered<_> = [("third", 5), ("first", 1), ("second", 1)]
        .map(|(what, length)| {
            let time = &time;
            async move {
                time.sleep(SECOND * length).await;
                what
            }
        })
        .into_iter()
        .collect();
    executor.run(sleeps.for_each(async |what| log.say(what, &time))).unwrap();
    let expected = [("first", 1), ("second", 1), ("third", 5)];
    assert_eq!(log.taken(), expected.map(|(what, at)| (what, SECOND * at)));
}

#[test]
fn a_sleep_that_is_dropped_wakes_nobody() {
    let mut executor = Executor::new();
    let time = executor.time();
    let mut dropped = Some(Box::pin(time.sleep(SECOND)));
    let mut kept = Box::pin(time.sleep(SECOND * 3));
    executor
        .run(poll_fn(|context| {
            if let Some(sleep) = &mut dropped {
                assert!(sleep.as_mut().poll(context).is_pending());
            }
            dropped = None;
            kept.as_mut().poll(context)
        }))
        .unwrap();
    assert_eq!((executor.polls(), time.elapsed()), (2, SECOND * 3));
}

#[test]
fn late_timers_are_late_and_never_early() {
    let mut executor = Executor::new();
    let time = executor.time();
    time.make_timers_late(SECOND, Seed(1).stream("late"));
    let mut late = 0;
    for _ in 0..100 {
        let before = time.elapsed();
        executor.run(time.sleep(SECOND)).unwrap();
        let took = time.elapsed() - before;
        assert!((SECOND..=SECOND * 2).contains(&took), "{took:?}");
        late += u32::from(took > SECOND);
    }
    assert!(late > 90, "{late}");
}

#[test]
fn a_suspended_machine_finds_its_timers_late() {
    let (log, mut executor) = (Log::default(), Executor::new());
    let time = executor.time();
    log.sleeper("late", SECOND, &time);
    let jumping = time.clone();
    executor
        .run(async {
            jumping.sleep(Duration::from_millis(1)).await;
            jumping.jump(SECOND * 60);
            jumping.sleep(SECOND).await;
        })
        .unwrap();
    assert_eq!(log.taken(), [("late", Duration::from_millis(60_001))]);
    assert_eq!(time.elapsed(), Duration::from_millis(61_001));
}

#[test]
fn the_wall_clock_is_stepped_alone() {
    let executor = Executor::new();
    let time = executor.time();
    let wall = time.wall();
    time.step_wall(3_600_000_000_000);
    assert_eq!(time.wall(), wall + SECOND * 3600);
    time.step_wall(i64::MIN);
    assert!(time.wall() < wall);
    time.step_wall(i64::MIN);
    assert_eq!(time.wall(), SystemTime::UNIX_EPOCH);
    assert_eq!(time.elapsed(), Duration::ZERO);
}

#[test]
fn what_is_dropped_with_the_executor_is_gone() {
    let held = Arc::new(());
    let mut executor = Executor::new();
    let time = executor.time();
    for _ in 0..3 {
        let (held, own) = (Arc::clone(&held), time.clone());
        time.spawn(async move {
            own.sleep(SECOND).await;
            drop(held);
        });
    }
    executor.run(async {}).unwrap();
    assert_eq!(Arc::strong_count(&held), 4);
    drop(executor);
    assert_eq!(Arc::strong_count(&held), 1);
}
