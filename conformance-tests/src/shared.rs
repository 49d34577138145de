//! What the threads of one server share: the log in the making, and how far the server has come.

use core::net::SocketAddr;
use core::time::Duration;
use std::net::TcpStream;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use crate::peek::peek_end;
use crate::request::Head;
use crate::{Closing, ErrorCode, Leftover, Log, TlsRecord};

/// How far a server has come. Each phase follows the one before it and none returns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Phase {
    /// Clients come and go.
    Running,
    /// Nothing new is waited for; what has arrived and what has begun is played to its end.
    Finishing,
    /// Every step stops where it is.
    Stopped,
}

/// The state of one server, behind one lock that is never held across IO that could wait.
#[derive(Debug)]
pub(crate) struct Shared {
    started: Instant,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    phase: Phase,
    log: Log,
    leftovers: Vec<Leftover>,
    /// The open connections. Weak, because a second owner would keep a closed socket open.
    open: Vec<(usize, Weak<TcpStream>)>,
    /// How many request lists have been claimed, or would have been had there been enough.
    claimed: usize,
    /// How many connection threads are alive.
    threads: usize,
}

/// Counts one connection thread for as long as it lives, however it ends.
#[derive(Debug)]
pub(crate) struct ThreadCount(Arc<Shared>);

impl ThreadCount {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        shared.lock().threads += 1;
        Self(shared)
    }
}

impl Drop for ThreadCount {
    fn drop(&mut self) {
        self.0.lock().threads -= 1;
        self.0.changed.notify_all();
    }
}

impl Shared {
    pub(crate) fn new() -> Self {
        let state = State {
            phase: Phase::Running,
            log: Log::default(),
            leftovers: Vec::new(),
            open: Vec::new(),
            claimed: 0,
            threads: 0,
        };
        Self { started: Instant::now(), state: Mutex::new(state), changed: Condvar::new() }
    }

    pub(crate) fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Goes on to `phase`, unless the server is there or further already.
    pub(crate) fn advance(&self, phase: Phase) {
        let mut state = self.lock();
        state.phase = state.phase.max(phase);
        self.changed.notify_all();
    }

    /// Waits for so long, or until the server has come to `phase`.
    pub(crate) fn wait(&self, length: Duration, phase: Phase) {
        // Poisoned or not, the wait is over, and the guard is of no use here.
        let _ = self.changed.wait_timeout_while(self.lock(), length, |state| state.phase < phase);
    }

    /// Waits until so many requests have come; `false` where they have not after so long, or when
    /// the server stops.
    pub(crate) fn wait_for_requests(&self, count: usize, within: Duration) -> bool {
        let missing = |state: &State| state.log.requests.len() < count;
        let waits = |state: &mut State| missing(state) && state.phase < Phase::Stopped;
        let waited = self.changed.wait_timeout_while(self.lock(), within, waits);
        !missing(&waited.unwrap_or_else(PoisonError::into_inner).0)
    }

    /// Whether so many requests have come.
    pub(crate) fn has_requests(&self, count: usize) -> bool {
        self.lock().log.requests.len() >= count
    }

    /// Waits for so long, or until no connection thread is alive.
    pub(crate) fn wait_for_threads(&self, length: Duration) {
        let _ = self.changed.wait_timeout_while(self.lock(), length, |state| state.threads > 0);
    }

    pub(crate) fn log(&self) -> Log {
        let mut state = self.lock();
        drop_ended(&mut state);
        Log { open: state.open.len(), ..state.log.clone() }
    }

    pub(crate) fn take_leftovers(&self) -> Vec<Leftover> {
        core::mem::take(&mut self.lock().leftovers)
    }

    /// How many request lists have been claimed.
    pub(crate) fn claimed(&self) -> usize {
        self.lock().claimed
    }

    pub(crate) fn report(&self, leftover: Leftover) {
        self.lock().leftovers.push(leftover);
    }

    /// Records a new connection and says which one it is.
    pub(crate) fn connection(&self, peer: SocketAddr, stream: &Arc<TcpStream>) -> usize {
        let accepted = self.started.elapsed();
        let mut state = self.lock();
        drop_ended(&mut state);
        let open = state.open.len() + 1;
        let index = state.log.connected(peer, accepted, open);
        state.open.push((index, Arc::downgrade(stream)));
        index
    }

    /// Records how a connection ended; only the first record counts.
    pub(crate) fn closed(&self, connection: usize, closing: Closing) {
        let ended = self.started.elapsed();
        let mut state = self.lock();
        state.open.retain(|(index, _)| *index != connection);
        state.log.disconnected(connection, closing, ended);
    }

    /// Records how a TLS handshake ended.
    pub(crate) fn shook_hands(
        &self,
        connection: usize,
        record: impl FnOnce(Duration) -> TlsRecord,
    ) {
        let ended = self.started.elapsed();
        self.lock().log.shook_hands(connection, record(ended));
    }

    /// Records how many requests are on a connection now.
    pub(crate) fn requests_open(&self, connection: usize, count: usize) {
        self.lock().log.requests_open(connection, count);
    }

    pub(crate) fn received(&self, connection: usize, count: usize) {
        self.lock().log.received(connection, count);
    }

    pub(crate) fn sent(&self, connection: usize, count: usize) {
        self.lock().log.sent(connection, count);
    }

    /// Records a request whose head has arrived and says which one it is.
    pub(crate) fn request(&self, connection: usize, stream: Option<u32>, head: Head) -> usize {
        let arrived = self.started.elapsed();
        let request = self.lock().log.requested(connection, stream, arrived, head);
        self.changed.notify_all();
        request
    }

    /// The same, and claims the next request list in the same moment, so that lists go to requests
    /// in the order of the log: the request, then the list.
    pub(crate) fn claim(
        &self,
        connection: usize,
        stream: Option<u32>,
        head: Head,
    ) -> (usize, usize) {
        let arrived = self.started.elapsed();
        let mut state = self.lock();
        let list = state.claimed;
        state.claimed += 1;
        let request = state.log.requested(connection, stream, arrived, head);
        drop(state);
        self.changed.notify_all();
        (request, list)
    }

    pub(crate) fn body(&self, request: usize, bytes: &[u8]) {
        self.lock().log.body(request, bytes);
    }

    pub(crate) fn complete(&self, request: usize) {
        let ended = self.started.elapsed();
        self.lock().log.complete(request, ended);
    }

    /// Records whether the server acts on a request.
    pub(crate) fn processed(&self, request: usize, processed: bool) {
        self.lock().log.acts_on(request, processed);
    }

    /// Records that the client has reset the stream of a request.
    pub(crate) fn reset(&self, request: usize, code: ErrorCode) {
        let at = self.started.elapsed();
        self.lock().log.reset(request, at, code);
    }

    /// The state, even after a thread has panicked while it held the lock: every change to it is
    /// one that leaves it whole.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the connections that their clients have ended from the open ones.
///
/// The thread of a connection may be slower to notice its end than another is to accept the next
/// one, so the ends that have come are looked for before the open connections are counted.
fn drop_ended(state: &mut State) {
    let State { open, log, .. } = state;
    open.retain(|(index, stream)| {
        let end = stream.upgrade().map_or(Some(Closing::ByServer), |stream| peek_end(&stream));
        // To look at a reset is to take it from the thread that would have recorded it.
        if let (Some(Closing::ResetByPeer), Some(record)) = (end, log.connections.get_mut(*index)) {
            record.closed.get_or_insert(Closing::ResetByPeer);
        }
        end.is_none()
    });
}
