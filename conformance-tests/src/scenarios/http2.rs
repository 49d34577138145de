//! HTTP/2, with prior knowledge over plain TCP: streams that share a connection, windows, and what
//! is a silence.

mod broken;

use redial_client::Protocol;
use redial_engine::{Delivery, FailureKind, Reason};

use super::{await_close, millis, ok, reply, seconds, status};
use crate::{
    Attempted, Call, Came, End, Frame, Http2, Reply, RequestSeen, Scenario, Script, Setup,
    Sighting, Step,
};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [shared(), windows(), vec![silent()], steady(), headers(), broken::all()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("http2/{}", name.as_ref()), requirements, title)
        .setup(|setup| Setup { protocol: Protocol::Http2PriorKnowledge, ..setup })
}

fn is(kind: FailureKind, delivery: Delivery) -> Attempted {
    Attempted::any_of([Came::Failure(kind, Some(delivery))])
}

/// R-P-6: calls to one origin share a connection.
fn shared() -> Vec<Scenario> {
    let many = |count: usize| (0..count).map(|n| Call::get(format!("/{n}")).comes_to([200]));
    let within = seconds(20);
    let gathered = |count| vec![Step::AwaitRequests { count, within }, ok().step()];
    let patient = move |setup: Setup| setup.timeouts(|timeouts| timeouts.read = within);
    let slow = vec![Step::Pause(millis(100)), ok().step()];
    vec![
        scenario("one-after-the-other", &["R-C-5", "R-P-7"], "sequential calls use one connection")
            .origin(Script::replies([ok(), status(404), ok()]))
            .call(Call::get("/").then(Attempted::from(200).reused(false)))
            .call(Call::get("/").then(Attempted::from(404).reused(true)))
            .call(Call::get("/").then(Attempted::from(200).reused(true)).ends(End::with(200, "ok")))
            .sees_connections(1),
        scenario("a-hundred-at-once", &["R-P-6"], "a hundred calls share a connection")
            .origin(Script::requests([vec![reply(&ok())], vec![gathered(101); 100]].concat()))
            // A transport may count every stream as a connection: that is not what this is about.
            .setup(move |mut setup| {
                setup.pool.max_connections = 100;
                patient(setup)
            })
            .call(Call::get("/").comes_to([200]))
            .together(many(100))
            .sees_connections(1)
            .sees_requests(101),
        scenario("shared-while-it-is-opened", &["R-P-6"], "also while it is still being opened")
            .origin(Script::requests(vec![gathered(20); 20]))
            .setup(patient)
            .together(many(20))
            .sees_connections(1)
            .sees_requests(20),
        scenario(
            "no-stream-at-all",
            &["R-P-6", "R-T-4"],
            "where none is permitted, one waits for a slot",
        )
        .origin(Script::requests(vec![]).http2(Http2::new().max_concurrent_streams(0)))
        .call(
            Call::get("/")
                .max_attempts(1)
                .then(is(FailureKind::PoolTimeout, Delivery::Unsent))
                .gives_up(Reason::AttemptsExhausted),
        )
        .sees_requests(0),
        scenario(
            "up-to-the-peers-limit",
            &["R-P-6", "R-P-1"],
            "no more streams than the peer permits",
        )
        .origin(Script::requests(vec![slow; 12]).http2(Http2::new().max_concurrent_streams(3)))
        .setup(move |mut setup| {
            setup.pool.max_connections = 1;
            patient(setup).timeouts(|timeouts| timeouts.pool = within)
        })
        .together(many(12))
        .sees_connections(1)
        .sees_requests(12),
        scenario("retried-on-it", &["R-D-2", "R-P-10"], "a retry uses the same connection")
            .origin(Script::replies([status(503), ok()]))
            .call(Call::get("/").then(503).then(Attempted::from(200).reused(true)))
            .sees_connections(1),
        scenario("headers", &["R-C-13"], "nothing is added to the caller's headers there either")
            .origin(Script::replies([ok()]))
            .call(Call::post("/a?b=c", "abc").header("x-one", "1").comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![
                    RequestSeen::new("POST", "/a?b=c").header("x-one", "1").body("abc").having(
                        crate::HeaderSeen::Only(&[
                            ":method",
                            ":path",
                            ":scheme",
                            ":authority",
                            "user-agent",
                            "content-length",
                            "x-one",
                        ]),
                    ),
                ],
            }),
        scenario(
            "dropped-call-resets-its-stream",
            &["R-T-7"],
            "and leaves the connection to others",
        )
        .origin(Script::requests(vec![
            vec![Step::AwaitReset { code: None, within: seconds(5) }],
            vec![Reply::status(200).body("piece by piece").slowly(2, millis(60))],
            reply(&ok()),
        ]))
        .setup(|setup| setup.timeouts(|timeouts| timeouts.read = seconds(10)))
        .together([
            Call::get("/dropped").cancelled_after(millis(200)),
            Call::get("/goes-on").after(millis(50)).comes_to([200]),
        ])
        .call(Call::get("/").then(Attempted::from(200).reused(true)))
        .sees_connections(1),
    ]
}

