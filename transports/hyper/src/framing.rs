//! What the frames of HTTP/2 tell of a connection, and when hyper is told of its end.

use core::task::{Context, Poll};
use core::time::Duration;
use std::io;

use redial_client::BoxFuture;
use redial_engine::Timestamp;

use crate::frames::Frames;
use crate::meter::Meter;
use crate::runtime::Runtime;

/// For how long hyper is not told that a connection has ended, where that comes behind the end of a
/// response: all streams fail with it whose request is still being sent, also where the response is
/// there as a whole and only has to be fetched.
const FAREWELL: Duration = Duration::from_millis(20);

/// What is known of a connection of HTTP/2 by its frames.
pub(crate) struct Framing {
    frames: Frames,
    /// When a response last ended.
    ended: Option<Timestamp>,
    /// The end of the connection while it is held back, and what that waits for.
    end: Option<(io::Result<()>, BoxFuture<'static, ()>)>,
}

impl Framing {
    /// Of a connection that begins, on which a response head may have so many bytes.
    pub(crate) const fn new(max_head: usize) -> Self {
        // Interim heads, and the final one or trailers.
        let frames = Frames::new(max_head.saturating_mul(2));
        Self { frames, ended: None, end: None }
    }

    /// Takes what has come.
    ///
    /// # Errors
    ///
    /// A response has more heads than it may (R-X-2).
    pub(crate) fn take(
        &mut self,
        bytes: &mut [u8],
        now: Timestamp,
        meter: &Meter,
    ) -> io::Result<()> {
        let within = self.frames.take(bytes);
        meter.framed(within, self.frames.is_fresh(), now);
        if self.frames.had_heads() {
            meter.began_head(now);
        }
        if self.frames.had_ends() {
            self.ended = Some(now);
        }
        if self.frames.has_too_much() {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a response has too many heads",
            ));
        }
        Ok(())
    }

    /// The connection has ended, or failed: as hyper is to have it.
    pub(crate) fn end<R: Runtime>(
        &mut self,
        end: io::Result<()>,
        context: &mut Context<'_>,
        runtime: &R,
        meter: &Meter,
    ) -> Poll<io::Result<()>> {
        let now = runtime.now();
        let behind = self.ended.is_some_and(|ended| now.saturating_since(ended) < FAREWELL);
        if !behind {
            return Poll::Ready(end);
        }
        meter.ends();
        self.end = Some((end, runtime.sleep_until(now.saturating_add(FAREWELL))));
        self.poll_end(context).unwrap_or(Poll::Pending)
    }

    /// The end of the connection, where it is held back.
    pub(crate) fn poll_end(&mut self, context: &mut Context<'_>) -> Option<Poll<io::Result<()>>> {
        let (_, held) = self.end.as_mut()?;
        if held.as_mut().poll(context).is_pending() {
            return Some(Poll::Pending);
        }
        self.end.take().map(|(end, _)| Poll::Ready(end))
    }
}
