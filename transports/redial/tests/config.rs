//! A client from its configuration: what is written is what is done, or an error that says where.

#![allow(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

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

/// What is written, which field is to be named, and what is to be said: what is wrong with it, and
/// what is allowed.
const WRONG: &[(&str, &str, &[&str])] = &[
    ("speed = 1", "speed", &["unknown field", "base_url"]),
    ("transport = 1", "transport", &["1", "string"]),
    ("base_url = true", "base_url", &["string"]),
    ("protocol = \"http3\"", "protocol", &["http3", "http1"]),
    ("protocol = 1", "protocol", &["1", "the name of a protocol"]),
    ("[protocol]\nhttp1 = {}", "protocol", &["map", "the name of a protocol"]),
    ("max_response_bytes = -1", "max_response_bytes", &["-1", "a whole number from 0"]),
    ("max_head_bytes = \"big\"", "max_head_bytes", &["big", "a whole number from 0"]),
    ("user_agent = \"a\\u0000\"", "user_agent", &["a\\0", "without line breaks"]),
    ("user_agent = 1", "user_agent", &["1", "string"]),
    ("headers = [\"a\"]", "headers", &["a table of headers"]),
    ("[headers]\n\"x team\" = \"a\"", "headers.x team", &["a name that HTTP allows"]),
    ("[headers]\nx-team = \"a\\nb\"", "headers.x-team", &["without control characters"]),
    ("[headers]\nx-team = 1", "headers.x-team", &["string"]),
    // R-C-2: names are the same whatever their case (RFC 9110 5.1).
    ("[headers]\nX-Team = \"a\"\nx-team = \"b\"", "headers.x-team", &["once"]),
    ("timeouts = \"1s\"", "timeouts", &["1s", "a table of timeouts"]),
    ("timeouts = [\"1s\", \"2s\"]", "timeouts", &["sequence", "a table of timeouts"]),
    ("[timeouts]\nred = \"10s\"", "timeouts.red", &["unknown field", "read"]),
    ("[timeouts]\nread = \"10 parsecs\"", "timeouts.read", &["parsecs", "\"250ms\""]),
    ("[timeouts]\nconnect = 10", "timeouts.connect", &["10", "\"250ms\""]),
    ("[timeouts]\nwrite = \"-1s\"", "timeouts.write", &["-1s", "\"250ms\""]),
    ("[timeouts]\npool = {}", "timeouts.pool", &["map", "\"250ms\""]),
    ("pool = [1, 2, \"3s\"]", "pool", &["sequence", "a table of limits"]),
    ("[[pool]]\nmax_connections = 1", "pool", &["sequence", "a table of limits"]),
    ("[pool]\nmax_connection = 1", "pool.max_connection", &["unknown field", "max_connections"]),
    ("[pool]\nmax_connections = -1", "pool.max_connections", &["-1", "a whole number from 0"]),
    ("[pool]\nmax_connections = 1.5", "pool.max_connections", &["1.5", "a whole number from 0"]),
    (
        "[pool]\nmax_keepalive_connections = \"all\"",
        "pool.max_keepalive_connections",
        &["all", "a whole number from 0"],
    ),
    ("[pool]\nkeepalive_expiry = \"soon\"", "pool.keepalive_expiry", &["soon", "never"]),
    ("[pool]\nkeepalive_expiry = 30", "pool.keepalive_expiry", &["30", "never"]),
    ("tls = false", "tls", &["false", "a table of the names of PEM files"]),
    ("tls = [\"a.pem\"]", "tls", &["sequence", "a table of the names of PEM files"]),
    ("[tls]\nroots = \"a.pem\"", "tls.roots", &["unknown field", "roots_file"]),
    ("[tls]\nroots_file = 1", "tls.roots_file", &["1", "path"]),
    ("[tls]\nidentity = \"a.pem\"", "tls.identity", &["a.pem", "a table of a certificate's file"]),
    ("[tls]\nidentity = [\"a\", \"b\"]", "tls.identity", &["sequence", "a certificate's file"]),
    ("[tls.identity]\nkey_file = \"a.pem\"", "tls.identity", &["missing", "certificates_file"]),
    ("[tls.identity]\nkey = \"a.pem\"", "tls.identity.key", &["unknown field", "key_file"]),
    ("policy = \"standard\"", "policy", &["standard", "a table of the policy's fields"]),
    ("policy = [3]", "policy", &["sequence", "a table of the policy's fields"]),
    ("[policy]\nmax_attempts = 0", "policy.max_attempts", &["0 attempts", "at least 1"]),
    (
        "[policy]\nmax_attempts = \"few\"",
        "policy.max_attempts",
        &["few", "a whole number from 1 to 4294967295"],
    ),
    ("[policy]\nmax_attempts = -1", "policy.max_attempts", &["-1", "a whole number from 1 to"]),
    (
        "[policy]\nretry_statuses = [\"5xx\"]",
        "policy.retry_statuses[0]",
        &["5xx", "a whole number from 100 to 999"],
    ),
    ("[policy]\nattempt_timeout = 1", "policy.attempt_timeout", &["1", "\"250ms\""]),
    ("[policy]\ncall_timeout = \"never\"", "policy.call_timeout", &["never", "\"250ms\""]),
    ("[policy]\nretry_after_max = \"\"", "policy.retry_after_max", &["\"\"", "\"250ms\""]),
    (
        "[policy]\nretry_after_spread_percent = 101",
        "policy.retry_after_spread_percent",
        &["101 percent", "0 to 100"],
    ),
    (
        "[policy]\nretry_after_spread_percent = 300",
        "policy.retry_after_spread_percent",
        &["300", "0 to 100"],
    ),
    ("[policy]\nretry_statuses = [42]", "policy.retry_statuses[0]", &["42", "100 to 999"]),
    ("[policy]\nretry_statuses = [503, 99999]", "policy.retry_statuses[1]", &["99999", "999"]),
    ("[policy]\nretry_statuses = 503", "policy.retry_statuses", &["503", "sequence"]),
    ("[policy]\nalso_retry_statuses = [1]", "policy.also_retry_statuses[0]", &["1", "100 to 999"]),
    ("[policy]\nnever_retry_statuses = [1]", "policy.never_retry_statuses[0]", &["100 to 999"]),
    ("[policy]\nheed_hints_on = [503, 1000]", "policy.heed_hints_on[1]", &["1000", "100 to 999"]),
    ("[policy]\nalso_heed_hints_on = [1]", "policy.also_heed_hints_on[0]", &["1", "100 to 999"]),
    ("[policy]\nnever_heed_hints_on = [1]", "policy.never_heed_hints_on[0]", &["100 to 999"]),
    (
        "[policy]\nretry_failures = [\"gremlins\"]",
        "policy.retry_failures[0]",
        &["gremlins", "reset"],
    ),
    ("[policy]\nalso_retry_failures = [\"Tls\"]", "policy.also_retry_failures[0]", &["Tls", "tls"]),
    ("[policy]\nnever_retry_failures = [1]", "policy.never_retry_failures[0]", &["1", "string"]),
    ("[policy]\nbackoff = \"1s\"", "policy.backoff", &["1s", "a table with the kind"]),
    ("[policy]\nbackoff = { base = \"1s\" }", "policy.backoff", &["missing", "kind"]),
    ("[policy.backoff]\nkind = \"magic\"", "policy.backoff.kind", &["magic", "exponential"]),
    ("[policy.backoff]\nkind = \"fixed\"", "policy.backoff", &["missing", "wait"]),
    (
        "[policy.backoff]\nkind = \"fixed\"\nmax = 1",
        "policy.backoff.max",
        &["unknown field", "cap"],
    ),
    (
        "[policy.backoff]\nkind = \"fixed\"\nwait = \"1s\"\nbase = \"1s\"",
        "policy.backoff",
        &["base does not belong", "\"fixed\"", "wait, cap, jitter"],
    ),
    (
        "[policy.backoff]\nkind = \"exponential\"\nbase = \"999us\"",
        "policy.backoff.base",
        &["999", "below 1 ms"],
    ),
    ("[policy.backoff]\nkind = \"fixed\"\nwait = 1", "policy.backoff.wait", &["1", "\"250ms\""]),
    (
        "[policy.backoff]\nkind = \"fixed\"\nwait = \"2s\"\ncap = \"1s\"",
        "policy.backoff",
        &["cap of 1s", "base of 2s"],
    ),
    (
        "[policy.backoff]\nkind = \"fixed\"\nwait = \"1s\"\njitter = \"full\"",
        "policy.backoff.jitter",
        &["full", "{ kind = \"full\" }"],
    ),
    ("[policy.backoff.jitter]\nkind = \"some\"", "policy.backoff.jitter.kind", &["some", "equal"]),
    (
        "[policy.backoff.jitter]\nkind = \"proportional\"",
        "policy.backoff.jitter",
        &["from_percent"],
    ),
    (
        "[policy.backoff.jitter]\nkind = \"full\"\nfrom_percent = 3",
        "policy.backoff.jitter",
        &["from_percent does not belong", "\"full\"", "none"],
    ),
    (
        "[policy.backoff.jitter]\nkind = \"proportional\"\nfrom_percent = 150",
        "policy.backoff.jitter.from_percent",
        &["150 percent", "0 to 100"],
    ),
    ("budget = \"unlimited\"", "budget", &["unlimited", "{ kind = \"unlimited\" }"]),
    ("[budget]\nkind = \"bottomless\"", "budget.kind", &["bottomless", "unlimited"]),
    ("[budget]\nkind = 1", "budget.kind", &["1", "string"]),
    ("[budget]\ncapacity = 1", "budget", &["missing", "kind"]),
    ("[budget]\nkind = \"empty\"\nburts = 1", "budget.burts", &["unknown field", "burst"]),
    (
        "[budget]\nkind = \"unlimited\"\ncapacity = 1",
        "budget",
        &["capacity does not belong", "\"unlimited\"", "none"],
    ),
    (
        "[budget]\nkind = \"token_bucket\"\ncapacity = \"x\"",
        "budget.capacity",
        &["x", "from 1 to 4294967"],
    ),
    (
        "[budget]\nkind = \"token_bucket\"\nrefill_per_second = -1",
        "budget.refill_per_second",
        &["-1", "from 0 to 4294967"],
    ),
    (
        "[budget]\nkind = \"token_bucket\"\ncost_milli = -1",
        "budget.cost_milli",
        &["-1", "from 1 to 4294967000"],
    ),
    ("[budget]\nkind = \"grpc\"\nmax_tokens = -1", "budget.max_tokens", &["from 1 to 1000"]),
    (
        "[budget]\nkind = \"grpc\"\ntoken_ratio_milli = -1",
        "budget.token_ratio_milli",
        &["from 1 to 4294967295"],
    ),
    ("[budget]\nkind = \"finagle\"\nttl_seconds = -1", "budget.ttl_seconds", &["from 1 to 60"]),
    ("[budget]\nkind = \"finagle\"\nratio_ppm = -1", "budget.ratio_ppm", &["from 0 to 1000000"]),
    ("[budget]\nkind = \"token_bucket\"\ncapacity = 0", "budget.capacity", &["0 tokens", "raise"]),
    (
        "[budget]\nkind = \"token_bucket\"\ndeposit_milli = -1",
        "budget.deposit_milli",
        &["-1", "from 0 to 4294967295"],
    ),
    (
        "[budget]\nkind = \"token_bucket\"\nrefill_per_second = 4294968",
        "budget.refill_per_second",
        &["4294968", "at most 4294967"],
    ),
    ("[budget]\nkind = \"token_bucket\"\ncost_milli = 0", "budget.cost_milli", &["cost nothing"]),
    (
        "[budget]\nkind = \"token_bucket\"\ncapacity = 3\ncost_milli = 4000",
        "budget",
        &["3 tokens", "raise the capacity"],
    ),
    ("[budget]\nkind = \"grpc\"\nmax_tokens = 1", "budget", &["missing", "token_ratio_milli"]),
    ("[budget]\nkind = \"grpc\"\nmax_tokens = 1001", "budget.max_tokens", &["1001", "1 to 1000"]),
    ("[budget]\nkind = \"grpc\"\ntoken_ratio_milli = 0", "budget.token_ratio_milli", &["positive"]),
    ("[budget]\nkind = \"finagle\"\nttl_seconds = 61", "budget.ttl_seconds", &["61 s", "1 to 60"]),
    (
        "[budget]\nkind = \"finagle\"\nratio_ppm = 1000001",
        "budget.ratio_ppm",
        &["1000001", "1000000"],
    ),
    ("[budget]\nkind = \"finagle\"\nburst = 4294968", "budget", &["too large", "at most 4294967"]),
    ("replay = \"never\"", "replay", &["never", "a table of rules"]),
    (
        "[replay]\nrepeatable_methods = [\"GET\", \"po st\"]",
        "replay.repeatable_methods[1]",
        &["po st", "the name of a method"],
    ),
    ("[replay]\nother_methods = \"x\"", "replay.other_methods", &["x", "if_unsent"]),
    ("[replay]\nother_methods = 3", "replay.other_methods", &["3", "if_unsent"]),
    ("[replay]\nidempotency_key = \"yes\"", "replay.idempotency_key", &["yes", "boolean"]),
    ("[replay]\nidempotency_keys = true", "replay.idempotency_keys", &["unknown field"]),
    ("hints = [true]", "hints", &["sequence", "a table of the headers that are hints"]),
    ("[hints]\nretry_after_ms = 1", "hints.retry_after_ms", &["1", "boolean"]),
];

