//! Whether curl's connection stands: the system's view of this process's sockets.
//!
//! curl says when it is connected only with the response, and of a request without a body it asks
//! for nothing that would show it. How long the server has been silent is then unknown, and a
//! silence would have to last for the connect timeout beside the read timeout before it is surely
//! one. Linux lists sockets with their state, so that the wait need not be that long.
//!
//! They also list what waits in each of them for its peer to accept, which curl tells nobody either
//! (`backlog.rs`).
//!
//! Such a list costs milliseconds on a machine with many sockets. So one is made for all requests
//! that wait, and after it none for twenty times as long as it took.

use core::time::Duration;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_client::{Clock, ThreadClock};
use redial_engine::Timestamp;

/// Since when the connection of one request is known to stand.
///
/// It is looked at after an eighth of the read timeout, and then after twice the time each.
pub(crate) struct Standing {
    survey: Arc<Survey>,
    /// The peer's.
    port: u16,
    /// Whether nothing but TCP comes before the request; of TLS the system knows nothing.
    plain: bool,
    began: Timestamp,
    next: Timestamp,
    /// When a look that there was no time for is to be tried again.
    deferred: Timestamp,
    since: Option<Timestamp>,
}

impl Standing {
    /// Of a request that begins now.
    pub(crate) fn new(
        survey: Arc<Survey>,
        (port, plain): (u16, bool),
        read_timeout: Duration,
        began: Timestamp,
    ) -> Self {
        let first = (read_timeout / 8).max(Duration::from_millis(10));
        let next = if plain { began.saturating_add(first) } else { Timestamp::MAX };
        Self { survey, port, plain, began, next, deferred: next, since: None }
    }

    /// Whether it certainly does not: nothing can have been sent then.
    pub(crate) fn is_unconnected(&self, now: Timestamp) -> bool {
        let stand = self.survey.stand(self.port, now);
        stand.is_ok_and(|stand| stand.connecting && !stand.open)
    }

    /// Looks, where it is time to.
    pub(crate) fn look(&mut self, now: Timestamp) {
        let due = now >= self.deferred && self.since.is_none();
        if !self.plain || !due {
            return;
        }
        match self.survey.stands(self.port, self.next) {
            Ok(true) => (self.since, self.deferred) = (Some(now), Timestamp::MAX),
            Ok(false) => {
                self.next = now.saturating_add(now.saturating_since(self.began));
                self.deferred = self.next;
            }
            Err(Later(at)) => self.deferred = at,
        }
    }

    /// When it is time to look again; never, where it stands.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.deferred
    }

    /// Since when it surely stands.
    pub(crate) const fn since(&self) -> Option<Timestamp> {
        self.since
    }
}

/// What the system last said of its sockets, for all requests of a transport.
#[derive(Debug)]
pub(crate) struct Survey {
    clock: ThreadClock,
    taken: Mutex<Taken>,
    /// How many uploads are under way, by the ports of their servers.
    uploads: Mutex<BTreeMap<u16, usize>>,
}

/// The last survey.
#[derive(Debug)]
struct Taken {
    /// When it was begun.
    at: Timestamp,
    /// When the next may be.
    next: Timestamp,
    peers: BTreeMap<u16, Stand>,
}

/// How the connections to one port stand.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Stand {
    established: bool,
    connecting: bool,
    /// Whether one was established, and may be half closed since.
    open: bool,
    /// How many bytes wait in how many sockets for their peer to accept them.
    queued: u64,
    queues: usize,
}

/// The system is not asked just now; it may be at this time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Later(pub(crate) Timestamp);

/// The least time between two surveys.
const PACE: Duration = Duration::from_millis(10);

/// After a survey there is none for so many times as long as it took.
const REST: u32 = 20;

impl Survey {
    pub(crate) const fn new(clock: ThreadClock) -> Self {
        let (at, next) = (Timestamp::ORIGIN, Timestamp::ORIGIN);
        let taken = Mutex::new(Taken { at, next, peers: BTreeMap::new() });
        Self { clock, taken, uploads: Mutex::new(BTreeMap::new()) }
    }

    /// An upload to this port begins.
    pub(crate) fn upload(survey: &Arc<Self>, port: u16) -> Uploading {
        *survey.uploads().entry(port).or_default() += 1;
        Uploading { survey: Arc::clone(survey), port }
    }

    fn uploads(&self) -> MutexGuard<'_, BTreeMap<u16, usize>> {
        self.uploads.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether this process has a connection to that port which stands, and none that is being
    /// made, at some time since `since`. Where the system does not say, no connection stands.
    fn stands(&self, port: u16, since: Timestamp) -> Result<bool, Later> {
        let stand = self.stand(port, since)?;
        Ok(stand.established && !stand.connecting)
    }

    /// How the connections to that port stood at some time since `since`.
    fn stand(&self, port: u16, since: Timestamp) -> Result<Stand, Later> {
        let now = self.clock.now();
        // Whoever finds another at it will have its answer.
        let Ok(mut taken) = self.taken.try_lock() else {
            return Err(Later(now.saturating_add(PACE)));
        };
        if taken.at < since {
            if now < taken.next {
                return Err(Later(taken.next));
            }
            let peers = system::peers();
            let end = self.clock.now();
            let rest = end.saturating_since(now).saturating_mul(REST).max(PACE);
            *taken = Taken { at: now, next: end.saturating_add(rest), peers };
        }
        Ok(taken.peers.get(&port).copied().unwrap_or_default())
    }
}

