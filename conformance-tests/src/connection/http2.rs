//! Plays the steps of HTTP/2 on one connection, one after the other.

use core::time::Duration;
use std::collections::{BTreeMap, VecDeque};

use super::{Connection, Flow};
use crate::http2::{Event, PREFACE, Session};
use crate::request::MAX_BODY;
use crate::socket::{PATIENCE, Wait};
use crate::{ErrorCode, Frame, Http2, Leftover, Malformed, Reply, Step, StepError};

/// A connection of HTTP/2, with the requests that came over it.
#[derive(Debug)]
pub(super) struct Conversation {
    pub(super) session: Session,
    /// The requests in the log, by their streams.
    pub(super) requests: BTreeMap<u32, usize>,
    /// The streams whose requests no step has read.
    waiting: VecDeque<u32>,
    /// The stream of the request that was read last.
    pub(super) current: u32,
    /// The last stream that the server has not said it will ignore.
    pub(super) last_heeded: u32,
}

impl Conversation {
    fn new(manners: Http2) -> Self {
        Self {
            session: Session::new(manners),
            requests: BTreeMap::new(),
            waiting: VecDeque::new(),
            // The first that a client opens.
            current: 1,
            last_heeded: u32::MAX,
        }
    }
}

/// What came with one frame, besides what every frame does.
#[derive(Debug)]
pub(super) enum Arrival {
    /// Nothing that concerns a request.
    Nothing,
    /// A request's head, which is in the log if it is to be: the stream, and whether that was all.
    Head { stream: u32, head: crate::request::Head, ends: bool },
    /// A request has come to its end.
    End { stream: u32 },
}

impl Connection {
    /// Whether the client begins with the preface of HTTP/2.
    pub(super) fn begins_http2(&mut self) -> bool {
        let patience = Wait::begin(PATIENCE);
        loop {
            let buffered = self.socket.buffered();
            if buffered.starts_with(PREFACE) {
                return true;
            }
            if !PREFACE.starts_with(buffered) || self.socket.receive(patience).is_err() {
                return false;
            }
        }
    }

    /// Exchanges prefaces.
    pub(super) fn begin_http2(&mut self, manners: &Http2, wait: Wait) -> Result<(), StepError> {
        if self.http2.is_some() {
            return Err(StepError::OutOfPlace);
        }
        self.socket.send(&Frame::settings(manners.settings()).bytes(0), wait)?;
        let mut preface = Vec::new();
        while preface.len() < PREFACE.len() {
            preface.extend(self.socket.take(PREFACE.len() - preface.len(), wait)?);
            if !PREFACE.starts_with(&preface) {
                return Err(Malformed::Preface.into());
            }
        }
        self.http2 = Some(Conversation::new(manners.clone()));
        Ok(())
    }

    /// Plays a step on a connection of HTTP/2; `None` where it is the same as without.
    pub(super) fn step_http2(
        &mut self,
        mut conversation: Conversation,
        step: &Step,
    ) -> (Conversation, Result<Option<Flow>, StepError>) {
        let result = self.play_http2(&mut conversation, step);
        (conversation, result)
    }

    fn play_http2(
        &mut self,
        conversation: &mut Conversation,
        step: &Step,
    ) -> Result<Option<Flow>, StepError> {
        let patience = Wait::begin(PATIENCE);
        match step {
            Step::ReadRequest => {
                self.read_stream_head(conversation, patience)?;
                self.read_stream_body(conversation, patience)?;
            }
            Step::ReadHead => self.read_stream_head(conversation, patience)?,
            Step::ReadBody => self.read_stream_body(conversation, patience)?,
            Step::Respond(reply) => self.respond(conversation, reply, patience)?,
            Step::RespondSlowly { reply, piece, gap } => {
                self.respond_slowly(conversation, reply, *piece, *gap)?;
            }
            Step::Send(frames) => {
                self.send_frames(conversation, conversation.current, frames, patience)?;
            }
            Step::SendFlood { frames, at_most } => {
                let stream = conversation.current;
                let bytes: Vec<_> = frames.iter().flat_map(|frame| frame.bytes(stream)).collect();
                self.flood(&bytes, *at_most, patience)?;
            }
            Step::AwaitReset { code, within } => {
                let stream = conversation.current;
                let reset = |session: &Session| session.reset(stream);
                self.await_code(conversation, *code, Wait::begin(*within), reset)?;
            }
            Step::AwaitGoAway { code, within } => {
                self.await_code(conversation, *code, Wait::begin(*within), Session::goaway)?;
            }
            Step::AwaitClose { within } => {
                let wait = Wait::begin(*within);
                // What is no HTTP/2 any more is discarded like the rest.
                while let Ok(arrival) = self.receive_frame(conversation, wait) {
                    self.queue(conversation, arrival);
                }
                self.socket.discard(wait)?;
            }
            Step::ReadBytes(_)
            | Step::AwaitData { .. }
            | Step::AwaitRequests { .. }
            | Step::Write(_)
            | Step::WriteSlowly { .. }
            | Step::Flood { .. }
            | Step::Preface(_)
            | Step::BreakTls
            | Step::Pause(_)
            | Step::Stall { .. }
            | Step::CloseWrite
            | Step::Close
            | Step::CloseUnread
            | Step::Reset => return Ok(None),
        }
        Ok(Some(Flow::Open))
    }

