//! One direction of a connection.

use core::future::Future as _;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::collections::VecDeque;
use std::io;

use redial_engine::Timestamp;
use redial_hyper::Peeked;

use super::Link;
use crate::executor::{Sleep, VirtualTime};

/// Bytes on their way from a writer to a reader, and how they come to an end.
pub(super) struct Pipe {
    segments: VecDeque<Segment>,
    /// How many bytes are under way or unread.
    held: usize,
    /// When the last thing that was sent arrives: nothing overtakes.
    last: Timestamp,
    /// When the reader finds the end.
    end: Option<Timestamp>,
    /// When the reader finds the connection broken.
    reset: Option<Timestamp>,
    /// Whether the reader is gone.
    unread: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// Wakes the reader when what is under way arrives.
    alarm: Option<Sleep>,
}

struct Segment {
    at: Timestamp,
    bytes: Vec<u8>,
    /// How many of them were read.
    read: usize,
}

impl Pipe {
    pub(super) const fn new() -> Self {
        Self {
            segments: VecDeque::new(),
            held: 0,
            last: Timestamp::ORIGIN,
            end: None,
            reset: None,
            unread: false,
            reader: None,
            writer: None,
            alarm: None,
        }
    }

    /// Reads of one segment, which is what arrives at a time.
    pub(super) fn poll_read(
        &mut self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
        time: &VirtualTime,
    ) -> Poll<io::Result<usize>> {
        let now = time.now();
        if let Some(segment) = self.segments.front_mut().filter(|segment| segment.at <= now) {
            let rest = segment.bytes.get(segment.read..).unwrap_or_default();
            let taken = rest.len().min(buffer.len());
            if let (Some(to), Some(from)) = (buffer.get_mut(..taken), rest.get(..taken)) {
                to.copy_from_slice(from);
            }
            segment.read += taken;
            self.held -= taken;
            if segment.read == segment.bytes.len() {
                self.segments.pop_front();
            }
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
            return Poll::Ready(Ok(taken));
        }
        // What came before a reset can be read, as a kernel has it.
        if self.is_reset(now) {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if self.segments.is_empty() && self.end.is_some_and(|end| end <= now) {
            return Poll::Ready(Ok(0));
        }
        self.reader = Some(context.waker().clone());
        self.arm(time);
        Poll::Pending
    }

    /// What a read would find now.
    pub(super) fn peek(&self, now: Timestamp) -> Peeked {
        if self.segments.front().is_some_and(|segment| segment.at <= now) {
            Peeked::Bytes
        } else if self.is_over(now) {
            Peeked::End
        } else {
            Peeked::Nothing
        }
    }

    /// Takes bytes to send, as many as there is room for.
    pub(super) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
        link: &Link,
        time: &VirtualTime,
    ) -> Poll<io::Result<usize>> {
        let room = link.window.saturating_sub(self.held);
        if room == 0 {
            self.writer = Some(context.waker().clone());
            return Poll::Pending;
        }
        self.last = self.last.max(time.now().saturating_add(link.latency));
        let mut taken = 0;
        let mut bytes = Vec::new();
        for part in parts {
            let mut rest = part.get(..part.len().min(room - taken)).unwrap_or_default();
            taken += rest.len();
            while !rest.is_empty() {
                let (now, later) = rest.split_at(rest.len().min(link.segment.max(1) - bytes.len()));
                bytes.extend_from_slice(now);
                rest = later;
                if bytes.len() == link.segment.max(1) {
                    self.send(core::mem::take(&mut bytes));
                }
            }
        }
        if !bytes.is_empty() {
            self.send(bytes);
        }
        self.arm(time);
        Poll::Ready(Ok(taken))
    }

    fn send(&mut self, bytes: Vec<u8>) {
        if self.unread {
            return;
        }
        self.held += bytes.len();
        self.segments.push_back(Segment { at: self.last, bytes, read: 0 });
    }

    /// The writer sends no more.
    pub(super) fn finish(&mut self, at: Timestamp, time: &VirtualTime) {
        if self.end.is_none() {
            self.last = self.last.max(at);
            self.end = Some(self.last);
            self.arm(time);
        }
    }

    /// The connection breaks. The reader learns that at this time, after what was sent before.
    pub(super) fn break_off(&mut self, at: Timestamp, time: &VirtualTime) {
        if self.reset.is_none() {
            self.last = self.last.max(at);
            self.reset = Some(self.last);
            self.arm(time);
            if let Some(writer) = self.writer.take() {
                writer.wake();
            }
        }
    }

    /// Nobody reads any more. Answers whether something was left unread.
    pub(super) fn abandon(&mut self) -> bool {
        self.unread = true;
        (self.reader, self.alarm, self.held) = (None, None, 0);
        if let Some(writer) = self.writer.take() {
            writer.wake();
        }
        let left = !self.segments.is_empty();
        self.segments.clear();
        left
    }

    pub(super) const fn is_abandoned(&self) -> bool {
        self.unread
    }

    pub(super) fn is_reset(&self, now: Timestamp) -> bool {
        self.reset.is_some_and(|reset| reset <= now)
    }

    /// Whether the end has arrived, in whatever way.
    pub(super) fn is_over(&self, now: Timestamp) -> bool {
        self.is_reset(now) || self.end.is_some_and(|end| end <= now)
    }

    pub(super) const fn is_finished(&self) -> bool {
        self.end.is_some()
    }

    /// Has the reader woken when there is something for it, if it waits.
    fn arm(&mut self, time: &VirtualTime) {
        let Some(reader) = &self.reader else { return };
        let arrival = self.segments.front().map(|segment| segment.at).or(self.end);
        let Some(at) = arrival.into_iter().chain(self.reset).min() else { return };
        if at <= time.now() {
            self.alarm = None;
            if let Some(reader) = self.reader.take() {
                reader.wake();
            }
            return;
        }
        let mut alarm = time.sleep_until(at);
        let _ = Pin::new(&mut alarm).poll(&mut Context::from_waker(reader));
        self.alarm = Some(alarm);
    }
}
