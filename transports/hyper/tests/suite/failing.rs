//! Servers that fail every call, for long: the budget bounds the load, and nothing is left (R-X-9).

use core::time::Duration;

use futures_util::future::join_all;
use redial_client::Client;
use redial_conformance::{FaultServer, Script, Step};
use redial_engine::Budget;
use redial_hyper::Hyper;

use crate::common::{quick, until};
use crate::on::{On, on_each_runtime};

on_each_runtime![calls_that_all_fail_stay_within_the_budget];

const TASKS: usize = 64;
const CALLS: usize = 4096;

/// A tenth of the calls may be retried, after a burst of a hundred.
const BUDGET: (u32, u32) = (10, 100);

async fn calls_that_all_fail_stay_within_the_budget(on: On) {
    for script in [Script::refused(), Script::connections(vec![]).otherwise(vec![Step::Reset])] {
        let server = FaultServer::start(script).unwrap();
        let runtime = on.runtime();
        let (percent, burst) = BUDGET;
        let budget =
            Budget::builder().deposit_milli(percent * 10).refill_per_second(0).capacity(burst);
        let client = Client::builder(Hyper::on(runtime.clone()))
            .policy(quick().build().unwrap())
            .budget(budget.build().unwrap())
            .timeouts(crate::common::timeouts(Duration::from_secs(20)))
            .build()
            .unwrap();
        let tasks = (0..TASKS).map(|_| on.spawn(calls(client.clone(), server.url("/"))));
        let attempts: usize = join_all(tasks).await.into_iter().sum();
        let most = CALLS + CALLS * percent as usize / 100 + burst as usize;
        assert!((CALLS + burst as usize..=most).contains(&attempts), "R-G-1: {attempts}");
        until(|| client.pool().open == 0 && runtime.sockets().open() == 0).await;
        assert_eq!(client.pool().waiting, 0);
    }
}

/// One task's calls; answers how many attempts they took.
async fn calls(client: Client, url: String) -> usize {
    let mut attempts = 0;
    for _ in 0..CALLS / TASKS {
        let error = client.get(&url).send().await.unwrap_err();
        assert!(error.reason().is_some());
        attempts += error.attempts().len();
    }
    attempts
}
