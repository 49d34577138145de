//! The one async loop: it carries out what the engine says, and decides nothing.

use core::future::{Future, poll_fn};
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use http_body::Body as _;
use redial_engine::{
    Action, Failure, FailureKind, GiveUp, Judgement, Outcome, Pause, Reason, Retry, Timestamp,
    Upstream, Verdict,
};

use crate::body::Feed;
use crate::client::Inner;
use crate::clock::{Clock, race};
use crate::error::Error;
use crate::history::{AttemptRecord, History, Wait};
use crate::job::{Job, SyncPolicy, Token};
use crate::observe::Watch;
use crate::reading::{Content, Read, Reading, read_into, read_some};
use crate::transport::{Answer, ResponseBody, TransportError};
use crate::upstreams::lock;

/// How much of a response is read that will be retried, and how long that may take, so that its
/// connection can be used again (R-P-10).
const DRAIN_BYTES: u64 = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

/// The attempts after the first that most policies permit at most.
const USUAL_RETRIES: usize = 3;

/// What a call ends with, where there was a response.
pub(crate) struct Ended {
    pub(crate) head: http::response::Parts,
    pub(crate) body: Content,
    pub(crate) reason: Option<Reason>,
    pub(crate) attempts: History,
}

/// Makes a call, inside its span.
pub(crate) async fn run(job: &Job<'_>) -> Result<Ended, Error> {
    let watch = Watch::new(job.method, job.origin, job.client.observer.as_deref());
    // Where it lies already: to be wrapped in the span it would be copied as a whole.
    let mut call = pin!(carry_out(job, &watch));
    poll_fn(|context| watch.span().in_scope(|| call.as_mut().poll(context))).await
}

async fn carry_out(job: &Job<'_>, watch: &Watch<'_>) -> Result<Ended, Error> {
    let clock = job.client.transport.clock();
    let mut run = Run::new(job, watch);
    let retry = Retry::new(job.policy);
    let mut action = retry.begin(job.call, run.began, &mut lock(&run.upstream));
    loop {
        action = match action {
            Action::Send(attempt) => match run.attempt(attempt).await {
                Verdict::Next(action) => action,
                Verdict::Done(_) => return run.end(None),
            },
            Action::Sleep(pause) => {
                run.note(&pause);
                clock.sleep_until(pause.until()).await;
                pause.resume(run.look(), &mut lock(&run.upstream))
            }
            Action::GiveUp(why) => return run.give_up(why),
        };
    }
}

/// What follows an attempt.
type Next<'a> = Verdict<&'a SyncPolicy>;

/// A call under way: what it shares with others, and what it has come to so far.
struct Run<'a> {
    job: &'a Job<'a>,
    watch: &'a Watch<'a>,
    upstream: Arc<Mutex<Upstream>>,
    began: Timestamp,
    /// When the clock was last looked at, which costs more than it seems.
    now: Timestamp,
    history: History,
    last_response: Option<Kept>,
    last_error: Option<Error>,
}

/// A response that may have to be handed over.
struct Kept {
    head: http::response::Parts,
    body: Content,
}

impl<'a> Run<'a> {
    fn new(job: &'a Job<'a>, watch: &'a Watch<'a>) -> Self {
        let began = job.client.transport.clock().now();
        Self {
            job,
            watch,
            upstream: job.client.upstreams.of(job.origin),
            began,
            now: began,
            history: History::new(),
            last_response: None,
            last_error: None,
        }
    }

    fn look(&mut self) -> Timestamp {
        self.now = self.job.client.transport.clock().now();
        self.now
    }

