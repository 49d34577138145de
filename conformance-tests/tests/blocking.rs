//! The suite by the blocking client, over each transport.

use redial_conformance::{Subject, conformance, declared};

conformance!(
    Subject::new("blocking-tokio", |it| Ok(it.with_blocking(redial_tokio::blocking()?)?)),
    Subject::new("blocking-smol", |it| Ok(it.with_blocking(redial_smol::blocking()?)?)),
    Subject::new("blocking-async-std", |it| Ok(it.with_blocking(redial_async_std::blocking()?)?)),
    Subject::new("blocking-isahc", |it| Ok(it.with_blocking(redial_isahc::blocking())?))
        .declaring(declared::isahc_blocking()),
);
