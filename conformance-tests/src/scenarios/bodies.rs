//! Bodies: what is sent again, what is part of an attempt, and what is kept of a response.

use core::time::Duration;

use http::Method;
use redial_engine::{Delivery, FailureKind, Reason};

use super::{await_close, millis, ok, reply, seconds, status};
use crate::{Call, End, Payload, Reply, RequestSeen, Scenario, Script, Setup, Sighting, Step};

pub(super) fn all() -> Vec<Scenario> {
    let groups =
        [replayed(), once(), framing(), streams(), answers(), part_of_the_attempt(), drained()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: &str, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("bodies/{name}"), requirements, title)
}

fn twice(request: &RequestSeen) -> Sighting {
    Sighting::Requests { origin: 0, requests: vec![request.clone(), request.clone()] }
}

fn pieces(gap: Duration) -> (Vec<Vec<u8>>, Duration) {
    (vec![b"first ".to_vec(), b"second".to_vec()], gap)
}

/// R-C-3: every attempt sends the whole body.
fn replayed() -> Vec<Scenario> {
    let (parts, gap) = pieces(Duration::ZERO);
    let large = b"0123456789abcdef".repeat(64 * 1024);
    vec![
        scenario("bytes-again", &["R-C-3"], "bytes are sent again, all of them")
            .origin(Script::replies([status(503), ok()]))
            .call(Call::put("/", "the body").comes_to([503, 200]))
            .sees(twice(
                &RequestSeen::new("PUT", "/").body("the body").header("content-length", "8"),
            )),
        scenario("large-bytes-again", &["R-C-3"], "a megabyte neither more nor less")
            .origin(Script::replies([status(503), ok()]))
            .call(Call::put("/", large.clone()).comes_to([503, 200]))
            .sees(twice(&RequestSeen::new("PUT", "/").body(large))),
        scenario("stream-made-again", &["R-C-3"], "a stream that can be made again is")
            .origin(Script::replies([status(503), ok()]))
            .call(
                Call::put("/", "")
                    .payload(Payload::Replayable { pieces: parts, gap })
                    .comes_to([503, 200]),
            )
            .sees(twice(&RequestSeen::new("PUT", "/").body("first second"))),
        scenario("again-after-a-reset", &["R-C-3", "R-D-3"], "also where the connection broke")
            .origin(Script::requests(vec![vec![Step::Reset], reply(&ok())]))
            .call(Call::put("/", "the body").then(FailureKind::Reset).then(200))
            .sees(twice(&RequestSeen::new("PUT", "/").body("the body"))),
    ]
}

/// R-D-5: a one-shot stream is never sent again once any of it was pulled.
fn once() -> Vec<Scenario> {
    let stream = || {
        let (pieces, gap) = pieces(Duration::ZERO);
        Payload::Once { pieces, gap }
    };
    vec![
        scenario("one-shot", &["R-C-3", "R-D-5"], "a one-shot stream is sent")
            .origin(Script::replies([ok()]))
            .call(Call::put("/", "").payload(stream()).comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::new("PUT", "/").body("first second")],
            }),
        scenario("one-shot-pulled", &["R-D-5", "R-D-9"], "what was pulled is not sent again")
            .origin(Script::replies([status(503)]))
            .call(Call::put("/", "").payload(stream()).comes_to([503]).gives_up(Reason::BodySpent))
            .sees_requests(1),
        scenario("one-shot-pulled-and-reset", &["R-D-5"], "nor where the connection broke")
            .origin(Script::requests(vec![vec![Step::Reset]]))
            .call(
                Call::put("/", "")
                    .payload(stream())
                    .comes_to([FailureKind::Reset])
                    .gives_up(Reason::BodySpent),
            )
            .sees_requests(1),
        scenario("one-shot-not-pulled", &["R-D-5"], "what was not pulled is whole still")
            .origin(Script::refused())
            .call(
                Call::put("/", "")
                    .payload(stream())
                    .max_attempts(3)
                    .comes_to([(FailureKind::Connect, Delivery::Unsent); 3])
                    .gives_up(Reason::AttemptsExhausted),
            ),
    ]
}

