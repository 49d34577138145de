//! The smallest play that still breaks the same rule, and the line that plays it again (R-S-4).

use core::time::Duration;

use redial_sim::fleet::Scenario;

use super::fleets::{Fleet, Fleets, run};

/// The command that plays again what broke a rule, with as little as halving finds; nothing where
/// no rule was broken.
pub(super) fn again(played: &Fleets) -> Option<String> {
    let fleet = &played.fleet;
    let broken = played.reports.iter().enumerate().find_map(|(contender, report)| {
        Some(Broken { contender, what: report.violation.as_ref()?.what })
    })?;
    let mut least = played.scenario.clone();
    // Length first, because half of it takes half the time to find out; and once more, because
    // fewer clients may break the rule earlier.
    for half in [shorter, fewer, shorter] {
        while let Some(less) = half(fleet, &least).filter(|less| broken.is_seen(fleet, less)) {
            least = less;
        }
    }
    let Scenario { clients, duration, .. } = least;
    let (name, seed) = (quoted(&fleet.name), fleet.seed);
    let seconds = duration.as_secs_f64();
    Some(format!("redial simulate {name} --seed {seed} --clients {clients} --duration {seconds}"))
}

/// A rule that was broken, and by which contender.
struct Broken {
    contender: usize,
    what: &'static str,
}

impl Broken {
    fn is_seen(&self, fleet: &Fleet, scenario: &Scenario) -> bool {
        let contender = scenario.contenders.get(self.contender);
        let report = contender.map(|contender| run(scenario, contender, fleet.seed));
        let violation = report.and_then(|report| report.violation);
        violation.is_some_and(|violation| violation.what == self.what)
    }
}

/// Half as long, in whole milliseconds, because it is to be typed.
fn shorter(fleet: &Fleet, scenario: &Scenario) -> Option<Scenario> {
    let half = u64::try_from(scenario.duration.as_millis() / 2).ok()?;
    fleet.sized(scenario.clients, Duration::from_millis(half)).ok()
}

/// Half as many clients.
fn fewer(fleet: &Fleet, scenario: &Scenario) -> Option<Scenario> {
    fleet.sized(scenario.clients / 2, scenario.duration).ok()
}

/// A name as a shell takes it.
fn quoted(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "/._-+,:@%=".contains(c);
    if name.chars().all(plain) {
        name.to_owned()
    } else {
        format!("'{}'", name.replace('\'', "'\\''"))
    }
}
