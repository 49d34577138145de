//! What the system says of this process's sockets, where curl says nothing.
//!
//! Linux lists sockets with their state, which shows whether a connection stands (`standing.rs`),
//! and with what waits in each of them for its peer to accept (`uploads.rs`).
//!
//! Such a list costs milliseconds on a machine with many sockets. So one is made for all requests of
//! a transport that wait for their connections, and one for all uploads of the process, and after it
//! none for twenty times as long as it kept a CPU busy, or for twice as long where a timeout is so
//! short that it would be over. (By a clock on the wall it may have taken many times as long.)

use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::time::Instant;

/// What the system last said of its sockets, for all requests that share it.
///
/// Each transport has a clock of its own, which begins with it. So what is asked for and answered
/// here are lengths of time.
#[derive(Debug)]
pub(crate) struct Survey {
    begun: AtomicU64,
    taken: Mutex<Option<Taken>>,
}

/// The last survey.
#[derive(Debug)]
struct Taken {
    number: u64,
    /// When it was begun, and how long that took.
    at: Instant,
    took: Duration,
    /// For how long it kept a CPU busy.
    cost: Duration,
    peers: BTreeMap<u16, Peer>,
}

/// What a survey says of one port.
#[derive(Clone, Debug)]
pub(crate) struct Sighting {
    /// The survey's: they are numbered from 1 as they begin.
    pub(crate) number: u64,
    /// When it was begun.
    pub(crate) at: Instant,
    pub(crate) peer: Peer,
}

/// How fresh an answer has to be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fresh {
    /// Of some time since then.
    pub(crate) ago: Duration,
    /// How often whoever asks has to know.
    pub(crate) pace: Duration,
}

/// How the connections to one port stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Peer {
    established: bool,
    /// Whether one is being made.
    pub(crate) connecting: bool,
    /// Whether one was established, and may be half closed since.
    pub(crate) open: bool,
    /// How many bytes wait for the peer to accept them, by socket, where some do.
    pub(crate) queues: Queues,
}

/// By socket, how many bytes wait in it, where some do.
pub(crate) type Queues = BTreeMap<Inode, u64>;

/// What the system knows a socket by.
pub(crate) type Inode = u64;

/// The system is not asked just now; it may be in so long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Later(pub(crate) Duration);

/// The least time between two surveys.
const PACE: Duration = Duration::from_millis(10);

/// After a survey there is none for so many times as long as it kept a CPU busy.
const REST: u32 = 20;

/// The same for who has to know sooner than that.
const SHORT_REST: u32 = 2;

impl Survey {
    pub(crate) const fn new() -> Self {
        Self { begun: AtomicU64::new(0), taken: Mutex::new(None) }
    }

    /// How many have been begun: what has happened by now, those with higher numbers show.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::SeqCst)
    }

    /// The number of one that begins now.
    pub(crate) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::SeqCst).saturating_add(1)
    }

    /// How this process's connections to that port stood. Where the system does not say, there are
    /// none.
    pub(crate) fn peer(&self, port: u16, Fresh { ago, pace }: Fresh) -> Result<Sighting, Later> {
        let now = Instant::now();
        // Whoever finds another at it will have its answer.
        let Ok(mut taken) = self.taken.try_lock() else { return Err(Later(PACE)) };
        if let Some(last) = taken.as_ref() {
            let (age, rest) = (now.saturating_duration_since(last.at), last.rest(pace));
            if age > ago && age < rest {
                return Err(Later(rest.saturating_sub(age)));
            }
            taken.take_if(|_| age > ago);
        }
        let taken = taken.get_or_insert_with(|| self.take(now));
        let peer = taken.peers.get(&port).cloned().unwrap_or_default();
        Ok(Sighting { number: taken.number, at: taken.at, peer })
    }

    fn take(&self, at: Instant) -> Taken {
        let number = self.begin();
        let before = system::cpu_time();
        let peers = system::peers();
        let cost = system::cpu_time().saturating_sub(before);
        Taken { number, at, took: at.elapsed(), cost, peers }
    }
}

impl Taken {
    /// For how long after its beginning there is no other.
    fn rest(&self, pace: Duration) -> Duration {
        let [short, long] = [SHORT_REST, REST].map(|times| self.cost.saturating_mul(times));
        self.took.saturating_add(pace.clamp(short, long).max(PACE))
    }
}

impl Peer {
    /// Whether there is a connection that stands, and none that is being made.
    pub(crate) const fn stands(&self) -> bool {
        self.established && !self.connecting
    }
}

#[cfg(target_os = "linux")]
mod system {
    use core::time::Duration;
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    use rustix::time::{ClockId, clock_gettime};

    use super::{Inode, Peer};

    /// For how long this thread has had a CPU.
    pub(super) fn cpu_time() -> Duration {
        Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
    }

    /// As `/proc/net/tcp` writes it: `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
    const ESTABLISHED: &str = "01";

    /// `TCP_SYN_SENT`.
    const CONNECTING: &str = "02";

