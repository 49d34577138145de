//! What a blocking call has of its client.

use core::any::Any;
use core::future::Future;
use std::sync::{Arc, Weak};

use super::park::block_on;
use crate::client::Inner;
use crate::error::Error;

/// What keeps the threads of a transport running: dropped when nobody needs them any more.
pub(super) type Guard = Arc<dyn Any + Send + Sync>;

/// What a call and its response have of the client that made them.
///
/// The client itself is not held: a response that is still being read does not keep it open (R-C-6).
#[derive(Clone)]
pub(super) struct Link {
    client: Weak<Inner>,
    _guard: Guard,
}

impl Link {
    pub(super) fn new(client: &crate::Client, guard: &Guard) -> Self {
        Self { client: Arc::downgrade(&client.inner), _guard: Arc::clone(guard) }
    }

    /// Runs a part of the call to its end on this thread.
    pub(super) fn block_on<T>(
        &self,
        future: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        block_on(future, || Some(self.client.upgrade()?.transport.turn()))
    }
}
