//! The event queue beside the standard library's binary heap.
//!
//! `cargo bench -p redial-sim --bench queue` prints the time of a turn, which takes the next event
//! and puts it back up to four seconds later, with so many entries waiting.

#![allow(clippy::print_stdout, reason = "a bench prints what it found")]

use core::cmp::Reverse;
use core::hint::black_box;
use std::collections::BinaryHeap;
use std::time::Instant;

use rand_core::Rng as _;
use redial_engine::Timestamp;
use redial_sim::{EventQueue, Seed};

const TURNS: u64 = 4_000_000;

fn main() {
    println!("{:>9}  {:>12}  {:>12}  {:>6}", "entries", "queue", "binary heap", "ratio");
    for entries in [100_u64, 1_000, 10_000, 100_000, 1_000_000] {
        let queue = hold_queue(entries);
        let heap = hold_heap(entries);
        println!("{entries:>9}  {queue:>9.1} ns  {heap:>9.1} ns  {:>6.2}", heap / queue);
    }
}

/// Up to four seconds: what retries wait for.
fn wait(bits: u64) -> u64 {
    bits >> 32
}

fn hold_queue(entries: u64) -> f64 {
    let mut random = Seed(1).stream("waits");
    let mut queue = EventQueue::new();
    for entry in 0..entries {
        queue.push(Timestamp::from_nanos(wait(random.next_u64())), entry);
    }
    let start = Instant::now();
    for _ in 0..TURNS {
        if let Some((at, entry)) = queue.pop() {
            queue.push(Timestamp::from_nanos(at.as_nanos() + wait(random.next_u64())), entry);
        }
    }
    black_box(&queue);
    start.elapsed().as_nanos() as f64 / TURNS as f64
}

fn hold_heap(entries: u64) -> f64 {
    let mut random = Seed(1).stream("waits");
    let mut heap = BinaryHeap::new();
    let mut sequence = 0;
    for entry in 0..entries {
        sequence += 1;
        heap.push(Reverse((wait(random.next_u64()), sequence, entry)));
    }
    let start = Instant::now();
    for _ in 0..TURNS {
        if let Some(Reverse((at, _, entry))) = heap.pop() {
            sequence += 1;
            heap.push(Reverse((at + wait(random.next_u64()), sequence, entry)));
        }
    }
    black_box(&heap);
    start.elapsed().as_nanos() as f64 / TURNS as f64
}
