//! Over TLS: whom a client trusts, what it agrees on, and what comes of a handshake that fails.

use redial_client::Protocol;
use redial_engine::{Delivery, FailureKind, Reason};

use super::{millis, ok, reply, seconds, status};
use crate::{
    Call, Certificate, Count, End, Frame, Handshake, Reply, Scenario, Script, Setup, Sighting,
    Step, Tls,
};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [trusted(), refused(), cut(), ended(), broken()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("tls/{}", name.as_ref()), requirements, title)
}

const BOTH: [&str; 2] = ["h2", "http/1.1"];

/// R-C-5: a good private authority works, and the protocol is agreed on.
fn trusted() -> Vec<Scenario> {
    let good =
        |certificate| Script::replies([ok(), ok()]).secured(Tls::new(certificate).alpn(BOTH));
    let twice = |scenario: Scenario| {
        scenario.call(Call::get("/").comes_to([200])).call(Call::get("/").comes_to([200]))
    };
    // Each is answered when all have come.
    let together = |count, protocols: &[&str]| {
        let answer = vec![Step::AwaitRequests { count, within: seconds(20) }, ok().step()];
        Script::requests(vec![answer; count])
            .secured(Tls::new(Certificate::Good).alpn(protocols.iter().copied()))
    };
    let patient = |setup: Setup| {
        setup.timeouts(|timeouts| (timeouts.read, timeouts.pool) = (seconds(20), seconds(20)))
    };
    let over = |protocol: Protocol| move |setup| Setup { protocol, ..setup };
    vec![
        twice(
            scenario(
                "private-authority",
                &["R-C-5", "R-P-7"],
                "an authority of one's own is trusted",
            )
            .origin(good(Certificate::Good)),
        )
        .sees_connections(1),
        twice(
            scenario("by-an-intermediate", &["R-C-5"], "and those that it vouches for")
                .origin(good(Certificate::GoodByIntermediate)),
        ),
        twice(
            scenario(
                "http1-alone",
                &["R-C-5"],
                "HTTP/1.1 alone is offered where that is asked for",
            )
            .origin(good(Certificate::Good))
            .setup(over(Protocol::Http1)),
        )
        .sees_connections(1)
        .sees(Sighting::Alpn { origin: 0, protocol: Some("http/1.1") }),
        scenario("http2-by-alpn", &["R-C-5"], "HTTP/2 is spoken where the server would")
            .origin(good(Certificate::Good))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .sees(Sighting::Alpn { origin: 0, protocol: Some("h2") }),
        twice(
            scenario("http1-by-alpn", &["R-C-5"], "HTTP/1.1 where the server speaks nothing else")
                .origin(
                    Script::replies([ok(), ok()])
                        .secured(Tls::new(Certificate::Good).alpn(["http/1.1"])),
                ),
        )
        .sees(Sighting::Alpn { origin: 0, protocol: Some("http/1.1") }),
        twice(
            scenario("without-alpn", &["R-C-5"], "and where it agrees on nothing")
                .origin(Script::replies([ok(), ok()]).secured(Tls::new(Certificate::Good))),
        )
        .sees(Sighting::Alpn { origin: 0, protocol: None }),
        scenario(
            "together-by-alpn",
            &["R-C-5", "R-P-6"],
            "calls that begin before anybody knows that it is HTTP/2 share its connection",
        )
        .origin(together(20, &BOTH))
        .setup(patient)
        .together((0..20).map(|_| Call::get("/").comes_to([200])))
        .sees_connections(1)
        .sees_requests(20),
        scenario(
            "together-over-http1",
            &["R-C-5", "R-P-1"],
            "and where it is not, each has a connection of its own",
        )
        .origin(together(5, &["http/1.1"]))
        .setup(patient)
        .together((0..5).map(|_| Call::get("/").comes_to([200])))
        .sees_connections(5)
        .sees_requests(5),
        scenario("retried-over-it", &["R-C-5", "R-D-2"], "a status is retried over TLS as without")
            .origin(Script::replies([status(503), ok()]).secured(Tls::new(Certificate::Good)))
            .call(Call::get("/").comes_to([503, 200])),
    ]
}

