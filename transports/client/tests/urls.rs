//! Where a request goes, and which headers go with it (R-C-1, R-C-2, R-C-13).
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests may fail"
)]

mod common;

use common::{block_on, builder, status};
use http::{HeaderName, HeaderValue, Request, Uri};
use rand_core::Rng as _;
use rand_xoshiro::Xoshiro256PlusPlus;
use rand_xoshiro::rand_core::SeedableRng as _;
use redial_client::engine::FailureKind;
use redial_client::{BuildError, Client, UrlError};

const BASE: &str = "https://api.example/v1";

/// The URL that is called, or the name of what is wrong.
fn called(base: Option<&str>, url: &str) -> Result<String, String> {
    let (builder, script) = builder([status(200)]);
    let client = match base {
        Some(base) => builder.base_url(base).build().unwrap(),
        None => builder.build().unwrap(),
    };
    let result = block_on(client.get(url).send());
    let sent = script.sent();
    match result {
        Ok(_) => Ok(sent[0].url.to_string()),
        Err(error) => {
            assert!(sent.is_empty(), "{url:?} was sent");
            assert_eq!(error.kind(), FailureKind::InvalidRequest, "{url:?}");
            Err(error.to_string())
        }
    }
}

#[test]
fn relative_urls_are_joined_below_the_path_of_the_base() {
    let rows = [
        (BASE, "users", "https://api.example/v1/users"),
        (BASE, "/users", "https://api.example/v1/users"),
        ("https://api.example/v1/", "users", "https://api.example/v1/users"),
        ("https://api.example/v1/", "/users", "https://api.example/v1/users"),
        ("https://api.example", "users", "https://api.example/users"),
        ("https://api.example/", "/users", "https://api.example/users"),
        ("https://api.example", "", "https://api.example/"),
        (BASE, "", "https://api.example/v1"),
        (BASE, "/", "https://api.example/v1/"),
        (BASE, "?q=1", "https://api.example/v1?q=1"),
        (BASE, "users?q=a/../b", "https://api.example/v1/users?q=a/../b"),
        (BASE, "users#part", "https://api.example/v1/users"),
        (BASE, "users?q=1#part", "https://api.example/v1/users?q=1"),
        (BASE, "./users", "https://api.example/v1/users"),
        (BASE, "a/../users", "https://api.example/v1/users"),
        (BASE, "a/%2e%2E/users", "https://api.example/v1/users"),
        (BASE, "a/b/../../users", "https://api.example/v1/users"),
        (BASE, "a//b", "https://api.example/v1/a//b"),
        (BASE, "/@name:8080/x", "https://api.example/v1/@name:8080/x"),
        (BASE, "a%20b", "https://api.example/v1/a%20b"),
        (BASE, "caf\u{e9}", "https://api.example/v1/caf%C3%A9"),
        (BASE, "a...b/.well-known", "https://api.example/v1/a...b/.well-known"),
        ("HTTPS://API.Example:443/v1", "users", "https://api.example/v1/users"),
        ("https://api.example:443/v1", "users", "https://api.example/v1/users"),
        ("http://127.0.0.1:8080", "/x", "http://127.0.0.1:8080/x"),
        (BASE, "/https://other.example/", "https://api.example/v1/https://other.example/"),
    ];
    for (base, url, expected) in rows {
        assert_eq!(called(Some(base), url).as_deref(), Ok(expected), "{base} and {url:?}");
    }
}

