//! Every transition of a call lives in this file; how one ends is in `ending.rs`.
//!
//! ```text
//!  begin ──▶ Send(Attempt) ──finish──▶ Done                   final outcome
//!    │          ▲   ▲  │
//!    │          │   │  ├──▶ Send(Attempt)                     stale connection, not counted
//!    │          │   │  ├──▶ GiveUp                            nothing more may be sent
//!    │          │   │  └──▶ Sleep(Pause) ──resume──▶ Send     the next attempt
//!    │          │   └───────────────────────────┘ │
//!    └──▶ GiveUp                                  └──▶ Sleep  woken too early
//!         the deadline is past                    └──▶ GiveUp the deadline is past
//! ```
//!
//! A state is a value that holds the only legal next step, and the step takes it: an attempt can
//! be finished once, a pause resumed once, and nothing can be sent during a pause. Dropping a
//! value ends the call; there is nothing to clean up.

use core::hint::cold_path;
use core::num::NonZeroU32;
use core::time::Duration;

use rand_core::Rng;

use crate::backoff::{between, percent};
use crate::ending::{Cutoff, Final, Finality, GiveUp, Limit, Reason};
use crate::outcome::{FailureKind, Outcome, Replay};
use crate::policy::{Class, Judgement, Limits, Policy, RetryContext};
use crate::time::{Timestamp, duration, nanos};
use crate::upstream::Upstream;

/// Calls made under one policy.
///
/// `P` is a reference, an `Arc`, or any other policy that is cheap to clone: each call takes one.
#[derive(Clone, Copy, Debug, Default)]
pub struct Retry<P> {
    policy: P,
}

impl<P> Retry<P> {
    /// Calls made under `policy`.
    pub const fn new(policy: P) -> Self {
        Self { policy }
    }

    /// The policy.
    pub const fn policy(&self) -> &P {
        &self.policy
    }
}

impl<P: Policy + Clone> Retry<P> {
    /// Begins a call: answers [`Action::Send`], or [`Action::GiveUp`] where its deadline is past.
    ///
    /// The call's deposit is made here (R-G-1), unless nothing will be sent at all.
    #[inline]
    pub fn begin(&self, call: Call, now: Timestamp, upstream: &mut Upstream) -> Action<P> {
        let limits = self.policy.limits();
        let timeout = set_or(call.timeout, limits.call_timeout);
        let deadline = call.deadline.min(now.after(timeout));
        if passes(deadline, now) && !planted!(PastDeadlineSends) {
            return Action::GiveUp(GiveUp { reason: Reason::DeadlineWouldPass, attempts: 0 });
        }
        let progress = Progress {
            policy: self.policy.clone(),
            deadline,
            attempt_timeout: set_or(call.attempt_timeout, limits.attempt_timeout),
            previous_wait: 0,
            retries: 0,
            max_retries: call.max_attempts.unwrap_or(limits.max_attempts).get() - 1,
            charged: 0,
            replay: call.replay,
            body_spent: false,
        };
        let first = Action::Send(Attempt::of(progress, now));
        // Last, when the rest is out of its registers.
        upstream.bucket.begin(now);
        first
    }
}

/// What is particular to one call: may it be repeated, and its own limits.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Call {
    replay: Replay,
    max_attempts: Option<NonZeroU32>,
    deadline: Timestamp,
    /// Nanoseconds; [`UNSET`] where the policy's holds. So is the other.
    timeout: u64,
    attempt_timeout: u64,
}

impl Call {
    /// A call under the limits of its policy.
    pub const fn new(replay: Replay) -> Self {
        Self { replay, max_attempts: None, deadline: NEVER, timeout: UNSET, attempt_timeout: UNSET }
    }

    /// Whether the request may be repeated, where that is known later than the limits.
    pub const fn replay(self, replay: Replay) -> Self {
        Self { replay, ..self }
    }

    /// Nothing begins at or after this point in time (R-T-5).
    ///
    /// It holds beside a timeout: whichever comes first. [`Timestamp::MAX`] never comes.
    pub const fn deadline(self, at: Timestamp) -> Self {
        Self { deadline: at, ..self }
    }

    /// The longest time that the call may take, its waits included, instead of the policy's.
    ///
    /// Zero gives up at once; more than the clock holds (584 years) never does (R-T-8).
    pub const fn timeout(self, timeout: Duration) -> Self {
        Self { timeout: set(timeout), ..self }
    }

