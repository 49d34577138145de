//! Silences: while connecting, reading, writing, and waiting for a slot.

use redial_engine::{Delivery, FailureKind, Reason};

use super::{await_close, millis, ok, reply, seconds};
use crate::{
    Call, End, Payload, QUICK_TIMEOUT, Reply, RequestSeen, Scenario, Script, Sighting, Step,
};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [reading(), writing(), slots()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: &str, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("timeouts/{name}"), requirements, title)
}

/// More than the buffers of both kernels hold.
const LARGE: usize = 16 * 1024 * 1024;

/// R-T-2: the longest silence, head or body.
fn reading() -> Vec<Scenario> {
    let slow = Reply::status(200).body("slow, and yet in time");
    vec![
        scenario("read-silent", &["R-T-2", "R-D-3"], "a server that says nothing is tried again")
            .origin(Script::requests(vec![vec![await_close()], reply(&ok())]))
            .call(Call::get("/").then((FailureKind::ReadTimeout, Delivery::Unknown)).then(200)),
        scenario(
            "read-silent-after-a-fast-connect",
            &["R-T-2", "R-T-1"],
            "the time that connecting might take is none for the server to be silent",
        )
        .origin(Script::requests(vec![vec![await_close()], reply(&ok())]))
        .setup(|setup| setup.timeouts(|timeouts| timeouts.connect = seconds(30)))
        .call(
            Call::get("/")
                .then((FailureKind::ReadTimeout, Delivery::Unknown))
                .then(200)
                .takes(QUICK_TIMEOUT, QUICK_TIMEOUT * 6),
        ),
        scenario("read-stalled-body", &["R-T-2", "R-D-8"], "so is one that stops in the body")
            .origin(Script::requests(vec![
                vec![
                    Reply::status(200).header("content-length", "9").body("half").raw().step(),
                    await_close(),
                ],
                reply(&ok()),
            ]))
            .call(Call::get("/").then((FailureKind::ReadTimeout, Delivery::Answered)).then(200)),
        scenario("read-steady-body", &["R-T-2"], "what is slow but steady never trips it")
            .origin(Script::requests(vec![vec![
                Step::Write(slow.head()),
                Step::WriteSlowly {
                    bytes: b"slow, and yet in time".to_vec(),
                    piece: 3,
                    gap: millis(150),
                },
            ]]))
            .call(Call::get("/").comes_to([200]).ends(End::with(200, "slow, and yet in time"))),
        scenario("read-steady-head", &["R-T-2"], "a head that trickles steadily neither")
            .origin(Script::requests(vec![vec![ok().slowly(6, millis(150))]]))
            .call(Call::get("/").comes_to([200])),
        scenario("read-of-a-call", &["R-T-2", "R-C-12"], "a call has its own")
            .origin(Script::requests(vec![vec![await_close()]]))
            .setup(|setup| setup.timeouts(|timeouts| timeouts.read = seconds(10)))
            .call(
                Call::get("/")
                    .read_timeout(millis(200))
                    .max_attempts(1)
                    .comes_to([FailureKind::ReadTimeout])
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(millis(200), seconds(7)),
            ),
        scenario("read-while-streaming", &["R-T-2", "R-D-8"], "it holds while a body is streamed")
            .origin(Script::requests(vec![vec![
                Reply::status(200).header("content-length", "9").body("half").raw().step(),
                await_close(),
            ]]))
            .call(
                Call::get("/")
                    .streaming()
                    .comes_to([200])
                    .ends(End::Body(vec![FailureKind::ReadTimeout])),
            )
            .sees_requests(1),
    ]
}

