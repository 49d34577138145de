//! A runtime that is shut down while there are clients on it: their calls fail, and say why, and
//! nothing panics (R-C-4, R-C-10).

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use core::error::Error as _;
use core::future::Future;
use core::num::NonZeroU32;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::panic;
use std::sync::{Arc, Once};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use futures_util::future::join_all;
use redial_client::{Client, ClientBuilder, Error, PoolLimits, Protocol};
use redial_conformance::{FaultServer, Reply, Script, Step};
use redial_engine::{Backoff, FailureKind, Jitter, StandardPolicy};
use redial_smol::Smol;
use redial_tokio::Tokio;
use smol::channel::{Receiver, RecvError, Sender, bounded};
use tokio::runtime::Builder;

/// Much longer than anything here takes.
const LONG: Duration = Duration::from_secs(20);

/// What each retry waits for, which is longer than it takes to shut a runtime down.
const WAIT: Duration = Duration::from_millis(200);

/// A runtime on a thread of its own, which ends with it.
struct Doomed {
    running: Sender<()>,
    thread: JoinHandle<()>,
}

impl Doomed {
    fn shut_down(self) {
        drop(self.running);
        self.thread.join().unwrap();
    }
}

fn on_tokio(mut builder: Builder) -> (ClientBuilder, Doomed) {
    let runtime = builder.enable_all().build().unwrap();
    let client = Client::builder(Tokio::new(runtime.handle().clone()));
    (client, doomed(move |ended| runtime.block_on(ended.recv()).unwrap_err()))
}

fn on_smol() -> (ClientBuilder, Doomed) {
    let executor = Arc::new(smol::Executor::new());
    let client = Client::builder(Smol::with_executor(&executor));
    (client, doomed(move |ended| smol::block_on(executor.run(ended.recv())).unwrap_err()))
}

/// `run` is to last until the channel is closed.
fn doomed(run: impl FnOnce(Receiver<()>) -> RecvError + Send + 'static) -> Doomed {
    let (running, ended) = bounded(1);
    let thread = thread::spawn(move || {
        let _ = run(ended);
    });
    Doomed { running, thread }
}

type Start = fn() -> (ClientBuilder, Doomed);

/// How many of them there are, and of how many the sockets end with them: without its executor, a
/// request of smol's over HTTP/1.1 goes on.
const ALL: usize = 3;
const SOCKETS: usize = 2;

const RUNTIMES: [(&str, Start); ALL] = [
    ("tokio, current thread", || on_tokio(Builder::new_current_thread())),
    ("tokio, two workers", || {
        let mut builder = Builder::new_multi_thread();
        builder.worker_threads(2);
        on_tokio(builder)
    }),
    ("an executor of smol's", on_smol),
];

/// The first runtimes with every protocol, by a name.
fn clients(runtimes: usize) -> impl Iterator<Item = (String, Client, Doomed)> {
    let policy = StandardPolicy::builder().backoff(Backoff::fixed(WAIT).jitter(Jitter::None));
    let policy = policy.build().unwrap();
    RUNTIMES.into_iter().take(runtimes).flat_map(move |(name, start)| {
        [Protocol::Http1, Protocol::Http2PriorKnowledge].map(|protocol| {
            let (builder, doomed) = start();
            // A slot comes free late, where one does.
            let limits = PoolLimits { max_connections: 1, ..PoolLimits::DEFAULT };
            let builder = builder.policy(policy).protocol(protocol).pool(limits);
            (format!("{name}, {protocol:?}"), builder.build().unwrap(), doomed)
        })
    })
}

/// Runs a call on a runtime that is none of those that are shut down, beside another of tokio's.
fn elsewhere<T>(call: impl Future<Output = T>) -> T {
    Builder::new_current_thread().enable_all().build().unwrap().block_on(call)
}

/// How many panics there were so far, also those that somebody has caught.
fn panics() -> usize {
    static PANICS: AtomicUsize = AtomicUsize::new(0);
    static SET: Once = Once::new();
    SET.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            PANICS.fetch_add(1, Ordering::SeqCst);
            usual(info);
        }));
    });
    PANICS.load(Ordering::SeqCst)
}

