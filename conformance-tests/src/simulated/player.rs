//! Plays the steps of a script on one virtual connection, as the threads of the fault server do on
//! a real one.

use core::time::Duration;
use std::io;
use std::sync::Arc;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use redial_client::race;
use redial_sim::VirtualTime;
use redial_sim::net::Socket;

use super::host::Origin;
use super::streams::Streams;
use crate::http2::PREFACE;
use crate::request::{Framing, Head, head_length, parse_chunk_size, parse_head};
use crate::{Closing, Frame, Http2, Leftover, Malformed, PATIENCE, Plan, Step, StepError};

/// One connection of an origin.
pub(super) struct Player {
    origin: Arc<Origin>,
    time: VirtualTime,
    /// Gone when the origin has closed it.
    socket: Option<Socket>,
    buffer: Vec<u8>,
    index: usize,
    /// The request whose body has not been read yet, and how that body ends.
    unread: Option<(usize, Framing)>,
    /// How the client has ended the connection.
    ended: Option<Closing>,
}

impl Player {
    pub(super) fn new(origin: Arc<Origin>, socket: Socket, time: VirtualTime) -> Self {
        let index = origin.record.connection(socket.peer());
        let (buffer, unread, ended) = (Vec::new(), None, None);
        Self { origin, time, socket: Some(socket), buffer, index, unread, ended }
    }

    /// Plays what the script has for this connection, to the end of the connection.
    pub(super) async fn serve(mut self) {
        let origin = Arc::clone(&self.origin);
        match origin.script.plan() {
            Plan::Refused => {}
            Plan::Connections(lists) => self.serve_connection(lists).await,
            Plan::Requests(lists) => self.serve_requests(lists).await,
        }
        let closing = self.ended.unwrap_or(Closing::ByServer);
        self.origin.record.closed(self.index, closing);
    }

    async fn serve_connection(&mut self, lists: &[Vec<Step>]) {
        let origin = Arc::clone(&self.origin);
        match (lists.get(self.index), origin.script.beyond()) {
            (Some(list), _) => self.play_list(list, Some(self.index)).await,
            (None, Some(list)) => self.play_list(list, None).await,
            (None, None) => {
                self.report(Leftover::UnexpectedConnection { connection: self.index });
                self.reset();
            }
        }
        if self.socket.is_some() {
            self.watch().await;
        }
    }

    /// Keeps a connection whose list has ended until the client closes it; a request that comes
    /// meanwhile is beyond the script.
    async fn watch(&mut self) {
        if self.read_body().await.is_err() || self.anything().await.is_err() {
            return;
        }
        if let Ok(head) = self.patiently(PATIENCE, Want::Head).await.and_then(Got::head) {
            let request = self.origin.record.request(self.index, None, head);
            self.report(Leftover::UnexpectedRequest { request });
        }
        self.reset();
    }

    async fn serve_requests(&mut self, lists: &[Vec<Step>]) {
        if self.anything().await.is_ok() && self.begins_http2().await {
            return self.serve_streams().await;
        }
        while self.socket.is_some() && self.anything().await.is_ok() {
            match self.patiently(PATIENCE, Want::Head).await.and_then(Got::head) {
                Ok(head) => self.serve_request(head, lists).await,
                Err(error) => {
                    self.report_garbled(error);
                    return self.reset();
                }
            }
        }
    }

    async fn serve_request(&mut self, head: Head, lists: &[Vec<Step>]) {
        let framing = head.framing;
        let request = self.origin.record.request(self.index, None, head);
        let number = self.origin.record.claim();
        self.expect_body(request, framing);
        let origin = Arc::clone(&self.origin);
        let list = lists.get(number);
        let Some(steps) = list.map(Vec::as_slice).or(origin.script.beyond()) else {
            self.report(Leftover::UnexpectedRequest { request });
            return self.reset();
        };
        if let Err(error) = self.patiently(PATIENCE, Want::Body).await {
            if list.is_some() {
                self.report(Leftover::RequestCutOff { request, list: number, error });
            }
            return self.reset();
        }
        self.origin.record.processed(request, true);
        self.play_list(steps, list.map(|_| number)).await;
    }

