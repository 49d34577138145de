//! How the steps of a list are played on one virtual connection of HTTP/2.

use core::time::Duration;

use super::{Ending, State, Wire};
use crate::connection::check_code;
use crate::{ErrorCode, Frame, Leftover, PATIENCE, Reply, Step, StepError};

impl Wire {
    /// Plays a list from this step on, and reports where it stopped if it did and is one of the
    /// plan's; answers whether it came to its end.
    pub(in crate::simulated) async fn play(
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
            Step::CloseWrite
            | Step::Preface(_)
            | Step::BreakTls
            | Step::ReadBytes(_)
            | Step::AwaitData { .. } => Err(StepError::OutOfPlace),
        }
    }

    /// The step that closes the connection.
    fn closes(&self, ending: Ending) -> Result<(), StepError> {
        self.close_with(ending);
        Ok(())
    }

    /// Keeps a connection whose list has ended; a request that comes meanwhile is beyond it.
    pub(in crate::simulated) async fn watch(&self) {
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
    pub(in crate::simulated) fn send_frames(&self, stream: u32, frames: &[Frame]) {
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
