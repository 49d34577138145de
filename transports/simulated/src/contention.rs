//! Many clients, one row: the contest of "Exponential Backoff and Jitter" (AWS, 2015).
//!
//! Each client has one write to make: it reads the row's version, and writes if the version is
//! still the same; if not, it waits and reads again. All begin together. What is counted is how
//! many writes were sent and how long the last client took. Each of the four ways (read and write,
//! there and back) takes about 10 ms.
//!
//! A failed write is an attempt that ended with a conflict (409), and every wait is the engine's.

use core::time::Duration;

use redial_engine::{
    Action, Attempt, Backoff, Budget, Call, Jitter, Outcome, Pause, PolicyError, Replay, Retry,
    StandardPolicy, Timestamp, Upstream, Verdict,
};

use crate::fleet::{Delay, Normal};
use crate::queue::EventQueue;
use crate::rng::{Seed, Stream};

/// How clients wait that have lost a race: the five algorithms of the article.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_enums, reason = "the article compares five")]
pub enum Algorithm {
    /// Not at all.
    None,
    /// 10 ms, doubled each time, at most 2 s.
    Exponential,
    /// Half of that, and a random part of the other half.
    EqualJitter,
    /// A random part of that.
    FullJitter,
    /// From 5 ms to three times the last wait, at most 2 s.
    DecorrelatedJitter,
}

impl Algorithm {
    /// All of them, in the article's order.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Exponential,
        Self::EqualJitter,
        Self::FullJitter,
        Self::DecorrelatedJitter,
    ];

    /// What it is called in tables and plots.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "no backoff",
            Self::Exponential => "exponential",
            Self::EqualJitter => "equal jitter",
            Self::FullJitter => "full jitter",
            Self::DecorrelatedJitter => "decorrelated jitter",
        }
    }

    /// The policy: as many attempts as it takes, and a conflict is retried.
    ///
    /// # Errors
    ///
    /// None; the engine's builder has to be asked all the same.
    pub const fn policy(self) -> Result<StandardPolicy, PolicyError> {
        let backoff = match self {
            // The engine refuses a base below a millisecond; a shape of one's own may be what it
            // likes.
            Self::None => Backoff::custom(|_| Duration::ZERO).jitter(Jitter::None),
            Self::Exponential => doubling(Jitter::None),
            Self::EqualJitter => doubling(Jitter::Equal),
            Self::FullJitter => doubling(Jitter::Full),
            Self::DecorrelatedJitter => Backoff::exponential(BASE).jitter(Jitter::Decorrelated),
        };
        let backoff = backoff.cap(CAP);
        StandardPolicy::builder()
            .max_attempts(u32::MAX)
            .retry_status(CONFLICT)
            .backoff(backoff)
            .build()
    }
}

const BASE: Duration = Duration::from_millis(5);
const CAP: Duration = Duration::from_secs(2);
const CONFLICT: u16 = 409;

/// The article's exponent is 1 for the first retry: its first wait is twice the base.
const fn doubling(jitter: Jitter) -> Backoff {
    Backoff::exponential(Duration::from_millis(10)).jitter(jitter)
}

/// How a contest went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Contest {
    /// How many writes were sent, those that succeeded included.
    pub writes: u64,
    /// When the last client had succeeded.
    pub completion: Duration,
    /// How many clients succeeded: all of them, unless the engine gave one up.
    pub winners: u32,
}

/// Lets so many clients contend for the row.
pub fn run(clients: u32, policy: &StandardPolicy, seed: Seed) -> Contest {
    let mut race = Race {
        retry: Retry::new(policy),
        upstream: Upstream::new(Budget::UNLIMITED),
        queue: EventQueue::new(),
        network: seed.stream("network"),
        jitter: seed.stream("jitter"),
        version: 0,
        contest: Contest { writes: 0, completion: Duration::ZERO, winners: 0 },
    };
    for _ in 0..clients {
        let upstream = &mut race.upstream;
        let call = Call::new(Replay::Freely);
        let action = race.retry.begin(call, Timestamp::ORIGIN, upstream);
        race.act(action, Timestamp::ORIGIN);
    }
    while let Some((now, step)) = race.queue.pop() {
        race.happen(step, now);
    }
    race.contest
}

type Tries<'a> = Attempt<&'a StandardPolicy>;

/// Where a client's attempt has come to.
enum Step<'a> {
    /// Its read arrives at the row.
    Read(Tries<'a>),
    /// Its write arrives; this is the version that it has read.
    Write(Tries<'a>, u64),
    /// Its answer arrives: whether it was in time.
    Answer(Tries<'a>, bool),
    /// Its wait is over.
    Awake(Pause<&'a StandardPolicy>),
}

struct Race<'a> {
    retry: Retry<&'a StandardPolicy>,
    upstream: Upstream,
    queue: EventQueue<Step<'a>>,
    network: Stream,
    jitter: Stream,
    version: u64,
    contest: Contest,
}

/// One way on the network.
const HOP: Delay =
    Delay::Normal(Normal { mean: Duration::from_millis(10), deviation: Duration::from_millis(2) });

impl<'a> Race<'a> {
    /// When a message arrives that takes so many ways.
    fn arrives(&mut self, now: Timestamp, ways: u32) -> Timestamp {
        (0..ways)
            .fold(now, |at, _| at.saturating_add(Duration::from_nanos(HOP.draw(&mut self.network))))
    }

    fn happen(&mut self, step: Step<'a>, now: Timestamp) {
        match step {
            Step::Read(attempt) => {
                // The answer goes back and the write comes.
                let at = self.arrives(now, 2);
                self.queue.push(at, Step::Write(attempt, self.version));
            }
            Step::Write(attempt, read) => {
                self.contest.writes += 1;
                let in_time = read == self.version;
                self.version += u64::from(in_time);
                let at = self.arrives(now, 1);
                self.queue.push(at, Step::Answer(attempt, in_time));
            }
            Step::Answer(attempt, in_time) => self.finish(attempt, in_time, now),
            Step::Awake(pause) => {
                let action = pause.resume(now, &mut self.upstream);
                self.act(action, now);
            }
        }
    }

    fn finish(&mut self, attempt: Tries<'a>, in_time: bool, now: Timestamp) {
        let outcome = Outcome::status(if in_time { 200 } else { CONFLICT });
        match attempt.finish(&outcome, now, &mut self.upstream, &mut self.jitter) {
            Verdict::Done(_) => {
                self.contest.winners += u32::from(in_time);
                self.contest.completion = now.saturating_since(Timestamp::ORIGIN);
            }
            Verdict::Next(action) => self.act(action, now),
        }
    }

    fn act(&mut self, action: Action<&'a StandardPolicy>, now: Timestamp) {
        match action {
            Action::Send(attempt) => {
                let at = self.arrives(now, 1);
                self.queue.push(at, Step::Read(attempt));
            }
            Action::Sleep(pause) => self.queue.push(pause.until(), Step::Awake(pause)),
            Action::GiveUp(_) => {}
        }
    }
}