/// How a request is framed.
fn framing() -> Vec<Scenario> {
    let empty = |method: Method, name: &'static str, request: RequestSeen| {
        scenario(&format!("empty-{name}"), &["R-C-13"], "framing is as RFC 9110 8.6 has it")
            .origin(Script::replies([ok()]))
            .call(Call::new(method, "/").comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![request.without("transfer-encoding")],
            })
    };
    vec![
        empty(Method::GET, "get", RequestSeen::get("/").without("content-length")),
        empty(Method::DELETE, "delete", RequestSeen::new("DELETE", "/")),
        empty(Method::POST, "post", RequestSeen::new("POST", "/").header("content-length", "0")),
        empty(Method::PUT, "put", RequestSeen::new("PUT", "/").header("content-length", "0")),
        scenario("three-megabytes-up", &["R-C-3"], "a large body arrives whole")
            .origin(Script::replies([ok()]))
            .call(Call::post("/", vec![b'm'; 3_000_000]).comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::new("POST", "/").body(vec![b'm'; 3_000_000])],
            }),
    ]
}

fn sized(pieces: &[&str], length: u64) -> Payload {
    let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    Payload::Sized { pieces, length }
}

/// A stream that is not as long as was said.
fn wrong(name: &str, pieces: &[&str], length: u64) -> Scenario {
    let silent = vec![Step::ReadHead, await_close()];
    scenario(name, &["R-C-3"], "a stream of another length than was said ends its call")
        .origin(Script::connections(vec![]).otherwise(silent))
        .call(
            Call::put("/", "")
                .payload(sized(pieces, length))
                .comes_to([FailureKind::InvalidRequest])
                .ends(End::Error(vec![FailureKind::InvalidRequest])),
        )
}

/// How a stream is framed: in chunks, unless its length is said.
fn streams() -> Vec<Scenario> {
    let chunked = |name, title, method: &'static str| {
        let (pieces, gap) = pieces(Duration::ZERO);
        let request = RequestSeen::new(method, "/").header("transfer-encoding", "chunked");
        let request = request.without("content-length").body("first second");
        let method = method.parse().unwrap_or_default();
        scenario(name, &["R-C-3"], title)
            .origin(Script::replies([ok()]))
            .call(
                Call::new(method, "/").payload(Payload::Replayable { pieces, gap }).comes_to([200]),
            )
            .sees(Sighting::Requests { origin: 0, requests: vec![request] })
    };
    vec![
        chunked("stream-is-chunked", "a stream of no known length goes in chunks", "PUT"),
        chunked("stream-of-a-get", "whatever the method", "GET"),
        scenario("stream-of-a-length", &["R-C-3"], "a stream of known length is sent with that")
            .origin(Script::replies([ok()]))
            .call(Call::put("/", "").payload(sized(&["first ", "second"], 12)).comes_to([200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![
                    RequestSeen::new("PUT", "/")
                        .header("content-length", "12")
                        .body("first second"),
                ],
            }),
        scenario("stream-of-nothing", &["R-C-3", "R-P-7"], "is no body, and costs no connection")
            .origin(Script::replies([ok(), ok()]))
            .call(Call::put("/", "").payload(sized(&[], 0)).comes_to([200]))
            .call(Call::put("/", "").payload(sized(&["", ""], 0)).comes_to([200]))
            .sees(twice(
                &RequestSeen::new("PUT", "/")
                    .header("content-length", "0")
                    .without("transfer-encoding"),
            ))
            .sees_connections(1),
        wrong("longer-than-nothing", &["seven"], 0).sees_requests(0),
        wrong("longer-than-said", &["first ", "second"], 11),
        wrong("shorter-than-said", &["first ", "second"], 13),
    ]
}

