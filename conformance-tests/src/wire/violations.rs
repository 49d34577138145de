//! What a server of HTTP/2 must not send, and what it may although few do: one row each.

use crate::http2::{flag, kind};
use crate::{Frame, Reply, Script, Step};

use super::{await_close, ok};

/// The stream of the first request of a connection.
const FIRST: u32 = 1;

/// A stream that no request is on, because it is far beyond those that are.
const IDLE: u32 = 0x7fff_fff1;

/// The largest window, and the largest increment of one (RFC 9113 6.9).
const LARGEST: u32 = 0x7fff_ffff;

/// Frames that a server sends instead of an answer, or around one, and what a client must make of
/// them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Violation {
    /// The name of the row.
    pub id: &'static str,
    /// The section that says what the client has to do, of RFC 9113 where no other is named.
    pub section: &'static str,
    /// What the server sends to the first request, all at once.
    pub frames: Vec<Frame>,
    /// What a client must make of that.
    pub verdict: Violated,
}

/// What a client must make of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Violated {
    /// The connection is broken: the request fails at once as a violation of the protocol, and no
    /// other goes over the same connection.
    Connection,
    /// The same, but the answer was complete before: the request may succeed.
    ConnectionAfterAnswer,
    /// The answer is broken: the request fails at once as a violation of the protocol.
    Stream,
    /// Nothing: the answer is 200, with the body `ok`.
    Nothing,
}

impl Violation {
    /// The script: the first request gets the frames, the second is answered well.
    pub fn script(&self) -> Script {
        let sent = vec![Step::Send(self.frames.clone()), await_close()];
        Script::requests(vec![sent, vec![ok()]])
    }
}

/// What a server of HTTP/2 must not send, and what it may although few do.
///
/// ```
/// use redial_conformance::{Violated, http2_violations};
///
/// let rows = http2_violations();
/// assert!(rows.iter().any(|row| row.verdict == Violated::Nothing));
/// ```
pub fn http2_violations() -> Vec<Violation> {
    let broken = [sizes(), blocks(), idle_streams(), wrong_streams(), settings(), windows()];
    let broken = broken.into_iter().flatten();
    let broken = broken.map(|(id, section, frames)| Violation {
        id,
        section,
        frames: [frames, answer()].concat(),
        verdict: Violated::Connection,
    });
    let rest = [late(), malformed(), padding(), unusual()];
    broken.chain(rest.into_iter().flatten()).collect()
}

type Broken = (&'static str, &'static str, Vec<Frame>);

/// Frames of a length that their type cannot have.
fn sizes() -> Vec<Broken> {
    let large = vec![b'x'; 16_385];
    vec![
        ("data-too-large", "4.2", vec![head(), Frame::data(large.clone())]),
        ("headers-too-large", "4.2", vec![Frame::new(kind::HEADERS, large)]),
        ("rst-stream-too-short", "6.4", vec![Frame::new(kind::RST_STREAM, [0; 3])]),
        ("settings-in-part", "6.5", vec![Frame::new(kind::SETTINGS, [0; 5]).on(0)]),
        ("settings-ack-with-payload", "6.5", vec![Frame::settings(&[(3, 9)]).flags(flag::ACK)]),
        ("ping-too-short", "6.7", vec![Frame::new(kind::PING, [0; 6]).on(0)]),
        ("goaway-too-short", "6.8", vec![Frame::new(kind::GOAWAY, [0; 4]).on(0)]),
        ("window-update-too-short", "6.9", vec![Frame::new(kind::WINDOW_UPDATE, [0; 3]).on(0)]),
    ]
}

/// Header blocks that cannot be decoded, or are interrupted.
fn blocks() -> Vec<Broken> {
    let begun = || head().unfinished();
    let more = || Frame::continuation([("a", "b")]);
    // An index beyond the tables, and a string that ends in the middle.
    let beyond = Frame::new(kind::HEADERS, [0xff, 0x7f]).end_headers();
    let cut = Frame::new(kind::HEADERS, [0x00, 0x09, b'a']).end_headers();
    let unknown = Frame::new(0xfa, *b"extension");
    vec![
        ("block-of-no-such-index", "4.3", vec![beyond]),
        ("block-cut-in-a-string", "4.3", vec![cut]),
        ("block-interrupted-by-priority", "6.10", vec![begun(), Frame::priority(0, 9)]),
        ("block-interrupted-by-ping", "6.10", vec![begun(), Frame::ping([0; 8])]),
        ("block-interrupted-by-data", "6.10", vec![begun(), Frame::data("x")]),
        ("block-interrupted-by-an-extension", "5.5", vec![begun(), unknown]),
        ("block-interrupted-by-another", "4.3", vec![begun(), head().on(3)]),
        ("continuation-of-another-stream", "6.10", vec![begun(), more().on(3).end_headers()]),
        ("continuation-on-stream-0", "6.10", vec![begun(), more().on(0).end_headers()]),
        ("continuation-of-nothing", "6.10", vec![more().end_headers()]),
        ("continuation-of-a-complete-block", "6.10", vec![head(), more().end_headers()]),
        ("continuation-after-data", "6.10", vec![head(), Frame::data("x"), more()]),
    ]
}

