//! What the lists of one virtual connection of HTTP/2 share (`steps.rs`: how they are played).
//!
//! A list never touches the socket: it says what is to be written, and waits for something to
//! change.

mod steps;

use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_client::race;
use redial_sim::VirtualTime;

use super::host::Origin;
use crate::http2::{Event, Session};
use crate::request::{Head, MAX_BODY};
use crate::{Closing, Http2, Leftover, Malformed, StepError};

/// How the server ends a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Close,
    CloseUnread,
    Reset,
}

/// One connection, as its lists see it.
pub(super) struct Wire {
    origin: Arc<Origin>,
    time: VirtualTime,
    index: usize,
    state: Mutex<State>,
}

struct State {
    session: Session,
    /// The requests in the log, by their streams.
    requests: BTreeMap<u32, usize>,
    /// The streams whose requests no step has read.
    waiting: VecDeque<u32>,
    /// The last stream that the server has not said it will ignore.
    last_heeded: u32,
    /// What is to be written.
    out: VecDeque<u8>,
    /// How the client has ended the connection, and how the server is to.
    ended: Option<Closing>,
    ending: Option<Ending>,
    /// Whether the server has.
    closed: bool,
    garbled: Option<Malformed>,
    /// Whoever waits for something to change.
    waiters: Vec<Waker>,
}

impl Wire {
    pub(super) fn new(
        origin: Arc<Origin>,
        time: VirtualTime,
        index: usize,
        manners: &Http2,
    ) -> Self {
        let state = State {
            session: Session::new(manners.clone()),
            requests: BTreeMap::new(),
            waiting: VecDeque::new(),
            last_heeded: u32::MAX,
            out: VecDeque::new(),
            ended: None,
            ending: None,
            closed: false,
            garbled: None,
            waiters: Vec::new(),
        };
        Self { origin, time, index, state: Mutex::new(state) }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    pub(super) fn report(&self, leftover: Leftover) {
        self.origin.record.report(leftover);
    }

    /// Has everyone look whether what they wait for has come.
    pub(super) fn wake(&self) {
        let waiters = core::mem::take(&mut self.lock().waiters);
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(super) fn ending(&self) -> Option<Ending> {
        self.lock().ending
    }

    pub(super) fn close_with(&self, ending: Ending) {
        self.lock().ending.get_or_insert(ending);
    }

    /// The server has closed it.
    pub(super) fn is_closed(&self) {
        self.lock().closed = true;
        self.wake();
    }

    pub(super) fn record_end(&self, closing: Closing) {
        self.origin.record.closed(self.index, closing);
    }

    /// How the client has ended it.
    pub(super) fn ended(&self) -> Option<Closing> {
        self.lock().ended
    }

    pub(super) fn end(&self, error: StepError) {
        let reset = matches!(error, StepError::PeerReset);
        let closing = if reset { Closing::ResetByPeer } else { Closing::ByPeer };
        let mut state = self.lock();
        state.ended.get_or_insert(closing);
        state.out.clear();
        drop(state);
        self.wake();
    }

    /// Why nothing more comes.
    pub(super) fn gone(&self) -> StepError {
        match self.ended() {
            Some(Closing::ResetByPeer) => StepError::PeerReset,
            Some(_) => StepError::PeerClosed,
            None => StepError::ServerFinished,
        }
    }

    /// What is to be written next.
    pub(super) fn to_write(&self) -> Option<Vec<u8>> {
        let state = self.lock();
        let (first, _) = state.out.as_slices();
        (!first.is_empty()).then(|| first.to_vec())
    }

    pub(super) fn written(&self, count: usize) {
        self.origin.record.sent(self.index, count);
        let mut state = self.lock();
        state.out.drain(..count);
        let empty = state.out.is_empty();
        drop(state);
        if empty {
            self.wake();
        }
    }

    pub(super) fn received(&self, count: usize) {
        self.origin.record.received(self.index, count);
    }

    pub(super) fn garbled(&self) -> Option<Malformed> {
        self.lock().garbled
    }

    /// What has come is no HTTP/2.
    pub(super) fn is_garbled(&self, malformed: Malformed, by_request: bool) {
        if self.lock().garbled.replace(malformed).is_none() && by_request {
            let (connection, error) = (self.index, malformed.into());
            self.report(Leftover::Garbled { connection, error });
            self.close_with(Ending::Reset);
        }
    }

    pub(super) fn frame_length(&self, buffer: &[u8]) -> Result<Option<usize>, Malformed> {
        self.lock().session.frame_length(buffer)
    }

    /// Takes one whole frame, and answers what is to be answered at once.
    pub(super) fn receive(&self, frame: &[u8]) -> Result<Event, Malformed> {
        let mut state = self.lock();
        let event = state.session.receive(frame)?;
        let replies = state.session.take_replies();
        state.out.extend(replies);
        self.origin.record.requests_open(self.index, state.session.open());
        if let Event::Reset { stream, code } = &event
            && let Some(request) = state.requests.get(stream)
        {
            self.origin.record.reset(*request, *code);
        }
        Ok(event)
    }

    /// Records a request. Answers which one it is.
    pub(super) fn request(&self, stream: u32, head: Head) -> usize {
        let request = self.origin.record.request(self.index, Some(stream), head);
        self.lock().requests.insert(stream, request);
        request
    }

    pub(super) fn complete(&self, request: usize) {
        self.origin.record.complete(request);
    }

    pub(super) fn body(&self, stream: u32, bytes: &[u8], ends: bool) -> Result<(), Malformed> {
        let request = self.lock().requests.get(&stream).copied();
        if let Some(request) = request {
            self.origin.record.body(request, bytes);
            if ends {
                self.complete(request);
            }
        }
        if bytes.len() > MAX_BODY { Err(Malformed::TooLarge) } else { Ok(()) }
    }

    pub(super) fn heeds(&self, stream: u32) -> bool {
        stream <= self.lock().last_heeded
    }

    pub(super) fn queue(&self, stream: u32) {
        self.lock().waiting.push_back(stream);
    }

    /// Waits so long for something: what `look` answers first.
    async fn wait<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&mut State) -> Option<Result<T, StepError>>,
    ) -> Result<T, StepError> {
        let found = poll_fn(|context| {
            let mut state = self.lock();
            if let Some(found) = look(&mut state) {
                return Poll::Ready(found);
            }
            if state.closed {
                return Poll::Ready(Err(StepError::AfterClose));
            }
            state.waiters.push(context.waker().clone());
            Poll::Pending
        });
        let limit = self.time.sleep(within);
        race(found, limit).await.unwrap_or(Err(StepError::TimedOut { after: within }))
    }

    /// The same of what only a client that is there can do.
    async fn wait_for_client<T>(
        &self,
        within: Duration,
        mut look: impl FnMut(&mut State) -> Option<Result<T, StepError>>,
    ) -> Result<T, StepError> {
        self.wait(within, |state| look(state).or_else(|| state.is_gone().err().map(Err))).await
    }
}

impl State {
    /// Whether the client is still there.
    const fn is_gone(&self) -> Result<(), StepError> {
        match (self.ended, self.garbled) {
            (Some(Closing::ResetByPeer), _) => Err(StepError::PeerReset),
            (Some(_), _) => Err(StepError::PeerClosed),
            (None, Some(malformed)) => Err(StepError::Malformed(malformed)),
            (None, None) => Ok(()),
        }
    }

    /// Whether the client is still there to take what is sent on this stream.
    fn check_stream(&self, stream: u32) -> Result<(), StepError> {
        if self.session.reset(stream).is_some() {
            return Err(StepError::PeerReset);
        }
        self.is_gone()
    }
}
