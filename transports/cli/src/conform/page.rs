//! What came of the suite, for people: the table, what is wrong, and what is declared.

use core::fmt::Write as _;
use core::time::Duration;

use anstyle::{AnsiColor, Style};
use redial_conformance::{Played, Report, Verdict};

const GOOD: Style = AnsiColor::Green.on_default().bold();
const BAD: Style = AnsiColor::Red.on_default().bold();
const DECLARED: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

/// Draws the report of a run that took so long.
pub(crate) fn draw(report: &Report, elapsed: Duration) -> String {
    let mut page = report.to_string();
    for played in report.played() {
        explain(&mut page, played);
    }
    sum_up(&mut page, report, elapsed);
    page
}

/// Says what is wrong with a scenario, or why it is declared; nothing of one that passed.
fn explain(page: &mut String, played: &Played) {
    // Writing to a string does not fail.
    let _ = match &played.verdict {
        Verdict::Passed => return,
        Verdict::Failed(_) => write!(page, "\n{BAD}failed{BAD:#}"),
        Verdict::Declared { .. } => write!(page, "\n{DECLARED}declared{DECLARED:#}"),
    };
    let (subject, scenario) = (&played.subject, &played.scenario);
    let proves = scenario.requirements.join(", ");
    let (id, title) = (&scenario.id, &scenario.title);
    let _ = writeln!(page, " {subject}: {id} {DIM}({proves}: {title}){DIM:#}");
    let (reason, differences): (_, &[String]) = match &played.verdict {
        Verdict::Passed => (None, &[]),
        Verdict::Failed(differences) => (None, differences),
        Verdict::Declared { reason, differences } => (Some(reason), differences),
    };
    for line in reason.into_iter().chain(differences) {
        let _ = writeln!(page, "  {line}");
    }
}

/// The last line: the counts over all transports.
fn sum_up(page: &mut String, report: &Report, elapsed: Duration) {
    let counts = report.counts();
    let style = if counts.failed == 0 { GOOD } else { BAD };
    let counts = counts.named().map(|(name, count)| format!("{count} {name}")).join(", ");
    let seconds = elapsed.as_secs_f64();
    let _ = writeln!(page, "\n{style}{counts}{style:#} in {seconds:.1} s");
}
