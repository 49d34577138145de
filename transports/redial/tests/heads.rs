//! What a request looks like on the wire: the same over every transport, but for what isahc
//! declares (R-C-13).

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use redial::http::Method;
use redial::{Client, ClientBuilder, TransportKind};
use redial_conformance::{FaultServer, Reply, RequestRecord, Script};

mod common;

use common::run;

/// A request: its method, its target, the caller's headers, its body, and the framing that belongs
/// to that.
struct Row(
    &'static str,
    &'static str,
    &'static [(&'static str, &'static str)],
    &'static str,
    &'static [&'static str],
);

const LENGTH_0: &[&str] = &["content-length: 0"];
const LENGTH_3: &[&str] = &["content-length: 3"];

const ROWS: &[Row] = &[
    Row("GET", "/", &[], "", &[]),
    Row("GET", "/a%20b;c=d,e@f!$&'()*+~//g?q=/../h&x", &[], "", &[]),
    Row("GET", "/?", &[], "", &[]),
    Row("HEAD", "/", &[], "", &[]),
    Row("OPTIONS", "/", &[], "", &[]),
    Row("TRACE", "/", &[], "", &[]),
    Row("DELETE", "/", &[], "", &[]),
    Row("QUERY", "/", &[], "", &[]),
    Row("M-SEARCH", "/", &[], "", &[]),
    // RFC 9110 8.6: a method that gives a body meaning says where there is none.
    Row("POST", "/", &[], "", LENGTH_0),
    Row("PUT", "/", &[], "", LENGTH_0),
    Row("PATCH", "/", &[], "", LENGTH_0),
    Row("GET", "/", &[], "abc", LENGTH_3),
    Row("DELETE", "/", &[], "abc", LENGTH_3),
    Row("OPTIONS", "/", &[], "abc", LENGTH_3),
    Row("QUERY", "/", &[], "abc", LENGTH_3),
    Row("POST", "/", &[], "abc", LENGTH_3),
    Row("PUT", "/", &[], "abc", LENGTH_3),
    Row("PATCH", "/", &[], "abc", LENGTH_3),
    Row("POST", "/", &[("content-type", "text/plain")], "abc", LENGTH_3),
    Row("POST", "/", &[("content-type", "")], "abc", LENGTH_3),
    Row("POST", "/", &[("content-length", "3")], "abc", LENGTH_3),
    Row("GET", "/", &[("content-length", "0")], "", &[]),
    Row("POST", "/", &[("expect", "")], "abc", LENGTH_3),
    Row("GET", "/", &[("accept", "text/html"), ("accept", "text/plain;q=0.5")], "", &[]),
    Row("GET", "/", &[("accept", "")], "", &[]),
    Row("GET", "/", &[("accept-encoding", "gzip")], "", &[]),
    Row("GET", "/", &[("user-agent", "mine/1")], "", &[]),
    Row("GET", "/", &[("connection", "close")], "", &[]),
    Row("GET", "/", &[("connection", "keep-alive, x-hop"), ("x-hop", "1")], "", &[]),
    Row("GET", "/", &[("te", "trailers")], "", &[]),
    Row("GET", "/", &[("authorization", "Bearer abc"), ("cookie", "a=b; c=d")], "", &[]),
    Row("GET", "/", &[("proxy-authorization", "Basic abc")], "", &[]),
    Row("GET", "/", &[("range", "bytes=0-1"), ("if-modified-since", "never")], "", &[]),
    Row("GET", "/", &[("host", "example.org:81")], "", &[]),
    Row("GET", "/", &[("x-empty", ""), ("x-semicolon", "a;"), ("x-tab", "a\tb")], "", &[]),
    Row("GET", "/", &[("x-twice", "a"), ("x-twice", "b")], "", &[]),
];

/// What isahc adds where the caller has none of that name; `redial_isahc::DECLARED` says why.
fn declared(kind: TransportKind, row: &Row) -> Vec<String> {
    let has = |name: &str| row.2.iter().any(|(other, _)| *other == name);
    let all = [
        ("accept", "accept: */*", true),
        ("user-agent", "user-agent: ", true),
        ("content-type", "content-type: ", row.0 == "POST" && !row.3.is_empty()),
    ];
    let added = all.into_iter().filter(|(name, _, when)| *when && !has(name));
    let added = added.filter(|_| kind == TransportKind::Isahc);
    added.map(|(_, line, _)| line.to_owned()).collect()
}

/// The header lines in the order of their names, those of one name in their own.
fn lines(request: &RequestRecord) -> Vec<String> {
    let line = |(name, value): &(String, Vec<u8>)| {
        format!("{}: {}", name.to_ascii_lowercase(), String::from_utf8_lossy(value))
    };
    let mut lines: Vec<_> = request.headers.iter().map(line).collect();
    lines.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
    lines
}

fn silent(kind: TransportKind) -> ClientBuilder {
    Client::builder(kind).no_user_agent()
}

#[test]
fn the_wire_shows_what_the_caller_asked_for() {
    for kind in TransportKind::ALL.into_iter().filter(|kind| kind.is_built()) {
        let script = Script::requests(vec![]).otherwise(vec![Reply::status(204).step()]);
        let server = FaultServer::start(script).unwrap();
        run(kind, async {
            let client = silent(kind).build().unwrap();
            for row in ROWS {
                let mut call =
                    client.call(row.0.parse::<Method>().unwrap(), server.url(row.1)).body(row.3);
                for (name, value) in row.2 {
                    call = call.header(*name, *value);
                }
                assert_eq!(
                    call.send().await.unwrap().status(),
                    204,
                    "{kind}: {} {:?}",
                    row.0,
                    row.2
                );
                check(kind, row, &server);
            }
        });
    }
}

fn check(kind: TransportKind, row: &Row, server: &FaultServer) {
    let Row(method, target, headers, body, framing) = row;
    let log = server.log();
    let request = log.requests().last().unwrap();
    assert_eq!((request.method.as_str(), request.target.as_str()), (*method, *target), "{kind}");
    assert_eq!(request.body, body.as_bytes(), "{kind}: {method} {headers:?}");
    let host = format!("host: {}", server.address());
    let own = headers.iter().filter(|(name, _)| *name != "content-length");
    let mut expected: Vec<_> = own.map(|(name, value)| format!("{name}: {value}")).collect();
    expected.extend(framing.iter().map(|line| (*line).to_owned()));
    expected.extend(declared(kind, row));
    if !expected.iter().any(|line| line.starts_with("host: ")) {
        expected.push(host);
    }
    expected.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()));
    assert_eq!(lines(request), expected, "R-C-13 over {kind}: {method} {target} {headers:?}");
}
