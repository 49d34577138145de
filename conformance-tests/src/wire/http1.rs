//! Every way in which an HTTP/1.1 server may fail a request, as a table of scripts.

use core::time::Duration;

use crate::{Reply, Script, Step};

/// The timeout for which the rows of [`wire_h1`] are timed: what a client under test should set for
/// its connect, read and write timeouts alike.
pub const WIRE_TIMEOUT: Duration = Duration::from_millis(400);

/// How long a script waits for the client to act; a client that keeps its timeouts never meets it.
const AT_MOST: Duration = Duration::from_secs(10);

/// The gap between two slow pieces: well below the timeout, while all gaps together are above it.
const GAP: Duration = Duration::from_millis(100);

/// A pause after which a client has seen what was sent before.
const SEEN: Duration = Duration::from_millis(50);

/// How long a client rests where the server acts on an idle connection.
const REST: Duration = Duration::from_millis(300);

/// More than the buffers of both kernels hold, so that sending it is stuck while nobody reads.
const UPLOAD: usize = 16 * 1024 * 1024;

/// More than any client takes for a head.
const HUGE: usize = 16 * 1024 * 1024;

const OK: &str = "HTTP/1.1 200 OK\r\n";

/// One misbehaviour: the script of the server, and what the client is to do.
///
/// The client makes its requests one after the other and without retries. The last one is the one
/// that the row is about; those before it are to succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireRow {
    /// The name of the misbehaviour.
    pub id: &'static str,
    /// What the server does.
    pub script: Script,
    /// How many requests the client is to make.
    pub requests: usize,
    /// How many bytes the body of each request has; zero for none.
    pub upload: usize,
    /// How long the client is to rest between two requests, at the least.
    pub rest: Duration,
}

/// The misbehaviours of an HTTP/1.1 server, one row each.
///
/// ```
/// let rows = redial_conformance::wire_h1();
/// assert!(rows.iter().any(|row| row.id == "rst-after-request"));
/// ```
pub fn wire_h1() -> Vec<WireRow> {
    let groups = [unread(), unanswered(), cut_heads(), wrong_heads(), broken_bodies()];
    groups.into_iter().chain([slow(), uploads(), reused()]).flatten().collect()
}

/// The server goes before it has read anything.
fn unread() -> Vec<WireRow> {
    let arrival = Step::AwaitData { within: AT_MOST };
    vec![
        WireRow { script: Script::refused(), ..row("refused", vec![]) },
        // To the client, a reset by the first step is one in the accept queue: the kernel had
        // completed the handshake, and no program has read a byte.
        row("rst-on-accept", vec![Step::Reset]),
        row("rst-before-read", vec![arrival.clone(), Step::Reset]),
        row("close-before-read", vec![arrival, Step::CloseUnread]),
    ]
}

/// The server reads the request and gives no answer.
fn unanswered() -> Vec<WireRow> {
    vec![
        answer("close-after-request", [Step::Close]),
        answer("rst-after-request", [Step::Reset]),
        answer("silent", [await_close()]),
        answer("100-then-close", [Reply::status(100).step(), Step::Close]),
    ]
}

/// The head of the answer breaks off.
fn cut_heads() -> Vec<WireRow> {
    let half = || write("HTTP/1.1 200 OK\r\ncontent-le");
    vec![
        answer("partial-status-close", [write("HTTP/1.1 2"), Step::Close]),
        answer("partial-headers-close", [half(), Step::Close]),
        answer("partial-headers-rst", [half(), Step::Pause(SEEN), Step::Reset]),
    ]
}

