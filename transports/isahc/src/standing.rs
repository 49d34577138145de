//! Whether curl's connection stands: the system's view of this process's sockets.
//!
//! curl says when it is connected only with the response, and of a request without a body it asks
//! for nothing that would show it. How long the server has been silent is then unknown, and a
//! silence would have to last for the connect timeout beside the read timeout before it is surely
//! one. Linux lists sockets with their state, so that the wait need not be that long.

use core::time::Duration;

use redial_engine::Timestamp;

/// Since when the connection of one request is known to stand.
///
/// It is looked at after an eighth of the read timeout, and then after twice the time each.
pub(crate) struct Standing {
    /// The peer's port where nothing but TCP comes before the request; of TLS the system knows
    /// nothing.
    plain: Option<u16>,
    began: Timestamp,
    next: Timestamp,
    since: Option<Timestamp>,
}

impl Standing {
    /// Of a request that begins now.
    pub(crate) fn new(plain: Option<u16>, began: Timestamp, read_timeout: Duration) -> Self {
        let first = (read_timeout / 8).max(Duration::from_millis(10));
        let next = plain.map_or(Timestamp::MAX, |_| began.saturating_add(first));
        Self { plain, began, next, since: None }
    }

    /// Looks, where it is time to.
    pub(crate) fn look(&mut self, now: Timestamp) {
        let Some(port) = self.plain.filter(|_| now >= self.next && self.since.is_none()) else {
            return;
        };
        if stands(port) {
            (self.since, self.next) = (Some(now), Timestamp::MAX);
        } else {
            self.next = now.saturating_add(now.saturating_since(self.began));
        }
    }

    /// When it is time to look again; never, where it stands.
    pub(crate) const fn next_look(&self) -> Timestamp {
        self.next
    }

    /// Since when it surely stands.
    pub(crate) const fn since(&self) -> Option<Timestamp> {
        self.since
    }
}

/// Whether this process has a connection to that port which stands, and none that is being made.
///
/// Where the system does not say, no connection stands. Costs a look at every socket: for requests
/// that have waited for long alone.
fn stands(port: u16) -> bool {
    system::states(port).is_some_and(|states| {
        let any = |state| states.iter().any(|it| it == state);
        any(system::ESTABLISHED) && !any(system::CONNECTING)
    })
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::BTreeSet;
    use std::fs;

    /// As `/proc/net/tcp` writes it: `TCP_ESTABLISHED` of the kernel's `tcp_states.h`.
    pub(super) const ESTABLISHED: &str = "01";

    /// `TCP_SYN_SENT`.
    pub(super) const CONNECTING: &str = "02";

    /// The states of this process's sockets whose peer has that port.
    pub(super) fn states(port: u16) -> Option<Vec<String>> {
        let ours = sockets()?;
        let tables = ["/proc/self/net/tcp", "/proc/self/net/tcp6"].map(fs::read_to_string);
        let tables: String = tables.into_iter().flatten().collect();
        let peer = format!(":{port:04X}");
        let states = tables.lines().filter_map(|line| {
            let mut fields = line.split_whitespace().skip(2);
            let (remote, state) = (fields.next()?, fields.next()?);
            let ours = ours.contains(fields.nth(5)?);
            (ours && remote.ends_with(&peer)).then(|| state.to_owned())
        });
        Some(states.collect())
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
    pub(super) const ESTABLISHED: &str = "established";
    pub(super) const CONNECTING: &str = "connecting";

    pub(super) const fn states(_: u16) -> Option<Vec<String>> {
        None
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream};

    use super::stands;

    #[test]
    #[cfg(target_os = "linux")]
    fn a_connection_stands_while_it_is_open() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert!(!stands(address.port()));
        let socket = TcpStream::connect(address).unwrap();
        assert!(stands(address.port()));
        drop((socket, listener));
        assert!(!stands(address.port()));
    }
}
