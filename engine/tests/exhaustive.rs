//! Every sequence of outcomes up to six attempts, against a naive model of the requirements.
//!
//! The model shares nothing with the engine: it has its own classes, its own table of what each is
//! (R-D-2, R-D-3, R-D-7, R-RA-1), its own milliseconds and its own budgets. The walk is depth first:
//! where a call has ended no outcome can follow, so one run stands for all sequences that begin so.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![allow(clippy::print_stdout, reason = "the counts of the walk are worth reading")]

mod common;

use common::{Always, at_ms, ms};
use redial_engine::{
    Action, Backoff, Budget, Call, Delivery, Failure, FailureKind, Finality, Jitter, Outcome,
    PauseCause, Reason, Replay, Retry, ServerHint, StandardPolicy, Timestamp, Upstream, Verdict,
};

const DEPTH: usize = 6;

/// What an attempt can come to, as far as the model tells outcomes apart.
#[derive(Clone, Copy, Debug)]
enum Seen {
    Ok,
    NotFound,
    ServerError,
    Unavailable,
    UnavailableFor2s,
    ThrottledFor400s,
    ServerErrorFor2s,
    SaidNo,
    NotFoundSaidYes,
    Reset,
    ConnectTimeout,
    Stale,
    Truncated,
    BadCertificate,
}

/// Every class, and how it is said to the engine.
const CLASSES: [(Seen, Outcome); 14] = [
    (Seen::Ok, Outcome::status(200)),
    (Seen::NotFound, Outcome::status(404)),
    (Seen::ServerError, Outcome::status(500)),
    (Seen::Unavailable, Outcome::status(503)),
    (Seen::UnavailableFor2s, Outcome::hinted(503, ServerHint::NONE.after(ms(2_000)))),
    (Seen::ThrottledFor400s, Outcome::hinted(429, ServerHint::NONE.after(ms(400_000)))),
    (Seen::ServerErrorFor2s, Outcome::hinted(500, ServerHint::NONE.after(ms(2_000)))),
    (Seen::SaidNo, Outcome::hinted(503, ServerHint::NONE.should_retry(false))),
    (Seen::NotFoundSaidYes, Outcome::hinted(404, ServerHint::NONE.should_retry(true))),
    (Seen::Reset, Outcome::failure(FailureKind::Reset, Delivery::Unknown)),
    (Seen::ConnectTimeout, Outcome::failure(FailureKind::ConnectTimeout, Delivery::Unsent)),
    (
        Seen::Stale,
        Outcome::Failure(Failure::new(FailureKind::Closed, Delivery::Unsent).on_reused()),
    ),
    (Seen::Truncated, Outcome::failure(FailureKind::Truncated, Delivery::Answered)),
    (Seen::BadCertificate, Outcome::failure(FailureKind::Tls, Delivery::Unsent)),
];

/// What the requirements say of a class.
struct Row {
    /// It is retried, if all else allows it.
    retried: bool,
    /// It is proved that the server saw nothing.
    unsent: bool,
    /// It came on a reused connection and may be sent again uncounted (R-D-7).
    stale: bool,
    /// How long the server asked to wait, where that counts.
    hint: Option<u64>,
    /// AWS 2.0 takes so many tokens for its retry.
    aws_cost: i64,
    end: Option<End>,
}

impl Seen {
    const fn row(self) -> Row {
        let plain =
            Row { retried: true, unsent: false, stale: false, hint: None, aws_cost: 5, end: None };
        let lost = Row { aws_cost: 10, ..plain };
        match self {
            Self::Ok => Row { retried: false, end: Some(End::Success), ..plain },
            Self::NotFound => Row { retried: false, end: Some(End::Status), ..plain },
            Self::SaidNo => Row { retried: false, end: Some(End::ServerSaidNo), ..plain },
            Self::BadCertificate => {
                Row { retried: false, unsent: true, end: Some(End::Failure), ..plain }
            }
            Self::ServerError | Self::Unavailable | Self::NotFoundSaidYes => plain,
            // R-RA-1: a hint counts on 429 and 503.
            Self::ServerErrorFor2s => plain,
            Self::UnavailableFor2s => Row { hint: Some(2_000), ..plain },
            Self::ThrottledFor400s => Row { hint: Some(400_000), ..plain },
            Self::Reset | Self::Truncated => lost,
            Self::ConnectTimeout => Row { unsent: true, ..lost },
            Self::Stale => Row { unsent: true, stale: true, ..lost },
        }
    }
}

