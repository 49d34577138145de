//! The suite over isahc.

use redial_conformance::{Play, PlayError, Seen, Subject, conformance, declared};

fn play(play: Play) -> Result<Seen, PlayError> {
    Ok(smol::block_on(play.with(redial_isahc::client()))?)
}

conformance!(Subject::new("isahc", play).declaring(declared::isahc()));
