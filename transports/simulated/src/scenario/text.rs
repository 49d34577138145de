//! A scenario as a line of words.

use core::error::Error as StdError;
use core::fmt;
use core::str::FromStr;

use redial_engine::{Jitter, Replay};

use super::{
    BudgetPlan, CallPlan, ClockStep, FaultPlan, Level, PolicyPlan, Scenario, Target, Verb,
};
use crate::rng::Seed;

/// Why a line is no scenario: what was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unreadable(pub(super) &'static str);

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the line is no scenario: expected {}", self.0)
    }
}

impl StdError for Unreadable {}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, level, policy, budget, connections, idle, latency, late, .. } = self;
        write!(f, "seed={seed} level={level} {policy}")?;
        match budget {
            None => {}
            Some(BudgetPlan::Tokens { capacity, deposit, refill }) => {
                write!(f, " budget={capacity}/{deposit}/{refill}")?;
            }
            Some(BudgetPlan::Throttle { tokens, ratio }) => {
                write!(f, " throttle={tokens}/{ratio}")?;
            }
        }
        write!(f, " connections={connections}/{idle} latency={latency} late={late}")?;
        if self.defaults {
            f.write_str(" defaults=yes")?;
        }
        self.calls.iter().try_for_each(|call| write!(f, " call={call}"))?;
        for FaultPlan { call, send, fault } in &self.faults {
            write!(f, " fault={call}.{send}:{fault}")?;
        }
        for ClockStep { at, wall, suspend } in &self.steps {
            write!(f, " step={at}:{wall}:{suspend}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Messages => "messages",
            Self::Bytes => "bytes",
            Self::Http2 => "http2",
        })
    }
}

impl FromStr for Level {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        match text {
            "messages" => Ok(Self::Messages),
            "bytes" => Ok(Self::Bytes),
            "http2" => Ok(Self::Http2),
            _ => Err(Unreadable("messages, bytes or http2")),
        }
    }
}

