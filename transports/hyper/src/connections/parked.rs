//! Where an HTTP/1.1 connection is while no exchange has it.

use core::task::Poll;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::http1::Sequential;
use crate::runtime::Runtime;

/// Where an HTTP/1.1 connection is while no exchange has it: its keeper looks after it there.
pub(crate) struct Parked<R: Runtime>(Mutex<Place<R>>);

enum Place<R: Runtime> {
    /// An exchange has it.
    Leased,
    /// Nobody uses it.
    Idle(Box<Sequential<R>>),
    /// An exchange leaves it to its keeper before it is done.
    Left(Box<Sequential<R>>),
    /// Its keeper has taken that over.
    Kept,
    /// None is kept here yet, or any more.
    Closed,
}

impl<R: Runtime> Default for Parked<R> {
    fn default() -> Self {
        Self(Mutex::new(Place::Closed))
    }
}

impl<R: Runtime> Parked<R> {
    /// Begins to keep this one.
    pub(super) fn open(&self, connection: Box<Sequential<R>>) {
        *self.lock() = Place::Idle(connection);
    }

    /// Keeps none any more; whether an exchange has the connection, and is to see to its end.
    pub(super) fn close(&self) -> bool {
        matches!(core::mem::replace(&mut *self.lock(), Place::Closed), Place::Leased)
    }

    /// Takes the connection that nobody uses, if it has not ended.
    pub(super) fn take(&self) -> Option<Box<Sequential<R>>> {
        let mut place = self.lock();
        match core::mem::replace(&mut *place, Place::Leased) {
            Place::Idle(connection) => Some(connection),
            other @ (Place::Leased | Place::Left(_) | Place::Kept | Place::Closed) => {
                *place = other;
                None
            }
        }
    }

    /// Puts the connection here, which nobody uses any more. It comes back where it is not kept.
    pub(super) fn put(&self, connection: Box<Sequential<R>>) -> Result<(), Box<Sequential<R>>> {
        self.place(connection, Place::Idle)
    }

    /// The same for one that is still at work.
    pub(super) fn leave(&self, connection: Box<Sequential<R>>) -> Result<(), Box<Sequential<R>>> {
        self.place(connection, Place::Left)
    }

    fn place(
        &self,
        connection: Box<Sequential<R>>,
        place: impl FnOnce(Box<Sequential<R>>) -> Place<R>,
    ) -> Result<(), Box<Sequential<R>>> {
        let mut here = self.lock();
        if matches!(*here, Place::Closed) {
            return Err(connection);
        }
        *here = place(connection);
        Ok(())
    }

    /// Takes over a connection that was left at work.
    pub(super) fn take_over(&self) -> Option<Box<Sequential<R>>> {
        let mut place = self.lock();
        match core::mem::replace(&mut *place, Place::Kept) {
            Place::Left(connection) => Some(connection),
            other @ (Place::Leased | Place::Idle(_) | Place::Kept | Place::Closed) => {
                *place = other;
                None
            }
        }
    }

    /// Drives the connection that nobody uses, if it is here. When it has ended, it is dropped.
    ///
    /// Under the lock, so that nobody takes it meanwhile. That is safe because there is no request
    /// on it: nothing is called that is not ours or hyper's, and nobody is woken but the keeper,
    /// which is at work here.
    pub(super) fn drive(&self, drive: impl FnOnce(&mut Sequential<R>) -> Poll<()>) -> Poll<()> {
        let mut place = self.lock();
        if let Place::Idle(connection) = &mut *place
            && drive(connection).is_ready()
        {
            *place = Place::Closed;
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn lock(&self) -> MutexGuard<'_, Place<R>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
