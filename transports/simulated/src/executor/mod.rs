//! A single-threaded executor whose time is virtual.
//!
//! It runs what is ready, in the order in which it became so; when nothing is, time jumps to the
//! next timer. There are no ticks: a sleep of ten years costs one event (R-S-1). Nothing of the
//! machine gets in: no clock, no thread, no hash of addresses.

mod task;
mod time;

use core::error::Error as StdError;
use core::fmt;
use core::future::Future;
use core::pin::{Pin, pin};
use core::task::Waker;
use core::task::{Context, Poll};
use std::sync::Arc;

use redial_client::BoxFuture;

pub(crate) use self::task::lock;
use self::task::{Ready, TaskWaker};
pub use self::time::{Sleep, VirtualTime};

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
#[derive(Debug)]
pub struct Executor {
    tasks: Tasks,
    ready: Arc<Ready>,
    time: VirtualTime,
    polls: u64,
}

impl Executor {
    /// An executor without tasks, at the origin of time.
    pub fn new() -> Self {
        let ready = Arc::new(Ready::default());
        let time = VirtualTime::new(Arc::clone(&ready));
        Self { tasks: Tasks::default(), ready, time, polls: 0 }
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
        let main = TaskWaker::new(task::MAIN, &self.ready);
        let waker = Waker::from(Arc::clone(&main));
        main.push();
        let mut budget = POLLS_IN_AN_INSTANT;
        loop {
            self.adopt();
            let Some(task) = self.ready.next() else {
                let before = self.time.now();
                let now = self.time.advance().ok_or(Halt::Stalled)?;
                budget = if now > before { POLLS_IN_AN_INSTANT } else { budget };
                continue;
            };
            budget = budget.checked_sub(1).ok_or(Halt::Spinning)?;
            self.polls += 1;
            if task.index() != task::MAIN {
                self.tasks.poll(&task);
                continue;
            }
            task.begin();
            if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Ok(value);
            }
        }
    }

    /// Takes over what was spawned.
    fn adopt(&mut self) {
        while let Some(future) = self.ready.spawned() {
            self.tasks.add(future, &self.ready);
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

/// The tasks that were spawned, each in a place that it keeps.
#[derive(Default)]
struct Tasks {
    places: Vec<Option<Task>>,
    free: Vec<usize>,
}

struct Task {
    future: BoxFuture<'static, ()>,
    woken: Arc<TaskWaker>,
    /// The same, as futures know it.
    waker: Waker,
}

impl Tasks {
    fn add(&mut self, future: BoxFuture<'static, ()>, ready: &Arc<Ready>) {
        let index = self.free.pop().unwrap_or(self.places.len());
        let woken = TaskWaker::new(index, ready);
        woken.push();
        let waker = Waker::from(Arc::clone(&woken));
        let task = Some(Task { future, woken, waker });
        match self.places.get_mut(index) {
            Some(place) => *place = task,
            None => self.places.push(task),
        }
    }

    /// Polls a task; one that is complete is dropped, and its place is free.
    fn poll(&mut self, woken: &Arc<TaskWaker>) {
        let Some(place) = self.places.get_mut(woken.index()) else { return };
        // Whoever waked may have held the waker of a task that had this place before.
        let Some(task) = place.as_mut().filter(|task| Arc::ptr_eq(&task.woken, woken)) else {
            return;
        };
        woken.begin();
        let Task { future, waker, .. } = task;
        if Pin::new(future).poll(&mut Context::from_waker(waker)).is_ready() {
            *place = None;
            self.free.push(woken.index());
        }
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &(self.places.len() - self.free.len())).finish()
    }
}

impl Drop for Executor {
    /// What is not complete goes first, in its order; then what it left behind.
    fn drop(&mut self) {
        self.tasks.places.clear();
        self.ready.clear();
        self.time.clear();
    }
}
