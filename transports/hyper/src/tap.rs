//! The socket below TLS, and what is told of it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice};

use futures_io::{AsyncRead, AsyncWrite};

use crate::runtime::{Peeked, Socket};

/// A socket below TLS, which tells how many bytes have come.
///
/// A record of TLS shows nothing of itself before it is whole. A server that sends one slowly is not
/// silent meanwhile (R-T-2).
pub(crate) struct Tap<S> {
    socket: S,
    tell: Box<dyn Fn(usize) + Send>,
}

impl<S: Socket> Tap<S> {
    pub(crate) fn new(socket: S, tell: impl Fn(usize) + Send + 'static) -> Self {
        Self { socket, tell: Box::new(tell) }
    }

    pub(crate) fn peek(&self) -> Peeked {
        self.socket.peek()
    }

    fn socket(self: Pin<&mut Self>) -> Pin<&mut S> {
        Pin::new(&mut self.get_mut().socket)
    }
}

// The socket can be moved, and nothing else here is pinned.
impl<S> Unpin for Tap<S> {}

impl<S: Socket> AsyncRead for Tap<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let read = Pin::new(&mut this.socket).poll_read(context, buffer);
        if let Poll::Ready(Ok(bytes @ 1..)) = read {
            (this.tell)(bytes);
        }
        read
    }
}

impl<S: Socket> AsyncWrite for Tap<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write(context, bytes)
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.socket().poll_write_vectored(context, bytes)
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_flush(context)
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.socket().poll_close(context)
    }
}
