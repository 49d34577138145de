//! `redial simulate`: fleets of clients in virtual time, in figures and in pictures.

mod arguments;
mod contests;
mod fleets;
mod plot;
mod progress;
mod replay;
mod smallest;
mod table;

use std::process::ExitCode;

use redial_sim::Seed;
use redial_sim::fleet::{self, Scenario};

pub(crate) use self::arguments::SimulateArguments;
use self::contests::Contests;
use self::fleets::{Fleet, Fleets};
use self::plot::Format;
use crate::Failure;
use crate::report_file::{ReportFile, show};
use crate::streams::say;

/// The built-in scenarios of fleets.
const SCENARIOS: [(&str, &str); 4] = [
    ("storm", fleet::STORM),
    ("collapse", fleet::COLLAPSE),
    ("outage", fleet::OUTAGE),
    ("ratelimit", fleet::RATE_LIMIT),
];

/// Plays the scenario, shows what came of it, and answers the exit code.
pub(crate) fn command(arguments: &SimulateArguments) -> Result<ExitCode, Failure> {
    if let Some(line) = &arguments.replay {
        return replay::command(line);
    }
    if arguments.print {
        return print(arguments);
    }
    let one_file = || Failure::usage("the plot and the JSON are to be written to one file");
    if arguments.plot.is_some() && arguments.plot == arguments.json {
        return Err(one_file());
    }
    let play = Play::of(arguments)?;
    // Known before anything is played, because that may take a minute.
    let format = arguments.plot.as_deref().map(Format::of).transpose()?;
    let plot = arguments.plot.as_deref().map(ReportFile::open).transpose()?;
    let json = arguments.json.as_deref().map(ReportFile::open).transpose()?;
    if plot.as_ref().zip(json.as_ref()).is_some_and(|(plot, json)| plot.is_one_with(json)) {
        return Err(one_file());
    }
    let played = play.once();
    if arguments.check_determinism {
        compare(&played.fingerprint(), &play.once().fingerprint())?;
    }
    show(json.iter().chain(&plot), format_args!("{}\n", played.table().trim_end()))?;
    if arguments.check_determinism && played.violation().is_none() {
        show(json.iter().chain(&plot), format_args!("\nplayed twice, and the same in both\n"))?;
    }
    if let Some(mut file) = json {
        played.write_json(&mut file)?;
    }
    if let (Some(mut file), Some(format)) = (plot, format) {
        file.replace(&played.draw(format)?)?;
    }
    match played.violation() {
        Some(violation) => Err(Failure::failed(format!("{violation}{}", played.again()))),
        None => Ok(ExitCode::SUCCESS),
    }
}

/// What is to be played.
enum Play {
    Contests { most: u32, seed: Seed },
    Fleets { fleet: Box<Fleet>, scenario: Box<Scenario> },
}

/// What was played.
enum Played {
    Contests(Contests),
    Fleets(Box<Fleets>),
}

impl Play {
    fn of(arguments: &SimulateArguments) -> Result<Self, Failure> {
        let seed = arguments.seed;
        let name = arguments.scenario().to_owned();
        if name == "jitter" {
            if arguments.duration.is_some() {
                return Err(Failure::usage(
                    "jitter has no duration: it ends when every client has won",
                ));
            }
            let most = arguments.clients.unwrap_or(contests::CLIENTS);
            if !(1..=contests::MOST_CLIENTS).contains(&most) {
                let most = contests::MOST_CLIENTS;
                return Err(Failure::usage(format!("jitter: choose 1 to {most} clients")));
            }
            return Ok(Self::Contests { most, seed });
        }
        let written = read(&name, &text(&name)?)?;
        let clients = arguments.clients.unwrap_or(written.clients);
        let duration = arguments.duration.unwrap_or(written.duration);
        let fleet = Fleet { name, written, seed };
        let scenario = fleet.sized(clients, duration);
        let scenario =
            scenario.map_err(|error| Failure::usage(format!("{}: {error}", fleet.name)))?;
        Ok(Self::Fleets { fleet: Box::new(fleet), scenario: Box::new(scenario) })
    }

