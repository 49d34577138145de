//! What has crossed a connection, and when.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::io;
use std::sync::OnceLock;

use redial_engine::Timestamp;

/// By how much the heads of a response may exceed their limit before they do.
const A_LITTLE: u64 = 1024;

/// More than the largest record of TLS has (RFC 8446 5.2), and what may come before it that says
/// nothing, such as session tickets.
const RECORD: u64 = 32 * 1024;

/// What has crossed one connection so far, and when.
///
/// Counters are monotonic; an exchange remembers where they stood when it began.
#[derive(Debug)]
pub(crate) struct Meter {
    bytes_in: AtomicU64,
    /// How many of them there may be: reading fails beyond.
    most_in: AtomicU64,
    bytes_out: AtomicU64,
    last_in: AtomicU64,
    last_out: AtomicU64,
    /// How many bytes of TLS have come since anything of what they say was seen, and since when.
    sealed: AtomicU64,
    sealed_since: AtomicU64,
    /// Since when the peer accepts nothing; zero while it does.
    blocked_since: AtomicU64,
    /// When the head of a response, or an interim one, last began (HTTP/2).
    last_head: AtomicU64,
    /// Since when the frame of a response is on its way in whose middle stops what came last; zero
    /// where it stops at an end (HTTP/2).
    frame_since: AtomicU64,
    /// Whether the connection has come to its end, which hyper is told in a moment (HTTP/2).
    ending: AtomicBool,
    /// The first error of the socket: later ones only follow from it.
    error: OnceLock<SocketError>,
}

/// An error of the socket, as far as it tells how a connection was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SocketError {
    Io(io::ErrorKind),
    /// The server refused the client after the handshake, as TLS 1.3 has it for certificates
    /// (RFC 8446 4.4.2.4).
    Refused,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            bytes_in: AtomicU64::new(0),
            most_in: AtomicU64::new(u64::MAX),
            bytes_out: AtomicU64::new(0),
            last_in: AtomicU64::new(0),
            last_out: AtomicU64::new(0),
            sealed: AtomicU64::new(0),
            sealed_since: AtomicU64::new(0),
            blocked_since: AtomicU64::new(0),
            last_head: AtomicU64::new(0),
            frame_since: AtomicU64::new(0),
            ending: AtomicBool::new(false),
            error: OnceLock::new(),
        }
    }
}

impl Meter {
    /// A response head is to come next, and this is the most that it may have, together with all
    /// interim ones before it (R-X-2): hyper bounds each head by itself, but not how many there are.
    ///
    /// A little more is let in, because the heads may end just below the limit, and hyper reads on:
    /// that is where the body begins.
    pub(crate) fn expect_head(&self, max_head: usize) {
        self.allow((max_head as u64).saturating_add(A_LITTLE));
    }

    /// A response body of any length may come.
    pub(crate) fn expect_body(&self) {
        self.most_in.store(u64::MAX, Ordering::Relaxed);
    }

    /// Something has reached an exchange of an HTTP/2 connection: so much may come until something
    /// does again. It is more than all windows have room for, so that only what reaches nobody can
    /// exceed it: interim heads, pings, settings (R-X-2, R-X-8).
    pub(crate) fn expect_streams(&self) {
        const FLOOD: u64 = 16 * 1024 * 1024;
        self.allow(FLOOD);
    }

    fn allow(&self, bytes: u64) {
        self.most_in.store(self.bytes_in().saturating_add(bytes), Ordering::Relaxed);
    }

    pub(crate) fn bytes_in(&self) -> u64 {
        self.bytes_in.load(Ordering::Relaxed)
    }

    pub(crate) fn bytes_out(&self) -> u64 {
        self.bytes_out.load(Ordering::Relaxed)
    }

    /// When bytes last went either way; the origin of time where none did.
    pub(crate) fn last_activity(&self) -> Timestamp {
        let (incoming, outgoing) = (&self.last_in, &self.last_out);
        Timestamp::from_nanos(
            incoming.load(Ordering::Relaxed).max(outgoing.load(Ordering::Relaxed)),
        )
    }

