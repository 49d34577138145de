//! Plays the steps of a script on one connection.

mod http1;
mod http2;
mod secure;
mod streams;
mod track;

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use self::http2::Conversation;
#[cfg(feature = "simulated")]
pub(crate) use self::http2::check_code;
use crate::certificates::Security;
use crate::request::{Framing, Head};
use crate::shared::{Phase, Shared};
use crate::socket::{PATIENCE, Socket, Wait};
use crate::{Closing, Leftover, Plan, Script, Step, StepError};

/// One connection while the server serves it, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    shared: Arc<Shared>,
    index: usize,
    /// The request of HTTP/1.1 whose body has not been read yet, and how that body ends.
    unread: Option<(usize, Framing)>,
    /// The connection as one of HTTP/2, once it is.
    http2: Option<Conversation>,
}

/// What is left of a connection after a step, or after a list of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// It is open, for all the server knows.
    Open,
    /// The server has closed it; dropping the socket completes that.
    Closed,
}

/// A step that failed: its index in the list, and why.
type Failed = (usize, StepError);

impl Connection {
    pub(crate) fn new(socket: Socket, shared: Arc<Shared>, index: usize) -> Self {
        Self { socket, shared, index, unread: None, http2: None }
    }

    /// Plays what `script` has for this connection, to the end of the connection.
    pub(crate) fn serve(&mut self, script: &Script, security: Option<&Security>) {
        let secured = match (script.tls(), security) {
            (Some(tls), Some(security)) => self.secure(tls, security),
            _ => Ok(()),
        };
        let flow = match (secured, script.plan()) {
            (Err(flow), plan) => {
                self.report_insecure(plan);
                flow
            }
            // Nobody listens, so nobody comes.
            (Ok(()), Plan::Refused) => Flow::Open,
            (Ok(()), Plan::Connections(lists)) => self.serve_connection(lists, script.beyond()),
            (Ok(()), Plan::Requests(lists)) => self.serve_requests(lists, script),
        };
        if flow == Flow::Open {
            self.close_as_ended();
        }
    }

    fn serve_connection(&mut self, lists: &[Vec<Step>], beyond: Option<&[Step]>) -> Flow {
        let flow = match (lists.get(self.index), beyond) {
            (Some(list), _) => self.play_list(list, self.index),
            (None, Some(list)) => self.play_beyond(list),
            (None, None) => {
                self.report(Leftover::UnexpectedConnection { connection: self.index });
                self.reset()
            }
        };
        if flow == Flow::Open { self.watch() } else { flow }
    }

    /// Keeps a connection whose list has ended until the client closes it; a request that comes
    /// meanwhile is beyond the script.
    fn watch(&mut self) -> Flow {
        if self.http2.is_some() {
            return self.watch_http2();
        }
        // The rest of a body whose head was read belongs to the request that the list was for.
        if self.read_body(Wait::WhileRunning).is_err() || !self.await_request() {
            return Flow::Open;
        }
        match self.read_head(Wait::begin(PATIENCE)) {
            Ok(head) => {
                let request = self.shared.request(self.index, None, head);
                self.report(Leftover::UnexpectedRequest { request });
            }
            Err(error) => self.report_garbled(error),
        }
        self.reset()
    }

    fn serve_requests(&mut self, lists: &[Vec<Step>], script: &Script) -> Flow {
        if self.await_request() && self.begins_http2() {
            return self.serve_streams(lists, script);
        }
        while self.await_request() {
            let head = match self.read_head(Wait::begin(PATIENCE)) {
                Ok(head) => head,
                Err(error) => {
                    self.report_garbled(error);
                    return self.reset();
                }
            };
            if self.serve_request(head, lists, script.beyond()) == Flow::Closed {
                return Flow::Closed;
            }
        }
        Flow::Open
    }

    fn serve_request(&mut self, head: Head, lists: &[Vec<Step>], beyond: Option<&[Step]>) -> Flow {
        let framing = head.framing;
        let (request, number) = self.shared.claim(self.index, None, head);
        self.shared.requests_open(self.index, 1);
        self.expect_body(request, framing);
        let list = lists.get(number);
        let Some(steps) = list.map(Vec::as_slice).or(beyond) else {
            self.report(Leftover::UnexpectedRequest { request });
            return self.reset();
        };
        if let Err(error) = self.read_body(Wait::begin(PATIENCE)) {
            if list.is_some() {
                self.report(Leftover::RequestCutOff { request, list: number, error });
            }
            return self.reset();
        }
        self.shared.processed(request, true);
        if list.is_some() { self.play_list(steps, number) } else { self.play_beyond(steps) }
    }

    /// Plays a list of the plan, and reports where it stopped if it did.
    fn play_list(&mut self, steps: &[Step], list: usize) -> Flow {
        self.play(steps).unwrap_or_else(|(step, error)| {
            if let Some(instruction) = steps.get(step).cloned() {
                let connection = self.index;
                self.report(Leftover::Stopped { connection, list, step, instruction, error });
            }
            self.reset()
        })
    }

    /// Plays the list for arrivals beyond the plan, of which nothing is expected.
    fn play_beyond(&mut self, steps: &[Step]) -> Flow {
        self.play(steps).unwrap_or_else(|_| self.reset())
    }