/// The same for what only JSON can say.
const WRONG_JSON: &[(&str, &str, &[&str])] = &[
    (r#"["tokio"]"#, ".", &["sequence", "a table of the client's fields"]),
    ("3", ".", &["3", "a table of the client's fields"]),
    (r#"{"pool": null}"#, "pool", &["null", "a table of limits on connections"]),
    (r#"{"tls": null}"#, "tls", &["null", "a table of the names of PEM files"]),
    (r#"{"policy": null}"#, "policy", &["null", "a table of the policy's fields"]),
    (r#"{"budget": null}"#, "budget", &["null", "a table with the kind of the budget"]),
    (r#"{"replay": null}"#, "replay", &["null", "a table of rules"]),
    (r#"{"headers": null}"#, "headers", &["a table of headers"]),
    (r#"{"headers": {"a": "1", "a": "2"}}"#, "headers.a", &["once"]),
    (r#"{"pool": {"max_connections": 1, "max_connections": 2}}"#, "pool", &["max_connections"]),
    // The text ends before the name of a field.
    ("{", ".", &["EOF"]),
    (r#"{"pool": {"#, "pool", &["EOF"]),
    (r#"{"policy": {"retry_statuses": ["#, "policy.retry_statuses", &["EOF"]),
    (r#"{"policy": {"retry_statuses": [null]}}"#, "policy.retry_statuses[0]", &["null", "999"]),
];

fn refused(error: &redial::FieldError, text: &str, field: &str, words: &[&str]) {
    assert_eq!(error.field(), field, "{text:?} gives {error}");
    // A `main` that returns it shows this.
    assert!(format!("{error:?}").contains(&error.to_string()), "{error:?}");
    let said = error.to_string();
    for word in words {
        assert!(said.contains(word), "{text:?} does not say {word:?}: {said}");
    }
    // Rust's own words for types are not the user's.
    for name in ["struct", "enum", "Config", "Written", "u8", "u16", "u32", "u64", "usize"] {
        assert!(!said.contains(name), "{text:?} speaks of {name:?}: {said}");
    }
}

#[test]
fn what_is_wrong_is_named_by_its_field() {
    for (text, field, words) in WRONG {
        let from_toml = redial::read_config(toml::Deserializer::parse(text).unwrap());
        let json = toml::from_str::<serde_json::Value>(text).unwrap().to_string();
        let from_json = redial::read_config(&mut serde_json::Deserializer::from_str(&json));
        for error in [from_toml, from_json].map(|result| result.expect_err(text)) {
            refused(&error, text, field, words);
        }
    }
    for (text, field, words) in WRONG_JSON {
        let read = redial::read_config(&mut serde_json::Deserializer::from_str(text));
        refused(&read.expect_err(text), text, field, words);
    }
}

/// What follows is the deserializer's business, which can be asked.
#[test]
fn what_follows_a_configuration_is_left_to_its_deserializer() {
    for (text, whole) in [("{}", true), ("{} ", true), ("{} x", false), ("{}{}", false)] {
        let mut json = serde_json::Deserializer::from_str(text);
        assert!(redial::read_config(&mut json).is_ok(), "{text:?}");
        assert_eq!(json.end().is_ok(), whole, "{text:?}");
    }
}

#[test]
fn an_error_shows_no_other_field() {
    let text = "[headers]\nauthorization = \"Bearer canary\"\n[timeouts]\nread = 1";
    let error = redial::read_config(toml::Deserializer::parse(text).unwrap()).unwrap_err();
    assert!(!format!("{error} {error:?}").contains("canary"), "{error:?}");
}

/// R-O-3, where the field itself is wrong, and a format shows the line that it stands in.
#[test]
fn an_error_shows_nothing_of_a_field_that_may_be_secret() {
    for text in [
        "headers = \"canary\"",
        "headers = [\"canary\"]",
        "headers = { authorization = [\"canary\"] }",
        "headers = { authorization = \"canary\\n\" }",
        "headers = { authorization = \"canary\", Authorization = \"canary\" }",
        "[headers]\n\"author ization\" = \"canary\"",
        "base_url = [\"http://user:canary@h/\"]",
        // Misspelt, or guessed.
        "header = { authorization = \"canary\" }",
        "base-url = \"http://user:canary@h/\"",
        "bearer_token = \"canary\"",
        "[tls]\nkey_pem = \"canary\"",
        "[tls.identity]\nkey = \"canary\"",
    ] {
        let error = redial::read_config(toml::Deserializer::parse(text).unwrap()).unwrap_err();
        let source = core::error::Error::source(&error).map(ToString::to_string);
        assert!(!format!("{error} {error:?} {source:?}").contains("canary"), "{text}: {error}");
    }
}

/// The fields that are named to whoever writes another are those that can be read.
#[test]
fn an_unknown_field_is_told_all_that_there_are() {
    for (table, field) in [("", "x"), ("[tls]\n", "tls.x"), ("[tls.identity]\n", "tls.identity.x")]
    {
        let text = format!("{table}x = 1");
        let error = redial::read_config(toml::Deserializer::parse(&text).unwrap()).unwrap_err();
        let of_serde = toml::from_str::<ClientConfig>(&text).unwrap_err();
        let names: Vec<_> = of_serde.message().split('`').skip(3).step_by(2).collect();
        let expected = format!("{field}: unknown field: there are {}", names.join(", "));
        assert!(names.len() > 1, "{of_serde}");
        assert_eq!(error.to_string(), expected);
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
fn a_file_that_is_not_there_is_named_with_its_field() {
    let here = env!("CARGO_MANIFEST_DIR");
    let rows = [
        ("roots_file = \"none.pem\"".to_owned(), "tls.roots_file"),
        (
            "identity = { certificates_file = \"none.pem\", key_file = \"none.pem\" }".to_owned(),
            "tls.identity.certificates_file",
        ),
        (
            format!(
                "identity = {{ certificates_file = '{here}/Cargo.toml', key_file = \"none.pem\" }}"
            ),
            "tls.identity.key_file",
        ),
    ];
    for (tls, field) in rows {
        let config = toml::from_str(&format!("[tls]\n{tls}")).unwrap();
        let error = redial::from_config(config).unwrap_err().to_string();
        assert!(error.starts_with(field) && error.contains("none.pem"), "{tls}: {error}");
    }
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
