//! From hyper's errors to a kind and a delivery.

use core::error::Error as StdError;
use std::io;

use redial_engine::{Delivery, Failure, FailureKind};

use crate::io::Meter;

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
    } else {
        match io_kind(error, meter) {
            Some(kind) if is_reset(kind) => FailureKind::Reset,
            Some(io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData) => {
                FailureKind::RemoteProtocol
            }
            Some(_) | None => FailureKind::Truncated,
        }
    };
    Failure::new(kind, Delivery::Answered)
}

fn kind_before_head(error: &hyper::Error, meter: &Meter, answered: bool) -> FailureKind {
    if error.is_parse() {
        return parse_kind(error);
    }
    if error.is_user() {
        return FailureKind::InvalidRequest;
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

fn parse_kind(error: &hyper::Error) -> FailureKind {
    if error.is_parse_too_large() {
        FailureKind::ResponseTooLarge
    } else {
        FailureKind::RemoteProtocol
    }
}

const fn is_reset(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe
    )
}

/// The kind of the socket's error: the one in the chain, else the first that the meter saw.
fn io_kind(error: &hyper::Error, meter: &Meter) -> Option<io::ErrorKind> {
    let mut source = error.source();
    while let Some(error) = source {
        if let Some(error) = error.downcast_ref::<io::Error>() {
            return Some(error.kind());
        }
        source = error.source();
    }
    meter.error()
}