/// An upload under way.
pub(crate) struct Uploading {
    survey: Arc<Survey>,
    port: u16,
}

impl Uploading {
    /// How many bytes of it waited in its socket, at some time since `since`; `None` where that is
    /// not to be told from others'.
    pub(crate) fn queued(&self, since: Timestamp) -> Result<Option<u64>, Later> {
        let alone = self.survey.uploads().get(&self.port) == Some(&1);
        let stand = self.survey.stand(self.port, since)?;
        Ok((alone && stand.queues == 1).then_some(stand.queued))
    }
}

impl Drop for Uploading {
    fn drop(&mut self) {
        let mut uploads = self.survey.uploads();
        if let Entry::Occupied(mut count) = uploads.entry(self.port) {
            *count.get_mut() = count.get().saturating_sub(1);
            if *count.get() == 0 {
                count.remove();
            }
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;

    use super::Stand;

    /// As `/proc/net/tcp` writes it: `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
    const ESTABLISHED: &str = "01";

    /// `TCP_SYN_SENT`.
    const CONNECTING: &str = "02";

    /// How this process's connections stand, by the ports of their peers.
    pub(super) fn peers() -> BTreeMap<u16, Stand> {
        let ours = sockets().unwrap_or_default();
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(fs::read_to_string);
        let tables: String = tables.into_iter().flatten().collect();
        let mut peers: BTreeMap<u16, Stand> = BTreeMap::new();
        for Line { port, state, queued } in tables.lines().filter_map(|line| read(line, &ours)) {
            let stand = peers.entry(port).or_default();
            stand.established |= state == ESTABLISHED;
            stand.connecting |= state == CONNECTING;
            stand.open |= state != CONNECTING;
            stand.queued = stand.queued.saturating_add(queued);
            stand.queues += usize::from(queued > 0);
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
    }

    /// The connection of a line, where it is ours.
    fn read<'a>(line: &'a str, ours: &BTreeSet<String>) -> Option<Line<'a>> {
        let mut fields = line.split_whitespace().skip(2);
        let (remote, state, queues) = (fields.next()?, fields.next()?, fields.next()?);
        ours.contains(fields.nth(4)?).then_some(())?;
        let (_, port) = remote.rsplit_once(':')?;
        let (queued, _) = queues.split_once(':')?;
        let queued = u64::from_str_radix(queued, 16).ok()?;
        Some(Line { port: u16::from_str_radix(port, 16).ok()?, state, queued })
    }

    /// The inodes of the sockets that this process has open.
    fn sockets() -> Option<BTreeSet<String>> {
        let files = fs::read_dir("/proc/self/fd").ok()?;
        let targets = files.filter_map(|file| fs::read_link(file.ok()?.path()).ok());
        let inodes = targets.filter_map(|target| {
            let inode = target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?;
            Some(inode.to_owned())
        });
        Some(inodes.collect())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::collections::BTreeMap;

    use super::Stand;

    pub(super) const fn peers() -> BTreeMap<u16, Stand> {
        BTreeMap::new()
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::io::Write as _;
    use std::net::{TcpListener, TcpStream};
    use std::sync::Arc;
    use std::thread;

    use redial_client::{Clock, ThreadClock};
    use redial_engine::Timestamp;

    use super::{Later, Survey, Uploading};

    /// What a survey says that is taken after now.
    fn stands(survey: &Survey, port: u16) -> bool {
        let now = survey.clock.now();
        loop {
            match survey.stands(port, now) {
                Ok(stands) => return stands,
                Err(Later(at)) => thread::sleep(at.saturating_since(survey.clock.now())),
            }
        }
    }

    #[test]
    fn a_connection_stands_while_it_is_open() {
        let survey = Survey::new(ThreadClock::start().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!stands(&survey, address.port()));
        let socket = TcpStream::connect(address).unwrap();
        assert!(stands(&survey, address.port()));
        drop((socket, listener));
        assert!(!stands(&survey, address.port()));
    }

    #[test]
    fn what_nobody_reads_is_queued() {
        let survey = Arc::new(Survey::new(ThreadClock::start().unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mut socket = TcpStream::connect(address).unwrap();
        socket.set_nonblocking(true).unwrap();
        let uploading = Survey::upload(&survey, address.port());
        let queued = |uploading: &Uploading| {
            stands(&survey, address.port());
            uploading.queued(Timestamp::ORIGIN).unwrap()
        };
        assert_eq!(queued(&uploading), None, "there is nothing");
        while socket.write(&[0; 65536]).is_ok() {}
        assert!(queued(&uploading).is_some_and(|queued| queued > 0));
        let another = Survey::upload(&survey, address.port());
        assert_eq!(queued(&uploading), None, "it may be the other's");
        drop(another);
        assert!(queued(&uploading).is_some());
    }

    #[test]
    fn requests_share_what_was_looked_up_since_they_wait() {
        let survey = Survey::new(ThreadClock::start().unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!stands(&survey, address.port()));
        let _socket = TcpStream::connect(address).unwrap();
        // Who asks for no more than what the last survey has seen gets just that.
        assert_eq!(survey.stands(address.port(), Timestamp::ORIGIN), Ok(false));
        assert!(matches!(survey.stands(address.port(), survey.clock.now()), Err(Later(_))));
    }
}
