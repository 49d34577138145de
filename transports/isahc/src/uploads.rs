//! What the servers have accepted of the uploads that are under way.
//!
//! What curl has taken of an upload, less what waits in its socket, has been accepted, but for the
//! little that curl holds itself. Which socket is whose, neither curl nor the system says. So all
//! uploads to one port of the servers' are counted together: no upload gives back what it was rid
//! of, so that where the sum does not grow, none of them moves. While some move, nothing is known
//! of the others, and they have curl's own limit.
//!
//! The system's list has the sockets of the whole process. So the uploads of all transports are
//! counted, or what waits in the sockets of one would be taken for another's. What is as little as
//! the head of a request counts for nothing: where a network is gone, a request without a body
//! waits in its socket too.

use core::time::Duration;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::survey::{Fresh, Later, Queues, Sighting, Survey};
use crate::upload::Progress;

/// Those of the process.
pub(crate) static UPLOADS: Uploads = Uploads::new();

/// What waits in a socket may be the head of a request, unless it is more than this.
pub(crate) const HEAD: u64 = 16 * 1024;

/// What the last survey shows is of no use: the next may be.
const SOON: Later = Later(Duration::ZERO);

/// The uploads that curl has.
#[derive(Debug)]
pub(crate) struct Uploads {
    survey: Survey,
    /// By the ports of their servers.
    groups: Mutex<BTreeMap<u16, Group>>,
}

/// How it is with one upload.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Whether some of it certainly waits in its socket.
    pub(crate) waits: bool,
    /// Whether some of any upload does.
    pub(crate) any_waits: bool,
    /// For how long nothing of it has been accepted, as far as is known.
    pub(crate) still: Duration,
}

/// An upload's place among those that are counted, for as long as curl has it.
#[derive(Debug)]
pub(crate) struct Entry {
    uploads: &'static Uploads,
    port: u16,
    upload: Progress,
}

impl Uploads {
    const fn new() -> Self {
        Self { survey: Survey::new(), groups: Mutex::new(BTreeMap::new()) }
    }

    /// Counts one more to this port of the server's, whose connection may have others on it, or may
    /// not.
    pub(crate) fn enter(&'static self, (port, shares): (u16, bool), upload: &Progress) -> Entry {
        let mut groups = self.groups();
        let group = groups.entry(port).or_default();
        group.changed = self.survey.begun();
        group.members.push(Member::new(upload.clone(), shares));
        Entry { uploads: self, port, upload: upload.clone() }
    }

    fn leave(&self, port: u16, upload: &Progress) {
        let mut groups = self.groups();
        let Some(group) = groups.get_mut(&port) else { return };
        group.changed = self.survey.begun();
        let left = group.leave(upload);
        if group.members.is_empty() {
            groups.remove(&port);
        }
        // With it may go a body, and code of its owner's run: not under the lock.
        drop((groups, left));
    }

    /// How it is with that upload, or was earlier, where it was seen to be still for as long as
    /// `enough`.
    pub(crate) fn look(
        &self,
        (port, upload): (u16, &Progress),
        fresh: Fresh,
        enough: Duration,
    ) -> Result<Seen, Later> {
        // What is still leaves together: the first to leave is for the others a change, after
        // which they would have to be watched anew.
        let before = self.seen(port, upload);
        if before.is_ok_and(|seen| seen.waits && seen.still >= enough) {
            return before;
        }
        let Sighting { number, at, peer } = self.survey.peer(port, fresh)?;
        if let Some(group) = self.groups().get_mut(&port) {
            group.update(number, at, peer.queues)?;
        }
        self.seen(port, upload)
    }

    /// How it was with that upload when it was last looked at.
    fn seen(&self, port: u16, upload: &Progress) -> Result<Seen, Later> {
        let groups = self.groups();
        // What curl has let go of waits no more.
        groups.get(&port).map_or(Ok(Seen::default()), |group| group.seen(upload))
    }

    fn groups(&self) -> MutexGuard<'_, BTreeMap<u16, Group>> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.uploads.leave(self.port, &self.upload);
    }
}

/// The uploads to one port.
#[derive(Debug, Default)]
struct Group {
    members: Vec<Member>,
    /// How many surveys had been begun when a member last came or left.
    changed: u64,
    /// What the last survey that counts has shown.
    last: Option<Shown>,
    /// How much has been accepted since some time, and the most that it was: while curl sends what
    /// it holds to nobody, that is less.
    accepted: i128,
    most: i128,
}

