//! An async client going through the acts.

use core::time::Duration;
use std::sync::Arc;

use futures_util::future::join_all;
use redial_client::{BuildError, Client, ClientBuilder, Error, race};

use super::call::request;
use super::seen::{CallSeen, Figures, Seen, of_head};
use super::{COMPANY, LOOK_EVERY, Play, SETTLE, figures_are, has_company};
use crate::{Act, Call, Reading};

impl Play {
    /// Plays the scenario with a client that is built from this. Poll it on the runtime that the
    /// transport lives on, to its end.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the client cannot be built as the scenario sets it up.
    pub async fn with(self, builder: ClientBuilder) -> Result<Seen, BuildError> {
        let client = self.scenario.setup.apply(builder, self.base(), self.roots()).build()?;
        let mut seen = Seen::default();
        for act in &self.scenario.acts {
            match act {
                Act::Calls(calls) => {
                    seen.calls
                        .extend(join_all(calls.iter().map(|it| self.call(&client, it))).await);
                }
                Act::Rest(length) => self.time.sleep(*length).await,
                Act::Close => client.close(),
                Act::Figures { .. } | Act::Totals { .. } => {
                    let right = self.settles(SETTLE, || figures_are(act, &client.pool())).await;
                    seen.figures.push(Figures { found: client.pool(), right });
                }
            }
        }
        let (standing, dropped) = self.patience();
        seen.left_open.0 = self.left_open(standing).await;
        drop(client);
        seen.left_open.1 = self.left_open(dropped).await;
        Ok(seen)
    }

    /// How many connections are still open when the patience is over; none where there is none.
    async fn left_open(&self, patience: Option<Duration>) -> usize {
        let Some(patience) = patience else { return 0 };
        self.settles(patience, || self.open_connections() == 0).await;
        self.open_connections()
    }

    /// Waits until something holds; whether it does in time.
    async fn settles(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let until = self.time.now().saturating_add(patience);
        while !holds() {
            if self.time.now() >= until {
                return false;
            }
            self.time.sleep(LOOK_EVERY).await;
        }
        true
    }

    /// Makes one call, and drops it when the caller loses interest.
    async fn call(&self, client: &Client, call: &Call) -> CallSeen {
        if !call.after.is_zero() {
            self.time.sleep(call.after).await;
        }
        if let Some(waiting) = call.behind {
            self.settles(COMPANY, || has_company(&client.pool(), waiting)).await;
        }
        let began = self.time.now();
        let took = || self.time.now().saturating_sub(began);
        let ended = match call.cancel {
            None => Some(self.end_of(client, call).await),
            Some(after) => {
                let limit = self.time.sleep(after);
                race(self.end_of(client, call), limit).await
            }
        };
        match ended {
            None => CallSeen::cancelled(took()),
            Some(Ok(seen)) => CallSeen { took: took(), ..seen },
            Some(Err(error)) => CallSeen::of_error(&error, took()),
        }
    }

    async fn end_of(&self, client: &Client, call: &Call) -> Result<CallSeen, Error> {
        let request = request(client, call, &self.places, &Arc::clone(&self.time));
        let unknown = Duration::ZERO;
        match call.reading {
            Reading::Whole => Ok(CallSeen::of_response(&request.send().await?, unknown)),
            Reading::Streaming | Reading::Kept { .. } => {
                let response = request.send_streaming().await?;
                if let Reading::Kept { waiting } = call.reading {
                    self.settles(COMPANY, || has_company(&client.pool(), waiting)).await;
                }
                let (attempts, reason) = (response.attempts().to_vec(), response.reason());
                Ok(match response.buffer().await {
                    Ok(response) => CallSeen::of_response(&response, unknown),
                    Err(error) => CallSeen::with_broken_body(&attempts, reason, &error, unknown),
                })
            }
            Reading::HeadOnly => {
                let response = request.send_streaming().await?;
                Ok(of_head!(response))
            }
        }
    }
}