/// How a response is framed, and what comes of it.
fn answers() -> Vec<Scenario> {
    let answer = |name: &str, title: &str, steps: Vec<Step>, body: &str| {
        scenario(name, &["R-C-4"], title)
            .origin(Script::requests(vec![steps]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, body)))
    };
    let chunks = |text: &str| {
        let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
        vec![Step::Write(format!("{head}{text}").into_bytes())]
    };
    let large = b"0123456789abcdef".repeat(128 * 1024);
    vec![
        answer("answer-of-a-length", "a body of a length", reply(&ok()), "ok"),
        answer("answer-in-chunks", "a chunked body", vec![ok().chunked(1).step()], "ok"),
        answer(
            "answer-with-extensions",
            "chunk extensions are passed over",
            chunks("2;name=value\r\nok\r\n0\r\n\r\n"),
            "ok",
        ),
        answer(
            "answer-with-trailers",
            "trailers are passed over",
            chunks("2\r\nok\r\n0\r\nx-checksum: 1\r\n\r\n"),
            "ok",
        ),
        answer(
            "answer-until-the-end",
            "without a length, the body ends with the connection",
            vec![
                Step::Write(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nok".to_vec()),
                Step::Close,
            ],
            "ok",
        ),
        answer(
            "answer-of-http-1.0",
            "an HTTP/1.0 server is understood",
            vec![Step::Write(b"HTTP/1.0 200 OK\r\n\r\nok".to_vec()), Step::Close],
            "ok",
        ),
        answer(
            "answer-after-interim-ones",
            "interim responses are passed over",
            vec![
                Step::Write(b"HTTP/1.1 100 Continue\r\n\r\n".to_vec()),
                Step::Write(b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".to_vec()),
                ok().step(),
            ],
            "ok",
        ),
        scenario("answer-of-two-megabytes", &["R-C-4"], "a large body comes whole")
            .origin(Script::replies([Reply::status(200).body(large.clone())]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, large))),
        scenario("answer-before-the-request-ends", &["R-C-4"], "a server may answer as it reads")
            .origin(Script::connections(vec![vec![
                Step::ReadHead,
                Step::Write(b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nab".to_vec()),
                Step::ReadBody,
                Step::Write(b"cd".to_vec()),
            ]]))
            .call(
                // More than the system takes of it at once.
                Call::put("/", vec![b'x'; 20_000_000]).comes_to([200]).ends(End::with(200, "abcd")),
            ),
        scenario("answer-too-large", &["R-C-4", "R-D-3"], "beyond the limit is a final error")
            .origin(Script::requests(vec![vec![Reply::status(200).body("12345").step()]]))
            .setup(|setup| Setup { max_response_bytes: Some(4), ..setup })
            .call(Call::get("/").comes_to([(FailureKind::ResponseTooLarge, Delivery::Answered)]))
            .sees_requests(1),
        scenario("answer-at-the-limit", &["R-C-4"], "the limit itself is not beyond it")
            .origin(Script::replies([Reply::status(200).body("1234")]))
            .setup(|setup| Setup { max_response_bytes: Some(4), ..setup })
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "1234"))),
        scenario("compressed-is-left-alone", &["R-C-13"], "nothing is decompressed")
            .origin(Script::replies([ok().header("content-encoding", "gzip")]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "ok")))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::get("/").without("accept-encoding")],
            }),
        scenario("streamed", &["R-C-4", "R-D-8"], "a body can be read as it comes")
            .origin(Script::requests(vec![vec![ok().slowly(10, millis(20))]]))
            .call(Call::get("/").streaming().comes_to([200]).ends(End::with(200, "ok"))),
    ]
}

