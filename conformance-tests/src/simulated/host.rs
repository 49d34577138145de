//! The origins of a scenario, at the other end of a virtual network.

use core::net::SocketAddr;
use core::time::Duration;
use std::sync::Arc;

use redial_sim::VirtualTime;
use redial_sim::net::{Dial, Host, Link, Socket};

use super::player::Player;
use super::record::Record;
use crate::{Leftover, Log, Plan, Script};

/// The port of the first origin; the others follow.
const FIRST_PORT: u16 = 8_001;
/// As on the loopback interface, where nothing takes long and buffers are large.
const LINK: Link =
    Link { latency: Duration::from_micros(20), segment: 16 * 1024, window: 256 * 1024 };

/// The URL of an origin, without a path.
pub(super) fn url(origin: usize) -> String {
    format!("http://127.0.0.1:{}", usize::from(FIRST_PORT) + origin)
}

/// The origins of one scenario.
pub(super) struct Origins {
    time: VirtualTime,
    origins: Vec<Arc<Origin>>,
}

/// One origin: what it is to do, and what it has seen.
#[derive(Debug)]
pub(super) struct Origin {
    pub(super) script: Script,
    pub(super) record: Record,
}

impl Origins {
    pub(super) fn new(scripts: &[Script], time: &VirtualTime) -> Arc<Self> {
        let origin = |script: &Script| {
            Arc::new(Origin { script: script.clone(), record: Record::new(time) })
        };
        Arc::new(Self { time: time.clone(), origins: scripts.iter().map(origin).collect() })
    }

    pub(super) fn logs(&self) -> Vec<Log> {
        self.origins.iter().map(|origin| origin.record.log()).collect()
    }

    pub(super) fn open(&self, origin: usize) -> usize {
        self.origins.get(origin).map_or(0, |origin| origin.record.open())
    }

    /// What of the scripts was not played, and what came beyond them.
    pub(super) fn finish(&self) -> Vec<String> {
        let leftovers = self.origins.iter().flat_map(|origin| {
            let mut leftovers = origin.record.leftovers();
            let (requests, connections) = origin.record.came();
            match origin.script.plan() {
                Plan::Refused => {}
                Plan::Connections(lists) => {
                    let missing = connections.min(lists.len())..lists.len();
                    leftovers.extend(missing.map(|list| Leftover::ConnectionMissing { list }));
                }
                Plan::Requests(lists) => {
                    let missing = requests.min(lists.len())..lists.len();
                    leftovers.extend(missing.map(|list| Leftover::RequestMissing { list }));
                }
            }
            leftovers
        });
        leftovers.map(|leftover| leftover.to_string()).collect()
    }

    fn at(&self, address: SocketAddr) -> Option<&Arc<Origin>> {
        self.origins.get(usize::from(address.port().checked_sub(FIRST_PORT)?))
    }
}

impl Host for Origins {
    /// Every name is known, but for those that can be none (RFC 6761 6.4).
    fn resolve(&self, name: &str) -> Dial {
        if name.ends_with(".invalid") {
            Dial::Refuses(LINK.latency)
        } else {
            Dial::Answers(LINK.latency)
        }
    }

    fn connect(&self, address: SocketAddr) -> Dial {
        let refused = |origin: &Arc<Origin>| matches!(origin.script.plan(), Plan::Refused);
        if self.at(address).is_none_or(refused) {
            Dial::Refuses(LINK.latency)
        } else {
            Dial::Answers(LINK.latency)
        }
    }

    fn link(&self) -> Link {
        LINK
    }

    fn accept(&self, address: SocketAddr, socket: Socket) {
        let Some(origin) = self.at(address) else { return };
        let player = Player::new(Arc::clone(origin), socket, self.time.clone());
        self.time.spawn(player.serve());
    }
}
