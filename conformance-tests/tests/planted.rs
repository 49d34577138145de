//! The suite notices what is wrong: each planted fault makes scenarios of the requirement that it
//! breaks fail, and not all others.
//!
//! `RUSTFLAGS='--cfg redial_planted' cargo test -p redial-conformance --test planted` plants them,
//! one process for each; without the cfg there is none to plant.

#[cfg(not(redial_planted))]
fn main() {}

#[cfg(redial_planted)]
fn main() -> std::process::ExitCode {
    planted::main()
}

#[cfg(redial_planted)]
mod planted {
    #![allow(clippy::print_stdout, reason = "what was found is to be seen")]

    use std::env;
    use std::process::{Command, ExitCode};
    use std::sync::Arc;

    use libtest_mimic::{Arguments, Failed, Trial};
    use redial_client::Client;
    use redial_conformance::{
        Play, PlayError, Proof, Scenario, Seen, Subject, requirements, run, scenarios,
    };
    use redial_engine::planted::{Fault, plant};
    use redial_tokio::Tokio;
    use tokio::runtime::Builder;

    /// Names the fault to a process that plays the suite with it.
    const CHOSEN: &str = "REDIAL_PLANTED";

    /// How many scenarios of other requirements are played beside those that must fail.
    const OTHERS: usize = 12;

    pub(super) fn main() -> ExitCode {
        match env::var(CHOSEN) {
            Ok(name) => play_with(&name),
            Err(_) => {
                let mut arguments = Arguments::from_args();
                // Each plays several scenarios at a time, and mostly waits.
                arguments.test_threads.get_or_insert(6);
                let faults = Fault::ALL.iter().filter(|fault| shows_on_the_wire(fault));
                let mut trials: Vec<_> = faults.map(|fault| noticed(fault.name())).collect();
                trials.push(Trial::test("every_requirement_has_a_fault", every_requirement));
                libtest_mimic::run(&arguments, trials).exit_code()
            }
        }
    }

    fn shows_on_the_wire(fault: &Fault) -> bool {
        fault.breaks().iter().any(|id| wire().any(|known| known == *id))
    }

    fn wire() -> impl Iterator<Item = &'static str> {
        let wire = requirements().iter().filter(|it| matches!(it.proof, Proof::Wire));
        wire.map(|requirement| requirement.id)
    }

    /// Every requirement that shows on the wire has a fault that breaks it.
    fn every_requirement() -> Result<(), Failed> {
        let broken = |id: &&str| Fault::ALL.iter().any(|fault| fault.breaks().contains(id));
        let whole: Vec<_> = wire().filter(|id| !broken(id)).collect();
        if whole.is_empty() { Ok(()) } else { Err(Failed::from(format!("no fault: {whole:?}"))) }
    }

    /// Plays the suite in a process of its own, with the fault in it.
    fn noticed(name: &'static str) -> Trial {
        Trial::test(name, move || {
            let this = env::current_exe()?;
            let output = Command::new(this).env(CHOSEN, name).output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() { Ok(()) } else { Err(Failed::from(said)) }
        })
    }

    /// Plays what the fault must break, and some of what it must not.
    fn play_with(name: &str) -> ExitCode {
        let fault = Fault::ALL.iter().find(|fault| fault.name() == name);
        let Some(fault) = fault.filter(|_| plant(name)) else {
            println!("no fault is named {name}");
            return ExitCode::FAILURE;
        };
        let proves = |it: &Scenario| it.requirements.iter().any(|id| fault.breaks().contains(id));
        let (broken, others): (Vec<_>, Vec<_>) = scenarios().into_iter().partition(proves);
        let every = (others.len() / OTHERS).max(1);
        let others = others.into_iter().step_by(every).collect();
        let (noticed, of) = failures(broken);
        let (collateral, beside) = failures(others);
        println!("{name}: {} of {of} fail of {:?}", noticed.len(), fault.breaks());
        println!("  {noticed:?}\n  and {} of {beside} others: {collateral:?}", collateral.len());
        let named = !noticed.is_empty() && collateral.len() < beside;
        if named { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn failures(scenarios: Vec<Scenario>) -> (Vec<String>, usize) {
        let scenarios: Vec<_> = scenarios.into_iter().map(Arc::new).collect();
        let report = run(&[Arc::new(Subject::new("tokio", play))], &scenarios, |_| {});
        let failed = report.failures().map(|played| played.scenario.id.clone());
        (failed.collect(), scenarios.len())
    }

    fn play(play: Play) -> Result<Seen, PlayError> {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let builder = {
            let _inside = runtime.enter();
            Client::builder(Tokio::current()?)
        };
        Ok(runtime.block_on(play.with(builder))?)
    }
}
