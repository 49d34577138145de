//! Plays scenarios over transports, against real fault servers on loopback.

use core::panic::AssertUnwindSafe;
use core::time::Duration;
use std::collections::VecDeque;
use std::panic::catch_unwind;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use crate::play::{Place, Play, RealTime};
use crate::{
    Declaration, FaultServer, Log, Played, Report, Scenario, Seen, Subject, Verdict, judge,
};

/// How long a scenario may take. One that takes longer hangs.
const TOO_LONG: Duration = Duration::from_secs(60);

/// How many scenarios are played at a time: they wait most of the time, for timeouts above all.
pub(crate) const AT_A_TIME: usize = 8;

/// Plays every scenario over every transport, several at a time, and reports what came of it.
///
/// `progress` is told of each as it is over, from whichever thread.
pub fn run(
    subjects: &[Arc<Subject>],
    scenarios: &[Arc<Scenario>],
    progress: impl Fn(&Played) + Sync,
) -> Report {
    let rows = scenarios.iter().enumerate();
    let mut queue = VecDeque::new();
    for (row, scenario) in rows {
        queue.extend(subjects.iter().enumerate().map(|(column, it)| (row, column, it, scenario)));
    }
    let (queue, done) = (Mutex::new(queue), Mutex::new(Vec::new()));
    let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
    let work = || {
        while let Some((row, column, subject, scenario)) = next() {
            let played = check(subject, scenario);
            progress(&played);
            let mut done = done.lock().unwrap_or_else(PoisonError::into_inner);
            done.push((row, column, played));
        }
    };
    thread::scope(|scope| {
        for _ in 1..AT_A_TIME {
            // Where the system has no more threads to give, fewer are played at a time.
            let _ = thread::Builder::new().spawn_scoped(scope, work);
        }
        work();
    });
    let mut done = done.into_inner().unwrap_or_else(PoisonError::into_inner);
    done.sort_by_key(|(row, column, _)| (*row, *column));
    Report::new(
        subjects.iter().map(|subject| subject.name().to_owned()).collect(),
        done.into_iter().map(|(_, _, played)| played).collect(),
    )
}

/// Plays one scenario over one transport, and what the transport declares of it.
pub fn check(subject: &Arc<Subject>, scenario: &Arc<Scenario>) -> Played {
    let began = Instant::now();
    let differences = play(subject, scenario);
    let verdict = match subject.declared(&scenario.id) {
        None if differences.is_empty() => Verdict::Passed,
        None => Verdict::Failed(differences),
        Some(declaration) => declared(subject, scenario, declaration, differences),
    };
    Played {
        scenario: Arc::clone(scenario),
        subject: subject.name().to_owned(),
        verdict,
        elapsed: began.elapsed(),
    }
}

/// What comes of a scenario that is declared, and differed so: what holds instead is played too.
fn declared(
    subject: &Arc<Subject>,
    scenario: &Arc<Scenario>,
    declaration: &Declaration,
    differences: Vec<String>,
) -> Verdict {
    let reason = declaration.reason();
    if differences.is_empty() && declaration.is_strict() {
        return Verdict::Failed(vec![format!("it passes, although it is declared: {reason}")]);
    }
    let instead = declaration.instead_of(scenario).map(Arc::new);
    let wrong = instead.map_or_else(Vec::new, |scenario| play(subject, &scenario));
    if wrong.is_empty() {
        Verdict::Declared { reason: reason.to_owned(), differences }
    } else {
        Verdict::Failed(wrong.into_iter().map(|it| format!("instead of it: {it}")).collect())
    }
}

/// Plays a scenario, and answers what was not as it must be.
fn play(subject: &Arc<Subject>, scenario: &Arc<Scenario>) -> Vec<String> {
    let servers: Result<Vec<_>, _> =
        scenario.origins.iter().map(|script| FaultServer::start(script.clone())).collect();
    let servers = match servers {
        Ok(servers) => servers.into_iter().map(Arc::new).collect::<Vec<_>>(),
        Err(error) => return vec![format!("no origin could be started: {error}")],
    };
    let places = servers.iter().map(place).collect();
    let play = Play::new(Arc::clone(scenario), places, Arc::new(RealTime::new()));
    let seen = within_reason(Arc::clone(subject), play);
    let (logs, mut wrong) = finish(servers);
    match seen {
        Ok(seen) => wrong.extend(judge(scenario, &seen, &logs)),
        Err(why) => wrong.insert(0, why),
    }
    wrong
}

fn place(server: &Arc<FaultServer>) -> Place {
    let (url, roots) = (server.url(""), server.roots().map(|roots| roots.as_bytes().to_vec()));
    let server = Arc::clone(server);
    Place { url, roots, open: Box::new(move || server.log().open_connections()) }
}

/// Ends every origin; their logs, and where a script was not played to its end.
fn finish(servers: Vec<Arc<FaultServer>>) -> (Vec<Log>, Vec<String>) {
    let (mut logs, mut wrong) = (Vec::new(), Vec::new());
    for (index, server) in servers.into_iter().enumerate() {
        let Some(server) = Arc::into_inner(server) else {
            wrong.push(format!("origin {index} is still in use"));
            continue;
        };
        match server.finish() {
            Ok(log) => logs.push(log),
            Err(unfinished) => {
                wrong.push(format!("origin {index}: {unfinished}"));
                logs.push(unfinished.log().clone());
            }
        }
    }
    (logs, wrong)
}

/// Plays on a thread of its own, so that a client that hangs or panics is a failure like another.
fn within_reason(subject: Arc<Subject>, play: Play) -> Result<Seen, String> {
    let (tell, told) = channel();
    let name = subject.name().to_owned();
    let work = move || {
        let result = catch_unwind(AssertUnwindSafe(|| subject.play(play)));
        // Nobody listens any more where it took too long.
        let _ = tell.send(result);
    };
    let thread = thread::Builder::new().name(name).spawn(work);
    let thread = thread.map_err(|error| format!("no thread to play on: {error}"))?;
    let result = told.recv_timeout(TOO_LONG).map_err(|why| match why {
        RecvTimeoutError::Timeout => format!("it is still not over after {TOO_LONG:?}"),
        RecvTimeoutError::Disconnected => "its thread is gone".to_owned(),
    })?;
    // The thread has said its last word, and drops what it had of the play.
    let _ = thread.join();
    match result {
        Ok(Ok(seen)) => Ok(seen),
        Ok(Err(error)) => Err(format!("it cannot be played: {error}")),
        Err(_) => Err("it panicked".to_owned()),
    }
}