    /// The most attempts, the first included, instead of the policy's.
    pub const fn max_attempts(self, attempts: NonZeroU32) -> Self {
        Self { max_attempts: Some(attempts), ..self }
    }

    /// The longest time that one attempt may take, instead of the policy's.
    pub const fn attempt_timeout(self, timeout: Duration) -> Self {
        Self { attempt_timeout: set(timeout), ..self }
    }
}

/// What to do next.
///
/// Exhaustive on purpose: a driver that overlooks an action is wrong.
#[allow(clippy::exhaustive_enums)]
#[derive(Debug)]
#[must_use = "a call goes on only by carrying out its next action"]
pub enum Action<P> {
    /// Send the request once, and say what came of it.
    Send(Attempt<P>),
    /// Wait, holding neither a connection nor a lock.
    Sleep(Pause<P>),
    /// Hand the caller the last response or failure, with this reason.
    GiveUp(GiveUp),
}

/// What an attempt's outcome means.
///
/// Exhaustive on purpose: a driver that overlooks a verdict is wrong.
#[allow(clippy::exhaustive_enums)]
#[derive(Debug)]
#[must_use = "a verdict says whether the call goes on"]
pub enum Verdict<P> {
    /// The call ends with this very outcome.
    Done(Final),
    /// The outcome is not the end, or is the end only because nothing more may be tried.
    Next(Action<P>),
}

/// What of a call outlives an attempt. Times are nanoseconds.
#[derive(Debug)]
struct Progress<P> {
    policy: P,
    deadline: Timestamp,
    attempt_timeout: u64,
    previous_wait: u64,
    /// How many retries have been begun; at most as many as there may be.
    retries: u32,
    max_retries: u32,
    /// What the budget took for the attempt at hand; zero for the first.
    charged: u32,
    replay: Replay,
    body_spent: bool,
}

/// One send of the request.
#[derive(Debug)]
#[must_use = "an attempt is to be sent, and finished with what came of it"]
pub struct Attempt<P> {
    progress: Progress<P>,
    cutoff: Timestamp,
    resent: bool,
}

impl<P: Policy> Attempt<P> {
    fn of(progress: Progress<P>, now: Timestamp) -> Self {
        let cutoff = progress.deadline.min(now.after(progress.attempt_timeout));
        Self { progress, cutoff, resent: false }
    }