/// R-D-8: for a buffered caller the body is part of the attempt.
fn part_of_the_attempt() -> Vec<Scenario> {
    let cut = |code: u16| {
        let half = Reply::status(code).header("content-length", "9").body("half").raw();
        vec![half.step(), Step::Close]
    };
    vec![
        scenario("cut-and-retried", &["R-D-8", "R-X-4"], "a body that is cut off is retried")
            .origin(Script::requests(vec![cut(200), reply(&ok())]))
            .call(Call::get("/").then((FailureKind::Truncated, Delivery::Answered)).then(200)),
        scenario("cut-for-a-post", &["R-D-8", "R-X-6"], "but not where the request is a POST")
            .origin(Script::requests(vec![cut(200)]))
            .call(
                Call::post("/", "x")
                    .comes_to([(FailureKind::Truncated, Delivery::Answered)])
                    .gives_up(Reason::NotRepeatable),
            )
            .sees_requests(1),
        scenario("cut-while-streaming", &["R-D-8", "R-X-4"], "nor where the caller streams it")
            .origin(Script::requests(vec![cut(200)]))
            .call(
                Call::get("/")
                    .streaming()
                    .comes_to([200])
                    .ends(End::Body(vec![FailureKind::Truncated])),
            )
            .sees_requests(1),
        scenario("cut-of-a-503", &["R-D-8"], "a status that is retried counts without its body")
            .origin(Script::requests(vec![cut(503), reply(&ok())]))
            .call(Call::get("/").comes_to([503, 200])),
        scenario("cut-of-a-503-with-hint", &["R-D-8", "R-RA-1"], "and so does its hint")
            .origin(Script::requests(vec![
                vec![
                    Reply::status(503)
                        .header("retry-after", "1")
                        .header("content-length", "9")
                        .body("half")
                        .raw()
                        .step(),
                    Step::Close,
                ],
                reply(&ok()),
            ]))
            .call(Call::get("/").comes_to([503, 200]).waits([crate::Waited::hinted(seconds(1))])),
        scenario("cut-of-the-last-503", &["R-D-8", "R-C-4"], "the last one is handed over in part")
            .origin(Script::requests(vec![cut(503)]))
            .call(
                Call::get("/")
                    .max_attempts(1)
                    .comes_to([503])
                    .gives_up(Reason::AttemptsExhausted)
                    .ends(End::Response {
                        status: 503,
                        body: Some(b"half".to_vec()),
                        complete: Some(false),
                    }),
            ),
    ]
}

/// R-P-10: a response that will be retried is drained, or its connection closed, before the wait.
fn drained() -> Vec<Scenario> {
    let hinted =
        |setup| Setup { hints: redial_engine::HintRules::DEFAULT.retry_after_ms(true), ..setup };
    let stalled = || {
        vec![
            Reply::status(503)
                .header("retry-after-ms", "900")
                .header("content-length", "9")
                .body("half")
                .raw()
                .step(),
            await_close(),
        ]
    };
    vec![
        scenario("drained-and-used-again", &["R-P-10"], "a short one frees its connection for use")
            .origin(Script::replies([status(503), ok()]))
            .call(Call::get("/").then(503).then(crate::Attempted::from(200).reused(true)))
            .sees_connections(1),
        scenario("too-long-to-drain", &["R-P-10"], "a long one has its connection closed")
            .origin(Script::connections(vec![
                vec![
                    Step::ReadRequest,
                    Step::Write(
                        Reply::status(503).header("content-length", "9000000").raw().head(),
                    ),
                    Step::Flood { bytes: vec![b'x'; 4096], at_most: 9_000_000 },
                    await_close(),
                ],
                vec![Step::ReadRequest, ok().step()],
            ]))
            .call(Call::get("/").then(503).then(crate::Attempted::from(200).reused(false)))
            .sees_connections(2),
        scenario("too-slow-to-drain", &["R-P-10"], "nobody waits for one that does not come")
            .origin(Script::requests(vec![stalled(), reply(&ok())]))
            .setup(|setup| hinted(setup).timeouts(|timeouts| timeouts.read = seconds(10)))
            .call(
                Call::get("/")
                    .comes_to([503, 200])
                    .waits([crate::Waited::hinted(millis(900))])
                    .takes(millis(900), seconds(6)),
            )
            .sees_connections(2),
        scenario(
            "no-slot-while-it-sleeps",
            &["R-P-10", "R-P-1"],
            "no slot is held while a call sleeps",
        )
        .origin(Script::requests(vec![stalled(), reply(&ok()), reply(&ok())]))
        .setup(|setup| {
            let mut setup = hinted(setup).timeouts(|timeouts| {
                timeouts.read = seconds(10);
                timeouts.pool = millis(500);
            });
            setup.pool.max_connections = 1;
            setup
        })
        .together([
            Call::get("/sleeps").comes_to([503, 200]).waits([crate::Waited::hinted(millis(900))]),
            Call::get("/passes").after(millis(300)).max_attempts(1).comes_to([200]),
        ])
        .sees(Sighting::Requests {
            origin: 0,
            requests: ["/sleeps", "/passes", "/sleeps"].map(RequestSeen::get).to_vec(),
        }),
    ]
}
