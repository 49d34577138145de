//! HTTP/2 that breaks off: streams that are refused or reset, servers that go away, floods, and
//! frames that are none.

use redial_engine::{Delivery, FailureKind, Reason, Replay};

use super::super::{await_close, millis, ok, reply, seconds};
use super::{is, scenario};
use crate::{
    Attempted, Call, Count, End, ErrorCode, Frame, Http2, LastStream, Scenario, Script, Sighting,
    Step,
};

pub(super) fn all() -> Vec<Scenario> {
    [refused(), gone(), bodies(), floods(), malformed()].into_iter().flatten().collect()
}

/// RFC 9113 8.7: a refused stream was not processed.
fn refused() -> Vec<Scenario> {
    let refuse = || vec![Step::Send(vec![Frame::rst_stream(ErrorCode::REFUSED_STREAM)])];
    let refused = || is(FailureKind::RefusedStream, Delivery::Unsent);
    vec![
        scenario("refused-stream", &["R-D-3", "R-D-7"], "a refused stream is an ordinary failure")
            .origin(Script::requests(vec![refuse(), reply(&ok())]))
            .call(Call::get("/").then(refused()).then(200)),
        scenario("refused-stream-of-a-post", &["R-D-4"], "a POST is not repeated even then")
            .origin(Script::requests(vec![refuse()]))
            .call(Call::post("/", "x").then(refused()).gives_up(Reason::NotRepeatable))
            .sees_requests(1),
        scenario("refused-stream-if-unsent", &["R-D-4"], "unless the caller allows just that")
            .origin(Script::requests(vec![refuse(), reply(&ok())]))
            .call(Call::post("/", "x").replay(Replay::IfUnsent).then(refused()).then(200)),
        scenario("refused-for-ever", &["R-D-1", "R-X-7"], "no hidden loop below the engine")
            .origin(Script::requests(vec![]).otherwise(refuse()))
            .call(Call::get("/").comes_to(vec![refused(); 5]).gives_up(Reason::AttemptsExhausted))
            .sees_requests(5),
        scenario("stream-reset", &["R-D-3", "R-X-6"], "another reset says nothing of the kind")
            .origin(Script::requests(vec![vec![Step::Send(vec![Frame::rst_stream(
                ErrorCode::INTERNAL_ERROR,
            )])]]))
            .call(
                Call::post("/", "x")
                    .replay(Replay::IfUnsent)
                    .then(is(FailureKind::StreamReset, Delivery::Unknown))
                    .gives_up(Reason::NotRepeatable),
            )
            .sees_requests(1),
    ]
}

/// RFC 9113 6.8: a server that goes away.
fn gone() -> Vec<Scenario> {
    let leaves = |last, code| vec![Step::Send(vec![Frame::goaway(last, code)]), Step::Close];
    vec![
        scenario(
            "go-away-after-an-answer",
            &["R-P-6"],
            "a running stream ends in peace, no other begins",
        )
        .origin(Script::connections(vec![
            vec![
                Step::Preface(Http2::new()),
                Step::ReadRequest,
                Step::Send(vec![Frame::goaway(LastStream::Request, ErrorCode::NO_ERROR)]),
                Step::Pause(millis(600)),
                ok().step(),
                await_close(),
            ],
            vec![Step::Preface(Http2::new()), Step::ReadRequest, ok().step()],
        ]))
        .together([
            Call::get("/running").comes_to([200]),
            Call::get("/later").after(millis(350)).somehow(End::with(200, "ok")),
        ])
        .sees_connections(2)
        .sees_requests(2),
        scenario("go-away-unprocessed", &["R-D-3", "R-D-7"], "what was not looked at is unsent")
            .origin(Script::requests(vec![
                leaves(LastStream::BeforeRequest, ErrorCode::NO_ERROR),
                reply(&ok()),
            ]))
            .call(Call::get("/").somehow(End::with(200, "ok")))
            .sees_requests(2),
        scenario(
            "go-away-on-a-reused-one",
            &["R-D-7"],
            "costs nothing but another connection, once",
        )
        .origin(Script::connections(vec![
            vec![
                Step::Preface(Http2::new()),
                Step::ReadRequest,
                ok().step(),
                Step::ReadRequest,
                Step::Send(vec![Frame::goaway(LastStream::BeforeRequest, ErrorCode::NO_ERROR)]),
                await_close(),
            ],
            vec![Step::Preface(Http2::new()), Step::ReadRequest, ok().step()],
        ]))
        .setup(|setup| setup.policy(|policy| policy.max_attempts(1)))
        .call(Call::get("/").comes_to([200]))
        .call(
            Call::post("/", "x")
                .then(is(FailureKind::GoAway { graceful: true }, Delivery::Unsent).reused(true))
                .then(Attempted::from(200).reused(false)),
        )
        .sees_requests(3),
        scenario(
            "go-away-with-an-error",
            &["R-D-7", "R-D-4"],
            "with an error it is no re-send for nothing",
        )
        .origin(Script::requests(vec![leaves(
            LastStream::BeforeRequest,
            ErrorCode::ENHANCE_YOUR_CALM,
        )]))
        .call(
            Call::post("/", "x")
                .then(is(FailureKind::GoAway { graceful: false }, Delivery::Unsent))
                .gives_up(Reason::NotRepeatable),
        )
        .sees_requests(1),
        scenario(
            "go-away-and-processed",
            &["R-X-6"],
            "what may have been processed is not repeated",
        )
        .origin(Script::requests(vec![leaves(LastStream::Request, ErrorCode::NO_ERROR)]))
        .call(
            Call::post("/", "x")
                .replay(Replay::IfUnsent)
                .then(is(FailureKind::Closed, Delivery::Unknown))
                .gives_up(Reason::NotRepeatable),
        )
        .sees_requests(1),
    ]
}

