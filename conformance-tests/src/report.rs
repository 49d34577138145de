//! What came of the scenarios, for people and for programs.

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use serde::Serialize;

use crate::Scenario;

/// One scenario, played over one transport.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Played {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// The transport's name.
    pub subject: String,
    /// What came of it.
    pub verdict: Verdict,
    /// How long it took.
    pub elapsed: Duration,
}

/// What came of a scenario.
///
/// Exhaustive on purpose: nothing is skipped.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Everything was as it must be.
    Passed,
    /// It does not pass, as the transport declares; what the transport does instead does.
    Declared {
        /// Why.
        reason: String,
        /// What was not as the scenario has it: none where a race went its way this time.
        differences: Vec<String>,
    },
    /// This was not as it must be.
    Failed(Vec<String>),
}

impl Verdict {
    /// The name in reports.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Declared { .. } => "declared",
            Self::Failed(_) => "failed",
        }
    }

    /// Whether it is a failure.
    pub const fn is_failure(&self) -> bool {
        matches!(self, Self::Failed(_))
    }
}

/// What came of every scenario over every transport.
///
/// It is written as a table of scenario by transport, with the counts below it, and serialised as
/// JSON with the same names.
#[derive(Clone, Debug)]
pub struct Report {
    subjects: Vec<String>,
    played: Vec<Played>,
}

/// How many scenarios came to what.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Counts {
    /// Everything was as it must be.
    pub passed: usize,
    /// Something was not.
    pub failed: usize,
    /// They do not pass, as declared.
    pub declared: usize,
}

impl Counts {
    /// Each count beside its name.
    pub const fn named(&self) -> [(&'static str, usize); 3] {
        [("passed", self.passed), ("failed", self.failed), ("declared", self.declared)]
    }
}

impl Report {
    /// Of these transports, in the order of the table's columns, what came of these; those of one
    /// scenario are next to each other.
    pub(crate) const fn new(subjects: Vec<String>, played: Vec<Played>) -> Self {
        Self { subjects, played }
    }

    /// The names of the transports.
    pub fn subjects(&self) -> &[String] {
        &self.subjects
    }

    /// Every scenario over every transport: by scenario, and then by transport.
    pub fn played(&self) -> &[Played] {
        &self.played
    }

    /// What was not as it must be.
    pub fn failures(&self) -> impl Iterator<Item = &Played> {
        self.played.iter().filter(|played| played.verdict.is_failure())
    }

    /// The counts over all transports.
    pub fn counts(&self) -> Counts {
        count(self.played.iter())
    }

    /// The counts of one transport.
    pub fn counts_of(&self, subject: &str) -> Counts {
        count(self.played.iter().filter(|played| played.subject == subject))
    }

    fn rows(&self) -> impl Iterator<Item = &[Played]> {
        self.played.chunk_by(|one, other| one.scenario.id == other.scenario.id)
    }
}

fn count<'a>(played: impl Iterator<Item = &'a Played>) -> Counts {
    played.fold(Counts::default(), |mut counts, played| {
        match played.verdict {
            Verdict::Passed => counts.passed += 1,
            Verdict::Failed(_) => counts.failed += 1,
            Verdict::Declared { .. } => counts.declared += 1,
        }
        counts
    })
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ids = self.played.iter().map(|played| played.scenario.id.len());
        let width = ids.max().unwrap_or(0).max("scenario".len());
        write!(f, "{:width$}", "scenario")?;
        for subject in &self.subjects {
            write!(f, "  {subject:>8}")?;
        }
        writeln!(f)?;
        for row in self.rows() {
            let Some(first) = row.first() else { continue };
            write!(f, "{:width$}", first.scenario.id)?;
            for (subject, played) in self.subjects.iter().zip(row) {
                write!(f, "  {:>1$}", played.verdict.name(), subject.len().max(8))?;
            }
            writeln!(f)?;
        }
        let counts: Vec<_> =
            self.subjects.iter().map(|it| (it.len().max(8), self.counts_of(it).named())).collect();
        for (line, (name, _)) in Counts::default().named().into_iter().enumerate() {
            write!(f, "{name:width$}")?;
            for (width, counts) in &counts {
                let count = counts.get(line).map_or(0, |(_, count)| *count);
                write!(f, "  {count:>width$}")?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

/// A report, as it is written for programs.
#[derive(Serialize)]
struct Written<'a> {
    counts: Counts,
    scenarios: Vec<Row<'a>>,
}

#[derive(Serialize)]
struct Row<'a> {
    id: &'a str,
    title: &'a str,
    requirements: &'a [&'static str],
    results: Vec<Cell<'a>>,
}

#[derive(Serialize)]
struct Cell<'a> {
    transport: &'a str,
    result: &'static str,
    reason: Option<&'a str>,
    differences: &'a [String],
    elapsed_ms: f64,
}

impl Serialize for Report {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let scenarios = self.rows().filter_map(|row| {
            let Scenario { id, title, requirements, .. } = &*row.first()?.scenario;
            Some(Row { id, title, requirements, results: row.iter().map(cell).collect() })
        });
        Written { counts: self.counts(), scenarios: scenarios.collect() }.serialize(serializer)
    }
}

fn cell(played: &Played) -> Cell<'_> {
    let (reason, differences): (_, &[String]) = match &played.verdict {
        Verdict::Passed => (None, &[]),
        Verdict::Declared { reason, differences } => (Some(reason.as_str()), differences),
        Verdict::Failed(differences) => (None, differences),
    };
    let elapsed_ms = (played.elapsed.as_secs_f64() * 1e4).round() / 10.0;
    let (transport, result) = (played.subject.as_str(), played.verdict.name());
    Cell { transport, result, reason, differences, elapsed_ms }
}
