//! The load: so many requests, so many of them in flight, over one of the stacks.

use core::future::Future;
use core::pin::Pin;
use core::time::Duration;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use hyper::Uri;
use redial_tokio::Tokio;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::server::Served;
use crate::slot::{Slot, ours, pooled, raw_http1, raw_http2};

/// How many requests each slot sends before anything is counted or timed.
const WARM_UP: usize = 4;

/// What carries the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stack {
    /// Bare hyper connections on tokio.
    Raw,
    /// hyper-util's client on tokio.
    Pooled,
    Tokio,
    Smol,
    AsyncStd,
}

impl Stack {
    const ALL: [Self; 5] = [Self::Raw, Self::Pooled, Self::Tokio, Self::Smol, Self::AsyncStd];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Pooled => "hyper-util",
            Self::Tokio => "tokio",
            Self::Smol => "smol",
            Self::AsyncStd => "async-std",
        }
    }
}

/// So many requests of one URL over one stack.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) stack: Stack,
    pub(crate) http2: bool,
    pub(crate) in_flight: usize,
    requests: usize,
    pub(crate) url: String,
}

impl Load {
    pub(crate) fn new(stack: Stack, server: &Served, in_flight: usize) -> Self {
        Self::of(stack, server.is_http2(), in_flight, server.url().to_owned())
    }

    pub(crate) fn of(stack: Stack, http2: bool, in_flight: usize, url: String) -> Self {
        Self { stack, http2, in_flight, requests: 0, url }
    }

    pub(crate) fn uri(&self) -> Uri {
        self.url.parse().unwrap()
    }

    /// The arguments by which a process of its own carries this out.
    pub(crate) fn arguments(&self, requests: usize) -> Vec<String> {
        let protocol = if self.http2 { "http2" } else { "http1" };
        ["--load", self.stack.name(), protocol]
            .map(str::to_owned)
            .into_iter()
            .chain([self.in_flight.to_string(), requests.to_string(), self.url.clone()])
            .collect()
    }

    pub(crate) fn parse(arguments: &[String]) -> Self {
        let [stack, protocol, in_flight, requests, url] = arguments else {
            panic!("a load is: stack, protocol, in flight, requests, URL")
        };
        let stack = Stack::ALL.into_iter().find(|known| known.name() == stack).unwrap();
        let (in_flight, requests) = (in_flight.parse().unwrap(), requests.parse().unwrap());
        Self { stack, http2: protocol == "http2", in_flight, requests, url: url.clone() }
    }

    /// Carries it out.
    pub(crate) fn run(&self) {
        match self.stack {
            Stack::Raw if self.http2 => {
                on_tokio(async { self.send(raw_http2(self).await, tokio_task).await });
            }
            Stack::Raw => on_tokio(async { self.send(raw_http1(self).await, tokio_task).await }),
            Stack::Pooled => on_tokio(async { self.send(pooled(self), tokio_task).await }),
            Stack::Tokio => {
                let runtime = || Tokio::new(Handle::current());
                on_tokio(async { self.send(ours(runtime(), self), tokio_task).await });
            }
            Stack::Smol => {
                let executor = Arc::new(smol::Executor::new());
                let slots = ours(redial_smol::Smol::with_executor(&executor), self);
                let work = self.send(slots, |slot| executor.spawn(slot));
                smol::block_on(executor.run(work));
            }
            Stack::AsyncStd => {
                let slots = ours(redial_async_std::AsyncStd::new(), self);
                async_std::task::block_on(self.send(slots, async_std::task::spawn));
            }
        }
    }

    async fn send<S: Slot, T: Future<Output = S>>(
        &self,
        slots: Vec<S>,
        spawn: impl Fn(Sending<S>) -> T,
    ) {
        let slots = send(slots, WARM_UP, &spawn).await;
        send(slots, self.requests / self.in_flight, &spawn).await;
    }
}

fn on_tokio(work: impl Future<Output = ()>) {
    tokio_runtime().block_on(work);
}

pub(crate) fn tokio_runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

async fn tokio_task<S: Send + 'static>(slot: Sending<S>) -> S {
    tokio::spawn(slot).await.unwrap()
}

/// A slot that is sending, and comes back.
type Sending<S> = Pin<Box<dyn Future<Output = S> + Send>>;

/// Sends so many requests from each of the slots, from all at once.
async fn send<S: Slot, T: Future<Output = S>>(
    slots: Vec<S>,
    each: usize,
    spawn: &impl Fn(Sending<S>) -> T,
) -> Vec<S> {
    let sending = |mut slot: S| async move {
        for _ in 0..each {
            slot.request().await;
        }
        slot
    };
    join_all(slots.into_iter().map(|slot| spawn(Box::pin(sending(slot))))).await
}

/// Slots on tokio that take turns with others.
pub(crate) struct Turns<S>(Vec<S>);

impl<S: Slot> Turns<S> {
    pub(crate) async fn new(slots: Vec<S>) -> Self {
        Self(send(slots, WARM_UP, &tokio_task).await)
    }

    /// Sends so many requests; how long that took.
    pub(crate) async fn take(&mut self, requests: usize) -> Duration {
        let slots = core::mem::take(&mut self.0);
        let each = requests / slots.len();
        let began = Instant::now();
        self.0 = send(slots, each, &tokio_task).await;
        began.elapsed()
    }
}
