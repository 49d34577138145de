//! Where a request goes.

use redial_engine::FailureKind;

use super::ok;
use crate::{Call, End, RequestSeen, Scenario, Script, Setup, Sighting, Url};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [joined(), encoded(), refused()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("urls/{}", name.as_ref()), requirements, title)
}

fn arrives(
    name: String,
    title: &str,
    base: Option<&'static str>,
    url: &str,
    target: &str,
) -> Scenario {
    scenario(name, &["R-C-1"], title)
        .origin(Script::replies([ok()]))
        .setup(|setup| Setup { base, ..setup })
        .call(Call::get("/").to(Url::Text(url.into())).comes_to([200]))
        .sees(Sighting::Requests { origin: 0, requests: vec![RequestSeen::get(target)] })
}

/// R-C-1: relative URLs join the base, whose path is a prefix.
fn joined() -> Vec<Scenario> {
    let rows = [
        ("relative", "/api", "v1/items", "/api/v1/items"),
        ("rooted", "/api", "/v1/items", "/api/v1/items"),
        ("nothing", "/api", "", "/api"),
        ("query-alone", "/api", "?a=b", "/api?a=b"),
        ("base-with-a-slash", "/api/", "v1", "/api/v1"),
        ("base-without-a-path", "", "v1", "/v1"),
        ("dots-inside", "/api", "a/./b/../c", "/api/a/c"),
    ];
    rows.map(|(name, base, url, target)| {
        arrives(format!("join-{name}"), "it is joined to the base", Some(base), url, target)
    })
    .to_vec()
}

/// R-C-1: what is written is what arrives.
fn encoded() -> Vec<Scenario> {
    let rows = [
        ("fragment-left-out", "http://{0}/a?b=c#d", "/a?b=c"),
        ("no-path", "http://{0}", "/"),
        ("no-path-but-a-query", "http://{0}?a=b", "/?a=b"),
        ("encoded-already", "http://{0}/a%20b?c=%2F", "/a%20b?c=%2F"),
        ("not-ascii", "http://{0}/gr\u{fc}n", "/gr%C3%BCn"),
        ("scheme-in-capitals", "HTTP://{0}/a", "/a"),
    ];
    rows.map(|(name, url, target)| {
        arrives(format!("absolute-{name}"), "it arrives so", None, url, target)
    })
    .to_vec()
}

/// R-C-1, R-X-1: what two parsers would read differently is refused before it is sent.
fn refused() -> Vec<Scenario> {
    let tricks = [
        ("two-slashes", "//{0}/"),
        ("backslashes", "\\\\{0}/"),
        ("slash-and-backslash", "/\\{0}/"),
        ("backslash-in-the-middle", "http://{0}\\@evil.example/"),
        ("user-and-password", "http://user:secret@{0}/"),
        ("user", "http://user@{0}/"),
        ("line-feed", "http://{0}/a\nb"),
        ("carriage-return", "/a\r\nx-evil: 1"),
        ("blank", "http://{0}/a b"),
        ("tab", "ht\ttp://{0}/"),
        ("nul", "/a\0b"),
        ("above-the-base", "../secret"),
        ("above-the-base-encoded", "%2e%2e/secret"),
        ("another-scheme", "ftp://{0}/"),
        ("file", "file:///etc/passwd"),
        ("no-host", "http:///path"),
        ("port-too-large", "http://127.0.0.1:99999/"),
        ("address-in-hexadecimal", "http://0x7f.1/"),
    ];
    tricks
        .map(|(name, url)| {
            scenario(
                format!("refused-{name}"),
                &["R-C-1", "R-X-1"],
                "an error, and nothing is sent",
            )
            .origin(Script::connections(vec![]))
            .setup(|setup| Setup {
                base: Some("/api"),
                headers: vec![("authorization", "Bearer secret")],
                ..setup
            })
            .call(
                Call::get("/")
                    .to(Url::Text(url.into()))
                    .ends(End::error(FailureKind::InvalidRequest)),
            )
            .sees_connections(0)
        })
        .to_vec()
}