/// What a survey has shown of a group.
#[derive(Debug)]
struct Shown {
    number: u64,
    at: Instant,
    queues: Queues,
    /// Whether each member has a socket in which something waits.
    all_wait: bool,
}

#[derive(Debug)]
struct Member {
    upload: Progress,
    shares: bool,
    /// How much curl had taken when that was last looked at.
    taken: u64,
    /// Since when it is known to be still; `None` before it has been looked at.
    since: Option<Instant>,
}

impl Member {
    const fn new(upload: Progress, shares: bool) -> Self {
        Self { upload, shares, taken: 0, since: None }
    }
}

impl Group {
    fn seen(&self, upload: &Progress) -> Result<Seen, Later> {
        let Some(member) = self.members.iter().find(|member| member.upload.is(upload)) else {
            return Ok(Seen::default());
        };
        let (Some(shown), Some(since)) = (&self.last, member.since) else { return Err(SOON) };
        let still = shown.at.saturating_duration_since(since);
        Ok(Seen { waits: shown.all_wait, any_waits: !shown.queues.is_empty(), still })
    }

    /// Takes what a survey shows, unless a member has come or left since it was begun: its socket
    /// may be there without it, or it without its socket.
    fn update(&mut self, number: u64, at: Instant, mut queues: Queues) -> Result<(), Later> {
        if self.last.as_ref().is_some_and(|last| number <= last.number) {
            return Ok(());
        }
        if number <= self.changed {
            return Err(SOON);
        }
        queues.retain(|_, queued| *queued > HEAD);
        let still = self.is_still(&queues);
        for member in &mut self.members {
            let stand = member.upload.stand();
            member.taken = stand.taken;
            // A slow source is no silence of the server's (R-T-3).
            let since = member.since.filter(|_| still && !stand.source_pending);
            member.since = Some(since.unwrap_or(at));
        }
        // Each that waits has a socket of its own, or they are fewer than the members.
        let all_wait = queues.len() >= self.members.len();
        self.last = Some(Shown { number, at, queues, all_wait });
        Ok(())
    }

    /// Forgets one that curl has let go of, and with it how much of it all curl holds.
    fn leave(&mut self, upload: &Progress) -> Option<Member> {
        let place = self.members.iter().position(|member| member.upload.is(upload))?;
        self.most = self.accepted;
        Some(self.members.swap_remove(place))
    }

