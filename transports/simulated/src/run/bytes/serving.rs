//! One connection of the server's: requests are read, and answered as the scenario says.

use core::fmt::Write as _;
use core::future::{pending, poll_fn};
use core::task::Poll;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::AsyncWriteExt as _;
use redial_client::{Clock as _, race};

use super::Origin;
use super::incoming::{Head, Incoming};
use crate::referee::Invariant;
use crate::run::call::response_body;
use crate::run::clients::HEAD_LIMIT;
use crate::run::world::NOBODY;
use crate::scenario::{Fault, millis};

/// Serves a connection to its end.
pub(super) async fn serve(origin: Arc<Origin>, mut incoming: Incoming) {
    let (mut served, mut out_of_step) = (false, false);
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
        let fault = origin.comes(head.call, head.send, &head.marks);
        if out_of_step {
            let what = "a request over a connection that is out of step".to_owned();
            return origin.world.violated(Invariant::Pool, what);
        }
        if fault == Some(Fault::Unread) {
            // Whatever comes stays where it is.
            return pending().await;
        }
        let Some(body) = incoming.body(&head).await else { return };
        if fault.is_none_or(processed) {
            origin.carry_out(head.call, head.send, &body);
        }
        out_of_step = fault == Some(Fault::TwoFramings);
        let Some(kept) = answer(&origin, incoming, &head, fault).await else { return };
        incoming = kept;
        served = true;
    }
}

/// A request that has come this far has found a connection.
const fn processed(fault: Fault) -> bool {
    fault.is_of_the_connection() || fault.processed()
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
        None
        | Some(
            Fault::Resolve
            | Fault::Refused
            | Fault::ConnectSilence
            | Fault::Untrusted
            | Fault::Dead,
        ) => respond(incoming, 200, &[], &body, framing).await,
        Some(fault @ (Fault::Status { code, .. } | Fault::Hinted { code, .. })) => {
            let headers = fault.hint().headers(origin.world.time().wall());
            respond(incoming, code, &headers, &body, Framing::Length).await
        }
        Some(Fault::Slow { millis: more }) => {
            origin.world.time().sleep(millis(more)).await;
            respond(incoming, 200, &[], &body, framing).await
        }
        Some(Fault::TwoFramings) => respond(incoming, 200, &[], &body, Framing::Both).await,
        Some(Fault::Stale) => {
            let kept = respond(incoming, 200, &[], &body, framing).await?;
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
    } else if fault == Fault::HeadTooLarge {
        format!("{head}x-large: {}\r\n\r\n", "x".repeat(HEAD_LIMIT))
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
    /// Chunked, and with a length: nobody knows which counts.
    Both,
}

impl Framing {
    const fn of(head: &Head) -> Self {
        if head.call == NOBODY {
            return Self::Length;
        }
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
    headers: &[(&'static str, String)],
    body: &[u8],
    framing: Framing,
) -> Option<Incoming> {
    let mut text = format!("HTTP/1.1 {status} Status\r\n");
    for (name, value) in headers {
        let _ = write!(text, "{name}: {value}\r\n");
    }
    let length = body.len();
    let body = String::from_utf8_lossy(body);
    let _ = match framing {
        Framing::Length => write!(text, "content-length: {length}\r\n\r\n{body}"),
        Framing::Chunked | Framing::Both => {
            if framing == Framing::Both {
                let _ = write!(text, "content-length: {length}\r\n");
            }
            write!(text, "transfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n")
        }
        Framing::Close => write!(text, "connection: close\r\n\r\n{body}"),
    };
    incoming.socket.write_all(text.as_bytes()).await.ok()?;
    (framing != Framing::Close).then_some(incoming)
}