/// How a call can end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Success,
    Status,
    Failure,
    ServerSaidNo,
    NotRepeatable,
    BodySpent,
    AttemptsExhausted,
    HintBeyondCap,
    DeadlineWouldPass,
    BudgetExhausted,
}

/// What follows an outcome, or a wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Send { number: u32, fresh: bool, until: Option<u64> },
    Sleep { wait: u64, until: u64, asked_for: bool },
    End { why: End, attempts: u32 },
}

/// A budget by its published rules, in milli-tokens.
#[derive(Clone, Copy, Debug)]
enum Rules {
    /// Tokens, and tokens a second.
    Bucket {
        capacity: i64,
        refill: i64,
    },
    Aws20,
    Grpc {
        max: i64,
        ratio: i64,
    },
    Unlimited,
    Empty,
}

/// What a walk is made under.
#[derive(Clone, Copy, Debug)]
struct Setting {
    replay: Replay,
    max_attempts: u32,
    deadline: Option<u64>,
    attempt_timeout: Option<u64>,
    hint_cap: u64,
    rules: Rules,
    /// How long each attempt takes, and how late each timer fires.
    attempt: u64,
    late: u64,
    /// The attempt at which a one-shot body is pulled.
    body_spent_at: Option<u32>,
}

const PLAIN: Setting = Setting {
    replay: Replay::Freely,
    max_attempts: 5,
    deadline: None,
    attempt_timeout: None,
    hint_cap: 300_000,
    rules: Rules::Unlimited,
    attempt: 100,
    late: 0,
    body_spent_at: None,
};

const TWO_TOKENS: Rules = Rules::Bucket { capacity: 2_000, refill: 0 };

const SETTINGS: &[Setting] = &[
    Setting { max_attempts: 7, ..PLAIN },
    Setting { rules: Rules::Aws20, ..PLAIN },
    Setting { max_attempts: 1, ..PLAIN },
    Setting { max_attempts: 2, ..PLAIN },
    Setting { replay: Replay::IfUnsent, max_attempts: 7, ..PLAIN },
    Setting { replay: Replay::IfUnsent, rules: TWO_TOKENS, deadline: Some(3_000), ..PLAIN },
    Setting { replay: Replay::Never, ..PLAIN },
    Setting { deadline: Some(3_000), ..PLAIN },
    Setting { deadline: Some(3_100), attempt_timeout: Some(100), ..PLAIN },
    Setting { deadline: Some(8_000), late: 1_500, rules: Rules::Aws20, ..PLAIN },
    Setting { deadline: Some(4_000), late: 700, rules: TWO_TOKENS, ..PLAIN },
    Setting { deadline: Some(0), ..PLAIN },
    Setting { deadline: Some(100), ..PLAIN },
    Setting { attempt_timeout: Some(50), ..PLAIN },
    Setting { attempt_timeout: Some(5_000), rules: TWO_TOKENS, ..PLAIN },
    Setting { hint_cap: 1_999, ..PLAIN },
    Setting { hint_cap: 400_000, rules: TWO_TOKENS, ..PLAIN },
    Setting { rules: Rules::Bucket { capacity: 1_000, refill: 1 }, max_attempts: 4, ..PLAIN },
    Setting { rules: Rules::Bucket { capacity: 1_000, refill: 10_000 }, max_attempts: 4, ..PLAIN },
    Setting { rules: Rules::Grpc { max: 4_000, ratio: 800 }, ..PLAIN },
    Setting { rules: Rules::Grpc { max: 5_000, ratio: 100 }, late: 30, ..PLAIN },
    Setting { rules: Rules::Empty, ..PLAIN },
    Setting { body_spent_at: Some(1), ..PLAIN },
    Setting { body_spent_at: Some(2), rules: TWO_TOKENS, deadline: Some(9_000), ..PLAIN },
];