/// R-D-8, R-X-4: bodies that break off.
fn bodies() -> Vec<Scenario> {
    let half = |end: Vec<Step>| {
        let head = Frame::headers([(":status", "200")]);
        [vec![Step::Send(vec![head, Frame::data("half")]), Step::Pause(millis(30))], end].concat()
    };
    let row = |name: &str, end: Vec<Step>, kind| {
        scenario(name, &["R-D-8", "R-X-4"], "a body that breaks off is no answer, and is retried")
            .origin(Script::requests(vec![half(end), reply(&ok())]))
            .call(Call::get("/").then(is(kind, Delivery::Answered)).then(200))
    };
    let lost = |name: &str, first: Vec<Step>, delivery| {
        let begin = vec![Step::Preface(Http2::new()), Step::ReadRequest];
        scenario(name, &["R-D-3", "R-P-8"], "one that falls silent serves no second attempt")
            .origin(Script::connections(vec![
                [begin.clone(), first, vec![await_close()]].concat(),
                [begin, vec![ok().step()]].concat(),
            ]))
            .call(Call::get("/").then(is(FailureKind::ReadTimeout, delivery)).then(200))
            .sees_connections(2)
    };
    let part_of_a_head = vec![Step::Send(vec![Frame::headers([(":status", "200")]).unfinished()])];
    vec![
        row(
            "body-reset",
            vec![Step::Send(vec![Frame::rst_stream(ErrorCode::CANCEL)])],
            FailureKind::StreamReset,
        ),
        scenario(
            "body-reset-without-error",
            &["R-D-8", "R-X-4"],
            "less than the length is no answer",
        )
        .origin(Script::requests(vec![
            vec![Step::Send(vec![
                Frame::headers([(":status", "200"), ("content-length", "9")]),
                Frame::data("half"),
                Frame::rst_stream(ErrorCode::NO_ERROR),
            ])],
            reply(&ok()),
        ]))
        .call(Call::get("/").then(is(FailureKind::Truncated, Delivery::Answered)).then(200)),
        row(
            "body-reset-without-error-or-length",
            vec![Step::Send(vec![Frame::rst_stream(ErrorCode::NO_ERROR)])],
            FailureKind::Truncated,
        ),
        scenario("reset-after-the-end", &["R-D-8"], "one that ended before its reset is whole")
            .origin(Script::requests(vec![vec![Step::Send(vec![
                Frame::headers([(":status", "200")]),
                Frame::data("whole").end_stream(),
                Frame::rst_stream(ErrorCode::NO_ERROR),
            ])]]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "whole"))),
        scenario(
            "end-behind-an-answer",
            &["R-D-8"],
            "an answer counts whose connection ends at once, before all of the request is sent",
        )
        .origin(Script::connections(vec![vec![
            Step::Preface(Http2::new().without_window_updates()),
            Step::ReadHead,
            Step::Send(vec![
                Frame::headers([(":status", "413")]),
                Frame::data("too much").end_stream(),
            ]),
            Step::Close,
        ]]))
        .call(
            Call::post("/", vec![b'x'; 1_000_000]).comes_to([413]).ends(End::with(413, "too much")),
        ),
        row(
            "body-disowned",
            vec![
                Step::Send(vec![Frame::goaway(LastStream::BeforeRequest, ErrorCode::NO_ERROR)]),
                await_close(),
            ],
            FailureKind::Truncated,
        ),
        row("body-closed", vec![Step::Close], FailureKind::Truncated),
        row("body-silent", vec![await_close()], FailureKind::ReadTimeout),
        lost("connection-lost", vec![], Delivery::Unknown),
        lost("connection-lost-in-a-head", part_of_a_head, Delivery::Unknown),
        lost("connection-lost-in-a-body", half(vec![]), Delivery::Answered),
    ]
}

