//! Transports that do what no transport may.

use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body, Frame};
use redial_client::{
    Answer, BoxFuture, Clock, Exchange, PoolFigures, ResponseBody, Transport, TransportError,
};
use redial_engine::{Delivery, Failure, FailureKind, Timestamp};
use redial_sim::VirtualTime;

/// What is bad about a transport.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    ClaimsUnsent,
    ClaimsStale,
    ForgetsTheCutoff,
    SendsAgainByItself,
    TakesATruncatedBody,
    MistakesResetForClosed,
    TurnsFailuresIntoResponses,
    LosesItsCalls,
    NeverWakes,
    RunsPastTheCutoff,
}

impl Bad {
    pub(crate) const ALL: [Self; 10] = [
        Self::ClaimsUnsent,
        Self::ClaimsStale,
        Self::ForgetsTheCutoff,
        Self::SendsAgainByItself,
        Self::TakesATruncatedBody,
        Self::MistakesResetForClosed,
        Self::TurnsFailuresIntoResponses,
        Self::LosesItsCalls,
        Self::NeverWakes,
        Self::RunsPastTheCutoff,
    ];
}

/// A bad transport in front of a good one.
pub(crate) struct Front {
    pub(crate) inner: Box<dyn Transport>,
    pub(crate) bad: Bad,
    pub(crate) time: VirtualTime,
}

impl Front {
    fn error(&self, error: TransportError) -> Result<Answer, TransportError> {
        let failure = error.failure();
        let claim = |kind, delivery| Err(TransportError::new(Failure::new(kind, delivery)));
        match (self.bad, failure.kind) {
            (Bad::ClaimsUnsent, kind) => claim(kind, Delivery::Unsent),
            (Bad::ClaimsStale, FailureKind::Closed | FailureKind::Reset) => {
                Err(TransportError::unsent(failure.kind).on_reused())
            }
            (Bad::MistakesResetForClosed, FailureKind::Reset) => {
                claim(FailureKind::Closed, failure.delivery)
            }
            (Bad::TurnsFailuresIntoResponses, FailureKind::ReadTimeout) => {
                let body = ResponseBody::new(Cut(None));
                let mut response = http::Response::new(body);
                *response.status_mut() = http::StatusCode::GATEWAY_TIMEOUT;
                Ok(Answer::new(response, false))
            }
            _ => Err(error),
        }
    }
}

impl Transport for Front {
    fn name(&self) -> &'static str {
        "bad"
    }

    fn send(&self, mut exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        // Only where it is needed: it takes the turn of a body that is read once.
        let again = (self.bad == Bad::SendsAgainByItself).then(|| again(&exchange));
        match (self.bad, &mut exchange.cutoff) {
            (Bad::ForgetsTheCutoff, cutoff) => *cutoff = None,
            (Bad::RunsPastTheCutoff, Some(cutoff)) => {
                cutoff.at = cutoff.at.saturating_add(core::time::Duration::from_millis(500));
            }
            _ => {}
        }
        let sent = self.inner.send(exchange);
        Box::pin(async move {
            match sent.await {
                Ok(answer) if self.bad == Bad::TakesATruncatedBody => {
                    let (reused, response) = (answer.reused, answer.response);
                    let body = |body| ResponseBody::new(Cut(Some(body)));
                    Ok(Answer::new(response.map(body), reused))
                }
                Ok(answer) => Ok(answer),
                Err(_) if self.bad == Bad::LosesItsCalls => core::future::pending().await,
                Err(error) => match again {
                    Some(again) => self.inner.send(again).await,
                    None => self.error(error),
                },
            }
        })
    }

    fn clock(&self) -> &dyn Clock {
        if self.bad == Bad::NeverWakes { self } else { self.inner.clock() }
    }

    fn pool(&self) -> PoolFigures {
        self.inner.pool()
    }

    fn close(&self) {
        self.inner.close();
    }
}

impl Clock for Front {
    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn wall(&self) -> std::time::SystemTime {
        self.time.wall()
    }

    /// A timer that nobody has set.
    fn sleep_until(&self, _: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(core::future::pending())
    }
}

/// The same exchange once more.
fn again(exchange: &Exchange) -> Exchange {
    let request = &exchange.request;
    let mut copy = http::Request::new(request.body().again().unwrap_or_default());
    *copy.uri_mut() = request.uri().clone();
    *copy.method_mut() = request.method().clone();
    Exchange::of(copy, exchange.timeouts).unwrap()
}

/// A body whose errors are taken for its end.
struct Cut(Option<ResponseBody>);

impl Body for Cut {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        match &mut self.0 {
            None => Poll::Ready(None),
            Some(body) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.and_then(|frame| frame.ok().map(Ok))),
        }
    }
}
