//! The suite over hyper on smol: on its global executor, and on one of a program's own.

use std::sync::Arc;

use redial_client::Client;
use redial_conformance::{Play, PlayError, Seen, Subject, conformance};
use redial_smol::Smol;
use smol::Executor;

fn on_the_global_one(play: Play) -> Result<Seen, PlayError> {
    Ok(smol::block_on(play.with(Client::builder(Smol::new())))?)
}

fn on_its_own(play: Play) -> Result<Seen, PlayError> {
    let executor = Arc::new(Executor::new());
    let builder = Client::builder(Smol::with_executor(&executor));
    Ok(smol::block_on(executor.run(play.with(builder)))?)
}

conformance!(Subject::new("smol", on_the_global_one), Subject::new("smol-executor", on_its_own),);
