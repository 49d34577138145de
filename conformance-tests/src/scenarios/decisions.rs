//! Whether a request is sent again.

use http::Method;
use redial_engine::{FailureKind, Reason, Replay, ReplayRules};

use super::{ok, reply, status};
use crate::{Call, End, RequestSeen, Scenario, Script, Sighting, Step};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [statuses(), attempts(), methods(), tables()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("decisions/{}", name.as_ref()), requirements, title)
}

/// R-D-2: which statuses are retried.
fn statuses() -> Vec<Scenario> {
    let retried = [408, 429, 500, 502, 503, 504].map(|code| {
        scenario(format!("status-{code}-retried"), &["R-D-2"], "the status is retried")
            .origin(Script::replies([status(code), ok()]))
            .call(Call::get("/").comes_to([code, 200]).ends(End::with(200, "ok")))
    });
    let codes = [201, 204, 301, 302, 304, 307, 400, 401, 403, 404, 409, 413, 421, 425, 501, 505];
    let finals = codes.map(|code| {
        scenario(format!("status-{code}-final"), &["R-D-2"], "the status is final")
            .origin(Script::replies([match code {
                204 | 304 => crate::Reply::status(code),
                301 | 302 | 307 => status(code).header("location", "/elsewhere"),
                _ => status(code),
            }]))
            .call(Call::get("/").comes_to([code]))
    });
    let interim = scenario("status-104-is-interim", &["R-D-2"], "104 and the end is cut off")
        .origin(Script::requests(vec![
            vec![
                Step::Write(b"HTTP/1.1 104 Upload Resumption Supported\r\n\r\n".to_vec()),
                Step::Close,
            ],
            reply(&ok()),
        ]))
        .call(Call::get("/").then(FailureKind::Truncated).then(200));
    retried.into_iter().chain(finals).chain([interim]).collect()
}

/// R-D-1: how many attempts there are.
fn attempts() -> Vec<Scenario> {
    let failing = || Script::replies([503; 5].map(status));
    vec![
        scenario("five-attempts", &["R-D-1", "R-D-9", "R-C-4"], "five attempts, and no sixth")
            .origin(failing())
            .call(Call::get("/").comes_to([503; 5]).gives_up(Reason::AttemptsExhausted))
            .sees_requests(5),
        scenario("one-attempt", &["R-D-1", "R-D-9"], "one attempt switches retries off")
            .origin(Script::replies([status(503)]))
            .setup(|setup| setup.policy(|policy| policy.max_attempts(1)))
            .call(Call::get("/").comes_to([503]).gives_up(Reason::AttemptsExhausted)),
        scenario("attempts-of-a-call", &["R-D-1", "R-C-12"], "a call has its own limit")
            .origin(Script::replies([503; 2].map(status)))
            .call(
                Call::get("/")
                    .max_attempts(2)
                    .comes_to([503; 2])
                    .gives_up(Reason::AttemptsExhausted),
            ),
        scenario("reason-of-a-post", &["R-D-9", "R-D-4"], "of two reasons, the first is given")
            .origin(Script::replies([status(503)]))
            .call(
                Call::post("/", "x")
                    .max_attempts(1)
                    .comes_to([503])
                    .gives_up(Reason::NotRepeatable),
            ),
        scenario(
            "reason-of-the-last",
            &["R-D-9", "R-RA-6"],
            "no attempt left is before a long hint",
        )
        .origin(Script::replies([status(503).header("retry-after", "3600")]))
        .call(Call::get("/").max_attempts(1).comes_to([503]).gives_up(Reason::AttemptsExhausted)),
        scenario("last-attempt-succeeds", &["R-D-1"], "the last attempt counts as any other")
            .origin(Script::replies([503, 503, 503, 503].map(status).into_iter().chain([ok()])))
            .call(Call::get("/").comes_to([503, 503, 503, 503, 200])),
        scenario(
            "last-response-is-handed-over",
            &["R-C-4", "R-D-9"],
            "a call that gives up hands over its last response rather than a later error",
        )
        .origin(Script::requests(vec![reply(&status(503)), vec![Step::Reset]]))
        .call(
            Call::get("/")
                .max_attempts(2)
                .then(503)
                .then(FailureKind::Reset)
                .gives_up(Reason::AttemptsExhausted)
                .ends(End::status(503)),
        ),
    ]
}

