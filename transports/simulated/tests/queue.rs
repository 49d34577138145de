//! The event queue against a model that is too simple to be wrong.
#![allow(clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use proptest::prelude::*;
use redial_engine::Timestamp;
use redial_sim::EventQueue;

/// Events by their time and the order in which they came.
#[derive(Default)]
struct Model {
    now: u64,
    pushed: u64,
    events: BTreeMap<(u64, u64), u64>,
}

impl Model {
    fn push(&mut self, at: u64, item: u64) {
        self.events.insert((at.max(self.now), self.pushed), item);
        self.pushed += 1;
    }

    fn pop(&mut self) -> Option<(u64, u64)> {
        let ((at, _), item) = self.events.pop_first()?;
        self.now = at;
        Some((at, item))
    }

    fn next_at(&self) -> Option<u64> {
        self.events.first_key_value().map(|((at, _), _)| *at)
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// So long after now.
    In(u64),
    /// At this time, which may be past.
    At(u64),
    Pop,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let length = prop_oneof![
        4 => 0_u64..4,
        4 => 0_u64..200,
        4 => 0_u64..5_000_000_000,
        1 => any::<u64>(),
    ];
    let step = prop_oneof![
        6 => length.prop_map(Step::In),
        1 => prop_oneof![Just(0), Just(u64::MAX), any::<u64>()].prop_map(Step::At),
        5 => Just(Step::Pop),
    ];
    prop::collection::vec(step, 0..400)
}

proptest! {
    #[test]
    fn the_queue_agrees_with_a_sorted_map(steps in steps()) {
        let (mut queue, mut model) = (EventQueue::new(), Model::default());
        for (item, step) in (0..).zip(steps) {
            match step {
                Step::In(length) => {
                    let at = model.now.saturating_add(length);
                    queue.push(Timestamp::from_nanos(at), item);
                    model.push(at, item);
                }
                Step::At(at) => {
                    queue.push(Timestamp::from_nanos(at), item);
                    model.push(at, item);
                }
                Step::Pop => {
                    let popped = queue.pop().map(|(at, item)| (at.as_nanos(), item));
                    prop_assert_eq!(popped, model.pop());
                }
            }
            prop_assert_eq!(queue.now().as_nanos(), model.now);
            prop_assert_eq!(queue.len(), model.events.len());
            prop_assert_eq!(queue.is_empty(), model.events.is_empty());
            prop_assert_eq!(queue.next_at().map(Timestamp::as_nanos), model.next_at());
        }
        while let Some((at, item)) = queue.pop() {
            prop_assert_eq!(Some((at.as_nanos(), item)), model.pop());
        }
        prop_assert_eq!(model.pop(), None);
    }
}

#[test]
fn a_crowd_at_one_time_leaves_in_the_order_in_which_it_came() {
    const CROWD: u64 = 100_000;
    let mut queue = EventQueue::new();
    let noon = Timestamp::from_nanos(43_200_000_000_000);
    for item in 0..CROWD {
        queue.push(noon, item);
        queue.push(Timestamp::from_nanos(item * 1_000), CROWD + item);
    }
    let left: Vec<u64> = core::iter::from_fn(|| queue.pop())
        .filter_map(|(at, item)| (at == noon).then_some(item))
        .collect();
    assert!(left.iter().copied().eq(0..CROWD), "{} left", left.len());
}

#[test]
fn the_end_of_time_is_reached() {
    let mut queue = EventQueue::default();
    queue.push(Timestamp::MAX, 'b');
    queue.push(Timestamp::from_nanos(u64::MAX - 1), 'a');
    assert_eq!(queue.pop(), Some((Timestamp::from_nanos(u64::MAX - 1), 'a')));
    assert_eq!(queue.pop(), Some((Timestamp::MAX, 'b')));
    queue.push(Timestamp::ORIGIN, 'c');
    assert_eq!(queue.pop(), Some((Timestamp::MAX, 'c')));
    assert_eq!(queue.pop(), None);
}
