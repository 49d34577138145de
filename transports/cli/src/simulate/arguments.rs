//! What is said after `redial simulate`.

use core::time::Duration;
use std::path::PathBuf;

use clap::Args;
use redial_sim::Seed;

use crate::arguments::seconds;

/// What is said after `redial simulate`.
#[derive(Debug, Args)]
pub(crate) struct SimulateArguments {
    /// One of jitter, storm, collapse, outage and ratelimit, or a TOML file with a scenario of your
    /// own (--print shows how one is written).
    #[arg(required_unless_present = "replay")]
    pub(crate) scenario: Option<String>,
    /// What fixes all randomness: the same seed, the same figures.
    #[arg(long, default_value = "0x1", allow_negative_numbers = true)]
    pub(crate) seed: Seed,
    /// How many clients there are. The storm's server grows and shrinks with them.
    #[arg(long, value_name = "N", allow_negative_numbers = true)]
    pub(crate) clients: Option<u32>,
    /// Seconds of virtual time in which calls are begun.
    #[arg(long, value_name = "SECONDS", value_parser = seconds, allow_negative_numbers = true)]
    pub(crate) duration: Option<Duration>,
    /// Draws load, goodput and retries over time; .svg or .png.
    #[arg(long, value_name = "FILE")]
    pub(crate) plot: Option<PathBuf>,
    /// Where to write the figures as JSON; - for standard output.
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Plays everything twice, and fails where the two differ.
    #[arg(long)]
    pub(crate) check_determinism: bool,
    /// Writes the scenario as TOML, as it is without other options, and plays nothing.
    #[arg(long, conflicts_with_all = ["clients", "duration", "plot", "json", "check_determinism"])]
    pub(crate) print: bool,
    /// Plays the one run that this line says, as a search for broken rules prints it, and shows
    /// everything that happens.
    #[arg(long, value_name = "LINE", exclusive = true)]
    pub(crate) replay: Option<String>,
}

impl SimulateArguments {
    /// The scenario; nothing where a line is replayed instead.
    pub(crate) fn scenario(&self) -> &str {
        self.scenario.as_deref().unwrap_or_default()
    }
}
