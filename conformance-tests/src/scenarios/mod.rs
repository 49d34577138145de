//! The suite: every scenario, by group.
//!
//! A row is written as what it proves (`Scenario::new`), what the origin does (`origin`), what the
//! client does and what must come of it (`call`), and what the origin must have seen (`sees`).

mod backoff;
mod bodies;
mod budget;
mod cancellation;
mod deadlines;
mod decisions;
mod failures;
mod headers;
mod hints;
mod hostile;
mod http2;
mod pool;
mod timeouts;
mod tls;
mod urls;

use core::time::Duration;

use crate::{Reply, Scenario, Step};

/// Every scenario, group by group.
pub fn scenarios() -> Vec<Scenario> {
    let groups = [
        decisions::all(),
        backoff::all(),
        hints::all(),
        budget::all(),
        deadlines::all(),
        failures::all(),
        timeouts::all(),
        bodies::all(),
        pool::all(),
        headers::all(),
        urls::all(),
        cancellation::all(),
        tls::all(),
        http2::all(),
        hostile::all(),
    ];
    groups.into_iter().flatten().collect()
}

/// A good answer.
fn ok() -> Reply {
    Reply::status(200).body("ok")
}

/// An answer of this status, which a client can read and throw away.
fn status(status: u16) -> Reply {
    Reply::status(status).body("no")
}

/// One reply, as what is done to a request.
fn reply(reply: &Reply) -> Vec<Step> {
    vec![reply.step()]
}

/// Waits for the client to close the connection, for longer than any client here takes.
const fn await_close() -> Step {
    Step::AwaitClose { within: seconds(15) }
}

const fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

const fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}
