//! Limits on the time of an attempt and of a call.

use core::time::Duration;

use redial_engine::{Delivery, FailureKind, Reason};

use super::{await_close, millis, ok, reply, seconds, status};
use crate::{Call, End, Scenario, Script, Step};

pub(super) fn all() -> Vec<Scenario> {
    let groups = [attempt_timeouts(), deadlines(), extremes()];
    groups.into_iter().flatten().collect()
}

fn scenario(name: &str, requirements: &[&'static str], title: &str) -> Scenario {
    Scenario::new(format!("deadlines/{name}"), requirements, title)
}

/// The limit of these rows: far above what a call takes, far below the other timeouts.
const LIMIT: Duration = millis(500);

/// When a call that is cut off by [`LIMIT`] must be over, on a machine that is busy.
const SOON: Duration = seconds(3);

fn attempt_timeouts() -> Vec<Scenario> {
    let cut = (FailureKind::AttemptTimeout, Delivery::Unknown);
    vec![
        scenario("attempt-timeout", &["R-T-5"], "an attempt that takes too long is another's turn")
            .origin(Script::requests(vec![vec![await_close()], reply(&ok())]))
            .setup(patient)
            .call(Call::get("/").attempt_timeout(LIMIT).then(cut).then(200).takes(LIMIT, SOON)),
        scenario(
            "attempt-timeout-in-the-body",
            &["R-T-5", "R-D-8"],
            "the body of a buffered response is part of its attempt",
        )
        .origin(Script::requests(vec![half_a_body(), reply(&ok())]))
        .setup(patient)
        .call(
            Call::get("/")
                .attempt_timeout(LIMIT)
                .then((FailureKind::AttemptTimeout, Delivery::Answered))
                .then(200)
                .takes(LIMIT, SOON),
        ),
        scenario(
            "attempt-timeout-for-each",
            &["R-T-5", "R-D-3"],
            "every attempt has its own, and an attempt that timed out is retried",
        )
        .origin(Script::requests(vec![vec![await_close()]; 3]))
        .setup(patient)
        .call(
            Call::get("/")
                .attempt_timeout(millis(300))
                .max_attempts(3)
                .comes_to([FailureKind::AttemptTimeout; 3])
                .gives_up(Reason::AttemptsExhausted)
                .takes(millis(900), seconds(5)),
        ),
        scenario(
            "attempt-timeout-of-the-policy",
            &["R-T-5"],
            "the policy's holds where a call has none",
        )
        .origin(Script::requests(vec![vec![await_close()], reply(&ok())]))
        .setup(|setup| patient(setup).policy(|policy| policy.attempt_timeout(LIMIT)))
        .call(Call::get("/").then(cut).then(200).takes(LIMIT, SOON)),
    ]
}

/// With silences that no row here waits for.
fn patient(setup: crate::Setup) -> crate::Setup {
    setup.timeouts(|timeouts| timeouts.read = seconds(10))
}

fn half_a_body() -> Vec<Step> {
    let half = crate::Reply::status(200).header("content-length", "10").body("half").raw();
    vec![half.step(), await_close()]
}

fn deadlines() -> Vec<Scenario> {
    vec![
        scenario("cuts-an-attempt", &["R-T-5"], "the deadline cuts an attempt, and says so")
            .origin(Script::requests(vec![vec![await_close()]]))
            .setup(patient)
            .call(
                Call::get("/")
                    .timeout(LIMIT)
                    .comes_to([(FailureKind::Deadline, Delivery::Unknown)])
                    .gives_up(Reason::DeadlineWouldPass)
                    .takes(LIMIT, SOON),
            ),
        scenario("cuts-a-second-attempt", &["R-T-5"], "it is of the call, not of each attempt")
            .origin(Script::requests(vec![
                vec![Step::Pause(millis(200)), status(503).step()],
                vec![await_close()],
            ]))
            .setup(patient)
            .call(
                Call::get("/")
                    .timeout(millis(1500))
                    .then(503)
                    .then((FailureKind::Deadline, Delivery::Unknown))
                    .gives_up(Reason::DeadlineWouldPass)
                    .ends(End::status(503))
                    .takes(millis(1500), seconds(6)),
            ),
        scenario("is-before-the-attempts-own", &["R-T-5"], "whichever comes first")
            .origin(Script::requests(vec![vec![await_close()]]))
            .setup(patient)
            .call(
                Call::get("/")
                    .timeout(LIMIT)
                    .attempt_timeout(seconds(8))
                    .comes_to([FailureKind::Deadline])
                    .gives_up(Reason::DeadlineWouldPass)
                    .takes(LIMIT, SOON),
            ),
        scenario(
            "begins-no-wait",
            &["R-T-5", "R-D-9"],
            "a wait that would end after it is not begun",
        )
        .origin(Script::replies([status(503)]))
        .setup(|setup| setup.base_wait(seconds(30)))
        .call(
            Call::get("/")
                .timeout(seconds(10))
                .comes_to([503])
                .gives_up(Reason::DeadlineWouldPass)
                .takes(Duration::ZERO, seconds(5)),
        ),
        scenario("of-the-policy", &["R-T-5"], "the policy's holds where a call has none")
            .origin(Script::requests(vec![vec![await_close()]]))
            .setup(|setup| patient(setup).policy(|policy| policy.call_timeout(LIMIT)))
            .call(
                Call::get("/")
                    .comes_to([FailureKind::Deadline])
                    .gives_up(Reason::DeadlineWouldPass)
                    .takes(LIMIT, SOON),
            ),
        scenario("holds-in-the-body", &["R-T-5"], "it holds while a streamed body is read")
            .origin(Script::requests(vec![half_a_body()]))
            .setup(patient)
            .call(
                Call::get("/")
                    .streaming()
                    .timeout(LIMIT)
                    .comes_to([200])
                    .ends(End::Body(vec![FailureKind::Deadline]))
                    .takes(LIMIT, SOON),
            ),
    ]
}

/// R-T-8: zero is "at once", too large is "never".
fn extremes() -> Vec<Scenario> {
    vec![
        scenario("zero", &["R-T-8"], "a deadline already past gives up without an attempt")
            .origin(Script::requests(vec![]))
            .call(
                Call::get("/")
                    .timeout(Duration::ZERO)
                    .gives_up(Reason::DeadlineWouldPass)
                    .ends(End::error(FailureKind::Deadline)),
            )
            .sees_connections(0),
        scenario("never", &["R-T-8"], "a time too long for the clock never ends")
            .origin(Script::replies([status(503), ok()]))
            .setup(|setup| {
                setup.timeouts(|timeouts| {
                    timeouts.connect = Duration::MAX;
                    timeouts.read = Duration::MAX;
                    timeouts.write = Duration::MAX;
                    timeouts.pool = Duration::MAX;
                })
            })
            .call(
                Call::get("/")
                    .timeout(Duration::MAX)
                    .attempt_timeout(Duration::MAX)
                    .comes_to([503, 200]),
            ),
        scenario(
            "zero-for-an-attempt",
            &["R-T-8"],
            "an attempt that may take no time is at its end",
        )
        .origin(Script::requests(vec![]).otherwise(vec![ok().step()]))
        .call(
            Call::get("/")
                .attempt_timeout(Duration::ZERO)
                .max_attempts(2)
                .comes_to([FailureKind::AttemptTimeout; 2])
                .gives_up(Reason::AttemptsExhausted)
                .takes(Duration::ZERO, SOON),
        )
        .sees_requests(0),
        scenario(
            "zero-for-connecting",
            &["R-T-8"],
            "no server is near enough to connect in no time",
        )
        .origin(Script::requests(vec![]).otherwise(vec![ok().step()]))
        .setup(|setup| setup.timeouts(|timeouts| timeouts.connect = Duration::ZERO))
        .call(
            Call::get("/")
                .max_attempts(1)
                .comes_to([(FailureKind::ConnectTimeout, Delivery::Unsent)])
                .gives_up(Reason::AttemptsExhausted)
                .takes(Duration::ZERO, SOON),
        )
        .sees_requests(0),
        scenario("zero-for-reading", &["R-T-8"], "or to answer in none")
            .origin(Script::requests(vec![]).otherwise(vec![ok().step()]))
            .setup(|setup| setup.timeouts(|timeouts| timeouts.read = Duration::ZERO))
            .call(
                Call::get("/")
                    .max_attempts(1)
                    .comes_to([FailureKind::ReadTimeout])
                    .gives_up(Reason::AttemptsExhausted)
                    .takes(Duration::ZERO, SOON),
            ),
    ]
}