/// Frames on a stream that nobody has opened.
fn idle_streams() -> Vec<Broken> {
    vec![
        ("data-on-an-idle-stream", "5.1", vec![Frame::data("x").on(IDLE)]),
        ("headers-on-an-idle-stream", "5.1", vec![head().on(IDLE)]),
        ("rst-stream-on-an-idle-stream", "6.4", vec![reset().on(IDLE)]),
        ("window-update-on-an-idle-stream", "5.1", vec![Frame::window_update(9).on(IDLE)]),
        ("headers-on-a-stream-of-the-server", "5.1.1", vec![head().on(2)]),
    ]
}

/// Frames of a stream on none, and the other way round; and pushes, which no client has asked for.
fn wrong_streams() -> Vec<Broken> {
    let request = [(":method", "GET"), (":scheme", "http"), (":path", "/"), (":authority", "a")];
    let goaway = Frame::new(kind::GOAWAY, [0; 8]);
    vec![
        ("data-on-stream-0", "6.1", vec![Frame::data("x").on(0)]),
        ("headers-on-stream-0", "6.2", vec![head().on(0)]),
        ("priority-on-stream-0", "6.3", vec![Frame::priority(0, 9).on(0)]),
        ("rst-stream-on-stream-0", "6.4", vec![reset().on(0)]),
        ("settings-on-a-stream", "6.5", vec![Frame::settings(&[]).on(FIRST)]),
        ("ping-on-a-stream", "6.7", vec![Frame::ping([0; 8]).on(FIRST)]),
        ("goaway-on-a-stream", "6.8", vec![goaway]),
        ("push-promise", "6.6", vec![Frame::push_promise(2, request)]),
        ("push-promise-on-stream-0", "6.6", vec![Frame::push_promise(2, request).on(0)]),
    ]
}

/// Values that a parameter cannot have.
fn settings() -> Vec<Broken> {
    let set = |id, value| vec![Frame::settings(&[(id, value)])];
    vec![
        ("settings-push-neither-on-nor-off", "6.5.2", set(0x2, 2)),
        ("settings-push-by-a-server", "6.5.2", set(0x2, 1)),
        ("settings-window-too-large", "6.5.2", set(0x4, LARGEST + 1)),
        ("settings-frames-too-small", "6.5.2", set(0x5, 16_383)),
        ("settings-frames-too-large", "6.5.2", set(0x5, 1 << 24)),
    ]
}

/// Increments of nothing, and windows larger than any may be.
fn windows() -> Vec<Broken> {
    vec![
        ("window-update-of-0", "6.9", vec![Frame::window_update(0).on(0)]),
        ("window-update-too-far", "6.9.1", vec![Frame::window_update(LARGEST).on(0)]),
    ]
}

/// What comes on the stream of an answer that is complete.
fn late() -> Vec<Violation> {
    let row = |id, frame| Violation {
        id,
        section: "5.1",
        frames: [answer(), vec![frame]].concat(),
        verdict: Violated::ConnectionAfterAnswer,
    };
    vec![
        row("data-after-the-end", Frame::data("more")),
        row("headers-after-the-end", head()),
        row("continuation-after-the-end", Frame::continuation([("a", "b")]).end_headers()),
    ]
}

/// Answers that are malformed (RFC 9113 8.1.1), or whose stream alone is in error.
fn malformed() -> Vec<Violation> {
    let row = |id, section, frames| Violation { id, section, frames, verdict: Violated::Stream };
    let only = |fields: &[(&str, &str)]| {
        vec![Frame::headers(fields.iter().copied()), Frame::data("ok").end_stream()]
    };
    let status = (":status", "200");
    let sized = |length: &str, body: &str| {
        let head = Frame::headers([status, ("content-length", length)]);
        vec![head, Frame::data(body).end_stream()]
    };
    let trailers = |fields: &[(&str, &str)]| {
        vec![head(), Frame::data("ok"), Frame::headers(fields.iter().copied()).end_stream()]
    };
    let endless = vec![head(), Frame::data("ok"), Frame::headers([("a", "b")]), data()];
    vec![
        row("field-name-in-upper-case", "8.2.1", only(&[status, ("X-Upper", "a")])),
        row("field-value-with-a-line-end", "8.2.1", only(&[status, ("a", "b\r\nc: d")])),
        row("connection-field", "8.2.2", only(&[status, ("connection", "close")])),
        row("transfer-encoding-field", "8.2.2", only(&[status, ("transfer-encoding", "chunked")])),
        row("status-missing", "8.3.2", only(&[("a", "b")])),
        row("status-twice", "8.3", only(&[status, status])),
        row("status-that-is-no-number", "8.3.2", only(&[(":status", "fine")])),
        row("pseudo-field-unknown", "8.3", only(&[status, (":unknown", "a")])),
        row("pseudo-field-of-a-request", "8.3", only(&[status, (":path", "/")])),
        row("pseudo-field-after-others", "8.3", only(&[("a", "b"), status])),
        row("pseudo-field-in-trailers", "8.1", trailers(&[("a", "b"), status])),
        row("trailers-that-end-nothing", "8.1", endless),
        row("body-shorter-than-its-length", "8.1.1", sized("9", "ok")),
        row("body-longer-than-its-length", "8.1.1", sized("1", "ok")),
        row("window-update-of-0-on-the-stream", "6.9", zero_window()),
        row("window-too-large-on-the-stream", "6.9.1", wide_window()),
    ]
}

