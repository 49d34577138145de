//! What a simulated run is made of: data, drawn from a seed, written as one line and read again.

mod bounds;
mod expand;
mod fault;
mod follow;
mod hint;
mod text;

use core::time::Duration;

use redial_engine::{
    Backoff, Budget, BudgetError, HintRules, Jitter, PolicyError, Replay, StandardPolicy,
};

pub use self::fault::Fault;
pub use self::follow::Unfollowable;
pub(crate) use self::hint::Asked;
pub use self::hint::Hint;
pub use self::text::Unreadable;
use crate::rng::Seed;

/// A whole run: the client's settings, its calls, and what goes wrong.
///
/// [`Scenario::of`] draws one from a seed. It is written as a line of `key=value` words, and such a
/// line is a scenario again: that is how a run is replayed when the seed alone no longer says it,
/// after shrinking.
///
/// ```
/// use redial_sim::{Level, Scenario, Seed};
///
/// let scenario = Scenario::of(Seed(1), Level::Messages);
/// assert_eq!(scenario.to_string().parse(), Ok(scenario));
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "scenarios are written by hand as well")]
pub struct Scenario {
    /// Of the jitter, the latency and the lateness of timers.
    pub seed: Seed,
    /// Whether whole messages are simulated, or every byte.
    pub level: Level,
    /// When the client tries again.
    pub policy: PolicyPlan,
    /// How often it may; `None` for no bound.
    pub budget: Option<BudgetPlan>,
    /// The most connections (bytes only).
    pub connections: u32,
    /// The most of them that are kept while nobody uses them (bytes only).
    pub idle: u32,
    /// Whether the client has a default header.
    pub defaults: bool,
    /// The longest that a message is under way, in milliseconds; the least is one.
    pub latency: u32,
    /// By how much timers may be late, in milliseconds.
    pub late: u32,
    /// The calls.
    pub calls: Vec<CallPlan>,
    /// What goes wrong.
    pub faults: Vec<FaultPlan>,
    /// What clocks do.
    pub steps: Vec<ClockStep>,
}

/// What is simulated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Level {
    /// Whole messages, through the real client.
    Messages,
    /// Every byte of HTTP/1.1, through the real client and the real HTTP transport on virtual
    /// sockets.
    Bytes,
    /// The same of HTTP/2.
    Http2,
}

impl Level {
    /// Whether there are bytes, and so connections.
    pub const fn has_connections(self) -> bool {
        matches!(self, Self::Bytes | Self::Http2)
    }
}

/// When the client tries again. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "scenarios are written by hand as well")]
pub struct PolicyPlan {
    /// The most attempts.
    pub attempts: u32,
    /// The first wait, before jitter.
    pub base: u32,
    /// The longest wait.
    pub cap: u32,
    /// How waits are spread.
    pub jitter: Jitter,
    /// The longest attempt; zero for no limit.
    pub attempt_timeout: u32,
    /// The longest `Retry-After` that is heeded.
    pub hint_max: u32,
    /// A status that is retried beside the usual ones; zero for none.
    pub also: u16,
    /// Whether hints in milliseconds are heeded.
    pub millis: bool,
    /// Whether a server may say that another attempt makes sense, or makes none.
    pub should_retry: bool,
}

/// How often the client may try again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_enums, reason = "scenarios are written by hand as well")]
pub enum BudgetPlan {
    /// A token for each retry.
    Tokens {
        /// The most tokens, which is what there are at first.
        capacity: u32,
        /// What each call puts in, in milli-tokens.
        deposit: u32,
        /// The tokens that come back each second.
        refill: u32,
    },
    /// Retries above half of the tokens, of which each failure takes one (gRPC).
    Throttle {
        /// The most tokens, which is what there are at first.
        tokens: u32,
        /// What each success puts in, in milli-tokens.
        ratio: u32,
    },
}

/// One call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "scenarios are written by hand as well")]
pub struct CallPlan {
    /// When it is made, in milliseconds.
    pub at: u32,
    /// Its method.
    pub method: Verb,
    /// How long its body is; none where that is zero.
    pub body: u32,
    /// Whether its body can be produced only once.
    pub once: bool,
    /// Whether it may be repeated, where that is not the method's to say.
    pub replay: Option<Replay>,
    /// How long it may take, in milliseconds; zero for no limit.
    pub timeout: u32,
    /// After how many milliseconds it is dropped; zero for never.
    pub cancel: u32,
    /// Where it goes.
    pub target: Target,
    /// Whether it has a value of its own for the client's default header.
    pub own: bool,
    /// Whether it has an idempotency key.
    pub key: bool,
    /// Whether its deadline is past when it is made.
    pub expired: bool,
}

