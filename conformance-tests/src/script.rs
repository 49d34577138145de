//! What the server is to do, as data.

use core::fmt;
use core::time::Duration;

use crate::Reply;

/// What a [`FaultServer`](crate::FaultServer) does to its clients, from the first to the last.
///
/// A script is data: it can be compared, printed, and played by something other than a socket.
/// What arrives beyond the plan is reset and reported, unless [`Script::otherwise`] says how to
/// treat it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Script {
    plan: Plan,
    otherwise: Option<Vec<Step>>,
}

impl Script {
    /// A script by connection: the n-th accepted connection plays the n-th list of steps.
    ///
    /// After its last step a connection stays open until the client closes it. One that sends
    /// anything more is reset and reported.
    pub fn connections(lists: Vec<Vec<Step>>) -> Self {
        Self { plan: Plan::Connections(lists), otherwise: None }
    }

    /// A script by request: the n-th request, on whatever connection, is read and then answered by
    /// the n-th list of steps.
    ///
    /// Requests are numbered as their heads arrive. A connection stays open between requests
    /// unless a step has closed it.
    pub fn requests(lists: Vec<Vec<Step>>) -> Self {
        Self { plan: Plan::Requests(lists), otherwise: None }
    }

    /// A script by request in which every list is one reply: the n-th request gets the n-th.
    pub fn replies(replies: impl IntoIterator<Item = Reply>) -> Self {
        Self::requests(replies.into_iter().map(|reply| vec![reply.step()]).collect())
    }

    /// A script under which nobody listens: the server holds a port on which connecting fails.
    pub fn refused() -> Self {
        Self { plan: Plan::Refused, otherwise: None }
    }

    /// This script, with `steps` for every connection (or request) that comes beyond its plan.
    ///
    /// They may be played any number of times, none included, and are never part of what
    /// [`Unfinished`](crate::Unfinished) reports.
    ///
    /// ```
    /// use redial_conformance::{Reply, Script};
    ///
    /// // A server that is down for good.
    /// let script = Script::requests(vec![]).otherwise(vec![Reply::status(503).step()]);
    /// assert_ne!(script, Script::requests(vec![]));
    /// ```
    #[must_use]
    pub fn otherwise(mut self, steps: Vec<Step>) -> Self {
        self.otherwise = Some(steps);
        self
    }

    /// What is played, and to whom.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// What is played to arrivals beyond the plan; `None` where they are reset and reported.
    pub fn beyond(&self) -> Option<&[Step]> {
        self.otherwise.as_deref()
    }
}

/// To whom the lists of a [`Script`] are played.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Plan {
    /// Nobody listens, nothing is played.
    Refused,
    /// The n-th list is for the n-th accepted connection.
    Connections(Vec<Vec<Step>>),
    /// The n-th list answers the n-th request, which has been read before the list begins.
    Requests(Vec<Vec<Step>>),
}

/// One instruction to the server, carried out on one connection.
///
/// A step that fails ends its list, and the server resets the connection. When the client has gone,
/// steps that read or write fail; those that pause, wait for the close or close do not.
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
            Self::Write(bytes) => write!(f, "write {} bytes", bytes.len()),
            Self::WriteSlowly { bytes, piece, gap } => {
                write!(f, "write {} bytes, {piece} every {gap:?}", bytes.len())
            }
            Self::Flood { at_most, .. } => write!(f, "flood with up to {at_most} bytes"),
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
