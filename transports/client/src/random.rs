//! The randomness of a client, which all its calls share.

use core::convert::Infallible;
use std::sync::{Mutex, MutexGuard};

use rand_core::TryRng;
use rand_xoshiro::Xoshiro256PlusPlus;

use crate::upstreams::lock;

/// Locked for as long as a draw takes. Most attempts draw nothing, and so take no lock.
pub(crate) struct Randomness(Mutex<Xoshiro256PlusPlus>);

impl Randomness {
    pub(crate) const fn new(rng: Xoshiro256PlusPlus) -> Self {
        Self(Mutex::new(rng))
    }

    fn rng(&self) -> MutexGuard<'_, Xoshiro256PlusPlus> {
        lock(&self.0)
    }
}

impl TryRng for &Randomness {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        self.rng().try_next_u32()
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        self.rng().try_next_u64()
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.rng().try_fill_bytes(bytes)
    }
}