    /// Whether nothing has been accepted since the last look of what waited then and waits now.
    fn is_still(&mut self, queues: &Queues) -> bool {
        let before = |socket| self.last.as_ref()?.queues.get(socket);
        let kept = queues.iter().filter_map(|(socket, now)| Some((before(socket)?, now)));
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

#[cfg(test)]
mod tests {
    use core::pin::Pin;
    use core::task::{Context, Poll, Waker};
    use core::time::Duration;
    use std::time::Instant;

    use futures_io::AsyncRead;
    use redial_client::{Body, ThreadClock};

    use super::{Entry, Queues, Seen, Uploads};
    use crate::survey::Later;
    use crate::upload::{Progress, Upload};

    /// Nobody's port, to which no upload of the other tests goes.
    const PORT: u16 = 1;

    /// An upload, of which a test takes what curl would.
    struct Curl {
        body: Upload,
        progress: Progress,
        _entry: Entry,
    }

    /// Uploads, and a system that says what a test has it say.
    struct Scene {
        uploads: &'static Uploads,
        clock: ThreadClock,
        began: Instant,
    }

    impl Scene {
        fn new(uploads: &'static Uploads) -> Self {
            Self { uploads, clock: ThreadClock::start().unwrap(), began: Instant::now() }
        }

        fn enter(&self) -> Curl {
            let body = Body::from(vec![b'x'; 1_000_000]);
            let (body, progress, _) = Upload::new(body, (PORT, false), self.clock.clone());
            let entry = self.uploads.enter((PORT, false), &progress);
            Curl { body, progress, _entry: entry }
        }

        /// What a survey shows, `second` seconds after the start: so many KiB by socket.
        fn shows(&self, number: u64, second: u64, queues: &[(u64, u64)]) -> Result<(), Later> {
            let at = self.began + Duration::from_secs(second);
            let queues: Queues = queues.iter().map(|(socket, kib)| (*socket, kib * 1024)).collect();
            self.uploads.groups().get_mut(&PORT).unwrap().update(number, at, queues)
        }

        fn look(&self, second: u64, queues: &[(u64, u64)]) {
            self.shows(self.uploads.survey.begin(), second, queues).unwrap();
        }

        /// Whether all of an upload waits, and for how many seconds nothing was accepted.
        fn seen(&self, curl: &Curl) -> Option<(bool, u64)> {
            let seen = self.uploads.seen(PORT, &curl.progress).ok();
            seen.map(|Seen { waits, still, .. }| (waits, still.as_secs()))
        }
    }

    impl Curl {
        fn takes(&mut self, kib: usize) {
            let mut buffer = vec![0; kib * 1024];
            let mut context = Context::from_waker(Waker::noop());
            let read = Pin::new(&mut self.body).poll_read(&mut context, &mut buffer);
            assert!(matches!(read, Poll::Ready(Ok(length)) if length == buffer.len()));
        }
    }

    #[test]
    fn uploads_are_still_while_all_that_is_taken_of_them_waits() {
        static UPLOADS: Uploads = Uploads::new();
        let scene = Scene::new(&UPLOADS);
        let (mut one, other) = (scene.enter(), scene.enter());
        assert_eq!(scene.seen(&one), None, "nobody has looked");
        scene.look(1, &[(7, 100), (8, 100)]);
        assert_eq!(scene.seen(&one), Some((true, 0)));
        scene.look(2, &[(7, 100), (8, 100)]);
        assert_eq!(scene.seen(&other), Some((true, 1)));
        // The system takes some more, and the server nothing.
        one.takes(50);
        scene.look(3, &[(7, 150), (8, 100)]);
        assert_eq!(scene.seen(&one), Some((true, 2)));
        // Either may be the one of which the server has accepted something.
        scene.look(4, &[(7, 150), (8, 99)]);
        assert_eq!((scene.seen(&one), scene.seen(&other)), (Some((true, 0)), Some((true, 0))));
        // Whose this is, nobody knows.
        scene.look(5, &[(8, 99)]);
        assert_eq!((scene.seen(&one), scene.seen(&other)), (Some((false, 0)), Some((false, 0))));
    }

    #[test]
    fn a_survey_during_which_an_upload_came_or_left_says_nothing() {
        static UPLOADS: Uploads = Uploads::new();
        let scene = Scene::new(&UPLOADS);
        let (stuck, waiting) = (scene.enter(), scene.enter());
        scene.look(1, &[(7, 100)]);
        scene.look(2, &[(7, 100)]);
        assert_eq!(scene.seen(&waiting), Some((false, 0)), "one of both has been accepted");
        // The list still has the socket of the one that leaves.
        let survey = UPLOADS.survey.begin();
        drop(stuck);
        assert!(scene.shows(survey, 3, &[(7, 100)]).is_err());
        assert_eq!(scene.seen(&waiting), Some((false, 0)));
        // And one that comes is not in the list yet.
        let survey = UPLOADS.survey.begin();
        let another = scene.enter();
        assert!(scene.shows(survey, 4, &[]).is_err());
        scene.look(5, &[]);
        assert_eq!(
            (scene.seen(&waiting), scene.seen(&another)),
            (Some((false, 0)), Some((false, 0)))
        );
    }

    #[test]
    fn what_may_be_the_head_of_a_request_is_no_upload() {
        static UPLOADS: Uploads = Uploads::new();
        let scene = Scene::new(&UPLOADS);
        let upload = scene.enter();
        scene.look(1, &[(7, 16)]);
        scene.look(2, &[(7, 16)]);
        assert_eq!(scene.seen(&upload), Some((false, 0)));
        scene.look(3, &[(7, 17)]);
        assert_eq!(scene.seen(&upload), Some((true, 0)));
    }

    #[test]
    fn an_upload_is_forgotten_when_curl_lets_go_of_it() {
        static UPLOADS: Uploads = Uploads::new();
        let scene = Scene::new(&UPLOADS);
        let (one, other) = (scene.enter(), scene.enter());
        drop(one);
        assert_eq!(UPLOADS.groups()[&PORT].members.len(), 1);
        drop(other);
        assert!(UPLOADS.groups().is_empty());
    }
}