    /// Plays a list, and reports where it stopped if it did and is one of the plan's.
    async fn play_list(&mut self, steps: &[Step], list: Option<usize>) {
        for (step, instruction) in steps.iter().enumerate() {
            if let Step::Preface(manners) = instruction {
                return self.play_http2(manners, steps, step, list).await;
            }
            let played = match self.socket {
                Some(_) => self.step(instruction).await,
                None => Err(StepError::AfterClose),
            };
            let Err(error) = played else { continue };
            if let Some(list) = list {
                let (connection, instruction) = (self.index, instruction.clone());
                self.report(Leftover::Stopped { connection, list, step, instruction, error });
            }
            return self.reset();
        }
    }

    /// Whether the client begins with the preface of HTTP/2.
    async fn begins_http2(&mut self) -> bool {
        while !self.buffer.starts_with(PREFACE) {
            if !PREFACE.starts_with(&self.buffer) || self.receive().await.is_err() {
                return false;
            }
        }
        true
    }

    /// Goes on in HTTP/2, in which each request has a list of its own.
    async fn serve_streams(&mut self) {
        let origin = Arc::clone(&self.origin);
        if let Some(streams) = self.begin_http2(origin.script.manners()).await {
            self.end_as(streams.serve_requests().await);
        }
    }

    /// Goes on in HTTP/2, from this step of the list.
    async fn play_http2(
        &mut self,
        manners: &Http2,
        steps: &[Step],
        preface: usize,
        list: Option<usize>,
    ) {
        let Some(streams) = self.begin_http2(manners).await else {
            if let (Some(list), Some(instruction)) = (list, steps.get(preface).cloned()) {
                let (connection, step) = (self.index, preface);
                let error = Malformed::Preface.into();
                self.report(Leftover::Stopped { connection, list, step, instruction, error });
            }
            return self.reset();
        };
        self.end_as(streams.serve_list(steps, preface + 1, list).await);
    }

    /// Exchanges prefaces; nothing where the client has another one.
    async fn begin_http2(&mut self, manners: &Http2) -> Option<Streams> {
        self.send(&Frame::settings(manners.settings()).bytes(0)).await.ok()?;
        if !self.begins_http2().await {
            return None;
        }
        let buffer = self.buffer.split_off(PREFACE.len());
        let socket = self.socket.take()?;
        let (origin, time) = (Arc::clone(&self.origin), self.time.clone());
        Some(Streams::new(origin, time, self.index, socket, buffer, manners))
    }

    /// The connection has ended so.
    fn end_as(&mut self, closing: Closing) {
        self.ended = Some(closing);
    }

