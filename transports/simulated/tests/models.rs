//! Server models and fleets: what they answer, and that a seed fixes it.
#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use core::time::Duration;

use proptest::prelude::*;
use redial_engine::{Delivery, FailureKind, Outcome, ServerHint, Timestamp};
use redial_sim::Seed;
use redial_sim::fleet::{self, Answer, Scenario, Server, Serving};

fn server(written: &str) -> Server {
    let scenario = format!(
        "title = 't'\nduration = '1s'\nload = {{ rate = 1.0 }}\ncontender = [{{ name = 'c' }}]\n[server]\n{written}"
    );
    Scenario::from_toml(&scenario).expect("a scenario that makes sense").server
}

fn at(milliseconds: u64) -> Timestamp {
    Timestamp::from_nanos(milliseconds * 1_000_000)
}

/// What requests are answered that arrive at these milliseconds, and when.
fn answers(written: &str, arrivals: &[u64]) -> Vec<(Option<u64>, Outcome)> {
    let model = server(written);
    let mut serving = Serving::new(&model, Seed(1).stream("server"));
    let shown = |Answer { at, outcome, .. }: Answer| {
        let at = (at != Timestamp::MAX).then(|| at.as_nanos() / 1_000_000);
        (at, outcome)
    };
    arrivals.iter().map(|arrives| shown(serving.arrive(at(*arrives), 1))).collect()
}

const OK: Outcome = Outcome::status(200);
const BUSY: Outcome = Outcome::status(503);

#[test]
fn an_ideal_server_answers_at_once() {
    assert_eq!(answers("", &[0, 0, 7]), [(Some(0), OK), (Some(0), OK), (Some(7), OK)]);
}

#[test]
fn requests_wait_for_a_worker_in_the_order_in_which_they_came() {
    let one = "workers = 1\nservice = { fixed = '10ms' }";
    assert_eq!(answers(one, &[0, 1, 2, 100]).map(Option::unwrap_or_default), [10, 20, 30, 110]);
    let two = "workers = 2\nservice = { fixed = '10ms' }";
    assert_eq!(answers(two, &[0, 1, 2, 3]).map(Option::unwrap_or_default), [10, 11, 20, 21]);
}

/// The times alone.
trait Times {
    fn map<T>(self, each: impl Fn(Option<u64>) -> T) -> Vec<T>;
}

impl Times for Vec<(Option<u64>, Outcome)> {
    fn map<T>(self, each: impl Fn(Option<u64>) -> T) -> Vec<T> {
        self.into_iter().map(|(at, _)| each(at)).collect()
    }
}

#[test]
fn a_full_queue_is_answered_503() {
    let model = "workers = 1\nqueue = 2\nservice = { fixed = '10ms' }";
    let expected =
        [(Some(10), OK), (Some(20), OK), (Some(30), OK), (Some(0), BUSY), (Some(40), OK)];
    assert_eq!(answers(model, &[0, 0, 0, 0, 10]), expected);
}

#[test]
fn others_make_a_request_slower() {
    let model = "service = { fixed = '100ms' }\nslowdown = '10ms'";
    assert_eq!(
        answers(model, &[0, 0, 0, 500]).map(Option::unwrap_or_default),
        [100, 110, 120, 600]
    );
}

#[test]
fn each_fault_has_its_window() {
    let window =
        |kind: &str| format!("faults = [{{ kind = '{kind}', from = '10ms', until = '20ms' }}]");
    let refused = Outcome::failure(FailureKind::Connect, Delivery::Unsent);
    for (kind, meets) in [
        ("errors", (Some(10), BUSY)),
        ("stalls", (Some(20), OK)),
        ("refuses", (Some(10), refused)),
        ("silent", (None, OK)),
    ] {
        let around = [(Some(9), OK), meets, (Some(20), OK)];
        assert_eq!(answers(&window(kind), &[9, 10, 20]), around, "{kind}");
    }
}

