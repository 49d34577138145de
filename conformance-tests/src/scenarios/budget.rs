//! How much load retries may add.

use redial_engine::{Backoff, Budget, Jitter, Reason, StandardPolicyBuilder};

use super::{millis, ok, reply, seconds, status};
use crate::{Call, Count, End, Scenario, Script, Setup, Sighting, Url, Waited};

pub(super) fn all() -> Vec<Scenario> {
    vec![
        scenario("empty", &["R-G-1", "R-D-9"], "a refused retry gives up at once")
            .origin(Script::replies([status(503)]))
            .setup(|setup| Setup { budget: Budget::EMPTY, ..setup })
            .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted))
            .sees_requests(1),
        scenario("is-shared", &["R-G-1"], "the calls to one origin share it")
            .origin(Script::requests(vec![]).otherwise(reply(&status(503))))
            .setup(three_retries)
            .call(failing(2).gives_up(Reason::AttemptsExhausted))
            .call(failing(2).gives_up(Reason::AttemptsExhausted))
            .call(failing(2).gives_up(Reason::AttemptsExhausted))
            .call(failing(1).gives_up(Reason::BudgetExhausted))
            .call(failing(1).gives_up(Reason::BudgetExhausted))
            .sees_requests(8),
        scenario("is-of-an-origin", &["R-G-1"], "another origin has its own")
            .origin(Script::requests(vec![]).otherwise(reply(&status(503))))
            .origin(Script::replies([status(503), ok()]))
            .setup(three_retries)
            .call(Call::get("/").comes_to([503; 4]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").to(Url::Of(1, "/".into())).comes_to([503, 200])),
        scenario("takes-nothing-for-a-success", &["R-G-1"], "calls that succeed cost nothing")
            .origin(
                Script::requests(vec![reply(&ok()), reply(&ok()), reply(&ok())])
                    .otherwise(reply(&status(503))),
            )
            .setup(three_retries)
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([503; 4]).gives_up(Reason::BudgetExhausted)),
        scenario("grows-with-the-calls", &["R-G-1"], "each call deposits its share when it begins")
            .origin(Script::requests(vec![reply(&ok()); 5]).otherwise(reply(&status(503))))
            .setup(|setup| Setup { budget: budget(1, 200), ..setup })
            // The only token goes with the first of these; five calls bring one back.
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([200]))
            .call(Call::get("/").comes_to([503, 503]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").comes_to([503, 503]).gives_up(Reason::BudgetExhausted)),
        scenario(
            "not-charged-for-a-post",
            &["R-G-1", "R-D-9"],
            "what is not repeated costs nothing",
        )
        .origin(Script::requests(vec![]).otherwise(reply(&status(503))))
        .setup(three_retries)
        .call(Call::post("/", "x").comes_to([503]).gives_up(Reason::NotRepeatable))
        .call(Call::post("/", "x").comes_to([503]).gives_up(Reason::NotRepeatable))
        .call(Call::get("/").comes_to([503; 4]).gives_up(Reason::BudgetExhausted)),
        scenario("preset-of-grpc", &["R-G-2"], "every failure counts, and half is the threshold")
            .origin(Script::requests(vec![]).otherwise(reply(&status(503))))
            .setup(|setup| Setup { budget: grpc(4), ..setup })
            .call(Call::get("/").comes_to([503, 503]).gives_up(Reason::BudgetExhausted))
            .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted)),
        scenario(
            "preset-of-grpc-gives-back",
            &["R-G-2"],
            "each success gives back its share, once",
        )
        .origin(Script::replies([503, 200, 503, 200, 503].map(status)))
        .setup(|setup| Setup { budget: Budget::grpc(4, 500).unwrap_or(Budget::EMPTY), ..setup })
        .call(Call::get("/").comes_to([503, 200]))
        .call(Call::get("/").comes_to([503, 200]))
        .call(Call::get("/").comes_to([503]).gives_up(Reason::BudgetExhausted)),
        scenario("preset-of-nothing", &["R-G-2"], "unlimited is unlimited")
            .origin(Script::requests(vec![]).otherwise(reply(&status(503))))
            .setup(|setup| {
                let policy = |it: StandardPolicyBuilder| {
                    it.max_attempts(130).backoff(Backoff::fixed(millis(1)).jitter(Jitter::None))
                };
                Setup { budget: Budget::UNLIMITED, ..setup.policy(policy) }
            })
            .call(
                Call::get("/")
                    .comes_to([503; 130])
                    .waits([Waited::backoff(millis(1), millis(1)); 129])
                    .gives_up(Reason::AttemptsExhausted),
            ),
        scenario("preset-of-the-standard", &["R-G-1"], "a burst of a hundred, and no more at once")
            .origin(Script::requests(vec![]).otherwise(reply(&status(503))))
            .setup(|setup| {
                setup.policy(|it| {
                    it.max_attempts(1000).backoff(Backoff::fixed(millis(1)).jitter(Jitter::None))
                })
            })
            .call(Call::get("/").somehow(End::status(503)).takes(millis(0), seconds(15)))
            // A hundred, and ten for each second that they take.
            .sees(Sighting::RequestCount { origin: 0, count: Count::AtLeast(100) })
            .sees(Sighting::RequestCount { origin: 0, count: Count::AtMost(250) }),
    ]
}

/// gRPC's throttling with so many tokens, a tenth of one back for each success.
fn grpc(tokens: u32) -> Budget {
    Budget::grpc(tokens, 100).unwrap_or(Budget::UNLIMITED)
}

fn scenario(name: &str, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("budget/{name}"), requirements, title)
}

/// A call that fails so often, and may be repeated once.
fn failing(times: usize) -> Call {
    Call::get("/").max_attempts(2).comes_to(vec![503_u16; times])
}

/// Room for three retries, and no more to come.
fn three_retries(setup: Setup) -> Setup {
    Setup { budget: budget(3, 0), ..setup }
}

/// So many tokens, and so many thousandths of one for each call; nothing comes back with time.
fn budget(capacity: u32, deposit_milli: u32) -> Budget {
    let budget = Budget::builder().capacity(capacity).deposit_milli(deposit_milli);
    // A budget that makes no sense would let every retry pass, and the scenario fail.
    budget.refill_per_second(0).build().unwrap_or(Budget::UNLIMITED)
}
