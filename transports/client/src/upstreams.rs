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
    known: Mutex<Known>,
}

#[derive(Debug)]
struct Known {
    all: LruCache<Origin, Arc<Mutex<Upstream>>>,
    /// The one that was used last, which is mostly the next as well.
    last: Option<(Origin, Arc<Mutex<Upstream>>)>,
}

impl Upstreams {
    pub(crate) fn new(budget: Budget) -> Self {
        Self { budget, known: Mutex::new(Known { all: LruCache::new(CAPACITY), last: None }) }
    }

    /// The upstream of an origin. Calls that are under way keep theirs when it is forgotten.
    pub(crate) fn of(&self, origin: &Origin) -> Arc<Mutex<Upstream>> {
        let mut known = lock(&self.known);
        if let Some((_, upstream)) = known.last.as_ref().filter(|(last, _)| last == origin) {
            return Arc::clone(upstream);
        }
        let new = || Arc::new(Mutex::new(Upstream::new(self.budget)));
        let upstream = Arc::clone(known.all.get_or_insert_ref(origin, new));
        known.last = Some((origin.clone(), Arc::clone(&upstream)));
        upstream
    }
}

/// Locks, also where a holder panicked: no transition leaves what it guards half done.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
