//! A scenario as it is written: who calls, what the server is like, and the contenders.

use core::fmt;
use core::time::Duration;

use redial_engine::{Budget, Replay, StandardPolicy};
use serde::Deserialize;

use super::checks::max_attempts;
use super::model::Server;

/// Calls of many clients to one server, once for each contender.
///
/// Durations are written as `"250ms"`, `"1s"` or `"5min"`. A field that is left out has its
/// default; a field that does not exist is an error.
///
/// ```
/// use redial_sim::fleet::Scenario;
///
/// let scenario = Scenario::from_toml(
///     r#"
///     title = "A short outage"
///     duration = "60s"
///
///     [load]
///     rate = 100.0
///
///     [server]
///     workers = 4
///     service = { exponential = "20ms" }
///     faults = [{ kind = "errors", from = "20s", until = "25s", status = 503 }]
///
///     [[contender]]
///     name = "defaults"
///     "#,
/// )?;
/// assert_eq!(scenario.contenders.len(), 1);
/// # Ok::<(), redial_sim::fleet::ScenarioError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Scenario {
    /// What it shows, in a few words.
    pub title: String,
    /// How many clients there are, each with a retry budget of its own: 1.
    #[serde(default = "one")]
    pub clients: u32,
    /// How long calls are begun, a century at most. Those that are open then still go to their
    /// ends.
    #[serde(with = "humantime_serde")]
    pub duration: Duration,
    /// When calls begin.
    pub load: Load,
    /// What they meet.
    #[serde(default)]
    pub server: Server,
    /// The ways to call that are compared; all meet the same load under the same seed.
    #[serde(rename = "contender", default)]
    pub contenders: Vec<Contender>,
}

/// When calls begin: at a rate that does not care how calls fare, or by clients that do.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(untagged, expecting = "a load has a `rate` and perhaps `spikes`, or it has `every`")]
#[allow(clippy::exhaustive_enums, reason = "loads are open or closed")]
pub enum Load {
    /// Calls arrive at random (a Poisson process), each at a random client.
    Open(Open),
    /// Each client calls again a while after its last call has ended.
    Closed(Closed),
}

/// Calls that arrive at random.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Open {
    /// Calls a second, over all clients.
    pub rate: f64,
    /// Times with another rate; no two overlap.
    #[serde(default)]
    pub spikes: Vec<Spike>,
}

/// A time with another rate.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Spike {
    /// When it begins.
    #[serde(with = "humantime_serde")]
    pub from: Duration,
    /// When it has ended.
    #[serde(with = "humantime_serde")]
    pub until: Duration,
    /// Calls a second meanwhile.
    pub rate: f64,
}

/// Clients that call again and again.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Closed {
    /// How long a client rests between its calls, on average; the rests are exponential deviates.
    /// Zero: it calls again at once, which takes a server that takes its time.
    #[serde(with = "humantime_serde")]
    pub every: Duration,
}

/// One way to call: what of a client's configuration bears on retries.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Contender {
    /// What it is called in tables and plots.
    pub name: String,
    /// Whether and when to send again.
    #[serde(default)]
    pub policy: StandardPolicy,
    /// How much load retries may add.
    #[serde(default)]
    pub budget: Budget,
    /// Whether its requests may be repeated: freely.
    #[serde(default = "freely")]
    pub replay: Replay,
    /// Its timeouts.
    #[serde(default)]
    pub timeouts: Timeouts,
}

impl Contender {
    /// A contender with this policy and this budget.
    pub fn new(name: impl Into<String>, policy: StandardPolicy, budget: Budget) -> Self {
        let timeouts = Timeouts::default();
        Self { name: name.into(), policy, budget, replay: Replay::Freely, timeouts }
    }
}

/// The timeouts of a client that bear on a server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Timeouts {
    /// The longest silence while waiting for an answer, a century at most: 10 s (R-T-2).
    #[serde(with = "humantime_serde")]
    pub read: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { read: Duration::from_secs(10) }
    }
}

const fn one() -> u32 {
    1
}

const fn freely() -> Replay {
    Replay::Freely
}

/// More clients than this are refused: each takes memory.
const MAX_CLIENTS: u32 = 10_000_000;
/// More calls than this are refused: an hour's work, and more than any figure needs.
const MAX_CALLS: f64 = 1e10;
/// More attempts than this are refused, for the same reason.
const MAX_ATTEMPTS: u32 = 1_000;
/// Longer times are refused: the clock ends after 584 years.
const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

