//! What the tests share: quick policies, servers, and questions to a server's log.

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread::Thread;
use std::time::Instant;

use futures_util::future::{Either, select};
use redial_client::Timeouts;
use redial_conformance::{FaultServer, Log, Reply, Script, Step};
use redial_engine::{Backoff, StandardPolicy, StandardPolicyBuilder};

use crate::on::sleep;

/// Longer than any test takes, and so the sign of one that hangs.
pub(crate) const TOO_LONG: Duration = Duration::from_secs(300);

/// How long a test waits for what has to come soon.
pub(crate) const SOON: Duration = Duration::from_secs(10);

/// The standard policy, with waits that a test need not sit through.
pub(crate) fn quick() -> StandardPolicyBuilder {
    StandardPolicy::builder().backoff(Backoff::exponential(Duration::from_millis(2)))
}

/// All four timeouts of the same length.
pub(crate) fn timeouts(length: Duration) -> Timeouts {
    let mut timeouts = Timeouts::DEFAULT;
    timeouts.connect = length;
    timeouts.read = length;
    timeouts.write = length;
    timeouts.pool = length;
    timeouts
}

pub(crate) fn ok() -> Reply {
    Reply::status(200).body("ok")
}

/// A server that answers the n-th request so.
pub(crate) fn replies(replies: impl IntoIterator<Item = Reply>) -> FaultServer {
    FaultServer::start(Script::replies(replies)).unwrap()
}

/// A server that treats the n-th request so.
pub(crate) fn requests(lists: Vec<Vec<Step>>) -> FaultServer {
    FaultServer::start(Script::requests(lists)).unwrap()
}

/// A server that treats every request so.
pub(crate) fn always(steps: Vec<Step>) -> FaultServer {
    FaultServer::start(Script::requests(vec![]).otherwise(steps)).unwrap()
}

/// A server that takes every request, and answers none.
pub(crate) fn silent() -> FaultServer {
    always(vec![Step::AwaitClose { within: SOON }])
}

/// Ends a server whose script was played to its end, beside a runtime that goes on.
pub(crate) async fn finish(server: FaultServer) -> Log {
    let finished = smol::unblock(move || server.finish()).await;
    finished.unwrap_or_else(|unfinished| panic!("{unfinished}; {:?}", unfinished.log()))
}

/// Waits until something holds that has to come soon; answers how long that took.
pub(crate) async fn until(what: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < SOON, "it never came");
        sleep(Duration::from_millis(2)).await;
    }
    began.elapsed()
}

/// Waits until the server's log says what a test waits for; answers how long that took.
pub(crate) async fn until_log(server: &FaultServer, what: impl Fn(&Log) -> bool) -> Duration {
    until(|| what(&server.log())).await
}

/// The smallest executor there is: it knows nothing of tokio.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(std::thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => std::thread::park(),
        }
    }
}

/// What comes of a future within so long; `None` where nothing does.
pub(crate) async fn within<T>(length: Duration, future: impl Future<Output = T>) -> Option<T> {
    let (future, limit) = (pin!(future), pin!(sleep(length)));
    match select(future, limit).await {
        Either::Left((value, _)) => Some(value),
        Either::Right(_) => None,
    }
}

/// Draws from a fixed sequence of its own (splitmix64).
pub(crate) fn draw(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mut mixed = *state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}