#[test]
fn an_error_has_a_status_a_share_and_a_hint() {
    let model = "faults = [{ kind = 'errors', from = '0s', until = '10s', status = 500, \
                 permille = 250, retry_after = '3s' }]";
    let hinted = Outcome::hinted(500, ServerHint::NONE.after(Duration::from_secs(3)));
    let all = answers(model, &[1; 10_000]);
    let hit = all.iter().filter(|(_, outcome)| *outcome == hinted).count();
    assert!((2_300..2_700).contains(&hit), "{hit} of 10,000");
    assert!(all.iter().all(|(_, outcome)| [hinted, OK].contains(outcome)));
}

#[test]
fn a_stalled_server_works_off_what_has_come_meanwhile() {
    let model = "workers = 1\nservice = { fixed = '10ms' }\n\
                 faults = [{ kind = 'stalls', from = '5ms', until = '100ms' }]";
    assert_eq!(
        answers(model, &[0, 20, 30, 150]).map(Option::unwrap_or_default),
        [10, 110, 120, 160]
    );
}

#[test]
fn a_limit_says_when_its_window_ends() {
    let model = "rate_limit = { requests = 2, per = '10s' }";
    let limited =
        |seconds| Outcome::hinted(429, ServerHint::NONE.after(Duration::from_secs(seconds)));
    let expected = [
        (Some(0), OK),
        (Some(1), OK),
        (Some(2), limited(10)),
        (Some(9_500), limited(1)),
        (Some(10_000), OK),
    ];
    assert_eq!(answers(model, &[0, 1, 2, 9_500, 10_000]), expected);
}

#[test]
fn after_a_fault_work_is_slow_at_first() {
    let model = "service = { fixed = '100ms' }\nslow_start = { from_percent = 10, over = '10s' }\n\
                 faults = [{ kind = 'refuses', from = '1s', until = '2s' }]";
    let took: Vec<u64> = [0, 2_000, 7_000, 12_000]
        .into_iter()
        .zip(answers(model, &[0, 2_000, 7_000, 12_000]).map(Option::unwrap_or_default))
        .map(|(arrived, left)| left - arrived)
        .collect();
    // At 10 %, at 55 %, and at full speed.
    assert_eq!(took, [100, 1_000, 181, 100]);
}

#[test]
fn what_makes_no_sense_is_refused_and_the_place_is_said() {
    let whole =
        "title = 't'\nduration = '1s'\nload = { rate = 1.0 }\ncontender = [{ name = 'c' }]\n";
    let server = |model: &str| format!("{whole}[server]\n{model}");
    let load = |load: &str| whole.replace("rate = 1.0", load);
    for (wrong, said) in [
        (whole.replace("title", "titel"), "line 1, column 1"),
        (whole.replace("'t'", "''"), "title"),
        (whole.replace("'t'", "\"two\\nlines\""), "title"),
        (server("worker = 1"), "line 6, column 1"),
        (server("workers = 0"), "server.workers"),
        (server("workers = 4_000_000_000"), "server.workers"),
        (server("queue = 1"), "server.queue"),
        (server("service = { uniform = { from = '2s', to = '1s' } }"), "server.service.uniform"),
        (server("network = { log_normal = { median = '1s', sigma = nan } }"), "sigma"),
        (server("rate_limit = { requests = 1, per = '0s' }"), "server.rate_limit"),
        (server("slow_start = { from_percent = 0, over = '1s' }"), "slow_start"),
        (server("faults = [{ kind = 'odd', from = '1s', until = '2s' }]"), "odd"),
        (server("faults = [{ kind = 'silent', from = '2s', until = '1s' }]"), "ends"),
        (
            server("faults = [{ kind = 'stalls', status = 500, from = '1s', until = '2s' }]"),
            "go with errors",
        ),
        (
            server("faults = [{ kind = 'errors', status = 100, from = '1s', until = '2s' }]"),
            "200 to 999",
        ),
        (
            server(
                "faults = [{ kind = 'refuses', from = '2s', until = '4s' },
                           { kind = 'silent', from = '1s', until = '3s' }]",
            ),
            "two windows overlap",
        ),
        (whole.replace("'1s'", "'0s'"), "duration"),
        (whole.replace("'1s'", "'1000y'"), "duration"),
        (load("rate = -1.0"), "rate"),
        (load("rate = nan"), "rate"),
        (load("rate = -0.0"), "rate"),
        (load("rate = 1e7").replace("'1s'", "'1day'"), "10,000,000,000 calls"),
        (load("rat = 1.0"), "load"),
        (load("every = '0s'"), "load.every"),
        (load("rate = 1.0, spikes = [{ from = '2s', until = '1s', rate = 1.0 }]"), "ends"),
        (
            load(
                "rate = 1.0, spikes = [{ from = '1s', until = '3s', rate = 1.0 },
                                       { from = '2s', until = '4s', rate = 2.0 }]",
            ),
            "two overlap",
        ),
        (whole.replace("[{ name = 'c' }]", "[]"), "contender"),
        (whole.replace("'c' }", "'c' }, { name = 'c' }"), "same name"),
        (whole.replace("'c'", "'c', policy = { max_attempts = 0 }"), "0 attempts"),
        (whole.replace("'c'", "'c', policy = { max_attempts = 1001 }"), "at most 1,000"),
        (whole.replace("'c'", "'c', policy = { tries = 1 }"), "tries"),
        (whole.replace("'c'", "'c', timeouts = { read = '1000y' }"), "timeouts.read"),
        (whole.replace("'c'", "' '"), "contender.name"),
        (format!("clients = 0\n{whole}"), "clients"),
    ] {
        let error = Scenario::from_toml(&wrong).expect_err(&wrong).to_string();
        assert!(error.contains(said), "{error}");
        assert!(!error.contains('\n'), "one line: {error}");
    }
}

