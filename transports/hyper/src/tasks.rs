//! Futures that belong to one task, each polled when it has been woken.

use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Wake;

use redial_client::BoxFuture;

/// Futures that belong to one task, each polled when it has been woken.
///
/// A place serves one future after the other, with the same waker, so that a future that comes and
/// goes costs no allocation here. What the futures wake in each other while they are polled does not
/// wake the task: it is at work on them already.
pub(crate) struct Tasks {
    places: Vec<Place>,
    vacant: Vec<usize>,
    queue: Arc<Mutex<Queue>>,
}

struct Place {
    future: Option<BoxFuture<'static, ()>>,
    bell: Arc<Bell>,
    waker: Waker,
}

/// What wakes a future.
struct Bell {
    place: usize,
    /// Whether it is in the queue.
    rung: AtomicBool,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    woken: VecDeque<usize>,
    /// The task, while it waits.
    task: Option<Waker>,
}

impl Tasks {
    pub(crate) fn new() -> Self {
        Self { places: Vec::new(), vacant: Vec::new(), queue: Arc::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.places.len() == self.vacant.len()
    }

    /// Takes a future, which is polled next time.
    pub(crate) fn push(&mut self, future: BoxFuture<'static, ()>) {
        let at = self.vacant.pop().unwrap_or(self.places.len());
        if at == self.places.len() {
            self.places.push(Place::new(at, &self.queue));
        }
        if let Some(place) = self.places.get_mut(at) {
            place.future = Some(future);
            place.waker.wake_by_ref();
        }
    }

    /// Polls each future that has been woken, and those that they wake. Those that go on and on stay
    /// woken, so that others on the executor have a turn.
    pub(crate) fn poll(&mut self) {
        let mut restless = 0;
        for _ in 0..2 * self.places.len() {
            let next = lock(&self.queue).woken.pop_front();
            let Some(place) = next.and_then(|at| self.places.get_mut(at)) else { return };
            if place.poll().is_ready() {
                self.vacant.push(place.bell.place);
            } else if place.bell.rung.load(Ordering::SeqCst) {
                restless += 1;
                if restless == 2 {
                    return;
                }
            }
        }
    }

    /// The task, which was at work, is to be woken by whatever is woken from here on, and by what is
    /// already.
    pub(crate) fn wait(&self, context: &Context<'_>) {
        let mut queue = lock(&self.queue);
        if !queue.woken.is_empty() {
            drop(queue);
            return context.waker().wake_by_ref();
        }
        queue.task = Some(context.waker().clone());
    }

    /// The task is at work, and need not be woken.
    pub(crate) fn attend(&self) {
        let before = lock(&self.queue).task.take();
        // Outside the lock: nobody knows what that does.
        drop(before);
    }
}

impl Place {
    fn new(place: usize, queue: &Arc<Mutex<Queue>>) -> Self {
        let rung = AtomicBool::new(false);
        let bell = Arc::new(Bell { place, rung, queue: Arc::clone(queue) });
        let waker = Waker::from(Arc::clone(&bell));
        Self { future: None, bell, waker }
    }

    /// Ready when a future that was here has ended.
    fn poll(&mut self) -> Poll<()> {
        self.bell.rung.store(false, Ordering::SeqCst);
        let Some(future) = &mut self.future else { return Poll::Pending };
        let ended = future.as_mut().poll(&mut Context::from_waker(&self.waker));
        if ended.is_ready() {
            self.future = None;
        }
        ended
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.rung.swap(true, Ordering::SeqCst) {
            return;
        }
        let task = {
            let mut queue = lock(&self.queue);
            queue.woken.push_back(self.place);
            queue.task.take()
        };
        if let Some(task) = task {
            task.wake();
        }
    }
}

fn lock(queue: &Mutex<Queue>) -> MutexGuard<'_, Queue> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}