/// R-D-4: which methods are repeated.
fn methods() -> Vec<Scenario> {
    let free = ["GET", "OPTIONS", "TRACE", "QUERY", "PUT", "DELETE"].map(|name| {
        let lower = name.to_ascii_lowercase();
        scenario(format!("method-{lower}-repeated"), &["R-D-4"], "the method may be repeated")
            .origin(Script::replies([status(503), ok()]))
            .call(Call::new(method(name), "/").comes_to([503, 200]))
            .sees(Sighting::Requests {
                origin: 0,
                requests: vec![RequestSeen::new(name, "/"), RequestSeen::new(name, "/")],
            })
    });
    let head = scenario("method-head-repeated", &["R-D-4"], "the method may be repeated")
        .origin(Script::replies(
            [503, 200].map(|code| crate::Reply::status(code).header("content-length", "9").raw()),
        ))
        .call(Call::new(Method::HEAD, "/").comes_to([503, 200]).ends(End::with(200, "")));
    let never = ["POST", "PATCH", "PURGE"].map(|name| {
        let lower = name.to_ascii_lowercase();
        scenario(format!("method-{lower}-not-repeated"), &["R-D-4", "R-D-9"], "never by default")
            .origin(Script::replies([status(503)]))
            .call(
                Call::new(method(name), "/")
                    .body("x")
                    .comes_to([503])
                    .gives_up(Reason::NotRepeatable),
            )
            .sees_requests(1)
    });
    let opt_in = [
        scenario("post-marked-idempotent", &["R-D-4", "R-C-12"], "a request marked so is repeated")
            .origin(Script::replies([status(503), ok()]))
            .call(Call::post("/", "x").replay(Replay::Freely).comes_to([503, 200])),
        scenario("post-if-unsent-refused", &["R-D-4"], "a refused connection is proof enough")
            .origin(Script::refused())
            .call(
                Call::post("/", "x")
                    .replay(Replay::IfUnsent)
                    .max_attempts(2)
                    .comes_to([FailureKind::Connect; 2])
                    .gives_up(Reason::AttemptsExhausted),
            ),
        scenario("post-if-unsent-reset", &["R-D-4", "R-X-6"], "a reset after the request is none")
            .origin(Script::requests(vec![vec![Step::Reset]]))
            .call(
                Call::post("/", "x")
                    .replay(Replay::IfUnsent)
                    .comes_to([FailureKind::Reset])
                    .gives_up(Reason::NotRepeatable),
            ),
        scenario("post-with-key-is-no-opt-in", &["R-D-4"], "a key alone is no opt-in by default")
            .origin(Script::replies([status(503)]))
            .call(
                Call::post("/", "x")
                    .header("idempotency-key", "abc")
                    .comes_to([503])
                    .gives_up(Reason::NotRepeatable),
            ),
        scenario("post-with-key-by-rule", &["R-D-4", "R-D-6"], "by a rule, a key makes it so")
            .origin(Script::replies([status(503), ok()]))
            .setup(|setup| crate::Setup {
                replay: ReplayRules::default().idempotency_key(true),
                ..setup
            })
            .call(Call::post("/", "x").header("idempotency-key", "abc").comes_to([503, 200])),
        scenario("put-marked-never", &["R-D-4", "R-C-12"], "a request marked so is not repeated")
            .origin(Script::replies([status(503)]))
            .call(
                Call::put("/", "x")
                    .replay(Replay::Never)
                    .comes_to([503])
                    .gives_up(Reason::NotRepeatable),
            ),
    ];
    free.into_iter().chain([head]).chain(never).chain(opt_in).collect()
}

/// R-D-6: the tables are data.
fn tables() -> Vec<Scenario> {
    vec![
        scenario("table-with-418", &["R-D-6"], "a status that a user adds is retried")
            .origin(Script::replies([status(418), ok()]))
            .setup(|setup| setup.policy(|policy| policy.retry_status(418)))
            .call(Call::get("/").comes_to([418, 200])),
        scenario("table-without-503", &["R-D-6"], "a status that a user removes is final")
            .origin(Script::replies([status(503)]))
            .setup(|setup| setup.policy(|policy| policy.never_retry_status(503)))
            .call(Call::get("/").comes_to([503])),
        scenario("table-without-reset", &["R-D-6"], "a failure that a user removes is final")
            .origin(Script::requests(vec![vec![Step::Reset]]))
            .setup(|setup| setup.policy(|policy| policy.never_retry_failure(FailureKind::Reset)))
            .call(Call::get("/").comes_to([FailureKind::Reset])),
        scenario("rule-for-patch", &["R-D-6", "R-D-4"], "a method that a user adds is repeated")
            .origin(Script::replies([status(503), ok()]))
            .setup(|setup| crate::Setup {
                replay: ReplayRules::default().repeat(Method::PATCH),
                ..setup
            })
            .call(Call::new(Method::PATCH, "/").body("x").comes_to([503, 200])),
        scenario("rule-against-put", &["R-D-6", "R-D-4"], "a method that a user removes is not")
            .origin(Script::replies([status(503)]))
            .setup(|setup| crate::Setup {
                replay: ReplayRules::default().never_repeat(&Method::PUT),
                ..setup
            })
            .call(Call::put("/", "x").comes_to([503]).gives_up(Reason::NotRepeatable)),
    ]
}

/// A method by its name; a name that is none would be caught by the scenario's own expectation.
fn method(name: &str) -> Method {
    name.parse().unwrap_or(Method::GET)
}
