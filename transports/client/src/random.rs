//! The randomness of a client, which all its calls share, and that of keys.

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

/// A UUID of version 4 (RFC 9562 5.4), out of the operating system's randomness.
///
/// A client's own generator would not do: with a seed of the user's it begins anew with every start
/// of the program, and a server would take a new request for the repetition of an old one.
pub(crate) fn uuid() -> Result<String, getrandom::Error> {
    let (high, low) = (getrandom::u64()?, getrandom::u64()?);
    let (version, variant) = (0x4000 | (high & 0x0fff), 0x8000 | (low >> 48 & 0x3fff));
    let (first, second) = (high >> 32, high >> 16 & 0xffff);
    let last = low & 0xffff_ffff_ffff;
    Ok(format!("{first:08x}-{second:04x}-{version:04x}-{variant:04x}-{last:012x}"))
}