#[test]
fn absolute_urls_are_called_as_they_are() {
    let rows = [
        ("http://host/path?q=1", "http://host/path?q=1"),
        ("http://host", "http://host/"),
        ("http://host?q", "http://host/?q"),
        // A port that the scheme has anyway is not part of what is sent as `Host` either.
        ("http://host:80/", "http://host/"),
        ("http://host:0080/", "http://host/"),
        ("http://host:/", "http://host/"),
        ("https://host:443/?q", "https://host/?q"),
        ("https://host:80/", "https://host:80/"),
        ("http://host:08080/", "http://host:8080/"),
        ("http://host:008080/", "http://host:8080/"),
        ("http://host:0000000080/", "http://host/"),
        ("http://127.0.0.1:80", "http://127.0.0.1/"),
        ("http://host/a#part", "http://host/a"),
        ("HTTP://HOST/Path", "http://host/Path"),
        ("hTTpS://host:8443/", "https://host:8443/"),
        ("http://b\u{fc}cher.example/", "http://xn--bcher-kva.example/"),
        ("http://xn--bcher-kva.example/", "http://xn--bcher-kva.example/"),
        ("http://192.0.2.7/", "http://192.0.2.7/"),
        ("http://[::1]:8080/", "http://[::1]:8080/"),
        ("http://[2001:DB8::1]/", "http://[2001:db8::1]/"),
        ("http://host/a/../b", "http://host/b"),
        ("http://host/?q=http://other/", "http://host/?q=http://other/"),
        ("http://host/caf\u{e9}", "http://host/caf%C3%A9"),
        ("http://host:/x", "http://host/x"),
    ];
    for (url, expected) in rows {
        assert_eq!(called(None, url).as_deref(), Ok(expected), "{url:?}");
        assert_eq!(called(Some(BASE), url).as_deref(), Ok(expected), "{url:?} beside a base");
    }
}

/// Nothing of these is sent, and the error says what is wrong (R-C-1).
#[test]
fn what_is_read_in_two_ways_is_refused() {
    let rows = [
        ("//evil.example/", "begins with two slashes"),
        ("///evil.example/", "begins with two slashes"),
        ("\\\\evil.example/", "backslash"),
        ("/\\evil.example/", "backslash"),
        ("\\/evil.example/", "backslash"),
        ("http:\\\\evil.example", "backslash"),
        ("http://host\\@evil.example/", "backslash"),
        ("http:/host/", "not followed by two slashes"),
        ("http:host/", "not followed by two slashes"),
        ("http:///host/", "not followed by two slashes"),
        ("http:", "not followed by two slashes"),
        ("http://", "names no host"),
        ("http://:80/", "names no host"),
        ("http://?q", "names no host"),
        ("http://user@host/", "user name or password"),
        ("http://user:pass@host/", "user name or password"),
        ("http://api.example@evil.example/", "user name or password"),
        ("http://@host/", "user name or password"),
        (" http://host/", "character ' '"),
        ("http://host/ ", "character ' '"),
        ("http://host/a b", "character ' '"),
        ("/a\tb", "character '\\t'"),
        ("ht\ntp://host/", "character '\\n'"),
        ("http://host/\r\nX: y", "character '\\r'"),
        ("http://ho\tst/", "character '\\t'"),
        ("/\0", "character '\\0'"),
        ("/\u{7f}", "character '\\u{7f}'"),
        ("/\u{85}", "character '\\u{85}'"),
        ("/a\u{2003}b", "character '\\u{2003}'"),
        ("/a#\nb", "character '\\n'"),
        ("ftp://host/", "neither http nor https"),
        ("javascript:alert(1)", "neither http nor https"),
        ("file:///etc/passwd", "neither http nor https"),
        ("users:1", "neither http nor https"),
        ("http://host:99999/", "port is no number"),
        ("http://host:port/", "port is no number"),
        ("http://host:+80/", "port is no number"),
        ("http://host:80:80/", "port is no number"),
        ("http://2130706433/", "misleadingly"),
        ("http://0x7f.1/", "misleadingly"),
        ("http://127.1/", "misleadingly"),
        ("http://0177.0.0.1/", "misleadingly"),
        ("http://127.0.0.1./", "misleadingly"),
        ("http://ex%61mple.com/", "misleadingly"),
        ("http://\u{ff11}27.0.0.1/", "misleadingly"),
        ("http://exam\u{ad}ple.com/", "misleadingly"),
        ("http://\u{ff45}xample.com/", "misleadingly"),
        ("http://host\u{ff0f}evil.example/", "malformed"),
        ("http://ho<st/", "malformed"),
        ("http://[::1/", "misleadingly"),
        ("../admin", "climbs above"),
        ("/../admin", "climbs above"),
        ("..", "climbs above"),
        ("a/../../admin", "climbs above"),
        ("%2e%2e/admin", "climbs above"),
        (".%2E/admin", "climbs above"),
        ("..%2fadmin", "climbs above"),
        ("..;/admin", "climbs above"),
        ("..%3bx/admin", "climbs above"),
        ("a%5c..%5c..%5cadmin", "climbs above"),
    ];
    for (url, message) in rows {
        let error = called(Some(BASE), url).expect_err(url);
        assert!(error.contains(message), "{url:?}: {error}");
    }
}