/// The head of the answer is none that a client may take.
fn wrong_heads() -> Vec<WireRow> {
    let filler = format!("x-filler: {}\r\n", "a".repeat(16 * 1024)).into_bytes();
    let flood = Step::Flood { bytes: filler, at_most: HUGE };
    let length = Reply::status(200).header("content-length", "two").body("ok").raw();
    let both = Reply::status(200).header("content-length", "2").body("ok").chunked(2);
    vec![
        answer("bad-status-line", [write("HTTP/1.1 fine OK\r\n\r\n"), await_close()]),
        answer("bad-header-line", [write(&format!("{OK}no colon here\r\n\r\n")), await_close()]),
        answer("bad-content-length", [length.step(), await_close()]),
        answer("huge-head", [write(OK), flood, await_close()]),
        answer("http09", [write("<p>An answer without a head.</p>\n"), Step::Close]),
        // A second request shows that the connection serves nothing more: on this one it would
        // be discarded.
        again("te-and-cl", [both.step(), await_close()]),
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
        answer("cl-truncated-close", [cut(), Step::Close]),
        answer("cl-truncated-rst", [cut(), Step::Pause(SEEN), Step::Reset]),
        answer("chunked-truncated", [chunks("8\r\nhalf"), Step::Close]),
        answer("bad-chunk-size", [chunks("zz\r\n"), await_close()]),
    ]
}

/// The answer comes slowly, or does not go on.
fn slow() -> Vec<WireRow> {
    let reply = Reply::status(200).body("slowly");
    let body = Step::WriteSlowly { bytes: b"slowly".to_vec(), piece: 1, gap: GAP };
    let start = Reply::status(200).header("content-length", "10").body("tw").raw().step();
    vec![
        answer("slow-headers", [Reply::status(200).body("ok").slowly(5, GAP)]),
        answer("slow-body", [Step::Write(reply.head()), body]),
        answer("stall-body", [start, await_close()]),
    ]
}

/// The server does not take the whole request.
fn uploads() -> Vec<WireRow> {
    let refusal = Reply::status(413).header("connection", "close").step();
    let unread = vec![Step::Stall { at_most: AT_MOST }, Step::CloseUnread];
    let early = vec![Step::ReadHead, refusal, Step::CloseUnread];
    vec![
        WireRow { upload: UPLOAD, ..row("no-read-upload", unread) },
        WireRow { upload: UPLOAD, ..row("early-413-close", early) },
    ]
}

/// The server ends a connection that has served a request.
fn reused() -> Vec<WireRow> {
    let next = || Step::AwaitData { within: AT_MOST };
    let timeout = Reply::status(408).header("connection", "close").step();
    let rest = |row: WireRow| WireRow { rest: REST, ..row };
    vec![
        rest(again("keepalive-close-idle", [ok(), Step::Pause(SEEN), Step::Close])),
        rest(again("unsolicited-408", [ok(), Step::Pause(SEEN), timeout, Step::Close])),
        race("keepalive-close-race", [ok(), next(), Step::Close]),
        race("keepalive-rst-race", [ok(), next(), Step::Reset]),
    ]
}

fn row(id: &'static str, steps: Vec<Step>) -> WireRow {
    let script = Script::connections(vec![steps]);
    WireRow { id, script, requests: 1, upload: 0, rest: Duration::ZERO }
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

/// A row of two requests on the same connection, whose steps are these. A client that sends the
/// second again, on a connection of its own, is answered: the log then shows it.
fn race<const N: usize>(id: &'static str, steps: [Step; N]) -> WireRow {
    let script = Script::connections(vec![read_then(steps)]).otherwise(read_then([ok()]));
    WireRow { script, requests: 2, ..row(id, vec![]) }
}

fn read_then<const N: usize>(steps: [Step; N]) -> Vec<Step> {
    [Step::ReadRequest].into_iter().chain(steps).collect()
}

fn ok() -> Step {
    Reply::status(200).body("ok").step()
}

fn write(text: &str) -> Step {
    Step::Write(text.as_bytes().to_vec())
}

fn await_close() -> Step {
    Step::AwaitClose { within: AT_MOST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_are_thirty_rows_with_names_of_their_own() {
        let mut ids: Vec<_> = wire_h1().into_iter().map(|row| row.id).collect();
        assert_eq!(ids.len(), 30);
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 30);
    }
}
