//! Servers that mean no good.

use core::time::Duration;

use redial_client::HeadLimit;
use redial_engine::{Delivery, FailureKind, Reason};

use super::{await_close, millis, ok, reply, seconds};
use crate::{Attempted, Call, Came, Count, End, Reply, Scenario, Script, Setup, Sighting, Step};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [heads(), framing(), posts(), slow()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("hostile/{}", name.as_ref()), requirements, title)
}

fn write(text: impl Into<Vec<u8>>) -> Step {
    Step::Write(text.into())
}

fn is(kind: FailureKind, delivery: Delivery) -> Attempted {
    Attempted::any_of([Came::Failure(kind, Some(delivery))])
}

/// R-X-2: heads without end.
fn heads() -> Vec<Scenario> {
    let lines = |count: usize| (0..count).map(|n| format!("x-{n}: y\r\n")).collect::<String>();
    let one = |name: &str, title: &str, steps: Vec<Step>, came: Attempted| {
        scenario(name, &["R-X-2", "R-D-3"], title)
            .origin(Script::requests(vec![steps]))
            .call(Call::get("/").then(came).takes(Duration::ZERO, seconds(8)))
            .sees_requests(1)
    };
    let flood = |bytes: Vec<u8>| Step::Flood { bytes, at_most: 16 << 20 };
    let head = "HTTP/1.1 200 OK\r\n";
    let too_large = || is(FailureKind::ResponseTooLarge, Delivery::Unknown);
    vec![
        one(
            "head-without-end",
            "an endless head is cut off, and not asked for again",
            vec![
                write(head),
                flood(b"x-filler: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\r\n".to_vec()),
                await_close(),
            ],
            too_large(),
        ),
        one(
            "header-without-end",
            "so is an endless header",
            vec![write(format!("{head}x-filler: ")), flood(vec![b'y'; 4096]), await_close()],
            too_large(),
        ),
        one(
            "a-hundred-and-one-headers",
            "more than a hundred headers are too many",
            vec![write(format!("{head}content-length: 0\r\n{}\r\n", lines(100))), await_close()],
            too_large(),
        ),
        scenario("a-hundred-headers", &["R-X-2"], "a hundred are not")
            .origin(Script::requests(vec![vec![write(format!(
                "{head}content-length: 0\r\n{}\r\n",
                lines(99)
            ))]]))
            .call(Call::get("/").comes_to([200])),
        scenario("head-of-sixty-kilobytes", &["R-X-2"], "a head below the limit is taken")
            .origin(Script::replies([ok().header("x-large", "y".repeat(60 * 1024))]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "ok"))),
        one(
            "head-of-seventy-kilobytes",
            "one above it is not",
            vec![ok().header("x-large", "y".repeat(70 * 1024)).step(), await_close()],
            too_large(),
        ),
        scenario("head-above-a-limit-of-its-own", &["R-X-2"], "the limit can be set")
            .origin(Script::requests(vec![vec![
                ok().header("x-large", "y".repeat(20 * 1024)).step(),
                await_close(),
            ]]))
            .setup(|setup| Setup { max_head: Some(HeadLimit::new(10 * 1024)), ..setup })
            .call(Call::get("/").then(too_large()))
            .sees_requests(1),
        one(
            "interim-without-end",
            "endless interim responses are cut off",
            vec![flood(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec()), await_close()],
            too_large(),
        ),
        one(
            "upgrade-unasked",
            "nobody asked for another protocol",
            vec![
                write(
                    "HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\nhi",
                ),
                await_close(),
            ],
            is(FailureKind::RemoteProtocol, Delivery::Unknown),
        ),
    ]
}