/// Padding that is longer than the frame (RFC 9113 6.1, 6.2).
fn padding() -> Vec<Violation> {
    let padded = |kind, payload: &[u8]| Frame::new(kind, payload).flags(flag::PADDED);
    let row = |id, section, frames| Violation {
        id,
        section,
        frames: [frames, answer()].concat(),
        verdict: Violated::Connection,
    };
    let headers = padded(kind::HEADERS, &[9, 0x88]).end_headers();
    vec![
        row("data-of-padding-too-long", "6.1", vec![head(), padded(kind::DATA, &[9, b'x'])]),
        row("headers-of-padding-too-long", "6.2", vec![headers]),
    ]
}

/// What is rare, and in order.
fn unusual() -> Vec<Violation> {
    let row = |id, section, before: Vec<Frame>| Violation {
        id,
        section,
        frames: [before, answer()].concat(),
        verdict: Violated::Nothing,
    };
    let whole = |id, section, frames| Violation { id, section, frames, verdict: Violated::Nothing };
    let padded = Frame::new(kind::DATA, b"\x03ok\0\0\0".as_slice()).flags(flag::PADDED);
    let empty = || Frame::data("");
    let pieces = vec![
        Frame::headers([(":status", "200")]).unfinished(),
        Frame::continuation([("a", "b")]),
        Frame::continuation([("c", "d")]).end_headers(),
        data(),
    ];
    let interim = Frame::headers([(":status", "103"), ("link", "</a>")]);
    let trailers = Frame::headers([("grpc-status", "0")]).end_stream();
    vec![
        row("frame-of-an-unknown-type", "4.1", vec![Frame::new(0xfa, *b"extension")]),
        row("frame-of-an-unknown-type-on-stream-0", "5.5", vec![Frame::new(0xfa, *b"a").on(0)]),
        row("ping-with-unknown-flags", "4.1", vec![Frame::ping([0; 8]).flags(0xfe)]),
        row("ping-answered-unasked", "6.7", vec![Frame::ping([9; 8]).flags(flag::ACK)]),
        row("settings-unknown", "6.5.2", vec![Frame::settings(&[(0xfafa, 9)])]),
        row("settings-twice", "6.5.3", vec![Frame::settings(&[(3, 9), (3, 100)])]),
        row("priority", "5.3.2", vec![Frame::priority(0, 9)]),
        row("priority-on-an-idle-stream", "5.1", vec![Frame::priority(0, 9).on(IDLE)]),
        row("reserved-bit", "4.1", vec![Frame::ping([0; 8]).on(1 << 31)]),
        row("window-updates", "6.9", vec![Frame::window_update(9), Frame::window_update(9).on(0)]),
        row("an-interim-response", "8.1", vec![interim]),
        whole("block-in-pieces", "4.3", pieces),
        whole("data-with-padding", "6.1", vec![head(), padded.end_stream()]),
        whole(
            "data-that-is-empty",
            "6.1",
            vec![head(), empty(), data_open(), empty().end_stream()],
        ),
        whole("trailers", "8.1", vec![head(), data_open(), trailers]),
    ]
}

/// A stream's window that grows by nothing, before its answer: an error of that stream.
fn zero_window() -> Vec<Frame> {
    [vec![Frame::window_update(0)], answer()].concat()
}

/// A stream's window that grows beyond any, before its answer.
fn wide_window() -> Vec<Frame> {
    [vec![Frame::window_update(LARGEST)], answer()].concat()
}

fn reset() -> Frame {
    Frame::rst_stream(crate::ErrorCode::CANCEL)
}

/// The head of an answer, whose body follows.
fn head() -> Frame {
    Frame::head(&Reply::status(200).raw())
}

fn data_open() -> Frame {
    Frame::data("ok")
}

fn data() -> Frame {
    data_open().end_stream()
}

/// A good answer.
fn answer() -> Vec<Frame> {
    vec![head(), data()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_of_their_own() {
        let rows = http2_violations();
        let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), rows.len());
        assert!(rows.len() >= 57);
    }
}
