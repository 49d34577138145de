//! Every fault that can be planted in the engine, the client and the transport is found in some
//! seed, shrunk to at most three faults, and shown again by the line that is printed.
//!
//! `RUSTFLAGS='--cfg redial_planted' cargo test -p redial-sim --test all_planted` plants them, one
//! process for each; without the cfg there is none to plant.

#[cfg(not(redial_planted))]
fn main() {}

#[cfg(redial_planted)]
fn main() -> std::process::ExitCode {
    planted::main()
}

#[cfg(redial_planted)]
mod planted {
    #![allow(clippy::print_stdout, reason = "what was found is to be seen")]

    use core::time::Duration;
    use std::env;
    use std::process::{Command, ExitCode};

    use libtest_mimic::{Arguments, Failed, Trial};
    use redial_engine::planted::{Fault, plant};
    use redial_sim::{Finding, Level, Scenario, Search, Seed, Simulation};
    use rustix::time::{ClockId, clock_gettime};

    /// Names the fault to a process that searches with it.
    const CHOSEN: &str = "REDIAL_PLANTED";
    /// How long a search may take, with the shrinking: time of the processor, so that what else
    /// the machine does costs nothing.
    const LIMIT: Duration = Duration::from_secs(10);
    /// How many seeds of each level are tried in turn: what is found by bytes alone is rare.
    const TURN: [(Level, u64); 3] = [(Level::Messages, 40), (Level::Bytes, 30), (Level::Http2, 5)];

    pub(super) fn main() -> ExitCode {
        match env::var(CHOSEN) {
            Ok(name) => match search_with(&name) {
                Ok(()) => ExitCode::SUCCESS,
                Err(why) => {
                    println!("{name}: {why}");
                    ExitCode::FAILURE
                }
            },
            Err(_) => {
                let mut arguments = Arguments::from_args();
                arguments.test_threads.get_or_insert(2);
                let trials = Fault::ALL.iter().map(|fault| found(fault.name()));
                libtest_mimic::run(&arguments, trials.collect()).exit_code()
            }
        }
    }

    /// Searches in a process of its own, with the fault in it.
    fn found(name: &'static str) -> Trial {
        Trial::test(name, move || {
            let this = env::current_exe()?;
            let output = Command::new(this).env(CHOSEN, name).output()?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            if output.status.success() { Ok(()) } else { Err(Failed::from(said)) }
        })
    }

    fn search_with(name: &str) -> Result<(), String> {
        if !plant(name) {
            return Err("no such fault".to_owned());
        }
        let finding = search().ok_or_else(|| format!("not found within {LIMIT:?}"))?;
        let took = processor_time();
        let faults = finding.scenario.faults.len();
        println!("{name}: found, and shrunk to {faults} faults, in {took:.1?}\n{finding}");
        check(&finding, took)
    }

    fn search() -> Option<Finding> {
        let mut turn = 0;
        while processor_time() < LIMIT {
            for (level, seeds) in TURN {
                let seeds = (turn * seeds..(turn + 1) * seeds).map(Seed);
                if let Some(finding) = Search::through(seeds, level).finding {
                    return Some(finding);
                }
            }
            turn += 1;
        }
        None
    }

    fn check(finding: &Finding, took: Duration) -> Result<(), String> {
        if took > LIMIT {
            return Err(format!("it took {took:?} instead of {LIMIT:?}"));
        }
        if finding.scenario.faults.len() > 3 {
            return Err("more than three faults are left".to_owned());
        }
        // The line that is printed says it all.
        let said = finding.to_string();
        let line = said.split('\'').nth(1).unwrap_or_default();
        let scenario: Scenario = line.parse().map_err(|why| format!("{why}: {line}"))?;
        let again = Simulation::new(&scenario).keep_trace().run();
        if (again.violation.as_ref(), again.trace.lines())
            != (Some(&finding.violation), finding.trace.clone())
        {
            return Err(format!("the line shows something else: {:?}", again.violation));
        }
        // Without the fault nothing is wrong.
        plant("");
        match Simulation::new(&scenario).run().violation {
            None => Ok(()),
            Some(violation) => Err(format!("without the fault: {violation}")),
        }
    }

    /// How long this process has been at work.
    fn processor_time() -> Duration {
        let time = clock_gettime(ClockId::ProcessCPUTime);
        let (seconds, nanos) = (time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs());
        Duration::from_secs(seconds) + Duration::from_nanos(nanos)
    }
}
