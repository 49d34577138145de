//! The tasks that run, and their wakers.

use core::fmt;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Waker};
use std::sync::Arc;
use std::task::Wake;

use redial_client::BoxFuture;

use super::agenda::Shared;

/// A task: its place, and how many had the place before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TaskId {
    place: usize,
    generation: u64,
}

impl TaskId {
    /// The future that the executor was called with.
    pub(super) const MAIN: Self = Self { place: usize::MAX, generation: 0 };
}

impl Default for TaskId {
    fn default() -> Self {
        Self::MAIN
    }
}

/// The tasks that were spawned, each in a place that it keeps.
#[derive(Default)]
pub(super) struct Tasks {
    places: Vec<Place>,
    free: Vec<usize>,
}

#[derive(Default)]
struct Place {
    generation: u64,
    task: Option<Task>,
}

struct Task {
    future: BoxFuture<'static, ()>,
    handle: Handle,
}

impl Tasks {
    /// Takes a task over, which is ready.
    pub(super) fn add(&mut self, future: BoxFuture<'static, ()>, shared: &Arc<Shared>) {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        if let Some(place) = self.places.get_mut(index) {
            let id = TaskId { place: index, generation: place.generation };
            let handle = Handle::new(id, shared);
            handle.wake();
            place.task = Some(Task { future, handle });
        }
    }

    /// Polls a task; one that is complete is dropped, and its place is free.
    pub(super) fn poll(&mut self, id: TaskId, shared: &Shared) {
        let Some(place) = self.places.get_mut(id.place) else { return };
        // Whoever waked may have held the waker of a task that had this place before.
        let task = place.task.as_mut().filter(|_| place.generation == id.generation);
        let Some(Task { future, handle }) = task else { return };
        if handle.poll(shared, |context| Pin::new(future).poll(context)).is_ready() {
            place.task = None;
            place.generation += 1;
            self.free.push(id.place);
        }
    }

    /// Drops every task, in the order of their places.
    pub(super) fn clear(&mut self) {
        self.places.clear();
        self.free.clear();
    }
}

impl fmt::Debug for Tasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tasks").field("running", &(self.places.len() - self.free.len())).finish()
    }
}

/// By what a task is woken, and polled.
pub(super) struct Handle {
    woken: Arc<TaskWaker>,
    /// The same, as futures know it.
    waker: Waker,
}

impl Handle {
    pub(super) fn new(id: TaskId, shared: &Arc<Shared>) -> Self {
        let (shared, woken) = (Arc::clone(shared), AtomicBool::new(false));
        let woken = Arc::new(TaskWaker { id, shared, woken });
        Self { waker: Waker::from(Arc::clone(&woken)), woken }
    }

    /// Makes the task ready, unless it is.
    pub(super) fn wake(&self) {
        self.woken.push();
    }

    /// Polls the task; from here on it can be woken again.
    pub(super) fn poll<T>(&self, shared: &Shared, poll: impl FnOnce(&mut Context<'_>) -> T) -> T {
        self.woken.woken.store(false, Ordering::Relaxed);
        shared.while_polled(&self.waker, || poll(&mut Context::from_waker(&self.waker)))
    }

    /// Makes the task ready, even if it was said to be ready before.
    pub(super) fn begin(&self) {
        self.woken.woken.store(false, Ordering::Relaxed);
        self.wake();
    }
}

/// Makes one task ready, once until it is polled.
struct TaskWaker {
    id: TaskId,
    shared: Arc<Shared>,
    woken: AtomicBool,
}

impl TaskWaker {
    fn push(&self) {
        if !self.woken.swap(true, Ordering::Relaxed) {
            self.shared.wake(self.id);
        }
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