    /// The attempt's number: 1 for the first. A transparent re-send has its attempt's number.
    pub const fn number(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.progress.retries)
    }

    /// When to stop waiting for the outcome, and which limit that is; `None` where there is none.
    ///
    /// Whoever stops waiting finishes the attempt with [`Cutoff::kind`].
    pub fn deadline(&self) -> Option<Cutoff> {
        let limit = if self.cutoff == NEVER {
            return None;
        } else if self.cutoff == self.progress.deadline {
            Limit::Deadline
        } else {
            Limit::AttemptTimeout
        };
        Some(Cutoff { at: self.cutoff, limit })
    }

    /// Whether the request must not go over a connection that has been used before (R-D-7).
    pub const fn needs_fresh_connection(&self) -> bool {
        self.resent
    }

    /// Says that some of a body was pulled that cannot be produced again: nothing may be sent
    /// again, whatever else would allow it (R-D-5).
    pub const fn body_spent(&mut self) {
        self.progress.body_spent = true;
    }

    /// Says what came of the attempt, and answers what that means.
    ///
    /// Reads the clock (`now`) once, draws at most one number, allocates nothing.
    #[inline(always)]
    pub fn finish<R: Rng>(
        self,
        outcome: &Outcome,
        now: Timestamp,
        upstream: &mut Upstream,
        rng: &mut R,
    ) -> Verdict<P> {
        if self.may_resend(outcome, now) {
            return Verdict::Next(Action::Send(Self { resent: true, ..self }));
        }
        match self.progress.policy.judge(outcome) {
            Judgement::Final => Verdict::Done(self.progress.end(outcome, upstream)),
            Judgement::Refused => Verdict::Done(Final {
                finality: Finality::ServerSaidNo,
                attempts: self.progress.attempts(),
            }),
            Judgement::Retry { class, heed_hint } => {
                let heed_hint = heed_hint && !planted!(RetryAfterIgnored);
                let hint = if heed_hint { outcome.hint_nanos() } else { 0 };
                self.retry(outcome, now, upstream, rng, Trouble { class, hint })
            }
        }
    }

    /// Another attempt, unless something forbids it. The order of the reasons is R-D-9's.
    ///
    /// Not inlined, so that the common end of a call does not pay for the registers of this.
    #[inline(never)]
    fn retry<R: Rng>(
        self,
        outcome: &Outcome,
        now: Timestamp,
        upstream: &mut Upstream,
        rng: &mut R,
        trouble: Trouble,
    ) -> Verdict<P> {
        upstream.bucket.failed();
        if let Some(reason) = self.progress.forbids(outcome) {
            return self.progress.give_up(reason);
        }
        let Trouble { class, hint } = trouble;
        let Some((wait, cause)) = self.progress.wait(outcome, class, hint, rng) else {
            return self.progress.give_up(Reason::HintBeyondCap);
        };
        let until = now.after(wait);
        if passes(self.progress.deadline, until) {
            return self.progress.give_up(Reason::DeadlineWouldPass);
        }
        let Some(charged) = upstream.bucket.charge(class, now) else {
            return self.progress.give_up(Reason::BudgetExhausted);
        };
        let progress = Progress { charged, previous_wait: wait, ..self.progress };
        Verdict::Next(Action::Sleep(Pause { progress, until, cause }))
    }

    /// R-D-7: a connection that died unused in the pool costs nothing but another try, once.
    #[inline]
    fn may_resend(&self, outcome: &Outcome, now: Timestamp) -> bool {
        match outcome {
            Outcome::Response { .. } => false,
            Outcome::Failure(failure) => {
                (failure.is_stale_connection() && !planted!(StaleCounted)
                    || planted!(HiddenResend) && matches!(failure.kind, FailureKind::Closed))
                    && !self.resent
                    && !self.progress.body_spent
                    && !passes(self.cutoff, now)
            }
        }
    }
}

/// What the policy makes of an outcome that it would retry.
struct Trouble {
    class: Class,
    /// How long the server asked to wait, in nanoseconds; zero where that does not count.
    hint: u64,
}

impl<P: Policy> Progress<P> {
    /// The call ends with this outcome.
    #[inline]
    fn end(&self, outcome: &Outcome, upstream: &mut Upstream) -> Final {
        let attempts = self.attempts();
        let finality = match outcome {
            Outcome::Response { status: ..400, .. } => {
                upstream.bucket.succeeded((self.retries > 0).then_some(self.charged));
                Finality::Success
            }
            Outcome::Response { .. } => Finality::Status,
            Outcome::Failure(_) => Finality::Failure,
        };
        Final { finality, attempts }
    }

    /// Why the request may not be sent again, whatever the wait would be.
    #[inline]
    fn forbids(&self, outcome: &Outcome) -> Option<Reason> {
        let repeatable = match self.replay {
            Replay::Freely => true,
            Replay::IfUnsent => outcome.is_unsent(),
            Replay::Never => planted!(PostRepeated),
        };
        let max_retries = self.max_retries.saturating_add(u32::from(planted!(OneAttemptMore)));
        let exhausted = self.retries >= max_retries;
        planted!(ReasonsInDisorder => if exhausted { return Some(Reason::AttemptsExhausted); });
        if !repeatable {
            Some(Reason::NotRepeatable)
        } else if self.body_spent && !planted!(SpentBodySent) {
            Some(Reason::BodySpent)
        } else if exhausted {
            Some(Reason::AttemptsExhausted)
        } else {
            None
        }
    }

    /// How long to wait, in nanoseconds, and why; `None` where the server asks for too long a wait.
    #[inline]
    fn wait<R: Rng>(
        &self,
        outcome: &Outcome,
        class: Class,
        hint: u64,
        rng: &mut R,
    ) -> Option<(u64, PauseCause)> {
        if hint == 0 {
            let (before, previous) = (self.retries, self.previous_wait);
            let retry = RetryContext { outcome, before, class, previous };
            return Some((nanos(self.policy.delay(&retry, rng)), PauseCause::Backoff));
        }
        let limits = self.policy.limits();
        let hint = if planted!(HintShortened) { hint.min(limits.retry_after_max) } else { hint };
        let within = hint <= limits.retry_after_max;
        within.then(|| (spread(hint, &limits, rng), PauseCause::ServerHint))
    }

