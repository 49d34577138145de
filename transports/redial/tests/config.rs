//! A client from its configuration: what is written is what is done, or an error that says where.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use redial::{ClientConfig, NoTransport, TransportKind};

const WHOLE: &str = r#"
transport = "smol"
base_url = "http://127.0.0.1:1/v1"
user_agent = "payments/1.2"
max_response_bytes = 1048576
max_head_bytes = 32768
protocol = "http1"

[headers]
x-team = "payments"

[timeouts]
connect = "1s"
read = "30s"
write = "250ms"
pool = "2s"

[pool]
max_connections = 10
max_keepalive_connections = 5
keepalive_expiry = "never"

[policy]
max_attempts = 3
call_timeout = "1min"
backoff = { kind = "exponential", base = "50ms", cap = "2s", jitter = { kind = "full" } }

[budget]
kind = "token_bucket"
capacity = 20

[replay]
idempotency_key = true

[hints]
retry_after_ms = true
"#;

#[test]
fn a_whole_configuration_is_read() {
    let config: ClientConfig = toml::from_str(WHOLE).unwrap();
    assert_eq!(config.transport.as_deref(), Some("smol"));
    assert_eq!(config.pool.max_connections, 10);
    assert_eq!(config.pool.keepalive_expiry, None);
    assert_eq!(config.timeouts.read.as_secs(), 30);
    assert_eq!(config.headers.get()["x-team"], "payments");
    let json = serde_json::json!({ "transport": "isahc", "pool": { "keepalive_expiry": "5s" } });
    let config: ClientConfig = serde_json::from_value(json).unwrap();
    assert_eq!(config.pool.keepalive_expiry.unwrap().as_secs(), 5);
    assert_eq!(config.pool.max_connections, 50);
}

#[test]
fn nothing_at_all_is_the_default() {
    let config: ClientConfig = toml::from_str("").unwrap();
    assert_eq!(config.timeouts, redial::Timeouts::DEFAULT);
    assert_eq!(config.pool, redial::PoolLimits::DEFAULT);
    assert_eq!(config.transport, None);
}

#[test]
fn what_is_wrong_is_named() {
    let rows = [
        ("speed = 1", "speed"),
        ("[pool]\nmax_connection = 1", "max_connection"),
        ("[pool]\nkeepalive_expiry = \"soon\"", "keepalive_expiry"),
        ("[timeouts]\nread = \"10 parsecs\"", "read"),
        ("[timeouts]\nred = \"10s\"", "red"),
        ("protocol = \"http3\"", "http3"),
        ("[policy]\nmax_attempts = 0", "policy"),
        ("[policy]\nretry_failures = [\"gremlins\"]", "gremlins"),
        ("[budget]\nkind = \"bottomless\"", "bottomless"),
        ("[headers]\n\"x team\" = \"a\"", "x team"),
        ("[headers]\nx-team = \"a\\nb\"", "x-team"),
        ("[tls]\nroots = \"a.pem\"", "roots"),
        ("user_agent = \"a\\u0000\"", "user_agent"),
    ];
    for (text, word) in rows {
        let error = toml::from_str::<ClientConfig>(text).unwrap_err().to_string();
        assert!(error.contains(word), "{text:?} gives {error}");
    }
}

#[test]
fn a_secret_is_not_shown() {
    let text = "base_url = \"http://user:canary@h/\"\n[headers]\nauthorization = \"Bearer canary\"";
    let config: ClientConfig = toml::from_str(text).unwrap();
    assert!(!format!("{config:?}").contains("canary"), "{config:?}");
}

#[test]
fn a_transport_is_chosen_by_name() {
    for kind in TransportKind::ALL {
        assert_eq!(kind.name().parse(), Ok(kind));
        let config = toml::from_str(&format!("transport = {:?}", kind.name())).unwrap();
        let built = redial::from_config(config).unwrap().build();
        match built {
            // tokio is there only where the client is built inside it.
            Ok(client) => assert_eq!(client.transport(), kind.name()),
            Err(redial::BuildError::Transport(NoTransport::Runtime(_))) => {
                assert_eq!((kind, kind.is_built()), (TransportKind::Tokio, true));
            }
            Err(redial::BuildError::Transport(NoTransport::NotBuilt { feature })) => {
                assert_eq!((feature, kind.is_built()), (kind.name(), false));
            }
            Err(other) => assert_eq!(other.to_string(), "none of these"),
        }
    }
    let config = toml::from_str("transport = \"carrier-pigeon\"").unwrap();
    let error = redial::from_config(config).unwrap_err().to_string();
    assert!(error.contains("carrier-pigeon") && error.contains("async-std"), "{error}");
}

#[test]
fn what_was_not_built_says_which_feature_brings_it() {
    let error = NoTransport::NotBuilt { feature: "smol" };
    assert_eq!(error.to_string(), "built without feature `smol`");
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let config = toml::from_str("[tls]\nroots_file = \"no-such-file.pem\"").unwrap();
    let error = redial::from_config(config).unwrap_err().to_string();
    assert!(error.contains("no-such-file.pem"), "{error}");
}
