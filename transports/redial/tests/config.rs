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

/// What is written, which field is to be named, and a word that says what is wrong with it.
const WRONG: &[(&str, &str, &str)] = &[
    ("speed = 1", "speed", "unknown field"),
    ("transport = 1", "transport", "string"),
    ("base_url = true", "base_url", "string"),
    ("protocol = \"http3\"", "protocol", "http1"),
    ("max_response_bytes = -1", "max_response_bytes", "-1"),
    ("max_head_bytes = \"big\"", "max_head_bytes", "big"),
    ("user_agent = \"a\\u0000\"", "user_agent", "header value"),
    ("user_agent = 1", "user_agent", "string"),
    ("headers = [\"a\"]", "headers", "map"),
    ("[headers]\n\"x team\" = \"a\"", "headers", "x team"),
    ("[headers]\nx-team = \"a\\nb\"", "headers", "x-team"),
    ("[headers]\nx-team = 1", "headers.x-team", "string"),
    ("timeouts = \"1s\"", "timeouts", "1s"),
    ("[timeouts]\nred = \"10s\"", "timeouts.red", "unknown field"),
    ("[timeouts]\nread = \"10 parsecs\"", "timeouts.read", "parsecs"),
    ("[timeouts]\nconnect = 10", "timeouts.connect", "duration"),
    ("[timeouts]\nwrite = \"-1s\"", "timeouts.write", "-1s"),
    ("[pool]\nmax_connection = 1", "pool.max_connection", "max_connections"),
    ("[pool]\nmax_connections = -1", "pool.max_connections", "-1"),
    ("[pool]\nmax_keepalive_connections = \"all\"", "pool.max_keepalive_connections", "all"),
    ("[pool]\nkeepalive_expiry = \"soon\"", "pool.keepalive_expiry", "soon"),
    ("[tls]\nroots = \"a.pem\"", "tls.roots", "roots_file"),
    ("[tls.identity]\nkey_file = \"a.pem\"", "tls.identity", "certificates_file"),
    ("[policy]\nmax_attempts = 0", "policy", "0 attempts"),
    ("[policy]\nmax_attempts = \"few\"", "policy.max_attempts", "few"),
    ("[policy]\nretry_failures = [\"gremlins\"]", "policy.retry_failures[0]", "gremlins"),
    ("[policy]\nretry_statuses = [503, 99999]", "policy.retry_statuses[1]", "99999"),
    ("[policy.backoff]\nkind = \"magic\"", "policy.backoff.kind", "magic"),
    ("[budget]\nkind = \"bottomless\"", "budget.kind", "bottomless"),
    ("[budget]\ncapacity = 1", "budget", "kind"),
    ("[replay]\nidempotency_key = \"yes\"", "replay.idempotency_key", "boolean"),
    ("[replay]\nidempotency_keys = true", "replay.idempotency_keys", "unknown field"),
    ("[hints]\nretry_after_ms = 1", "hints.retry_after_ms", "boolean"),
];

#[test]
fn what_is_wrong_is_named_by_its_field() {
    for (text, field, word) in WRONG {
        let from_toml = redial::read_config(toml::Deserializer::parse(text).unwrap());
        let json = toml::from_str::<serde_json::Value>(text).unwrap().to_string();
        let from_json = redial::read_config(&mut serde_json::Deserializer::from_str(&json));
        for error in [from_toml.unwrap_err(), from_json.unwrap_err()] {
            assert_eq!(error.field(), *field, "{text:?} gives {error}");
            assert!(error.to_string().contains(word), "{text:?} gives {error}");
        }
    }
}

#[test]
fn an_error_shows_no_other_field() {
    let text = "[headers]\nauthorization = \"Bearer canary\"\n[timeouts]\nread = 1";
    let error = redial::read_config(toml::Deserializer::parse(text).unwrap()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
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

/// What is written is what is done, over each transport and without async.
#[cfg(feature = "blocking")]
#[test]
fn a_client_of_a_configuration_makes_calls() {
    use redial_conformance::{FaultServer, Reply, Script};

    for kind in TransportKind::ALL.into_iter().filter(|kind| kind.is_built()) {
        let replies = [503, 503, 200].map(|status| Reply::status(status).body("1234"));
        let server = FaultServer::start(Script::replies(replies)).unwrap();
        let text = format!(
            "transport = \"{kind}\"\nbase_url = \"{}\"\nmax_response_bytes = 4\n\
             user_agent = \"tests/1\"\n[headers]\nx-team = \"payments\"\n\
             [policy]\nmax_attempts = 2\n\
             backoff = {{ kind = \"exponential\", base = \"1ms\" }}",
            server.url("/v1")
        );
        let config = redial::read_config(toml::Deserializer::parse(&text).unwrap()).unwrap();
        let client = redial::blocking::from_config(config).unwrap().build().unwrap();
        assert_eq!(client.transport(), kind.name());
        let response = client.get("jobs?x=1").send().unwrap();
        assert_eq!((response.status().as_u16(), response.attempts().len()), (503, 2), "{kind}");
        assert_eq!(client.get("/jobs").send().unwrap().text(), "1234", "{kind}");
        drop(client);
        let log = server.finish().unwrap();
        let targets: Vec<_> = log.requests().iter().map(|it| it.target.as_str()).collect();
        assert_eq!(targets, ["/v1/jobs?x=1", "/v1/jobs?x=1", "/v1/jobs"], "{kind}");
        for request in log.requests() {
            for (name, value) in [("x-team", "payments"), ("user-agent", "tests/1")] {
                assert_eq!(request.header(name), Some(value.as_bytes()), "{kind}");
            }
        }
    }
}

/// A limit of the configuration holds.
#[cfg(feature = "blocking")]
#[test]
fn a_body_beyond_the_configured_limit_is_an_error() {
    use redial_conformance::{FaultServer, Reply, Script};

    for kind in TransportKind::ALL.into_iter().filter(|kind| kind.is_built()) {
        let reply = Reply::status(200).body("12345");
        let server = FaultServer::start(Script::replies([reply])).unwrap();
        let text = format!("transport = \"{kind}\"\nmax_response_bytes = 4");
        let config = redial::read_config(toml::Deserializer::parse(&text).unwrap()).unwrap();
        let client = redial::blocking::from_config(config).unwrap().build().unwrap();
        let error = client.get(server.url("/")).send().unwrap_err();
        assert_eq!(error.kind(), redial::engine::FailureKind::ResponseTooLarge, "{kind}");
        assert_eq!(error.attempts().len(), 1, "{kind}: R-C-4, not retried");
    }
}

/// R-P-5: where no connection may be opened, a request waits for its pool timeout and no longer.
#[cfg(feature = "blocking")]
#[test]
fn without_connections_every_request_ends_by_its_pool_timeout() {
    use redial::engine::{Delivery, FailureKind};

    for kind in TransportKind::ALL.into_iter().filter(|kind| kind.is_built()) {
        let text = format!(
            "transport = \"{kind}\"\npool = {{ max_connections = 0 }}\n\
             timeouts = {{ pool = \"20ms\" }}\npolicy = {{ max_attempts = 1 }}"
        );
        let config = redial::read_config(toml::Deserializer::parse(&text).unwrap()).unwrap();
        let client = redial::blocking::from_config(config).unwrap().build().unwrap();
        let failure = client.get("http://127.0.0.1:1/").send().unwrap_err().failure();
        let found = failure.map(|failure| (failure.kind, failure.delivery));
        assert_eq!(found, Some((FailureKind::PoolTimeout, Delivery::Unsent)), "{kind}");
    }
}