    /// Receives one frame, answers what is to be answered at once, and records what is to be
    /// recorded but for new requests.
    pub(super) fn receive_frame(
        &mut self,
        conversation: &mut Conversation,
        wait: Wait,
    ) -> Result<Arrival, StepError> {
        loop {
            if let Some(arrival) = self.take_frame(conversation)? {
                return Ok(arrival);
            }
            self.socket.receive(wait)?;
        }
    }

    /// The same with what has been received already; `None` where that is no whole frame.
    pub(super) fn take_frame(
        &mut self,
        conversation: &mut Conversation,
    ) -> Result<Option<Arrival>, StepError> {
        let Some(length) = conversation.session.frame_length(self.socket.buffered())? else {
            return Ok(None);
        };
        let frame = self.socket.take(length, Wait::WhileRunning)?;
        let event = conversation.session.receive(&frame)?;
        let replies = conversation.session.take_replies();
        self.socket.send(&replies, Wait::begin(PATIENCE))?;
        let arrival = match event {
            Event::Nothing => Arrival::Nothing,
            Event::Head { stream, head, ends } => Arrival::Head { stream, head, ends },
            Event::Body { stream, bytes, ends } => {
                self.take_body(conversation, stream, &bytes, ends)?
            }
            Event::Reset { stream, code } => {
                if let Some(request) = conversation.requests.get(&stream) {
                    self.shared.reset(*request, code);
                }
                Arrival::Nothing
            }
        };
        self.shared.requests_open(self.index, conversation.session.open());
        Ok(Some(arrival))
    }

    fn take_body(
        &self,
        conversation: &Conversation,
        stream: u32,
        bytes: &[u8],
        ends: bool,
    ) -> Result<Arrival, StepError> {
        let Some(request) = conversation.requests.get(&stream) else { return Ok(Arrival::Nothing) };
        self.shared.body(*request, bytes);
        if bytes.len() > MAX_BODY {
            return Err(Malformed::TooLarge.into());
        }
        if !ends {
            return Ok(Arrival::Nothing);
        }
        self.shared.complete(*request);
        Ok(Arrival::End { stream })
    }

    /// Records a request that has come, for a step to read.
    fn queue(&self, conversation: &mut Conversation, arrival: Arrival) {
        let Arrival::Head { stream, head, ends } = arrival else { return };
        let request = self.shared.request(self.index, Some(stream), head);
        conversation.requests.insert(stream, request);
        if stream <= conversation.last_heeded {
            conversation.waiting.push_back(stream);
        }
        if ends {
            self.shared.complete(request);
        }
    }

    fn read_stream_head(
        &mut self,
        conversation: &mut Conversation,
        wait: Wait,
    ) -> Result<(), StepError> {
        loop {
            if let Some(stream) = conversation.waiting.pop_front() {
                conversation.current = stream;
                if let Some(request) = conversation.requests.get(&stream) {
                    self.shared.processed(*request, true);
                }
                return Ok(());
            }
            let arrival = self.receive_frame(conversation, wait)?;
            self.queue(conversation, arrival);
        }
    }

    fn read_stream_body(
        &mut self,
        conversation: &mut Conversation,
        wait: Wait,
    ) -> Result<(), StepError> {
        let stream = conversation.current;
        while !conversation.session.has_ended(stream) {
            if conversation.session.reset(stream).is_some() {
                return Err(StepError::PeerReset);
            }
            let arrival = self.receive_frame(conversation, wait)?;
            self.queue(conversation, arrival);
        }
        Ok(())
    }

    fn respond(
        &mut self,
        conversation: &mut Conversation,
        reply: &Reply,
        wait: Wait,
    ) -> Result<(), StepError> {
        let stream = conversation.current;
        let mut rest = self.send_head(conversation, stream, reply)?;
        while !rest.is_empty() {
            if !self.send_piece(conversation, stream, &mut rest, usize::MAX)? {
                let arrival = self.receive_frame(conversation, wait)?;
                self.queue(conversation, arrival);
            }
        }
        Ok(())
    }

