//! Scenarios as tests: one for each scenario and transport, with names that filter.

use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};

use crate::runner::AT_A_TIME;
use crate::{Declaration, Scenario, Subject, Verdict, check, scenarios};

/// Runs every scenario over these transports, each as a test of its own, as the arguments of the
/// process say: the `main` of a test without the usual harness.
///
/// The names are those of the transport and of the scenario, as in
/// `tokio::decisions/status-503`, so that `cargo test` and its kin filter them. A declaration that
/// is about no scenario is a test that fails.
///
/// See [`conformance!`](crate::conformance!), which writes that `main`.
pub fn harness(subjects: impl IntoIterator<Item = Subject>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // They wait most of the time, whatever the number of processors.
    arguments.test_threads.get_or_insert(AT_A_TIME);
    let scenarios: Vec<_> = scenarios().into_iter().map(Arc::new).collect();
    let mut trials = Vec::new();
    for subject in subjects.into_iter().map(Arc::new) {
        trials.extend(scenarios.iter().map(|scenario| trial(&subject, scenario)));
        trials.extend(subject.declarations().iter().map(|it| about(&subject, it, &scenarios)));
    }
    libtest_mimic::run(&arguments, trials).exit_code()
}

fn trial(subject: &Arc<Subject>, scenario: &Arc<Scenario>) -> Trial {
    let (subject, scenario) = (Arc::clone(subject), Arc::clone(scenario));
    let name = format!("{}::{}", subject.name(), scenario.id);
    Trial::test(name, move || match check(&subject, &scenario).verdict {
        Verdict::Passed | Verdict::Declared { .. } => Ok(()),
        Verdict::Failed(differences) => Err(Failed::from(differences.join("\n"))),
    })
}

/// That a declaration is about a scenario that there is.
fn about(subject: &Subject, declaration: &Declaration, scenarios: &[Arc<Scenario>]) -> Trial {
    let covers = scenarios.iter().any(|scenario| declaration.covers(&scenario.id));
    let name = format!("{}::declared::{}", subject.name(), declaration.scenario());
    Trial::test(
        name,
        move || {
            if covers { Ok(()) } else { Err(Failed::from("there is no such scenario")) }
        },
    )
}

/// Writes the `main` of a test that runs the whole suite over transports of one's own.
///
/// The test needs `harness = false` in `Cargo.toml`. Each argument is a [`Subject`]: a name, and how
/// a scenario is played.
///
/// ```no_run
/// use redial_conformance::{Play, PlayError, Seen, Subject};
///
/// // Where your own transport has its place.
/// fn play(play: Play) -> Result<Seen, PlayError> {
///     Ok(smol::block_on(play.with(redial_smol::client()))?)
/// }
///
/// redial_conformance::conformance!(Subject::new("mine", play));
/// ```
#[macro_export]
macro_rules! conformance {
    ($($subject:expr),+ $(,)?) => {
        fn main() -> ::std::process::ExitCode {
            $crate::harness([$($subject),+])
        }
    };
}
