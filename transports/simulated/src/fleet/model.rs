//! What a server is like, as data.

use core::time::Duration;

use serde::Deserialize;

use super::scenario::overlap;
use crate::rng::Stream;

/// What a server is like.
///
/// The default is ideal: it answers 200 at once, however many ask.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Server {
    /// How long a message takes on the network, there and back again: no time.
    pub network: Delay,
    /// How long a request is worked on: no time.
    pub service: Delay,
    /// How many requests are worked on at a time, in the order of their arrival, ten million at most;
    /// the rest wait: any number.
    pub workers: Option<u32>,
    /// How many requests may wait for a worker. Beyond, a request is answered 503 at once: any
    /// number.
    pub queue: Option<u32>,
    /// How much longer a request takes for each other one that is worked on: not at all.
    #[serde(with = "humantime_serde")]
    pub slowdown: Duration,
    /// How many attempts of each call are answered 503 before one is answered 200: none.
    pub fails_first: u32,
    /// How many requests are let in: any number.
    pub rate_limit: Option<RateLimit>,
    /// How it comes back after a fault: at once.
    pub slow_start: Option<SlowStart>,
    /// When it misbehaves; no two windows overlap.
    pub faults: Vec<Window>,
}

/// A length of time that is drawn anew for each use.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Delay {
    /// Always the same.
    Fixed(#[serde(with = "humantime_serde")] Duration),
    /// Anything between the two, equally likely.
    Uniform(Span),
    /// Exponential, with this mean.
    Exponential(#[serde(with = "humantime_serde")] Duration),
    /// Normal; what is below zero counts as if it were above.
    Normal(Normal),
    /// Log-normal: the long tail of real services.
    LogNormal(LogNormal),
}

/// The shortest and the longest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a span has two ends")]
pub struct Span {
    /// The shortest.
    #[serde(with = "humantime_serde")]
    pub from: Duration,
    /// The longest.
    #[serde(with = "humantime_serde")]
    pub to: Duration,
}

/// Mean and standard deviation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a normal deviate has two parameters")]
pub struct Normal {
    /// The mean.
    #[serde(with = "humantime_serde")]
    pub mean: Duration,
    /// The standard deviation.
    #[serde(with = "humantime_serde")]
    pub deviation: Duration,
}

/// Median, and the standard deviation of the logarithm.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a log-normal deviate has two parameters")]
pub struct LogNormal {
    /// The median.
    #[serde(with = "humantime_serde")]
    pub median: Duration,
    /// The standard deviation of the logarithm: 0.5 is a short tail, 1.5 a long one.
    pub sigma: f64,
}

impl Default for Delay {
    fn default() -> Self {
        Self::Fixed(Duration::ZERO)
    }
}

impl Delay {
    /// A length of time, in nanoseconds. What is fixed draws nothing.
    #[inline]
    pub fn draw(&self, random: &mut Stream) -> u64 {
        match *self {
            Self::Fixed(length) => nanos(length),
            Self::Uniform(Span { from, to }) => random.between(nanos(from), nanos(to)),
            Self::Exponential(mean) => scaled(mean, random.exponential()),
            Self::Normal(Normal { mean, deviation }) => {
                let (mean, deviation) = (nanos(mean) as f64, nanos(deviation) as f64);
                (mean + deviation * random.normal()).abs() as u64
            }
            Self::LogNormal(LogNormal { median, sigma }) => {
                scaled(median, libm::exp(sigma * random.normal()))
            }
        }
    }

    /// What makes no sense, where something does not.
    fn check(&self, field: &str) -> Result<(), String> {
        match self {
            Self::Uniform(Span { from, to }) if from > to => {
                Err(format!("{field}.uniform: the shortest is longer than the longest"))
            }
            Self::LogNormal(LogNormal { sigma, .. }) if !(0.0..=100.0).contains(sigma) => {
                Err(format!("{field}.log_normal.sigma: choose 0 to 100"))
            }
            Self::Fixed(_)
            | Self::Uniform(_)
            | Self::Exponential(_)
            | Self::Normal(_)
            | Self::LogNormal(_) => Ok(()),
        }
    }

    /// The length where it is always the same, in nanoseconds.
    pub(crate) const fn fixed(&self) -> Option<u64> {
        match self {
            Self::Fixed(length) => Some(nanos(*length)),
            Self::Uniform(_) | Self::Exponential(_) | Self::Normal(_) | Self::LogNormal(_) => None,
        }
    }
}

/// So many requests in each window of time; beyond, 429 with `Retry-After` until the window ends,
/// in whole seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a limit is a number in a time")]
pub struct RateLimit {
    /// How many requests.
    pub requests: u32,
    /// In how long a time.
    #[serde(with = "humantime_serde")]
    pub per: Duration,
}

/// After a fault, work takes longer at first and is at full speed after a while.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[allow(clippy::exhaustive_structs, reason = "a ramp has a foot and a length")]
pub struct SlowStart {
    /// How fast it is at first, in percent of full speed: 1 to 100.
    pub from_percent: u32,
    /// How long it takes to full speed.
    #[serde(with = "humantime_serde")]
    pub over: Duration,
}

/// A time in which the server misbehaves.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Window {
    /// When it begins.
    #[serde(with = "humantime_serde")]
    pub from: Duration,
    /// When it has ended.
    #[serde(with = "humantime_serde")]
    pub until: Duration,
    /// How it misbehaves.
    pub kind: Fault,
    /// With `errors`, the status that it answers, 200 to 999: 503.
    #[serde(default = "unavailable")]
    pub status: u16,
    /// With `errors`, how many requests of a thousand fare so: all.
    #[serde(default = "thousand")]
    pub permille: u32,
    /// With `errors`, what it says in `Retry-After`: nothing.
    #[serde(default, with = "humantime_serde")]
    pub retry_after: Option<Duration>,
}

