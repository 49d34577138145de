//! Waiting for a future by parking the thread.

use core::error;
use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

use crate::error::Error;
use crate::transport::BoxFuture;

/// After how long without news a thread first asks whether the transport's runtime runs, and the
/// longest that it then waits before it asks again.
const FIRST_LOOK: Duration = Duration::from_millis(100);
const LATER_LOOK: Duration = Duration::from_secs(1);

/// How many turns in a row, over some 6 s, have not come where a runtime does not run.
const MISSED: usize = 7;

/// Runs a future to its end on this thread, which sleeps while there is nothing to do.
///
/// `turn` asks for a [`Transport::turn`](crate::Transport::turn); it answers `None` where the
/// transport is gone.
///
/// # Errors
///
/// An [`Error`] where the runtime that the future waits for does not run: it is likely this thread
/// that is to run it.
pub(super) fn block_on<T>(
    future: impl Future<Output = Result<T, Error>>,
    turn: impl Fn() -> Option<BoxFuture<'static, ()>>,
) -> Result<T, Error> {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(unbudgeted(future));
    loop {
        if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
            return result;
        }
        let mut pulse = Pulse::new();
        while !parked.sleep(pulse.pause) {
            if pulse.has_stopped(&turn) {
                return Err(Error::stalled(Stalled));
            }
        }
    }
}

/// Whether the runtime runs that a parked thread waits for.
struct Pulse {
    /// How long to wait before the next look.
    pause: Duration,
    /// The turns that have been asked for, one with each look, and have not come.
    ///
    /// What a task of tokio's spawns last waits for that task's own thread, until the task spawns
    /// something else. So each also sets free what was spawned before it.
    missed: Vec<BoxFuture<'static, ()>>,
}

impl Pulse {
    const fn new() -> Self {
        Self { pause: FIRST_LOOK, missed: Vec::new() }
    }

    fn has_stopped(&mut self, turn: impl Fn() -> Option<BoxFuture<'static, ()>>) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        if self.missed.iter_mut().any(|turn| turn.as_mut().poll(&mut context).is_ready()) {
            self.missed.clear();
        }
        self.pause = self.pause.saturating_mul(2).min(LATER_LOOK);
        let stopped = self.missed.len() >= MISSED;
        self.missed.extend(turn());
        stopped
    }
}

/// A blocking call waits for a runtime that does not run.
#[derive(Debug)]
struct Stalled;

impl fmt::Display for Stalled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime of the transport stands still: a blocking call inside one of its own tasks \
             waits for itself; make the client by the runtime's `blocking`, or call the async one",
        )
    }
}

impl error::Error for Stalled {}

/// The same future, which tokio does not make wait.
///
/// A task of tokio's may do so much in a turn, and what it does beyond that is put off until its
/// next one. For a blocking call inside such a task there is none: its channels and sockets, which
/// hyper brings along on any runtime, would be silent for ever.
#[cfg(feature = "beside-tokio")]
fn unbudgeted<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    tokio::task::unconstrained(future)
}

#[cfg(not(feature = "beside-tokio"))]
const fn unbudgeted<F>(future: F) -> F {
    future
}

struct Parked {
    thread: Thread,
    woken: AtomicBool,
}

impl Parked {
    /// Sleeps until somebody wakes it, but no longer than this; whether somebody did.
    fn sleep(&self, longest: Duration) -> bool {
        let began = Instant::now();
        // A thread may be unparked for reasons of somebody else's.
        while !self.woken.swap(false, Ordering::Acquire) {
            let Some(rest) = longest.checked_sub(began.elapsed()) else { return false };
            thread::park_timeout(rest);
        }
        true
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
