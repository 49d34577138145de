//! The error of a connection that could not be opened, for all who were to share it but the first.

use core::error::Error as _;

use redial_client::TransportError;
use redial_engine::Failure;

/// Why a connection could not be opened. An error is not to be had twice: its kind is, and what it
/// said.
pub(super) struct Again {
    failure: Failure,
    source: Option<String>,
}

impl Again {
    pub(super) fn of(error: &TransportError) -> Self {
        Self { failure: error.failure(), source: error.source().map(ToString::to_string) }
    }

    pub(super) fn error(&self) -> TransportError {
        match &self.source {
            Some(source) => TransportError::with_source(self.failure, source.clone()),
            None => TransportError::new(self.failure),
        }
    }
}
