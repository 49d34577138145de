//! Faults, one for each point of an exchange at which it can go wrong.

use core::fmt;
use core::str::FromStr;

use redial_engine::{Delivery, FailureKind};

use super::hint::Hint;
use super::text::Unreadable;

/// What goes wrong with one send of a request, and where.
///
/// Each has its ground truth: [`Fault::processed`] says whether the server carried the request out.
/// What a transport reports of it is another matter; [`Fault::failure`] says what.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Fault {
    /// The name cannot be resolved.
    Resolve,
    /// The connection is refused.
    Refused,
    /// Nobody answers to the connection.
    ConnectSilence,
    /// The server is not one that the client trusts: its certificate is refused. At message level,
    /// because the virtual network has no TLS.
    Untrusted,
    /// Every connection that nobody uses is closed as the request is sent: the one that it takes
    /// turns out to be dead, and nothing of it was sent.
    Dead,
    /// The connection is closed before the request is complete.
    LostClosed,
    /// The connection is broken before the request is complete.
    LostReset,
    /// The request is lost, and nothing more is heard.
    LostSilence,
    /// The server carries the request out, and closes the connection instead of answering.
    DoneClosed,
    /// The server carries the request out, and the connection breaks before the answer.
    DoneReset,
    /// The server carries the request out, and says nothing.
    DoneSilence,
    /// The response ends inside its head.
    HeadCut,
    /// The response breaks inside its head.
    HeadReset,
    /// The response is no HTTP.
    Garbage,
    /// Interim responses, and then the end.
    InterimClosed,
    /// A response of 200 ends inside its body.
    BodyCut,
    /// A response of 200 breaks inside its body.
    BodyReset,
    /// A response of 200 falls silent inside its body.
    BodySilence,
    /// This status instead of 200.
    Status {
        /// The status.
        code: u16,
        /// `Retry-After`, in seconds; none where that is zero.
        after: u32,
    },
    /// This status instead of 200, and headers that say more of it than how many seconds to wait.
    Hinted {
        /// The status.
        code: u16,
        /// What the headers say.
        hint: Hint,
    },
    /// A response of 200, later than usual.
    Slow {
        /// How much later, in milliseconds.
        millis: u32,
    },
    /// A response of 200, after which the connection is closed without a word: the next request
    /// may find it dead.
    Stale,
    /// The server takes the head of the request, and nothing more.
    Unread,
    /// The head of the response is larger than the client takes.
    HeadTooLarge,
    /// A response of 200 whose length is told in two ways: what follows it may begin anywhere.
    TwoFramings,
    /// The server goes away in good order before it looks at the request (HTTP/2).
    GoAway,
    /// The server goes away with an error before it looks at the request (HTTP/2).
    GoAwayError,
    /// The stream is refused before the server looks at the request (HTTP/2).
    RefusedStream,
    /// The server carries the request out, and resets the stream before the answer (HTTP/2).
    StreamReset,
    /// A response of 200 whose stream is reset inside its body (HTTP/2).
    BodyStreamReset,
    /// A response of 200, after which the server permits one stream at a time (HTTP/2).
    FewerStreams,
}

/// The faults without numbers of their own, with their names.
const NAMES: [(Fault, &str); 28] = [
    (Fault::Resolve, "resolve"),
    (Fault::Refused, "refused"),
    (Fault::ConnectSilence, "connect_silence"),
    (Fault::Untrusted, "untrusted"),
    (Fault::Dead, "dead"),
    (Fault::LostClosed, "lost_closed"),
    (Fault::LostReset, "lost_reset"),
    (Fault::LostSilence, "lost_silence"),
    (Fault::DoneClosed, "done_closed"),
    (Fault::DoneReset, "done_reset"),
    (Fault::DoneSilence, "done_silence"),
    (Fault::HeadCut, "head_cut"),
    (Fault::HeadReset, "head_reset"),
    (Fault::Garbage, "garbage"),
    (Fault::InterimClosed, "interim_closed"),
    (Fault::BodyCut, "body_cut"),
    (Fault::BodyReset, "body_reset"),
    (Fault::BodySilence, "body_silence"),
    (Fault::Stale, "stale"),
    (Fault::Unread, "unread"),
    (Fault::HeadTooLarge, "head_too_large"),
    (Fault::TwoFramings, "two_framings"),
    (Fault::GoAway, "go_away"),
    (Fault::GoAwayError, "go_away_error"),
    (Fault::RefusedStream, "refused_stream"),
    (Fault::StreamReset, "stream_reset"),
    (Fault::BodyStreamReset, "body_stream_reset"),
    (Fault::FewerStreams, "fewer_streams"),
];

impl Fault {
    /// Every fault once, those with numbers with some.
    pub fn all() -> impl Iterator<Item = Self> {
        let plain = NAMES.iter().map(|(fault, _)| *fault);
        plain.chain([Self::Status { code: 503, after: 0 }, Self::Slow { millis: 20 }])
    }

    /// Whether it strikes a connection and not a request: one that finds another connection is
    /// spared.
    pub const fn is_of_the_connection(self) -> bool {
        matches!(
            self,
            Self::Resolve | Self::Refused | Self::ConnectSilence | Self::Untrusted | Self::Dead
        )
    }

