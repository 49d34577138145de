//! The suite over hyper on async-std.

use redial_async_std::AsyncStd;
use redial_client::Client;
use redial_conformance::{Play, PlayError, Seen, Subject, conformance};

fn play(play: Play) -> Result<Seen, PlayError> {
    Ok(async_std::task::block_on(play.with(Client::builder(AsyncStd::new())))?)
}

conformance!(Subject::new("async-std", play));
