//! A call, ready to be made, and the exchange that each of its attempts begins.

use core::future::ready;
use core::task::Context;
use std::sync::Arc;

use http::{HeaderMap, Method, Request, Uri};
use redial_engine::{Attempt, Call, Delivery, Failure, FailureKind, Policy, Timestamp};

use crate::body::{Body, Feed};
use crate::client::Inner;
use crate::headers::copy;
use crate::origin::Origin;
use crate::reading::Reading;
use crate::transport::{Answer, BoxFuture, Exchange, Timeouts, TransportError};

pub(crate) type SyncPolicy = dyn Policy + Send + Sync;

/// What the engine hands out for an attempt.
pub(crate) type Token<'a> = Attempt<&'a SyncPolicy>;

/// An exchange under way.
pub(crate) type Sending<'a> = BoxFuture<'a, Result<Answer, TransportError>>;

/// A call, ready to be made.
pub(crate) struct Job<'a> {
    pub(crate) client: &'a Inner,
    pub(crate) policy: &'a SyncPolicy,
    pub(crate) call: Call,
    pub(crate) origin: &'a Origin,
    pub(crate) method: &'a Method,
    pub(crate) url: &'a Uri,
    pub(crate) headers: &'a HeaderMap,
    pub(crate) body: &'a Body,
    pub(crate) timeouts: Timeouts,
    pub(crate) reading: Reading,
}

impl<'a> Job<'a> {
    /// Begins an attempt: hands its request to the transport, beside what tells how the body fares.
    ///
    /// Not part of the future of an attempt, in which all of this would have its place until the
    /// end.
    pub(crate) fn begin(
        &'a self,
        attempt: &Token<'a>,
        now: Timestamp,
        context: &mut Context<'_>,
    ) -> (Sending<'a>, Option<Arc<Feed>>) {
        let Some(body) = self.body.again() else {
            return (unsent(TransportError::unsent(FailureKind::BodySpent)), None);
        };
        let again = redial_engine::planted!(EmptyBodyAgain) && attempt.number().get() > 1;
        let mut body = if again { Body::empty() } else { body };
        let feed = body.feed();
        if body.seems_empty()
            && let Err(error) = body.settle(context)
        {
            let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
            return (unsent(TransportError::with_source(failure, error)), feed);
        }
        // Filled in where it is: it is large, and every move is a copy.
        let mut exchange = Exchange::new(self.origin.clone(), Request::new(body), self.timeouts);
        self.fill(&mut exchange, attempt);
        exchange.begun = Some(now);
        (self.client.transport.send(exchange), feed)
    }

    /// What the call asks for, in a request that is empty so far.
    fn fill(&self, exchange: &mut Exchange, attempt: &Token<'a>) {
        *exchange.request.method_mut() = self.method.clone();
        *exchange.request.uri_mut() = self.url.clone();
        copy(self.headers, exchange.request.headers_mut());
        #[cfg(redial_planted)]
        crate::planted::spoil_headers(exchange.request.headers_mut(), attempt.number().get());
        exchange.cutoff = attempt.deadline();
        exchange.fresh_connection = attempt.needs_fresh_connection();
    }
}

/// An exchange that fails before it begins.
#[cold]
fn unsent<'a>(error: TransportError) -> Sending<'a> {
    Box::pin(ready(Err(error)))
}
