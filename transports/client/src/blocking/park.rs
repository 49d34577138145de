//! Waiting for a future by parking the thread.

use core::future::Future;
use core::pin::pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};

/// Runs a future to its end on this thread, which sleeps while there is nothing to do.
pub(super) fn block_on<T>(future: impl Future<Output = T>) -> T {
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(Arc::clone(&parked));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(unbudgeted(future));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut context) {
            return value;
        }
        // A thread may be unparked for reasons of somebody else's.
        while !parked.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    }
}

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

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}
