//! Scenarios of fleets: who plays, what is shown of it, and what is written.

use core::fmt::Write as _;
use core::time::Duration;
use std::collections::BTreeMap;

use redial_sim::Seed;
use redial_sim::fleet::{self, Contender, Delay, Load, Report, Scenario, ScenarioError, Spike};
use serde::Serialize;

use super::progress::Bar;
use super::table::{Table, count, length};

/// What can be played by as many clients, and for as long, as is wanted.
#[derive(Clone, Debug)]
pub(super) struct Fleet {
    pub(super) name: String,
    /// The scenario as it is written.
    pub(super) written: Scenario,
    pub(super) seed: Seed,
}

/// A scenario that was played, with a report for each of its contenders.
#[derive(Debug)]
pub(super) struct Fleets {
    pub(super) fleet: Fleet,
    pub(super) scenario: Scenario,
    pub(super) reports: Vec<Report>,
}

/// As many clients as the built-in storm is written for.
const STORM_CLIENTS: u32 = 1_000_000;

/// Gives the storm's server as much room for each of its clients as it had, however many they are.
fn scale(scenario: &mut Scenario, clients: u32) {
    if let (Delay::Fixed(service), 1..) = (scenario.server.service, clients) {
        scenario.server.service = Delay::Fixed(service * STORM_CLIENTS / clients);
    }
    scenario.server.queue = scenario.server.queue.map(|queue| {
        let scaled = u64::from(queue) * u64::from(clients) / u64::from(STORM_CLIENTS);
        u32::try_from(scaled).unwrap_or(u32::MAX).max(1)
    });
}

impl Fleet {
    /// The scenario with so many clients and of this length.
    pub(super) fn sized(
        &self,
        clients: u32,
        duration: Duration,
    ) -> Result<Scenario, ScenarioError> {
        let mut scenario = self.written.clone();
        (scenario.clients, scenario.duration) = (clients, duration);
        if self.name == "storm" {
            scale(&mut scenario, clients);
        }
        scenario.check()?;
        Ok(scenario)
    }
}

/// Plays a scenario with each of its contenders.
pub(super) fn play(fleet: &Fleet, scenario: &Scenario) -> Fleets {
    let reports = scenario.contenders.iter().map(|contender| run(scenario, contender, fleet.seed));
    Fleets { fleet: fleet.clone(), reports: reports.collect(), scenario: scenario.clone() }
}

/// Plays a scenario with one contender.
pub(super) fn run(scenario: &Scenario, contender: &Contender, seed: Seed) -> Report {
    let bar = Bar::new(&contender.name, scenario.duration);
    fleet::run(scenario, contender, seed, &mut |progress| {
        let now = Duration::from_nanos(progress.now.as_nanos());
        bar.to(now.min(scenario.duration), || {
            format!("{} calls, {} open", count(progress.calls), count(progress.open as u64))
        });
    })
}

impl Fleets {
    /// What a reader has to know of all its figures.
    pub(super) fn caption(&self) -> String {
        let clients = match self.scenario.clients {
            1 => "1 client".to_owned(),
            clients => format!("{} clients", count(u64::from(clients))),
        };
        format!(
            "redial simulate {} --seed {}: {clients}, {} of virtual time, message level",
            self.fleet.name,
            self.fleet.seed,
            length(Some(self.scenario.duration)),
        )
    }

    /// The figures as a table.
    pub(super) fn table(&self) -> String {
        let mut table = Table::default();
        table.row([
            "", "calls", "requests", "per call", "accepted", "success", "p50", "p90", "p99",
            "p99.9", "longest",
        ]);
        for report in &self.reports {
            let (totals, latency) = (&report.totals, &report.latency);
            table.row([
                report.name.clone(),
                count(totals.calls),
                count(totals.attempts),
                format!("{:.2}", totals.amplification()),
                count(totals.accepted),
                format!("{:.2} %", totals.success_rate() * 100.0),
                length(latency.permille(500)),
                length(latency.permille(900)),
                length(latency.permille(990)),
                length(latency.permille(999)),
                length(latency.max()),
            ]);
        }
        format!("{}\n{}\n\n{}\n{}", self.scenario.title, self.caption(), table.lines(), self.ends())
    }

    /// Why calls were given up, and what the runs hash to.
    fn ends(&self) -> String {
        let widest = self.reports.iter().map(|report| report.name.chars().count()).max();
        let width = widest.unwrap_or(0);
        let mut lines = String::new();
        for Report { name, hash, give_ups, .. } in &self.reports {
            let reasons: Vec<String> = give_ups
                .iter()
                .map(|(reason, calls)| format!("{} {}", count(*calls), reason.replace('_', " ")))
                .collect();
            let reasons = if reasons.is_empty() { "none".to_owned() } else { reasons.join(", ") };
            // A String takes everything.
            let _ = writeln!(lines, "{name:<width$}  hash {hash:016x}  given up: {reasons}");
        }
        lines
    }

