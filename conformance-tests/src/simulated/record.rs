//! What a simulated origin has seen so far, and what its script has left over.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::sync::{Mutex, MutexGuard, PoisonError};

use redial_sim::VirtualTime;
use redial_sim::net::Peer;

use crate::play::LOOK_EVERY;
use crate::request::Head;
use crate::{
    BODY_KEPT, Closing, ConnectionRecord, ErrorCode, Leftover, Log, RequestRecord, StepError,
};

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
        let index = state.log.connections.len();
        state.open.push((index, peer));
        state.log.peak_open = state.log.peak_open.max(state.open.len());
        state.log.connections.push(ConnectionRecord {
            peer: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accepted,
            tls: None,
            closed: None,
            ended: None,
            bytes_in: 0,
            bytes_out: 0,
            peak_requests: 0,
        });
        index
    }

    pub(super) fn closed(&self, connection: usize, closing: Closing) {
        let ended = self.time.elapsed();
        let mut state = self.lock();
        state.open.retain(|(index, _)| *index != connection);
        if let Some(record) = state.log.connections.get_mut(connection) {
            record.closed.get_or_insert(closing);
            record.ended.get_or_insert(ended);
        }
    }

    pub(super) fn received(&self, connection: usize, count: usize) {
        if let Some(record) = self.lock().log.connections.get_mut(connection) {
            record.bytes_in += count as u64;
        }
    }

    pub(super) fn sent(&self, connection: usize, count: usize) {
        if let Some(record) = self.lock().log.connections.get_mut(connection) {
            record.bytes_out += count as u64;
        }
    }

    /// A request's head has come. Answers which request it is.
    pub(super) fn request(&self, connection: usize, stream: Option<u32>, head: Head) -> usize {
        let arrived = self.time.elapsed();
        let mut state = self.lock();
        if let Some(record) = state.log.connections.get_mut(connection) {
            record.peak_requests = record.peak_requests.max(1);
        }
        state.log.requests.push(RequestRecord {
            connection,
            stream,
            arrived,
            method: head.method,
            target: head.target,
            headers: head.headers,
            body: Vec::new(),
            body_length: 0,
            complete: false,
            ended: None,
            processed: false,
            reset: None,
        });
        state.log.requests.len() - 1
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
        if let Some(record) = self.lock().log.requests.get_mut(request) {
            let room = BODY_KEPT.saturating_sub(record.body.len());
            record.body.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or(bytes));
            record.body_length += bytes.len() as u64;
        }
    }

    pub(super) fn complete(&self, request: usize) {
        let ended = self.time.elapsed();
        if let Some(record) = self.lock().log.requests.get_mut(request) {
            record.complete = true;
            record.ended.get_or_insert(ended);
        }
    }

    /// Whether the origin acts on a request.
    pub(super) fn processed(&self, request: usize, processed: bool) {
        if let Some(record) = self.lock().log.requests.get_mut(request) {
            record.processed = processed;
        }
    }

    /// How many requests are on a connection now.
    pub(super) fn requests_open(&self, connection: usize, count: usize) {
        if let Some(record) = self.lock().log.connections.get_mut(connection) {
            record.peak_requests = record.peak_requests.max(count);
        }
    }

    /// The client has reset the stream of a request.
    pub(super) fn reset(&self, request: usize, code: ErrorCode) {
        let at = self.time.elapsed();
        if let Some(record) = self.lock().log.requests.get_mut(request) {
            record.reset.get_or_insert((at, code));
        }
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