/// That a call has failed because the runtime is gone, after so many attempts.
fn assert_final(case: &str, error: &Error, attempts: usize) {
    assert_eq!(error.kind(), FailureKind::ClientClosed, "{case}: {error:?}");
    assert_eq!((error.attempts().len(), error.reason()), (attempts, None), "{case}: {error:?}");
    let source = error.source().map(ToString::to_string).unwrap();
    assert!(source.contains("shut down") && source.contains("outlives"), "{case}: {source}");
}

#[test]
fn a_call_after_the_end_of_its_runtime_says_so() {
    assert_eq!(panics(), 0);
    for (case, client, doomed) in clients(ALL) {
        let script = Script::replies([Reply::status(200).body("ok")]);
        let server = FaultServer::start(script).unwrap();
        elsewhere(client.get(server.url("/")).send()).unwrap();
        doomed.shut_down();
        for attempts in [1, 5] {
            let call = client.get(server.url("/")).max_attempts(NonZeroU32::new(attempts).unwrap());
            assert_final(&case, &elsewhere(call.send()).unwrap_err(), 1);
        }
        assert_eq!(client.pool().open, 0, "{case}");
        server.finish().unwrap();
    }
    assert_eq!(panics(), 0);
}

#[test]
fn a_call_that_is_under_way_ends_with_its_second_attempt() {
    assert_eq!(panics(), 0);
    let body = || Reply::status(200).body("x".repeat(10_000));
    let cases = [
        ("between attempts", Reply::status(503).step(), ALL),
        ("for the response head", Step::AwaitClose { within: LONG }, SOCKETS),
        (
            "for the response body",
            Step::RespondSlowly { reply: body(), piece: 100, gap: Duration::from_millis(50) },
            SOCKETS,
        ),
    ];
    for (what, step, runtimes) in cases {
        for (case, client, doomed) in clients(runtimes) {
            let case = format!("{case}, {what}");
            let server = FaultServer::start(Script::requests(vec![vec![step.clone()]])).unwrap();
            let call = client.get(server.url("/")).send();
            let call = thread::spawn(|| elsewhere(call));
            while server.log().requests().is_empty() {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(WAIT / 4);
            let ended = Instant::now();
            doomed.shut_down();
            let error = call.join().unwrap().unwrap_err();
            assert_final(&case, &error, 2);
            assert!(ended.elapsed() < LONG / 4, "{case}: {:?}", ended.elapsed());
            let waited = error.attempts()[1].started - error.attempts()[0].started;
            assert!(waited >= WAIT, "the wait is as long as ever: {case}, {waited:?}");
        }
    }
    assert_eq!(panics(), 0);
}

/// As deep as there are calls, none would come back.
#[test]
fn any_number_of_calls_that_wait_for_a_slot_ends_at_once() {
    const CALLS: usize = 1_000;
    assert_eq!(panics(), 0);
    for (case, client, doomed) in clients(SOCKETS) {
        let silent = vec![Step::AwaitClose { within: LONG }];
        let server = FaultServer::start(Script::connections(vec![silent])).unwrap();
        let calls = (0..CALLS).map(|_| client.get(server.url("/")).pool_timeout(LONG).send());
        let calls = join_all(calls.collect::<Vec<_>>());
        let calls = thread::spawn(|| elsewhere(calls));
        while client.pool().open == 0 || client.pool().waiting < CALLS - 1 {
            thread::sleep(Duration::from_millis(1));
        }
        doomed.shut_down();
        let closed = |result: &Result<_, Error>| {
            result.as_ref().is_err_and(|error| error.kind() == FailureKind::ClientClosed)
        };
        let results = calls.join().unwrap();
        assert_eq!(results.iter().filter(|result| closed(result)).count(), CALLS, "{case}");
    }
    assert_eq!(panics(), 0);
}
