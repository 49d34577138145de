//! How fast the simulation is on one core, on the calls of the anchors: 503 three times, then 200,
//! with waits of one, two and four seconds (R-S-5).
//!
//! `cargo bench -p redial-sim`
#![allow(clippy::print_stdout, reason = "a bench reports on standard output")]
#![allow(clippy::unwrap_used, reason = "a bench fails by panicking")]

use core::num::NonZeroU32;
use core::sync::atomic::{AtomicU32, Ordering};
use core::time::Duration;
use std::time::Instant;

use bytes::Bytes;
use http::HeaderMap;
use redial_client::{Client, Exchange};
use redial_engine::{Backoff, Budget, Jitter, StandardPolicy, Timestamp};
use redial_sim::Executor;
use redial_sim::message::{End, Fate, MessageTransport, Reply, Script};

struct ThreeTimes503(AtomicU32);

impl Script for ThreeTimes503 {
    fn fate(&self, _: &Exchange, _: Timestamp) -> Fate {
        let nth = self.0.fetch_add(1, Ordering::Relaxed) % 4;
        let reply = Reply {
            status: if nth == 3 { 200 } else { 503 },
            headers: HeaderMap::new(),
            body: Bytes::from_static(b"hello"),
            broken: None,
            reused: true,
        };
        Fate { after: Duration::from_millis(1), end: End::Response(reply) }
    }
}

fn main() {
    message(100_000);
}

fn message(calls: u32) {
    let mut executor = Executor::new();
    let policy = StandardPolicy::builder()
        .backoff(Backoff::exponential(Duration::from_secs(1)).jitter(Jitter::None))
        .build()
        .unwrap();
    let transport = MessageTransport::new(executor.time(), ThreeTimes503(AtomicU32::new(0)));
    let client = Client::builder(transport)
        .policy(policy)
        .budget(Budget::UNLIMITED)
        .base_url("http://server.test")
        .seed(1)
        .build()
        .unwrap();
    let began = Instant::now();
    executor
        .run(async {
            for _ in 0..calls {
                let response = client.get("/").max_attempts(NonZeroU32::MAX).send().await.unwrap();
                assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 4));
            }
        })
        .unwrap();
    let took = began.elapsed();
    println!(
        "message level: {:.0} calls/s, {:.2} us/call",
        f64::from(calls) / took.as_secs_f64(),
        took.as_secs_f64() * 1e6 / f64::from(calls)
    );
}
