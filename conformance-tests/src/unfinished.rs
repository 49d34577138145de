//! Why a script did not come to its end.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::io;
use std::sync::Arc;

use crate::{ErrorCode, Handshake, Log, Malformed, Step};

/// The script and the clients do not agree: something was left over, or came beyond the script.
///
/// Printing it lists every disagreement. The log is kept, to see what the clients did instead.
#[derive(Clone, Debug)]
pub struct Unfinished {
    pub(crate) leftovers: Vec<Leftover>,
    pub(crate) log: Log,
}

impl Unfinished {
    /// Every disagreement: those noticed while the server ran, then what never came.
    pub fn leftovers(&self) -> &[Leftover] {
        &self.leftovers
    }

    /// What the clients did.
    pub fn log(&self) -> &Log {
        &self.log
    }
}

impl fmt::Display for Unfinished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the script was not played to its end")?;
        let mut separator = ": ";
        for leftover in &self.leftovers {
            write!(f, "{separator}{leftover}")?;
            separator = "; ";
        }
        Ok(())
    }
}

impl Error for Unfinished {
    /// The error of the first step that failed.
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.leftovers.iter().find_map(Leftover::error).map(|error| error as _)
    }
}

/// One way in which the script and the clients do not agree.
///
/// Connections and requests are numbered from zero, as in the [`Log`]; lists as in the script.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Leftover {
    /// No client made the connection that this list is for: make one more, or drop the list.
    ConnectionMissing {
        /// The list.
        list: usize,
    },
    /// No client made the connection that this handshake is for: make one more, or drop it.
    HandshakeMissing {
        /// The connection.
        connection: usize,
    },
    /// The server's part of a handshake could not be played.
    HandshakeStopped {
        /// The connection.
        connection: usize,
        /// What was to be played.
        handshake: Handshake,
        /// What stopped it.
        error: StepError,
    },
    /// No client made the request that this list answers: make one more, or drop the list.
    RequestMissing {
        /// The list.
        list: usize,
    },
    /// A connection came beyond the script, and was reset.
    UnexpectedConnection {
        /// The connection.
        connection: usize,
    },
    /// A request came beyond the script, and its connection was reset.
    UnexpectedRequest {
        /// The request.
        request: usize,
    },
    /// A client sent what is no request where one might come, and its connection was reset.
    Garbled {
        /// The connection.
        connection: usize,
        /// What is wrong with what it sent.
        error: StepError,
    },
    /// A request claimed this list, but its body could not be read, so the list was not begun.
    RequestCutOff {
        /// The request.
        request: usize,
        /// The list.
        list: usize,
        /// What stopped the reading.
        error: StepError,
    },
    /// A step failed, so the rest of its list was not played.
    Stopped {
        /// The connection on which the list was played.
        connection: usize,
        /// The list.
        list: usize,
        /// The index of the step in its list.
        step: usize,
        /// The step itself.
        instruction: Step,
        /// What stopped it.
        error: StepError,
    },
    /// The operating system refused the server a connection or a thread.
    OutOfResources {
        /// What it said.
        error: StepError,
    },
}

impl Leftover {
    /// The error behind it, where something failed rather than never came.
    pub fn error(&self) -> Option<&StepError> {
        match self {
            Self::ConnectionMissing { .. }
            | Self::HandshakeMissing { .. }
            | Self::RequestMissing { .. }
            | Self::UnexpectedConnection { .. }
            | Self::UnexpectedRequest { .. } => None,
            Self::Garbled { error, .. }
            | Self::HandshakeStopped { error, .. }
            | Self::RequestCutOff { error, .. }
            | Self::Stopped { error, .. }
            | Self::OutOfResources { error } => Some(error),
        }
    }
}

impl fmt::Display for Leftover {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ConnectionMissing { list } => write!(f, "connection {list} was never made"),
            Self::HandshakeMissing { connection } => {
                write!(f, "connection {connection}, for a handshake, was never made")
            }
            Self::HandshakeStopped { connection, handshake, error } => write!(
                f,
                "connection {connection} stopped in its handshake ({handshake:?}): {error}"
            ),
            Self::RequestMissing { list } => write!(f, "request {list} was never made"),
            Self::UnexpectedConnection { connection } => {
                write!(f, "connection {connection} is beyond the script")
            }
            Self::UnexpectedRequest { request } => {
                write!(f, "request {request} is beyond the script")
            }
            Self::Garbled { connection, error } => {
                write!(f, "connection {connection} carried no request: {error}")
            }
            Self::RequestCutOff { request, list, error } => {
                write!(f, "request {request}, for list {list}, was cut off: {error}")
            }
            Self::Stopped { connection, list, step, instruction, error } => write!(
                f,
                "connection {connection} stopped at step {step} of list {list} ({instruction}): {error}"
            ),
            Self::OutOfResources { error } => write!(f, "the server ran short: {error}"),
        }
    }
}

/// What stopped a step.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum StepError {
    /// The client closed the connection first.
    PeerClosed,
    /// The client reset the connection first.
    PeerReset,
    /// The client did not do its part in time.
    TimedOut {
        /// How long the server waited.
        after: Duration,
    },
    /// The server was finished, or dropped, before the client had done its part.
    ServerFinished,
    /// An earlier step, of this list or of another on the same connection, closes what this one
    /// needs: put it before that step.
    AfterClose,
    /// The step is of no use where it stands, such as a step of HTTP/2 before [`Step::Preface`].
    OutOfPlace,
    /// The TLS handshake did not complete, so that nothing could be played on the connection.
    NoHandshake,
    /// The client ended the stream or the connection with another error than the one awaited.
    OtherCode(ErrorCode),
    /// What the client sent is no request.
    Malformed(Malformed),
    /// The operating system refused an operation.
    Io(Arc<io::Error>),
}

impl StepError {
    /// What an error of the operating system means to a step.
    pub(crate) fn from_io(error: io::Error) -> Self {
        let reset = matches!(
            error.kind(),
            io::ErrorKind::ConnectionReset
                | io::ErrorKind::ConnectionAborted
                | io::ErrorKind::BrokenPipe
        );
        if reset { Self::PeerReset } else { Self::Io(Arc::new(error)) }
    }
}

impl fmt::Display for StepError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PeerClosed => f.write_str("the client closed the connection first"),
            Self::PeerReset => f.write_str("the client reset the connection first"),
            Self::TimedOut { after } => write!(f, "the client did not do its part in {after:?}"),
            Self::ServerFinished => f.write_str("the server was finished before the client"),
            Self::AfterClose => f.write_str("an earlier step has closed what this one needs"),
            Self::OutOfPlace => f.write_str("the step is of no use where it stands"),
            Self::NoHandshake => f.write_str("the TLS handshake did not complete"),
            Self::OtherCode(code) => write!(f, "the client said {code}"),
            Self::Malformed(_) => f.write_str("the client sent what is no request"),
            Self::Io(_) => f.write_str("the operating system refused an operation"),
        }
    }
}

impl Error for StepError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            Self::Io(error) => Some(error.as_ref()),
            Self::PeerClosed
            | Self::PeerReset
            | Self::TimedOut { .. }
            | Self::ServerFinished
            | Self::AfterClose
            | Self::OutOfPlace
            | Self::NoHandshake
            | Self::OtherCode(_) => None,
        }
    }
}

impl From<Malformed> for StepError {
    fn from(error: Malformed) -> Self {
        Self::Malformed(error)
    }
}
