//! What the driver keeps of each connection.

use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::task::Waker;
use std::sync::{Arc, OnceLock};

use redial_engine::FailureKind;

use crate::connect::Access;
use crate::connections::end::End;
use crate::connections::parked::Parked;
use crate::meter::Meter;
use crate::pool::{CloseReason, ConnectionId};
use crate::relay::Relay;
use crate::runtime::Runtime;
use crate::timeouts::Timers;
use crate::upload::Outliving;
use crate::wire::Wire;

/// A connection, from the start of connecting until its socket is gone.
pub(super) struct Live<R: Runtime> {
    /// Here while it stands and a request can have it.
    pub(super) access: Option<Access<R>>,
    pub(super) shared: Arc<Shared<R>>,
}

/// What a connection's task and its lease both look at.
pub(crate) struct Shared<R: Runtime> {
    pub(crate) meter: Arc<Meter>,
    /// Its socket, from when the connection stands.
    pub(crate) wire: OnceLock<Arc<Wire<R::Socket>>>,
    pub(super) end: Arc<End>,
    /// Whom it wakes (HTTP/1.1).
    pub(crate) relay: Relay,
    /// Where it is while no exchange has it (HTTP/1.1).
    pub(super) parked: Parked<R>,
    /// Whether a response has ended that was left to the keeper (HTTP/1.1).
    pub(super) finishing: AtomicBool,
    /// Why the pool closes it, where it does.
    pub(super) closed: OnceLock<CloseReason>,
    /// How it came to take no more requests, where it did (HTTP/2).
    pub(super) ended: OnceLock<FailureKind>,
    /// How many exchanges have had it so far.
    exchanges: AtomicU64,
    /// Timers that no exchange needs just now (HTTP/2).
    pub(crate) timers: Timers,
    /// The request bodies that have outlived their responses (HTTP/2).
    pub(crate) uploads: Outliving,
}

impl<R: Runtime> Default for Shared<R> {
    fn default() -> Self {
        let end = Arc::<End>::default();
        Self {
            meter: Arc::default(),
            wire: OnceLock::new(),
            relay: Relay::new(Arc::clone(&end)),
            end,
            parked: Parked::default(),
            finishing: AtomicBool::new(false),
            closed: OnceLock::new(),
            ended: OnceLock::new(),
            exchanges: AtomicU64::new(0),
            timers: Timers::default(),
            uploads: Outliving::default(),
        }
    }
}

impl<R: Runtime> Shared<R> {
    /// Another exchange has it, of all the so-manieth. To be said by whoever holds the lock of all
    /// connections, so that the bus need not be locked for it.
    pub(super) fn begin(&self) -> u64 {
        let number = self.exchanges.load(Ordering::Relaxed).wrapping_add(1);
        self.exchanges.store(number, Ordering::Relaxed);
        number
    }

    /// Whether no exchange has got it after this one.
    pub(super) fn is_last(&self, number: u64) -> bool {
        self.exchanges.load(Ordering::Relaxed) == number
    }

    /// How the connection came to take no more requests, where it did.
    pub(crate) fn ended(&self) -> Option<FailureKind> {
        self.ended.get().copied()
    }
}

/// The connections, by the places that the pool numbers.
pub(super) struct LiveTable<R: Runtime>(Vec<Option<(ConnectionId, Live<R>)>>);

impl<R: Runtime> LiveTable<R> {
    pub(super) const fn new() -> Self {
        Self(Vec::new())
    }

    pub(super) fn insert(&mut self, id: ConnectionId, live: Live<R>) {
        let place = id.place();
        if self.0.len() <= place {
            self.0.resize_with(place + 1, || None);
        }
        if let Some(entry) = self.0.get_mut(place) {
            *entry = Some((id, live));
        }
    }

    pub(super) fn get(&self, id: ConnectionId) -> Option<&Live<R>> {
        let (of, live) = self.0.get(id.place())?.as_ref()?;
        (*of == id).then_some(live)
    }

    pub(super) fn get_mut(&mut self, id: ConnectionId) -> Option<&mut Live<R>> {
        let (of, live) = self.0.get_mut(id.place())?.as_mut()?;
        (*of == id).then_some(live)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if let Some(entry) = self.0.get_mut(id.place()) {
            entry.take_if(|(of, _)| *of == id);
        }
        while self.0.last().is_some_and(Option::is_none) {
            self.0.pop();
        }
    }

    /// Tells every connection's task to end.
    pub(super) fn end_all(&self) {
        for (_, live) in self.0.iter().flatten() {
            live.shared.end.set().into_iter().for_each(Waker::wake);
        }
    }
}