    fn once(&self) -> Played {
        match self {
            Self::Contests { most, seed } => Played::Contests(contests::play(*most, *seed)),
            Self::Fleets { fleet, scenario } => {
                Played::Fleets(Box::new(fleets::play(fleet, scenario)))
            }
        }
    }
}

impl Played {
    fn table(&self) -> String {
        match self {
            Self::Contests(contests) => contests.table(),
            Self::Fleets(fleets) => fleets.table(),
        }
    }

    fn fingerprint(&self) -> Vec<(String, u64)> {
        match self {
            Self::Contests(contests) => contests.fingerprint(),
            Self::Fleets(fleets) => fleets.fingerprint(),
        }
    }

    fn violation(&self) -> Option<String> {
        match self {
            Self::Contests(_) => None,
            Self::Fleets(fleets) => fleets.violation(),
        }
    }

    /// How a violation is seen again with as little as possible.
    fn again(&self) -> String {
        match self {
            Self::Contests(_) => String::new(),
            Self::Fleets(fleets) => {
                smallest::again(fleets).map_or_else(String::new, |line| format!("; again: {line}"))
            }
        }
    }

    fn write_json(&self, file: &mut ReportFile) -> Result<(), Failure> {
        match self {
            Self::Contests(contests) => file.write(&contests.json()),
            Self::Fleets(fleets) => file.write(&fleets.json()),
        }
    }

    fn draw(&self, format: Format) -> Result<Vec<u8>, Failure> {
        let drawn = match self {
            Self::Contests(contests) => plot::contests(contests, format),
            Self::Fleets(fleets) => plot::fleets(fleets, format),
        };
        drawn.map_err(|why| Failure::trouble(format!("the plot could not be drawn: {why}")))
    }
}

/// The text of a scenario: a built-in one, or a file.
fn text(name: &str) -> Result<String, Failure> {
    if let Some((_, text)) = SCENARIOS.iter().find(|(built_in, _)| *built_in == name) {
        return Ok((*text).to_owned());
    }
    std::fs::read_to_string(name).map_err(|error| {
        let known = "jitter, storm, collapse, outage, ratelimit, or a TOML file";
        Failure::usage(format!("no scenario {name:?}: choose {known} ({error})"))
    })
}

/// Reads a scenario; what is wrong with it is said with its name.
fn read(name: &str, text: &str) -> Result<Scenario, Failure> {
    Scenario::from_toml(text).map_err(|error| Failure::usage(format!("{name}: {error}")))
}

/// Writes a scenario as it is written, where it is one.
fn print(arguments: &SimulateArguments) -> Result<ExitCode, Failure> {
    if arguments.scenario() == "jitter" {
        return Err(Failure::usage("jitter is no scenario of calls: it has no TOML to print"));
    }
    let name = arguments.scenario();
    let text = text(name)?;
    read(name, &text)?;
    say(format_args!("{text}"))?;
    Ok(ExitCode::SUCCESS)
}

/// Whether two runs were the same; says where they first differ.
fn compare(once: &[(String, u64)], again: &[(String, u64)]) -> Result<(), Failure> {
    let differs = once.iter().zip(again).find(|(once, again)| once != again);
    match differs {
        Some(((name, once), (_, again))) => Err(Failure::failed(format!(
            "two runs of one seed differ: {name} gave {once:016x}, then {again:016x}"
        ))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_difference_between_two_runs_is_said() {
        let one = [("a".to_owned(), 1), ("b".to_owned(), 2)];
        let other = [("a".to_owned(), 1), ("b".to_owned(), 3)];
        assert!(compare(&one, &one).is_ok());
        let failure = compare(&one, &other).expect_err("they differ");
        assert_eq!(failure.exit_code(), 1);
        assert!(failure.to_string().contains("b gave"), "{failure}");
    }

    #[test]
    fn every_built_in_scenario_makes_sense() {
        for (name, text) in SCENARIOS {
            assert!(Scenario::from_toml(text).is_ok(), "{name}");
        }
    }
}
