//! One connection of the server's: requests are read, and answered as the scenario says.

use core::fmt::Write as _;
use core::future::poll_fn;
use core::task::Poll;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::AsyncWriteExt as _;
use redial_client::race;

use super::Origin;
use super::incoming::{Head, Incoming};
use crate::run::call::{request_body, response_body};
use crate::run::world::NOBODY;
use crate::scenario::{Fault, millis};

/// Serves a connection to its end.
pub(super) async fn serve(origin: Arc<Origin>, mut incoming: Incoming) {
    let mut served = false;
    loop {
        let culled = origin.culled();
        let closed = poll_fn(|context| match served {
            true => origin.poll_culled(culled, context.waker()),
            // Nobody has waited on it yet.
            false => Poll::Pending,
        });
        match race(incoming.anything(), closed).await {
            None => return incoming.socket.close_at_once(),
            Some(None) => return,
            Some(Some(())) => {}
        }
        let Some(head) = incoming.head().await else { return };
        let Some(body) = incoming.body(&head).await else { return };
        let fault = match head.call {
            NOBODY => None,
            call => origin.world.fault(call, head.send),
        };
        if head.call != NOBODY && fault.is_none_or(processed) {
            carried_out(&origin, &head, &body);
        }
        let Some(kept) = answer(&origin, incoming, &head, fault).await else { return };
        incoming = kept;
        served = true;
    }
}

/// A request that has come this far has found a connection.
const fn processed(fault: Fault) -> bool {
    fault.is_of_the_connection() || fault.processed()
}

fn carried_out(origin: &Origin, head: &Head, body: &[u8]) {
    let planned = origin.world.scenario().calls.get(head.call as usize);
    let planned = planned.map_or(0, |plan| plan.body);
    let whole = body == request_body(head.call, planned);
    let mut inner = origin.world.lock();
    inner.referee.processed(head.call, head.send, whole, origin.world.now());
    inner.tell();
}

/// Answers, or does what it does instead. Gives the connection back where it goes on.
async fn answer(
    origin: &Origin,
    mut incoming: Incoming,
    head: &Head,
    fault: Option<Fault>,
) -> Option<Incoming> {
    let body = response_body(head.call);
    let framing = Framing::of(head);
    match fault {
        None | Some(Fault::Resolve | Fault::Refused | Fault::ConnectSilence | Fault::Dead) => {
            respond(incoming, 200, 0, &body, framing).await
        }
        Some(Fault::Status { code, after }) => {
            respond(incoming, code, after, b"", Framing::Length).await
        }
        Some(Fault::Slow { millis: more }) => {
            origin.world.time().sleep(millis(more)).await;
            respond(incoming, 200, 0, &body, framing).await
        }
        Some(Fault::Stale) => {
            let kept = respond(incoming, 200, 0, &body, framing).await?;
            origin.world.time().sleep(millis(origin.world.scenario().latency)).await;
            drop(kept);
            None
        }
        Some(Fault::LostClosed | Fault::DoneClosed) => None,
        Some(Fault::LostReset | Fault::DoneReset) => {
            incoming.socket.reset();
            None
        }
        Some(Fault::LostSilence | Fault::DoneSilence) => {
            incoming.say_nothing().await;
            None
        }
        Some(fault) => {
            let (text, broken) = part(fault, &body);
            incoming.socket.write_all(text.as_bytes()).await.ok()?;
            match broken {
                Broken::Closed => {}
                Broken::Silent => incoming.say_nothing().await,
                Broken::Reset => incoming.socket.reset(),
            }
            None
        }
    }
}

/// How a connection ends in the middle of a response.
enum Broken {
    Closed,
    Reset,
    Silent,
}

impl Broken {
    const fn of(fault: Fault) -> Self {
        if matches!(fault, Fault::HeadReset | Fault::BodyReset) {
            Self::Reset
        } else if matches!(fault, Fault::BodySilence) {
            Self::Silent
        } else {
            Self::Closed
        }
    }
}

/// As much of a response as comes, and what comes then.
fn part(fault: Fault, body: &Bytes) -> (String, Broken) {
    let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n", body.len());
    let half = String::from_utf8_lossy(body.get(..body.len() / 2).unwrap_or_default());
    if matches!(fault, Fault::BodyCut | Fault::BodyReset | Fault::BodySilence) {
        return (format!("{head}\r\n{half}"), Broken::of(fault));
    }
    let text = if matches!(fault, Fault::HeadCut | Fault::HeadReset) {
        head
    } else if fault == Fault::InterimClosed {
        "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(2)
    } else {
        "this is no HTTP\r\n\r\n".to_owned()
    };
    (text, Broken::of(fault))
}

/// How the end of a body is told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked,
    Close,
}

impl Framing {
    const fn of(head: &Head) -> Self {
        match head.call.wrapping_add(head.send) % 4 {
            1 => Self::Chunked,
            3 => Self::Close,
            _ => Self::Length,
        }
    }
}

async fn respond(
    mut incoming: Incoming,
    status: u16,
    after: u32,
    body: &[u8],
    framing: Framing,
) -> Option<Incoming> {
    let mut text = format!("HTTP/1.1 {status} Status\r\n");
    if after > 0 {
        let _ = write!(text, "retry-after: {after}\r\n");
    }
    let length = body.len();
    let body = String::from_utf8_lossy(body);
    let _ = match framing {
        Framing::Length => write!(text, "content-length: {length}\r\n\r\n{body}"),
        Framing::Chunked => {
            write!(text, "transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        }
        Framing::Close => write!(text, "connection: close\r\n\r\n{body}"),
    };
    incoming.socket.write_all(text.as_bytes()).await.ok()?;
    (framing != Framing::Close).then_some(incoming)
}
