//! The transports that the suite is played over: each is a column of its table.

use std::sync::Arc;

use redial::{Client, TransportKind, blocking};
use redial_conformance::{Play, PlayError, Seen, Subject, declared};
use redial_smol::Smol;
use smol::Executor;
use tokio::runtime::Builder;

use crate::arguments::ALL;

type Player = fn(Play) -> Result<Seen, PlayError>;

/// The columns, from left to right.
///
/// A transport stands here once for each way to run it that differs: by the scheduler of its
/// runtime, and by the twin of the client.
const COLUMNS: [(&str, Player); 7] = [
    ("tokio", on_tokio),
    ("tokio-current-thread", on_tokio_current_thread),
    ("smol", on_smol),
    ("smol-executor", on_an_executor_of_its_own),
    ("async-std", on_async_std),
    ("isahc", over_isahc),
    ("blocking", blocking_over_tokio),
];

/// The names of the columns.
pub(crate) fn names() -> impl Iterator<Item = &'static str> {
    COLUMNS.iter().map(|(name, _)| *name)
}

/// The column of this name, or every one.
pub(crate) fn named(name: &str) -> Vec<Arc<Subject>> {
    let chosen = COLUMNS.iter().filter(|(it, _)| name == ALL || name == *it);
    chosen.map(|(name, player)| Arc::new(subject(name, *player))).collect()
}

fn subject(name: &str, player: Player) -> Subject {
    let subject = Subject::new(name, player);
    if name == TransportKind::Isahc.name() { subject.declaring(declared::isahc()) } else { subject }
}

fn on_tokio(play: Play) -> Result<Seen, PlayError> {
    on_a_tokio_runtime(Builder::new_multi_thread().worker_threads(2), play)
}

fn on_tokio_current_thread(play: Play) -> Result<Seen, PlayError> {
    on_a_tokio_runtime(&mut Builder::new_current_thread(), play)
}

fn on_a_tokio_runtime(runtime: &mut Builder, play: Play) -> Result<Seen, PlayError> {
    let runtime = runtime.enable_all().build()?;
    let inside = async { play.with(Client::builder(TransportKind::Tokio)).await };
    Ok(runtime.block_on(inside)?)
}

fn on_smol(play: Play) -> Result<Seen, PlayError> {
    Ok(smol::block_on(play.with(Client::builder(TransportKind::Smol)))?)
}

fn on_an_executor_of_its_own(play: Play) -> Result<Seen, PlayError> {
    let executor = Arc::new(Executor::new());
    let builder = Client::builder(Smol::with_executor(&executor));
    Ok(smol::block_on(executor.run(play.with(builder)))?)
}

fn on_async_std(play: Play) -> Result<Seen, PlayError> {
    let builder = Client::builder(TransportKind::AsyncStd);
    Ok(async_std::task::block_on(play.with(builder))?)
}

/// libcurl has a thread of its own, and is content with any executor.
fn over_isahc(play: Play) -> Result<Seen, PlayError> {
    Ok(smol::block_on(play.with(Client::builder(TransportKind::Isahc)))?)
}

fn blocking_over_tokio(play: Play) -> Result<Seen, PlayError> {
    Ok(play.with_blocking(blocking::client(TransportKind::Tokio)?)?)
}
