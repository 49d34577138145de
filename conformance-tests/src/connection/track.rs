//! Plays the list of one HTTP/2 request among others: no step of it holds up the connection.

use core::time::Duration;
use std::time::Instant;

use super::Connection;
use super::http2::{Conversation, check_code};
use crate::shared::Phase;
use crate::socket::{PATIENCE, Wait};
use crate::{ErrorCode, Reply, Step, StepError};

/// The list of one request while it is played.
#[derive(Debug)]
pub(super) struct Track<'a> {
    pub(super) stream: u32,
    /// `None` where it is beyond the plan.
    pub(super) list: Option<usize>,
    steps: &'a [Step],
    /// The index of the step that is played.
    pub(super) step: usize,
    /// What is left of that step, once it has begun.
    rest: Option<Rest>,
}

/// How far a list has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// The step, or the list, is done.
    Done,
    /// It goes on when something has come, or at this time.
    Wait(Instant),
    /// The server has closed the connection.
    Closed,
}

/// What is left of a step that has begun.
#[derive(Debug)]
enum Rest {
    /// To let time pass.
    Pause { until: Instant },
    /// The same, but the end of the server ends it.
    Stall { until: Instant },
    /// To send what is left of some bytes.
    Pieces(Pieces),
    /// To wait for other requests.
    Gather { count: usize, since: Instant, within: Duration },
    /// To wait for the client to do something.
    Await { what: Awaited, since: Instant, within: Duration },
}

/// Bytes that are sent in pieces.
#[derive(Debug)]
struct Pieces {
    bytes: Vec<u8>,
    piece: usize,
    gap: Duration,
    /// When the next piece is due.
    next: Instant,
    /// Since when the client has taken nothing.
    since: Instant,
    /// Whether they are a response's body, or bytes of the connection.
    framed: bool,
}

/// What the client is to do.
#[derive(Clone, Copy, Debug)]
enum Awaited {
    /// To give the request up: by resetting the stream, or by ending the connection.
    Close,
    Reset(Option<ErrorCode>),
    GoAway(Option<ErrorCode>),
}

impl<'a> Track<'a> {
    pub(super) const fn new(stream: u32, list: Option<usize>, steps: &'a [Step]) -> Self {
        Self { stream, list, steps, step: 0, rest: None }
    }

    /// The step that is played; `None` after the last.
    pub(super) fn instruction(&self) -> Option<&'a Step> {
        self.steps.get(self.step)
    }
}

impl Connection {
    /// Plays a list as far as it goes now.
    pub(super) fn play_track(
        &mut self,
        conversation: &mut Conversation,
        track: &mut Track<'_>,
    ) -> Result<Turn, StepError> {
        while let Some(step) = track.instruction() {
            let rest = match track.rest.take() {
                Some(rest) => Ok(rest),
                None => self.begin(conversation, track.stream, step)?,
            };
            let turn = match rest {
                Ok(rest) => self.go_on(conversation, track, rest)?,
                Err(turn) => turn,
            };
            match turn {
                Turn::Wait(_) => return Ok(turn),
                Turn::Done => track.step += 1,
                Turn::Closed => {
                    track.step += 1;
                    return Ok(turn);
                }
            }
        }
        Ok(Turn::Done)
    }

    /// Begins a step: answers what is left of it, or how it ended.
    fn begin(
        &mut self,
        conversation: &mut Conversation,
        stream: u32,
        step: &Step,
    ) -> Result<Result<Rest, Turn>, StepError> {
        let (now, patience) = (Instant::now(), Wait::begin(PATIENCE));
        let awaiting = |what, within: &Duration| Rest::Await { what, since: now, within: *within };
        Ok(Ok(match step {
            Step::Respond(reply) => self.respond_in_pieces(conversation, stream, reply, None)?,
            Step::RespondSlowly { reply, piece, gap } => {
                self.respond_in_pieces(conversation, stream, reply, Some((*piece, *gap)))?
            }
            Step::WriteSlowly { bytes, piece, gap } => {
                Rest::Pieces(Pieces::new(bytes.clone(), Some((*piece, *gap)), now, false))
            }
            Step::Pause(length) => Rest::Pause { until: now + *length },
            Step::Stall { at_most } => Rest::Stall { until: now + *at_most },
            Step::AwaitRequests { count, within } => {
                Rest::Gather { count: *count, since: now, within: *within }
            }
            Step::AwaitClose { within } => awaiting(Awaited::Close, within),
            Step::AwaitReset { code, within } => awaiting(Awaited::Reset(*code), within),
            Step::AwaitGoAway { code, within } => awaiting(Awaited::GoAway(*code), within),
            Step::Write(bytes) => {
                self.socket.send(bytes, patience)?;
                return Ok(Err(Turn::Done));
            }
            Step::Send(frames) => {
                self.check_stream(conversation, stream)?;
                self.send_frames(conversation, stream, frames, patience)?;
                return Ok(Err(Turn::Done));
            }
            Step::SendFlood { frames, at_most } => {
                let bytes: Vec<_> = frames.iter().flat_map(|frame| frame.bytes(stream)).collect();
                self.flood(&bytes, *at_most, patience)?;
                return Ok(Err(Turn::Done));
            }
            Step::Flood { bytes, at_most } => {
                self.flood(bytes, *at_most, patience)?;
                return Ok(Err(Turn::Done));
            }
            Step::BreakTls => {
                self.socket.break_tls(patience)?;
                return Ok(Err(Turn::Done));
            }
            Step::CloseWrite => {
                self.socket.close_write();
                return Ok(Err(Turn::Done));
            }
            Step::Close => {
                self.close();
                return Ok(Err(Turn::Closed));
            }
            Step::CloseUnread => {
                self.socket.close_unread();
                return Ok(Err(Turn::Closed));
            }
            Step::Reset => {
                self.reset();
                return Ok(Err(Turn::Closed));
            }
            // The request has been read, and HTTP/2 has begun.
            Step::ReadRequest
            | Step::ReadHead
            | Step::ReadBody
            | Step::ReadBytes(_)
            | Step::AwaitData { .. }
            | Step::Preface(_) => return Err(StepError::OutOfPlace),
        }))
    }

