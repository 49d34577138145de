//! Every way in which a server of HTTP/2 may fail a request.

use redial_client::Protocol;
use redial_engine::Delivery::{Answered, Unknown, Unsent};
use redial_engine::FailureKind::{
    Closed, GoAway, PoolTimeout, ReadTimeout, RefusedStream, RemoteProtocol, Reset, StreamReset,
    Truncated, WriteTimeout,
};

use super::{AT_MOST, SEEN, UPLOAD, WireRow, await_close};
use crate::{ErrorCode, Frame, Http2, LastStream, Reply, Step};

pub(super) fn rows() -> Vec<WireRow> {
    [refusals(), resets(), ends(), no_answers(), wrong_bytes()].into_iter().flatten().collect()
}

/// The server says that it will not, or did not, look at the request: or only that it goes.
fn refusals() -> Vec<WireRow> {
    use LastStream::{BeforeRequest, Number, Request};
    let graceful = GoAway { graceful: true };
    let leave = |last, code| Step::Send(vec![Frame::goaway(last, code)]);
    let early = vec![preface(), leave(Number(0), ErrorCode::NO_ERROR), await_close()];
    let unprocessed = leave(BeforeRequest, ErrorCode::NO_ERROR);
    let processed = leave(Request, ErrorCode::NO_ERROR);
    let failed = leave(Request, ErrorCode::INTERNAL_ERROR);
    vec![
        answer("h2-refused-stream", [reset(ErrorCode::REFUSED_STREAM), await_close()])
            .or(RefusedStream, Unsent),
        answer("h2-goaway-unprocessed", [unprocessed, await_close()]).or(graceful, Unsent),
        answer("h2-goaway-processed-close", [processed, Step::Close]).or(Closed, Unknown),
        answer("h2-goaway-err-processed", [failed, Step::Close]).or(Closed, Unknown),
        row("h2-goaway-before-request", early).or(graceful, Unsent),
    ]
}

/// The server resets the stream.
fn resets() -> Vec<WireRow> {
    let cut = || [half(), Step::Pause(SEEN), reset(ErrorCode::CANCEL), await_close()];
    // Not the last stream any more: what is left of the answer never comes.
    let leave = Frame::goaway(LastStream::BeforeRequest, ErrorCode::INTERNAL_ERROR);
    let left = [half(), Step::Pause(SEEN), Step::Send(vec![leave]), await_close()];
    vec![
        answer("h2-rst-internal", [reset(ErrorCode::INTERNAL_ERROR), await_close()])
            .or(StreamReset, Unknown),
        answer("h2-rst-noerror", [reset(ErrorCode::NO_ERROR), await_close()])
            .or(StreamReset, Unknown),
        answer("h2-rst-cancel-midbody", cut()).or(StreamReset, Answered),
        answer("h2-goaway-midbody", left).or(StreamReset, Answered),
    ]
}

/// The connection ends.
fn ends() -> Vec<WireRow> {
    vec![
        answer("h2-close-after-headers", [Step::Close]).or(Closed, Unknown),
        answer("h2-tcp-rst-after-headers", [Step::Reset]).or(Reset, Unknown),
        answer("h2-close-midbody", [half(), Step::Pause(SEEN), Step::Close])
            .or(Truncated, Answered),
    ]
}

/// The server lets the client wait: for an answer, for leave to ask, or for leave to go on.
fn no_answers() -> Vec<WireRow> {
    let none = Http2::new().max_concurrent_streams(0);
    let stuck = Http2::new().without_window_updates();
    let upload = vec![Step::Preface(stuck), Step::ReadHead, await_close()];
    vec![
        answer("h2-silent", [await_close()]).or(ReadTimeout, Unknown),
        row("h2-max-streams-0", vec![Step::Preface(none), await_close()]).or(PoolTimeout, Unsent),
        WireRow { upload: UPLOAD, ..row("h2-no-window", upload) }.or(WriteTimeout, Unknown),
    ]
}

/// What comes is no HTTP/2.
fn wrong_bytes() -> Vec<WireRow> {
    let headless = Step::Send(vec![Frame::data("of no stream").on(0)]);
    let text = Step::Write(Reply::status(200).body("ok").bytes());
    let arrival = Step::AwaitData { within: AT_MOST };
    vec![
        answer("h2-bad-frame", [headless, await_close()]).or(RemoteProtocol, Unknown),
        row("h2-http1-reply", vec![arrival, text, await_close()]).or(RemoteProtocol, Unknown),
    ]
}

fn row(id: &'static str, steps: Vec<Step>) -> WireRow {
    WireRow { protocol: Protocol::Http2PriorKnowledge, ..super::row(id, steps) }
}

/// A row of one request, which is read and then treated so.
fn answer<const N: usize>(id: &'static str, steps: [Step; N]) -> WireRow {
    row(id, [preface(), Step::ReadRequest].into_iter().chain(steps).collect())
}

fn preface() -> Step {
    Step::Preface(Http2::new())
}

fn reset(code: ErrorCode) -> Step {
    Step::Send(vec![Frame::rst_stream(code)])
}

/// A response whose body goes on.
fn half() -> Step {
    Step::Send(vec![Frame::head(&Reply::status(200).raw()), Frame::data("four")])
}
