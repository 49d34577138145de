//! What becomes of whole messages, as the scenario says.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http_body::Body as _;
use redial_client::{Clock as _, Exchange};
use redial_engine::{Delivery, Failure, Timestamp};

use super::call::response_body;
use super::world::{NOBODY, World};
use crate::message::{Broken, End, Fate, Reply, Script, Silence};
use crate::referee::Marks;
use crate::scenario::{Fault, Hint, Scenario, millis};

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
            return Fate {
                after: latency,
                end: response(200, HeaderMap::new(), response_body(call)),
            };
        }
        let mut marks = Marks::default();
        for (name, value) in exchange.request.headers() {
            marks.see(name.as_str(), value.as_bytes());
        }
        inner.referee.marked(call, &marks);
        let fault = self.0.fault(call, send);
        if fault.is_none_or(Fault::processed) {
            let length = exchange.request.body().size_hint().exact();
            let planned = scenario.calls.get(call as usize).map_or(0, |plan| plan.body);
            // A stream's length is not known before it is read.
            let whole = length.is_none_or(|length| length == u64::from(planned));
            inner.referee.processed(call, send, whole, now);
        }
        let hint = fault.map(Fault::hint).filter(|hint| *hint != Hint::Nothing);
        let headers = hint.map(|hint| header_map(hint.headers(self.0.time().wall())));
        let headers = headers.unwrap_or_default();
        fate(fault, latency, headers, response_body(call))
    }
}

fn header_map(headers: Vec<(&'static str, String)>) -> HeaderMap {
    let mut map = HeaderMap::new();
    for (name, value) in headers {
        if let Ok(value) = HeaderValue::try_from(value) {
            map.append(HeaderName::from_static(name), value);
        }
    }
    map
}

fn fate(fault: Option<Fault>, latency: Duration, headers: HeaderMap, body: Bytes) -> Fate {
    let Some(fault) = fault else {
        return Fate { after: latency, end: response(200, headers, body) };
    };
    let more = if let Fault::Slow { millis: more } = fault { millis(more) } else { Duration::ZERO };
    let after = latency.saturating_add(more);
    let end = match (fault, fault.failure()) {
        (Fault::ConnectSilence, _) => End::Silence(Silence::Connect),
        (Fault::LostSilence | Fault::DoneSilence, _) => End::Silence(Silence::Read),
        (Fault::Unread, _) => End::Silence(Silence::Write),
        (Fault::Dead, Some((kind, delivery))) => {
            End::Failure(Failure::new(kind, delivery).on_reused())
        }
        (Fault::BodySilence, _) => broken(body, Broken::Silence),
        (_, Some((kind, Delivery::Answered))) => broken(body, Broken::Failure(kind)),
        (_, Some((kind, delivery))) => End::Failure(Failure::new(kind, delivery)),
        (Fault::Status { code, .. } | Fault::Hinted { code, .. }, None) => {
            response(code, headers, Bytes::new())
        }
        (_, None) => response(200, headers, body),
    };
    Fate { after, end }
}

fn response(status: u16, headers: HeaderMap, body: Bytes) -> End {
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
