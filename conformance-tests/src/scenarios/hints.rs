//! What a server asks for beside its status: how long to wait, and whether to come back at all.

use redial_engine::{HintRules, Reason};

use super::{millis, ok, seconds, status};
use crate::{Call, End, Reply, Scenario, Script, Setup, Waited};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [heeded(), forms(), dates(), statuses(), limits(), opt_in(), should_retry()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: impl AsRef<str>, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("hints/{}", name.as_ref()), requirements, title)
}

/// A busy server that says this of its own accord.
fn busy(name: &str, value: &str) -> Reply {
    status(503).header(name, value)
}

/// R-RA-1: a hint replaces backoff.
fn heeded() -> Vec<Scenario> {
    vec![
        scenario("seconds-on-503", &["R-RA-1"], "the wait is what the server said")
            .origin(Script::replies([busy("retry-after", "1"), ok()]))
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))])),
        scenario("seconds-on-429", &["R-RA-1"], "the wait is what the server said")
            .origin(Script::replies([status(429).header("retry-after", "1"), ok()]))
            .call(Call::get("/").comes_to([429, 200]).waits([Waited::hinted(seconds(1))])),
        scenario("shorter-than-backoff", &["R-RA-1"], "it is not the larger of the two")
            .origin(Script::replies([busy("retry-after", "1"), ok()]))
            .setup(|setup| setup.base_wait(seconds(4)))
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))])),
        scenario("backoff-goes-on-after-it", &["R-RA-1", "R-B-1"], "a hint counts as a retry")
            .origin(Script::replies([busy("retry-after-ms", "60"), status(503), ok()]))
            .setup(milliseconds)
            .call(
                Call::get("/")
                    .comes_to([503, 503, 200])
                    .waits([Waited::hinted(millis(60)), Waited::backoff(millis(32), millis(40))]),
            ),
    ]
}

/// With `retry-after-ms` switched on.
fn milliseconds(setup: Setup) -> Setup {
    Setup { hints: HintRules::DEFAULT.retry_after_ms(true), ..setup }
}

/// A setup under which every hint is beyond the cap, so that nothing waits for one.
fn impatient(setup: Setup) -> Setup {
    setup.policy(|policy| policy.retry_after_max(millis(400)))
}

/// R-RA-2, R-RA-7: what is a hint, told by whether the call gives up over it.
fn forms() -> Vec<Scenario> {
    let hints = [
        ("plain", "1"),
        ("padded", "  7  "),
        ("zeros-before", "007"),
        ("twenty-digits", "99999999999999999999"),
        ("two-to-the-64", "18446744073709551616"),
    ];
    let taken = hints.map(|(name, value)| {
        scenario(format!("form-{name}"), &["R-RA-2", "R-RA-6", "R-RA-7"], "this is a hint")
            .origin(Script::replies([busy("retry-after", value)]))
            .setup(impatient)
            .call(gives_up_over_it())
    });
    let long = scenario("form-a-thousand-digits", &["R-RA-7"], "numbers of any length saturate")
        .origin(Script::replies([busy("retry-after", &"9".repeat(1000))]))
        .setup(impatient)
        .call(gives_up_over_it());
    let none = [
        ("negative", "-1"),
        ("signed", "+1"),
        ("fraction", "1.5"),
        ("unit", "1s"),
        ("list", "1, 2"),
        ("empty", ""),
        ("word", "soon"),
        ("hexadecimal", "0x10"),
        ("exponent", "1e3"),
        ("half-a-date", "Sun, 06 Nov 1994"),
        ("date-without-zone", "Sun, 06 Nov 2094 08:49:37"),
    ];
    let ignored = none.map(|(name, value)| {
        scenario(format!("no-form-{name}"), &["R-RA-2"], "this is no hint: ordinary backoff")
            .origin(Script::replies([busy("retry-after", value), ok()]))
            .setup(impatient)
            .call(Call::get("/").comes_to([503, 200]))
    });
    let zero = scenario("zero", &["R-RA-4"], "zero says nothing of how long to wait")
        .origin(Script::replies([busy("retry-after", "0"), ok()]))
        .call(Call::get("/").comes_to([503, 200]));
    taken.into_iter().chain([long]).chain(ignored).chain([zero]).collect()
}

fn gives_up_over_it() -> Call {
    Call::get("/")
        .comes_to([503])
        .gives_up(Reason::HintBeyondCap)
        .ends(End::with(503, "no"))
        .takes(millis(0), seconds(5))
}

