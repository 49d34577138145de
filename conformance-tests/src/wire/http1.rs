//! Every way in which a server of HTTP/1.1 may fail a request.

use redial_engine::Delivery::{Answered, Unknown, Unsent};
use redial_engine::FailureKind::{
    Closed, Connect, ReadTimeout, RemoteProtocol, Reset, ResponseTooLarge, Truncated, WriteTimeout,
};

use super::{AT_MOST, GAP, REST, SEEN, UPLOAD, WIRE_TIMEOUT, WireRow, await_close, ok, row};
use crate::{Reply, Script, Step};

/// More than any client takes for a head.
const HUGE: usize = 16 * 1024 * 1024;

/// A body of many pieces.
const STEADILY: &str = "piece by piece, but slowly and steadily";

const OK: &str = "HTTP/1.1 200 OK\r\n";

pub(super) fn rows() -> Vec<WireRow> {
    let groups = [unread(), unanswered(), cut_heads(), wrong_heads(), broken_bodies()];
    groups.into_iter().chain([slow(), uploads(), reused()]).flatten().collect()
}

/// The server goes before it has read anything.
fn unread() -> Vec<WireRow> {
    let arrival = Step::AwaitData { within: AT_MOST };
    vec![
        WireRow { script: Script::refused(), ..row("refused", vec![]) }.or(Connect, Unsent),
        // To the client, a reset by the first step is one in the accept queue: the kernel had
        // completed the handshake, and no program has read a byte.
        row("rst-on-accept", vec![Step::Reset])
            .or(Connect, Unsent)
            .or(Reset, Unknown)
            .or(Reset, Unsent),
        row("rst-before-read", vec![arrival.clone(), Step::Reset])
            .or(Reset, Unknown)
            .or(Connect, Unsent),
        row("close-before-read", vec![arrival, Step::CloseUnread])
            .or(Reset, Unknown)
            .or(Closed, Unknown),
    ]
}

/// The server reads the request and gives no answer.
fn unanswered() -> Vec<WireRow> {
    vec![
        answer("close-after-request", [Step::Close]).or(Closed, Unknown),
        answer("rst-after-request", [Step::Reset]).or(Reset, Unknown),
        answer("silent", [await_close()]).or(ReadTimeout, Unknown),
        answer("100-then-close", [Reply::status(100).step(), Step::Close]).or(Truncated, Unknown),
    ]
}

/// The head of the answer breaks off.
fn cut_heads() -> Vec<WireRow> {
    let half = || write("HTTP/1.1 200 OK\r\ncontent-le");
    vec![
        answer("partial-status-close", [write("HTTP/1.1 2"), Step::Close]).or(Truncated, Unknown),
        answer("partial-headers-close", [half(), Step::Close]).or(Truncated, Unknown),
        answer("partial-headers-rst", [half(), Step::Pause(SEEN), Step::Reset]).or(Reset, Unknown),
    ]
}

/// The head of the answer is none that a client may take.
fn wrong_heads() -> Vec<WireRow> {
    let filler = format!("x-filler: {}\r\n", "a".repeat(16 * 1024)).into_bytes();
    let flood = Step::Flood { bytes: filler, at_most: HUGE };
    let length = Reply::status(200).header("content-length", "two").body("ok").raw();
    let both = Reply::status(200).header("content-length", "2").body("ok").chunked(2);
    vec![
        answer("bad-status-line", [write("HTTP/1.1 fine OK\r\n\r\n"), await_close()])
            .or(RemoteProtocol, Unknown),
        answer("bad-header-line", [write(&format!("{OK}no colon here\r\n\r\n")), await_close()])
            .or(RemoteProtocol, Unknown),
        answer("bad-content-length", [length.step(), await_close()]).or(RemoteProtocol, Unknown),
        answer("huge-head", [write(OK), flood, await_close()]).or(ResponseTooLarge, Unknown),
        answer("http09", [write("<p>An answer without a head.</p>\n"), Step::Close])
            .or(RemoteProtocol, Unknown),
        // A second request shows that the connection serves nothing more: on this one it would
        // be discarded.
        again("te-and-cl", [both.step(), await_close()]).or_response(200),
    ]
}

