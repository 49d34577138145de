//! Connections: how many there are, who gets them, and when they close.

use core::time::Duration;

use redial_client::PoolLimits;
use redial_engine::FailureKind;

use super::{await_close, millis, ok, seconds, status};
use crate::{
    Act, Attempted, Call, Count, End, Reply, RequestSeen, Scenario, Script, Setup, Sighting, Step,
};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [reuse(), limits(), presets(), turns(), endings(), stale()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: &str, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("pool/{name}"), requirements, title)
}

fn fresh(status: u16) -> Attempted {
    Attempted::from(status).reused(false)
}

fn reused(status: u16) -> Attempted {
    Attempted::from(status).reused(true)
}

fn limited(connections: usize, idle: usize) -> impl Fn(Setup) -> Setup {
    move |mut setup| {
        setup.pool.max_connections = connections;
        setup.pool.max_keepalive_connections = idle;
        setup.timeouts(|timeouts| timeouts.pool = seconds(10))
    }
}

/// R-P-7, R-P-8: which connection serves again.
fn reuse() -> Vec<Scenario> {
    let closing = |name: &str, title: &str, first: Vec<Step>| {
        scenario(name, &["R-P-8"], title)
            .origin(Script::connections(vec![
                [vec![Step::ReadRequest], first].concat(),
                vec![Step::ReadRequest, ok().step()],
            ]))
            .call(Call::get("/").then(fresh(200)))
            .call(Call::get("/").then(fresh(200)))
            .sees_connections(2)
    };
    vec![
        scenario("one-after-the-other", &["R-P-7"], "sequential calls use one connection")
            .origin(Script::replies([ok(), ok(), ok()]))
            .call(Call::get("/").then(fresh(200)))
            .call(Call::get("/").then(reused(200)))
            .call(Call::get("/").then(reused(200)))
            .sees_connections(1),
        scenario("after-an-error-status", &["R-P-7"], "whatever their status")
            .origin(Script::replies([status(404), ok()]))
            .call(Call::get("/").then(fresh(404)))
            .call(Call::get("/").then(reused(200)))
            .sees_connections(1),
        scenario("after-a-chunked-body", &["R-P-7"], "and their framing")
            .origin(Script::replies([ok().chunked(1), Reply::status(204), ok()]))
            .call(Call::get("/").then(fresh(200)))
            .call(Call::get("/").then(reused(204)))
            .call(Call::get("/").then(reused(200)))
            .sees_connections(1),
        scenario("after-a-head-request", &["R-P-7"], "HEAD has no body, whatever the length says")
            .origin(Script::replies([Reply::status(200).header("content-length", "9").raw(), ok()]))
            .call(Call::new(http::Method::HEAD, "/").then(fresh(200)))
            .call(Call::get("/").then(reused(200)).ends(End::with(200, "ok")))
            .sees_connections(1),
        closing(
            "connection-close",
            "a server that says close is not asked again over that connection",
            vec![ok().header("connection", "close").step(), Step::Close],
        ),
        scenario(
            "close-said-by-the-caller",
            &["R-P-8"],
            "nor is one over which the request says close (RFC 9112 9.6)",
        )
        .origin(Script::replies([ok(), ok(), ok()]))
        .call(Call::get("/").header("connection", "close").then(fresh(200)))
        .call(Call::get("/").header("connection", "x, Close").then(fresh(200)))
        .call(Call::get("/").then(fresh(200)))
        .sees_connections(3),
        closing(
            "bytes-beyond-the-body",
            "a connection with bytes beyond the body is out of step",
            vec![
                Step::Write([ok().bytes(), b"HTTP/1.1 500 Not Yours\r\n\r\n".to_vec()].concat()),
                await_close(),
            ],
        ),
        scenario("body-left-unread", &["R-P-8"], "one with a body that nobody read is closed")
            .origin(Script::connections(vec![
                vec![
                    Step::ReadRequest,
                    Step::Write(
                        Reply::status(200).header("content-length", "9000000").raw().head(),
                    ),
                    Step::Flood { bytes: vec![b'x'; 4096], at_most: 9_000_000 },
                    await_close(),
                ],
                vec![Step::ReadRequest, ok().step()],
            ]))
            .call(Call::get("/").dropping_the_body().then(fresh(200)))
            .call(Call::get("/").then(fresh(200)))
            .sees_connections(2),
    ]
}