/// Whatever is put together from the pieces that tricks are made of: what is sent goes to the base
/// URL's origin and below its path, unless it names a scheme and a server in so many words.
#[test]
fn no_relative_url_leaves_the_base() {
    const PIECES: [&str; 24] = [
        "/",
        "//",
        "\\",
        "..",
        ".",
        "%2e",
        "%2E",
        "%2f",
        "%5C",
        ";",
        "@",
        ":",
        "?",
        "#",
        "http:",
        "https://",
        "evil.example",
        "a",
        "v1",
        "%",
        "[",
        "\t",
        " ",
        "\u{ff0f}",
    ];
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(11);
    let (builder, script) = builder((0..20_000).map(|_| status(200)));
    let client = builder.base_url(BASE).build().unwrap();
    let (mut sent_some, mut refused_some) = (0, 0);
    for _ in 0..20_000 {
        let count = rng.next_u64() % 7;
        let pick = |_| PIECES[usize::try_from(rng.next_u64() % 24).unwrap()];
        let text: String = (0..count).map(pick).collect();
        let result = block_on(client.get(&text).send());
        let Some(sent) = script.sent().pop() else {
            assert!(result.unwrap_err().is_request());
            refused_some += 1;
            continue;
        };
        sent_some += 1;
        let parsed = url::Url::parse(&sent.url.to_string()).unwrap();
        let absolute = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
        if let Some(rest) = absolute {
            let host = parsed.host_str().unwrap();
            assert!(rest.starts_with(host), "{text:?} went to {host}");
            assert!(sent.headers.is_empty(), "{text:?}");
            continue;
        }
        assert_eq!(parsed.origin().ascii_serialization(), "https://api.example", "{text:?}");
        let below = parsed.path().strip_prefix("/v1").expect(&text);
        assert!(below.is_empty() || below.starts_with('/'), "{text:?} became {below}");
    }
    assert!(sent_some > 1_000 && refused_some > 1_000, "{sent_some} and {refused_some}");
}

#[test]
fn without_a_base_a_url_must_name_its_server() {
    for url in ["", "/", "users", "?q"] {
        let error = called(None, url).expect_err(url);
        assert!(error.contains("names no server"), "{url:?}: {error}");
    }
}

#[test]
fn a_request_of_the_http_crate_follows_the_same_rules() {
    let call = |uri: &str| {
        let (builder, script) = builder([status(200)]);
        let client = builder.base_url(BASE).build().unwrap();
        let request = Request::post(uri.parse::<Uri>().unwrap()).body("text").unwrap();
        let result = block_on(client.request(request).send());
        result.map(|_| script.sent()[0].url.to_string()).map_err(|error| error.to_string())
    };
    assert_eq!(call("/users").as_deref(), Ok("https://api.example/v1/users"));
    assert_eq!(call("http://other/users").as_deref(), Ok("http://other/users"));
    assert!(call("/../users").unwrap_err().contains("climbs above"));
    assert!(call("http://user@other/").unwrap_err().contains("user name"));
}

