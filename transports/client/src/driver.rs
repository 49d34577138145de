//! The one async loop: it carries out what the engine says, and decides nothing.

use core::time::Duration;
use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use http::Request;
use http_body_util::BodyExt;
use redial_engine::{
    Action, Attempt, Call, Delivery, Failure, FailureKind, GiveUp, Judgement, Outcome, Pause,
    Policy, Reason, Retry, Timestamp, Upstream, Verdict,
};

use crate::body::Body;
use crate::client::Inner;
use crate::clock::race;
use crate::error::Error;
use crate::history::{AttemptRecord, Wait};
use crate::origin::Origin;
use crate::response::Response;
use crate::transport::{Answer, Exchange, ResponseBody, Timeouts, TransportError};
use crate::upstreams::lock;

/// How much of a response is read that will be retried, and how long that may take, so that its
/// connection can be used again (R-P-10).
const DRAIN_BYTES: usize = 64 * 1024;
const DRAIN_TIME: Duration = Duration::from_millis(100);

type SyncPolicy = dyn Policy + Send + Sync;

/// A call, ready to be made.
pub(crate) struct Job<'a> {
    pub(crate) client: &'a Inner,
    pub(crate) policy: &'a SyncPolicy,
    pub(crate) call: Call,
    pub(crate) origin: Origin,
    pub(crate) request: Request<Body>,
    pub(crate) timeouts: Timeouts,
}

/// Makes a call.
pub(crate) async fn run(job: Job<'_>) -> Result<Response, Error> {
    let clock = job.client.transport.clock();
    let mut run = Run::new(&job);
    let retry = Retry::new(job.policy);
    let mut action = retry.begin(job.call, run.began, &mut lock(&run.upstream));
    loop {
        action = match action {
            Action::Send(attempt) => match run.attempt(attempt).await {
                Step::Go(action) => action,
                Step::End(end) => return *end,
            },
            Action::Sleep(pause) => {
                run.note(&pause);
                clock.sleep_until(pause.until()).await;
                pause.resume(clock.now(), &mut lock(&run.upstream))
            }
            Action::GiveUp(why) => return run.give_up(why),
        };
    }
}

type Token<'a> = Attempt<&'a SyncPolicy>;

/// What follows an attempt.
enum Step<'a> {
    Go(Action<&'a SyncPolicy>),
    End(Box<Result<Response, Error>>),
}

/// A call under way: what it shares with others, and what it has come to so far.
struct Run<'a> {
    job: &'a Job<'a>,
    upstream: Arc<Mutex<Upstream>>,
    began: Timestamp,
    history: Vec<AttemptRecord>,
    last_response: Option<Kept>,
    last_error: Option<Error>,
}

/// A response whose body has been read, as far as it was.
struct Kept {
    head: http::response::Parts,
    body: Bytes,
    complete: bool,
}

impl<'a> Run<'a> {
    fn new(job: &'a Job<'a>) -> Self {
        Self {
            job,
            upstream: job.client.upstreams.of(&job.origin),
            began: job.client.transport.clock().now(),
            history: Vec::new(),
            last_response: None,
            last_error: None,
        }
    }

    fn now(&self) -> Timestamp {
        self.job.client.transport.clock().now()
    }

    /// Sends the request once and finishes the attempt.
    async fn attempt(&mut self, attempt: Token<'a>) -> Step<'a> {
        let started = self.now();
        let exchange = match self.exchange(&attempt) {
            Ok(exchange) => exchange,
            Err(error) => return self.failed(attempt, started, error),
        };
        match self.job.client.transport.send(exchange).await {
            Ok(answer) => self.answered(attempt, started, answer).await,
            Err(error) => self.failed(attempt, started, error),
        }
    }

    fn exchange(&self, attempt: &Token<'a>) -> Result<Exchange, TransportError> {
        let Some(body) = self.job.request.body().again() else {
            return Err(TransportError::unsent(FailureKind::BodySpent));
        };
        let mut request = Request::new(body);
        *request.method_mut() = self.job.request.method().clone();
        *request.uri_mut() = self.job.request.uri().clone();
        *request.headers_mut() = self.job.request.headers().clone();
        let mut exchange = Exchange::new(request, self.job.timeouts);
        exchange.cutoff = attempt.deadline();
        exchange.fresh_connection = attempt.needs_fresh_connection();
        Ok(exchange)
    }

    /// A response head has come. Whether its body is part of the attempt depends on what the
    /// policy makes of the status: a status that is retried counts as it is (R-D-8).
    async fn answered(
        &mut self,
        attempt: Token<'a>,
        started: Timestamp,
        answer: Answer,
    ) -> Step<'a> {
        let Answer { response, reused } = answer;
        let clock = self.job.client.transport.clock();
        let outcome = self.job.client.hints.outcome(&response, || clock.wall());
        let (head, body) = response.into_parts();
        match self.job.policy.judge(&outcome) {
            Judgement::Retry { .. } => {
                self.retryable(attempt, started, Head { head, outcome, reused }, body).await
            }
            Judgement::Final | Judgement::Refused => {
                match read_all(body, self.job.client.max_response_bytes).await {
                    Ok(body) => {
                        let kept = Kept { head, body, complete: true };
                        let verdict = self.finish(attempt, started, outcome, reused);
                        self.go_on(verdict, Some(kept), None)
                    }
                    Err(error) => self.failed(attempt, started, reused_as(error, reused)),
                }
            }
        }
    }

