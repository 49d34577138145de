//! The suite over hyper on tokio, on both of its schedulers.

use redial_client::Client;
use redial_conformance::{Play, PlayError, Seen, Subject, conformance};
use redial_tokio::Tokio;
use tokio::runtime::Builder;

fn play(mut runtime: Builder, play: Play) -> Result<Seen, PlayError> {
    let runtime = runtime.enable_all().build()?;
    let builder = {
        let _inside = runtime.enter();
        Client::builder(Tokio::current()?)
    };
    Ok(runtime.block_on(play.with(builder))?)
}

conformance!(
    Subject::new("tokio", |it| play(Builder::new_multi_thread(), it)),
    Subject::new("tokio-current-thread", |it| play(Builder::new_current_thread(), it)),
);
