//! One connection's bytes: every read and write has a bound and ends when the server does.

use core::time::Duration;
use std::io;
use std::net::TcpStream;
use std::sync::Arc;
use std::time::Instant;

use rustls::{ServerConfig, ServerConnection};
use socket2::SockRef;

use crate::link::Link;
use crate::shared::{Phase, Shared};
use crate::{Closing, StepError};

/// How long the server waits for a client in a step that has no bound of its own.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// How long one system call may wait before the thread looks whether the server still runs.
const SLICE: Duration = Duration::from_millis(20);

/// How long an orderly close goes on discarding what the client sends.
const LINGER: Duration = Duration::from_millis(500);

/// How much one read takes at most, in bytes.
const CHUNK: usize = 64 * 1024;

/// Until when an operation waits for the client.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Wait {
    /// Until so much time has passed since a start; the server may stop it before.
    For { since: Instant, length: Duration },
    /// Until the server is told to finish.
    WhileRunning,
}

impl Wait {
    /// A wait that begins now.
    pub(crate) fn begin(length: Duration) -> Self {
        Self::For { since: Instant::now(), length }
    }

    /// Whether the wait is over even though the client may be there.
    fn check_bound(self, phase: Phase) -> Result<(), StepError> {
        match self {
            _ if phase == Phase::Stopped => Err(StepError::ServerFinished),
            Self::For { since, length } if since.elapsed() >= length => {
                Err(StepError::TimedOut { after: length })
            }
            Self::For { .. } | Self::WhileRunning => Ok(()),
        }
    }

    /// Whether the wait is over, now that a system call has found nothing. `phase` is the one in
    /// which that call was begun: what came between it and a later phase would be lost.
    fn check(self, phase: Phase) -> Result<(), StepError> {
        if matches!(self, Self::WhileRunning) && phase >= Phase::Finishing {
            return Err(StepError::ServerFinished);
        }
        self.check_bound(phase)
    }
}

/// The server's end of one connection, with what was received and not yet used.
#[derive(Debug)]
pub(crate) struct Socket {
    link: Link,
    shared: Arc<Shared>,
    index: usize,
    buffer: Vec<u8>,
    scratch: Vec<u8>,
    /// How the client ended its half, once it has.
    ended: Option<Closing>,
    write_closed: bool,
}

