//! A TCP socket on the reactor of async-io, which smol and async-std share.

use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll, ready};
use std::io::{self, ErrorKind, IoSlice, Read as _};
use std::net::{Shutdown, TcpStream};

use async_io::Async;
use futures_io::{AsyncRead, AsyncWrite};
use socket2::SockRef;

use crate::runtime::{self, Peeked};
use crate::tune::tune;

/// A TCP socket on the reactor of async-io.
///
/// async-io's own way to read is to try first and to ask the reactor where nothing has come. A
/// connection is polled several times for each response, so that most of those tries are system
/// calls for nothing. This socket asks first wherever the last read has emptied it.
#[derive(Debug)]
pub struct Socket {
    stream: Async<TcpStream>,
    /// Whether the last read took all that there was.
    empty: bool,
}

impl Socket {
    /// Connects to an address, and [tunes](crate::tune) the socket.
    ///
    /// # Errors
    ///
    /// Whatever the system says.
    pub async fn connect(address: SocketAddr) -> io::Result<Self> {
        let stream = Async::<TcpStream>::connect(address).await?;
        tune(SockRef::from(stream.get_ref()))?;
        Ok(Self { stream, empty: true })
    }
}

impl runtime::Socket for Socket {
    fn peek(&self) -> Peeked {
        Peeked::of(self.stream.get_ref().peek(&mut [0]))
    }
}

impl AsyncRead for Socket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        loop {
            if self.empty {
                ready!(self.stream.poll_readable(context))?;
                self.empty = false;
            }
            match self.stream.get_ref().read(buffer) {
                // The end of the stream is no emptiness: it is there to be read again.
                Ok(bytes) => {
                    self.empty = 0 < bytes && bytes < buffer.len();
                    return Poll::Ready(Ok(bytes));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.empty = true,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, bytes)
    }

    /// Nothing is held back.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}
