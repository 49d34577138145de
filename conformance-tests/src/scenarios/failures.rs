//! Every way in which a server may fail a request, seen through one attempt: what kind of failure
//! it is, and what is known of the request reaching the server.

use crate::{
    Act, Attempted, Call, Came, Count, Scenario, Setup, Sighting, WIRE_TIMEOUT, WireEnd, WireRow,
    wire_h1, wire_h2,
};

pub(super) fn all() -> Vec<Scenario> {
    wire_h1().iter().chain(&wire_h2()).map(scenario).collect()
}

fn scenario(row: &WireRow) -> Scenario {
    let requirements = ["R-D-3", "R-D-7", "R-X-6"];
    let title = "one attempt comes to this, and the server processes it once at most";
    let scenario = Scenario::new(format!("failures/{}", row.id), &requirements, title)
        .origin(row.script.clone())
        .setup(|setup| Setup { protocol: row.protocol, ..timed(setup) });
    let before = (1..row.requests).fold(scenario, |scenario, number| {
        let call = request(row, number).comes_to([200]);
        scenario.call(call).act(Act::Rest(row.rest))
    });
    let last = request(row, row.requests).then(what_comes_of(row)).for_any_reason();
    before.call(last).sees(Sighting::Processed {
        origin: 0,
        target: target(row.requests),
        count: Count::AtMost(row.processed_at_most),
    })
}

/// With the timeouts for which the rows are timed.
fn timed(setup: Setup) -> Setup {
    setup.timeouts(|timeouts| {
        timeouts.connect = WIRE_TIMEOUT;
        timeouts.read = WIRE_TIMEOUT;
        timeouts.write = WIRE_TIMEOUT;
        timeouts.pool = WIRE_TIMEOUT;
    })
}

fn target(number: usize) -> String {
    format!("/{number}")
}

fn request(row: &WireRow, number: usize) -> Call {
    Call::post(target(number), vec![b'x'; row.upload]).max_attempts(1)
}

fn what_comes_of(row: &WireRow) -> Attempted {
    let came = |end: &WireEnd| match end {
        WireEnd::Response(status) => Came::Status(*status),
        WireEnd::Failure(failure) => Came::Failure(failure.kind, Some(failure.delivery)),
    };
    let over_reused = |end: &WireEnd| matches!(end, WireEnd::Failure(failure) if failure.reused);
    let attempted = Attempted::any_of(row.expect.iter().map(came));
    if row.expect.iter().all(over_reused) { attempted.reused(true) } else { attempted }
}
