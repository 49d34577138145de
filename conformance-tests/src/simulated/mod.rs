//! The suite in virtual time: the same scenarios, the same scripts and the same judge, but origins
//! and networks are simulated, and nobody waits (R-S-2).
//!
//! The transport under test is the real one of `redial-hyper`, on virtual sockets. Scripts over plain
//! TCP are played, of HTTP/1.1 and of HTTP/2; TLS is not, and [`check`] says so.

mod conversation;
mod host;
mod player;
mod record;
mod streams;

use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use redial_client::{BoxFuture, Client};
use redial_hyper::Hyper;
use redial_sim::net::Virtual;
use redial_sim::{Executor, VirtualTime};

use self::host::Origins;
use crate::{Place, Play, Scenario, Seen, Time, judge};

/// Why a scenario is not played in virtual time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NotPlayed {
    /// An origin speaks TLS.
    Tls,
}

impl fmt::Display for NotPlayed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tls => "it needs TLS",
        })
    }
}

/// What a scenario came to in virtual time.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Virtually {
    /// What was not as it must be; empty where the scenario passes.
    pub wrong: Vec<String>,
    /// What the client saw; `None` where there was none.
    pub seen: Option<Seen>,
    /// How much virtual time has passed.
    pub elapsed: Duration,
}

/// Plays a scenario in virtual time, on the thread that calls this.
///
/// # Errors
///
/// [`NotPlayed`] where the simulated origins cannot play it.
pub fn check(scenario: &Arc<Scenario>) -> Result<Virtually, NotPlayed> {
    can_be_played(scenario)?;
    let mut executor = Executor::new();
    let time = executor.time();
    let origins = Origins::new(&scenario.origins, &time);
    let runtime = Virtual::new(time.clone(), Arc::clone(&origins) as _);
    let places = (0..scenario.origins.len()).map(|origin| place(&origins, origin)).collect();
    let play = Play::new(Arc::clone(scenario), places, Arc::new(Clock(time.clone())));
    let builder = Client::builder(Hyper::on(runtime)).seed(1);
    let (mut wrong, mut observed) = (Vec::new(), None);
    match executor.run(play.with(builder)) {
        Ok(Ok(seen)) => {
            // What has not come to its end by itself gets as long as a real server gives it.
            let _ = executor.run(time.sleep(crate::GRACE));
            wrong.extend(origins.finish());
            wrong.extend(judge(scenario, &seen, &origins.logs()));
            observed = Some(seen);
        }
        Ok(Err(error)) => wrong.push(format!("no client could be built: {error}")),
        Err(halt) => wrong.push(format!("it never ends: {halt}")),
    }
    drop(executor);
    Ok(Virtually { wrong, seen: observed, elapsed: time.elapsed() })
}

fn can_be_played(scenario: &Scenario) -> Result<(), NotPlayed> {
    if scenario.origins.iter().any(|script| script.tls().is_some()) {
        return Err(NotPlayed::Tls);
    }
    Ok(())
}

fn place(origins: &Arc<Origins>, origin: usize) -> Place {
    let (url, origins) = (host::url(origin), Arc::clone(origins));
    Place { url, roots: None, open: Box::new(move || origins.open(origin)) }
}

/// Virtual time, as plays ask for it.
#[derive(Debug)]
struct Clock(VirtualTime);

impl Time for Clock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep(&self, length: Duration) -> BoxFuture<'static, ()> {
        Box::pin(self.0.sleep(length))
    }
}