    /// Sends the request once and finishes the attempt.
    ///
    /// Whether the body of a response is part of the attempt depends on what the policy makes of
    /// the status: a status that is retried counts as it is (R-D-8).
    ///
    /// A block rather than an async function, which has everything that it is given twice.
    #[allow(clippy::manual_async_fn, reason = "the future is smaller, and a call touches less")]
    fn attempt<'s>(
        &'s mut self,
        mut attempt: Token<'a>,
    ) -> impl Future<Output = Next<'a>> + Send + use<'s, 'a> {
        async move {
            let started = self.now;
            let (sending, feed) =
                poll_fn(|context| Poll::Ready(self.job.begin(&attempt, started, context))).await;
            let Answer { response, reused } = match sending.await {
                Ok(answer) => answer,
                Err(error) => return self.failed(attempt, started, error, feed),
            };
            let (outcome, retried) = self.judge(&response);
            let (head, body) = response.into_parts();
            if retried && !body.is_end_stream() {
                // Most responses are final, and no call has to make room for this beforehand.
                let head = Head { head, outcome, reused };
                return Box::pin(self.retryable(attempt, started, head, body)).await;
            }
            let read = if retried {
                self.declare_spent(&mut attempt);
                // Nothing is left to be read.
                Ok(Content::Read(Read::NOTHING))
            } else {
                self.job.reading.read(body).await
            };
            match read {
                Ok(body) => {
                    let verdict = self.finish(attempt, started, outcome, reused);
                    self.keep(&verdict, Kept { head, body });
                    verdict
                }
                Err(error) => self.failed(attempt, started, reused_as(error, reused), feed),
            }
        }
    }

    /// What the policy makes of a response: whether it is retried.
    fn judge(&self, response: &http::Response<ResponseBody>) -> (Outcome, bool) {
        let Inner { transport, hints, .. } = self.job.client;
        let outcome = hints.outcome(response, || transport.clock().wall());
        let retried = matches!(self.job.policy.judge(&outcome), Judgement::Retry { .. });
        (outcome, retried)
    }

    /// A response whose status is retried: its body is read only as far as it is of use.
    async fn retryable(
        &mut self,
        mut attempt: Token<'a>,
        started: Timestamp,
        head: Head,
        body: ResponseBody,
    ) -> Next<'a> {
        let Head { head, outcome, reused } = head;
        // Whether it is sent again is not known yet: if not, the response is handed over, and would
        // be cut off with its upload.
        if self.job.body.hold() {
            attempt.body_spent();
        }
        let verdict = self.finish(attempt, started, outcome, reused);
        match &verdict {
            Verdict::Next(Action::Sleep(_) | Action::Send(_)) => self.job.body.end_turn(),
            Verdict::Next(Action::GiveUp(_)) | Verdict::Done(_) => self.job.body.let_go(),
        }
        let body = match (&verdict, self.job.reading) {
            _ if redial_engine::planted!(HeldWhileAsleep) => Content::Live(body),
            (Verdict::Next(Action::Sleep(_) | Action::Send(_)), _) => {
                Content::Read(drain(self.job.client.transport.clock(), body).await)
            }
            (_, Reading::Whole(limit)) => Content::Read(read_some(body, limit).await),
            (_, Reading::Live) => Content::Live(body),
        };
        self.keep(&verdict, Kept { head, body });
        verdict
    }

    fn failed(
        &mut self,
        mut attempt: Token<'a>,
        started: Timestamp,
        error: TransportError,
        feed: Option<Arc<Feed>>,
    ) -> Next<'a> {
        let error = match feed.and_then(|feed| feed.take_failure()) {
            Some(source) => of_the_body(&error, source),
            None => error,
        };
        let failure = error.failure();
        self.declare_spent(&mut attempt);
        let verdict = self.finish(attempt, started, Outcome::Failure(failure), failure.reused);
        let error = Error::of_transport(error).with_url(self.job.url);
        self.keep_error(&verdict, error);
        verdict
    }

    /// R-D-5: nothing is sent again of which something was pulled. To be said only of an attempt
    /// that may be followed by another: its upload ends with this, which that of a response that is
    /// handed over does not.
    fn declare_spent(&self, attempt: &mut Token<'a>) {
        if self.job.body.hold() {
            attempt.body_spent();
        }
        self.job.body.end_turn();
    }

    /// Tells the engine what came of the attempt, and notes it down.
    fn finish(
        &mut self,
        attempt: Token<'a>,
        started: Timestamp,
        outcome: Outcome,
        reused: bool,
    ) -> Next<'a> {
        let now = self.look();
        let record = AttemptRecord {
            number: attempt.number().get(),
            outcome,
            reused,
            started: started.saturating_since(self.began),
            elapsed: now.saturating_since(started),
            wait: None,
        };
        self.watch.attempt(&record, self.history.len());
        if self.history.len() == 1 {
            // Where there is a second attempt there may be a third: one allocation is enough.
            self.history.reserve(USUAL_RETRIES);
        }
        self.history.push(record);
        let mut rng = &self.job.client.randomness;
        attempt.finish(&outcome, now, &mut lock(&self.upstream), &mut rng)
    }

    /// Keeps a response, which is handed over now, or may have to be later.
    fn keep(&mut self, verdict: &Next<'a>, response: Kept) {
        if matches!(verdict, Verdict::Done(_)) {
            self.last_error = None;
        }
        self.last_response = Some(response);
    }

    /// Keeps an error, beside an earlier response, which may have to be handed over instead.
    fn keep_error(&mut self, verdict: &Next<'a>, error: Error) {
        if matches!(verdict, Verdict::Done(_)) {
            self.last_response = None;
        }
        self.last_error = Some(error);
    }

    fn note(&mut self, pause: &Pause<&'a SyncPolicy>) {
        let wait = Wait { length: pause.wait(), cause: pause.cause() };
        self.watch.wait(&wait);
        if let Some(record) = self.history.last_mut() {
            record.wait = Some(wait);
        }
    }

    /// The caller gets the last response, if there was one, or the last error.
    fn give_up(&mut self, why: GiveUp) -> Result<Ended, Error> {
        self.watch.give_up(why);
        if redial_engine::planted!(ResponseLost) && self.last_error.is_some() {
            self.last_response = None;
        }
        self.end(Some(why.reason))
    }

    /// The call ends with what was kept.
    fn end(&mut self, reason: Option<Reason>) -> Result<Ended, Error> {
        let attempts = core::mem::take(&mut self.history);
        let clock = self.job.client.transport.clock();
        self.watch.end(&attempts, reason, || clock.now().saturating_since(self.began));
        if let Some(Kept { head, body }) = self.last_response.take() {
            return Ok(Ended { head, body, reason, attempts });
        }
        // Nothing was sent at all only where the deadline was past from the start.
        let error = self.last_error.take();
        let error =
            error.unwrap_or_else(|| Error::new(FailureKind::Deadline, None).with_url(self.job.url));
        Err(error.with_history(reason, attempts))
    }
}