/// R-RA-2, R-RA-3, R-RA-4: dates, measured against the response's own.
fn dates() -> Vec<Scenario> {
    const NOW: &str = "Sun, 06 Nov 1994 08:49:37 GMT";
    let later = [
        ("imf-fixdate", "Sun, 06 Nov 1994 08:49:38 GMT"),
        ("rfc-850", "Sunday, 06-Nov-94 08:49:38 GMT"),
        ("asctime", "Sun Nov  6 08:49:38 1994"),
    ];
    let taken = later.map(|(name, date)| {
        scenario(
            format!("date-{name}"),
            &["R-RA-2", "R-RA-3"],
            "a second after the response's own date, thirty years ago, is a second",
        )
        .origin(Script::replies([busy("retry-after", date).header("date", NOW), ok()]))
        .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))]))
    });
    let past = [
        ("same", NOW, Some(NOW)),
        ("before", "Sun, 06 Nov 1994 08:49:36 GMT", Some(NOW)),
        ("long-ago-without-date", NOW, None),
        ("long-ago-with-a-bad-date", NOW, Some("yesterday")),
    ];
    let ignored = past.map(|(name, date, own)| {
        let reply = busy("retry-after", date);
        let reply = match own {
            Some(own) => reply.header("date", own),
            None => reply,
        };
        scenario(format!("date-{name}"), &["R-RA-3", "R-RA-4"], "a date not in the future is none")
            .origin(Script::replies([reply, ok()]))
            .call(Call::get("/").comes_to([503, 200]))
    });
    let wall = scenario(
        "date-against-the-wall-clock",
        &["R-RA-3"],
        "without a date of the response's own, the wall clock is what counts",
    )
    .origin(Script::replies([busy("retry-after", "Fri, 06 Nov 2099 08:49:37 GMT")]))
    .call(gives_up_over_it());
    taken.into_iter().chain(ignored).chain([wall]).collect()
}

/// R-RA-1, R-D-6: on which statuses a hint counts.
fn statuses() -> Vec<Scenario> {
    let others = [408, 500, 502, 504].map(|code| {
        scenario(format!("ignored-on-{code}"), &["R-RA-1"], "a hint counts on 429 and 503 alone")
            .origin(Script::replies([status(code).header("retry-after", "3600"), ok()]))
            .call(Call::get("/").comes_to([code, 200]))
    });
    let table = [
        scenario("table-with-500", &["R-RA-1", "R-D-6"], "a status that a user adds counts")
            .origin(Script::replies([status(500).header("retry-after", "3600")]))
            .setup(|setup| setup.policy(|policy| policy.heed_hint_on(500)))
            .call(Call::get("/").comes_to([500]).gives_up(Reason::HintBeyondCap)),
        scenario("table-without-503", &["R-RA-1", "R-D-6"], "one that a user removes does not")
            .origin(Script::replies([busy("retry-after", "3600"), ok()]))
            .setup(|setup| setup.policy(|policy| policy.ignore_hint_on(503)))
            .call(Call::get("/").comes_to([503, 200])),
        scenario("on-a-final-status", &["R-RA-1", "R-D-2"], "a hint makes no status retried")
            .origin(Script::replies([status(404).header("retry-after", "1")]))
            .call(Call::get("/").comes_to([404])),
    ];
    others.into_iter().chain(table).collect()
}

/// R-RA-5, R-RA-6, R-RA-9: several hints, and hints that are too long.
fn limits() -> Vec<Scenario> {
    let several = busy("retry-after", "1").header("retry-after", "3600");
    let garbage = busy("retry-after", "soon").header("retry-after", "1");
    vec![
        scenario("longest-of-several", &["R-RA-5"], "the longest valid line counts")
            .origin(Script::replies([several]))
            .call(gives_up_over_it()),
        scenario("garbage-beside-it", &["R-RA-5"], "garbage beside a hint is ignored")
            .origin(Script::replies([garbage, ok()]))
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))])),
        scenario("beyond-the-cap", &["R-RA-6", "R-C-4"], "an hour is more than five minutes")
            .origin(Script::replies([busy("retry-after", "3600")]))
            .call(gives_up_over_it()),
        scenario("at-the-cap", &["R-RA-6"], "the cap itself is not beyond it")
            .origin(Script::replies([busy("retry-after", "1"), ok()]))
            .setup(|setup| setup.policy(|policy| policy.retry_after_max(seconds(1))))
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))])),
        scenario(
            "past-the-deadline",
            &["R-RA-6", "R-T-5"],
            "no sleep that ends after the deadline",
        )
        .origin(Script::replies([busy("retry-after", "30")]))
        .call(
            Call::get("/")
                .timeout(seconds(10))
                .comes_to([503])
                .gives_up(Reason::DeadlineWouldPass)
                .takes(millis(0), seconds(5)),
        ),
        scenario("for-ever", &["R-RA-9"], "a server that asks for ever is asked five times")
            .origin(Script::requests(vec![]).otherwise(super::reply(&busy("retry-after-ms", "30"))))
            .setup(milliseconds)
            .call(
                Call::get("/")
                    .comes_to([503; 5])
                    .waits([Waited::hinted(millis(30)); 4])
                    .gives_up(Reason::AttemptsExhausted),
            )
            .sees_requests(5),
        scenario("for-ever-until-the-deadline", &["R-RA-9", "R-T-5"], "and not past the deadline")
            .origin(Script::requests(vec![]).otherwise(super::reply(&busy("retry-after", "1"))))
            .call(
                Call::get("/")
                    .timeout(millis(1700))
                    .comes_to([503, 503])
                    .waits([Waited::hinted(seconds(1))])
                    .gives_up(Reason::DeadlineWouldPass),
            )
            .sees_requests(2),
    ]
}

