//! The decisions of httpcore's pool, played with ours: the same, different by a requirement that is
//! named, or not a pool's to make. A case without a rule fails.
use core::time::Duration;

use redial_hyper::pool::{ConnectionId, Limits, Withdrawal};
use serde_json::{Value, json};

use crate::rig::{PLAIN, Rig, SHARE};

/// What one of httpcore's cases comes to here.
enum Case {
    /// The same: these are the fields of `expect`, from our pool.
    Same(Value),
    /// Different on purpose, by this requirement.
    Differs(&'static str, Value),
    /// Not decided by a pool.
    Elsewhere(&'static str),
}

#[test]
fn httpcore_cases() {
    let vectors: Value = serde_json::from_str(include_str!("../vectors/httpcore.json")).unwrap();
    let (mut same, mut differ, mut elsewhere) = (0, 0, 0);
    for case in vectors["cases"].as_array().unwrap() {
        let (id, expect) = (case["id"].as_str().unwrap(), &case["expect"]);
        match httpcore_case(id, case) {
            Case::Same(ours) => {
                for (field, value) in ours.as_object().unwrap() {
                    assert_eq!(&expect[field], value, "{id}: {field}");
                }
                same += 1;
            }
            Case::Differs(row, ours) => {
                for (field, value) in ours.as_object().unwrap() {
                    assert_ne!(&expect[field], value, "{id} no longer differs: {row}");
                }
                differ += 1;
            }
            Case::Elsewhere(reason) => {
                assert_ne!(reason, "", "{id}");
                elsewhere += 1;
            }
        }
    }
    assert_eq!((same, differ, elsewhere), (16, 4, 13));
}

fn httpcore_case(id: &str, case: &Value) -> Case {
    match id {
        "hc-retry-1" | "hc-retry-3" | "hc-retry-exhaust" | "hc-retry-5" | "hc-retry-tls"
        | "hc-noretry-read" | "hc-noretry-empty" => {
            Case::Elsewhere("whether and when to try again is the engine's to decide")
        }
        "hc-writeerror-response" => Case::Elsewhere("the exchange reads the early response"),
        "hc-unsupported" => Case::Elsewhere("the client refuses the scheme"),
        "hc-h2-goaway-above" | "hc-h2-goaway-zero" | "hc-h2-rst" => {
            Case::Elsewhere("the exchange says what was delivered; the engine sends again")
        }
        "httpx-hierarchy" => Case::Elsewhere("failure kinds are the engine's"),
        "hc-evict-not-lru" => Case::Differs("R-P-4: the longest idle goes first", evict_lru()),
        "hc-max-keepalive-bug" => {
            let mut rig = Rig::new(10, 1);
            let (_, b) = (rig.get("a"), rig.get("b"));
            rig.finish(b);
            let kept = if rig.closes.is_empty() { "kept" } else { "closed at once" };
            Case::Differs("R-P-2 counts idle connections", json!({ "idle_b": kept }))
        }
        "hc-closing-in-flight" => {
            let mut rig = Rig::new(10, 10);
            rig.get("a");
            rig.tell(|pool, now| pool.shutdown(now));
            let ended = if rig.closes.is_empty() { "finishes" } else { "ReadError" };
            Case::Differs("R-C-6: running calls finish", json!({ "in_flight": ended }))
        }
        "hc-defaults" => {
            let limits = Limits::default();
            let ours = json!({
                "max_connections": limits.max_connections,
                "max_keepalive": limits.max_keepalive_connections,
                "keepalive_expiry_s": limits.keepalive_expiry.map(|expiry| expiry.as_secs()),
            });
            Case::Differs("R-P-1, R-P-2, R-P-3", json!({ "httpx": ours }))
        }
        _ => Case::Same(same_as_httpcore(id, &case["given"])),
    }
}

fn evict_lru() -> Value {
    let mut rig = Rig::new(2, 2);
    for key in ["a", "b", "a"] {
        let connection = rig.get(key);
        rig.finish(connection);
    }
    rig.ask("c", PLAIN);
    let evicted = rig.keys[&rig.closes[0].0];
    json!({ "evicted": evicted, "left": rig.left() })
}

/// Plays a case with the limits it gives.
fn same_as_httpcore(id: &str, given: &Value) -> Value {
    let limit = |name: &str| given[name].as_u64().map_or(10, |limit| limit as usize);
    let (max_connections, max_keepalive_connections) =
        (limit("max_connections"), limit("max_keepalive"));
    let keepalive_expiry = given["keepalive_expiry"].as_u64().or(Some(30)).map(Duration::from_secs);
    let limits = Limits { max_connections, max_keepalive_connections, keepalive_expiry };
    let mut rig = Rig::with(limits);
    match id {
        "hc-h2-multiplex" | "hc-h2-connecting" => return http2_case(id, rig),
        "hc-connect-exception" => {
            let waiter = rig.ask("a", PLAIN);
            let connection = rig.opened_for[&waiter];
            rig.keys.clear();
            rig.tell(|pool, now| pool.open_failed(now, connection));
            assert_eq!(rig.failed, [waiter]);
            return json!({ "connections": rig.left().len() });
        }
        "hc-pool-timeout-0-ok" => {
            let held = rig.ask("a", PLAIN);
            return json!({ "ok": rig.opened_for.contains_key(&held) });
        }
        _ => {}
    }
    let a = rig.get("a");
    match id {
        "hc-keepalive" => {
            rig.finish(a);
            rig.get("a");
            let reused = rig.uses.last().is_some_and(|used| used.2);
            json!({ "connections": rig.left().len(), "reused": reused })
        }
        "hc-no-keepalive" | "hc-immediate-expiry" => {
            rig.finish(a);
            json!({ "connections": rig.left().len() })
        }
        "hc-connection-close" | "hc-unread" => {
            rig.tell(|pool, now| pool.released(now, a, false));
            json!({ "connections": rig.left().len() })
        }
        "hc-exception" => {
            rig.tell(|pool, now| pool.closing(now, a));
            rig.tell(|pool, now| pool.closed(now, a));
            rig.keys.clear();
            json!({ "connections": rig.left().len() })
        }
        "hc-idle-readable" => {
            rig.finish(a);
            rig.tell(|pool, now| pool.closed(now, a));
            let before = rig.figures().opened_total;
            rig.get("a");
            json!({ "connections_new": rig.figures().opened_total - before })
        }
        "hc-evict-idle-for-new-origin" => {
            rig.finish(a);
            rig.ask("b", PLAIN);
            json!({ "connections": rig.left() })
        }
        "hc-max-keepalive-1" => {
            let b = rig.get("b");
            rig.finish(a);
            rig.finish(b);
            json!({ "connections": rig.left().len() })
        }
        "hc-fifo-queue" => json!({ "served": serve_in_turn(&mut rig, a) }),
        "hc-pool-timeout" => {
            let waiter = rig.ask("b", PLAIN);
            rig.tell(|pool, now| assert!(pool.withdraw(now, waiter, Withdrawal::PoolTimeout)));
            let error = if rig.figures().pool_timeouts == 1 { "PoolTimeout" } else { "none" };
            json!({ "error": error, "waiters": rig.figures().waiting })
        }
        "hc-race-1110" => {
            rig.finish(a);
            let assigned = rig.get("a");
            for key in ["b", "c", "d", "e", "f", "g", "h", "i", "j", "k"] {
                rig.ask(key, PLAIN);
            }
            let spared = rig.closes.iter().all(|closed| closed.0 != assigned);
            json!({ "wanted": if spared { "never close an assigned connection" } else { "closed" } })
        }
        other => panic!("no rule for case {other}: play it, or say why not"),
    }
}

fn http2_case(id: &str, mut rig: Rig) -> Value {
    if id == "hc-h2-multiplex" {
        rig.get2("a", 100);
        rig.ask("a", SHARE);
        return json!({ "connections": rig.left().len() });
    }
    let [first, second] = [0; 2].map(|_| rig.ask("a", SHARE));
    let shared = !rig.opened_for.contains_key(&second);
    let connection = rig.opened_for[&first];
    rig.tell(|pool, now| pool.opened_http1(now, connection));
    assert!(rig.opened_for.contains_key(&second), "HTTP/1: queued again");
    json!({ "second": if shared { "assigned to the same connecting connection" } else { "" } })
}

/// Queues b, a, c behind `held`, and answers in which order they get connections.
fn serve_in_turn(rig: &mut Rig, mut held: ConnectionId) -> Vec<&'static str> {
    let queued = ["b", "a", "c"].map(|key| (rig.ask(key, PLAIN), key));
    let mut served = Vec::new();
    for _ in queued {
        rig.finish(held);
        rig.sockets_close();
        let (waiter, key) = *queued
            .iter()
            .find(|(waiter, key)| rig.opened_for.contains_key(waiter) && !served.contains(key))
            .expect("one more is served");
        held = rig.opened_for[&waiter];
        rig.tell(|pool, now| pool.opened_http1(now, held));
        served.push(key);
    }
    served
}