impl Scenario {
    /// Reads a scenario.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] says in one line what is wrong, and where.
    pub fn from_toml(text: &str) -> Result<Self, ScenarioError> {
        let scenario: Self = toml::from_str(text).map_err(|error| ScenarioError {
            place: error.span().map(|span| place(text, span.start)),
            what: error.message().replace('\n', " "),
        })?;
        scenario.check()?;
        Ok(scenario)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    ///
    /// [`ScenarioError`] names the first field that makes no sense.
    pub fn check(&self) -> Result<(), ScenarioError> {
        require(is_line(&self.title), "title: it is one line, and not empty")?;
        require(!self.duration.is_zero(), "duration: nothing happens in no time")?;
        require(self.duration <= CENTURY, "duration: choose at most a century")?;
        require((1..=MAX_CLIENTS).contains(&self.clients), "clients: choose 1 to 10,000,000")?;
        self.check_contenders()?;
        self.check_load()?;
        self.server.check().map_err(|what| ScenarioError { place: None, what })
    }

    fn check_contenders(&self) -> Result<(), ScenarioError> {
        require(!self.contenders.is_empty(), "contender: at least one is needed")?;
        let names = self.contenders.iter().map(|contender| &contender.name);
        require(names.clone().all(|name| is_line(name)), "contender.name: it is one line")?;
        let again =
            names.clone().enumerate().any(|(n, name)| names.clone().take(n).any(|o| o == name));
        require(!again, "contender: two have the same name")?;
        let tries = self.contenders.iter().map(|contender| max_attempts(&contender.policy)).max();
        let what = "contender.policy.max_attempts: choose at most 1,000";
        require(tries.is_none_or(|tries| tries <= MAX_ATTEMPTS), what)?;
        // For who waits for ever there would be no end.
        let patient = self.contenders.iter().any(|contender| contender.timeouts.read > CENTURY);
        require(!patient, "contender.timeouts.read: choose at most a century")
    }

    fn check_load(&self) -> Result<(), ScenarioError> {
        match &self.load {
            Load::Open(Open { rate, spikes }) => {
                let rates = spikes.iter().map(|spike| spike.rate).chain([*rate]);
                let what = "load: a rate is 0 to 10,000,000 calls a second";
                require(rates.clone().all(is_rate), what)?;
                let in_order = spikes.iter().all(|spike| spike.from < spike.until);
                require(in_order, "load.spikes: one ends before it begins")?;
                let spans = spikes.iter().map(|spike| (spike.from, spike.until));
                require(!overlap(spans), "load.spikes: two overlap")?;
                let most = rates.fold(0.0, f64::max) * self.duration.as_secs_f64();
                require(most <= MAX_CALLS, "load: more than 10,000,000,000 calls")
            }
            Load::Closed(Closed { every }) => {
                let for_ever = every.is_zero() && self.server.takes_no_time();
                let what = "load.every: who calls again at once needs a server that takes its time";
                require(!for_ever, what)
            }
        }
    }

    /// From when until when the server misbehaves, or calls begin at another rate; and which it is,
    /// in a word.
    pub fn windows(&self) -> impl Iterator<Item = (Duration, Duration, &'static str)> {
        let spikes: &[Spike] = match &self.load {
            Load::Open(open) => &open.spikes,
            Load::Closed(_) => &[],
        };
        let faults = self.server.faults.iter();
        let faults = faults.map(|window| (window.from, window.until, window.kind.name()));
        faults.chain(spikes.iter().map(|spike| (spike.from, spike.until, "spike")))
    }
}

fn is_rate(rate: f64) -> bool {
    // What is a little less than nothing would come at once.
    (0.0..=1e7).contains(&rate) && rate.is_sign_positive()
}

/// Whether this can stand in a table.
fn is_line(text: &str) -> bool {
    !text.trim().is_empty() && !text.contains(char::is_control)
}

/// Whether two spans of time have a moment in common.
pub(super) fn overlap(spans: impl Iterator<Item = (Duration, Duration)>) -> bool {
    let mut spans: Vec<(Duration, Duration)> = spans.collect();
    spans.sort_unstable();
    spans.iter().zip(spans.iter().skip(1)).any(|((_, until), (from, _))| from < until)
}

pub(super) fn require(holds: bool, what: &str) -> Result<(), ScenarioError> {
    if holds { Ok(()) } else { Err(ScenarioError { place: None, what: what.to_owned() }) }
}

/// Line and column of a byte, both beginning with 1.
fn place(text: &str, byte: usize) -> (usize, usize) {
    let before = text.get(..byte).unwrap_or(text);
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or(before).chars().count() + 1;
    (line, column)
}

/// Why a scenario cannot be played.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScenarioError {
    /// Line and column, where they are known.
    place: Option<(usize, usize)>,
    what: String,
}

impl fmt::Display for ScenarioError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((line, column)) = self.place {
            write!(f, "line {line}, column {column}: ")?;
        }
        f.write_str(&self.what)
    }
}

impl core::error::Error for ScenarioError {}
