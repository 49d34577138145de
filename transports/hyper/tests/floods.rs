//! Servers of HTTP/2 that send without end (R-X-8): the call ends in time, and the client holds
//! next to nothing for it.
//!
//! The runtime is tokio's of one thread, so that everything the client allocates is on the thread
//! that counts it. That floods hold nobody else up, on every runtime, is shown by the suite.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use core::num::NonZeroU32;
use core::time::Duration;
use std::time::Instant;

use redial_client::{Client, Protocol, Timeouts};
use redial_conformance::{FaultServer, Frame, Http2, Reply, Script, Step, WIRE_TIMEOUT};
use redial_engine::FailureKind;
use redial_hyper::Hyper;
use redial_tokio::Tokio;
use tokio::runtime::{Builder, Handle};

/// What a client may hold at a time. A connection reads 64 KiB before it lets others have a turn,
/// and the smallest heads that fit in there take sixteen times the room once they are decoded.
const MOST_BYTES: u64 = 2 << 20;

/// Far more than the read timeout, and far less than the flood takes.
const SOON: Duration = Duration::from_secs(8);

/// More than crosses a loopback connection in that time.
const ENDLESS: usize = usize::MAX;

#[derive(Debug)]
struct Flood {
    name: &'static str,
    first: Vec<Frame>,
    frames: Vec<Frame>,
    kinds: &'static [FailureKind],
}

/// The kinds are what R-T-2 and the limits of heads make of it: silence where the flood says nothing
/// of the answer, a head too large or a broken protocol where it claims to be a part of it.
fn floods() -> Vec<Flood> {
    use FailureKind::{ReadTimeout, RemoteProtocol, ResponseTooLarge};
    // What reaches nobody ends by its silence, or by its amount, whichever is first.
    const SILENT: &[FailureKind] = &[ReadTimeout, RemoteProtocol, ResponseTooLarge];
    const BROKEN: &[FailureKind] = &[RemoteProtocol, ResponseTooLarge];
    let head = || Frame::head(&Reply::status(200).raw());
    let filler = "y".repeat(1000);
    let flood = |name, first, frame, kinds| Flood { name, first, frames: vec![frame], kinds };
    vec![
        flood("ping", vec![], Frame::ping([0; 8]), SILENT),
        flood("settings", vec![], Frame::settings(&[(0x4, 65_535)]), SILENT),
        flood("settings-ack", vec![], Frame::settings_ack(), SILENT),
        flood("window-update", vec![], Frame::window_update(1).on(0), SILENT),
        flood("priority", vec![], Frame::priority(0, 9).on(77), SILENT),
        flood("extension", vec![], Frame::new(0xfa, vec![0; 100]), SILENT),
        flood("empty-data", vec![head()], Frame::data(""), BROKEN),
        flood(
            "continuation",
            vec![head().unfinished()],
            Frame::continuation([("x-filler", filler.as_str())]),
            BROKEN,
        ),
        flood("empty-continuation", vec![head().unfinished()], Frame::continuation([]), BROKEN),
        // h2 drops interim responses where nobody sees them, so that they are silence here.
        flood("interim", vec![], Frame::headers([(":status", "103"), ("link", "</a>")]), SILENT),
        flood("push", vec![], Frame::push_promise(2, [(":path", "/")]), BROKEN),
    ]
}

#[test]
fn a_flood_ends_in_time_and_takes_no_memory() {
    let failures: Vec<_> = floods().iter().filter_map(|flood| play(flood).err()).collect();
    assert!(failures.is_empty(), "{} floods:\n{}", failures.len(), failures.join("\n"));
}

fn play(flood: &Flood) -> Result<(), String> {
    let steps = vec![
        Step::Send(flood.first.clone()),
        Step::SendFlood { frames: flood.frames.clone(), at_most: ENDLESS },
    ];
    let script = Script::requests(vec![steps]).http2(Http2::new());
    let server = FaultServer::start(script).unwrap();
    let began = Instant::now();
    let mut ended = Err(FailureKind::Other);
    let held = allocation_counter::measure(|| ended = call(&server)).bytes_max;
    let took = began.elapsed();
    server.finish().map_err(|unfinished| format!("{}: {unfinished}", flood.name))?;
    match ended {
        Err(kind) if flood.kinds.contains(&kind) && held <= MOST_BYTES && took < SOON => Ok(()),
        _ => Err(format!("{}: {ended:?}, {held} bytes, {took:?}", flood.name)),
    }
}

/// One attempt, by a client that is gone afterwards.
fn call(server: &FaultServer) -> Result<u16, FailureKind> {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let result = runtime.block_on(async {
        let mut timeouts = Timeouts::DEFAULT;
        timeouts.read = WIRE_TIMEOUT;
        let client = Client::builder(Hyper::on(Tokio::new(Handle::current())))
            .protocol(Protocol::Http2PriorKnowledge)
            .timeouts(timeouts)
            .build()
            .unwrap();
        client.get(server.url("/")).max_attempts(NonZeroU32::MIN).send().await
    });
    result.map(|response| response.status().as_u16()).map_err(|error| error.kind())
}
