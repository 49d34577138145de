//! What becomes of requests whose runtime runs no tasks any more.

use core::error::Error;
use core::fmt;

use redial_client::TransportError;
use redial_engine::{Delivery, Failure, FailureKind};

/// Why a request gets no connection where the runtime runs no tasks any more. It is final, as for a
/// client that was closed: none of its connections stands, and no other can be made.
pub(super) fn error() -> TransportError {
    let failure = Failure::new(FailureKind::ClientClosed, Delivery::Unsent);
    TransportError::with_source(failure, ShutDown)
}

/// The runtime has dropped the task of a connection.
#[derive(Debug)]
struct ShutDown;

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "the runtime that it was built on has been shut down: \
             build the client on one that outlives it",
        )
    }
}

impl Error for ShutDown {}