/// The requirements, read out one after the other.
struct Model {
    setting: Setting,
    now: u64,
    number: u32,
    resent: bool,
    began: u64,
    slept: u64,
    spent: bool,
    paid: i64,
    tokens: i64,
    refilled: u64,
}

impl Model {
    const fn new(setting: Setting) -> Self {
        let tokens = match setting.rules {
            Rules::Bucket { capacity, .. } => capacity,
            Rules::Aws20 => 500_000,
            Rules::Grpc { max, .. } => max,
            Rules::Unlimited | Rules::Empty => 0,
        };
        Self {
            setting,
            now: 0,
            number: 0,
            resent: false,
            began: 0,
            slept: 0,
            spent: false,
            paid: 0,
            tokens,
            refilled: 0,
        }
    }

    fn begin(&mut self) -> Next {
        if self.past_deadline(self.now) {
            return self.end(End::DeadlineWouldPass);
        }
        self.send()
    }

    fn past_deadline(&self, at: u64) -> bool {
        self.setting.deadline.is_some_and(|deadline| at >= deadline)
    }

    fn send(&mut self) -> Next {
        self.number += 1;
        self.resent = false;
        self.began = self.now;
        self.sent()
    }

    fn sent(&self) -> Next {
        Next::Send { number: self.number, fresh: self.resent, until: self.cut_off() }
    }

    /// An attempt gets its own timeout, and at most what is left of the deadline (R-T-5).
    fn cut_off(&self) -> Option<u64> {
        let own = self.setting.attempt_timeout.map(|timeout| self.began + timeout);
        own.into_iter().chain(self.setting.deadline).min()
    }

    const fn end(&self, why: End) -> Next {
        Next::End { why, attempts: self.number }
    }

    fn finish(&mut self, seen: Seen) -> Next {
        self.now += self.setting.attempt;
        self.spent |= self.setting.body_spent_at == Some(self.number);
        let row = seen.row();
        let too_late = self.cut_off().is_some_and(|end| self.now >= end);
        if row.stale && !self.resent && !self.spent && !too_late {
            self.resent = true;
            return self.sent();
        }
        if !row.retried {
            return self.last(row.end.expect("what is not retried ends the call"));
        }
        if let Rules::Grpc { .. } = self.setting.rules {
            self.tokens = (self.tokens - 1_000).max(0);
        }
        // The order is R-D-9's.
        let repeatable = match self.setting.replay {
            Replay::Freely => true,
            Replay::IfUnsent => row.unsent,
            Replay::Never => false,
        };
        if !repeatable {
            return self.end(End::NotRepeatable);
        }
        if self.spent {
            return self.end(End::BodySpent);
        }
        if self.number == self.setting.max_attempts {
            return self.end(End::AttemptsExhausted);
        }
        if row.hint.is_some_and(|hint| hint > self.setting.hint_cap) {
            return self.end(End::HintBeyondCap);
        }
        // R-B-1 without jitter: 1, 2, 4, 8, 16, 32, 60 s.
        let backoff = [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000];
        let wait = row.hint.unwrap_or_else(|| backoff[self.number as usize - 1]);
        if self.past_deadline(self.now + wait) {
            return self.end(End::DeadlineWouldPass);
        }
        if !self.pay(row.aws_cost * 1_000) {
            return self.end(End::BudgetExhausted);
        }
        self.slept = wait;
        Next::Sleep { wait, until: self.now + wait, asked_for: row.hint.is_some() }
    }

    fn last(&mut self, why: End) -> Next {
        if why == End::Success {
            match self.setting.rules {
                Rules::Aws20 if self.number == 1 => {
                    self.tokens = (self.tokens + 1_000).min(500_000)
                }
                Rules::Aws20 => self.tokens = (self.tokens + self.paid).min(500_000),
                Rules::Grpc { max, ratio } => self.tokens = (self.tokens + ratio).min(max),
                Rules::Bucket { .. } | Rules::Unlimited | Rules::Empty => {}
            }
        }
        self.end(why)
    }

