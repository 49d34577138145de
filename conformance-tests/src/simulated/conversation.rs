//! What the lists of one virtual connection of HTTP/2 share, and how their steps are played.
//!
//! A list never touches the socket: it says what is to be written, and waits for something to
//! change.

use core::future::poll_fn;
use core::task::{Poll, Waker};
use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_client::race;
use redial_sim::VirtualTime;

use super::host::Origin;
use crate::connection::check_code;
use crate::http2::{Event, Session};
use crate::request::{Head, MAX_BODY};
use crate::{
    Closing, ErrorCode, Frame, Http2, Leftover, Malformed, PATIENCE, Reply, Step, StepError,
};

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

    /// Plays a list from this step on, and reports where it stopped if it did and is one of the
    /// plan's; answers whether it came to its end.
    pub(super) async fn play(
        &self,
        steps: &[Step],
        from: usize,
        list: Option<usize>,
        stream: u32,
    ) -> bool {
        let mut current = stream;
        for (step, instruction) in steps.iter().enumerate().skip(from) {
            let is_closed = self.lock().closed || self.ending().is_some();
            let played = match is_closed {
                true => Err(StepError::AfterClose),
                false => self.step(&mut current, instruction).await,
            };
            let Err(error) = played else { continue };
            if let Some(list) = list {
                let (connection, instruction) = (self.index, instruction.clone());
                self.report(Leftover::Stopped { connection, list, step, instruction, error });
            }
            return false;
        }
        true
    }

    async fn step(&self, current: &mut u32, step: &Step) -> Result<(), StepError> {
        let stream = *current;
        match step {
            Step::ReadRequest => {
                *current = self.read_head().await?;
                self.read_body(*current).await
            }
            Step::ReadHead => {
                *current = self.read_head().await?;
                Ok(())
            }
            Step::ReadBody => self.read_body(stream).await,
            Step::Respond(reply) => self.respond(stream, reply, usize::MAX, Duration::ZERO).await,
            Step::RespondSlowly { reply, piece, gap } => {
                self.respond(stream, reply, *piece, *gap).await
            }
            Step::Send(frames) => {
                self.lock().check_stream(stream)?;
                self.send_frames(stream, frames);
                self.flushed().await
            }
            Step::SendFlood { frames, at_most } => {
                let bytes: Vec<_> = frames.iter().flat_map(|frame| frame.bytes(stream)).collect();
                self.flood(&bytes, *at_most).await
            }
            Step::Flood { bytes, at_most } => self.flood(bytes, *at_most).await,
            Step::Write(bytes) => self.write(bytes).await,
            Step::WriteSlowly { bytes, piece, gap } => {
                for (index, piece) in bytes.chunks((*piece).max(1)).enumerate() {
                    if index > 0 {
                        self.time.sleep(*gap).await;
                    }
                    self.write(piece).await?;
                }
                Ok(())
            }
            Step::AwaitReset { code, within } => {
                self.await_code(*code, *within, |state| state.session.reset(stream)).await
            }
            Step::AwaitGoAway { code, within } => {
                self.await_code(*code, *within, |state| state.session.goaway()).await
            }
            Step::AwaitClose { within } => {
                let gone = |state: &mut State| {
                    let given_up = state.session.reset(stream).is_some();
                    (state.ended.is_some() || given_up).then_some(Ok(()))
                };
                self.wait(*within, gone).await
            }
            Step::AwaitRequests { count, within } => {
                self.origin.record.await_requests(*count, *within).await
            }
            Step::Pause(length) | Step::Stall { at_most: length } => {
                self.time.sleep(*length).await;
                Ok(())
            }
            Step::Close => self.closes(Ending::Close),
            Step::CloseUnread => self.closes(Ending::CloseUnread),
            Step::Reset => self.closes(Ending::Reset),
            Step::CloseWrite | Step::Preface(_) | Step::ReadBytes(_) | Step::AwaitData { .. } => {
                Err(StepError::OutOfPlace)
            }
        }
    }

    /// The step that closes the connection.
    fn closes(&self, ending: Ending) -> Result<(), StepError> {
        self.close_with(ending);
        Ok(())
    }

    /// Keeps a connection whose list has ended; a request that comes meanwhile is beyond it.
    pub(super) async fn watch(&self) {
        let next = |state: &mut State| {
            let stream = state.waiting.pop_front();
            let request = stream.and_then(|stream| state.requests.get(&stream).copied());
            request.map(|request| Ok(Some(request))).or_else(|| {
                let over = state.ended.is_some() || state.garbled.is_some();
                over.then_some(Ok(None))
            })
        };
        match self.wait(Duration::MAX, next).await {
            Ok(Some(request)) => {
                self.report(Leftover::UnexpectedRequest { request });
                self.close_with(Ending::Reset);
            }
            Ok(None) => {
                if let Some(malformed) = self.garbled() {
                    let (connection, error) = (self.index, malformed.into());
                    self.report(Leftover::Garbled { connection, error });
                    self.close_with(Ending::Reset);
                }
            }
            Err(_) => {}
        }
    }

    async fn read_head(&self) -> Result<u32, StepError> {
        let next = |state: &mut State| state.waiting.pop_front().map(Ok);
        let stream = self.wait_for_client(PATIENCE, next).await?;
        if let Some(request) = self.lock().requests.get(&stream) {
            self.origin.record.processed(*request, true);
        }
        Ok(stream)
    }

    async fn read_body(&self, stream: u32) -> Result<(), StepError> {
        let whole = |state: &mut State| {
            let reset = state.session.reset(stream).map(|_| Err(StepError::PeerReset));
            state.session.has_ended(stream).then_some(Ok(())).or(reset)
        };
        self.wait_for_client(PATIENCE, whole).await
    }

    async fn respond(
        &self,
        stream: u32,
        reply: &Reply,
        piece: usize,
        gap: Duration,
    ) -> Result<(), StepError> {
        self.lock().check_stream(stream)?;
        let head = Frame::head(reply);
        let ends = reply.body.is_empty() && !reply.is_interim();
        self.send_frames(stream, &[if ends { head.end_stream() } else { head }]);
        let mut rest = if reply.is_interim() { &[] } else { reply.body.as_slice() };
        while !rest.is_empty() {
            if !gap.is_zero() {
                self.time.sleep(gap).await;
            }
            let room = |state: &mut State| {
                let room = state.session.room(stream).min(piece.max(1));
                (room > 0).then_some(Ok(room))
            };
            let room = self.wait_for_client(PATIENCE, room).await?;
            self.lock().check_stream(stream)?;
            let (now, later) = rest.split_at(room.min(rest.len()));
            let data = Frame::data(now);
            rest = later;
            self.send_frames(stream, &[if rest.is_empty() { data.end_stream() } else { data }]);
        }
        self.flushed().await
    }

    /// Sends frames, and takes down what they say of requests.
    pub(super) fn send_frames(&self, stream: u32, frames: &[Frame]) {
        let mut state = self.lock();
        for frame in frames {
            state.out.extend(frame.bytes(stream));
            state.session.sent(frame, stream);
            let Some(refused) = frame.refuses(stream) else { continue };
            if *refused.end() == u32::MAX {
                state.last_heeded = state.last_heeded.min(refused.start() - 1);
                state.waiting.retain(|stream| !refused.contains(stream));
            }
            for stream in state.session.opened(refused) {
                if let Some(request) = state.requests.get(&stream) {
                    self.origin.record.processed(*request, false);
                }
            }
        }
    }

    async fn write(&self, bytes: &[u8]) -> Result<(), StepError> {
        self.lock().out.extend(bytes);
        self.flushed().await
    }

    /// Waits until everything is written.
    async fn flushed(&self) -> Result<(), StepError> {
        self.wait_for_client(PATIENCE, |state| state.out.is_empty().then_some(Ok(()))).await
    }

    async fn flood(&self, bytes: &[u8], at_most: usize) -> Result<(), StepError> {
        /// Many small frames at a time: each write is an event.
        const AT_A_TIME: usize = 64 * 1024;
        let mut left = at_most;
        while left > 0 && !bytes.is_empty() {
            let times = (AT_A_TIME / bytes.len()).max(1);
            let mut piece = bytes.repeat(times);
            piece.truncate(left);
            match self.write(&piece).await {
                Ok(()) => left -= piece.len(),
                // The client may well have had enough: that is what the step is for.
                Err(StepError::PeerReset | StepError::PeerClosed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn await_code(
        &self,
        code: Option<ErrorCode>,
        within: Duration,
        said: impl Fn(&State) -> Option<ErrorCode>,
    ) -> Result<(), StepError> {
        let found = self.wait_for_client(within, |state| said(state).map(Ok)).await?;
        check_code(code, found)
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