    /// The figures for programs.
    pub(super) fn json(&self) -> Json<'_> {
        Json {
            scenario: &self.fleet.name,
            title: &self.scenario.title,
            seed: self.fleet.seed.to_string(),
            level: "message",
            clients: self.scenario.clients,
            duration_s: self.scenario.duration.as_secs_f64(),
            contenders: self.reports.iter().map(contender).collect(),
        }
    }

    /// What must be the same in two runs.
    pub(super) fn fingerprint(&self) -> Vec<(String, u64)> {
        self.reports.iter().map(|report| (report.name.clone(), report.hash)).collect()
    }

    /// The first thing that must not happen and did.
    pub(super) fn violation(&self) -> Option<String> {
        self.reports.iter().find_map(|report| {
            let violation = report.violation.as_ref()?;
            Some(format!("{}: {violation} (seed {})", report.name, self.fleet.seed))
        })
    }

    /// How many calls begin each second: corners of a line over the time in seconds.
    pub(super) fn offered(&self) -> Vec<(f64, f64)> {
        let end = self.scenario.duration.as_secs_f64();
        let (usual, spikes): (f64, &[Spike]) = match &self.scenario.load {
            Load::Open(open) => (open.rate, &open.spikes),
            Load::Closed(closed) if closed.every.is_zero() => return Vec::new(),
            Load::Closed(closed) => {
                (f64::from(self.scenario.clients) / closed.every.as_secs_f64(), &[])
            }
        };
        let mut spikes: Vec<&Spike> = spikes.iter().collect();
        spikes.sort_by_key(|spike| spike.from);
        let mut corners = vec![(0.0, usual)];
        for Spike { from, until, rate, .. } in spikes {
            let (from, until) = (from.as_secs_f64(), until.as_secs_f64());
            if from < end {
                let until = until.min(end);
                corners.extend([(from, usual), (from, *rate), (until, *rate), (until, usual)]);
            }
        }
        corners.push((end, usual));
        corners
    }
}

/// What `--json` writes. All times are seconds; names of reasons are the engine's in snake_case.
#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    scenario: &'a str,
    title: &'a str,
    seed: String,
    level: &'static str,
    clients: u32,
    duration_s: f64,
    contenders: Vec<Played<'a>>,
}

#[derive(Debug, Serialize)]
struct Played<'a> {
    name: &'a str,
    calls: u64,
    requests: u64,
    retries: u64,
    accepted: u64,
    succeeded: u64,
    failed: u64,
    requests_per_call: f64,
    success_rate: f64,
    latency_s: BTreeMap<&'static str, Option<f64>>,
    gave_up: &'a BTreeMap<&'static str, u64>,
    most_open: usize,
    hash: String,
    records: u64,
    bin_s: f64,
    bins: Vec<Bin>,
}

#[derive(Debug, Serialize)]
struct Bin {
    from_s: f64,
    calls: u64,
    requests: u64,
    retries: u64,
    succeeded: u64,
    failed: u64,
}

fn contender(report: &Report) -> Played<'_> {
    let (totals, latency) = (&report.totals, &report.latency);
    let seconds = |length: Option<Duration>| length.map(|length| length.as_secs_f64());
    let bin = report.bin.as_secs_f64();
    let bins = report.bins.iter().enumerate().map(|(index, counts)| Bin {
        from_s: index as f64 * bin,
        calls: counts.calls,
        requests: counts.attempts,
        retries: counts.retries,
        succeeded: counts.succeeded,
        failed: counts.failed,
    });
    Played {
        name: &report.name,
        calls: totals.calls,
        requests: totals.attempts,
        retries: totals.retries(),
        accepted: totals.accepted,
        succeeded: totals.succeeded,
        failed: totals.failed,
        requests_per_call: totals.amplification(),
        success_rate: totals.success_rate(),
        latency_s: BTreeMap::from([
            ("p50", seconds(latency.permille(500))),
            ("p90", seconds(latency.permille(900))),
            ("p99", seconds(latency.permille(990))),
            ("p99_9", seconds(latency.permille(999))),
            ("max", seconds(latency.max())),
        ]),
        gave_up: &report.give_ups,
        most_open: report.most_open,
        hash: format!("{:016x}", report.hash),
        records: report.records,
        bin_s: bin,
        bins: bins.collect(),
    }
}