/// R-P-1 to R-P-4: how many there are.
fn limits() -> Vec<Scenario> {
    let slow = || vec![Step::Pause(millis(60)), ok().step()];
    let many =
        |count: usize| (0..count).map(|number| Call::get(format!("/{number}")).comes_to([200]));
    vec![
        scenario(
            "at-most-two",
            &["R-P-1", "R-P-5"],
            "the limit is not exceeded, not for an instant",
        )
        .origin(Script::requests(vec![slow(); 10]))
        .setup(limited(2, 2))
        .together(many(10))
        .sees(Sighting::PeakOpen { origin: 0, most: 2 })
        .sees(Sighting::Connections { origin: 0, count: Count::AtMost(2) }),
        scenario("at-most-two-over-all-origins", &["R-P-1"], "it is over all origins together")
            .origin(Script::requests(vec![slow(); 3]))
            .origin(Script::requests(vec![slow(); 3]))
            .setup(limited(1, 1))
            .together((0..6).map(|number| {
                let url = crate::Url::Of(number % 2, "/".into());
                Call::get("/").to(url).comes_to([200])
            }))
            .act(Act::Figures { open: 1, in_use: 0, waiting: 0 }),
        scenario("surplus-idle-closes", &["R-P-2"], "more idle ones than allowed are closed")
            .origin(Script::requests(vec![slow(); 4]))
            .setup(limited(4, 1))
            .together(many(4))
            .act(Act::Figures { open: 1, in_use: 0, waiting: 0 }),
        scenario("none-kept", &["R-P-2"], "with a limit of none, no connection is kept")
            .origin(Script::replies([ok(), ok()]))
            .setup(limited(4, 0))
            .call(Call::get("/").then(fresh(200)))
            .call(Call::get("/").then(fresh(200)))
            .sees_connections(2)
            .sees(Sighting::AllClosed { within: seconds(2) }),
        scenario("expires", &["R-P-3"], "an idle connection closes without another request")
            .origin(Script::replies([ok()]))
            .setup(|mut setup| {
                setup.pool.keepalive_expiry = Some(millis(150));
                setup
            })
            .call(Call::get("/").comes_to([200]))
            .sees(Sighting::AllClosed { within: seconds(2) }),
        scenario("expired-is-not-used", &["R-P-3"], "one that is idle for too long is not used")
            .origin(Script::replies([ok(), ok()]))
            .setup(|mut setup| {
                setup.pool.keepalive_expiry = Some(millis(100));
                setup
            })
            .call(Call::get("/").then(fresh(200)))
            .act(Act::Rest(millis(700)))
            .call(Call::get("/").then(fresh(200)))
            .sees_connections(2),
        scenario("idle-makes-room", &["R-P-4"], "an idle one of another origin is evicted at once")
            .origin(Script::replies([ok()]))
            .origin(Script::replies([ok()]))
            .setup(limited(1, 1))
            .call(Call::get("/").comes_to([200]))
            .call(
                Call::get("/")
                    .to(crate::Url::Of(1, "/".into()))
                    .comes_to([200])
                    .takes(Duration::ZERO, seconds(5)),
            )
            .act(Act::Figures { open: 1, in_use: 0, waiting: 0 }),
    ]
}

