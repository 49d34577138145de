//! One call of a run, from its plan to its end.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use futures_core::Stream;
use redial_client::{Body, BoxError, Client, RequestBuilder, race};
use redial_engine::Timestamp;

use super::world::World;
use crate::referee::{DEFAULT, OWN, Sometimes, key};
use crate::scenario::{CallPlan, ClockStep, Target, millis};

/// What bodies are made of: no two neighbours are the same.
#[allow(clippy::indexing_slicing, reason = "checked when this is compiled")]
static TEXT: [u8; 8192] = {
    let mut text = [0; 8192];
    let mut index = 0;
    while index < text.len() {
        text[index] = b'a' + (index % 26) as u8;
        index += 1;
    }
    text
};

/// The client's home, and another origin.
pub(super) const HOME: &str = "http://origin.test";
pub(super) const ELSEWHERE: &str = "http://elsewhere.test:8080";

/// The longest piece of a body that is read once.
const PIECE: usize = 1_000;

/// The body of the response to this call.
pub(super) fn response_body(call: u32) -> Bytes {
    let from = call as usize % 26;
    Bytes::from_static(TEXT.get(from..from + 60).unwrap_or_default())
}

/// The body of this call's request.
pub(super) fn request_body(call: u32, length: u32) -> Bytes {
    let from = (call as usize + 13) % 26;
    Bytes::from_static(TEXT.get(from..from + length as usize).unwrap_or_default())
}

/// Makes every call when its time has come: until then it takes no memory.
pub(super) async fn make_all(world: Arc<World>, client: Client) {
    let time = world.time();
    let mut plans: Vec<(u32, CallPlan)> = (0..).zip(world.scenario().calls.clone()).collect();
    // Of two at the same time the one that was written down first is made first.
    plans.sort_by_key(|(_, plan)| plan.at);
    for (index, plan) in plans {
        let at = Timestamp::ORIGIN.saturating_add(millis(plan.at));
        if at > time.now() {
            time.sleep_until(at).await;
        }
        time.spawn(make(Arc::clone(&world), client.clone(), index, plan));
    }
}

/// Makes a call, and drops it when the time for that has come.
async fn make(world: Arc<World>, client: Client, index: u32, plan: CallPlan) {
    let time = world.time();
    let mut future = pin!(request(&world, &client, index, plan).send());
    world.lock().referee.began(index, world.now());
    let watched = poll_fn(|context| {
        let _turn = world.turn_of(index);
        future.as_mut().poll(context)
    });
    let result = match plan.cancel {
        0 => Some(watched.await),
        cancel => race(watched, time.sleep(millis(cancel))).await,
    };
    let mut inner = world.lock();
    match &result {
        Some(result) => inner.referee.result(index, result, &response_body(index)),
        None => inner.referee.cancelled(index, world.now()),
    }
    inner.over();
}

fn request(world: &Arc<World>, client: &Client, index: u32, plan: CallPlan) -> RequestBuilder {
    let mut request = client.call(plan.method.method(), url(index, plan.target));
    if plan.body > 0 {
        let bytes = request_body(index, plan.body);
        request = request.body(match plan.once {
            true => Body::once(Once { world: Arc::clone(world), call: index, bytes }),
            false => Body::from(bytes),
        });
    }
    if plan.own {
        request = request.header(DEFAULT, OWN);
    }
    if plan.key {
        request = request.with_idempotency_key(key(index));
    }
    if plan.expired {
        request = request.deadline(world.now());
    }
    if let Some(replay) = plan.replay {
        request = request.replay(replay);
    }
    if plan.timeout > 0 {
        request = request.timeout(millis(plan.timeout));
    }
    request
}

fn url(index: u32, target: Target) -> String {
    match target {
        Target::Home => {
            // Written by hand, because every call has one.
            let mut url = String::with_capacity(11);
            url.push('/');
            url.push_str(&index.to_string());
            url
        }
        Target::Elsewhere => format!("{ELSEWHERE}/{index}"),
        // Browsers take the other kind of slash for a slash, and other clients do not.
        Target::Ambiguous => format!("\\\\elsewhere.test/{index}"),
    }
}

/// A body that is read only once, and tells the referee when it is.
struct Once {
    world: Arc<World>,
    call: u32,
    bytes: Bytes,
}

impl Stream for Once {
    type Item = Result<Bytes, BoxError>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        self.world.lock().referee.pulled(self.call);
        let length = self.bytes.len().min(PIECE);
        Poll::Ready(Some(Ok(self.bytes.split_to(length))))
    }
}

/// What the clocks do at one time.
pub(super) async fn step(world: Arc<World>, step: ClockStep) {
    const NANOS_PER_MILLI: i64 = 1_000_000;
    world.time().sleep(millis(step.at)).await;
    if step.wall != 0 {
        world.time().step_wall(i64::from(step.wall) * NANOS_PER_MILLI);
        world.lock().referee.saw(Sometimes::WallStepped);
    }
    if step.suspend > 0 {
        world.time().jump(millis(step.suspend));
        world.lock().referee.saw(Sometimes::Suspended);
    }
}