/// R-X-5: a bad certificate is final, and nothing is sent.
fn refused() -> Vec<Scenario> {
    let tls = (FailureKind::Tls, Delivery::Unsent);
    let bad = Certificate::BAD.map(|certificate| {
        let name = match certificate {
            Certificate::Expired => "expired",
            Certificate::NotYetValid => "not-yet-valid",
            Certificate::WrongHost => "wrong-host",
            Certificate::WrongAddress => "wrong-address",
            Certificate::SelfSigned => "self-signed",
            Certificate::UnknownAuthority => "unknown-authority",
            Certificate::UntrustedIntermediate => "untrusted-intermediate",
            Certificate::Good | Certificate::GoodByIntermediate => "good",
        };
        scenario(format!("refused-{name}"), &["R-X-5", "R-D-3"], "final, no retry, nothing sent")
            .origin(
                Script::connections(vec![])
                    .otherwise(vec![])
                    .secured(Tls::new(certificate).alpn(BOTH)),
            )
            .call(Call::get("/").comes_to([tls]))
            .sees_requests(0)
            .sees_connections(1)
    });
    let others = [
        scenario("refused-no-common-version", &["R-X-5", "R-D-3"], "no version in common: final")
            .origin(
                Script::connections(vec![])
                    .otherwise(vec![])
                    .secured(Tls::every(Handshake::NoCommonVersion)),
            )
            .call(Call::get("/").comes_to([tls]))
            .sees_requests(0)
            .sees_connections(1),
        scenario(
            "refused-changed-certificate",
            &["R-X-5", "R-D-3"],
            "a certificate that changes between attempts is looked at anew",
        )
        .origin(
            Script::requests(vec![vec![
                status(503).header("connection", "close").step(),
                Step::Close,
            ]])
            .secured(
                Tls::new(Certificate::SelfSigned)
                    .first([Handshake::Complete(Certificate::Good)])
                    .alpn(["http/1.1"]),
            ),
        )
        .call(Call::get("/").then(503).then(tls))
        .sees_requests(1),
        scenario("refused-for-a-post", &["R-X-5", "R-X-6"], "whatever the method")
            .origin(
                Script::connections(vec![])
                    .otherwise(vec![])
                    .secured(Tls::new(Certificate::SelfSigned)),
            )
            .call(Call::post("/", "secret").comes_to([tls]))
            .sees_requests(0),
    ];
    bad.into_iter().chain(others).collect()
}

/// R-X-5, R-T-1: a handshake that the network cuts is a connect failure, and retried.
fn cut() -> Vec<Scenario> {
    let row = |name: &str, handshake, kind: FailureKind| {
        scenario(format!("cut-{name}"), &["R-X-5", "R-D-3"], "a connect failure, and retried")
            .origin(
                Script::requests(vec![reply(&ok())])
                    .secured(Tls::new(Certificate::Good).first([handshake]).alpn(BOTH)),
            )
            .call(Call::get("/").then((kind, Delivery::Unsent)).then(200))
            .sees_connections(2)
            .sees_requests(1)
    };
    vec![
        row("end-of-stream", Handshake::EndOfStream, FailureKind::Connect),
        row("reset", Handshake::Reset, FailureKind::Connect),
        row("garbage", Handshake::Garbage, FailureKind::Connect),
        row("silence", Handshake::Silence, FailureKind::ConnectTimeout),
        scenario("connect-timeout", &["R-T-1", "R-D-3"], "the handshake is part of connecting")
            .origin(Script::connections(vec![]).secured(
                Tls::new(Certificate::Good).first([Handshake::Silence, Handshake::Silence]),
            ))
            .call(
                Call::get("/")
                    .max_attempts(2)
                    .comes_to([(FailureKind::ConnectTimeout, Delivery::Unsent); 2])
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(seconds(2), seconds(8)),
            )
            .sees(Sighting::Connections { origin: 0, count: Count::Exactly(2) }),
    ]
}

/// R-X-4: what ends without its end is no answer.
fn ended() -> Vec<Scenario> {
    let head = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhalf".to_vec();
    vec![
        scenario(
            "no-goodbye-after-a-length",
            &["R-X-4"],
            "a body of a length needs no close_notify to be whole",
        )
        .origin(
            Script::requests(vec![vec![
                ok().header("connection", "close").step(),
                Step::Pause(millis(100)),
                Step::Close,
            ]])
            .secured(Tls::new(Certificate::Good).without_close_notify()),
        )
        .call(Call::get("/").comes_to([200]).ends(End::with(200, "ok"))),
        scenario(
            "no-goodbye-and-no-length",
            &["R-X-4"],
            "a body that ends with its connection was cut off where there is none",
        )
        .origin(
            Script::requests(vec![vec![Step::Write(head), Step::Close], reply(&ok())])
                .secured(Tls::new(Certificate::Good).without_close_notify()),
        )
        .call(Call::get("/").then((FailureKind::Truncated, Delivery::Answered)).then(200)),
    ]
}

/// R-D-3: TLS that breaks after the handshake is a connection that breaks, wherever in an exchange it
/// does, and no other request goes over what is left of it.
fn broken() -> Vec<Scenario> {
    let half = Reply::status(200).header("content-length", "10").body("half").raw();
    let half = |http2: bool| {
        if http2 {
            let head = Frame::headers([(":status", "200"), ("content-length", "10")]);
            Step::Send(vec![head, Frame::data("half")])
        } else {
            half.step()
        }
    };
    let row = |name: &str, http2: bool, before: Vec<Step>, delivery| {
        let breaking = [before, vec![Step::Pause(millis(50)), Step::BreakTls]];
        let (protocol, offered) = if http2 { ("http2", "h2") } else { ("http1", "http/1.1") };
        scenario(
            format!("broken-{name}-{protocol}"),
            &["R-D-3", "R-P-8"],
            "TLS that breaks is a connection that breaks",
        )
        .origin(
            Script::requests(vec![breaking.concat(), reply(&ok())])
                .secured(Tls::new(Certificate::Good).alpn([offered])),
        )
        .call(Call::get("/").then((FailureKind::Reset, delivery)).then(200))
        .sees_connections(2)
    };
    [false, true]
        .into_iter()
        .flat_map(|http2| {
            [
                row("before-a-head", http2, vec![], Delivery::Unknown),
                row("in-a-body", http2, vec![half(http2)], Delivery::Answered),
            ]
        })
        .collect()
}