#[test]
fn stalls_that_follow_on_each_other_are_one_in_whatever_order() {
    let model = "service = { fixed = '1ms' }\n\
                 faults = [{ kind = 'stalls', from = '20ms', until = '30ms' },\
                           { kind = 'stalls', from = '10ms', until = '20ms' }]";
    assert_eq!(answers(model, &[9, 15, 30]), [(Some(10), OK), (Some(31), OK), (Some(31), OK)]);
}

#[test]
fn a_run_in_which_time_stands_still_is_broken_off() {
    let scenario = Scenario::from_toml(
        r#"
        title = "refused at once, again and again"
        duration = "5s"
        load = { every = "0s" }
        contender = [{ name = "no retry", policy = { max_attempts = 1 } }]
        [server]
        service = { fixed = "10ms" }
        faults = [{ kind = "errors", from = "1s", until = "2s" }]
        "#,
    )
    .expect("a scenario that makes sense");
    let report = fleet::run(&scenario, &scenario.contenders[0], Seed(1), &mut |_| {});
    let violation = report.violation.expect("no end").to_string();
    assert!(violation.starts_with("at 1s"), "{violation}");
    assert!(violation.contains("in one instant"), "{violation}");
}

#[test]
fn limits_of_no_time_are_kept_by_who_sends_at_once_and_by_who_sends_nothing() {
    // What the contender's policy is, and how many attempts each of its calls makes (R-T-8).
    for (limits, attempts) in [
        ("attempt_timeout = '0s'", 3),
        ("attempt_timeout = '0s', call_timeout = '1h'", 3),
        ("attempt_timeout = '0s', call_timeout = '0s'", 0),
        ("call_timeout = '0s'", 0),
    ] {
        for network in ["fixed = '0s'", "fixed = '10ms'", "exponential = '10ms'"] {
            let scenario = format!(
                "title = 't'\nclients = 20\nduration = '5s'\nload = {{ rate = 40.0 }}\n\
                 [server]\nnetwork = {{ {network} }}\nservice = {{ fixed = '1s' }}\n\
                 [[contender]]\nname = 'c'\nbudget = {{ kind = 'unlimited' }}\n\
                 policy = {{ max_attempts = 3, {limits} }}"
            );
            let scenario = Scenario::from_toml(&scenario).expect("a scenario that makes sense");
            let report = fleet::run(&scenario, &scenario.contenders[0], Seed(1), &mut |_| {});
            let totals = report.totals;
            assert_eq!(report.violation, None, "{limits}, {network}");
            assert!(totals.calls > 100 && totals.succeeded == 0, "{limits}, {network}: {totals:?}");
            assert_eq!(totals.attempts, totals.calls * attempts, "{limits}, {network}");
        }
    }
}

