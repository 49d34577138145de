//! The end of a run: nothing goes wrong any more, and everything must be as if nothing ever had.

use core::time::Duration;
use std::sync::Arc;

use redial_client::{Client, Error, RequestBuilder, Response};
use redial_engine::FailureKind;

use super::bytes::Origin;
use super::call::ELSEWHERE;
use super::world::World;
use crate::executor::Executor;
use crate::net::Virtual;
use crate::referee::Invariant;
use crate::scenario::Level;

/// How long connections may be idle (R-P-3).
const IDLE: Duration = Duration::from_secs(30);
/// How long what nobody waits for any more may take, above all a connect, and a little more.
const SETTLED: Duration = Duration::from_secs(6);

/// Sees to it that nothing has stuck, and that the client closes.
pub(super) fn come_to_rest(
    executor: &mut Executor,
    world: &Arc<World>,
    client: Client,
    network: Option<&(Virtual, Arc<Origin>)>,
) {
    let mut calm = Calm { executor, world, network };
    let rested = calm.rest(&client).and_then(|()| calm.close(client));
    if let Err((invariant, what)) = rested {
        world.violated(invariant, what);
    }
}

/// What must not be.
type Wrong = (Invariant, String);

struct Calm<'a> {
    executor: &'a mut Executor,
    world: &'a Arc<World>,
    /// Where every byte is simulated.
    network: Option<&'a (Virtual, Arc<Origin>)>,
}

impl Calm<'_> {
    fn rest(&mut self, client: &Client) -> Result<(), Wrong> {
        if self.world.is_violated() {
            return Ok(());
        }
        self.world.calm_down();
        if self.network.is_none() {
            self.wait(IDLE)?;
            return self.probe(client, "/probe");
        }
        self.idle_connections_go()?;
        self.one_connection_serves_many(client)?;
        // Where there is room for one connection only, that of the other origin has to go (R-P-4).
        self.probe(client, &format!("{ELSEWHERE}/probe"))
    }

    /// R-P-2 and R-P-3, with nobody asking for anything.
    fn idle_connections_go(&mut self) -> Result<(), Wrong> {
        self.wait(SETTLED)?;
        let (open, idle) = (self.open(), self.world.scenario().idle as usize);
        if open > idle {
            return wrong(format!("{open} idle connections, of which {idle} may be kept"));
        }
        self.wait(IDLE)?;
        match self.open() {
            0 => Ok(()),
            open => wrong(format!("{open} connections are idle for too long")),
        }
    }

    /// R-P-6, R-P-7 and R-P-9.
    fn one_connection_serves_many(&mut self, client: &Client) -> Result<(), Wrong> {
        let (opened, reused) = (self.opened(), client.pool().reused_total);
        let permitted = self.network.map_or(1, |(_, origin)| origin.streams());
        let is_shared = self.world.scenario().level == Level::Http2;
        let together = if is_shared { permitted.min(3) as usize } else { 1 };
        self.most_together();
        let probes = (0..together).map(|_| probe(client, "/probe").send());
        let answers = self.run(futures_util::future::join_all(probes))?;
        answers.into_iter().try_for_each(|answer| is_answered(&answer))?;
        let seen = self.most_together();
        if is_shared && seen != together {
            return wrong(format!("{seen} requests together instead of {together}"));
        }
        self.probe(client, "/probe")?;
        let (more, again) = (self.opened() - opened, client.pool().reused_total - reused);
        if more != 1 {
            return wrong(format!("{more} connections for {} requests", together + 1));
        }
        if again != together as u64 {
            return wrong(format!("{again} requests on a used connection instead of {together}"));
        }
        Ok(())
    }

    fn probe(&mut self, client: &Client, url: &str) -> Result<(), Wrong> {
        is_answered(&self.run(probe(client, url).send())?)
    }

    /// Closes the client. Its connections must go, and must never have been too many (R-C-6).
    fn close(&mut self, client: Client) -> Result<(), Wrong> {
        if self.world.is_violated() {
            return Ok(());
        }
        client.close();
        let late = self.run(client.get("/late").send())?;
        if !late.is_err_and(|error| error.kind() == FailureKind::ClientClosed) {
            return Err((Invariant::End, "a call was made after the client was closed".into()));
        }
        drop(client);
        let Some((network, _)) = self.network else { return Ok(()) };
        self.wait(SETTLED)?;
        let (open, most) = (network.open(), network.most_open());
        if open > 0 {
            return wrong(format!("{open} connections outlive their client"));
        }
        if most > self.world.scenario().connections as usize {
            return wrong(format!("{most} connections at a time"));
        }
        Ok(())
    }

    fn open(&self) -> usize {
        self.network.map_or(0, |(network, _)| network.open())
    }

    fn opened(&self) -> u64 {
        self.network.map_or(0, |(network, _)| network.opened())
    }

    fn most_together(&self) -> usize {
        self.network.map_or(0, |(_, origin)| origin.most_together())
    }

    fn wait(&mut self, length: Duration) -> Result<(), Wrong> {
        let sleep = self.world.time().sleep(length);
        self.run(sleep)
    }

    fn run<T>(&mut self, future: impl Future<Output = T>) -> Result<T, Wrong> {
        self.executor.run(future).map_err(|halt| (Invariant::Liveness, halt.to_string()))
    }
}

/// A call that has all the time that it needs.
fn probe(client: &Client, url: &str) -> RequestBuilder {
    client.get(url).attempt_timeout(Duration::MAX)
}

/// A call with which nothing goes wrong succeeds at once.
fn is_answered(answer: &Result<Response, Error>) -> Result<(), Wrong> {
    let what = match answer {
        Ok(response) if response.status() == 200 && response.attempts().len() == 1 => return Ok(()),
        Ok(response) => {
            let (status, sends) = (response.status(), response.attempts().len());
            format!("one of the last calls got {status} in {sends} sends")
        }
        Err(error) => format!("one of the last calls: {error}"),
    };
    Err((Invariant::Liveness, what))
}

fn wrong(what: String) -> Result<(), Wrong> {
    Err((Invariant::Pool, what))
}