    fn pay(&mut self, aws: i64) -> bool {
        let cost = match self.setting.rules {
            Rules::Bucket { capacity, refill } => {
                // A token a second is a milli-token a millisecond.
                self.tokens += (self.now - self.refilled) as i64 * refill;
                self.tokens = self.tokens.min(capacity);
                self.refilled = self.now;
                1_000
            }
            Rules::Aws20 => aws,
            Rules::Grpc { max, .. } if self.tokens <= max / 2 => return false,
            Rules::Empty => return false,
            Rules::Grpc { .. } | Rules::Unlimited => 0,
        };
        if self.tokens < cost {
            return false;
        }
        self.tokens -= cost;
        self.paid = cost;
        true
    }

    fn wake(&mut self) -> Next {
        self.now += self.slept + self.setting.late;
        if self.past_deadline(self.now) {
            // What was paid for a retry that is not made comes back.
            self.tokens += self.paid;
            return self.end(End::DeadlineWouldPass);
        }
        self.send()
    }
}

/// The engine under the same setting.
struct Engine<'a> {
    setting: Setting,
    policy: &'a StandardPolicy,
    upstream: Upstream,
    now: Timestamp,
    action: Option<Action<&'a StandardPolicy>>,
}

impl Setting {
    fn policy(&self) -> StandardPolicy {
        let mut policy = StandardPolicy::builder()
            .max_attempts(self.max_attempts)
            .retry_after_max(ms(self.hint_cap))
            .backoff(Backoff::DEFAULT.jitter(Jitter::None));
        if let Some(timeout) = self.attempt_timeout {
            policy = policy.attempt_timeout(ms(timeout));
        }
        policy.build().unwrap()
    }

    fn budget(&self) -> Budget {
        match self.rules {
            Rules::Bucket { capacity, refill } => Budget::builder()
                .capacity(u32::try_from(capacity / 1_000).unwrap())
                .refill_per_second(u32::try_from(refill).unwrap())
                .build()
                .unwrap(),
            Rules::Aws20 => Budget::AWS_STANDARD_2_0,
            Rules::Grpc { max, ratio } => Budget::grpc((max / 1_000) as u32, ratio as u32).unwrap(),
            Rules::Unlimited => Budget::UNLIMITED,
            Rules::Empty => Budget::EMPTY,
        }
    }
}

impl<'a> Engine<'a> {
    const fn new(setting: Setting, policy: &'a StandardPolicy, budget: Budget) -> Self {
        let upstream = Upstream::new(budget);
        Self { setting, policy, upstream, now: Timestamp::ORIGIN, action: None }
    }

    fn begin(&mut self) -> Next {
        let mut call = Call::new(self.setting.replay);
        if let Some(deadline) = self.setting.deadline {
            call = call.deadline(at_ms(deadline));
        }
        let action = Retry::new(self.policy).begin(call, self.now, &mut self.upstream);
        self.next(Verdict::Next(action))
    }

    fn finish(&mut self, outcome: &Outcome) -> Next {
        let Some(Action::Send(mut attempt)) = self.action.take() else { panic!("nothing is sent") };
        if self.setting.body_spent_at == Some(attempt.number().get()) {
            attempt.body_spent();
        }
        self.now = self.now.saturating_add(ms(self.setting.attempt));
        let mut rng = Always::lowest();
        let verdict = attempt.finish(outcome, self.now, &mut self.upstream, &mut rng);
        assert_eq!(rng.draws, 0, "no jitter, no draw (R-B-5)");
        self.next(verdict)
    }

    fn wake(&mut self) -> Next {
        let Some(Action::Sleep(pause)) = self.action.take() else { panic!("nothing sleeps") };
        self.now = pause.until().saturating_add(ms(self.setting.late));
        let action = pause.resume(self.now, &mut self.upstream);
        self.next(Verdict::Next(action))
    }

