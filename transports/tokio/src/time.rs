//! A runtime and its time, which goes on where the runtime has been shut down.

use core::future::{Future, pending, poll_fn};
use core::panic::AssertUnwindSafe;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Poll;
use core::time::Duration;
use std::panic::catch_unwind;
use std::sync::{Arc, OnceLock};
use std::thread;

use redial_client::{Clock, ThreadClock};
use redial_engine::Timestamp;
use tokio::runtime::Handle;
use tokio::task::AbortHandle;
use tokio::time::{Instant, Sleep};

/// A runtime and its time.
///
/// A timer of tokio's panics where its runtime has been shut down, and nothing says beforehand
/// whether it has. So a task waits on the runtime for nothing but its own end, which comes before
/// that of the timers.
#[derive(Debug)]
pub(crate) struct Time {
    runtime: Handle,
    origin: Instant,
    ended: Arc<AtomicBool>,
    guard: AbortHandle,
    /// What times the calls that outlive the runtime; `None` where no thread was to be had for it.
    afterwards: OnceLock<Option<ThreadClock>>,
}

impl Time {
    /// The time of this runtime, from now on.
    pub(crate) fn of(runtime: Handle) -> Self {
        let origin = {
            // Paused time belongs to a runtime: the origin must be read inside it.
            let _inside = runtime.enter();
            Instant::now()
        };
        let ended = Arc::default();
        let end = End(Arc::clone(&ended));
        let guard = runtime.spawn(async move {
            let _end = end;
            pending::<()>().await;
        });
        let guard = guard.abort_handle();
        Self { runtime, origin, ended, guard, afterwards: OnceLock::new() }
    }

    pub(crate) const fn runtime(&self) -> &Handle {
        &self.runtime
    }

    pub(crate) fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(Instant::now().saturating_duration_since(self.origin))
    }

    /// When that is on tokio's clock, if it ever comes.
    pub(crate) fn instant(&self, at: Timestamp) -> Option<Instant> {
        let after = at.saturating_since(Timestamp::ORIGIN);
        self.origin.checked_add(after).filter(|_| at != Timestamp::MAX)
    }

    /// Waits on the runtime's clock, or for as long without it.
    pub(crate) async fn sleep_until(self: Arc<Self>, at: Instant) {
        let slept = {
            let mut sleep = pin!(self.timer(at));
            poll_fn(|context| {
                if self.ended.load(Ordering::Acquire) {
                    return Poll::Ready(false);
                }
                // The end may come just now.
                let polled = catch_unwind(AssertUnwindSafe(|| sleep.as_mut().poll(context)));
                polled.map_or(Poll::Ready(false), |polled| polled.map(|()| true))
            })
            .await
        };
        if !slept {
            self.sleep_afterwards(at.saturating_duration_since(Instant::now())).await;
        }
    }

    fn timer(&self, at: Instant) -> Sleep {
        // A timer belongs to a runtime, and a call may be polled outside this one.
        let _inside = self.runtime.enter();
        tokio::time::sleep_until(at)
    }

    async fn sleep_afterwards(&self, length: Duration) {
        match self.afterwards.get_or_init(|| ThreadClock::start().ok()) {
            Some(clock) => clock.sleep_until(clock.now().saturating_add(length)).await,
            None => thread::sleep(length),
        }
    }
}

impl Drop for Time {
    fn drop(&mut self) {
        self.guard.abort();
    }
}

/// Notes the end of the runtime when it is dropped.
struct End(Arc<AtomicBool>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}
