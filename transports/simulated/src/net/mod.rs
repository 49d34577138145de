//! A network of virtual sockets: bytes take their time, and arrive in order, or not at all.
//!
//! [`Virtual`] is a runtime for `redial-hyper` on it, so that the real transport, with its pool and
//! its timeouts, runs in virtual time. Who is at the other end, and what it does, says a [`Host`].

mod pipe;
mod runtime;
mod socket;

use core::net::SocketAddr;
use core::time::Duration;

pub use self::runtime::Virtual;
pub use self::socket::{Peer, Socket};

/// The other end of the network.
pub trait Host: Send + Sync + 'static {
    /// How the resolver answers for this name.
    fn resolve(&self, name: &str) -> Dial;

    /// How a connection to this address fares.
    fn connect(&self, address: SocketAddr) -> Dial;

    /// How bytes of this connection travel.
    fn link(&self) -> Link;

    /// A connection to this address stands: this is the host's end of it.
    fn accept(&self, address: SocketAddr, socket: Socket);
}

/// How an answer to a name or a connection comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "made by whoever is the host")]
pub enum Dial {
    /// It comes after this time.
    Answers(Duration),
    /// It comes after this time, and it is no.
    Refuses(Duration),
    /// It never comes.
    Silent,
}

/// How bytes travel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "made by whoever is the host")]
pub struct Link {
    /// How long they are under way, in each direction.
    pub latency: Duration,
    /// How many arrive at a time, at most.
    pub segment: usize,
    /// How many may be under way or unread, in each direction; more are not accepted.
    pub window: usize,
}

impl Link {
    /// A millisecond, in segments of 1,460 bytes, and 64 KiB of them.
    pub const DEFAULT: Self =
        Self { latency: Duration::from_millis(1), segment: 1_460, window: 64 * 1024 };
}

impl Default for Link {
    fn default() -> Self {
        Self::DEFAULT
    }
}