/// R-X-3: bad framing never makes the next request read what is not its own.
fn framing() -> Vec<Scenario> {
    let body = |head: &str, rest: &str| {
        vec![write(format!("HTTP/1.1 200 OK\r\n{head}\r\n\r\n{rest}")), await_close()]
    };
    let refused = [
        ("two-lengths", body("content-length: 2\r\ncontent-length: 3", "ok"), false),
        ("length-negative", body("content-length: -2", "ok"), false),
        (
            "chunks-of-http-1.0",
            vec![
                write(
                    "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n\
                     2\r\nok\r\n0\r\n\r\n",
                ),
                await_close(),
            ],
            false,
        ),
        ("length-signed", body("content-length: +2", "ok"), false),
        ("length-too-large", body("content-length: 99999999999999999999", "ok"), false),
        (
            "chunk-size-too-large",
            body("transfer-encoding: chunked", "10000000000000000\r\nok"),
            true,
        ),
        ("chunk-size-negative", body("transfer-encoding: chunked", "-1\r\nok\r\n0\r\n\r\n"), true),
        (
            "chunk-without-its-end",
            body("transfer-encoding: chunked", "2\r\nokxx\r\n0\r\n\r\n"),
            true,
        ),
    ];
    let refused = refused.map(|(name, steps, answered)| {
        let delivery = if answered { Delivery::Answered } else { Delivery::Unknown };
        scenario(name, &["R-X-3", "R-D-3"], "an error, and the connection serves nothing more")
            .origin(Script::connections(vec![
                [vec![Step::ReadRequest], steps].concat(),
                vec![Step::ReadRequest, ok().step()],
            ]))
            .call(Call::get("/").then(is(FailureKind::RemoteProtocol, delivery)))
            .call(
                Call::get("/").then(Attempted::from(200).reused(false)).ends(End::with(200, "ok")),
            )
            .sees_connections(2)
    });
    let both = scenario(
        "length-and-chunks",
        &["R-X-3", "R-P-8"],
        "with a length and chunks, the connection serves nothing more",
    )
    .origin(Script::connections(vec![
        vec![
            Step::ReadRequest,
            write("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n0\r\n\r\n"),
            await_close(),
        ],
        vec![Step::ReadRequest, ok().step()],
    ]))
    .call(Call::get("/").somehow(End::with(200, "ok")))
    .call(Call::get("/").then(Attempted::from(200).reused(false)))
    .sees_connections(2);
    let unasked = scenario("answer-to-nobody", &["R-X-3"], "an answer to nobody answers nobody")
        .origin(Script::connections(vec![
            vec![
                Step::ReadRequest,
                ok().step(),
                Step::Pause(millis(60)),
                reply(&Reply::status(299).body("evil")).remove(0),
                await_close(),
            ],
            vec![Step::ReadRequest, ok().step()],
        ]))
        .call(Call::get("/").comes_to([200]))
        .act(crate::Act::Rest(millis(300)))
        .call(Call::get("/").somehow(End::with(200, "ok")));
    let cut = [
        ("cut-status-line", "HTTP/1.1 2", Delivery::Unknown),
        ("cut-header", "HTTP/1.1 200 OK\r\ncontent-le", Delivery::Unknown),
        (
            "cut-before-the-blank-line",
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n",
            Delivery::Unknown,
        ),
        ("cut-body", "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", Delivery::Answered),
        (
            "cut-chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n9\r\nhalf",
            Delivery::Answered,
        ),
        (
            "cut-before-the-last-chunk",
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nok\r\n",
            Delivery::Answered,
        ),
    ];
    let cut = cut.map(|(name, text, delivery)| {
        scenario(name, &["R-X-4", "R-D-3"], "what is cut off is no answer")
            .origin(Script::requests(vec![vec![write(text), Step::Close], reply(&ok())]))
            .call(Call::get("/").then(is(FailureKind::Truncated, delivery)).then(200))
    });
    let cut_and_again = scenario(
        "cut-head-of-an-upload",
        &["R-X-4", "R-P-8"],
        "the connection that it came over is not used for the next attempt",
    )
    .origin(Script::connections(vec![
        vec![Step::ReadRequest, write("HTTP/1.1 200 OK\r\nserver: x\r\n"), Step::Close],
        vec![Step::ReadRequest, ok().step()],
    ]))
    .call(
        Call::put("/", "a body")
            .then(Attempted::from(FailureKind::Truncated))
            .then(Attempted::from(200).reused(false)),
    );
    refused.into_iter().chain([both, unasked, cut_and_again]).chain(cut).collect()
}

/// R-X-6: a POST is processed at most once, wherever it is broken off.
fn posts() -> Vec<Scenario> {
    let once = |name: &str, steps: Vec<Step>, kinds: &[FailureKind]| {
        scenario(format!("post-{name}"), &["R-X-6", "R-D-4"], "a POST is not sent twice")
            .origin(
                Script::connections(vec![steps]).otherwise(vec![Step::ReadRequest, ok().step()]),
            )
            .call(Call::post("/", vec![b'x'; 4000]).somehow(End::Error(kinds.to_vec())))
            .sees(Sighting::Connections { origin: 0, count: Count::Exactly(1) })
    };
    use FailureKind::{Closed, ReadTimeout, Reset, Truncated};
    vec![
        once(
            "reset-before-it-is-read",
            vec![Step::AwaitData { within: seconds(5) }, Step::Reset],
            &[Reset],
        ),
        once("reset-after-its-head", vec![Step::ReadHead, Step::Reset], &[Reset]),
        once("reset-after-it", vec![Step::ReadRequest, Step::Reset], &[Reset]),
        once("closed-after-it", vec![Step::ReadRequest, Step::Close], &[Closed]),
        once("silence-after-it", vec![Step::ReadRequest, await_close()], &[ReadTimeout]),
        once(
            "cut-in-the-head",
            vec![Step::ReadRequest, write("HTTP/1.1 200 OK\r\ncont"), Step::Close],
            &[Truncated],
        ),
        once(
            "cut-in-the-body",
            vec![
                Step::ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
                Step::Close,
            ],
            &[Truncated],
        ),
        once(
            "reset-in-the-body",
            vec![
                Step::ReadRequest,
                write("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf"),
                Step::Pause(millis(50)),
                Step::Reset,
            ],
            &[Reset],
        ),
    ]
}

/// A server that sends for ever, a little at a time.
fn slow() -> Vec<Scenario> {
    let drip = vec![write("x"), Step::Pause(millis(100))];
    let head = write("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n");
    vec![
        scenario("dripping-body", &["R-T-5", "R-T-2"], "an attempt timeout ends what never ends")
            .origin(Script::requests(vec![
                [vec![head], vec![drip; 4].concat(), vec![await_close()]].concat(),
            ]))
            .call(
                Call::get("/")
                    .attempt_timeout(millis(500))
                    .max_attempts(1)
                    .comes_to([(FailureKind::AttemptTimeout, Delivery::Answered)])
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(millis(500), seconds(6)),
            ),
    ]
}