/// The head is complete, the body is not.
fn broken_bodies() -> Vec<WireRow> {
    let cut = || Reply::status(200).header("content-length", "10").body("four").raw().step();
    let chunks = |rest: &str| {
        let reply = Reply::status(200).header("transfer-encoding", "chunked").raw();
        reply.body(format!("4\r\nfour\r\n{rest}")).step()
    };
    vec![
        answer("cl-truncated-close", [cut(), Step::Close]).or(Truncated, Answered),
        answer("cl-truncated-rst", [cut(), Step::Pause(SEEN), Step::Reset]).or(Reset, Answered),
        answer("chunked-truncated", [chunks("8\r\nhalf"), Step::Close]).or(Truncated, Answered),
        answer("bad-chunk-size", [chunks("zz\r\n"), await_close()]).or(RemoteProtocol, Answered),
    ]
}

/// The answer comes slowly, or does not go on.
fn slow() -> Vec<WireRow> {
    let reply = Reply::status(200).body(STEADILY);
    let body = Step::WriteSlowly { bytes: STEADILY.into(), piece: 1, gap: GAP };
    let start = Reply::status(200).header("content-length", "10").body("tw").raw().step();
    vec![
        steady(answer("slow-headers", [Reply::status(200).body("ok").slowly(5, 5 * GAP)])),
        steady(answer("slow-body", [Step::Write(reply.head()), body])),
        answer("stall-body", [start, await_close()]).or(ReadTimeout, Answered),
    ]
}

/// A row that ends well although it takes longer than the timeout.
fn steady(row: WireRow) -> WireRow {
    WireRow { timeout: WIRE_TIMEOUT, ..row }.or_response(200)
}

/// The server does not take the whole request.
fn uploads() -> Vec<WireRow> {
    let refusal = Reply::status(413).header("connection", "close").step();
    let unread = vec![Step::Stall { at_most: AT_MOST }, Step::CloseUnread];
    let early = vec![Step::ReadHead, refusal, Step::CloseUnread];
    vec![
        WireRow { upload: UPLOAD, ..row("no-read-upload", unread) }.or(WriteTimeout, Unknown),
        WireRow { upload: UPLOAD, ..row("early-413-close", early) }
            .or(Reset, Unknown)
            .or_response(413),
    ]
}

/// The server ends a connection that has served a request.
fn reused() -> Vec<WireRow> {
    let next = || Step::AwaitData { within: AT_MOST };
    let timeout = Reply::status(408).header("connection", "close").step();
    let rest = |row: WireRow| WireRow { rest: REST, ..row };
    vec![
        rest(again("keepalive-close-idle", [ok(), Step::Pause(SEEN), Step::Close]))
            .or_response(200),
        rest(again("unsolicited-408", [ok(), Step::Pause(SEEN), timeout, Step::Close]))
            .or_response(200),
        race("keepalive-close-race", [ok(), next(), Step::Close])
            .or_on_reused(Closed)
            .or_response(200),
        race("keepalive-rst-race", [ok(), next(), Step::Reset])
            .or_on_reused(Reset)
            .or_response(200),
    ]
}

/// A row of one request, which is read and then treated so.
fn answer<const N: usize>(id: &'static str, steps: [Step; N]) -> WireRow {
    row(id, read_then(steps))
}

/// A row of two requests: the first is treated so, the second goes over another connection, where
/// it gets a good answer.
fn again<const N: usize>(id: &'static str, steps: [Step; N]) -> WireRow {
    let script = Script::connections(vec![read_then(steps), read_then([ok()])]);
    WireRow { script, requests: 2, ..row(id, vec![]) }
}

/// A row of two requests on the same connection, whose steps are these. The server ends it as the
/// second is sent: a client that sees the end first sends it over another connection, and is
/// answered there.
fn race<const N: usize>(id: &'static str, steps: [Step; N]) -> WireRow {
    let script = Script::connections(vec![read_then(steps)]).otherwise(read_then([ok()]));
    WireRow { script, requests: 2, ..row(id, vec![]) }
}

fn read_then<const N: usize>(steps: [Step; N]) -> Vec<Step> {
    [Step::ReadRequest].into_iter().chain(steps).collect()
}

fn write(text: &str) -> Step {
    Step::Write(text.as_bytes().to_vec())
}
