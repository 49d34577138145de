//! From hyper's errors to a kind and a delivery.

use core::error::Error as StdError;
use std::io;

use redial_client::{StreamError, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::frames::CUT_OFF;
use crate::meter::{Meter, SocketError};

/// What had crossed the connection when an exchange began, so that what crossed since is the
/// exchange's own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Baseline {
    bytes_in: u64,
    bytes_out: u64,
}

impl Baseline {
    pub(crate) fn of(meter: &Meter) -> Self {
        Self { bytes_in: meter.bytes_in(), bytes_out: meter.bytes_out() }
    }

    /// What an error that came instead of a response head means. `returned`: hyper gave the
    /// request back, because it had not begun to send it.
    ///
    /// The connection is dead then, so that "no byte of the request went out" is proof.
    pub(crate) fn before_head(
        self,
        error: &hyper::Error,
        meter: &Meter,
        returned: bool,
    ) -> Failure {
        let unsent = returned || meter.bytes_out() == self.bytes_out;
        // What came although nothing was sent, such as a 408 on an idle connection, is no answer.
        let answered = !unsent && meter.bytes_in() > self.bytes_in;
        let delivery = if unsent { Delivery::Unsent } else { Delivery::Unknown };
        Failure::new(kind_before_head(error, meter, answered), delivery)
    }
}

/// What an error in a response body means.
pub(crate) fn in_body(error: &hyper::Error, meter: &Meter) -> Failure {
    let kind = if error.is_parse() {
        parse_kind(error)
    } else if let Some(error) = find::<h2::Error>(error) {
        let kind = http2_kind(error, meter, FailureKind::Truncated);
        if is_cut_off(error) { FailureKind::Truncated } else { kind }
    } else {
        match io_kind(error, meter) {
            Some(kind) if is_reset(kind) || is_of_tls(error) => FailureKind::Reset,
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                FailureKind::RemoteProtocol
            }
            Some(_) | None => FailureKind::Truncated,
        }
    };
    Failure::new(kind, Delivery::Answered)
}

/// What an error that came instead of the response head of one HTTP/2 stream means. `returned` as
/// above; `ended`: how the connection came to take no more requests, where it did.
pub(crate) fn before_head_http2(
    error: &hyper::Error,
    meter: &Meter,
    returned: bool,
    ended: Option<FailureKind>,
) -> Failure {
    if returned {
        return Failure::new(ended.unwrap_or(FailureKind::Closed), Delivery::Unsent);
    }
    let Some(error) = find::<h2::Error>(error) else {
        // What hyper held for a stream that could not be opened yet goes with the connection, and is
        // called the user's mistake then.
        let kind = if is_of_the_body(error) && ended.is_none() {
            FailureKind::InvalidRequest
        } else {
            lost(meter)
        };
        return Failure::new(kind, Delivery::Unknown);
    };
    if let Some(kind) = going_away(error) {
        // This error comes only to streams beyond the last that the peer looked at (RFC 9113 6.8).
        return Failure::new(kind, Delivery::Unsent);
    }
    if error.is_remote() && error.reason() == Some(h2::Reason::REFUSED_STREAM) {
        return Failure::new(FailureKind::RefusedStream, Delivery::Unsent);
    }
    Failure::new(http2_kind(error, meter, FailureKind::Closed), Delivery::Unknown)
}

/// Whether the peer would have had the request by HTTP/1.1 (RFC 9113 7).
pub(crate) fn is_for_http1(error: &TransportError) -> bool {
    find::<h2::Error>(error).is_some_and(|error| {
        error.is_remote() && error.reason() == Some(h2::Reason::HTTP_1_1_REQUIRED)
    })
}

/// What it means that a connection took no requests before its peer had said its settings.
pub(crate) fn before_settings(error: Option<hyper::Error>, meter: &Meter) -> TransportError {
    let Some(error) = error else {
        return TransportError::unsent(FailureKind::GoAway { graceful: true });
    };
    let failure = match find::<h2::Error>(&error) {
        Some(error) if error.is_go_away() && !error.is_remote() => {
            // What came was no HTTP/2. What such a server made of the preface, nobody knows.
            Failure::new(FailureKind::RemoteProtocol, Delivery::Unknown)
        }
        Some(error) => {
            let kind = going_away(error).unwrap_or_else(|| before_first_byte(meter));
            Failure::new(kind, Delivery::Unsent)
        }
        None => Failure::new(before_first_byte(meter), Delivery::Unsent),
    };
    TransportError::with_source(failure, error)
}