impl Socket {
    pub(crate) fn new(
        stream: Arc<TcpStream>,
        shared: Arc<Shared>,
        index: usize,
    ) -> io::Result<Self> {
        // A socket may inherit the listener's mode, on some systems.
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(SLICE))?;
        let link = Link::new(stream, Arc::clone(&shared), index);
        let (buffer, scratch) = (Vec::new(), vec![0; CHUNK]);
        Ok(Self { link, shared, index, buffer, scratch, ended: None, write_closed: false })
    }

    /// Makes a TLS handshake, after which everything goes through TLS.
    pub(crate) fn secure(
        &mut self,
        config: Arc<ServerConfig>,
        says_goodbye: bool,
        wait: Wait,
    ) -> Result<(), StepError> {
        self.link.secure(config, says_goodbye).map_err(StepError::from_io)?;
        self.repeat(wait, Link::shake_hands).map(drop)
    }

    /// The TLS of this connection, if it has any.
    pub(crate) fn tls(&self) -> Option<&ServerConnection> {
        self.link.tls()
    }

    /// Takes up to `most` bytes from the buffer, receiving some where it is empty.
    pub(crate) fn take(&mut self, most: usize, wait: Wait) -> Result<Vec<u8>, StepError> {
        if self.buffer.is_empty() {
            self.receive(wait)?;
        }
        let count = most.min(self.buffer.len());
        let taken = self.buffer.get(..count).unwrap_or_default().to_vec();
        self.buffer.drain(..count);
        Ok(taken)
    }

    /// What has been received and not yet taken.
    pub(crate) fn buffered(&self) -> &[u8] {
        &self.buffer
    }

    /// Receives at least one byte more into the buffer.
    pub(crate) fn receive(&mut self, wait: Wait) -> Result<(), StepError> {
        let mut scratch = core::mem::take(&mut self.scratch);
        let received = self.repeat(wait, |link| link.read(&mut scratch));
        if let Ok(count) = received {
            self.buffer.extend_from_slice(scratch.get(..count).unwrap_or(&scratch));
        }
        self.scratch = scratch;
        received.map(drop)
    }

    /// Receives what comes within so long, which may be nothing: answers whether anything came.
    pub(crate) fn receive_within(&mut self, length: Duration) -> Result<bool, StepError> {
        // Zero would be no limit at all.
        let slice = length.clamp(Duration::from_millis(1), SLICE);
        let limited = self.link.stream().set_read_timeout(Some(slice));
        let received = limited.map_err(StepError::from_io).and_then(|()| {
            let wait = Wait::begin(slice);
            match self.receive(wait) {
                Ok(()) => Ok(true),
                Err(StepError::TimedOut { .. }) => Ok(false),
                Err(error) => Err(error),
            }
        });
        self.link.stream().set_read_timeout(Some(SLICE)).map_err(StepError::from_io)?;
        received
    }

    /// Waits until there is something to take, without receiving it.
    pub(crate) fn await_data(&mut self, wait: Wait) -> Result<(), StepError> {
        if self.buffer.is_empty() {
            self.repeat(wait, Link::peek)?;
        }
        Ok(())
    }

    /// Discards what comes until the client has ended its half, and says how it has.
    pub(crate) fn discard(&mut self, wait: Wait) -> Result<Closing, StepError> {
        loop {
            self.buffer.clear();
            if let Err(error) = self.receive(wait) {
                return self.ended.ok_or(error);
            }
        }
    }

    pub(crate) fn send(&mut self, bytes: &[u8], wait: Wait) -> Result<(), StepError> {
        if self.write_closed {
            return Err(StepError::AfterClose);
        }
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.repeat(wait, |link| link.write(rest))?;
            rest = rest.get(count..).unwrap_or_default();
        }
        self.repeat(wait, Link::flush).map(drop)
    }

    /// Sends a record that the client cannot open.
    pub(crate) fn break_tls(&mut self, wait: Wait) -> Result<(), StepError> {
        /// A header of application data (RFC 8446 5.1), and nothing that was ever sealed.
        const RECORD: [u8; 37] = {
            let mut record = [0x5a; 37];
            [record[0], record[1], record[2], record[3], record[4]] = [23, 3, 3, 0, 32];
            record
        };
        if self.tls().is_none() {
            return Err(StepError::OutOfPlace);
        }
        if self.write_closed {
            return Err(StepError::AfterClose);
        }
        // Less than a socket's buffer has room for, unless it is full.
        self.repeat(wait, |link| link.write_below(&RECORD)).map(drop)
    }

    /// How the client ended its half, as far as a read or a write has told.
    pub(crate) fn ended(&self) -> Option<Closing> {
        self.ended
    }

    pub(crate) fn close_write(&mut self) {
        self.write_closed = true;
        self.link.close_write();
    }

    /// Closes in good order: the end is sent, then what still comes is discarded for a while, so
    /// that no unread byte turns the close into a reset.
    pub(crate) fn close(&mut self) {
        self.record(Closing::ByServer);
        self.close_write();
        let start = Instant::now();
        self.buffer.clear();
        // Whatever ends the discarding, the socket is dropped next.
        while start.elapsed() < LINGER && self.receive(Wait::WhileRunning).is_ok() {
            self.buffer.clear();
        }
    }

    /// Prepares the drop of this socket to close it, with data unread if there is any.
    pub(crate) fn close_unread(&mut self) {
        self.record(Closing::ByServer);
    }

    /// Prepares the drop of this socket to reset the connection.
    pub(crate) fn reset(&mut self) {
        self.record(Closing::ResetByServer);
        // Where it fails the connection is closed instead, which the client's test will tell.
        let _ = SockRef::from(self.link.stream()).set_linger(Some(Duration::ZERO));
    }

    /// Records the end before it happens: a client that reacts to it must find it in the log.
    fn record(&self, closing: Closing) {
        self.shared.closed(self.index, self.ended.unwrap_or(closing));
    }

    /// Makes a system call until it has moved a byte or `wait` is over.
    fn repeat(
        &mut self,
        wait: Wait,
        mut call: impl FnMut(&mut Link) -> io::Result<usize>,
    ) -> Result<usize, StepError> {
        if self.ended == Some(Closing::ResetByPeer) {
            return Err(StepError::PeerReset);
        }
        // A client that always has something to say must not outlast the bound.
        wait.check_bound(self.shared.phase())?;
        loop {
            let phase = self.shared.phase();
            let error = match call(&mut self.link) {
                Ok(0) => StepError::PeerClosed,
                Ok(count) => return Ok(count),
                Err(error) if is_pause(&error) => {
                    wait.check(phase)?;
                    continue;
                }
                Err(error) => StepError::from_io(error),
            };
            self.note_end(&error);
            return Err(error);
        }
    }

    fn note_end(&mut self, error: &StepError) {
        if matches!(error, StepError::PeerClosed) {
            self.ended.get_or_insert(Closing::ByPeer);
        } else if matches!(error, StepError::PeerReset) {
            self.ended = Some(Closing::ResetByPeer);
        }
    }
}

/// Whether a system call has only come to the end of its slice.
pub(crate) fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut | io::ErrorKind::Interrupted
    )
}