    const fn give_up(&self, reason: Reason) -> Verdict<P> {
        Verdict::Next(Action::GiveUp(GiveUp { reason, attempts: self.attempts() }))
    }

    /// How many attempts have been begun.
    const fn attempts(&self) -> u32 {
        // There are at most `max_retries`, which is below `u32::MAX`.
        self.retries + 1
    }
}

/// A wait between two attempts.
#[derive(Debug)]
#[must_use = "a pause is to be waited for, and resumed"]
pub struct Pause<P> {
    progress: Progress<P>,
    until: Timestamp,
    cause: PauseCause,
}

impl<P: Policy> Pause<P> {
    /// When the wait ends.
    pub const fn until(&self) -> Timestamp {
        self.until
    }

    /// How much of the wait is left; zero where it is over.
    pub const fn remaining(&self, now: Timestamp) -> Duration {
        self.until.saturating_since(now)
    }

    /// How long the whole wait is.
    pub const fn wait(&self) -> Duration {
        duration(self.progress.previous_wait)
    }

    /// Why the wait is as long as it is.
    pub const fn cause(&self) -> PauseCause {
        self.cause
    }

    /// The number of the attempt that follows.
    pub const fn next_attempt(&self) -> NonZeroU32 {
        NonZeroU32::MIN.saturating_add(self.progress.retries).saturating_add(1)
    }

    /// Ends the wait: answers the next attempt, or [`Action::GiveUp`] where the timer fired so late
    /// that the deadline is past.
    ///
    /// Too early is harmless: the answer is to sleep on (R-T-6).
    #[inline]
    pub fn resume(self, now: Timestamp, upstream: &mut Upstream) -> Action<P> {
        if now < self.until {
            return Action::Sleep(self);
        }
        if passes(self.progress.deadline, now) {
            upstream.bucket.refund(self.progress.charged);
            let attempts = self.progress.attempts();
            return Action::GiveUp(GiveUp { reason: Reason::DeadlineWouldPass, attempts });
        }
        // There is a pause only where `retries` is below its maximum.
        let free = planted!(HintedForFree) && matches!(self.cause, PauseCause::ServerHint);
        let retries = self.progress.retries + u32::from(!free);
        let progress = Progress { retries, ..self.progress };
        planted!(DeadlineForgotten => {
            let progress = Progress { deadline: NEVER, ..progress };
            return Action::Send(Attempt::of(progress, now));
        });
        Action::Send(Attempt::of(progress, now))
    }
}

/// Why a pause is as long as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum PauseCause {
    /// The policy's own backoff.
    Backoff,
    /// The server asked for it (R-RA-1).
    ServerHint,
}

impl PauseCause {
    /// The name in reports: the variant's in snake_case.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Backoff => "backoff",
            Self::ServerHint => "server_hint",
        }
    }
}

/// As a deadline: there is none. It is the end of the clock's range, 584 years after its origin,
/// and keeps a token at half the size of one with an `Option`; it never leaves this file.
const NEVER: Timestamp = Timestamp::MAX;

/// As a call's timeout: the policy's holds.
const UNSET: u64 = u64::MAX;

/// A call's own timeout in nanoseconds. One that has no room is never reached, and is not unset.
const fn set(timeout: Duration) -> u64 {
    match nanos(timeout) {
        UNSET => UNSET - 1,
        nanos => nanos,
    }
}

#[inline]
const fn set_or(timeout: u64, policy: u64) -> u64 {
    if timeout == UNSET { policy } else { timeout }
}

/// Whether there is a deadline, and it has come by `at`.
#[inline]
fn passes(deadline: Timestamp, at: Timestamp) -> bool {
    if at < deadline {
        return false;
    }
    cold_path();
    deadline != NEVER
}

/// A hint with up to the policy's spread on top: never less than the server asked for (R-RA-8).
#[inline]
fn spread<R: Rng>(hint: u64, limits: &Limits, rng: &mut R) -> u64 {
    match limits.retry_after_spread {
        0 => hint,
        share => between(hint, hint.saturating_add(percent(hint, share)), rng),
    }
}