impl fmt::Display for PolicyPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { attempts, base, cap, jitter, attempt_timeout, hint_max, also, .. } = self;
        write!(f, "attempts={attempts} backoff={base}..{cap} jitter=")?;
        match jitter {
            Jitter::None => f.write_str("none")?,
            Jitter::Full => f.write_str("full")?,
            Jitter::Equal => f.write_str("equal")?,
            Jitter::Decorrelated => f.write_str("decorrelated")?,
            Jitter::Proportional { from_percent } => write!(f, "{from_percent}%")?,
        }
        write!(f, " attempt_timeout={attempt_timeout} hint_max={hint_max}")?;
        if *also > 0 {
            write!(f, " also={also}")?;
        }
        for (heeded, name) in [(self.millis, "millis"), (self.should_retry, "should_retry")] {
            if heeded {
                write!(f, " heeds={name}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for CallPlan {
    /// Such as `120:post:body=10:once:if_unsent:timeout=900:cancel=50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, method, body, replay, timeout, cancel, target, .. } = self;
        let method = match method {
            Verb::Get => "get",
            Verb::Put => "put",
            Verb::Post => "post",
        };
        write!(f, "{at}:{method}")?;
        for (name, value) in [("body", body), ("timeout", timeout), ("cancel", cancel)] {
            if *value > 0 {
                write!(f, ":{name}={value}")?;
            }
        }
        match target {
            Target::Home => {}
            Target::Elsewhere => f.write_str(":elsewhere")?,
            Target::Ambiguous => f.write_str(":ambiguous")?,
        }
        let Self { once, own, key, expired, .. } = *self;
        for (said, name) in [(once, "once"), (own, "own"), (key, "key"), (expired, "expired")] {
            if said {
                write!(f, ":{name}")?;
            }
        }
        match replay {
            None => Ok(()),
            Some(Replay::Freely) => f.write_str(":freely"),
            Some(Replay::IfUnsent) => f.write_str(":if_unsent"),
            Some(Replay::Never) => f.write_str(":never"),
        }
    }
}

impl FromStr for Scenario {
    type Err = Unreadable;

    fn from_str(line: &str) -> Result<Self, Unreadable> {
        let mut scenario = Self::BLANK;
        for word in line.split_whitespace() {
            let (key, value) = word.split_once('=').ok_or(Unreadable("key=value"))?;
            scenario.set(key, value)?;
        }
        scenario.check()?;
        Ok(scenario)
    }
}

impl Scenario {
    /// One without calls, under the settings that a client has by default.
    pub const BLANK: Self = Self {
        seed: Seed(0),
        level: Level::Messages,
        policy: PolicyPlan {
            attempts: 5,
            base: 1_000,
            cap: 60_000,
            jitter: Jitter::DEFAULT,
            attempt_timeout: 0,
            hint_max: 300_000,
            also: 0,
            millis: false,
            should_retry: false,
        },
        budget: None,
        connections: 50,
        idle: 20,
        defaults: false,
        latency: 10,
        late: 0,
        calls: Vec::new(),
        faults: Vec::new(),
        steps: Vec::new(),
    };

    fn set(&mut self, key: &str, value: &str) -> Result<(), Unreadable> {
        match key {
            "seed" => self.seed = value.parse().map_err(|_| Unreadable("a seed"))?,
            "level" => self.level = value.parse()?,
            "attempts" => self.policy.attempts = number(value)?,
            "backoff" => {
                let (base, cap) = value.split_once("..").ok_or(Unreadable("base..cap"))?;
                (self.policy.base, self.policy.cap) = (number(base)?, number(cap)?);
            }
            "jitter" => self.policy.jitter = jitter(value)?,
            "attempt_timeout" => self.policy.attempt_timeout = number(value)?,
            "hint_max" => self.policy.hint_max = number(value)?,
            "also" => self.policy.also = number(value)?,
            "heeds" => match value {
                "millis" => self.policy.millis = true,
                "should_retry" => self.policy.should_retry = true,
                _ => return Err(Unreadable("millis or should_retry")),
            },
            "budget" => self.budget = Some(budget(value)?),
            "throttle" => {
                let (tokens, ratio) = value.split_once('/').ok_or(Unreadable("tokens/ratio"))?;
                let (tokens, ratio) = (number(tokens)?, number(ratio)?);
                self.budget = Some(BudgetPlan::Throttle { tokens, ratio });
            }
            "connections" => {
                let (most, idle) = value.split_once('/').unwrap_or((value, value));
                (self.connections, self.idle) = (number(most)?, number(idle)?);
            }
            "defaults" => self.defaults = value == "yes",
            "latency" => self.latency = number(value)?,
            "late" => self.late = number(value)?,
            "call" => self.calls.push(value.parse()?),
            "fault" => self.faults.push(fault(value)?),
            "step" => self.steps.push(step(value)?),
            _ => return Err(Unreadable("a key that is known")),
        }
        Ok(())
    }
}

impl FromStr for CallPlan {
    type Err = Unreadable;

    fn from_str(text: &str) -> Result<Self, Unreadable> {
        let mut words = text.split(':');
        let at = number(words.next().unwrap_or_default())?;
        let method = match words.next() {
            Some("get") => Verb::Get,
            Some("put") => Verb::Put,
            Some("post") => Verb::Post,
            _ => return Err(Unreadable("get, put or post")),
        };
        let mut call = Self { at, method, ..Self::GET };
        for word in words {
            match word.split_once('=') {
                None => call.set(word)?,
                Some(("body", value)) => call.body = number(value)?,
                Some(("timeout", value)) => call.timeout = number(value)?,
                Some(("cancel", value)) => call.cancel = number(value)?,
                Some(_) => return Err(Unreadable("body, timeout or cancel")),
            }
        }
        Ok(call)
    }
}

impl CallPlan {
    fn set(&mut self, word: &str) -> Result<(), Unreadable> {
        match word {
            "once" => self.once = true,
            "own" => self.own = true,
            "key" => self.key = true,
            "expired" => self.expired = true,
            "elsewhere" => self.target = Target::Elsewhere,
            "ambiguous" => self.target = Target::Ambiguous,
            _ => self.replay = Some(replay(word)?),
        }
        Ok(())
    }
}

fn number<N: FromStr>(text: &str) -> Result<N, Unreadable> {
    text.parse().map_err(|_| Unreadable("a number"))
}

fn replay(text: &str) -> Result<Replay, Unreadable> {
    match text {
        "freely" => Ok(Replay::Freely),
        "if_unsent" => Ok(Replay::IfUnsent),
        "never" => Ok(Replay::Never),
        _ => Err(Unreadable("freely, if_unsent or never")),
    }
}

fn jitter(text: &str) -> Result<Jitter, Unreadable> {
    match text {
        "none" => Ok(Jitter::None),
        "full" => Ok(Jitter::Full),
        "equal" => Ok(Jitter::Equal),
        "decorrelated" => Ok(Jitter::Decorrelated),
        _ => {
            let percent = text.strip_suffix('%').ok_or(Unreadable("a kind of jitter"))?;
            Ok(Jitter::Proportional { from_percent: number(percent)? })
        }
    }
}

fn budget(text: &str) -> Result<BudgetPlan, Unreadable> {
    let mut numbers = text.split('/').map(number);
    match (numbers.next(), numbers.next(), numbers.next(), numbers.next()) {
        (Some(capacity), Some(deposit), Some(refill), None) => {
            let (capacity, deposit, refill) = (capacity?, deposit?, refill?);
            Ok(BudgetPlan::Tokens { capacity, deposit, refill })
        }
        _ => Err(Unreadable("capacity/deposit/refill")),
    }
}

fn fault(text: &str) -> Result<FaultPlan, Unreadable> {
    const EXPECTED: Unreadable = Unreadable("call.send:fault");
    let (place, fault) = text.split_once(':').ok_or(EXPECTED)?;
    let (call, send) = place.split_once('.').ok_or(EXPECTED)?;
    Ok(FaultPlan { call: number(call)?, send: number(send)?, fault: fault.parse()? })
}

fn step(text: &str) -> Result<ClockStep, Unreadable> {
    const EXPECTED: Unreadable = Unreadable("at:wall:suspend");
    let (at, rest) = text.split_once(':').ok_or(EXPECTED)?;
    let (wall, suspend) = rest.split_once(':').ok_or(EXPECTED)?;
    Ok(ClockStep { at: number(at)?, wall: number(wall)?, suspend: number(suspend)? })
}
