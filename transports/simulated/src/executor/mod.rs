//! A single-threaded executor whose time is virtual.
//!
//! It runs what is ready, in the order in which it became so; when nothing is, time jumps to the
//! next timer. There are no ticks: a sleep of ten years costs one event (R-S-1). Nothing of the
//! machine gets in: no clock, no thread, no hash of addresses.

mod agenda;
mod sleep;
mod tasks;
mod time;
mod timers;

use core::error::Error as StdError;
use core::fmt;
use core::future::Future;
use core::pin::pin;
use core::task::Poll;
use std::sync::{Mutex, MutexGuard, PoisonError};

use self::agenda::Step;
pub use self::sleep::Sleep;
use self::tasks::{Handle, TaskId, Tasks};
pub use self::time::VirtualTime;

/// How many times tasks may be polled in one instant. More is no work but a loop.
const POLLS_IN_AN_INSTANT: u32 = 100_000;

/// Runs tasks in virtual time, on the thread that calls it.
///
/// ```
/// use core::time::Duration;
/// use redial_sim::Executor;
///
/// let mut executor = Executor::new();
/// let time = executor.time();
/// let years = Duration::from_secs(10 * 365 * 24 * 3600);
/// executor.run(async { time.sleep(years).await })?;
/// assert_eq!(time.elapsed(), years);
/// # Ok::<(), redial_sim::Halt>(())
/// ```
pub struct Executor {
    tasks: Tasks,
    /// The handle of the future that it is called with.
    main: Handle,
    time: VirtualTime,
    polls: u64,
}

impl Executor {
    /// An executor without tasks, at the origin of time.
    pub fn new() -> Self {
        let time = VirtualTime::new();
        let main = Handle::new(TaskId::MAIN, time.shared());
        Self { tasks: Tasks::default(), main, time, polls: 0 }
    }

    /// Its time: a handle that can be given to everything that runs on it.
    pub fn time(&self) -> VirtualTime {
        self.time.clone()
    }

    /// How many times tasks were polled so far.
    pub const fn polls(&self) -> u64 {
        self.polls
    }

    /// Runs until this future is complete, with everything that was spawned meanwhile. What is not
    /// complete then goes on with the next run.
    ///
    /// # Errors
    ///
    /// [`Halt`] where the future can never complete.
    pub fn run<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Halt> {
        let mut future = pin!(future);
        self.main.begin();
        let (mut now, mut budget) = (self.time.now(), POLLS_IN_AN_INSTANT);
        let shared = self.time.shared();
        loop {
            let task = match shared.next() {
                Step::Poll(task) => task,
                Step::Adopt(future) => {
                    self.tasks.add(future, shared);
                    continue;
                }
                Step::Wake(waker) => {
                    waker.wake();
                    continue;
                }
                Step::Nothing => return Err(Halt::Stalled),
            };
            if shared.now() > now {
                (now, budget) = (shared.now(), POLLS_IN_AN_INSTANT);
            }
            let Some(rest) = budget.checked_sub(1) else {
                shared.put_back(task);
                return Err(Halt::Spinning);
            };
            budget = rest;
            self.polls += 1;
            if task != TaskId::MAIN {
                self.tasks.poll(task, shared);
                continue;
            }
            let polled = self.main.poll(shared, |context| future.as_mut().poll(context));
            if let Poll::Ready(value) = polled {
                return Ok(value);
            }
        }
    }
}

impl Default for Executor {
    fn default() -> Self {
        Self::new()
    }
}

/// Why a future can never complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Halt {
    /// Nothing is ready, and no timer is set: everybody waits for somebody else.
    Stalled,
    /// A hundred thousand polls and time has not moved: somebody wakes without end.
    Spinning,
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stalled => "nothing is ready, and no timer is set",
            Self::Spinning => "a hundred thousand polls in one instant",
        })
    }
}

impl StdError for Halt {}

impl fmt::Debug for Executor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tasks, time, polls, .. } = self;
        f.debug_struct("Executor")
            .field("tasks", tasks)
            .field("time", time)
            .field("polls", polls)
            .finish_non_exhaustive()
    }
}

impl Drop for Executor {
    /// What is not complete goes first, in its order; then what it left behind.
    fn drop(&mut self) {
        self.tasks.clear();
        self.time.shared().clear();
    }
}

/// Locks, also where a holder panicked: no step leaves what is guarded half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
