//! What the calls to one origin share, for as many origins as a client remembers.

use core::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lru::LruCache;
use redial_engine::{Budget, Upstream};

use crate::origin::Origin;

/// How many upstreams a client remembers (R-G-4).
const CAPACITY: NonZeroUsize = NonZeroUsize::MIN.saturating_add(1023);

/// The upstreams of a client. The one that was used least recently is forgotten first; it begins
/// again with a full budget.
#[derive(Debug)]
pub(crate) struct Upstreams {
    budget: Budget,
    known: Mutex<LruCache<Origin, Arc<Mutex<Upstream>>>>,
}

impl Upstreams {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, known: Mutex::new(LruCache::new(CAPACITY)) }
    }

    /// The upstream of an origin. Calls that are under way keep theirs when it is forgotten.
    pub(crate) fn of(&self, origin: &Origin) -> Arc<Mutex<Upstream>> {
        let mut known = lock(&self.known);
        let new = || Arc::new(Mutex::new(Upstream::new(self.budget)));
        Arc::clone(known.get_or_insert_ref(origin, new))
    }
}

/// Locks, also where a holder panicked: no transition leaves what it guards half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
