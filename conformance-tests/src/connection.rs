//! Plays the steps of a script on one connection.

use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use crate::request::{Framing, Head, MAX_BODY, MAX_HEAD, MAX_LINE, head_length, parse_chunk_size};
use crate::request::{Malformed, parse_head};
use crate::shared::{Phase, Shared};
use crate::socket::{PATIENCE, Socket, Wait};
use crate::{Closing, Leftover, Plan, Script, Step, StepError};

/// One connection while the server serves it, on a thread of its own.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    shared: Arc<Shared>,
    index: usize,
    /// The request whose body has not been read yet, and how that body ends.
    unread: Option<(usize, Framing)>,
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
        Self { socket, shared, index, unread: None }
    }

    /// Plays what `script` has for this connection, to the end of the connection.
    pub(crate) fn serve(mut self, script: &Script) {
        let flow = match script.plan() {
            // Nobody listens, so nobody comes.
            Plan::Refused => Flow::Open,
            Plan::Connections(lists) => self.serve_connection(lists, script.beyond()),
            Plan::Requests(lists) => self.serve_requests(lists, script.beyond()),
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
        // The rest of a body whose head was read belongs to the request that the list was for.
        if self.read_body(Wait::WhileRunning).is_err() || !self.await_request() {
            return Flow::Open;
        }
        match self.read_head(Wait::begin(PATIENCE)) {
            Ok(head) => {
                let request = self.shared.request(self.index, head);
                self.report(Leftover::UnexpectedRequest { request });
            }
            Err(error) => self.report_garbled(error),
        }
        self.reset()
    }

    fn serve_requests(&mut self, lists: &[Vec<Step>], beyond: Option<&[Step]>) -> Flow {
        while self.await_request() {
            let head = match self.read_head(Wait::begin(PATIENCE)) {
                Ok(head) => head,
                Err(error) => {
                    self.report_garbled(error);
                    return self.reset();
                }
            };
            if self.serve_request(head, lists, beyond) == Flow::Closed {
                return Flow::Closed;
            }
        }
        Flow::Open
    }

    fn serve_request(&mut self, head: Head, lists: &[Vec<Step>], beyond: Option<&[Step]>) -> Flow {
        let framing = head.framing;
        let (request, number) = self.shared.claim(self.index, head);
        self.expect_body(request, framing);
        let list = lists.get(number);
        if list.is_none() && beyond.is_none() {
            self.report(Leftover::UnexpectedRequest { request });
            return self.reset();
        }
        if let Err(error) = self.read_body(Wait::begin(PATIENCE)) {
            if list.is_some() {
                self.report(Leftover::RequestCutOff { request, list: number, error });
            }
            return self.reset();
        }
        match list {
            Some(list) => self.play_list(list, number),
            None => self.play_beyond(beyond.unwrap_or_default()),
        }
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
            Step::Write(bytes) => self.socket.send(bytes, patience)?,
            Step::WriteSlowly { bytes, piece, gap } => self.write_slowly(bytes, *piece, *gap)?,
            Step::Flood { bytes, at_most } => self.flood(bytes, *at_most, patience)?,
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
        }
        Ok(Flow::Open)
    }

    /// Waits for the first byte of a request; `false` when the client has gone instead, or the
    /// server is told to finish and nothing has come.
    fn await_request(&mut self) -> bool {
        self.socket.await_data(Wait::WhileRunning).is_ok()
    }

    fn read_head(&mut self, wait: Wait) -> Result<Head, StepError> {
        loop {
            if let Some(length) = head_length(self.socket.buffered()) {
                let bytes = self.socket.take(length, wait)?;
                return Ok(parse_head(&bytes)?);
            }
            if self.socket.buffered().len() > MAX_HEAD {
                return Err(Malformed::TooLarge.into());
            }
            self.socket.receive(wait)?;
        }
    }

    fn read_recorded_head(&mut self, wait: Wait) -> Result<(), StepError> {
        let head = self.read_head(wait)?;
        let framing = head.framing;
        let request = self.shared.request(self.index, head);
        self.expect_body(request, framing);
        Ok(())
    }

    fn expect_body(&mut self, request: usize, framing: Framing) {
        if framing == Framing::Length(0) {
            self.shared.complete(request);
        } else {
            self.unread = Some((request, framing));
        }
    }

    fn read_body(&mut self, wait: Wait) -> Result<(), StepError> {
        let Some((request, framing)) = self.unread else { return Ok(()) };
        match framing {
            Framing::Length(length) if length > MAX_BODY => return Err(Malformed::TooLarge.into()),
            Framing::Length(length) => self.record_body(request, length, wait)?,
            Framing::Chunked => self.read_chunks(request, wait)?,
        }
        self.unread = None;
        self.shared.complete(request);
        Ok(())
    }

    fn read_chunks(&mut self, request: usize, wait: Wait) -> Result<(), StepError> {
        let mut total: usize = 0;
        loop {
            let size = parse_chunk_size(&self.read_line(wait)?)?;
            if size == 0 {
                // The trailer section, which ends in an empty line.
                while !self.read_line(wait)?.is_empty() {}
                return Ok(());
            }
            total = total.saturating_add(size);
            if total > MAX_BODY {
                return Err(Malformed::TooLarge.into());
            }
            self.record_body(request, size, wait)?;
            if !self.read_line(wait)?.is_empty() {
                return Err(Malformed::Chunk.into());
            }
        }
    }

    /// Records so many bytes of a body as they come, so that the log has what a cut left of it.
    fn record_body(&mut self, request: usize, length: usize, wait: Wait) -> Result<(), StepError> {
        let mut left = length;
        while left > 0 {
            let bytes = self.socket.take(left, wait)?;
            self.shared.body(request, &bytes);
            left -= bytes.len();
        }
        Ok(())
    }

    /// Reads to the next CR LF and returns what is before it.
    fn read_line(&mut self, wait: Wait) -> Result<Vec<u8>, StepError> {
        loop {
            let end = self.socket.buffered().windows(2).position(|two| two == b"\r\n");
            if let Some(end) = end {
                let mut line = self.socket.take(end + 2, wait)?;
                line.truncate(end);
                return Ok(line);
            }
            if self.socket.buffered().len() > MAX_LINE {
                return Err(Malformed::TooLarge.into());
            }
            self.socket.receive(wait)?;
        }
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
