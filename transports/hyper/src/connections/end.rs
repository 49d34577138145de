//! Tells a connection's task to end.

use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, PoisonError};

/// A signal that is given once and waited for by one task.
#[derive(Debug, Default)]
pub(crate) struct End {
    given: AtomicBool,
    awaited: Mutex<Option<Waker>>,
}

impl End {
    /// Gives the signal; the waker that comes back, if any, is to be woken.
    #[must_use]
    pub(crate) fn set(&self) -> Option<Waker> {
        let mut awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner);
        self.given.store(true, Ordering::Release);
        awaited.take()
    }

    /// Wakes whoever waits, without giving the signal: there is something else to see to.
    pub(crate) fn nudge(&self) {
        let awaited = self.awaited.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(waker) = awaited {
            waker.wake();
        }
    }

    /// Waits for the signal. Who waited before is not told any more.
    pub(crate) const fn wait(&self) -> Waiting<'_> {
        Waiting { end: self, waker: None }
    }
}

/// Waits for a signal. It is looked at each time that a connection does anything, and so it costs no
/// lock while the same task waits.
pub(crate) struct Waiting<'a> {
    end: &'a End,
    /// Whom the signal wakes.
    waker: Option<Waker>,
}

impl Future for Waiting<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let known = |waker: &Waker| waker.will_wake(context.waker());
        if !self.waker.as_ref().is_some_and(known) {
            let mut awaited = self.end.awaited.lock().unwrap_or_else(PoisonError::into_inner);
            *awaited = Some(context.waker().clone());
            drop(awaited);
            self.waker = Some(context.waker().clone());
        }
        // After that, so that a signal that finds no waker yet is seen here.
        if self.end.given.load(Ordering::Acquire) { Poll::Ready(()) } else { Poll::Pending }
    }
}