/// Where a call goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Target {
    /// To the base URL of the client.
    Home,
    /// To another origin, by its whole URL.
    Elsewhere,
    /// Nowhere: its URL can be read in two ways.
    Ambiguous,
}

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Verb {
    /// GET.
    Get,
    /// PUT.
    Put,
    /// POST.
    Post,
}

/// A fault, and whom it strikes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "scenarios are written by hand as well")]
pub struct FaultPlan {
    /// Which call, from 0.
    pub call: u32,
    /// Which send of it, from 1; a transparent re-send counts.
    pub send: u32,
    /// What goes wrong.
    pub fault: Fault,
}

/// What the clocks of the machine do at one time. Times are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(clippy::exhaustive_structs, reason = "scenarios are written by hand as well")]
pub struct ClockStep {
    /// When.
    pub at: u32,
    /// By how much the wall clock is stepped, on or back.
    pub wall: i32,
    /// For how long the machine is suspended: nothing happens meanwhile.
    pub suspend: u32,
}

impl Scenario {
    /// What strikes this send, if anything.
    pub fn fault(&self, call: u32, send: u32) -> Option<Fault> {
        let struck = self.faults.iter().find(|plan| plan.call == call && plan.send == send);
        struck.map(|plan| plan.fault)
    }
}

impl PolicyPlan {
    /// The policy, as the engine has it.
    ///
    /// # Errors
    ///
    /// [`PolicyError`] where its numbers make no sense.
    pub fn policy(&self) -> Result<StandardPolicy, PolicyError> {
        let backoff =
            Backoff::exponential(millis(self.base)).cap(millis(self.cap)).jitter(self.jitter);
        let builder = StandardPolicy::builder()
            .max_attempts(self.attempts)
            .backoff(backoff)
            .retry_after_max(millis(self.hint_max));
        let builder = if self.also > 0 { builder.retry_status(self.also) } else { builder };
        match self.attempt_timeout {
            0 => builder.build(),
            timeout => builder.attempt_timeout(millis(timeout)).build(),
        }
    }

    /// Which headers of a response it heeds.
    pub const fn hints(&self) -> HintRules {
        HintRules::DEFAULT.retry_after_ms(self.millis).should_retry(self.should_retry)
    }
}

impl BudgetPlan {
    /// The budget, as the engine has it.
    ///
    /// # Errors
    ///
    /// [`BudgetError`] where its numbers make no sense.
    pub const fn budget(&self) -> Result<Budget, BudgetError> {
        match *self {
            Self::Tokens { capacity, deposit, refill } => {
                let builder = Budget::builder().capacity(capacity).deposit_milli(deposit);
                builder.refill_per_second(refill).build()
            }
            Self::Throttle { tokens, ratio } => Budget::grpc(tokens, ratio),
        }
    }
}

impl CallPlan {
    /// A GET at the origin of time, and nothing special about it.
    pub const GET: Self = Self {
        at: 0,
        method: Verb::Get,
        body: 0,
        once: false,
        replay: None,
        timeout: 0,
        cancel: 0,
        target: Target::Home,
        own: false,
        key: false,
        expired: false,
    };

    /// Whether it may be repeated: what was said of it, or what its key or its method says
    /// (R-D-4).
    pub fn replay(&self) -> Replay {
        let by_method = match self.method {
            Verb::Get | Verb::Put => Replay::Freely,
            Verb::Post if self.key => Replay::Freely,
            Verb::Post => Replay::Never,
        };
        self.replay.unwrap_or(by_method)
    }
}

impl Verb {
    /// The method, as HTTP has it.
    pub const fn method(self) -> http::Method {
        match self {
            Self::Get => http::Method::GET,
            Self::Put => http::Method::PUT,
            Self::Post => http::Method::POST,
        }
    }
}

pub(crate) const fn millis(millis: u32) -> Duration {
    Duration::from_millis(millis as u64)
}