/// R-X-8: floods are bounded in time and memory.
fn floods() -> Vec<Scenario> {
    let at_most = 64 << 20;
    let head = || Frame::headers([(":status", "200")]);
    let link = format!("</{}>", "a".repeat(1000));
    let rows = [
        ("ping", vec![Frame::ping([0; 8])], vec![]),
        ("settings", vec![Frame::settings(&[(0x4, 65_535)])], vec![]),
        ("empty-data", vec![Frame::data("")], vec![head()]),
        (
            "continuation",
            vec![Frame::continuation([("x-filler", "yyyyyyyyyyyyyyyyyyyyyyyy")]).unfinished()],
            vec![head().unfinished()],
        ),
        // Of some length each: an unoptimized client takes seconds for a turn of the smallest.
        ("interim", vec![Frame::headers([(":status", "103"), ("link", &link)])], vec![]),
    ];
    rows.map(|(name, frames, before)| {
        let mut steps = vec![Step::Preface(Http2::new()), Step::ReadRequest];
        if !before.is_empty() {
            steps.push(Step::Send(before));
        }
        steps.push(Step::SendFlood { frames, at_most });
        scenario(format!("flood-of-{name}"), &["R-X-8"], "it ends within its timeouts, by an error")
            .origin(Script::connections(vec![]).otherwise(steps))
            .call(
                Call::get("/")
                    .max_attempts(1)
                    .timeout(seconds(4))
                    .somehow(End::Error(vec![
                        FailureKind::RemoteProtocol,
                        FailureKind::ResponseTooLarge,
                        FailureKind::StreamReset,
                        FailureKind::ReadTimeout,
                        FailureKind::Closed,
                        FailureKind::Reset,
                        FailureKind::Deadline,
                        FailureKind::WriteTimeout,
                        FailureKind::LocalProtocol,
                    ]))
                    .takes(millis(0), seconds(19)),
            )
            .sees(Sighting::AllClosedAfterDrop { within: seconds(3) })
            .sees(Sighting::Connections { origin: 0, count: Count::Exactly(1) })
    })
    .to_vec()
}

/// R-D-3: what is no HTTP/2 is malformed, and final.
fn malformed() -> Vec<Scenario> {
    let row = |name: &str, steps: Vec<Step>| {
        let steps = [vec![Step::Preface(Http2::new()), Step::ReadRequest], steps].concat();
        scenario(name, &["R-D-3"], "a malformed response is final")
            .origin(Script::connections(vec![[steps, vec![await_close()]].concat()]))
            .call(Call::get("/").then(is(FailureKind::RemoteProtocol, Delivery::Unknown)))
            .sees_connections(1)
    };
    vec![
        row("data-on-an-idle-stream", vec![Step::Send(vec![Frame::data("x").on(99)])]),
        row(
            "headers-on-stream-0",
            vec![Step::Send(vec![Frame::headers([(":status", "200")]).on(0)])],
        ),
        row("window-update-of-0", vec![Step::Send(vec![Frame::window_update(0).on(0)])]),
        row("frame-too-large", vec![Step::Send(vec![Frame::data(vec![b'x'; 20_000])])]),
        row(
            "settings-of-a-wrong-length",
            vec![Step::Send(vec![Frame::new(0x4, vec![0; 5]).on(0)])],
        ),
    ]
}
