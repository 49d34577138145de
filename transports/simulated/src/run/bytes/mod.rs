//! The scenario's server, which speaks HTTP over virtual sockets, as badly as it is told to.

mod frames;
mod http2;
mod incoming;
mod plain;
mod serving;

use core::net::SocketAddr;
use core::task::{Poll, Waker};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use self::incoming::Incoming;
use self::serving::serve;
use super::world::World;
use crate::executor::lock;
use crate::net::{Dial, Host, Link, Socket};
use crate::referee::Marks;
use crate::run::call::request_body;
use crate::run::world::NOBODY;
use crate::scenario::{Fault, Level, millis};

/// The server of a run, and the network before it.
pub(super) struct Origin {
    world: Arc<World>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Faults that strike the next connections.
    ahead: VecDeque<Fault>,
    /// How often every idle connection has been closed.
    culled: u64,
    /// Who waits for a request, and would have to be woken to close.
    idle: Vec<Waker>,
    /// The most requests that were on one connection at a time.
    together: usize,
}

impl Origin {
    pub(super) fn new(world: &Arc<World>) -> Arc<Self> {
        Arc::new(Self { world: Arc::clone(world), state: Mutex::default() })
    }

    /// How many streams an HTTP/2 connection may have at first.
    pub(super) fn streams(&self) -> u32 {
        let place = (self.world.scenario().seed.0 >> 2) as usize % 4;
        [1, 2, 3, 100].get(place).copied().unwrap_or(1)
    }

    /// So many requests are on one connection.
    fn are_together(&self, count: usize) {
        let mut state = lock(&self.state);
        state.together = state.together.max(count);
    }

    /// The most requests that were on one connection at a time since this was asked last.
    pub(super) fn most_together(&self) -> usize {
        core::mem::take(&mut lock(&self.state).together)
    }

    /// The head of a request has come. Answers what strikes it.
    fn comes(&self, call: u32, send: u32, marks: &Marks) -> Option<Fault> {
        if call == NOBODY {
            return None;
        }
        let mut inner = self.world.lock();
        inner.referee.arrived(call, send, self.world.now());
        inner.referee.marked(call, marks);
        inner.tell();
        self.world.fault(call, send)
    }

    /// A whole request is carried out.
    fn carry_out(&self, call: u32, send: u32, body: &[u8]) {
        if call == NOBODY {
            return;
        }
        let planned = self.world.scenario().calls.get(call as usize);
        let planned = planned.map_or(0, |plan| plan.body);
        let whole = body == request_body(call, planned);
        let mut inner = self.world.lock();
        inner.referee.processed(call, send, whole, self.world.now());
        inner.tell();
    }

    /// A request is about to be sent: what strikes connections is set going.
    pub(super) fn prepare(&self, call: u32, send: u32) {
        let Some(fault) = self.world.fault(call, send) else { return };
        let mut state = lock(&self.state);
        if fault == Fault::Dead {
            state.culled += 1;
            state.idle.drain(..).for_each(Waker::wake);
        } else if fault.is_of_the_connection() {
            state.ahead.push_back(fault);
        }
    }

    /// Whether this fault is the next to strike, which it then does.
    fn strikes(&self, fault: Fault) -> bool {
        let struck = lock(&self.state).ahead.pop_front_if(|ahead| *ahead == fault);
        struck.is_some() && !self.world.is_calm()
    }

    /// Ready when every idle connection has been closed since it was so often.
    fn poll_culled(&self, since: u64, waker: &Waker) -> Poll<()> {
        let mut state = lock(&self.state);
        if state.culled > since {
            return Poll::Ready(());
        }
        state.idle.push(waker.clone());
        Poll::Pending
    }

    fn culled(&self) -> u64 {
        lock(&self.state).culled
    }
}

/// An [`Origin`] at the other end of a network.
pub(super) struct Network(pub(super) Arc<Origin>);

impl Host for Network {
    fn resolve(&self, _: &str) -> Dial {
        let after = self.link().latency;
        if self.0.strikes(Fault::Resolve) { Dial::Refuses(after) } else { Dial::Answers(after) }
    }

    fn connect(&self, _: SocketAddr) -> Dial {
        let after = self.link().latency;
        if self.0.strikes(Fault::Refused) {
            Dial::Refuses(after)
        } else if self.0.strikes(Fault::ConnectSilence) {
            Dial::Silent
        } else {
            Dial::Answers(after)
        }
    }

    fn link(&self) -> Link {
        let scenario = self.0.world.scenario();
        let segment = match scenario.seed.0 % 4 {
            0 => 1_460,
            1 => 7,
            2 => 100,
            _ => 16_384,
        };
        Link { latency: millis(scenario.latency) / 4, segment, window: 2_048 }
    }

    fn accept(&self, _: SocketAddr, socket: Socket) {
        let origin = Arc::clone(&self.0);
        let time = self.0.world.time();
        if self.0.world.scenario().level == Level::Http2 {
            time.spawn(http2::serve(origin, socket));
        } else {
            time.spawn(serve(origin, Incoming::new(socket)));
        }
    }
}
