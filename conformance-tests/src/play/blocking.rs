//! A blocking client going through the acts.

use core::time::Duration;
use std::thread;

use redial_client::{BuildError, Error, blocking};
use redial_engine::{FailureKind, Reason};

use super::call::blocking_request;
use super::seen::{CallSeen, EndSeen, Figures, Seen, of_head};
use super::{COMPANY, LOOK_EVERY, Play, SETTLE, figures_are, has_company};
use crate::{Act, Call, Reading};

impl Play {
    /// Plays the scenario with a blocking client that is built from this, on threads of its own
    /// where calls are made at the same time.
    ///
    /// A caller that blocks cannot drop its call: where the scenario says that it loses interest,
    /// the call has a deadline then, and its end by that is taken for its having been dropped.
    ///
    /// # Errors
    ///
    /// [`BuildError`] where the client cannot be built as the scenario sets it up.
    pub fn with_blocking(self, builder: blocking::ClientBuilder) -> Result<Seen, BuildError> {
        let setup = &self.scenario.setup;
        let client = setup.apply_blocking(builder, self.base(), self.roots()).build()?;
        let mut seen = Seen::default();
        for act in &self.scenario.acts {
            match act {
                Act::Calls(calls) => seen.calls.extend(self.blocking_calls(&client, calls)),
                Act::Rest(length) => thread::sleep(*length),
                Act::Close => client.close(),
                Act::Figures { .. } | Act::Totals { .. } => {
                    let right = self.settles_here(SETTLE, || figures_are(act, &client.pool()));
                    seen.figures.push(Figures { found: client.pool(), right });
                }
            }
        }
        let (standing, dropped) = self.patience();
        seen.left_open.0 = self.left_open_here(standing);
        drop(client);
        seen.left_open.1 = self.left_open_here(dropped);
        Ok(seen)
    }

    fn left_open_here(&self, patience: Option<Duration>) -> usize {
        let Some(patience) = patience else { return 0 };
        self.settles_here(patience, || self.open_connections() == 0);
        self.open_connections()
    }

    fn settles_here(&self, patience: Duration, mut holds: impl FnMut() -> bool) -> bool {
        let until = self.time.now().saturating_add(patience);
        while !holds() {
            if self.time.now() >= until {
                return false;
            }
            thread::sleep(LOOK_EVERY);
        }
        true
    }

    fn blocking_calls(&self, client: &blocking::Client, calls: &[Call]) -> Vec<CallSeen> {
        if let [call] = calls {
            return vec![self.blocking_call(client, call)];
        }
        thread::scope(|scope| {
            let call = |call| scope.spawn(move || self.blocking_call(client, call));
            let threads: Vec<_> = calls.iter().map(call).collect();
            // A thread that panicked has said so on standard error; its call is missing then.
            threads.into_iter().filter_map(|thread| thread.join().ok()).collect()
        })
    }

    fn blocking_call(&self, client: &blocking::Client, call: &Call) -> CallSeen {
        thread::sleep(call.after);
        if let Some(waiting) = call.behind {
            self.settles_here(COMPANY, || has_company(&client.pool(), waiting));
        }
        let began = self.time.now();
        let ended = self.blocking_end_of(client, call);
        let took = self.time.now().saturating_sub(began);
        let seen = match ended {
            Ok(seen) => CallSeen { took, ..seen },
            Err(error) => CallSeen::of_error(&error, took),
        };
        if call.cancel.is_some() && ended_by_its_deadline(&seen) {
            return CallSeen { end: EndSeen::Cancelled, ..seen };
        }
        seen
    }

    fn blocking_end_of(&self, client: &blocking::Client, call: &Call) -> Result<CallSeen, Error> {
        let mut request = blocking_request(client, call, &self.places, &self.time);
        if let Some(after) = call.cancel {
            request = request.timeout(after);
        }
        let unknown = Duration::ZERO;
        match call.reading {
            Reading::Whole => Ok(CallSeen::of_response(&request.send()?, unknown)),
            Reading::Streaming | Reading::Kept { .. } => {
                let response = request.send_streaming()?;
                if let Reading::Kept { waiting } = call.reading {
                    self.settles_here(COMPANY, || has_company(&client.pool(), waiting));
                }
                let (attempts, reason) = (response.attempts().to_vec(), response.reason());
                Ok(match response.buffer() {
                    Ok(response) => CallSeen::of_response(&response, unknown),
                    Err(error) => CallSeen::with_broken_body(&attempts, reason, &error, unknown),
                })
            }
            Reading::HeadOnly => Ok(of_head!(request.send_streaming()?)),
        }
    }
}

/// Whether a deadline ended a call: it cut an attempt, or no wait was begun because of it.
fn ended_by_its_deadline(seen: &CallSeen) -> bool {
    seen.reason == Some(Reason::DeadlineWouldPass)
        || matches!(seen.end, EndSeen::Error { kind: FailureKind::Deadline, .. })
}