    /// A response whose status is retried: its body is read only as far as it is of use.
    async fn retryable(
        &mut self,
        attempt: Token<'a>,
        started: Timestamp,
        head: Head,
        body: ResponseBody,
    ) -> Step<'a> {
        let Head { head, outcome, reused } = head;
        let verdict = self.finish(attempt, started, outcome, reused);
        let (body, complete) = match &verdict {
            Verdict::Next(Action::Sleep(_) | Action::Send(_)) => self.drain(body).await,
            Verdict::Next(Action::GiveUp(_)) | Verdict::Done(_) => {
                read_some(body, self.job.client.max_response_bytes).await
            }
        };
        self.go_on(verdict, Some(Kept { head, body, complete }), None)
    }

    async fn drain(&self, body: ResponseBody) -> (Bytes, bool) {
        let mut some = BytesMut::new();
        let clock = self.job.client.transport.clock();
        let limit = clock.sleep_until(clock.now().saturating_add(DRAIN_TIME));
        let complete = race(read_into(&mut some, body, DRAIN_BYTES as u64), limit).await;
        (some.freeze(), matches!(complete, Some(Ok(()))))
    }

    fn failed(
        &mut self,
        attempt: Token<'a>,
        started: Timestamp,
        error: TransportError,
    ) -> Step<'a> {
        let failure = error.failure();
        let outcome = Outcome::Failure(failure);
        let verdict = self.finish(attempt, started, outcome, failure.reused);
        let error = Error::of_transport(error).with_url(self.job.request.uri());
        self.go_on(verdict, None, Some(error))
    }

    /// Tells the engine what came of the attempt, and notes it down.
    fn finish(
        &mut self,
        attempt: Token<'a>,
        started: Timestamp,
        outcome: Outcome,
        reused: bool,
    ) -> Verdict<&'a SyncPolicy> {
        let now = self.now();
        self.history.push(AttemptRecord {
            number: attempt.number().get(),
            outcome,
            reused,
            started: started.saturating_since(self.began),
            elapsed: now.saturating_since(started),
            wait: None,
        });
        let mut rng = lock(&self.job.client.rng);
        attempt.finish(&outcome, now, &mut lock(&self.upstream), &mut *rng)
    }

    /// Keeps what may have to be handed over later, or hands it over now.
    fn go_on(
        &mut self,
        verdict: Verdict<&'a SyncPolicy>,
        response: Option<Kept>,
        error: Option<Error>,
    ) -> Step<'a> {
        match verdict {
            Verdict::Next(action) => {
                self.last_response = response.or(self.last_response.take());
                self.last_error = error.or(self.last_error.take());
                Step::Go(action)
            }
            Verdict::Done(_) => Step::End(Box::new(self.end(response, error, None))),
        }
    }

    fn note(&mut self, pause: &Pause<&'a SyncPolicy>) {
        if let Some(record) = self.history.last_mut() {
            record.wait = Some(Wait { length: pause.wait(), cause: pause.cause() });
        }
    }

    /// The caller gets the last response, if there was one, or the last error.
    fn give_up(&mut self, why: GiveUp) -> Result<Response, Error> {
        let (response, error) = (self.last_response.take(), self.last_error.take());
        self.end(response, error, Some(why.reason))
    }

    fn end(
        &mut self,
        response: Option<Kept>,
        error: Option<Error>,
        reason: Option<Reason>,
    ) -> Result<Response, Error> {
        let attempts = core::mem::take(&mut self.history);
        if let Some(Kept { head, body, complete }) = response {
            return Ok(Response { head, body, complete, reason, attempts });
        }
        // Nothing was sent at all only where the deadline was past from the start.
        let error = error.unwrap_or_else(|| {
            Error::new(FailureKind::Deadline, None).with_url(self.job.request.uri())
        });
        Err(error.with_history(reason, attempts))
    }
}

/// A response head whose body has not been read.
struct Head {
    head: http::response::Parts,
    outcome: Outcome,
    reused: bool,
}

/// Reads a whole body, of at most so many bytes.
async fn read_all(body: ResponseBody, limit: u64) -> Result<Bytes, TransportError> {
    let mut bytes = BytesMut::new();
    read_into(&mut bytes, body, limit).await?;
    Ok(bytes.freeze())
}

/// Reads what there is of a body, and says whether that is all.
async fn read_some(body: ResponseBody, limit: u64) -> (Bytes, bool) {
    let mut bytes = BytesMut::new();
    let complete = read_into(&mut bytes, body, limit).await.is_ok();
    (bytes.freeze(), complete)
}

/// Reads a body, and fails where it fails or is longer than the limit.
async fn read_into(
    bytes: &mut BytesMut,
    mut body: ResponseBody,
    limit: u64,
) -> Result<(), TransportError> {
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame?.into_data() else { continue };
        let room = limit.saturating_sub(bytes.len() as u64);
        let fitting = data.len().min(usize::try_from(room).unwrap_or(usize::MAX));
        bytes.extend_from_slice(data.get(..fitting).unwrap_or(&data));
        if fitting < data.len() {
            let failure = Failure::new(FailureKind::ResponseTooLarge, Delivery::Answered);
            return Err(TransportError::new(failure));
        }
    }
    Ok(())
}

/// The same error, on a connection that had, or had not, served another request before.
fn reused_as(error: TransportError, reused: bool) -> TransportError {
    if reused { error.on_reused() } else { error }
}
