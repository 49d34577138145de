//! The queue for slots: first come, first served (R-P-5).

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use redial_client::{Origin, TransportError};

use super::{Connections, Lease};
use crate::ledger::Lane;

/// A request in the queue.
pub(super) struct Waiting<'a> {
    connections: &'a Connections,
    lane: Lane,
    origin: &'a Origin,
    number: Option<u64>,
}

impl<'a> Waiting<'a> {
    pub(super) const fn new(connections: &'a Connections, lane: Lane, origin: &'a Origin) -> Self {
        Self { connections, lane, origin, number: None }
    }
}

impl Future for Waiting<'_> {
    type Output = Result<Lease, TransportError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let mut state = this.connections.slots.lock();
        let first = state.queue.front().map(|(number, _)| *number);
        if first == this.number
            && let Some(lease) = this.connections.start(&mut state, this.lane, this.origin)
        {
            if this.number.take().is_some() {
                state.queue.pop_front();
            }
            state.wake_first();
            return Poll::Ready(lease);
        }
        match this.number {
            Some(number) => {
                let mut queue = state.queue.iter_mut();
                if let Some((_, waker)) = queue.find(|(other, _)| *other == number) {
                    waker.clone_from(context.waker());
                }
            }
            None => {
                state.numbers += 1;
                let number = state.numbers;
                state.queue.push_back((number, context.waker().clone()));
                this.number = Some(number);
            }
        }
        Poll::Pending
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(number) = self.number {
            let mut state = self.connections.slots.lock();
            state.queue.retain(|(other, _)| *other != number);
            // It may have been woken in vain.
            state.wake_first();
        }
    }
}