/// R-T-3 and large bodies: the window is the peer's to open.
fn windows() -> Vec<Scenario> {
    let large = vec![b'w'; 3_000_000];
    vec![
        scenario("three-megabytes-up", &["R-C-3"], "a large body arrives whole")
            .origin(Script::replies([ok()]))
            .call(Call::post("/", large.clone()).comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::new("POST", "/").body(large.clone())],
            }),
        scenario("three-megabytes-down", &["R-C-4"], "a large body comes whole")
            .origin(Script::replies([Reply::status(200).body(large.clone())]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, large.clone()))),
        scenario("closed-window", &["R-T-3"], "a window that stays closed is a write timeout")
            .origin(Script::connections(vec![vec![
                Step::Preface(Http2::new().initial_window_size(1000).without_window_updates()),
                Step::ReadHead,
                await_close(),
            ]]))
            .setup(|setup| setup.timeouts(|timeouts| timeouts.read = seconds(10)))
            .call(
                Call::put("/", large)
                    .max_attempts(1)
                    .then(is(FailureKind::WriteTimeout, Delivery::Unknown))
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(millis(500), seconds(8)),
            ),
        scenario("window-by-bytes", &["R-T-3"], "one that opens steadily trips none")
            .origin(Script::connections(vec![by_bytes("bytes".len())]))
            .setup(|setup| setup.timeouts(|timeouts| timeouts.read = seconds(5)))
            .call(Call::put("/", "bytes").max_attempts(1).comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::new("PUT", "/").body("bytes")],
            }),
        scenario("window-of-0", &["R-T-3"], "a body of one byte may wait for the window too")
            .origin(Script::connections(vec![vec![
                Step::Preface(Http2::new().initial_window_size(0).without_window_updates()),
                Step::ReadHead,
                ok().step(),
                Step::ReadHead,
                await_close(),
            ]]))
            .setup(|setup| setup.timeouts(|timeouts| timeouts.read = seconds(3)))
            .call(Call::get("/").comes_to([200]))
            .call(
                Call::put("/", "x")
                    .max_attempts(1)
                    .then(is(FailureKind::WriteTimeout, Delivery::Unknown))
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(millis(500), seconds(8)),
            ),
    ]
}

/// Takes a body of this length byte by byte, each within the write timeout, but not all of them.
fn by_bytes(length: usize) -> Vec<Step> {
    let byte = [Step::Pause(millis(350)), Step::Send(vec![Frame::window_update(1)])];
    let closed = Http2::new().initial_window_size(0).without_window_updates();
    [Step::Preface(closed), Step::ReadHead]
        .into_iter()
        .chain(core::iter::repeat_n(byte, length).flatten())
        .chain([Step::ReadBody, ok().step()])
        .collect()
}

/// R-T-2: a request that has gone out waits for its response, whatever it waited for before.
fn silent() -> Scenario {
    let silent = vec![Step::Preface(Http2::new()), Step::ReadRequest, await_close()];
    scenario("silence-after-an-upload", &["R-T-2"], "the read timeout begins with its end")
        .origin(Script::connections(vec![silent]))
        .setup(|setup| setup.timeouts(|timeouts| timeouts.write = seconds(12)))
        .call(
            Call::put("/", "a body")
                .max_attempts(1)
                .then(is(FailureKind::ReadTimeout, Delivery::Unknown))
                .gives_up(Reason::AttemptsExhausted)
                .takes(millis(500), seconds(8)),
        )
}

/// R-T-2: whatever comes steadily is in time.
fn steady() -> Vec<Scenario> {
    vec![
        scenario("frame-in-pieces", &["R-T-2"], "a frame that comes steadily is no silence")
            .origin(Script::requests(vec![vec![
                Step::Send(vec![Frame::headers([(":status", "200")])]),
                Step::WriteSlowly {
                    bytes: Frame::data("piece by piece").end_stream().bytes(1),
                    piece: 2,
                    gap: millis(150),
                },
            ]]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "piece by piece"))),
        scenario("interim-heads", &["R-T-2"], "nor are interim heads that do")
            .origin(Script::requests(vec![interim()]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "ok"))),
        scenario("body-in-pieces", &["R-T-2"], "one that comes steadily is in time")
            .origin(Script::requests(vec![vec![
                Reply::status(200).body("piece by piece by piece").slowly(5, millis(150)),
            ]]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "piece by piece by piece"))),
    ]
}

/// Interim heads for longer than the read timeout, each within it.
fn interim() -> Vec<Step> {
    let hint = Frame::headers([(":status", "103"), ("link", "</a>")]);
    let hint = [Step::Send(vec![hint]), Step::Pause(millis(350))];
    core::iter::repeat_n(hint, 5).flatten().chain([ok().step()]).collect()
}

/// R-X-2: as many headers as over HTTP/1.1.
fn headers() -> Vec<Scenario> {
    let names: Vec<_> = (0..101).map(|n| format!("x-{n}")).collect();
    let head = |count: usize| {
        let fields = names.iter().take(count).map(|name| (name.as_str(), "1"));
        Frame::headers([(":status", "200")].into_iter().chain(fields)).end_stream()
    };
    let row = |name, title, count| {
        scenario(name, &["R-X-2"], title)
            .origin(Script::requests(vec![vec![Step::Send(vec![head(count)])]]))
    };
    vec![
        row("a-hundred-headers", "a hundred headers are not too many", 100)
            .call(Call::get("/").comes_to([200])),
        row("a-hundred-and-one-headers", "more are, and are not asked for again", 101)
            .call(
                Call::get("/")
                    .comes_to([FailureKind::ResponseTooLarge])
                    .ends(End::Error(vec![FailureKind::ResponseTooLarge])),
            )
            .sees_requests(1),
    ]
}