    /// When bytes last came in, below TLS too; the origin of time where none did.
    pub(crate) fn last_in(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_in.load(Ordering::Relaxed))
    }

    /// When the head of a response, or an interim one, last began over HTTP/2; the origin of time
    /// where none did.
    pub(crate) fn last_head(&self) -> Timestamp {
        Timestamp::from_nanos(self.last_head.load(Ordering::Relaxed))
    }

    /// Since when something is on its way, over HTTP/2, that may be the frame of some response, and of
    /// which nothing is told before it is whole: such a frame, or a record of TLS.
    pub(crate) fn on_its_way_since(&self) -> Option<Timestamp> {
        let sealed = (1..=RECORD).contains(&self.sealed.load(Ordering::Relaxed));
        let record = self.sealed_since.load(Ordering::Relaxed);
        let frame = Some(self.frame_since.load(Ordering::Relaxed)).filter(|since| *since > 0);
        let first = frame.into_iter().chain(sealed.then_some(record)).min();
        first.map(Timestamp::from_nanos)
    }

    /// Notes whether what came last stops in the middle of a frame of some response, and whether that
    /// has begun just now.
    pub(crate) fn framed(&self, within_frame: bool, fresh: bool, now: Timestamp) {
        if !within_frame {
            self.frame_since.store(0, Ordering::Relaxed);
        } else if fresh || self.frame_since.load(Ordering::Relaxed) == 0 {
            self.frame_since.store(now.as_nanos().max(1), Ordering::Relaxed);
        }
    }

    /// Notes that the head of a response, or an interim one, has begun.
    pub(crate) fn began_head(&self, now: Timestamp) {
        self.last_head.store(now.as_nanos(), Ordering::Relaxed);
    }

    /// The connection has come to its end, whatever hyper is told.
    pub(crate) fn ends(&self) {
        self.ending.store(true, Ordering::Relaxed);
    }

    /// Whether the connection has come to its end, whatever hyper knows.
    pub(crate) fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Relaxed)
    }

    pub(crate) fn blocked_since(&self) -> Option<Timestamp> {
        match self.blocked_since.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Timestamp::from_nanos(nanos)),
        }
    }

    pub(crate) fn error(&self) -> Option<SocketError> {
        self.error.get().copied()
    }

    /// How many bytes may be read now. Fails where that is none.
    pub(crate) fn room(&self) -> io::Result<usize> {
        let room = self.most_in.load(Ordering::Relaxed).saturating_sub(self.bytes_in());
        match usize::try_from(room).unwrap_or(usize::MAX) {
            0 => {
                let more = "more came than anybody waits for";
                Err(io::Error::new(io::ErrorKind::FileTooLarge, more))
            }
            room => Ok(room),
        }
    }

    /// Bytes of TLS have come. They are no silence as long as there may be a record that is not whole
    /// yet; records that say nothing are not waited for without end.
    pub(crate) fn arrived(&self, bytes: usize, now: Timestamp) {
        if self.sealed.load(Ordering::Relaxed) == 0 {
            self.sealed_since.store(now.as_nanos(), Ordering::Relaxed);
        }
        add(&self.sealed, bytes);
        if self.sealed.load(Ordering::Relaxed) <= RECORD {
            self.last_in.store(now.as_nanos(), Ordering::Relaxed);
        }
    }

    pub(crate) fn read(&self, bytes: usize, now: Timestamp) {
        self.sealed.store(0, Ordering::Relaxed);
        add(&self.bytes_in, bytes);
        self.last_in.store(now.as_nanos(), Ordering::Relaxed);
    }

    pub(crate) fn wrote(&self, bytes: usize, now: Timestamp) {
        add(&self.bytes_out, bytes);
        self.last_out.store(now.as_nanos(), Ordering::Relaxed);
        self.unblocked();
    }

    pub(crate) fn blocked(&self, now: Timestamp) {
        let since = now.as_nanos().max(1);
        // Only the first refusal counts: the block lasts since then.
        let _ = self.blocked_since.compare_exchange(0, since, Ordering::Relaxed, Ordering::Relaxed);
    }

    pub(crate) fn unblocked(&self) {
        self.blocked_since.store(0, Ordering::Relaxed);
    }

    pub(crate) fn failed(&self, error: &io::Error) {
        let tls = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>());
        let refused = matches!(tls, Some(rustls::Error::AlertReceived(_))) && self.bytes_in() == 0;
        let seen = if refused { SocketError::Refused } else { SocketError::Io(error.kind()) };
        let _ = self.error.set(seen);
    }
}

/// Counts on. Whoever has the socket is the only one who does, and so need not lock the bus for it.
fn add(counter: &AtomicU64, bytes: usize) {
    let counted = counter.load(Ordering::Relaxed).wrapping_add(bytes as u64);
    counter.store(counted, Ordering::Relaxed);
}