    fn respond_slowly(
        &mut self,
        conversation: &mut Conversation,
        reply: &Reply,
        piece: usize,
        gap: Duration,
    ) -> Result<(), StepError> {
        let stream = conversation.current;
        let wait = Wait::begin(PATIENCE);
        let mut rest = self.send_head(conversation, stream, reply)?;
        while !rest.is_empty() {
            self.pause(gap)?;
            while !self.send_piece(conversation, stream, &mut rest, piece)? {
                let arrival = self.receive_frame(conversation, wait)?;
                self.queue(conversation, arrival);
            }
        }
        Ok(())
    }

    /// Sends the head of a response and answers what is to follow: the body.
    pub(super) fn send_head(
        &mut self,
        conversation: &mut Conversation,
        stream: u32,
        reply: &Reply,
    ) -> Result<Vec<u8>, StepError> {
        let head = Frame::head(reply);
        let ends = reply.body.is_empty() && !reply.is_interim();
        let head = if ends { head.end_stream() } else { head };
        self.send_frames(conversation, stream, &[head], Wait::begin(PATIENCE))?;
        Ok(if reply.is_interim() { Vec::new() } else { reply.body.clone() })
    }

    /// Sends up to so many bytes of what is left of a body, and the end of the stream with the
    /// last; answers whether the client's windows let any through.
    pub(super) fn send_piece(
        &mut self,
        conversation: &mut Conversation,
        stream: u32,
        rest: &mut Vec<u8>,
        most: usize,
    ) -> Result<bool, StepError> {
        if conversation.session.reset(stream).is_some() {
            return Err(StepError::PeerReset);
        }
        let count = rest.len().min(most.max(1)).min(conversation.session.room(stream));
        if count == 0 {
            return Ok(false);
        }
        let data = Frame::data(rest.drain(..count).collect::<Vec<_>>());
        let data = if rest.is_empty() { data.end_stream() } else { data };
        self.send_frames(conversation, stream, &[data], Wait::begin(PATIENCE))?;
        Ok(true)
    }

    /// Sends frames; what they say of requests is taken down before they go, because a client that
    /// reacts to them must find it in the log.
    pub(super) fn send_frames(
        &mut self,
        conversation: &mut Conversation,
        stream: u32,
        frames: &[Frame],
        wait: Wait,
    ) -> Result<(), StepError> {
        let mut bytes = Vec::new();
        for frame in frames {
            bytes.extend(frame.bytes(stream));
            conversation.session.sent(frame, stream);
            let Some(refused) = frame.refuses(stream) else { continue };
            if *refused.end() == u32::MAX {
                conversation.last_heeded = conversation.last_heeded.min(refused.start() - 1);
                conversation.waiting.retain(|stream| !refused.contains(stream));
            }
            for stream in conversation.session.opened(refused) {
                if let Some(request) = conversation.requests.get(&stream) {
                    self.shared.processed(*request, false);
                }
            }
        }
        self.socket.send(&bytes, wait)
    }

    fn await_code(
        &mut self,
        conversation: &mut Conversation,
        code: Option<ErrorCode>,
        wait: Wait,
        seen: impl Fn(&Session) -> Option<ErrorCode>,
    ) -> Result<(), StepError> {
        loop {
            if let Some(said) = seen(&conversation.session) {
                return check_code(code, said);
            }
            let arrival = self.receive_frame(conversation, wait)?;
            self.queue(conversation, arrival);
        }
    }

    /// Keeps a connection of HTTP/2 whose list has ended until the client closes it.
    pub(super) fn watch_http2(&mut self) -> Flow {
        let Some(mut conversation) = self.http2.take() else { return Flow::Open };
        loop {
            if let Some(request) =
                conversation.waiting.front().and_then(|stream| conversation.requests.get(stream))
            {
                self.report(Leftover::UnexpectedRequest { request: *request });
                return self.reset();
            }
            match self.receive_frame(&mut conversation, Wait::WhileRunning) {
                Ok(arrival) => self.queue(&mut conversation, arrival),
                Err(StepError::Malformed(malformed)) => {
                    self.report_garbled(malformed.into());
                    return self.reset();
                }
                Err(_) => return Flow::Open,
            }
        }
    }
}

/// Whether the code that the client gave is the one that was awaited.
pub(crate) fn check_code(awaited: Option<ErrorCode>, said: ErrorCode) -> Result<(), StepError> {
    match awaited {
        Some(code) if code != said => Err(StepError::OtherCode(said)),
        _ => Ok(()),
    }
}
