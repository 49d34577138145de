//! What carries the bytes of one connection: TCP, with TLS on top or without.

use std::io::{self, BufRead as _, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;

use rustls::{ServerConfig, ServerConnection};

use crate::shared::Shared;

/// One connection's TCP and TLS. Its calls wait no longer than the time-outs of the TCP stream, and
/// then say [`io::ErrorKind::WouldBlock`]; such a call may be made again, and nothing is lost.
#[derive(Debug)]
pub(crate) struct Link {
    wire: Wire,
    tls: Option<Box<ServerConnection>>,
    /// Whether TLS says `close_notify` before it closes.
    says_goodbye: bool,
}

impl Link {
    pub(crate) fn new(stream: Arc<TcpStream>, shared: Arc<Shared>, index: usize) -> Self {
        Self { wire: Wire { stream, shared, index }, tls: None, says_goodbye: false }
    }

    pub(crate) fn stream(&self) -> &TcpStream {
        &self.wire.stream
    }

    /// Puts TLS on top, with the handshake still to be made.
    pub(crate) fn secure(
        &mut self,
        config: Arc<ServerConfig>,
        says_goodbye: bool,
    ) -> io::Result<()> {
        let connection = ServerConnection::new(config).map_err(io::Error::other)?;
        self.tls = Some(Box::new(connection));
        self.says_goodbye = says_goodbye;
        Ok(())
    }

    pub(crate) fn tls(&self) -> Option<&ServerConnection> {
        self.tls.as_deref()
    }

    /// Goes on with the handshake: answers 1 when it has completed, 0 when the client has gone.
    pub(crate) fn shake_hands(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return Ok(1) };
        loop {
            flush(tls, &mut self.wire)?;
            if !tls.is_handshaking() {
                return Ok(1);
            }
            if receive(tls, &mut self.wire)? == 0 {
                return Ok(0);
            }
        }
    }

    /// Reads at least one byte; 0 when the client has ended its half.
    pub(crate) fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.wire.read(into) };
        loop {
            match tls.reader().read(into) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return end_is_zero(result),
            }
            receive(tls, &mut self.wire)?;
        }
    }

    /// Waits for at least one byte, which it leaves there; 0 when the client has ended its half.
    pub(crate) fn peek(&mut self) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.wire.stream.peek(&mut [0]) };
        loop {
            match tls.reader().fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                result => return end_is_zero(result.map(<[u8]>::len)),
            }
            receive(tls, &mut self.wire)?;
        }
    }

    /// Takes at least one byte to be sent. With TLS it may not have been sent: [`Link::flush`].
    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(tls) = &mut self.tls else { return self.wire.write(bytes) };
        flush(tls, &mut self.wire)?;
        tls.writer().write(bytes)
    }

    /// Hands to the kernel what TLS has yet to send; answers 1 when all of it is.
    pub(crate) fn flush(&mut self) -> io::Result<usize> {
        if let Some(tls) = &mut self.tls {
            flush(tls, &mut self.wire)?;
        }
        Ok(1)
    }

    /// Takes bytes to be sent below TLS, which knows nothing of them.
    pub(crate) fn write_below(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.flush()?;
        self.wire.write(bytes)
    }

    /// Ends the server's half.
    pub(crate) fn close_write(&mut self) {
        if let Some(tls) =
            self.tls.as_mut().filter(|tls| self.says_goodbye && !tls.is_handshaking())
        {
            tls.send_close_notify();
        }
        // Both fail only where the client has gone, or takes nothing, and then nobody will miss it.
        let _ = self.flush();
        let _ = self.wire.stream.shutdown(Shutdown::Write);
    }
}

/// The TCP stream, counting what crosses it.
#[derive(Debug)]
struct Wire {
    stream: Arc<TcpStream>,
    shared: Arc<Shared>,
    index: usize,
}

impl Read for Wire {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.stream.as_ref().read(into)?;
        self.shared.received(self.index, count);
        Ok(count)
    }
}

impl Write for Wire {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.stream.as_ref().write(bytes)?;
        self.shared.sent(self.index, count);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn flush(tls: &mut ServerConnection, wire: &mut Wire) -> io::Result<()> {
    while tls.wants_write() {
        tls.write_tls(wire)?;
    }
    Ok(())
}

/// Takes what has come into TLS; answers how many bytes of the wire that were.
fn receive(tls: &mut ServerConnection, wire: &mut Wire) -> io::Result<usize> {
    let count = tls.read_tls(wire)?;
    let processed = tls.process_new_packets();
    if let Err(error) = processed {
        // The alert that tells the client why.
        let _ = flush(tls, wire);
        return Err(io::Error::new(io::ErrorKind::InvalidData, error));
    }
    Ok(count)
}

/// An end without `close_notify` is an end all the same: how the client leaves is its own affair.
fn end_is_zero(result: io::Result<usize>) -> io::Result<usize> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
        result => result,
    }
}
