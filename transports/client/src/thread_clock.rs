//! A clock that needs no runtime: one thread that all timers share.
//!
//! A timer of a runtime would bind a transport to it, and one that wakes its reactor for every
//! request costs as much as a part of the request. Here a timer that is not the next to fire is an
//! entry in a map, and nobody is woken for it.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Instant, SystemTime};

use redial_engine::Timestamp;

use crate::clock::Clock;
use crate::transport::BoxFuture;

/// The clock of a transport that has no runtime: the system's time, and timers on one thread.
///
/// Clones share the thread, which ends with the last of them and of their timers. Setting a timer
/// costs an entry in a map, and a wake-up of the thread only where no other fires before.
///
/// ```
/// use core::time::Duration;
/// use redial_client::{Clock as _, ThreadClock};
///
/// # fn main() -> std::io::Result<()> {
/// let clock = ThreadClock::start()?;
/// let at = clock.now().saturating_add(Duration::from_millis(5));
/// futures_lite::future::block_on(clock.sleep_until(at));
/// assert!(clock.now() >= at);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct ThreadClock(Arc<Owner>);

impl ThreadClock {
    /// Starts the thread, and the clock at [`Timestamp::ORIGIN`].
    ///
    /// # Errors
    ///
    /// What the system says where it has no thread to give.
    pub fn start() -> io::Result<Self> {
        let timers = Arc::new(Timers {
            origin: Instant::now(),
            queue: Mutex::new(Queue::default()),
            changed: Condvar::new(),
        });
        let owner = Owner(Arc::clone(&timers));
        thread::Builder::new().name("redial-timers".to_owned()).spawn(move || timers.run())?;
        Ok(Self(Arc::new(owner)))
    }

    /// A future that is ready at `at` or later, and never at [`Timestamp::MAX`]: what
    /// [`sleep_until`](Clock::sleep_until) boxes.
    pub fn alarm(&self, at: Timestamp) -> Alarm {
        Alarm { owner: Arc::clone(&self.0), at, entry: None }
    }

    /// Wakes `waker` once, at `at` or later.
    pub fn wake_at(&self, at: Timestamp, waker: Waker) {
        let mut queue = self.0.0.lock();
        let number = queue.number();
        self.0.0.insert(&mut queue, (at, number), waker);
    }
}

impl Clock for ThreadClock {
    fn now(&self) -> Timestamp {
        self.0.0.now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(self.alarm(at))
    }
}

impl fmt::Debug for ThreadClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ThreadClock").field(&self.now()).finish()
    }
}

/// A timer of a [`ThreadClock`]: ready at its time or later. Dropping it takes it off the clock.
pub struct Alarm {
    owner: Arc<Owner>,
    at: Timestamp,
    entry: Option<u64>,
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let this = self.get_mut();
        let timers = &this.owner.0;
        if this.at == Timestamp::MAX {
            return Poll::Pending;
        }
        if timers.now() >= this.at {
            return Poll::Ready(());
        }
        let mut queue = timers.lock();
        let number = *this.entry.get_or_insert_with(|| queue.number());
        match queue.entries.get_mut(&(this.at, number)) {
            Some(waker) => waker.clone_from(context.waker()),
            None => timers.insert(&mut queue, (this.at, number), context.waker().clone()),
        }
        Poll::Pending
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        if let Some(number) = self.entry {
            let entry = self.owner.0.lock().entries.remove(&(self.at, number));
            // A waker may run code of its executor's when it is dropped: not under the lock.
            drop(entry);
        }
    }
}

/// Ends the thread when it is dropped.
struct Owner(Arc<Timers>);

impl Drop for Owner {
    fn drop(&mut self) {
        self.0.lock().closed = true;
        self.0.changed.notify_all();
    }
}

struct Timers {
    origin: Instant,
    queue: Mutex<Queue>,
    changed: Condvar,
}

#[derive(Default)]
struct Queue {
    /// By time; the number tells timers of the same time apart.
    entries: BTreeMap<(Timestamp, u64), Waker>,
    numbers: u64,
    /// What the thread sleeps until; `None` while it is awake.
    sleeps_until: Option<Timestamp>,
    closed: bool,
}

impl Queue {
    fn number(&mut self) -> u64 {
        self.numbers = self.numbers.wrapping_add(1);
        self.numbers
    }

    fn take_due(&mut self, now: Timestamp) -> Vec<Waker> {
        let later = self.entries.split_off(&(now, u64::MAX));
        core::mem::replace(&mut self.entries, later).into_values().collect()
    }
}

impl Timers {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(self.origin.elapsed())
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets a timer, and wakes the thread where it would sleep through it.
    fn insert(&self, queue: &mut Queue, key: (Timestamp, u64), waker: Waker) {
        queue.entries.insert(key, waker);
        if queue.sleeps_until.is_some_and(|until| key.0 < until) {
            self.changed.notify_all();
        }
    }

    fn run(&self) {
        let mut queue = self.lock();
        while !queue.closed {
            let now = self.now();
            let due = queue.take_due(now);
            if !due.is_empty() {
                drop(queue);
                due.into_iter().for_each(Waker::wake);
                queue = self.lock();
                continue;
            }
            let next = queue.entries.keys().next().map_or(Timestamp::MAX, |(at, _)| *at);
            queue.sleeps_until = Some(next);
            queue = if next == Timestamp::MAX {
                self.changed.wait(queue).unwrap_or_else(PoisonError::into_inner)
            } else {
                let length = next.saturating_since(now);
                let waited = self.changed.wait_timeout(queue, length);
                waited.unwrap_or_else(PoisonError::into_inner).0
            };
            queue.sleeps_until = None;
        }
    }
}
