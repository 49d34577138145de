//! The instructions that scripts are made of.

use core::fmt;
use core::time::Duration;

use crate::{ErrorCode, Frame, Http2, Reply};

/// One instruction to the server, carried out on one connection.
///
/// A step that fails ends its list, and the server resets the connection. When the client has gone,
/// steps that read or write fail; those that pause, wait for the close or close do not.
///
/// In the list of one HTTP/2 request among others ([`Script::requests`](crate::Script::requests))
/// a step is about that request's stream: to wait is to wait there, while the connection goes on,
/// and a client that resets the stream has gone. Only closing is about the whole connection. The
/// steps that read have no place there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// Reads one request, head and body, and records it.
    ///
    /// Fails on what is no request, or when it has not come within [`PATIENCE`](crate::PATIENCE).
    ReadRequest,
    /// Reads the head of one request and records it, leaving the body unread.
    ///
    /// Fails as [`Step::ReadRequest`] does.
    ReadHead,
    /// Reads the body of the request whose head was read last; does nothing where it has none.
    ///
    /// Fails as [`Step::ReadRequest`] does.
    ReadBody,
    /// Reads so many bytes, whatever they are, and throws them away.
    ///
    /// Fails when they have not come within [`PATIENCE`](crate::PATIENCE).
    ReadBytes(usize),
    /// Waits until the client has sent something, and reads none of it.
    AwaitData {
        /// How long that may take; the step fails after it.
        within: Duration,
    },
    /// Waits until the server has seen so many requests, over all its connections: whatever comes
    /// after it finds them all under way, however long the machine takes to send them.
    AwaitRequests {
        /// How many heads of requests, this one among them.
        count: usize,
        /// How long that may take; the step fails after it.
        within: Duration,
    },
    /// Sends this response to the request, in the protocol that the connection speaks.
    ///
    /// Over HTTP/2 the body keeps to the client's windows. Fails when the client does not take it
    /// within [`PATIENCE`](crate::PATIENCE).
    Respond(Reply),
    /// The same, slowly: bytes over HTTP/1.1, pieces of the body over HTTP/2.
    RespondSlowly {
        /// What to send.
        reply: Reply,
        /// How many bytes a piece has; zero stands for one.
        piece: usize,
        /// How long the server waits between two pieces.
        gap: Duration,
    },
    /// Sends the bytes.
    ///
    /// Fails when the client does not take them within [`PATIENCE`](crate::PATIENCE).
    Write(Vec<u8>),
    /// Sends the bytes in pieces, each in a segment of its own.
    WriteSlowly {
        /// What to send.
        bytes: Vec<u8>,
        /// How many bytes a piece has; zero stands for one.
        piece: usize,
        /// How long the server waits between two pieces.
        gap: Duration,
    },
    /// Sends the same bytes again and again, until the client closes or resets the connection.
    ///
    /// Fails when the client neither takes the bytes nor closes within
    /// [`PATIENCE`](crate::PATIENCE).
    Flood {
        /// What to repeat.
        bytes: Vec<u8>,
        /// How many bytes to send at most; the step is done after them.
        at_most: usize,
    },
    /// Makes the connection one of HTTP/2: sends the first SETTINGS frame, and reads the client's
    /// preface (RFC 9113 3.4).
    ///
    /// In scripts by connection it comes before any other step of HTTP/2, and the steps that read
    /// requests and respond to them then do so in HTTP/2. Fails on what is no preface.
    Preface(Http2),
    /// Breaks TLS: sends a record that no key of the connection's has sealed. The connection stays
    /// open.
    ///
    /// Of no use without TLS; fails as [`Step::Write`] does.
    BreakTls,
    /// Sends these frames.
    ///
    /// Fails as [`Step::Write`] does.
    Send(Vec<Frame>),
    /// Sends these frames again and again, as [`Step::Flood`] does.
    SendFlood {
        /// What to repeat.
        frames: Vec<Frame>,
        /// How many bytes to send at most; the step is done after them.
        at_most: usize,
    },
    /// Waits for the client to reset the stream of the request.
    AwaitReset {
        /// With which error; `None` for any.
        code: Option<ErrorCode>,
        /// How long that may take; the step fails after it.
        within: Duration,
    },
    /// Waits for the client to say that it leaves the connection (GOAWAY).
    AwaitGoAway {
        /// With which error; `None` for any.
        code: Option<ErrorCode>,
        /// How long that may take; the step fails after it.
        within: Duration,
    },
    /// Does nothing for so long.
    Pause(Duration),
    /// Neither reads nor writes until the server is told to finish.
    ///
    /// A client that uploads meanwhile fills the buffers and is then stuck.
    Stall {
        /// How long the stall lasts where the server is not told to finish.
        at_most: Duration,
    },
    /// Waits for the client to close or reset the connection, discarding what it sends.
    AwaitClose {
        /// How long that may take; the step fails after it.
        within: Duration,
    },
    /// Closes the server's half of the connection; reading goes on.
    CloseWrite,
    /// Closes the connection in good order: the client sees the end, and no reset.
    ///
    /// What the client has sent is discarded, because a kernel answers unread data with a reset.
    Close,
    /// Closes the connection as a careless server does, with whatever is left unread.
    ///
    /// The client sees a reset where it has sent, or goes on sending, what was not read; else the
    /// end.
    CloseUnread,
    /// Resets the connection at once.
    Reset,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReadRequest => f.write_str("read a request"),
            Self::ReadHead => f.write_str("read the head of a request"),
            Self::ReadBody => f.write_str("read the body of the request"),
            Self::ReadBytes(count) => write!(f, "read {count} bytes"),
            Self::AwaitData { within } => write!(f, "await data within {within:?}"),
            Self::AwaitRequests { count, within } => {
                write!(f, "await {count} requests within {within:?}")
            }
            Self::Respond(reply) => write!(f, "respond {}", reply.status),
            Self::RespondSlowly { reply, piece, gap } => {
                write!(f, "respond {}, {piece} bytes every {gap:?}", reply.status)
            }
            Self::Write(bytes) => write!(f, "write {} bytes", bytes.len()),
            Self::WriteSlowly { bytes, piece, gap } => {
                write!(f, "write {} bytes, {piece} every {gap:?}", bytes.len())
            }
            Self::Flood { at_most, .. } => write!(f, "flood with up to {at_most} bytes"),
            Self::Preface(_) => f.write_str("begin HTTP/2"),
            Self::BreakTls => f.write_str("break TLS"),
            Self::Send(frames) => {
                f.write_str("send ")?;
                list(f, frames)
            }
            Self::SendFlood { frames, at_most } => {
                write!(f, "flood with up to {at_most} bytes of ")?;
                list(f, frames)
            }
            Self::AwaitReset { code, within } => {
                f.write_str("await a reset of the stream")?;
                due(f, *code, *within)
            }
            Self::AwaitGoAway { code, within } => {
                f.write_str("await a GOAWAY")?;
                due(f, *code, *within)
            }
            Self::Pause(length) => write!(f, "pause for {length:?}"),
            Self::Stall { at_most } => write!(f, "stall for up to {at_most:?}"),
            Self::AwaitClose { within } => write!(f, "await the close within {within:?}"),
            Self::CloseWrite => f.write_str("close the server's half"),
            Self::Close => f.write_str("close"),
            Self::CloseUnread => f.write_str("close with data unread"),
            Self::Reset => f.write_str("reset"),
        }
    }
}

fn list(f: &mut fmt::Formatter<'_>, frames: &[Frame]) -> fmt::Result {
    let mut separator = "";
    for frame in frames {
        write!(f, "{separator}{frame}")?;
        separator = ", ";
    }
    Ok(())
}

fn due(f: &mut fmt::Formatter<'_>, code: Option<ErrorCode>, within: Duration) -> fmt::Result {
    if let Some(code) = code {
        write!(f, " with {code}")?;
    }
    write!(f, " within {within:?}")
}
