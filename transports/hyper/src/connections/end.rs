//! Tells a connection's task to end.

use core::task::{Context, Poll, Waker};
use std::sync::{Mutex, PoisonError};

/// A signal that is given once and waited for by one task.
#[derive(Debug, Default)]
pub(crate) struct End(Mutex<Signal>);

#[derive(Debug, Default)]
enum Signal {
    #[default]
    Unheard,
    Awaited(Waker),
    Given,
}

impl End {
    /// Gives the signal; the waker that comes back, if any, is to be woken.
    #[must_use]
    pub(crate) fn set(&self) -> Option<Waker> {
        let mut signal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match core::mem::replace(&mut *signal, Signal::Given) {
            Signal::Awaited(waker) => Some(waker),
            Signal::Unheard | Signal::Given => None,
        }
    }

    /// Ready once the signal is given.
    pub(crate) fn poll(&self, context: &mut Context<'_>) -> Poll<()> {
        let mut signal = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *signal {
            Signal::Given => return Poll::Ready(()),
            Signal::Awaited(waker) => waker.clone_from(context.waker()),
            Signal::Unheard => *signal = Signal::Awaited(context.waker().clone()),
        }
        Poll::Pending
    }
}
