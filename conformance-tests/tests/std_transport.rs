//! The suite over the example of a transport, which declares what it does not claim.
#![allow(dead_code, reason = "the example is a program, too")]

#[path = "../examples/std_transport/main.rs"]
mod std_transport;

use futures_lite::future::block_on;
use redial_client::Client;
use redial_conformance::{
    Act, Count, Declaration, Play, PlayError, Scenario, Seen, Sighting, Subject, conformance,
};

fn play(play: Play) -> Result<Seen, PlayError> {
    Ok(block_on(play.with(Client::builder(std_transport::Threads)))?)
}

/// What the transport does not claim: it has no pool, and speaks HTTP/1.1 over TCP alone.
fn declared() -> Vec<Declaration> {
    let rows = |ids: &[&str], why: &str| -> Vec<_> {
        ids.iter().map(|id| Declaration::new(*id, why)).collect()
    };
    let alone = [
        "bodies/drained-and-used-again",
        "pool/after-a-chunked-body",
        "pool/after-a-head-request",
        "pool/after-an-error-status",
        "pool/one-after-the-other",
    ];
    let alone = rows(&alone, ALONE).into_iter().map(|it| it.instead(over_fresh_connections));
    let never_reused = [
        "failures/keepalive-close-race",
        "failures/keepalive-rst-race",
        "pool/served-once-then-always-closed",
    ];
    let unbounded = [
        "cancellation/while-it-waits-for-a-slot",
        "pool/at-most-two",
        "pool/preset-default",
        "pool/preset-memory-constrained",
        "timeouts/pool-full",
        "timeouts/pool-full-for-a-post",
        "timeouts/pool-full-then-free",
    ];
    let others = [
        Declaration::new("failures/h2-*", HTTP2),
        Declaration::new("http2/*", HTTP2),
        Declaration::new("pool/figures", "the figures are those of the moment: see Std::pool"),
        Declaration::new("pool/first-come-first-served", UNBOUNDED).at_times(),
        Declaration::new("tls/*", "Wire::connect refuses Scheme::Https"),
    ];
    let plain = [rows(&never_reused, ALONE), rows(&unbounded, UNBOUNDED), others.into()];
    alone.chain(plain.into_iter().flatten()).collect()
}

const HTTP2: &str = "Threads refuses Protocol::Http2PriorKnowledge";
const ALONE: &str = "each request has a connection of its own: Std::send makes one";
const UNBOUNDED: &str = "there may be any number of connections: Threads reads no PoolLimits";

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
