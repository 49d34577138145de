//! Which tasks are ready, and how they become so.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use redial_client::BoxFuture;

/// The index of the future that the executor was called with.
pub(super) const MAIN: usize = usize::MAX;

/// What is ready to be polled, in the order in which it became so, and what was spawned.
///
/// The locks are never contended: they are there because wakers can be sent.
#[derive(Default)]
pub(super) struct Ready {
    woken: Mutex<VecDeque<Arc<TaskWaker>>>,
    spawned: Mutex<VecDeque<BoxFuture<'static, ()>>>,
    /// Whether there may be any, which is asked before every poll.
    has_spawned: AtomicBool,
}

impl Ready {
    pub(super) fn next(&self) -> Option<Arc<TaskWaker>> {
        lock(&self.woken).pop_front()
    }

    pub(super) fn spawn(&self, future: BoxFuture<'static, ()>) {
        lock(&self.spawned).push_back(future);
        self.has_spawned.store(true, Ordering::Relaxed);
    }

    pub(super) fn spawned(&self) -> Option<BoxFuture<'static, ()>> {
        if !self.has_spawned.load(Ordering::Relaxed) {
            return None;
        }
        let mut spawned = lock(&self.spawned);
        let next = spawned.pop_front();
        self.has_spawned.store(!spawned.is_empty(), Ordering::Relaxed);
        next
    }

    /// Forgets everything: wakers hold this, and this holds wakers.
    pub(super) fn clear(&self) {
        let woken = core::mem::take(&mut *lock(&self.woken));
        let spawned = core::mem::take(&mut *lock(&self.spawned));
        drop((woken, spawned));
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ready").field("woken", &lock(&self.woken).len()).finish_non_exhaustive()
    }
}

/// Makes one task ready, once until it is polled.
pub(super) struct TaskWaker {
    index: usize,
    ready: Arc<Ready>,
    woken: AtomicBool,
}

impl TaskWaker {
    pub(super) fn new(index: usize, ready: &Arc<Ready>) -> Arc<Self> {
        Arc::new(Self { index, ready: Arc::clone(ready), woken: AtomicBool::new(false) })
    }

    pub(super) const fn index(&self) -> usize {
        self.index
    }

    /// Makes its task ready, unless it is.
    pub(super) fn push(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Relaxed) {
            lock(&self.ready.woken).push_back(Arc::clone(self));
        }
    }

    /// Its task is about to be polled: from here on it can be woken again.
    pub(super) fn begin(&self) {
        self.woken.store(false, Ordering::Relaxed);
    }
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.push();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.push();
    }
}

/// Locks, also where a holder panicked: no step leaves what is guarded half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