/// How an HTTP/2 connection came to take no more requests.
pub(crate) fn ended(error: Option<&hyper::Error>, meter: &Meter) -> FailureKind {
    match error.map(find::<h2::Error>) {
        None => FailureKind::GoAway { graceful: true },
        Some(Some(error)) => going_away(error).unwrap_or_else(|| lost(meter)),
        Some(None) => lost(meter),
    }
}

fn going_away(error: &h2::Error) -> Option<FailureKind> {
    let graceful = error.reason() == Some(h2::Reason::NO_ERROR) || is_cut_off(error);
    (error.is_go_away() && error.is_remote()).then_some(FailureKind::GoAway { graceful })
}

/// Whether the peer named no error, and broke a response off.
fn is_cut_off(error: &h2::Error) -> bool {
    error.is_remote() && error.reason() == Some(u32::from(CUT_OFF).into())
}

/// The kind of an HTTP/2 error; `cut_off` where the connection came to its end.
fn http2_kind(error: &h2::Error, meter: &Meter, cut_off: FailureKind) -> FailureKind {
    if error.is_remote() {
        FailureKind::StreamReset
    } else if error.is_io() {
        let kind = lost(meter);
        if kind == FailureKind::Closed { cut_off } else { kind }
    } else if error.is_library() {
        FailureKind::RemoteProtocol
    } else {
        // The stream was reset on this side, because its body could not be produced.
        FailureKind::InvalidRequest
    }
}

/// How a connection was lost, by what its socket said.
pub(crate) fn lost(meter: &Meter) -> FailureKind {
    match meter.error() {
        // Invalid is what came to TLS, and no more of it will be understood.
        Some(SocketError::Io(kind)) if is_reset(kind) || kind == io::ErrorKind::InvalidData => {
            FailureKind::Reset
        }
        Some(SocketError::Io(io::ErrorKind::FileTooLarge)) => FailureKind::ResponseTooLarge,
        Some(SocketError::Refused) => FailureKind::Tls,
        Some(SocketError::Io(_)) | None => FailureKind::Closed,
    }
}

/// The same where nothing had come yet: no connection was made.
fn before_first_byte(meter: &Meter) -> FailureKind {
    if lost(meter) == FailureKind::Tls { FailureKind::Tls } else { FailureKind::Connect }
}

fn kind_before_head(error: &hyper::Error, meter: &Meter, answered: bool) -> FailureKind {
    if error.is_parse() {
        return parse_kind(error);
    }
    if is_of_the_body(error) {
        return FailureKind::InvalidRequest;
    }
    if meter.error() == Some(SocketError::Refused) {
        return FailureKind::Tls;
    }
    let ended = if answered { FailureKind::Truncated } else { FailureKind::Closed };
    match io_kind(error, meter) {
        Some(kind) if is_reset(kind) => FailureKind::Reset,
        Some(io::ErrorKind::FileTooLarge) => FailureKind::ResponseTooLarge,
        Some(io::ErrorKind::UnexpectedEof) => ended,
        _ if error.is_incomplete_message() || error.is_canceled() => ended,
        Some(_) => FailureKind::Reset,
        // Bytes came before they were asked for: what follows on this connection answers nothing.
        None => FailureKind::LocalProtocol,
    }
}

/// Whether the request body could not be produced. That the connection's task is gone, because its
/// runtime is or because it panicked, is to hyper the user's mistake as well.
fn is_of_the_body(error: &hyper::Error) -> bool {
    error.is_user() && find::<StreamError>(error).is_some()
}

fn parse_kind(error: &hyper::Error) -> FailureKind {
    if error.is_parse_too_large() {
        FailureKind::ResponseTooLarge
    } else {
        FailureKind::RemoteProtocol
    }
}

/// Whether an error of a socket says that its peer is lost.
pub(crate) const fn is_reset(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// Whether it was TLS that broke below the body, and not the body that is malformed.
fn is_of_tls(error: &hyper::Error) -> bool {
    let source = find::<io::Error>(error).and_then(io::Error::get_ref);
    source.is_some_and(|source| source.is::<rustls::Error>())
}

/// The kind of the socket's error: the one in the chain, else the first that the meter saw.
fn io_kind(error: &hyper::Error, meter: &Meter) -> Option<io::ErrorKind> {
    let own = find::<io::Error>(error).map(io::Error::kind);
    own.or_else(|| match meter.error() {
        Some(SocketError::Io(kind)) => Some(kind),
        Some(SocketError::Refused) | None => None,
    })
}

/// The first error of this type below another.
fn find<E: StdError + 'static>(error: &impl StdError) -> Option<&E> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        source = error.source();
    }
    None
}