/// R-C-11, R-P-9: the presets, and the figures.
fn presets() -> Vec<Scenario> {
    let preset = |name: &str, limits: PoolLimits, calls: usize, connections: usize, idle| {
        let within = seconds(20);
        let full = vec![
            Step::AwaitRequests { count: connections, within },
            // One that is too many has time to come.
            Step::Pause(millis(250)),
            ok().step(),
        ];
        scenario(name, &["R-C-11", "R-P-1", "R-P-2"], "the preset has these limits")
            .origin(Script::requests(vec![full; calls]))
            .setup(move |setup| {
                let setup = Setup { pool: limits, ..setup };
                setup.timeouts(|timeouts| (timeouts.pool, timeouts.read) = (within, within))
            })
            .together((0..calls).map(|_| Call::get("/").comes_to([200])))
            .act(Act::Figures { open: idle, in_use: 0, waiting: 0 })
            .sees(Sighting::PeakOpen { origin: 0, most: connections })
            .sees(Sighting::Connections { origin: 0, count: Count::AtLeast(connections) })
    };
    vec![
        preset("preset-memory-constrained", PoolLimits::MEMORY_CONSTRAINED, 14, 10, 5),
        preset("preset-default", PoolLimits::DEFAULT, 60, 50, 20),
        preset("preset-high-concurrency", PoolLimits::HIGH_CONCURRENCY, 60, 60, 60)
            .sees_connections(60),
        scenario("figures", &["R-P-9"], "what was opened and what was used again is counted")
            .origin(Script::replies([ok(), ok(), ok().header("connection", "close"), ok()]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .act(Act::Totals { opened: 2, reused: 2 })
            .act(Act::Figures { open: 1, in_use: 0, waiting: 0 }),
    ]
}

/// R-P-5: who comes first is served first.
fn turns() -> Vec<Scenario> {
    let queue = ["/first", "/second", "/third", "/fourth"];
    let [first, rest @ ..] = queue;
    let holds = Call::get(first).kept_until(rest.len()).comes_to([200]);
    let waits = rest.iter().zip(0..);
    let waits = waits.map(|(target, place)| Call::get(*target).behind(place).comes_to([200]));
    vec![
        scenario("first-come-first-served", &["R-P-5"], "waiting requests are served in turn")
            .origin(Script::replies(queue.map(|_| ok())))
            .setup(limited(1, 1))
            .together([holds].into_iter().chain(waits))
            .sees(Sighting::Requests {
                origin: 0,
                requests: queue.iter().map(|target| RequestSeen::get(*target)).collect(),
            }),
    ]
}

/// R-C-6: how a client ends.
fn endings() -> Vec<Scenario> {
    vec![
        scenario("drop-closes", &["R-C-6"], "dropping the client closes every connection")
            .origin(Script::replies([ok()]))
            .call(Call::get("/").comes_to([200]))
            .sees(Sighting::AllClosedAfterDrop { within: seconds(2) }),
        scenario("close-closes", &["R-C-6"], "closing it does, and refuses what comes after")
            .origin(Script::replies([ok()]))
            .call(Call::get("/").comes_to([200]))
            .act(Act::Close)
            .act(Act::Close)
            .call(Call::get("/").ends(End::error(FailureKind::ClientClosed)))
            .sees_requests(1)
            .sees(Sighting::AllClosed { within: seconds(2) }),
    ]
}

/// R-D-7: a connection that died in the pool costs nothing but another one.
fn stale() -> Vec<Scenario> {
    let dies = |steps: Vec<Step>| {
        Script::connections(vec![
            [vec![Step::ReadRequest, ok().step()], steps].concat(),
            vec![Step::ReadRequest, ok().step()],
        ])
    };
    let row = |name: &str, steps: Vec<Step>, second: Call| {
        scenario(name, &["R-D-7"], "an idle connection that died unused is replaced, at no cost")
            .origin(dies(steps))
            .setup(|setup| setup.policy(|policy| policy.max_attempts(1)))
            .call(Call::get("/").comes_to([200]))
            .act(Act::Rest(millis(200)))
            .call(second.somehow(End::with(200, "ok")))
            .sees_requests(2)
    };
    vec![
        row("stale-closed", vec![Step::Close], Call::get("/")),
        row("stale-closed-for-a-post", vec![Step::Close], Call::post("/", "x")),
        row("stale-reset", vec![Step::Reset], Call::get("/")),
        row("stale-reset-for-a-post", vec![Step::Reset], Call::post("/", "x")),
        scenario("stale-beside-others", &["R-D-7"], "nor is one that died while others are busy")
            .origin(Script::connections(vec![
                vec![Step::ReadRequest, Step::Pause(millis(600)), ok().step()],
                vec![Step::ReadRequest, ok().step(), Step::Close],
                vec![Step::ReadRequest, ok().step()],
            ]))
            .setup(|setup| setup.policy(|policy| policy.max_attempts(1)))
            .together([
                Call::get("/slow").comes_to([200]),
                Call::get("/").after(millis(60)).comes_to([200]),
                Call::post("/", "x").after(millis(200)).somehow(End::with(200, "ok")),
            ])
            .sees_requests(3),
        scenario("always-closed-at-once", &["R-X-7", "R-D-1"], "no hidden loop below the engine")
            .origin(Script::connections(vec![]).otherwise(vec![Step::ReadHead, Step::Close]))
            .call(
                Call::get("/")
                    .comes_to([FailureKind::Closed; 5])
                    .gives_up(redial_engine::Reason::AttemptsExhausted),
            )
            .sees_connections(5),
        scenario("served-once-then-always-closed", &["R-X-7", "R-D-7"], "nor on a reused one")
            .origin(
                Script::connections(vec![vec![
                    Step::ReadRequest,
                    ok().step(),
                    Step::ReadRequest,
                    Step::Close,
                ]])
                .otherwise(vec![Step::ReadHead, Step::Close]),
            )
            .call(Call::get("/").comes_to([200]))
            .call(
                Call::get("/")
                    .then(Attempted::from(FailureKind::Closed).reused(true))
                    .then(FailureKind::Closed)
                    .then(FailureKind::Closed)
                    .then(FailureKind::Closed)
                    .then(FailureKind::Closed)
                    .gives_up(redial_engine::Reason::AttemptsExhausted),
            )
            .sees_requests(6),
        scenario(
            "several-idle-and-all-stale",
            &["R-D-7"],
            "one dead connection is enough of a try",
        )
        .origin(Script::connections(vec![
            vec![Step::ReadRequest, Step::Pause(millis(80)), ok().step(), Step::Close],
            vec![Step::ReadRequest, Step::Pause(millis(80)), ok().step(), Step::Close],
            vec![Step::ReadRequest, ok().step()],
        ]))
        .setup(|setup| setup.policy(|policy| policy.max_attempts(1)))
        .together([Call::get("/").comes_to([200]), Call::get("/").comes_to([200])])
        .act(Act::Rest(millis(200)))
        .call(Call::post("/", "x").somehow(End::with(200, "ok")))
        .sees_requests(3),
    ]
}
