//! The scenario `jitter`: how many writes it takes until every client has made its own (R1).

use core::time::Duration;

use redial_sim::Seed;
use redial_sim::contention::{self, Algorithm};
use serde::Serialize;

use super::progress::Bar;
use super::table::{Table, length};

/// Contests of more and more clients, each algorithm a hundred times.
#[derive(Debug)]
pub(super) struct Contests {
    pub(super) seed: Seed,
    pub(super) points: Vec<Point>,
}

/// The means of all runs of one algorithm with so many clients.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(super) struct Point {
    #[serde(serialize_with = "name")]
    pub(super) algorithm: Algorithm,
    pub(super) clients: u32,
    /// Writes that were sent.
    pub(super) writes: f64,
    /// Seconds until the last client had succeeded.
    pub(super) completion_s: f64,
}

/// The most clients, unless that is said.
pub(super) const CLIENTS: u32 = 200;
/// So many would take hours without backoff: their work grows with the square.
pub(super) const MOST_CLIENTS: u32 = 2_000;
/// As many as the article made.
const RUNS: u32 = 100;
/// How many numbers of clients there are, up to the most.
const STEPS: u32 = 10;

/// Plays the contests of up to so many clients.
pub(super) fn play(most: u32, seed: Seed) -> Contests {
    let mut sizes: Vec<u32> = (1..=STEPS).map(|step| (most * step / STEPS).max(1)).collect();
    sizes.dedup();
    let mut points = Vec::new();
    for algorithm in Algorithm::ALL {
        let Ok(policy) = algorithm.policy() else { continue };
        let bar = Bar::new(algorithm.name(), Duration::from_secs(u64::from(most)));
        for clients in &sizes {
            let runs = (0..RUNS).map(|run| {
                let contest = contention::run(*clients, &policy, seed.child(u64::from(run)));
                (contest.writes as f64, contest.completion.as_secs_f64())
            });
            let (writes, time) =
                runs.fold((0.0, 0.0), |(w, t), (writes, time)| (w + writes, t + time));
            points.push(Point {
                algorithm,
                clients: *clients,
                writes: writes / f64::from(RUNS),
                completion_s: time / f64::from(RUNS),
            });
            bar.to(Duration::from_secs(u64::from(*clients)), || format!("{clients} clients"));
        }
    }
    Contests { seed, points }
}

impl Contests {
    pub(super) const TITLE: &'static str = "Clients that contend for one row";

    /// What a reader has to know of all its figures.
    pub(super) fn caption(&self) -> String {
        format!(
            "redial simulate jitter --seed {}: means of {RUNS} runs in virtual time, message level",
            self.seed
        )
    }

    /// The points of one algorithm, in the order of clients.
    pub(super) fn of(&self, algorithm: Algorithm) -> impl Iterator<Item = &Point> {
        self.points.iter().filter(move |point| point.algorithm == algorithm)
    }

    /// The figures as two tables.
    pub(super) fn table(&self) -> String {
        let writes = self.by_size(|point| format!("{:.0}", point.writes));
        let time = self
            .by_size(|point| length(Some(Duration::from_secs_f64(point.completion_s.max(0.0)))));
        format!(
            "{}\n{}\n\nwrites until every client has made its own\n{writes}\ntime until then\n{time}",
            Self::TITLE,
            self.caption(),
        )
    }

    fn by_size(&self, cell: impl Fn(&Point) -> String) -> String {
        let mut table = Table::default();
        let sizes = self.of(Algorithm::None).map(|point| point.clients.to_string());
        table.row(core::iter::once("clients".to_owned()).chain(sizes));
        for algorithm in Algorithm::ALL {
            let name = algorithm.name().to_owned();
            table.row(core::iter::once(name).chain(self.of(algorithm).map(&cell)));
        }
        table.lines()
    }

    /// The figures for programs.
    pub(super) fn json(&self) -> Json<'_> {
        Json {
            scenario: "jitter",
            title: Self::TITLE,
            seed: self.seed.to_string(),
            level: "message",
            runs: RUNS,
            points: &self.points,
        }
    }

    /// What must be the same in two runs.
    pub(super) fn fingerprint(&self) -> Vec<(String, u64)> {
        let hash =
            |point: &Point| point.writes.to_bits() ^ point.completion_s.to_bits().rotate_left(32);
        let name = |point: &Point| format!("{}, {} clients", point.algorithm.name(), point.clients);
        self.points.iter().map(|point| (name(point), hash(point))).collect()
    }
}

/// What `--json` writes.
#[derive(Debug, Serialize)]
pub(super) struct Json<'a> {
    scenario: &'static str,
    title: &'static str,
    seed: String,
    level: &'static str,
    runs: u32,
    points: &'a [Point],
}

fn name<S: serde::Serializer>(algorithm: &Algorithm, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(algorithm.name())
}