    async fn step(&mut self, step: &Step) -> Result<(), StepError> {
        match step {
            Step::ReadRequest => {
                self.patiently(PATIENCE, Want::RecordedHead).await?;
                self.patiently(PATIENCE, Want::Body).await.map(drop)
            }
            Step::ReadHead => self.patiently(PATIENCE, Want::RecordedHead).await.map(drop),
            Step::ReadBody => self.patiently(PATIENCE, Want::Body).await.map(drop),
            Step::ReadBytes(count) => self.patiently(PATIENCE, Want::Bytes(*count)).await.map(drop),
            Step::AwaitData { within } => self.patiently(*within, Want::Anything).await.map(drop),
            Step::AwaitClose { within } => self.patiently(*within, Want::End).await.map(drop),
            Step::Respond(reply) => self.send(&reply.bytes()).await,
            Step::Write(bytes) => self.send(bytes).await,
            Step::RespondSlowly { reply, piece, gap } => {
                self.send_slowly(&reply.bytes(), *piece, *gap).await
            }
            Step::WriteSlowly { bytes, piece, gap } => self.send_slowly(bytes, *piece, *gap).await,
            Step::Flood { bytes, at_most } => self.flood(bytes, *at_most).await,
            Step::AwaitRequests { count, within } => {
                self.origin.record.await_requests(*count, *within).await
            }
            Step::Pause(length) | Step::Stall { at_most: length } => {
                self.time.sleep(*length).await;
                Ok(())
            }
            Step::CloseWrite => match &mut self.socket {
                Some(socket) => socket.close().await.map_err(StepError::from_io),
                None => Err(StepError::AfterClose),
            },
            Step::Close => self.end(Socket::close_in_order, Closing::ByServer),
            Step::CloseUnread => self.end(drop, Closing::ByServer),
            Step::Reset => self.end(Socket::reset, Closing::ResetByServer),
            // Nothing secured is simulated.
            Step::Preface(_)
            | Step::BreakTls
            | Step::Send(_)
            | Step::SendFlood { .. }
            | Step::AwaitReset { .. }
            | Step::AwaitGoAway { .. } => Err(StepError::OutOfPlace),
        }
    }

    fn end(&mut self, end: fn(Socket), closing: Closing) -> Result<(), StepError> {
        let closing = self.ended.unwrap_or(closing);
        self.origin.record.closed(self.index, closing);
        self.socket.take().map(end);
        Ok(())
    }

    fn reset(&mut self) {
        // Ending a connection does not fail.
        let _ = self.end(Socket::reset, Closing::ResetByServer);
    }

    async fn send(&mut self, bytes: &[u8]) -> Result<(), StepError> {
        let limit = self.time.sleep(PATIENCE);
        let Some(socket) = &mut self.socket else { return Err(StepError::AfterClose) };
        match race(socket.write_all(bytes), limit).await {
            None => Err(StepError::TimedOut { after: PATIENCE }),
            Some(Err(error)) => Err(self.broken(error)),
            Some(Ok(())) => {
                self.origin.record.sent(self.index, bytes.len());
                Ok(())
            }
        }
    }

    async fn send_slowly(
        &mut self,
        bytes: &[u8],
        piece: usize,
        gap: Duration,
    ) -> Result<(), StepError> {
        for (index, piece) in bytes.chunks(piece.max(1)).enumerate() {
            if index > 0 {
                self.time.sleep(gap).await;
            }
            self.send(piece).await?;
        }
        Ok(())
    }