/// How a server misbehaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Fault {
    /// It answers a status at once, and does no work.
    Errors,
    /// It accepts requests and works on none until the window ends.
    Stalls,
    /// It refuses connections.
    Refuses,
    /// It accepts requests and never answers.
    Silent,
}

impl Fault {
    /// What the server does, in a word: the variant's name in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Stalls => "stalls",
            Self::Refuses => "refuses",
            Self::Silent => "silent",
        }
    }
}

const fn unavailable() -> u16 {
    503
}

const fn thousand() -> u32 {
    1000
}

impl Window {
    pub(super) const fn covers(&self, at: u64) -> bool {
        nanos(self.from) <= at && at < nanos(self.until)
    }

    /// Whether it has what only `errors` make use of.
    fn says_something(&self) -> bool {
        let default = (unavailable(), thousand(), None);
        (self.status, self.permille, self.retry_after) != default
    }

    pub(super) fn stalls(&self, at: u64) -> bool {
        self.kind == Fault::Stalls && self.covers(at)
    }
}

/// More workers than this are refused: each takes memory.
const MAX_WORKERS: u32 = 10_000_000;

impl Server {
    /// Whether every request is answered at once, and with success.
    pub(super) fn takes_no_time(&self) -> bool {
        let is_instant = |delay: &Delay| delay.fixed() == Some(0);
        is_instant(&self.network) && is_instant(&self.service) && self.fails_first == 0
    }

    /// What makes no sense, where something does not.
    pub(super) fn check(&self) -> Result<(), String> {
        let says = |what: &str| Err(what.to_owned());
        if self.workers.is_some_and(|workers| !(1..=MAX_WORKERS).contains(&workers)) {
            return says("server.workers: choose 1 to 10,000,000");
        }
        if self.queue.is_some() && self.workers.is_none() {
            return says("server.queue: nobody waits where there are as many workers as requests");
        }
        if self.rate_limit.is_some_and(|limit| limit.per.is_zero()) {
            return says("server.rate_limit.per: nothing happens in no time");
        }
        if self.slow_start.is_some_and(|slow| !(1..=100).contains(&slow.from_percent)) {
            return says("server.slow_start.from_percent: choose 1 to 100");
        }
        for window in &self.faults {
            let Window { from, until, status, permille, .. } = window;
            if from >= until {
                return says("server.faults: a window ends before it begins");
            }
            if window.kind != Fault::Errors && window.says_something() {
                return says("server.faults: status, permille and retry_after go with errors");
            }
            if !(200..1000).contains(status) || *permille > 1000 {
                return says("server.faults: a status is 200 to 999, a share 0 to 1000 permille");
            }
        }
        if overlap(self.faults.iter().map(|window| (window.from, window.until))) {
            return says("server.faults: two windows overlap");
        }
        self.network.check("server.network")?;
        self.service.check("server.service")
    }
}

/// What fits: 584 years.
pub(crate) const fn nanos(duration: Duration) -> u64 {
    let nanos = duration.as_nanos();
    if nanos > u64::MAX as u128 { u64::MAX } else { nanos as u64 }
}

fn scaled(length: Duration, factor: f64) -> u64 {
    // A cast from a float saturates.
    (nanos(length) as f64 * factor) as u64
}
