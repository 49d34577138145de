//! What becomes of whole messages, as the scenario says.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, RETRY_AFTER};
use http_body::Body as _;
use redial_client::Exchange;
use redial_engine::{Delivery, Failure, Timestamp};

use super::call::response_body;
use super::world::{NOBODY, World};
use crate::message::{Broken, End, Fate, Reply, Script, Silence};
use crate::scenario::{Fault, Scenario, millis};

/// The scenario, as a script of messages.
pub(super) struct Messages(Arc<World>);

impl Messages {
    pub(super) fn new(world: &Arc<World>) -> Self {
        Self(Arc::clone(world))
    }
}

impl Script for Messages {
    fn fate(&self, exchange: &Exchange, now: Timestamp) -> Fate {
        let mut inner = self.0.lock();
        let (call, send) = inner.sending;
        let scenario = self.0.scenario();
        let latency = latency(scenario, call, send);
        if call == NOBODY {
            return Fate { after: latency, end: response(200, 0, response_body(call)) };
        }
        let fault = self.0.fault(call, send);
        if fault.is_none_or(Fault::processed) {
            let length = exchange.request.body().size_hint().exact();
            let planned = scenario.calls.get(call as usize).map_or(0, |plan| plan.body);
            // A stream's length is not known before it is read.
            let whole = length.is_none_or(|length| length == u64::from(planned));
            inner.referee.processed(call, send, whole, now);
        }
        fate(fault, latency, response_body(call))
    }
}

fn fate(fault: Option<Fault>, latency: Duration, body: Bytes) -> Fate {
    let Some(fault) = fault else {
        return Fate { after: latency, end: response(200, 0, body) };
    };
    let more = if let Fault::Slow { millis: more } = fault { millis(more) } else { Duration::ZERO };
    let after = latency.saturating_add(more);
    let end = match (fault, fault.failure()) {
        (Fault::ConnectSilence, _) => End::Silence(Silence::Connect),
        (Fault::LostSilence | Fault::DoneSilence, _) => End::Silence(Silence::Read),
        (Fault::Dead, Some((kind, delivery))) => {
            End::Failure(Failure::new(kind, delivery).on_reused())
        }
        (Fault::BodySilence, _) => broken(body, Broken::Silence),
        (_, Some((kind, Delivery::Answered))) => broken(body, Broken::Failure(kind)),
        (_, Some((kind, delivery))) => End::Failure(Failure::new(kind, delivery)),
        (Fault::Status { code, after }, None) => response(code, after, Bytes::new()),
        (_, None) => response(200, 0, body),
    };
    Fate { after, end }
}

fn response(status: u16, after: u32, body: Bytes) -> End {
    let mut headers = HeaderMap::new();
    if after > 0 {
        headers.insert(RETRY_AFTER, HeaderValue::from(after));
    }
    End::Response(Reply { status, headers, body, broken: None, reused: false })
}

/// A response of 200 of whose body half comes.
fn broken(body: Bytes, broken: Broken) -> End {
    let half = body.slice(..body.len() / 2);
    let headers = HeaderMap::new();
    End::Response(Reply { status: 200, headers, body: half, broken: Some(broken), reused: false })
}

/// How long this message is under way: a number that no other draw shifts.
pub(super) fn latency(scenario: &Scenario, call: u32, send: u32) -> Duration {
    const LEAST: u64 = 1_000_000;
    let drawn = scenario.seed.child(u64::from(call) << 32 | u64::from(send)).0;
    let most = u64::from(scenario.latency) * LEAST;
    Duration::from_nanos(LEAST.max(drawn % most.max(1)))
}
