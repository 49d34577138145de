//! A client with a budget, driven step by step, and the way in which the vectors write it down.

use core::time::Duration;

use redial_engine::{
    Action, Attempt, Backoff, Budget, Call, Class, Delivery, FailureKind, Judgement, Limits,
    Outcome, Pause, Policy, Replay, Retry, RetryContext, ServerHint, StandardPolicy, Timestamp,
    Upstream, Verdict,
};
use serde_json::Value;

use super::common::{Always, pause, resent, word};

/// The standard policy, but for a backoff of its own where the server throttles (R-D-6).
#[derive(Clone, Debug)]
pub(super) struct ByClass {
    pub(super) standard: StandardPolicy,
    pub(super) throttled: Backoff,
}

impl Policy for ByClass {
    fn limits(&self) -> Limits {
        self.standard.limits()
    }

    fn judge(&self, outcome: &Outcome) -> Judgement {
        self.standard.judge(outcome)
    }

    fn delay(&self, retry: &RetryContext<'_>, rng: &mut dyn rand_core::Rng) -> Duration {
        match retry.class() {
            Class::Throttled => self.throttled.wait(retry, rng),
            Class::Transient | Class::Timeout | Class::Server => self.standard.delay(retry, rng),
        }
    }
}

/// A client of one upstream, whose every draw is the greatest there is.
pub(super) struct Client<P> {
    retry: Retry<P>,
    pub(super) upstream: Upstream,
    now: Timestamp,
    rng: Always,
}

impl<P: Policy + Clone> Client<P> {
    pub(super) const fn new(policy: P, budget: Budget) -> Self {
        Self {
            retry: Retry::new(policy),
            upstream: Upstream::new(budget),
            now: Timestamp::ORIGIN,
            rng: Always::highest(),
        }
    }

    pub(super) fn begin(&mut self) -> Attempt<P> {
        let action = self.retry.begin(Call::new(Replay::Freely), self.now, &mut self.upstream);
        resent(Verdict::Next(action))
    }

    pub(super) fn finish(&mut self, attempt: Attempt<P>, outcome: &Outcome) -> Verdict<P> {
        attempt.finish(outcome, self.now, &mut self.upstream, &mut self.rng)
    }

    /// Waits for as long as is asked for, and goes on.
    pub(super) fn wait(&mut self, pause: Pause<P>) -> Attempt<P> {
        self.now = self.now.max(pause.until());
        resent(Verdict::Next(pause.resume(self.now, &mut self.upstream)))
    }

    pub(super) fn at(&mut self, now: Timestamp) {
        self.now = now;
    }

    /// A call that is to be retried once with this class; `None` where the budget says no.
    pub(super) fn charge(&mut self, outcome: &Outcome) -> Option<Pause<P>> {
        let attempt = self.begin();
        match self.finish(attempt, outcome) {
            Verdict::Next(Action::Sleep(pause)) => Some(pause),
            other => {
                assert_eq!(word(&other), "budget_exhausted");
                None
            }
        }
    }

    /// A call whose one attempt fails; whether its policy allows no second.
    pub(super) fn charge_without_retry(&mut self) -> bool {
        let attempt = self.begin();
        word(&self.finish(attempt, &Outcome::status(503))) == "attempts_exhausted"
    }

    /// A call that succeeds at once.
    pub(super) fn succeed(&mut self) {
        let attempt = self.begin();
        assert_eq!(word(&self.finish(attempt, &Outcome::status(200))), "success");
    }

    /// Calls that bring an AWS budget to so many tokens: throttled retries, 5 each, and successes.
    pub(super) fn bring_to(&mut self, tokens: u64) {
        while self.upstream.tokens_milli() > tokens * 1_000 {
            assert!(self.charge(&Outcome::status(429)).is_some(), "cannot come to {tokens}");
        }
        while self.upstream.tokens_milli() < tokens * 1_000 {
            let before = self.upstream.tokens_milli();
            self.succeed();
            assert!(self.upstream.tokens_milli() > before, "cannot come to {tokens}");
        }
    }

    /// How many tokens there are, as the vectors write it: `486` or `3.2`.
    pub(super) fn tokens(&self) -> String {
        tokens(self.upstream.tokens_milli() as f64 / 1_000.0)
    }

    /// Runs one call to its end, and writes down each step.
    pub(super) fn steps(&mut self, outcomes: &[Outcome]) -> Vec<String> {
        let mut steps = Vec::new();
        let mut attempt = self.begin();
        for outcome in outcomes {
            let verdict = self.finish(attempt, outcome);
            let name = match word(&verdict) {
                "attempts_exhausted" => "max_attempts",
                "budget_exhausted" => "quota_exceeded",
                "status" => "not_retryable",
                other => other,
            };
            if name != "retry" {
                steps.push(step(name, &self.tokens(), None));
                return steps;
            }
            let pause = pause(verdict);
            steps.push(step(name, &self.tokens(), Some(pause.wait())));
            attempt = self.wait(pause);
        }
        steps
    }
}

pub(super) fn tokens(tokens: f64) -> String {
    format!("{tokens}")
}

fn step(name: &str, tokens: &str, wait: Option<Duration>) -> String {
    match wait {
        None => format!("{name}, {tokens} left"),
        Some(wait) => format!("{name}, {tokens} left, wait {} ms", millis(wait)),
    }
}

/// Milliseconds, rounded to the nearest microsecond: a draw ends a nanosecond below its range.
pub(super) fn millis(wait: Duration) -> f64 {
    ((wait.as_nanos() + 500) / 1_000) as f64 / 1_000.0
}

/// The steps that a case expects, in the same words.
pub(super) fn expected_steps(steps: &Value) -> Vec<String> {
    let step = |expected: &Value| {
        let wait = expected["delay_ms"].as_f64().map(|wait| Duration::from_secs_f64(wait / 1e3));
        step(expected["outcome"].as_str().unwrap(), &expected["quota"].to_string(), wait)
    };
    steps.as_array().unwrap().iter().map(step).collect()
}

/// What a case calls a response.
pub(super) fn outcome(response: &Value) -> Outcome {
    let timeout = Outcome::failure(FailureKind::ReadTimeout, Delivery::Unknown);
    match response {
        Value::Number(status) => Outcome::status(status.as_u64().unwrap() as u16),
        Value::String(name) => match name.as_str() {
            "server_error" => Outcome::status(500),
            // A throttling code in the body of a 400 is a service's matter; 429 is HTTP's.
            "throttle" | "TH" => Outcome::status(429),
            // No head arrived, so that there is nothing in which a server could ask for a wait.
            "transient" | "transient(explicit 1s)" | "read timeout" | "TR" => timeout,
            "connection reset" => Outcome::failure(FailureKind::Reset, Delivery::Unknown),
            "HTTP 500" => Outcome::status(500),
            other => panic!("no test knows the response {other:?}"),
        },
        _ => {
            let wait = Duration::from_millis(response["ra_ms"].as_u64().unwrap_or(0));
            let status = response["status"].as_u64().unwrap() as u16;
            Outcome::hinted(status, ServerHint::NONE.after(wait))
        }
    }
}