    /// Sends the head of a response; what is left is its body.
    fn respond_in_pieces(
        &mut self,
        conversation: &mut Conversation,
        stream: u32,
        reply: &Reply,
        slowly: Option<(usize, Duration)>,
    ) -> Result<Rest, StepError> {
        self.check_stream(conversation, stream)?;
        let bytes = self.send_head(conversation, stream, reply)?;
        let now = Instant::now();
        let next = slowly.map_or(now, |(_, gap)| now + gap);
        Ok(Rest::Pieces(Pieces::new(bytes, slowly, next, true)))
    }

    fn go_on(
        &mut self,
        conversation: &mut Conversation,
        track: &mut Track<'_>,
        rest: Rest,
    ) -> Result<Turn, StepError> {
        let (now, phase) = (Instant::now(), self.shared.phase());
        let (rest, until) = match rest {
            Rest::Pause { until } if now >= until => return Ok(Turn::Done),
            Rest::Stall { until } if now >= until || phase >= Phase::Finishing => {
                return Ok(Turn::Done);
            }
            _ if phase == Phase::Stopped => return Err(StepError::ServerFinished),
            Rest::Pause { until } | Rest::Stall { until } => (rest, until),
            Rest::Pieces(mut pieces) => {
                self.send_pieces(conversation, track.stream, &mut pieces, now)?;
                if pieces.bytes.is_empty() {
                    return Ok(Turn::Done);
                }
                // A body that waits for the client's window goes on when something has come.
                let next = pieces.next.max(now + Duration::from_millis(1));
                (Rest::Pieces(pieces), next)
            }
            Rest::Gather { count, since, within } => {
                if self.shared.has_requests(count) {
                    return Ok(Turn::Done);
                }
                // What comes over other connections wakes nobody here.
                (rest, limit(since, within, now)?.min(now + Duration::from_millis(5)))
            }
            Rest::Await { what, since, within } => {
                if self.has_come(conversation, track.stream, what)? {
                    return Ok(Turn::Done);
                }
                (rest, limit(since, within, now)?)
            }
        };
        track.rest = Some(rest);
        Ok(Turn::Wait(until))
    }

    /// Sends the pieces that are due, as far as the client takes them.
    fn send_pieces(
        &mut self,
        conversation: &mut Conversation,
        stream: u32,
        pieces: &mut Pieces,
        now: Instant,
    ) -> Result<(), StepError> {
        while now >= pieces.next && !pieces.bytes.is_empty() {
            if pieces.framed {
                self.check_stream(conversation, stream)?;
                if !self.send_piece(conversation, stream, &mut pieces.bytes, pieces.piece)? {
                    limit(pieces.since, PATIENCE, now)?;
                    return Ok(());
                }
            } else {
                let count = pieces.piece.min(pieces.bytes.len());
                let piece: Vec<_> = pieces.bytes.drain(..count).collect();
                self.socket.send(&piece, Wait::begin(PATIENCE))?;
            }
            pieces.since = now;
            pieces.next = now + pieces.gap;
        }
        Ok(())
    }

    /// Whether the client has done what is awaited of it.
    fn has_come(
        &self,
        conversation: &Conversation,
        stream: u32,
        what: Awaited,
    ) -> Result<bool, StepError> {
        let gone = self.socket.ended().is_some();
        let (code, said) = match what {
            Awaited::Close => return Ok(gone || conversation.session.reset(stream).is_some()),
            Awaited::Reset(code) => (code, conversation.session.reset(stream)),
            Awaited::GoAway(code) => (code, conversation.session.goaway()),
        };
        match said {
            Some(said) => check_code(code, said).map(|()| true),
            None if gone => Err(StepError::PeerClosed),
            None => Ok(false),
        }
    }

    /// Whether the client is still there to take what is sent on this stream.
    fn check_stream(&self, conversation: &Conversation, stream: u32) -> Result<(), StepError> {
        if conversation.session.reset(stream).is_some() {
            return Err(StepError::PeerReset);
        }
        if self.socket.ended().is_some() { Err(StepError::PeerClosed) } else { Ok(()) }
    }
}

impl Pieces {
    fn new(bytes: Vec<u8>, slowly: Option<(usize, Duration)>, next: Instant, framed: bool) -> Self {
        let (piece, gap) = slowly.unwrap_or((usize::MAX, Duration::ZERO));
        Self { bytes, piece: piece.max(1), gap, next, since: next, framed }
    }
}

/// When a wait of so long is over, or that it is.
fn limit(since: Instant, within: Duration, now: Instant) -> Result<Instant, StepError> {
    if now.duration_since(since) >= within {
        return Err(StepError::TimedOut { after: within });
    }
    Ok(since + within)
}
