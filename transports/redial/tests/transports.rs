//! Every transport that was built makes the same call, chosen by a value.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod common;

use core::time::Duration;

use common::run;
use redial::engine::{Backoff, StandardPolicy};
use redial::{BuildError, Client, NoTransport, TransportKind};
use redial_conformance::{FaultServer, Reply, Script};

fn server() -> FaultServer {
    let retried = Reply::status(503).body("busy");
    FaultServer::start(Script::replies([retried, Reply::status(200).body("ok")])).unwrap()
}

fn quick() -> StandardPolicy {
    let backoff = Backoff::exponential(Duration::from_millis(2));
    StandardPolicy::builder().backoff(backoff).build().unwrap()
}

#[test]
fn a_call_is_made_and_retried_over_each() {
    for kind in TransportKind::ALL.into_iter().filter(|kind| kind.is_built()) {
        let server = server();
        let response = run(kind, async {
            let client = Client::builder(kind).policy(quick()).build().unwrap();
            assert_eq!(client.transport(), kind.name());
            client.get(server.url("/")).send().await.unwrap()
        });
        assert_eq!((response.text().as_ref(), response.attempts().len()), ("ok", 2), "{kind}");
        server.finish().unwrap();
    }
}

#[test]
fn one_that_was_not_built_says_so() {
    for kind in TransportKind::ALL.into_iter().filter(|kind| !kind.is_built()) {
        match Client::builder(kind).policy(quick()).build() {
            Err(BuildError::Transport(NoTransport::NotBuilt { feature })) => {
                assert_eq!(feature, kind.name());
            }
            other => panic!("{kind}: {other:?}"),
        }
    }
}

#[cfg(feature = "blocking")]
mod blocking {
    use core::iter;
    use std::io;

    use super::*;

    /// More than a task of tokio's may do in a turn.
    const CALLS: usize = 150;
    const LARGE: usize = 8 << 20;

    fn server() -> FaultServer {
        let ok = Reply::status(200).body("ok");
        let retried = Reply::status(503).body("busy");
        let large = Reply::status(200).body(vec![b'x'; LARGE]);
        let replies = iter::once(retried).chain(iter::repeat_n(ok, CALLS)).chain([large]);
        FaultServer::start(Script::replies(replies)).unwrap()
    }

    fn call(kind: TransportKind) {
        let server = server();
        let client = redial::blocking::client(kind).unwrap().policy(quick()).build().unwrap();
        for attempts in iter::once(2).chain(iter::repeat_n(1, CALLS - 1)) {
            let response = client.get(server.url("/")).send().unwrap();
            let answer = (response.text(), response.attempts().len());
            assert_eq!(answer, ("ok".into(), attempts), "{kind}");
        }
        let mut large = client.get(server.url("/")).send_streaming().unwrap();
        assert_eq!(io::copy(&mut large, &mut io::sink()).unwrap(), LARGE as u64, "{kind}");
        drop((client, large));
        server.finish().unwrap();
    }

    fn built() -> impl Iterator<Item = TransportKind> {
        TransportKind::ALL.into_iter().filter(|kind| kind.is_built())
    }

    #[test]
    fn a_plain_thread_makes_calls() {
        built().for_each(call);
    }

    #[test]
    fn a_task_of_tokio_makes_calls() {
        for builder in [
            tokio::runtime::Builder::new_current_thread(),
            tokio::runtime::Builder::new_multi_thread(),
        ]
        .iter_mut()
        {
            let runtime = builder.enable_all().build().unwrap();
            runtime
                .block_on(async { tokio::spawn(async { built().for_each(call) }).await.unwrap() });
        }
    }

    #[test]
    fn a_task_of_async_std_makes_calls() {
        async_std::task::block_on(async_std::task::spawn(async { built().for_each(call) }));
    }

    #[test]
    fn a_task_of_smol_makes_calls() {
        // The global executor has one thread, which is then held up.
        smol::block_on(smol::spawn(async { built().for_each(call) }));
    }
}
