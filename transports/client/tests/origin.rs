//! Which URLs have an origin, and which of them share one.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use core::hash::{BuildHasher, BuildHasherDefault};
use std::hash::DefaultHasher;

use redial_client::{Origin, OriginError};

fn origin(url: &str) -> Result<Origin, OriginError> {
    Origin::of(&url.parse().unwrap())
}

fn hash(origin: &Origin) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(origin)
}

#[test]
fn scheme_host_and_port_make_an_origin() {
    let rows = [
        ("http://host/path?query", "http://host:80", "host", 80),
        ("http://Host:8080", "http://Host:8080", "Host", 8080),
        ("https://host", "https://host:443", "host", 443),
        ("https://host:", "https://host:443", "host", 443),
        ("http://127.0.0.1:1/", "http://127.0.0.1:1", "127.0.0.1", 1),
        ("http://[::1]/", "http://[::1]:80", "::1", 80),
        ("https://[2001:db8::1]:8443/", "https://[2001:db8::1]:8443", "2001:db8::1", 8443),
        ("http://host:65535/", "http://host:65535", "host", 65535),
    ];
    for (url, shown, host, port) in rows {
        let origin = origin(url).unwrap();
        assert_eq!(
            (origin.to_string().as_str(), origin.host(), origin.port()),
            (shown, host, port)
        );
    }
}

#[test]
fn case_and_a_written_out_port_make_no_difference() {
    let same = [
        ["http://host/a", "http://HOST:80/b"],
        ["https://example.com", "https://Example.COM:443/"],
        ["http://[2001:DB8::1]", "http://[2001:db8::1]:80"],
    ];
    for [one, other] in same {
        let (one, other) = (origin(one).unwrap(), origin(other).unwrap());
        assert_eq!(one, other);
        assert_eq!(hash(&one), hash(&other));
    }
    let apart = ["http://host", "https://host", "http://host:81", "http://hosts", "http://h.ost"];
    for (index, one) in apart.iter().enumerate() {
        for other in &apart[index + 1..] {
            assert_ne!(origin(one).unwrap(), origin(other).unwrap());
        }
    }
}

#[test]
fn what_cannot_be_called_says_why() {
    let rows = [
        ("/path", OriginError::Relative),
        ("ftp://host/", OriginError::Scheme),
        ("http://user@host/", OriginError::Userinfo),
        ("http://user:secret@host/", OriginError::Userinfo),
        ("http://:80/", OriginError::Host),
        ("http://host:65536/", OriginError::Port),
        ("http://host:99999999999999999999/", OriginError::Port),
    ];
    for (url, why) in rows {
        assert_eq!(origin(url).unwrap_err(), why, "{url}");
    }
}