    /// The same in the model's words.
    fn next(&mut self, verdict: Verdict<&'a StandardPolicy>) -> Next {
        let action = match verdict {
            Verdict::Done(end) => {
                let why = match end.finality {
                    Finality::Success => End::Success,
                    Finality::Status => End::Status,
                    Finality::Failure => End::Failure,
                    Finality::ServerSaidNo => End::ServerSaidNo,
                    _ => panic!("the model knows no {:?}", end.finality),
                };
                return Next::End { why, attempts: end.attempts };
            }
            Verdict::Next(action) => action,
        };
        let next = match &action {
            Action::Send(attempt) => Next::Send {
                number: attempt.number().get(),
                fresh: attempt.needs_fresh_connection(),
                until: attempt.deadline().map(|cutoff| millis(cutoff.at)),
            },
            Action::Sleep(pause) => Next::Sleep {
                wait: pause.wait().as_millis() as u64,
                until: millis(pause.until()),
                asked_for: pause.cause() == PauseCause::ServerHint,
            },
            Action::GiveUp(why) => Next::End { why: reason(why.reason), attempts: why.attempts },
        };
        self.action = Some(action);
        next
    }
}

const fn millis(at: Timestamp) -> u64 {
    at.as_nanos() / 1_000_000
}

fn reason(reason: Reason) -> End {
    match reason {
        Reason::NotRepeatable => End::NotRepeatable,
        Reason::BodySpent => End::BodySpent,
        Reason::AttemptsExhausted => End::AttemptsExhausted,
        Reason::HintBeyondCap => End::HintBeyondCap,
        Reason::DeadlineWouldPass => End::DeadlineWouldPass,
        Reason::BudgetExhausted => End::BudgetExhausted,
        _ => panic!("the model knows no {reason:?}"),
    }
}

/// Runs one sequence through both, as far as the call goes; how many outcomes it took.
fn run(
    setting: &Setting,
    policy: &StandardPolicy,
    budget: Budget,
    sequence: &[usize; DEPTH],
) -> usize {
    let mut model = Model::new(*setting);
    let mut engine = Engine::new(*setting, policy, budget);
    let mut taken = 0;
    let same = |expected: Next, found: Next, taken: usize| {
        if expected != found {
            let seen: Vec<_> = sequence[..taken].iter().map(|class| CLASSES[*class].0).collect();
            panic!("{setting:?}\nafter {seen:?}\nexpected {expected:?}\n   found {found:?}");
        }
        expected
    };
    let mut next = same(model.begin(), engine.begin(), taken);
    loop {
        next = match next {
            Next::Send { .. } if taken == DEPTH => break,
            Next::Send { .. } => {
                let (seen, outcome) = &CLASSES[sequence[taken]];
                taken += 1;
                same(model.finish(*seen), engine.finish(outcome), taken)
            }
            Next::Sleep { .. } => same(model.wake(), engine.wake(), taken),
            Next::End { .. } => break,
        };
    }
    let held = engine.upstream.tokens_milli() as i64;
    assert_eq!(held, model.tokens, "tokens left of {setting:?} after {:?}", &sequence[..taken]);
    taken
}

/// Walks all sequences; how many runs that took, and how many sequences they stand for.
fn walk(setting: &Setting) -> (u64, u64) {
    let classes = CLASSES.len();
    let (policy, budget) = (setting.policy(), setting.budget());
    let mut sequence = [0; DEPTH];
    let (mut runs, mut sequences) = (0, 0);
    loop {
        let taken = run(setting, &policy, budget, &sequence);
        runs += 1;
        sequences += (classes as u64).pow((DEPTH - taken) as u32);
        // The next sequence differs in the last outcome that was taken, or before.
        let Some(last) = sequence[..taken].iter().rposition(|class| class + 1 < classes) else {
            return (runs, sequences);
        };
        sequence[last] += 1;
        sequence[last + 1..].fill(0);
    }
}

#[test]
fn every_sequence_of_six_outcomes_is_decided_as_the_requirements_say() {
    let all = (CLASSES.len() as u64).pow(DEPTH as u32);
    let mut total = 0;
    for setting in SETTINGS {
        let (runs, sequences) = walk(setting);
        assert_eq!(sequences, all, "{setting:?}: no sequence is left out");
        total += runs;
    }
    println!("{all} sequences under each of {} settings, in {total} runs", SETTINGS.len());
}
