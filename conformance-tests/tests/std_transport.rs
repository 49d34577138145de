//! The suite over the example of a transport, which declares what it does not claim.
#![allow(dead_code, reason = "the example is a program, too")]

#[path = "../examples/std_transport.rs"]
mod std_transport;

use std::sync::Arc;

use futures_lite::future::block_on;
use redial_client::{
    Client, IntoTransport, NoTransport, Observer, Protocol, Settings, SettingsError, ThreadClock,
    Transport,
};
use redial_conformance::{
    Act, Count, Declaration, Play, PlayError, Scenario, Seen, Sighting, Subject, conformance,
};

/// The transport, to be told what it does not listen to: that is among what it declares.
struct Choice(ThreadClock);

impl IntoTransport for Choice {
    fn into_transport(
        self,
        settings: Option<Settings>,
        _: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        let protocol = settings.unwrap_or_default().protocol;
        if protocol == Protocol::Http2PriorKnowledge {
            return Err(SettingsError::Protocol(protocol).into());
        }
        Ok(Box::new(std_transport::Std(self.0)))
    }
}

fn play(play: Play) -> Result<Seen, PlayError> {
    Ok(block_on(play.with(Client::builder(Choice(ThreadClock::start()?))))?)
}

/// What the transport does not claim. Every reason names what of it shows that.
fn declared() -> Vec<Declaration> {
    let alone = [
        "bodies/drained-and-used-again",
        "bodies/stream-of-nothing",
        "pool/after-a-chunked-body",
        "pool/after-a-head-request",
        "pool/after-an-error-status",
        "pool/one-after-the-other",
    ];
    let alone = rows(&alone, ALONE).into_iter().map(|it| it.instead(over_fresh_connections));
    let others = [
        rows(&["failures/h2-*", "http2/*"], HTTP2),
        rows(&["tls/*"], PLAIN),
        rows(&NEVER_REUSED, ALONE),
        rows(&UNBOUNDED_ROWS, UNBOUNDED),
        rows(&["pool/figures"], "it has none: Std::pool"),
        rows(&READ_FIRST_ROWS, READ_FIRST),
        rows(&COLLECTED_ROWS, COLLECTED),
        rows(&["hostile/chunks-of-http-1.0"], "ureq_proto knows no transfer coding of HTTP/1.0"),
        rows(&HEADS, OTHER_LIMITS),
        vec![Declaration::new("pool/first-come-first-served", UNBOUNDED).at_times()],
    ];
    alone.chain(others.into_iter().flatten()).collect()
}

fn rows(ids: &[&str], why: &str) -> Vec<Declaration> {
    ids.iter().map(|id| Declaration::new(*id, why)).collect()
}

const HTTP2: &str = "it speaks HTTP/1.1 alone: Choice refuses Protocol::Http2PriorKnowledge";
const PLAIN: &str = "it speaks no TLS: talk refuses Scheme::Https";
const ALONE: &str = "each request has a connection of its own: talk makes one";
const UNBOUNDED: &str = "there may be any number of connections: Choice reads no PoolLimits";
const READ_FIRST: &str = "a response is handed over when its body is there: the end of talk";
const COLLECTED: &str = "a body is collected before it is sent, with its length: talk";
const OTHER_LIMITS: &str = "ureq_proto bounds the number of headers (MAX_RESPONSE_HEADERS), and \
                            read the head alone, interim ones aside";

const COLLECTED_ROWS: [&str; 3] =
    ["bodies/stream-is-chunked", "bodies/stream-of-a-get", "cancellation/while-it-sends"];

const NEVER_REUSED: [&str; 3] = [
    "failures/keepalive-close-race",
    "failures/keepalive-rst-race",
    "pool/served-once-then-always-closed",
];

const UNBOUNDED_ROWS: [&str; 7] = [
    "cancellation/while-it-waits-for-a-slot",
    "pool/at-most-two",
    "pool/preset-default",
    "pool/preset-memory-constrained",
    "timeouts/pool-full",
    "timeouts/pool-full-for-a-post",
    "timeouts/pool-full-then-free",
];

const READ_FIRST_ROWS: [&str; 10] = [
    "bodies/cut-of-a-503",
    "bodies/cut-of-a-503-with-hint",
    "bodies/cut-of-the-last-503",
    "bodies/cut-while-streaming",
    "bodies/no-slot-while-it-sleeps",
    "bodies/too-slow-to-drain",
    "deadlines/attempt-timeout-in-the-body",
    "deadlines/holds-in-the-body",
    "hostile/dripping-body",
    "timeouts/read-while-streaming",
];

const HEADS: [&str; 4] = [
    "hostile/a-hundred-and-one-headers",
    "hostile/head-above-a-limit-of-its-own",
    "hostile/head-without-end",
    "hostile/interim-without-end",
];

/// The scenario, each of whose attempts has a connection of its own.
fn over_fresh_connections(mut it: Scenario) -> Scenario {
    let mut attempts = 0;
    for act in &mut it.acts {
        let Act::Calls(calls) = act else { continue };
        for attempt in calls.iter_mut().flat_map(|call| &mut call.attempts) {
            attempt.reused = Some(false);
            attempts += 1;
        }
    }
    for sighting in &mut it.sightings {
        if let Sighting::Connections { count, .. } = sighting {
            *count = Count::Exactly(attempts);
        }
    }
    it
}

conformance!(Subject::new("std", play).declaring(declared()));
