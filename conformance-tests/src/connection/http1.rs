//! Reads requests of HTTP/1.1.

use super::Connection;
use crate::StepError;
use crate::request::{Framing, Head, MAX_BODY, MAX_HEAD, MAX_LINE, head_length, parse_chunk_size};
use crate::request::{Malformed, parse_head};
use crate::socket::Wait;

impl Connection {
    pub(super) fn read_head(&mut self, wait: Wait) -> Result<Head, StepError> {
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

    pub(super) fn read_recorded_head(&mut self, wait: Wait) -> Result<(), StepError> {
        let head = self.read_head(wait)?;
        let framing = head.framing;
        let request = self.shared.request(self.index, None, head);
        self.shared.requests_open(self.index, 1);
        self.shared.processed(request, true);
        self.expect_body(request, framing);
        Ok(())
    }

    pub(super) fn expect_body(&mut self, request: usize, framing: Framing) {
        if framing == Framing::Length(0) {
            self.shared.complete(request);
        } else {
            self.unread = Some((request, framing));
        }
    }

    pub(super) fn read_body(&mut self, wait: Wait) -> Result<(), StepError> {
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

    pub(super) fn read_chunks(&mut self, request: usize, wait: Wait) -> Result<(), StepError> {
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
    pub(super) fn record_body(
        &mut self,
        request: usize,
        length: usize,
        wait: Wait,
    ) -> Result<(), StepError> {
        let mut left = length;
        while left > 0 {
            let bytes = self.socket.take(left, wait)?;
            self.shared.body(request, &bytes);
            left -= bytes.len();
        }
        Ok(())
    }

    /// Reads to the next CR LF and returns what is before it.
    pub(super) fn read_line(&mut self, wait: Wait) -> Result<Vec<u8>, StepError> {
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
}