#[test]
fn a_base_url_that_is_none_makes_no_client() {
    let build = |base: &str| builder([]).0.base_url(base).build();
    for (base, message) in [
        ("/v1", "names no server"),
        ("https://user@host/", "user name"),
        ("https://host/?q", "query or a fragment"),
        ("https://host/#part", "query or a fragment"),
        ("https:host", "two slashes"),
    ] {
        match build(base) {
            Err(BuildError::BaseUrl(error)) => {
                assert!(error.to_string().contains(message), "{base}: {error}");
            }
            other => panic!("{base}: {other:?}"),
        }
    }
    assert!(matches!(build("https://h\\x"), Err(BuildError::BaseUrl(UrlError::Backslash))));
}

fn with_defaults(base: Option<&str>) -> (Client, common::Script) {
    let (builder, script) = builder([status(503), status(200)]);
    let builder = builder
        .default_header(HeaderName::from_static("authorization"), HeaderValue::from_static("A"))
        .default_header(HeaderName::from_static("x-api"), HeaderValue::from_static("1"));
    let builder = match base {
        Some(base) => builder.base_url(base),
        None => builder,
    };
    (builder.build().unwrap(), script)
}

/// R-C-1, R-C-2, on every attempt.
#[test]
fn default_headers_go_to_the_base_origin_alone() {
    let rows = [
        (Some(BASE), "/x", true),
        (Some(BASE), "https://api.example/elsewhere", true),
        (Some(BASE), "https://API.example:443/v1/x", true),
        (Some(BASE), "http://api.example/v1/x", false),
        (Some(BASE), "https://api.example:8443/v1/x", false),
        (Some(BASE), "https://api.example.evil/v1/x", false),
        (Some(BASE), "https://other.example/", false),
        (None, "https://other.example/", true),
    ];
    for (base, url, there) in rows {
        let (client, script) = with_defaults(base);
        block_on(client.get(url).send()).unwrap();
        let sent = script.sent();
        assert_eq!(sent.len(), 2, "{url}");
        for sent in sent {
            for name in ["authorization", "x-api", "user-agent"] {
                assert_eq!(sent.headers.contains_key(name), there, "{name} to {url}");
            }
        }
    }
}

#[test]
fn a_header_of_the_request_replaces_the_default_of_that_name() {
    let (client, script) = with_defaults(None);
    let call = client.get("http://h/").header("X-API", "2").header("x-api", "3");
    block_on(call.send()).unwrap();
    for sent in script.sent() {
        let values: Vec<_> = sent.headers.get_all("x-api").iter().collect();
        assert_eq!(values, ["2", "3"]);
        assert_eq!(sent.header("authorization"), Some("A"));
    }
    let (client, script) = with_defaults(Some(BASE));
    block_on(client.get("https://other.example/").bearer_auth("own").send()).unwrap();
    assert_eq!(script.sent()[0].header("authorization"), Some("Bearer own"), "set on this request");
}

/// R-C-13.
#[test]
fn nothing_is_added_but_a_user_agent_that_can_be_removed() {
    let (plain, script) = builder([status(200)]);
    block_on(plain.build().unwrap().post("http://h/").body("x").send()).unwrap();
    let sent = script.sent();
    let names: Vec<_> = sent[0].headers.keys().map(HeaderName::as_str).collect();
    assert_eq!(names, ["user-agent"]);

    let (bare, script) = builder([status(200)]);
    block_on(bare.no_user_agent().build().unwrap().get("http://h/").send()).unwrap();
    assert!(script.sent()[0].headers.is_empty());
}

#[test]
fn framing_is_no_default_header() {
    for name in ["content-length", "transfer-encoding"] {
        let name = HeaderName::from_static(name);
        let builder = builder([]).0.default_header(name, HeaderValue::from_static("1"));
        assert!(matches!(builder.build(), Err(BuildError::Framing)));
    }
}
