//! Requests a second: all stacks on tokio by turns in one process, with a server on a thread of its
//! own, which shares one CPU with them. On two it is also the wake-ups between them that are measured,
//! and whatever else the machine does.

use redial_tokio::Tokio;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use tokio::runtime::Handle;

use crate::load::{Load, Stack, Turns, tokio_runtime};
use crate::server;
use crate::slot::{Slot, ours, pooled, raw_http1, raw_http2};

const ROUNDS: usize = 40;
const REQUESTS: usize = 2560;

/// How fast stacks are, of bare hyper: medians over the rounds.
pub(crate) struct Speed {
    pub(crate) ours: f64,
    pub(crate) pooled: f64,
}

/// Measures with so many requests in flight.
pub(crate) fn measure(http2: bool, in_flight: usize) -> Speed {
    let _here = OneCpu::stay();
    let load = Load::of(Stack::Raw, http2, in_flight, server::in_a_thread(http2));
    tokio_runtime().block_on(async {
        if http2 {
            against(raw_http2(&load).await, &load).await
        } else {
            against(raw_http1(&load).await, &load).await
        }
    })
}

async fn against<S: Slot>(raw: Vec<S>, load: &Load) -> Speed {
    let mut raw = Turns::new(raw).await;
    let mut with_pool = Turns::new(pooled(load)).await;
    let mut with_everything = Turns::new(ours(Tokio::new(Handle::current()), load)).await;
    let (mut pooled, mut ours) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let took = raw.take(REQUESTS).await.as_secs_f64();
        pooled.push(took / with_pool.take(REQUESTS).await.as_secs_f64());
        ours.push(took / with_everything.take(REQUESTS).await.as_secs_f64());
    }
    Speed { ours: median(ours), pooled: median(pooled) }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// Keeps this thread, and those that it starts, on the last CPU that it may have, until it is dropped.
struct OneCpu {
    allowed: CpuSet,
}

impl OneCpu {
    fn stay() -> Self {
        let allowed = sched_getaffinity(None).unwrap();
        let mut last = CpuSet::new();
        last.set((0..CpuSet::MAX_CPU).rfind(|cpu| allowed.is_set(*cpu)).unwrap());
        sched_setaffinity(None, &last).unwrap();
        Self { allowed }
    }
}

impl Drop for OneCpu {
    fn drop(&mut self) {
        sched_setaffinity(None, &self.allowed).unwrap();
    }
}
