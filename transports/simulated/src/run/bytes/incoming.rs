//! The requests of one connection, as far as the server needs to understand them.

use core::pin::pin;
use core::str;

use futures_util::AsyncReadExt as _;

use super::super::world::NOBODY;
use crate::net::Socket;
use crate::referee::{Marks, SEND};

/// What arrives on a connection.
pub(super) struct Incoming {
    pub(super) socket: Socket,
    buffer: Vec<u8>,
}

/// A request's head.
pub(super) struct Head {
    pub(super) call: u32,
    pub(super) send: u32,
    pub(super) marks: Marks,
    /// How long the body is; `None` where it comes in chunks.
    length: Option<usize>,
}

impl Incoming {
    pub(super) const fn new(socket: Socket) -> Self {
        Self { socket, buffer: Vec::new() }
    }

    /// Waits for something to arrive; `None` where nothing more will.
    pub(super) async fn anything(&mut self) -> Option<()> {
        if self.buffer.is_empty() { self.more().await } else { Some(()) }
    }

    async fn more(&mut self) -> Option<()> {
        let mut piece = [0; 4096];
        let read = pin!(self.socket.read(&mut piece)).await.ok()?;
        self.buffer.extend_from_slice(piece.get(..read).filter(|piece| !piece.is_empty())?);
        Some(())
    }

    /// The next head.
    pub(super) async fn head(&mut self) -> Option<Head> {
        let end = self.find(b"\r\n\r\n").await?;
        let text = self.take(end);
        Head::of(str::from_utf8(&text).ok()?)
    }

    /// The body that belongs to a head.
    pub(super) async fn body(&mut self, head: &Head) -> Option<Vec<u8>> {
        match head.length {
            Some(length) => self.exactly(length).await,
            None => self.chunks().await,
        }
    }

    async fn chunks(&mut self) -> Option<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let end = self.find(b"\r\n").await?;
            let line = self.take(end);
            let length = usize::from_str_radix(str::from_utf8(&line).ok()?.trim(), 16).ok()?;
            let chunk = self.exactly(length + 2).await?;
            body.extend_from_slice(chunk.get(..length)?);
            if length == 0 {
                return Some(body);
            }
        }
    }

    async fn exactly(&mut self, length: usize) -> Option<Vec<u8>> {
        while self.buffer.len() < length {
            self.more().await?;
        }
        Some(self.take(length))
    }

    /// Where this ends for the first time.
    async fn find(&mut self, mark: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self.buffer.windows(mark.len()).position(|window| window == mark) {
                return Some(at + mark.len());
            }
            self.more().await?;
        }
    }

    fn take(&mut self, length: usize) -> Vec<u8> {
        let rest = self.buffer.split_off(length.min(self.buffer.len()));
        core::mem::replace(&mut self.buffer, rest)
    }

    /// Reads until the client closes, and answers nothing.
    pub(super) async fn say_nothing(mut self) {
        while self.more().await.is_some() {
            self.buffer.clear();
        }
    }
}

impl Head {
    fn of(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let target = lines.next()?.split(' ').nth(1)?;
        // What is no call of the scenario's is the last one, with which nothing goes wrong.
        let call = target.strip_prefix('/')?.parse().unwrap_or(NOBODY);
        let mut head = Self { call, send: 0, marks: Marks::default(), length: Some(0) };
        for (name, value) in lines.filter_map(|line| line.split_once(':')) {
            head.marks.see(&name.to_ascii_lowercase(), value.trim().as_bytes());
            if name.eq_ignore_ascii_case(SEND) {
                head.send = value.trim().parse().ok()?;
            } else if name.eq_ignore_ascii_case("content-length") {
                head.length = Some(value.trim().parse().ok()?);
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                head.length = None;
            }
        }
        Some(head)
    }
}
