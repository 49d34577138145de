//! What the servers have accepted of the uploads that are under way.
//!
//! What curl has taken of an upload, less what waits in its socket, has been accepted, but for the
//! little that curl holds itself. Which socket is whose, neither curl nor the system says. So all
//! uploads to one port of the servers' are counted together: no upload gives back what it was rid
//! of, so that where the sum does not grow, none of them moves. While some move, nothing is known
//! of the others, and they have curl's own limit.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use redial_engine::Timestamp;

use crate::survey::{Inode, Later, Survey};
use crate::upload::Progress;

/// The uploads of a transport.
#[derive(Debug)]
pub(crate) struct Uploads {
    survey: Arc<Survey>,
    /// By the ports of their servers.
    groups: Mutex<BTreeMap<u16, Group>>,
}

/// How it is with one upload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether some of it certainly waits in its socket.
    pub(crate) waits: bool,
    /// Whether some of any upload does.
    pub(crate) any_waits: bool,
    /// For how long nothing of it has been accepted, as far as is known.
    pub(crate) still: Duration,
}

impl Uploads {
    pub(crate) const fn new(survey: Arc<Survey>) -> Self {
        Self { survey, groups: Mutex::new(BTreeMap::new()) }
    }

    /// Counts one more, whose connection may have others on it, or may not.
    pub(crate) fn add(&self, port: u16, upload: &Progress, shares: bool) {
        let mut groups = self.groups();
        groups.retain(|_, group| group.is_under_way());
        groups.entry(port).or_default().members.push(Member::new(upload.clone(), shares));
    }

    /// How it is with that upload, at some time since `since`, or earlier where it was seen to be
    /// still for as long as `enough`.
    pub(crate) fn look(
        &self,
        (port, upload): (u16, &Progress),
        since: Timestamp,
        enough: Duration,
    ) -> Result<Option<Seen>, Later> {
        let seen = |groups: &BTreeMap<u16, Group>| groups.get(&port)?.seen(upload);
        // What is still leaves together: the first to leave is for the others a change, after
        // which they would have to be watched anew.
        if let Some(seen) = seen(&self.groups()).filter(|seen| seen.waits && seen.still >= enough) {
            return Ok(Some(seen));
        }
        let peer = self.survey.peer(port, since)?;
        let mut groups = self.groups();
        if let Some(group) = groups.get_mut(&port) {
            group.update(peer.at, peer.queues);
        }
        Ok(seen(&groups))
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<u16, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The uploads to one port.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    /// When it was last looked at, and what waited then.
    at: Timestamp,
    queues: BTreeMap<Inode, u64>,
    /// How much has been accepted since some time, and the most that it was: while curl sends what
    /// it holds to nobody, that is less.
    accepted: i128,
    most: i128,
}

#[derive(Debug)]
struct Member {
    upload: Progress,
    shares: bool,
    /// How much curl had taken when that was last looked at.
    taken: u64,
    /// Since when it is known to be still; `None` before it has been looked at.
    since: Option<Timestamp>,
}

impl Member {
    const fn new(upload: Progress, shares: bool) -> Self {
        Self { upload, shares, taken: 0, since: None }
    }
}

impl Group {
    fn is_under_way(&self) -> bool {
        self.members.iter().any(|member| !member.upload.is_released())
    }

    fn seen(&self, upload: &Progress) -> Option<Seen> {
        let member = self.members.iter().find(|member| member.upload.is(upload))?;
        Some(Seen {
            // Each that waits has a socket of its own, or they are fewer than the members.
            waits: self.queues.len() >= self.members.len(),
            any_waits: !self.queues.is_empty(),
            still: self.at.saturating_since(member.since?),
        })
    }

    /// Takes what waited at that time.
    fn update(&mut self, at: Timestamp, queues: BTreeMap<Inode, u64>) {
        if at <= self.at {
            return;
        }
        self.leave();
        let still = self.is_still(&queues);
        for member in &mut self.members {
            let stand = member.upload.stand();
            member.taken = stand.taken;
            // A slow source is no silence of the server's (R-T-3).
            let since = member.since.filter(|_| still && !stand.source_pending);
            member.since = Some(since.unwrap_or(at));
        }
        (self.at, self.queues) = (at, queues);
    }

    /// Forgets those that curl has let go of, and with them how much of it all curl holds.
    fn leave(&mut self) {
        let before = self.members.len();
        self.members.retain(|member| !member.upload.is_released());
        if self.members.len() < before {
            self.most = self.accepted;
        }
    }

    /// Whether nothing has been accepted since the last look of what waited then and waits now.
    fn is_still(&mut self, queues: &BTreeMap<Inode, u64>) -> bool {
        let kept = queues.iter().filter_map(|(socket, now)| Some((self.queues.get(socket)?, now)));
        let (kept, grown) = kept.fold((0_usize, 0_i128), |(kept, grown), (before, now)| {
            (kept + 1, grown + i128::from(*now) - i128::from(*before))
        });
        // A new one is not among what waited, but where it shares its connection.
        let counted = self.members.iter().filter(|member| member.since.is_some() || member.shares);
        let taken = counted
            .map(|member| i128::from(member.upload.stand().taken) - i128::from(member.taken));
        self.accepted += taken.sum::<i128>() - grown;
        let known = self.members.iter().filter(|member| member.since.is_some()).count();
        let still = kept >= known && self.accepted <= self.most;
        self.most = if still { self.most } else { self.accepted };
        still
    }
}