    /// The ground truth: whether the server carries the request out.
    pub const fn processed(self) -> bool {
        match self {
            Self::Resolve
            | Self::Refused
            | Self::ConnectSilence
            | Self::Untrusted
            | Self::Dead
            | Self::LostClosed
            | Self::LostReset
            | Self::LostSilence
            | Self::Unread
            | Self::GoAway
            | Self::GoAwayError
            | Self::RefusedStream => false,
            // A server that says "later" has done nothing yet; one that fails may have.
            Self::Status { code, .. } | Self::Hinted { code, .. } => {
                !matches!(code, 408 | 429 | 503)
            }
            Self::DoneClosed
            | Self::DoneReset
            | Self::DoneSilence
            | Self::HeadCut
            | Self::HeadReset
            | Self::Garbage
            | Self::InterimClosed
            | Self::BodyCut
            | Self::BodyReset
            | Self::BodySilence
            | Self::Slow { .. }
            | Self::Stale
            | Self::HeadTooLarge
            | Self::TwoFramings
            | Self::StreamReset
            | Self::BodyStreamReset
            | Self::FewerStreams => true,
        }
    }

    /// Whether it ends a connection that others may be using.
    pub(crate) const fn breaks_a_connection(self) -> bool {
        match self {
            Self::Dead
            | Self::LostClosed
            | Self::LostReset
            | Self::DoneClosed
            | Self::DoneReset
            | Self::HeadCut
            | Self::HeadReset
            | Self::Garbage
            | Self::InterimClosed
            | Self::BodyCut
            | Self::BodyReset
            | Self::Stale
            | Self::HeadTooLarge
            | Self::GoAway
            | Self::GoAwayError => true,
            // A connection on which everything is silent is not trusted any more.
            Self::LostSilence | Self::DoneSilence | Self::BodySilence | Self::Unread => true,
            Self::Resolve
            | Self::Refused
            | Self::ConnectSilence
            | Self::Untrusted
            | Self::Status { .. }
            | Self::Hinted { .. }
            | Self::Slow { .. }
            | Self::TwoFramings
            | Self::RefusedStream
            | Self::StreamReset
            | Self::BodyStreamReset
            | Self::FewerStreams => false,
        }
    }

    /// What a transport reports of it, within every limit and on a fresh connection (that which is
    /// dead was used before); `None` where that is a response.
    pub const fn failure(self) -> Option<(FailureKind, Delivery)> {
        Some(match self {
            Self::Resolve => (FailureKind::Resolve, Delivery::Unsent),
            Self::Refused => (FailureKind::Connect, Delivery::Unsent),
            Self::ConnectSilence => (FailureKind::ConnectTimeout, Delivery::Unsent),
            Self::Untrusted => (FailureKind::Tls, Delivery::Unsent),
            Self::Dead => (FailureKind::Closed, Delivery::Unsent),
            Self::LostClosed | Self::DoneClosed => (FailureKind::Closed, Delivery::Unknown),
            Self::LostReset | Self::DoneReset | Self::HeadReset => {
                (FailureKind::Reset, Delivery::Unknown)
            }
            Self::LostSilence | Self::DoneSilence => (FailureKind::ReadTimeout, Delivery::Unknown),
            Self::HeadCut | Self::InterimClosed => (FailureKind::Truncated, Delivery::Unknown),
            Self::Garbage => (FailureKind::RemoteProtocol, Delivery::Unknown),
            Self::BodyCut => (FailureKind::Truncated, Delivery::Answered),
            Self::BodyReset => (FailureKind::Reset, Delivery::Answered),
            Self::BodySilence => (FailureKind::ReadTimeout, Delivery::Answered),
            Self::Unread => (FailureKind::WriteTimeout, Delivery::Unknown),
            Self::HeadTooLarge => (FailureKind::ResponseTooLarge, Delivery::Unknown),
            Self::GoAway => (FailureKind::GoAway { graceful: true }, Delivery::Unsent),
            Self::GoAwayError => (FailureKind::GoAway { graceful: false }, Delivery::Unsent),
            Self::RefusedStream => (FailureKind::RefusedStream, Delivery::Unsent),
            Self::StreamReset => (FailureKind::StreamReset, Delivery::Unknown),
            Self::BodyStreamReset => (FailureKind::StreamReset, Delivery::Answered),
            Self::Status { .. }
            | Self::Hinted { .. }
            | Self::Slow { .. }
            | Self::Stale
            | Self::TwoFramings
            | Self::FewerStreams => return None,
        })
    }

    /// The status that the server answers with, as far as it answers.
    pub const fn status(self) -> u16 {
        if let Self::Status { code, .. } | Self::Hinted { code, .. } = self { code } else { 200 }
    }

    /// What the headers of its response say beside the status.
    pub(crate) const fn hint(self) -> Hint {
        if let Self::Hinted { hint, .. } = self {
            return hint;
        }
        if let Self::Status { after: after @ 1.., .. } = self {
            return Hint::Seconds(after);
        }
        Hint::Nothing
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Self::Slow { millis } = self {
            return write!(f, "slow_{millis}");
        }
        if let Self::Status { code, after } = self {
            write!(f, "status_{code}")?;
            return if *after > 0 { write!(f, "_after_{after}") } else { Ok(()) };
        }
        if let Self::Hinted { code, hint } = self {
            return write!(f, "status_{code}_{hint}");
        }
        let known = NAMES.iter().find(|(known, _)| known == self);
        f.write_str(known.map_or("", |(_, name)| name))
    }
}

impl FromStr for Fault {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        if let Some((fault, _)) = NAMES.iter().find(|(_, name)| *name == text) {
            return Ok(*fault);
        }
        let unknown = Unreadable("a fault");
        if let Some(millis) = text.strip_prefix("slow_") {
            return Ok(Self::Slow { millis: millis.parse().map_err(|_| unknown)? });
        }
        let status = text.strip_prefix("status_").ok_or(unknown)?;
        let (code, says) = status.split_once('_').unwrap_or((status, "after_0"));
        let code = code.parse().map_err(|_| unknown)?;
        match says.strip_prefix("after_") {
            Some(after) => Ok(Self::Status { code, after: after.parse().map_err(|_| unknown)? }),
            None => Ok(Self::Hinted { code, hint: says.parse()? }),
        }
    }
}