    async fn flood(&mut self, bytes: &[u8], at_most: usize) -> Result<(), StepError> {
        let mut left = at_most;
        while left > 0 && !bytes.is_empty() {
            let piece = bytes.get(..left).unwrap_or(bytes);
            match self.send(piece).await {
                Ok(()) => left -= piece.len(),
                // The client may well have had enough: that is what the step is for.
                Err(StepError::PeerReset | StepError::PeerClosed) => return Ok(()),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn expect_body(&mut self, request: usize, framing: Framing) {
        if framing == Framing::Length(0) {
            self.origin.record.complete(request);
        } else {
            self.unread = Some((request, framing));
        }
    }

    /// Waits for the client to do something, for so long.
    async fn patiently(&mut self, within: Duration, want: Want) -> Result<Got, StepError> {
        let limit = self.time.sleep(within);
        race(self.get(want), limit).await.unwrap_or(Err(StepError::TimedOut { after: within }))
    }

    async fn get(&mut self, want: Want) -> Result<Got, StepError> {
        match want {
            Want::Head => return Ok(Got::Head(self.read_head().await?)),
            Want::RecordedHead => {
                let head = self.read_head().await?;
                let framing = head.framing;
                let request = self.origin.record.request(self.index, None, head);
                self.origin.record.processed(request, true);
                self.expect_body(request, framing);
            }
            Want::Body => self.read_body().await?,
            Want::Bytes(count) => drop(self.take(count).await?),
            Want::Anything => self.anything().await?,
            Want::End => {
                while self.receive().await.is_ok() {
                    self.buffer.clear();
                }
            }
        }
        Ok(Got::Nothing)
    }

    async fn anything(&mut self) -> Result<(), StepError> {
        if self.buffer.is_empty() { self.receive().await } else { Ok(()) }
    }

    async fn read_head(&mut self) -> Result<Head, StepError> {
        loop {
            if let Some(length) = head_length(&self.buffer) {
                return Ok(parse_head(&self.take(length).await?)?);
            }
            self.receive().await?;
        }
    }

    async fn read_body(&mut self) -> Result<(), StepError> {
        let Some((request, framing)) = self.unread else { return Ok(()) };
        match framing {
            Framing::Length(length) => self.record_body(request, length).await?,
            Framing::Chunked => loop {
                let size = parse_chunk_size(&self.read_line().await?)?;
                if size == 0 {
                    // The trailer section, which ends in an empty line.
                    while !self.read_line().await?.is_empty() {}
                    break;
                }
                self.record_body(request, size).await?;
                if !self.read_line().await?.is_empty() {
                    return Err(Malformed::Chunk.into());
                }
            },
        }
        self.unread = None;
        self.origin.record.complete(request);
        Ok(())
    }

    /// Records so many bytes of a body as they come.
    async fn record_body(&mut self, request: usize, length: usize) -> Result<(), StepError> {
        let mut left = length;
        while left > 0 {
            self.anything().await?;
            let bytes = self.take(left.min(self.buffer.len())).await?;
            self.origin.record.body(request, &bytes);
            left -= bytes.len();
        }
        Ok(())
    }

    /// Reads to the next CR LF and returns what is before it.
    async fn read_line(&mut self) -> Result<Vec<u8>, StepError> {
        loop {
            if let Some(end) = self.buffer.windows(2).position(|two| two == b"\r\n") {
                let mut line = self.take(end + 2).await?;
                line.truncate(end);
                return Ok(line);
            }
            self.receive().await?;
        }
    }

    async fn take(&mut self, count: usize) -> Result<Vec<u8>, StepError> {
        while self.buffer.len() < count {
            self.receive().await?;
        }
        let rest = self.buffer.split_off(count);
        Ok(core::mem::replace(&mut self.buffer, rest))
    }

    /// Reads whatever comes next.
    async fn receive(&mut self) -> Result<(), StepError> {
        let mut piece = vec![0; 16 * 1024];
        let Some(socket) = &mut self.socket else { return Err(StepError::AfterClose) };
        match socket.read(&mut piece).await {
            Ok(0) => {
                self.ended.get_or_insert(Closing::ByPeer);
                Err(StepError::PeerClosed)
            }
            Ok(count) => {
                self.origin.record.received(self.index, count);
                self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
                Ok(())
            }
            Err(error) => Err(self.broken(error)),
        }
    }

    fn broken(&mut self, error: io::Error) -> StepError {
        self.ended.get_or_insert(Closing::ResetByPeer);
        StepError::from_io(error)
    }

    fn report(&self, leftover: Leftover) {
        self.origin.record.report(leftover);
    }

    /// Reports what came where a request might have come, unless it merely broke off.
    fn report_garbled(&self, error: StepError) {
        if !matches!(error, StepError::PeerClosed | StepError::PeerReset) {
            self.report(Leftover::Garbled { connection: self.index, error });
        }
    }
}

/// What the client is to do.
#[derive(Clone, Copy)]
enum Want {
    Head,
    RecordedHead,
    Body,
    Bytes(usize),
    Anything,
    End,
}

/// What it did.
enum Got {
    Head(Head),
    Nothing,
}

impl Got {
    fn head(self) -> Result<Head, StepError> {
        match self {
            Self::Head(head) => Ok(head),
            Self::Nothing => Err(StepError::OutOfPlace),
        }
    }
}
