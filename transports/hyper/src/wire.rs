//! The socket of a connection, between whoever drives the connection and whoever looks at it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_io::AsyncRead as _;

use crate::relay::Ear;
use crate::runtime::{Peeked, Socket};
use crate::stream::Stream;

/// The socket of a connection. Its driver reads, writes and closes it; a request that is to go over
/// it looks whether its end has come.
///
/// Whoever looks keeps nothing open: the socket is gone when its driver has let go of it (R-P-1).
pub(crate) struct Wire<S> {
    socket: Mutex<Option<Stream<S>>>,
    /// What the socket wakes, if not whoever polls it (HTTP/1.1).
    ear: Option<Ear>,
}

impl<S: Socket> Wire<S> {
    pub(crate) const fn new(socket: Stream<S>, ear: Option<Ear>) -> Self {
        Self { socket: Mutex::new(Some(socket)), ear }
    }

    /// Whether there was nothing to read the last time, and nothing has come since: the socket need
    /// not be asked.
    pub(crate) fn is_silent(&self) -> bool {
        self.ear.as_ref().is_some_and(Ear::is_listening)
    }

    /// Reads, whether or not there is anything.
    pub(crate) fn poll_read(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let Some(ear) = &self.ear else {
            return self.with(|socket| socket.poll_read(context, buffer));
        };
        ear.listen();
        let mut context = Context::from_waker(ear.waker());
        let read = self.with(|socket| socket.poll_read(&mut context, buffer));
        if read.is_ready() {
            ear.heard();
        }
        read
    }

    /// Writes, flushes or shuts down.
    pub(crate) fn poll<T>(
        &self,
        context: &Context<'_>,
        operate: impl FnOnce(Pin<&mut Stream<S>>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let waker = self.ear.as_ref().map_or(context.waker(), Ear::waker);
        self.with(|socket| operate(socket, &mut Context::from_waker(waker)))
    }

    fn with<T>(
        &self,
        operate: impl FnOnce(Pin<&mut Stream<S>>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        match &mut *self.lock() {
            Some(socket) => operate(Pin::new(socket)),
            None => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }

    /// Closes the socket.
    pub(crate) fn close(&self) {
        // Inside the lock, so that nobody looks at it any more who began before.
        *self.lock() = None;
    }

    /// What comes next, without taking it.
    pub(crate) fn peek(&self) -> Peeked {
        self.lock().as_ref().map_or(Peeked::End, Stream::peek)
    }

    fn lock(&self) -> MutexGuard<'_, Option<Stream<S>>> {
        self.socket.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