/// R-T-3: the longest time that the peer accepts nothing.
fn writing() -> Vec<Scenario> {
    let pieces = || vec![b"piece".to_vec(); 4];
    let body = b"piece".repeat(4);
    let slow_source = |setup: crate::Setup| {
        setup.timeouts(|timeouts| {
            timeouts.write = millis(200);
            timeouts.read = millis(200);
        })
    };
    let blocked = |setup: crate::Setup| {
        setup.timeouts(|timeouts| {
            timeouts.write = millis(600);
            timeouts.read = seconds(10);
        })
    };
    vec![
        scenario("write-blocked", &["R-T-3", "R-D-3"], "a server that accepts nothing times out")
            .origin(Script::connections(vec![vec![
                Step::Stall { at_most: seconds(10) },
                Step::CloseUnread,
            ]]))
            .setup(blocked)
            .call(
                Call::put("/", vec![b'x'; LARGE])
                    .max_attempts(1)
                    .comes_to([(FailureKind::WriteTimeout, Delivery::Unknown)])
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(millis(500), seconds(7)),
            ),
        scenario("write-slow-source", &["R-T-3", "R-T-2"], "a slow source trips no timeout")
            .origin(Script::replies([ok()]))
            .setup(slow_source)
            .call(
                Call::put("/", "")
                    .payload(Payload::Replayable { pieces: pieces(), gap: millis(350) })
                    .comes_to([200]),
            )
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::new("PUT", "/").body(body)],
            }),
        scenario("write-slow-reader", &["R-T-3"], "a server that takes it slowly trips none")
            .origin(Script::connections(vec![vec![
                Step::ReadHead,
                Step::Pause(millis(300)),
                Step::ReadBody,
                ok().step(),
            ]]))
            .call(Call::put("/", vec![b'x'; LARGE]).comes_to([200])),
        scenario("write-steady-reader", &["R-T-3"], "one that takes it steadily trips none either")
            .origin(Script::connections(vec![steady_reader(STEADY)]))
            .setup(move |setup| blocked(setup).timeouts(|timeouts| timeouts.write = seconds(1)))
            .call(Call::put("/", vec![b'x'; STEADY]).comes_to([200])),
    ]
}

/// How much a server takes that takes it steadily: more than any buffer in between.
const STEADY: usize = 4 * 1024 * 1024;

/// Takes a body of this length at a megabyte a second. A third of a send buffer, which is what a
/// system wants to be free before it tells of room, takes longer than the write timeout.
fn steady_reader(length: usize) -> Vec<Step> {
    const PIECE: usize = 64 * 1024;
    let piece = [Step::ReadBytes(PIECE), Step::Pause(millis(60))];
    let pieces = core::iter::repeat_n(piece, length / PIECE).flatten();
    [Step::ReadHead].into_iter().chain(pieces).chain([ok().step()]).collect()
}

/// R-T-4: the longest wait for a slot.
fn slots() -> Vec<Scenario> {
    let one = |setup: crate::Setup| {
        let mut setup = setup.timeouts(|timeouts| {
            timeouts.pool = millis(200);
            timeouts.read = seconds(10);
        });
        setup.pool.max_connections = 1;
        setup
    };
    let held = || Script::requests(vec![vec![Step::Pause(seconds(2)), ok().step()]]);
    vec![
        scenario("pool-full", &["R-T-4", "R-P-5", "R-D-3"], "no slot in time is a pool timeout")
            .origin(held())
            .setup(one)
            .together([
                Call::get("/").comes_to([200]),
                Call::get("/late")
                    .behind(0)
                    .max_attempts(1)
                    .comes_to([(FailureKind::PoolTimeout, Delivery::Unsent)])
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(millis(200), seconds(7)),
            ])
            .sees_requests(1),
        scenario(
            "pool-full-for-a-post",
            &["R-T-4", "R-D-4"],
            "a POST that found no slot was not sent, and is not repeated unless it may be",
        )
        .origin(held())
        .setup(one)
        .together([
            Call::get("/").comes_to([200]),
            Call::post("/late", "x")
                .behind(0)
                .comes_to([(FailureKind::PoolTimeout, Delivery::Unsent)])
                .gives_up(Reason::NotRepeatable),
        ])
        .sees_requests(1),
        scenario("pool-full-then-free", &["R-T-4", "R-D-3"], "a pool timeout is retried")
            .origin(Script::requests(vec![
                vec![Step::Pause(millis(700)), ok().step()],
                reply(&ok()),
            ]))
            .setup(move |setup| one(setup).base_wait(millis(1500)))
            .together([
                Call::get("/").comes_to([200]),
                Call::get("/late").behind(0).then(FailureKind::PoolTimeout).then(200),
            ])
            .sees_requests(2),
    ]
}
