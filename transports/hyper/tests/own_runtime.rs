//! A runtime that does not run what a call waits for: the call fails, and says why (R-C-7).

#![allow(clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

use core::error::Error as _;
use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::Arc;
use std::thread;

use redial_client::{Client, ClientBuilder, Error, blocking};
use redial_conformance::{FaultServer, Reply, Script};
use redial_engine::FailureKind;
use redial_smol::Smol;
use redial_tokio::Tokio;
use tokio::runtime::{Builder, Runtime};

fn server() -> FaultServer {
    FaultServer::start(Script::replies([Reply::status(200).body("ok")])).unwrap()
}

/// A blocking call, by a client whose transport lives on the runtime that this blocks.
fn call(builder: ClientBuilder) -> Result<String, Error> {
    let server = server();
    let client = blocking::Client::from_parts(builder.build().unwrap(), ());
    let text = client.get(server.url("/")).send()?.text().into_owned();
    drop(client);
    server.finish().unwrap();
    Ok(text)
}

/// A blocking call inside a task of this runtime.
fn within(runtime: &Runtime) -> Result<String, Error> {
    let task = runtime.spawn(async { call(Client::builder(Tokio::current().unwrap())) });
    runtime.block_on(task).unwrap()
}

fn on_one_thread_of_tokio() -> Result<String, Error> {
    within(&Builder::new_current_thread().enable_all().build().unwrap())
}

fn on_workers_of_tokio(workers: usize) -> Result<String, Error> {
    within(&Builder::new_multi_thread().worker_threads(workers).enable_all().build().unwrap())
}

fn on_the_only_thread_of_smol() -> Result<String, Error> {
    let executor = Arc::new(smol::Executor::new());
    let builder = Client::builder(Smol::with_executor(&executor));
    smol::block_on(executor.run(executor.spawn(async move { call(builder) })))
}

#[test]
fn a_blocking_call_that_waits_for_its_own_thread_says_so() {
    let cases = [
        ("tokio, current thread", thread::spawn(on_one_thread_of_tokio)),
        ("tokio, one worker", thread::spawn(|| on_workers_of_tokio(1))),
        ("smol", thread::spawn(on_the_only_thread_of_smol)),
    ];
    for (case, ended) in cases {
        let error = ended.join().unwrap().unwrap_err();
        assert_eq!(error.kind(), FailureKind::Other, "{case}: {error:?}");
        let source = error.source().map(ToString::to_string).unwrap();
        assert!(source.contains("stands still"), "{case}: {error:?}");
    }
}

#[test]
fn a_blocking_call_works_where_another_thread_runs_what_it_waits_for() {
    assert_eq!(on_workers_of_tokio(2).unwrap(), "ok");
}

#[test]
fn an_executor_that_nobody_runs_opens_no_connection() {
    let executor = Arc::new(smol::Executor::new());
    let client = Client::builder(Smol::with_executor(&executor)).build().unwrap();
    let server = server();
    let call = client
        .get(server.url("/"))
        .connect_timeout(Duration::from_millis(10))
        .max_attempts(NonZeroU32::MIN);
    let error = smol::block_on(call.send()).unwrap_err();
    assert_eq!(error.kind(), FailureKind::ConnectTimeout, "{error:?}");
    let source = error.source().map(ToString::to_string).unwrap();
    assert!(source.contains("executor"), "{error:?}");
}