/// A little of everything.
fn mixed(clients: u32, duration: u64) -> Scenario {
    let scenario = format!(
        r#"
        title = "a little of everything"
        clients = {clients}
        duration = "{duration}s"
        [load]
        rate = 50.0
        spikes = [{{ from = "2s", until = "3s", rate = 300.0 }}]
        [server]
        network = {{ log_normal = {{ median = "20ms", sigma = 0.7 }} }}
        workers = 2
        queue = 30
        service = {{ normal = {{ mean = "30ms", deviation = "10ms" }} }}
        rate_limit = {{ requests = 100, per = "1s" }}
        slow_start = {{ from_percent = 20, over = "2s" }}
        faults = [
            {{ kind = "errors", from = "4s", until = "6s", permille = 500, retry_after = "1s" }},
            {{ kind = "silent", from = "6s", until = "7s" }},
            {{ kind = "refuses", from = "7s", until = "8s" }},
            {{ kind = "stalls", from = "8s", until = "9s" }},
        ]
        [[contender]]
        name = "hasty"
        [contender.policy]
        attempt_timeout = "200ms"
        call_timeout = "3s"
        backoff = {{ kind = "exponential", base = "50ms", jitter = {{ kind = "full" }} }}
        [contender.timeouts]
        read = "150ms"
        [[contender]]
        name = "careful"
        replay = "if_unsent"
        "#
    );
    Scenario::from_toml(&scenario).expect("a scenario that makes sense")
}

#[test]
fn a_seed_fixes_everything_and_contenders_meet_the_same_load() {
    let scenario = mixed(7, 12);
    let play = |contender: usize, seed| {
        fleet::run(&scenario, &scenario.contenders[contender], Seed(seed), &mut |_| {})
    };
    for contender in [0, 1] {
        let (one, same, other) = (play(contender, 1), play(contender, 1), play(contender, 2));
        assert_eq!((one.hash, one.records), (same.hash, same.records));
        assert_eq!((&one.bins, one.totals), (&same.bins, same.totals));
        assert_ne!(one.hash, other.hash);
    }
    assert_eq!(play(0, 1).totals.calls, play(1, 1).totals.calls);
    // Frozen: the same on every machine and in every profile.
    let frozen = [0xbb0e_2cbd_a1a0_3850, 0xd2b1_81e6_7745_5f3d];
    assert_eq!([play(0, 1).hash, play(1, 1).hash], frozen);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_lost_and_nothing_is_broken(seed: u64, clients in 1_u32..50) {
        let scenario = mixed(clients, 10);
        for contender in &scenario.contenders {
            let report = fleet::run(&scenario, contender, Seed(seed), &mut |_| {});
            let totals = report.totals;
            prop_assert_eq!(report.violation, None);
            prop_assert_eq!(totals.calls, totals.succeeded + totals.failed);
            prop_assert_eq!(totals.succeeded, report.latency.count());
            prop_assert!(totals.accepted <= totals.attempts && totals.calls <= totals.attempts);
            prop_assert!(report.give_ups.values().sum::<u64>() <= totals.failed);
            let begun: u64 = report.bins.iter().map(|bin| bin.calls).sum();
            prop_assert_eq!(begun, totals.calls);
        }
    }
}

#[test]
fn clients_of_a_closed_load_rest_between_their_calls() {
    let scenario = Scenario::from_toml(
        "title = 't'\nclients = 1000\nduration = '100s'\nload = { every = '10s' }\n\
         contender = [{ name = 'c' }]\n[server]\nnetwork = { fixed = '500ms' }",
    )
    .expect("a scenario that makes sense");
    let report = fleet::run(&scenario, &scenario.contenders[0], Seed(1), &mut |_| {});
    // A call takes a second and a rest ten.
    let expected = 1000.0 * 100.0 / 11.0;
    let off = report.totals.calls as f64 / expected - 1.0;
    assert!(off.abs() < 0.03, "{} calls", report.totals.calls);
    assert_eq!(report.latency.permille(500), Some(Duration::from_secs(1)));
    assert!(report.most_open <= 1000);
}