    /// How this process's connections stand, by the ports of their peers.
    pub(super) fn peers() -> BTreeMap<u16, Peer> {
        let ours = sockets().unwrap_or_default();
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(fs::read_to_string);
        let tables: String = tables.into_iter().flatten().collect();
        let mut peers: BTreeMap<u16, Peer> = BTreeMap::new();
        let lines = tables.lines().filter_map(read).filter(|line| ours.contains(&line.inode));
        for Line { port, state, queued, inode } in lines {
            let peer = peers.entry(port).or_default();
            peer.established |= state == ESTABLISHED;
            peer.connecting |= state == CONNECTING;
            peer.open |= state != CONNECTING;
            if queued > 0 {
                peer.queues.insert(inode, queued);
            }
        }
        peers
    }

    /// One connection.
    struct Line<'a> {
        /// The peer's.
        port: u16,
        state: &'a str,
        /// How much has been sent, and not been accepted.
        queued: u64,
        inode: Inode,
    }

    fn read(line: &str) -> Option<Line<'_>> {
        let mut fields = line.split_whitespace().skip(2);
        let (remote, state, queues) = (fields.next()?, fields.next()?, fields.next()?);
        let inode = fields.nth(4)?.parse().ok()?;
        let (_, port) = remote.rsplit_once(':')?;
        let (queued, _) = queues.split_once(':')?;
        let queued = u64::from_str_radix(queued, 16).ok()?;
        Some(Line { port: u16::from_str_radix(port, 16).ok()?, state, queued, inode })
    }

    /// The sockets that this process has open.
    fn sockets() -> Option<BTreeSet<Inode>> {
        let files = fs::read_dir("/proc/self/fd").ok()?;
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let inodes = targets.filter_map(|target| {
            target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
        });
        Some(inodes.collect())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use core::time::Duration;
    use std::collections::BTreeMap;

    use super::Peer;

    pub(super) const fn cpu_time() -> Duration {
        Duration::ZERO
    }

    pub(super) const fn peers() -> BTreeMap<u16, Peer> {
        BTreeMap::new()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use core::time::Duration;
    use std::collections::BTreeMap;
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::thread;
    use std::time::Instant;

    use super::{Fresh, Later, Peer, Survey, Taken};

    const NOW: Fresh = Fresh { ago: Duration::ZERO, pace: Duration::ZERO };

    const ANY: Fresh = Fresh { ago: Duration::MAX, pace: Duration::MAX };

    /// What a survey says that is taken after now.
    fn peer(survey: &Survey, port: u16) -> Peer {
        loop {
            match survey.peer(port, NOW) {
                Ok(sighting) => return sighting.peer,
                Err(Later(wait)) => thread::sleep(wait),
            }
        }
    }

    #[test]
    fn a_connection_stands_while_it_is_open() {
        let survey = Survey::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!peer(&survey, address.port()).stands());
        let socket = TcpStream::connect(address).unwrap();
        assert!(peer(&survey, address.port()).stands());
        drop((socket, listener));
        assert!(!peer(&survey, address.port()).stands());
    }

    #[test]
    fn what_nobody_reads_is_queued_in_its_socket() {
        let survey = Survey::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut sockets = [(); 2].map(|()| TcpStream::connect(address).unwrap());
        assert!(peer(&survey, address.port()).queues.is_empty());
        for (before, socket) in sockets.iter_mut().enumerate() {
            assert_eq!(peer(&survey, address.port()).queues.len(), before);
            socket.set_nonblocking(true).unwrap();
            while socket.write(&[0; 65536]).is_ok() {}
        }
        let queues = peer(&survey, address.port()).queues;
        assert!(queues.len() == 2 && queues.values().all(|queued| *queued > 0), "{queues:?}");
    }

    #[test]
    fn requests_share_what_was_looked_up_since_they_wait() {
        let survey = Survey::new();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        assert!(!peer(&survey, port).stands());
        let _socket = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        // Who asks for no more than what the last survey has seen gets just that.
        let first = survey.peer(port, ANY).unwrap();
        assert!(first.number == 1 && !first.peer.stands());
    }

    #[test]
    fn nobody_is_asked_while_a_survey_that_cost_much_is_fresh() {
        let survey = Survey::new();
        let (at, took, peers) = (Instant::now(), Duration::ZERO, BTreeMap::new());
        let cost = Duration::from_secs(3600);
        *survey.taken.lock().unwrap() = Some(Taken { number: 7, at, took, cost, peers });
        for pace in [Duration::ZERO, Duration::MAX] {
            let now = survey.peer(1, Fresh { ago: Duration::ZERO, pace });
            assert!(matches!(now, Err(Later(wait)) if wait > cost), "{now:?}");
            assert_eq!(survey.peer(1, Fresh { ago: Duration::MAX, pace }).unwrap().number, 7);
        }
    }

    #[test]
    fn a_survey_that_costs_much_is_followed_by_a_long_rest_unless_a_timeout_is_short() {
        const SECOND: Duration = Duration::from_secs(1);
        // What it cost, how often somebody has to know, and how long the rest is, in milliseconds.
        let table = [
            (0, 0, 10),
            (0, 5_000, 10),
            (5, 5_000, 100),
            (50, 250, 250),
            (50, 20, 100),
            (50, 5_000, 1_000),
        ];
        for (cost, pace, rest) in table {
            let [cost, pace, rest] = [cost, pace, rest].map(Duration::from_millis);
            let (at, peers) = (Instant::now(), BTreeMap::new());
            let taken = Taken { number: 1, at, took: SECOND, cost, peers };
            assert_eq!(taken.rest(pace), SECOND + rest, "{cost:?}, {pace:?}");
        }
    }
}
