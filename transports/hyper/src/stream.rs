//! A socket as it is, or with TLS on it.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::io::{self, IoSlice, Read as _};

use futures_io::{AsyncRead, AsyncWrite};
use futures_rustls::client::TlsStream;

use crate::runtime::{Peeked, Socket};
use crate::tap::Tap;

/// A socket as it is, or with TLS on it.
pub(crate) enum Stream<S> {
    Plain(S),
    /// Boxed, because it is much larger, and most are plain where the other is used.
    Tls(Box<TlsStream<Tap<S>>>),
}

impl<S: Socket> Stream<S> {
    /// What comes next on the wire, without taking it. With TLS on it, that is a record of TLS.
    pub(crate) fn peek(&self) -> Peeked {
        match self {
            Self::Plain(socket) => socket.peek(),
            Self::Tls(stream) => stream.get_ref().0.peek(),
        }
    }

    /// Flushes, where that takes no time; whether it did. With TLS on it there may be a record to be
    /// sent.
    pub(crate) fn flushes_at_once(self: Pin<&mut Self>, context: &mut Context<'_>) -> bool {
        match self.get_mut() {
            Self::Plain(socket) => {
                matches!(Pin::new(socket).poll_flush(context), Poll::Ready(Ok(())))
            }
            Self::Tls(_) => false,
        }
    }
}

/// Calls the same method of either.
macro_rules! either {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match $stream.get_mut() {
            Stream::Plain(socket) => Pin::new(socket).$method($($argument),*),
            Stream::Tls(socket) => Pin::new(&mut **socket).$method($($argument),*),
        }
    };
}

impl<S: Socket> AsyncRead for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(socket) => Pin::new(socket).poll_read(context, buffer),
            Self::Tls(stream) => match Pin::new(&mut **stream).poll_read(context, buffer) {
                // What came before the record that is none was in order, and is not lost with it.
                Poll::Ready(Err(error)) => match stream.get_mut().1.reader().read(buffer) {
                    Ok(length) if length > 0 => Poll::Ready(Ok(length)),
                    Ok(_) | Err(_) => Poll::Ready(Err(error)),
                },
                read @ (Poll::Ready(Ok(_)) | Poll::Pending) => read,
            },
        }
    }
}

impl<S: Socket> AsyncWrite for Stream<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write(context, bytes))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        either!(self, poll_write_vectored(context, bytes))
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_flush(context))
    }

    fn poll_close(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        either!(self, poll_close(context))
    }
}
