//! The requests that wait for a connection, and what they come to.

use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::VecDeque;

use crate::connections::state::Granted;
use crate::pool::WaiterId;
use crate::runtime::Runtime;

/// In the order of ids, which is that of the requests.
pub(super) struct Waiters<R: Runtime>(VecDeque<Waiter<R>>);

struct Waiter<R: Runtime> {
    id: WaiterId,
    connect_timeout: Duration,
    /// What it has come to, if it need not wait any more.
    granted: Option<Granted<R>>,
    waker: Option<Waker>,
}

impl<R: Runtime> Waiters<R> {
    pub(super) const fn new() -> Self {
        Self(VecDeque::new())
    }

    /// A request waits. Its id is greater than those of all before.
    pub(super) fn join(&mut self, id: WaiterId, connect_timeout: Duration) {
        self.0.push_back(Waiter { id, connect_timeout, granted: None, waker: None });
    }

    /// Ready when a request need not wait any more, which takes it out of the queue: with what it
    /// has come to, or without, where it was in no queue.
    pub(super) fn poll(&mut self, id: WaiterId, waker: &Waker) -> Poll<Option<Granted<R>>> {
        match self.find(id) {
            Some(waiter) if waiter.granted.is_none() => {
                waiter.waker = Some(waker.clone());
                Poll::Pending
            }
            Some(_) | None => Poll::Ready(self.leave(id)),
        }
    }

    /// Takes a request out of the queue, with what it has come to.
    pub(super) fn leave(&mut self, id: WaiterId) -> Option<Granted<R>> {
        let at = self.place(id)?;
        self.0.remove(at)?.granted
    }

    /// How long a connection may take to open for this request; no time where it waits no more.
    pub(super) fn connect_timeout(&self, id: WaiterId) -> Duration {
        let waiter = self.place(id).and_then(|at| self.0.get(at));
        waiter.map_or(Duration::ZERO, |waiter| waiter.connect_timeout)
    }

    /// A request need not wait any more. Answers with whom to wake, outside the lock.
    pub(super) fn end(&mut self, id: WaiterId, granted: Granted<R>) -> Option<Waker> {
        let waiter = self.find(id)?;
        waiter.granted = Some(granted);
        waiter.waker.take()
    }

    /// Lets every request look again for how long it may wait.
    pub(super) fn wake_all(&mut self) {
        self.0.iter_mut().filter_map(|waiter| waiter.waker.take()).for_each(Waker::wake);
    }

    fn find(&mut self, id: WaiterId) -> Option<&mut Waiter<R>> {
        let at = self.place(id)?;
        self.0.get_mut(at)
    }

    fn place(&self, id: WaiterId) -> Option<usize> {
        self.0.binary_search_by_key(&id, |waiter| waiter.id).ok()
    }
}