/// R-RA-8: hints that have to be switched on.
fn opt_in() -> Vec<Scenario> {
    let limit = |value: &str| busy("ratelimit", value);
    vec![
        scenario("milliseconds-off", &["R-RA-8"], "retry-after-ms is no hint by default")
            .origin(Script::replies([busy("retry-after-ms", "3600000"), ok()]))
            .call(Call::get("/").comes_to([503, 200])),
        scenario("milliseconds", &["R-RA-8"], "retry-after-ms is a hint where it is switched on")
            .origin(Script::replies([busy("retry-after-ms", "60"), ok()]))
            .setup(milliseconds)
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(millis(60))])),
        scenario("milliseconds-of-microsoft", &["R-RA-8"], "so is x-ms-retry-after-ms")
            .origin(Script::replies([busy("x-ms-retry-after-ms", "60"), ok()]))
            .setup(milliseconds)
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(millis(60))])),
        scenario("milliseconds-win", &["R-RA-8"], "milliseconds win over Retry-After")
            .origin(Script::replies([
                busy("retry-after", "3600").header("retry-after-ms", "60"),
                ok(),
            ]))
            .setup(milliseconds)
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(millis(60))])),
        scenario("rate-limit-off", &["R-RA-8"], "RateLimit is no hint by default")
            .origin(Script::replies([limit("\"default\";r=0;t=3600"), ok()]))
            .call(Call::get("/").comes_to([503, 200])),
        scenario("rate-limit", &["R-RA-8"], "RateLimit with nothing left is one where switched on")
            .origin(Script::replies([limit("\"default\";r=0;t=1"), ok()]))
            .setup(rate_limit)
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))])),
        scenario("rate-limit-with-some-left", &["R-RA-8"], "RateLimit with some left is none")
            .origin(Script::replies([limit("\"default\";r=5;t=3600"), ok()]))
            .setup(rate_limit)
            .call(Call::get("/").comes_to([503, 200])),
        scenario("rate-limit-comes-last", &["R-RA-8"], "Retry-After wins over RateLimit")
            .origin(Script::replies([
                limit("\"default\";r=0;t=3600").header("retry-after", "1"),
                ok(),
            ]))
            .setup(rate_limit)
            .call(Call::get("/").comes_to([503, 200]).waits([Waited::hinted(seconds(1))])),
        scenario("spread", &["R-RA-8"], "a spread adds to a hint, and takes nothing from it")
            .origin(Script::replies([busy("retry-after-ms", "100"), ok()]))
            .setup(|setup| milliseconds(setup).policy(|policy| policy.retry_after_spread(50)))
            .call(
                Call::get("/")
                    .comes_to([503, 200])
                    .waits([Waited::hinted_between(millis(100), millis(150))]),
            ),
    ]
}

fn rate_limit(setup: Setup) -> Setup {
    Setup { hints: HintRules::DEFAULT.rate_limit(true), ..setup }
}

/// R-D-10: the server says whether another attempt makes sense.
fn should_retry() -> Vec<Scenario> {
    let on = |setup| Setup { hints: HintRules::DEFAULT.should_retry(true), ..setup };
    let mut rows = vec![
        scenario("should-retry-off", &["R-D-10"], "by default nobody listens to x-should-retry")
            .origin(Script::replies([busy("x-should-retry", "false"), ok()]))
            .call(Call::get("/").comes_to([503, 200])),
        scenario("should-retry-on-200", &["R-D-10"], "it counts from status 400 on")
            .origin(Script::replies([ok().header("x-should-retry", "true")]))
            .setup(on)
            .call(Call::get("/").comes_to([200])),
        scenario("should-retry-a-post", &["R-D-10", "R-D-4"], "it does not override the method")
            .origin(Script::replies([busy("x-should-retry", "true")]))
            .setup(on)
            .call(Call::post("/", "x").comes_to([503]).gives_up(Reason::NotRepeatable)),
    ];
    for name in ["x-should-retry", "stripe-should-retry"] {
        rows.push(
            scenario(format!("{name}-no"), &["R-D-10"], "the server said no: no other attempt")
                .origin(Script::replies([busy(name, "false")]))
                .setup(on)
                .call(Call::get("/").comes_to([503])),
        );
        rows.push(
            scenario(format!("{name}-yes"), &["R-D-10"], "the server said yes to a final status")
                .origin(Script::replies([status(409).header(name, "true"), ok()]))
                .setup(on)
                .call(Call::get("/").comes_to([409, 200])),
        );
    }
    rows
}
