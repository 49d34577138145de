//! What is to be done next: everything that an executor and its handles share.

use core::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use core::task::Waker;
use std::collections::VecDeque;
use std::sync::Mutex;

use redial_client::BoxFuture;
use redial_engine::Timestamp;

use super::lock;
use super::tasks::TaskId;
use super::timers::{Timer, Timers, Wakes};

/// A clock, and an agenda behind a lock.
///
/// The lock is never contended: it is there because wakers can be sent. It is also what a step
/// costs most, so a step takes it once.
#[derive(Default)]
pub(super) struct Shared {
    /// Nanoseconds since the origin.
    now: AtomicU64,
    /// By how many nanoseconds the wall clock has been stepped.
    stepped: AtomicI64,
    polled: Polled,
    /// The number of the timer that fired last.
    fired: AtomicU64,
    agenda: Mutex<Agenda>,
}

#[derive(Default)]
struct Agenda {
    spawned: VecDeque<BoxFuture<'static, ()>>,
    /// Who is ready to be polled, in the order in which it became so.
    ready: VecDeque<TaskId>,
    timers: Timers,
    /// The task that was handed out last.
    polled: TaskId,
}

/// What an executor does next.
pub(super) enum Step {
    /// Takes over what was spawned.
    Adopt(BoxFuture<'static, ()>),
    /// Polls a task.
    Poll(TaskId),
    /// Wakes somebody who has a waker of another kind.
    Wake(Waker),
    /// Waits for somebody who waits as well.
    Nothing,
}

impl Shared {
    #[inline]
    pub(super) fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now.load(Ordering::Relaxed))
    }

    pub(super) fn set_now(&self, now: Timestamp) {
        self.now.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(super) fn stepped(&self) -> i64 {
        self.stepped.load(Ordering::Relaxed)
    }

    pub(super) fn step(&self, nanos: i64) {
        self.stepped.store(self.stepped().saturating_add(nanos), Ordering::Relaxed);
    }

    pub(super) fn spawn(&self, future: BoxFuture<'static, ()>) {
        lock(&self.agenda).spawned.push_back(future);
    }

    pub(super) fn wake(&self, task: TaskId) {
        lock(&self.agenda).ready.push_back(task);
    }

    /// Makes a task that was handed out the next one again.
    pub(super) fn put_back(&self, task: TaskId) {
        lock(&self.agenda).ready.push_front(task);
    }

    /// The next step; moves time on to it where nothing is to be done before.
    pub(super) fn next(&self) -> Step {
        let mut agenda = lock(&self.agenda);
        if let Some(future) = agenda.spawned.pop_front() {
            return Step::Adopt(future);
        }
        if let Some(task) = agenda.ready.pop_front() {
            agenda.polled = task;
            return Step::Poll(task);
        }
        let Some((at, timer, wakes)) = agenda.timers.fire() else { return Step::Nothing };
        self.set_now(self.now().max(at));
        self.fired.store(timer.number, Ordering::Relaxed);
        match wakes {
            Wakes::Task(task) => {
                agenda.polled = task;
                Step::Poll(task)
            }
            Wakes::Other(waker) => Step::Wake(waker),
        }
    }

    /// Has the task that was handed out last polled by this, with this waker of its own.
    pub(super) fn while_polled<T>(&self, waker: &Waker, poll: impl FnOnce() -> T) -> T {
        self.polled.begin(waker);
        let polled = poll();
        self.polled.end();
        polled
    }

    /// Sets a timer, or tells one that is set whom to wake.
    pub(super) fn set_timer(&self, at: Timestamp, timer: Option<Timer>, waker: &Waker) -> Timer {
        let is_own = self.polled.is(waker);
        let mut agenda = lock(&self.agenda);
        let wakes = if is_own { Wakes::Task(agenda.polled) } else { Wakes::Other(waker.clone()) };
        let (timer, before) = agenda.timers.set(at, timer, wakes);
        drop(agenda);
        // Somebody else's code may run here, which may need the lock.
        drop(before);
        timer
    }

    /// Whether this is the timer that fired last: it needs no cancelling.
    pub(super) fn has_just_fired(&self, timer: Timer) -> bool {
        self.fired.load(Ordering::Relaxed) == timer.number
    }

    pub(super) fn cancel_timer(&self, timer: Timer) {
        let wakes = lock(&self.agenda).timers.cancel(timer);
        drop(wakes);
    }

    /// Calls something with the timers.
    pub(super) fn with_timers(&self, change: impl FnOnce(&mut Timers)) {
        change(&mut lock(&self.agenda).timers);
    }

    /// Forgets everything: wakers hold this, and this holds wakers.
    pub(super) fn clear(&self) {
        let agenda = core::mem::take(&mut *lock(&self.agenda));
        drop(agenda);
    }
}

/// By which waker the task that is being polled is known; none where no task is.
///
/// With it a timer tells the task itself from somebody whom the task polls with a waker of another
/// kind. Most timers are the task's own, and need neither a copy of the waker nor to be woken.
#[derive(Default)]
struct Polled {
    data: AtomicUsize,
    vtable: AtomicUsize,
}

impl Polled {
    fn begin(&self, waker: &Waker) {
        let (data, vtable) = Self::addresses(waker);
        self.data.store(data, Ordering::Relaxed);
        self.vtable.store(vtable, Ordering::Relaxed);
    }

    fn end(&self) {
        self.vtable.store(0, Ordering::Relaxed);
    }

    fn is(&self, waker: &Waker) -> bool {
        let known = (self.data.load(Ordering::Relaxed), self.vtable.load(Ordering::Relaxed));
        known == Self::addresses(waker)
    }

    /// Both together say which waker it is, as in [`Waker::will_wake`].
    fn addresses(waker: &Waker) -> (usize, usize) {
        (waker.data().addr(), core::ptr::from_ref(waker.vtable()).addr())
    }
}
