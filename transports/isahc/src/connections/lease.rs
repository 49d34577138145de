//! A slot, and the handle that its request goes over.

use core::sync::atomic::{AtomicBool, AtomicU16, Ordering};
use std::sync::Arc;

use isahc::HttpClient;
use redial_client::Origin;

use super::slots::Slots;
use crate::ledger::{Fate, Place};

/// A handle to send one request over, and a slot on it.
///
/// The fields are dropped in this order: where no slot is taken, nobody has the handle.
#[derive(Debug)]
pub(crate) struct Lease {
    handle: Arc<HttpClient>,
    permit: Arc<Permit>,
}

impl Lease {
    pub(super) fn new(
        handle: Arc<HttpClient>,
        slots: Arc<Slots>,
        place: Place,
        origin: Origin,
    ) -> Self {
        let (port, reused, gone) =
            (AtomicU16::new(0), AtomicBool::new(false), AtomicBool::new(false));
        Self { handle, permit: Arc::new(Permit { slots, place, origin, port, reused, gone }) }
    }

    pub(crate) const fn handle(&self) -> &Arc<HttpClient> {
        &self.handle
    }

    /// The other half of the slot: curl's, which it lets go of with the request.
    pub(crate) fn hold(&self) -> Arc<Permit> {
        Arc::clone(&self.permit)
    }

    /// Notes the local port of the request's connection; answers whether it had served another.
    pub(crate) fn over(&self, port: Option<u16>) -> bool {
        let reused = self.permit.slots.over(self.permit.place, &self.permit.origin, port);
        if let Some(port) = port {
            self.permit.port.store(port, Ordering::Release);
            self.permit.reused.store(reused, Ordering::Release);
        }
        reused
    }

    /// The request's connection is certainly closed.
    pub(crate) fn gone(&self) {
        self.permit.gone.store(true, Ordering::Release);
    }
}

/// One slot, given back when neither the caller nor curl has it any more.
#[derive(Debug)]
pub(crate) struct Permit {
    slots: Arc<Slots>,
    place: Place,
    origin: Origin,
    /// The local port of its connection; zero as long as it is not known.
    port: AtomicU16,
    reused: AtomicBool,
    gone: AtomicBool,
}

impl AsRef<[u8]> for Permit {
    /// What curl sees of it.
    fn as_ref(&self) -> &[u8] {
        b"-"
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let (reused, gone) = (self.reused.get_mut(), self.gone.get_mut());
        let fate = Fate { reused: *reused, gone: *gone };
        let port = Some(*self.port.get_mut()).filter(|port| *port != 0);
        self.slots.end(self.place, &self.origin, port, fate);
    }
}
