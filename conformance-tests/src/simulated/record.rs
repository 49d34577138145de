//! What a simulated origin has seen so far, and what its script has left over.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redial_sim::VirtualTime;
use redial_sim::net::Peer;

use crate::play::LOOK_EVERY;
use crate::request::Head;
use crate::{Closing, ErrorCode, Leftover, Log, StepError};

/// The log of one origin while it is written.
#[derive(Debug)]
pub(super) struct Record {
    time: VirtualTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    log: Log,
    leftovers: Vec<Leftover>,
    /// The other ends of the connections that the origin has not closed.
    open: Vec<(usize, Peer)>,
    claimed: usize,
}

impl Record {
    pub(super) fn new(time: &VirtualTime) -> Self {
        Self { time: time.clone(), state: Mutex::default() }
    }

    pub(super) fn log(&self) -> Log {
        let mut state = self.lock();
        state.drop_ended();
        Log { open: state.open.len(), ..state.log.clone() }
    }

    pub(super) fn open(&self) -> usize {
        let mut state = self.lock();
        state.drop_ended();
        state.open.len()
    }

    /// How many request lists were claimed, and how many connections came.
    pub(super) fn came(&self) -> (usize, usize) {
        let state = self.lock();
        (state.claimed, state.log.connections.len())
    }

    pub(super) fn leftovers(&self) -> Vec<Leftover> {
        self.lock().leftovers.clone()
    }

    pub(super) fn report(&self, leftover: Leftover) {
        self.lock().leftovers.push(leftover);
    }

    /// A connection has come. Answers which one it is.
    pub(super) fn connection(&self, peer: Peer) -> usize {
        let accepted = self.time.elapsed();
        let mut state = self.lock();
        state.drop_ended();
        let open = state.open.len() + 1;
        let nobody = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let index = state.log.connected(nobody, accepted, open);
        state.open.push((index, peer));
        index
    }

    pub(super) fn closed(&self, connection: usize, closing: Closing) {
        let ended = self.time.elapsed();
        let mut state = self.lock();
        state.open.retain(|(index, _)| *index != connection);
        state.log.disconnected(connection, closing, ended);
    }

    pub(super) fn received(&self, connection: usize, count: usize) {
        self.lock().log.received(connection, count);
    }

    pub(super) fn sent(&self, connection: usize, count: usize) {
        self.lock().log.sent(connection, count);
    }

    /// A request's head has come. Answers which request it is.
    pub(super) fn request(&self, connection: usize, stream: Option<u32>, head: Head) -> usize {
        let arrived = self.time.elapsed();
        let mut state = self.lock();
        state.log.requests_open(connection, 1);
        state.log.requested(connection, stream, arrived, head)
    }

    /// The next list of a script by request. Answers which one it is.
    pub(super) fn claim(&self) -> usize {
        let mut state = self.lock();
        state.claimed += 1;
        state.claimed - 1
    }

    /// Waits until so many requests have come.
    pub(super) async fn await_requests(
        &self,
        count: usize,
        within: Duration,
    ) -> Result<(), StepError> {
        let until = self.time.elapsed().saturating_add(within);
        while self.lock().log.requests.len() < count {
            if self.time.elapsed() >= until {
                return Err(StepError::TimedOut { after: within });
            }
            self.time.sleep(LOOK_EVERY).await;
        }
        Ok(())
    }

    pub(super) fn body(&self, request: usize, bytes: &[u8]) {
        self.lock().log.body(request, bytes);
    }

    pub(super) fn complete(&self, request: usize) {
        let ended = self.time.elapsed();
        self.lock().log.complete(request, ended);
    }

    /// Whether the origin acts on a request.
    pub(super) fn processed(&self, request: usize, processed: bool) {
        self.lock().log.acts_on(request, processed);
    }

    /// How many requests are on a connection now.
    pub(super) fn requests_open(&self, connection: usize, count: usize) {
        self.lock().log.requests_open(connection, count);
    }

    /// The client has reset the stream of a request.
    pub(super) fn reset(&self, request: usize, code: ErrorCode) {
        let at = self.time.elapsed();
        self.lock().log.reset(request, at, code);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Takes the connections that their clients have ended from the open ones.
    fn drop_ended(&mut self) {
        self.open.retain(|(_, peer)| !peer.is_gone());
    }
}
