//! Chooses its transport when it runs: by an environment variable, or by a TOML file.
//!
//! ```sh
//! REDIAL_TRANSPORT=smol cargo run -p redial --example choose --all-features -- URL
//! cargo run -p redial --example choose --all-features -- URL client.toml
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr, reason = "an example shows what it does")]

use core::error::Error;
use std::process::ExitCode;

use redial::TransportKind;
use redial::blocking::{self, ClientBuilder};

fn main() -> ExitCode {
    let Err(error) = call() else { return ExitCode::SUCCESS };
    // Each error says its own part, and leaves the rest to its source.
    eprint!("{error}");
    let mut source = error.source();
    while let Some(error) = source {
        eprint!(": {error}");
        source = error.source();
    }
    eprintln!();
    ExitCode::FAILURE
}

fn call() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1);
    let url = arguments.next().ok_or("say which URL to call")?;
    let builder = match arguments.next() {
        Some(file) => from_file(&file)?,
        None => from_environment()?,
    };
    let client = builder.build()?;
    let response = client.get(url).send()?;
    println!("{} over {}", response.status(), client.transport());
    Ok(())
}

fn from_environment() -> Result<ClientBuilder, Box<dyn Error>> {
    let kind = match std::env::var("REDIAL_TRANSPORT") {
        Ok(name) => name.parse()?,
        Err(_) => TransportKind::default(),
    };
    Ok(blocking::client(kind)?)
}

fn from_file(path: &str) -> Result<ClientBuilder, Box<dyn Error>> {
    let text = std::fs::read_to_string(path)?;
    let config = redial::read_config(toml::Deserializer::parse(&text)?)?;
    Ok(blocking::from_config(config)?)
}
