//! What a request says: the caller's headers, the client's defaults, and nothing else.

use redial_engine::FailureKind;

use super::{ok, status};
use crate::{Call, End, HeaderSeen, Reply, RequestSeen, Scenario, Script, Setup, Sighting, Url};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [added(), defaults(), keys(), refused(), left_out()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("headers/{}", name.as_ref()), requirements, title)
}

fn sees(origin: usize, requests: impl IntoIterator<Item = RequestSeen>) -> Sighting {
    Sighting::Requests { origin, requests: requests.into_iter().collect() }
}

/// R-C-13: nothing is added but `Host`, framing and a `User-Agent`.
fn added() -> Vec<Scenario> {
    const PLAIN: &[&str] = &["host", "user-agent"];
    vec![
        scenario("nothing-is-added", &["R-C-13"], "a GET has Host and User-Agent, and no more")
            .origin(Script::replies([ok()]))
            .call(Call::get("/").comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").having(HeaderSeen::Only(PLAIN))])),
        scenario("nothing-is-added-to-a-post", &["R-C-13"], "a POST has its length beside them")
            .origin(Script::replies([ok()]))
            .call(Call::post("/", "abc").comes_to([200]))
            .sees(sees(
                0,
                [RequestSeen::new("POST", "/")
                    .having(HeaderSeen::Only(&["host", "user-agent", "content-length"]))
                    .header("content-length", "3")
                    .body("abc")],
            )),
        scenario("no-user-agent", &["R-C-13"], "the User-Agent can be left out")
            .origin(Script::replies([ok()]))
            .setup(|setup| Setup { user_agent: Some(None), ..setup })
            .call(Call::get("/").comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").having(HeaderSeen::Only(&["host"]))])),
        scenario("another-user-agent", &["R-C-13"], "or be another")
            .origin(Script::replies([ok()]))
            .setup(|setup| Setup { user_agent: Some(Some("probe/2")), ..setup })
            .call(Call::get("/").comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").header("user-agent", "probe/2")])),
        scenario("as-the-caller-set-them", &["R-C-3"], "what the caller sets arrives as it is")
            .origin(Script::replies([ok()]))
            .call(
                Call::get("/")
                    .header("x-one", "1")
                    .header("accept", "text/plain; q=0.5")
                    .header("x-empty", "")
                    .comes_to([200]),
            )
            .sees(sees(
                0,
                [RequestSeen::get("/")
                    .header("x-one", "1")
                    .header("accept", "text/plain; q=0.5")
                    .header("x-empty", "")],
            )),
        scenario("a-host-of-the-callers", &["R-C-3"], "the caller may name another host")
            .origin(Script::replies([ok()]))
            .call(Call::get("/").header("host", "example.com").comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").header("host", "example.com")])),
    ]
}

/// R-C-1, R-C-2: default headers, and where they go.
fn defaults() -> Vec<Scenario> {
    let secret = |setup| Setup {
        base: Some(""),
        headers: vec![("authorization", "Bearer secret"), ("x-team", "blue")],
        ..setup
    };
    let anywhere = |setup| Setup { headers: vec![("x-team", "blue")], ..setup };
    vec![
        scenario("default", &["R-C-2"], "a default header is on every request")
            .origin(Script::replies([ok()]))
            .setup(anywhere)
            .call(Call::get("/").comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").header("x-team", "blue")])),
        scenario("default-on-every-attempt", &["R-C-2"], "and on every attempt")
            .origin(Script::replies([status(503), ok()]))
            .setup(anywhere)
            .call(Call::get("/").comes_to([503, 200]))
            .sees(sees(
                0,
                [
                    RequestSeen::get("/").header("x-team", "blue"),
                    RequestSeen::get("/").header("x-team", "blue"),
                ],
            )),
        scenario("default-replaced", &["R-C-2"], "the request's own replaces it")
            .origin(Script::replies([ok()]))
            .setup(anywhere)
            .call(Call::get("/").header("X-Team", "red").comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").header("x-team", "red")])),
        scenario("default-at-the-base", &["R-C-1", "R-C-2"], "the base origin gets them")
            .origin(Script::replies([ok()]))
            .setup(secret)
            .call(Call::get("/").to(Url::Text("/".into())).comes_to([200]))
            .sees(sees(0, [RequestSeen::get("/").header("authorization", "Bearer secret")])),
        scenario("default-nowhere-else", &["R-C-1"], "no other origin gets a single one")
            .origin(Script::replies([]))
            .origin(Script::replies([ok()]))
            .setup(secret)
            .call(Call::get("/").to(Url::Of(1, "/".into())).comes_to([200]))
            .sees(sees(
                1,
                [RequestSeen::get("/")
                    .without("authorization")
                    .without("x-team")
                    .without("user-agent")],
            )),
        scenario("own-header-elsewhere", &["R-C-1"], "what is set on the very request goes along")
            .origin(Script::replies([]))
            .origin(Script::replies([ok()]))
            .setup(secret)
            .call(
                Call::get("/")
                    .to(Url::Of(1, "/".into()))
                    .header("authorization", "Bearer other")
                    .comes_to([200]),
            )
            .sees(sees(1, [RequestSeen::get("/").header("authorization", "Bearer other")])),
    ]
}

/// R-C-12: an idempotency key.
fn keys() -> Vec<Scenario> {
    vec![
        scenario("idempotency-key", &["R-C-12", "R-D-4"], "one key over all attempts of a call")
            .origin(Script::replies([status(503), status(503), ok()]))
            .call(Call::post("/", "x").idempotency_key().comes_to([503, 503, 200]))
            .sees(sees(
                0,
                [
                    RequestSeen::new("POST", "/").body("x"),
                    RequestSeen::new("POST", "/").having(HeaderSeen::AsBefore("idempotency-key")),
                    RequestSeen::new("POST", "/").having(HeaderSeen::AsBefore("idempotency-key")),
                ],
            )),
    ]
}

/// R-X-1: nothing of it is sent.
fn refused() -> Vec<Scenario> {
    let rows = [
        ("line-feed", "x-note", "a\nb"),
        ("carriage-return", "x-note", "a\rb"),
        ("both", "x-note", "a\r\nx-evil: 1"),
        ("nul", "x-note", "a\0b"),
        ("name-with-a-blank", "x note", "a"),
        ("name-with-a-colon", "x:note", "a"),
        ("name-with-a-line-feed", "x\nnote", "a"),
        ("name-empty", "", "a"),
        ("framing-by-hand", "transfer-encoding", "chunked"),
        ("length-by-hand", "content-length", "77"),
    ];
    rows.map(|(name, header, value)| {
        scenario(format!("refused-{name}"), &["R-X-1"], "an error before any byte is sent")
            .origin(Script::connections(vec![]))
            .call(
                Call::post("/", "abc")
                    .header(header, value)
                    .ends(End::error(FailureKind::InvalidRequest)),
            )
            .sees_connections(0)
    })
    .to_vec()
}

/// R-C-13: what the client does not do.
fn left_out() -> Vec<Scenario> {
    let redirects = [301, 302, 303, 307, 308].map(|code| {
        scenario(format!("redirect-{code}-is-final"), &["R-C-13"], "redirects are not followed")
            .origin(Script::replies([status(code).header("location", "/elsewhere")]))
            .call(Call::get("/").comes_to([code]))
            .sees_requests(1)
    });
    let cookies = scenario("no-cookies", &["R-C-13"], "cookies are not kept")
        .origin(Script::replies([ok().header("set-cookie", "a=b"), ok()]))
        .call(Call::get("/").comes_to([200]))
        .call(Call::get("/").comes_to([200]))
        .sees(sees(0, [RequestSeen::get("/"), RequestSeen::get("/").without("cookie")]));
    let expectation = scenario("no-expectation", &["R-C-13"], "no 100-continue is waited for")
        .origin(Script::replies([ok()]))
        .call(Call::put("/", vec![b'x'; 2_000_000]).comes_to([200]))
        .sees(sees(0, [RequestSeen::new("PUT", "/").without("expect")]));
    let challenge = scenario("no-answer-to-a-challenge", &["R-C-13"], "a 401 is the caller's")
        .origin(Script::replies([Reply::status(401).header("www-authenticate", "Basic realm=x")]))
        .call(Call::get("/").comes_to([401]))
        .sees_requests(1);
    redirects.into_iter().chain([cookies, expectation, challenge]).collect()
}
