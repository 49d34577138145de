//! Time as a transport's runtime has it.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use std::time::SystemTime;

use redial_engine::Timestamp;

use crate::transport::BoxFuture;

/// The clock and the timer of a runtime: one source, so that paused and virtual time work (R-T-6).
///
/// There are no defaults: a `now` of one source beside a `sleep_until` of another is the very
/// mistake that this trait is there to prevent.
pub trait Clock: Send + Sync {
    /// The time now. It never needs to be exact, but must not run apart from `sleep_until`.
    fn now(&self) -> Timestamp;

    /// The wall clock, for dates that a server sends without its own `Date` (R-RA-3).
    fn wall(&self) -> SystemTime;

    /// Completes at `at` or later, at once where that is past; [`Timestamp::MAX`] never comes.
    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()>;
}

/// Runs a future against another that limits it: `None` where the limit came first.
///
/// The future is polled first, so that what is ready at the same moment wins.
pub async fn race<T>(
    future: impl Future<Output = T>,
    limit: impl Future<Output = ()>,
) -> Option<T> {
    let mut future = pin!(future);
    let mut limit = pin!(limit);
    poll_fn(|context| {
        if let Poll::Ready(value) = future.as_mut().poll(context) {
            return Poll::Ready(Some(value));
        }
        limit.as_mut().poll(context).map(|()| None)
    })
    .await
}