/// A response head whose body has not been read.
struct Head {
    head: http::response::Parts,
    outcome: Outcome,
    reused: bool,
}

/// Reads so much of a response that its connection can be used again, if that is little.
async fn drain(clock: &dyn Clock, body: ResponseBody) -> Read {
    let mut some = BytesMut::new();
    let complete = {
        let mut reading = pin!(read_into(&mut some, body, DRAIN_BYTES));
        // Mostly it is there already, and takes no timer.
        match poll_fn(|context| Poll::Ready(reading.as_mut().poll(context))).await {
            Poll::Ready(read) => Some(read),
            Poll::Pending => {
                let limit = clock.sleep_until(clock.now().saturating_add(DRAIN_TIME));
                race(reading, limit).await
            }
        }
    };
    Read { bytes: some.freeze(), complete: matches!(complete, Some(Ok(()))) }
}

/// The attempt failed because its own body did: whatever the transport makes of that.
fn of_the_body(error: &TransportError, source: crate::transport::BoxError) -> TransportError {
    let delivery = error.failure().delivery;
    TransportError::with_source(Failure::new(FailureKind::InvalidRequest, delivery), source)
}

/// The same error, on a connection that had, or had not, served another request before.
fn reused_as(error: TransportError, reused: bool) -> TransportError {
    if reused { error.on_reused() } else { error }
}
