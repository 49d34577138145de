//! The socket of a connection, between whoever drives the connection and whoever looks at it.

use core::task::Poll;
use std::io;
use std::sync::{Mutex, PoisonError};

use crate::runtime::{Peeked, Socket};
use crate::stream::Stream;

/// The socket of a connection. Its driver reads, writes and closes it; a request that is to go over
/// it looks whether its end has come.
///
/// Whoever looks keeps nothing open: the socket is gone when its driver has let go of it (R-P-1).
pub(crate) struct Wire<S>(Mutex<Option<Stream<S>>>);

impl<S: Socket> Wire<S> {
    pub(crate) const fn new(socket: Stream<S>) -> Self {
        Self(Mutex::new(Some(socket)))
    }

    /// Reads or writes.
    pub(crate) fn poll<T>(
        &self,
        operate: impl FnOnce(&mut Stream<S>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut *self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(socket) => operate(socket),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        // Inside the lock, so that nobody looks at it any more who began before.
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// What can be looked at, whatever the runtime.
pub(crate) trait Look: Send + Sync {
    /// What comes next, without taking it.
    fn peek(&self) -> Peeked;
}

impl<S: Socket> Look for Wire<S> {
    fn peek(&self) -> Peeked {
        match &*self.0.lock().unwrap_or_else(PoisonError::into_inner) {
            Some(socket) => socket.peek(),
            None => Peeked::End,
        }
    }
}