    fn play(&mut self, steps: &[Step]) -> Result<Flow, Failed> {
        let mut flow = Flow::Open;
        for (index, step) in steps.iter().enumerate() {
            if flow == Flow::Closed {
                return Err((index, StepError::AfterClose));
            }
            flow = self.step(step).map_err(|error| (index, error))?;
        }
        Ok(flow)
    }

    fn step(&mut self, step: &Step) -> Result<Flow, StepError> {
        if let Some(conversation) = self.http2.take() {
            // Taken for the time of the step, so that it and the socket can be used side by side.
            let (conversation, result) = self.step_http2(conversation, step);
            self.http2 = Some(conversation);
            if let Some(flow) = result? {
                return Ok(flow);
            }
        }
        let patience = Wait::begin(PATIENCE);
        match step {
            Step::ReadRequest => {
                self.read_recorded_head(patience)?;
                self.read_body(patience)?;
            }
            Step::ReadHead => self.read_recorded_head(patience)?,
            Step::ReadBody => self.read_body(patience)?,
            Step::ReadBytes(count) => self.read_bytes(*count, patience)?,
            Step::AwaitData { within } => self.socket.await_data(Wait::begin(*within))?,
            Step::AwaitRequests { count, within } => self.await_requests(*count, *within)?,
            Step::Respond(reply) => self.socket.send(&reply.bytes(), patience)?,
            Step::RespondSlowly { reply, piece, gap } => {
                self.write_slowly(&reply.bytes(), *piece, *gap)?;
            }
            Step::Write(bytes) => self.socket.send(bytes, patience)?,
            Step::WriteSlowly { bytes, piece, gap } => self.write_slowly(bytes, *piece, *gap)?,
            Step::Flood { bytes, at_most } => self.flood(bytes, *at_most, patience)?,
            Step::Preface(manners) => self.begin_http2(manners, patience)?,
            Step::BreakTls => self.socket.break_tls(patience)?,
            Step::Pause(length) => self.pause(*length)?,
            Step::Stall { at_most } => self.shared.wait(*at_most, Phase::Finishing),
            Step::AwaitClose { within } => {
                self.socket.discard(Wait::begin(*within))?;
            }
            Step::CloseWrite => self.socket.close_write(),
            Step::Close => return Ok(self.close()),
            Step::CloseUnread => {
                self.socket.close_unread();
                return Ok(Flow::Closed);
            }
            Step::Reset => return Ok(self.reset()),
            Step::Send(_)
            | Step::SendFlood { .. }
            | Step::AwaitReset { .. }
            | Step::AwaitGoAway { .. } => return Err(StepError::OutOfPlace),
        }
        Ok(Flow::Open)
    }

    /// Waits for the first byte of a request; `false` when the client has gone instead, or the
    /// server is told to finish and nothing has come.
    fn await_request(&mut self) -> bool {
        self.socket.await_data(Wait::WhileRunning).is_ok()
    }

    fn read_bytes(&mut self, count: usize, wait: Wait) -> Result<(), StepError> {
        let mut left = count;
        while left > 0 {
            left -= self.socket.take(left, wait)?.len();
        }
        Ok(())
    }

    fn write_slowly(&mut self, bytes: &[u8], piece: usize, gap: Duration) -> Result<(), StepError> {
        for (index, piece) in bytes.chunks(piece.max(1)).enumerate() {
            if index > 0 {
                self.pause(gap)?;
            }
            self.socket.send(piece, Wait::begin(PATIENCE))?;
        }
        Ok(())
    }

    fn flood(&mut self, bytes: &[u8], at_most: usize, wait: Wait) -> Result<(), StepError> {
        let mut left = at_most;
        while left > 0 && !bytes.is_empty() {
            let piece = bytes.get(..left).unwrap_or(bytes);
            if let Err(error) = self.socket.send(piece, wait) {
                // The client may well have had enough: that is what the step is for.
                return if self.socket.ended().is_some() { Ok(()) } else { Err(error) };
            }
            left -= piece.len();
        }
        Ok(())
    }

    fn pause(&self, length: Duration) -> Result<(), StepError> {
        let start = Instant::now();
        self.shared.wait(length, Phase::Stopped);
        if start.elapsed() < length { Err(StepError::ServerFinished) } else { Ok(()) }
    }

    fn await_requests(&self, count: usize, within: Duration) -> Result<(), StepError> {
        match self.shared.wait_for_requests(count, within) {
            true => Ok(()),
            false if self.shared.phase() == Phase::Stopped => Err(StepError::ServerFinished),
            false => Err(StepError::TimedOut { after: within }),
        }
    }

    fn close(&mut self) -> Flow {
        self.socket.close();
        Flow::Closed
    }

    fn reset(&mut self) -> Flow {
        self.socket.reset();
        Flow::Closed
    }

    /// Closes a connection that its client has ended, or that the end of the server ends.
    fn close_as_ended(&mut self) {
        self.shared.closed(self.index, self.socket.ended().unwrap_or(Closing::ByServer));
    }

    fn report(&self, leftover: Leftover) {
        self.shared.report(leftover);
    }

    /// Reports what came where a request might have come, unless it merely broke off: a client may
    /// go away at any time, and a request that is missing for it is reported as missing.
    fn report_garbled(&self, error: StepError) {
        let broke_off = matches!(
            error,
            StepError::PeerClosed | StepError::PeerReset | StepError::ServerFinished
        );
        if !broke_off {
            self.report(Leftover::Garbled { connection: self.index, error });
        }
    }
}
