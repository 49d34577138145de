//! Compares what was seen with what a scenario requires.

use core::time::Duration;
use std::collections::BTreeSet;

use redial_client::{AttemptRecord, Wait};
use redial_engine::{Outcome, PauseCause};

use crate::{
    BodySeen, Call, CallSeen, Came, End, EndSeen, HeaderSeen, Log, RequestRecord, RequestSeen,
    Scenario, Seen, Sighting, Waited, Waits,
};

/// In what the client and the origins saw, everything that is not as the scenario requires; empty
/// where it passes.
pub fn judge(scenario: &Scenario, seen: &Seen, logs: &[Log]) -> Vec<String> {
    let mut wrong = Vec::new();
    let calls: Vec<_> = scenario.calls().collect();
    if calls.len() != seen.calls.len() {
        wrong.push(format!("{} calls were made instead of {}", seen.calls.len(), calls.len()));
    }
    for (index, (call, seen)) in calls.iter().zip(&seen.calls).enumerate() {
        let differences = judge_call(scenario, call, seen);
        wrong.extend(differences.into_iter().map(|it| format!("call {}: {it}", index + 1)));
    }
    for figures in seen.figures.iter().filter(|figures| !figures.right) {
        wrong.push(format!("the pool's figures stay at {:?}", figures.found));
    }
    for sighting in &scenario.sightings {
        wrong.extend(judge_sighting(sighting, seen, logs));
    }
    if let ([call], [Some(log)]) = (&*seen.calls, &[logs.first()]) {
        wrong.extend(waits_on_the_wire(call, log));
    }
    wrong
}

fn judge_call(scenario: &Scenario, call: &Call, seen: &CallSeen) -> Vec<String> {
    let mut wrong = Vec::new();
    let end = call.end.clone().or_else(|| natural_end(call, seen));
    match &end {
        None => wrong.push("the scenario says neither how it ends nor what it comes to".into()),
        Some(end) if !ends_so(end, &seen.end) => {
            wrong.push(format!("it must end with {end:?}, and ended with {:?}", seen.end));
        }
        Some(_) => {}
    }
    if !call.open && end != Some(End::Cancelled) {
        wrong.extend(judge_attempts(call, &seen.attempts));
        wrong.extend(judge_waits(scenario, call, &seen.attempts));
        if call.reason != seen.reason && !call.any_reason {
            let (must, did) = (call.reason, seen.reason);
            wrong.push(format!("its reason must be {must:?}, and is {did:?}"));
        }
    }
    let (least, most) = call.took;
    if seen.took < least || seen.took > most {
        wrong.push(format!("it must take {least:?} to {most:?}, and took {:?}", seen.took));
    }
    wrong
}

/// Where a scenario does not say how a call ends, it ends with what its last attempt came to.
fn natural_end(call: &Call, seen: &CallSeen) -> Option<End> {
    let last = call.attempts.last()?;
    let came = match last.any_of.as_slice() {
        [came] => *came,
        // Of several possibilities it is the one that happened.
        several => {
            let last = seen.attempts.last();
            *several.iter().find(|came| last.is_some_and(|last| came.matches(&last.outcome)))?
        }
    };
    Some(match came {
        Came::Status(status) => End::status(status),
        Came::Failure(kind, _) => End::error(kind),
    })
}

fn ends_so(end: &End, seen: &EndSeen) -> bool {
    match (end, seen) {
        (
            End::Response { status, body, complete },
            EndSeen::Response { status: found, body: bytes, complete: whole, .. },
        ) => {
            status == found
                && body.as_ref().is_none_or(|body| body.as_slice() == &**bytes)
                && complete.is_none_or(|complete| complete == *whole)
        }
        (End::Error(kinds), EndSeen::Error { kind, .. }) => kinds.contains(kind),
        (End::Body(kinds), EndSeen::Body(kind)) => kinds.contains(kind),
        (End::Cancelled, EndSeen::Cancelled) => true,
        (
            End::Response { .. } | End::Error(_) | End::Body(_) | End::Cancelled,
            EndSeen::Response { .. }
            | EndSeen::Error { .. }
            | EndSeen::Body(_)
            | EndSeen::Cancelled,
        ) => false,
    }
}

fn judge_attempts(call: &Call, seen: &[AttemptRecord]) -> Vec<String> {
    let same = call.attempts.len() == seen.len()
        && call
            .attempts
            .iter()
            .zip(seen)
            .all(|(must, record)| must.matches(&record.outcome, record.reused));
    if same {
        return Vec::new();
    }
    let must: Vec<_> = call.attempts.iter().map(ToString::to_string).collect();
    let did: Vec<_> = seen.iter().map(attempt).collect();
    vec![format!("its attempts must be [{}], and were [{}]", must.join(", "), did.join(", "))]
}

/// An attempt in the words in which a scenario requires one.
fn attempt(record: &AttemptRecord) -> String {
    let came = match record.outcome {
        Outcome::Response { status, .. } => Came::Status(status),
        Outcome::Failure(failure) => Came::Failure(failure.kind, Some(failure.delivery)),
    };
    format!("{came} ({})", if record.reused { "reused" } else { "fresh" })
}

fn judge_waits(scenario: &Scenario, call: &Call, seen: &[AttemptRecord]) -> Vec<String> {
    let waits: Vec<Wait> = seen.iter().filter_map(|record| record.wait).collect();
    let must = match &call.waits {
        Waits::These(waits) => waits.clone(),
        Waits::Backoff => backoff(scenario.setup.base_wait, retries(seen)),
    };
    let right = |(must, wait): (&Waited, &Wait)| {
        must.cause == wait.cause && (must.least..=must.most).contains(&wait.length)
    };
    if must.len() == waits.len() && must.iter().zip(&waits).all(right) {
        return Vec::new();
    }
    let must: Vec<_> = must.iter().map(ToString::to_string).collect();
    let did: Vec<_> =
        waits.iter().map(|wait| format!("{} of {:?}", wait.cause.name(), wait.length)).collect();
    vec![format!("its waits must be [{}], and were [{}]", must.join(", "), did.join(", "))]
}

/// How many retries there were; a transparent re-send has its attempt's number, and is none.
fn retries(seen: &[AttemptRecord]) -> u32 {
    let numbers = seen.iter().map(|record| record.number);
    numbers.max().map_or(0, |last| last.saturating_sub(1))
}

/// The bounds of the standard backoff (R-B-1): from 0.8 to 1.0 of the base, doubled each time.
fn backoff(base: Duration, retries: u32) -> Vec<Waited> {
    let waits = (0..retries).map(|before| base.saturating_mul(2_u32.saturating_pow(before)));
    waits.map(|most| Waited { cause: PauseCause::Backoff, least: most * 4 / 5, most }).collect()
}

/// What the client says of its waits, the wire confirms: between two requests of the only call
/// there passes at least the wait between their attempts.
fn waits_on_the_wire(call: &CallSeen, log: &Log) -> Vec<String> {
    if log.requests().len() != call.attempts.len() {
        return Vec::new();
    }
    let gaps = log.requests().windows(2).zip(&call.attempts);
    gaps.filter_map(|(pair, record)| {
        let [first, second] = pair else { return None };
        if stopped_by_itself(record) {
            return None;
        }
        let (gap, wait) = (second.arrived.saturating_sub(first.arrived), record.wait?);
        (gap < wait.length).then(|| {
            format!("after attempt {} it waited {gap:?} instead of {wait:?}", record.number)
        })
    })
    .collect()
}

/// Whether the client ended the attempt, and not the server: its request may arrive later than that.
fn stopped_by_itself(record: &AttemptRecord) -> bool {
    matches!(record.outcome, Outcome::Failure(failure) if failure.kind.is_timeout())
}

fn judge_sighting(sighting: &Sighting, seen: &Seen, logs: &[Log]) -> Vec<String> {
    static NOTHING: Log = Log::NOTHING;
    let log = |origin: &usize| logs.get(*origin).unwrap_or(&NOTHING);
    match sighting {
        Sighting::Requests { origin, requests } => judge_requests(requests, log(origin).requests()),
        Sighting::RequestCount { origin, count } => {
            let found = log(origin).requests().len();
            complain(count.admits(found), || {
                format!("{count} requests must come, and {found} came")
            })
        }
        Sighting::Processed { origin, target, count } => {
            let found = log(origin).processed(target);
            complain(count.admits(found), || {
                format!("{target} must be processed {count} times, and was {found} times")
            })
        }
        Sighting::Connections { origin, count } => {
            let found = log(origin).connections().len();
            complain(count.admits(found), || {
                format!("{count} connections must be made, and {found} were")
            })
        }
        Sighting::PeakOpen { origin, most } => {
            let found = log(origin).peak_open_connections();
            complain(found <= *most, || {
                format!("at most {most} connections may be open at once, and {found} were")
            })
        }
        Sighting::AllClosed { within } => complain(seen.left_open.0 == 0, || {
            format!("{} connections are open {within:?} after the last act", seen.left_open.0)
        }),
        Sighting::AllClosedAfterDrop { within } => complain(seen.left_open.1 == 0, || {
            format!("{} connections are open {within:?} after the client", seen.left_open.1)
        }),
        Sighting::Alpn { origin, protocol } => {
            let first = log(origin).connections().first();
            let found = first.and_then(|it| it.tls.as_ref()).and_then(|tls| tls.alpn.as_deref());
            complain(found == *protocol, || {
                format!("{protocol:?} must be agreed on, and {found:?} was")
            })
        }
        Sighting::WaitsDiffer => complain(waits_differ(&seen.calls), || {
            "two calls wait equally long before the same retry".to_owned()
        }),
        Sighting::Gap { origin, after, least } => {
            let requests = log(origin).requests();
            let gap = match requests.get(*after..) {
                Some([first, second, ..]) => second.arrived.saturating_sub(first.arrived),
                Some(_) | None => Duration::ZERO,
            };
            complain(gap >= *least, || {
                format!("{least:?} must pass after request {}, and {gap:?} did", after + 1)
            })
        }
    }
}

fn waits_differ(calls: &[CallSeen]) -> bool {
    let mut waits = BTreeSet::new();
    let all = calls.iter().flat_map(|call| &call.attempts);
    let mut all = all.filter_map(|record| record.wait.map(|wait| (record.number, wait.length)));
    all.all(|wait| waits.insert(wait)) && !waits.is_empty()
}

fn complain(right: bool, complaint: impl FnOnce() -> String) -> Vec<String> {
    if right { Vec::new() } else { vec![complaint()] }
}

fn judge_requests(must: &[RequestSeen], came: &[RequestRecord]) -> Vec<String> {
    if must.len() != came.len() {
        let list: Vec<_> = came.iter().map(|it| format!("{} {}", it.method, it.target)).collect();
        return vec![format!("{} requests must come, and these came: {list:?}", must.len())];
    }
    let before = core::iter::once(None).chain(came.iter().map(Some));
    let rows = must.iter().zip(came).zip(before).enumerate();
    rows.flat_map(|(index, ((must, came), before))| {
        let wrong = judge_request(must, came, before);
        wrong.into_iter().map(move |it| format!("request {}: {it}", index + 1))
    })
    .collect()
}

fn judge_request(
    must: &RequestSeen,
    came: &RequestRecord,
    before: Option<&RequestRecord>,
) -> Vec<String> {
    let mut wrong = Vec::new();
    if must.method != came.method || must.target != came.target {
        let (method, target) = (must.method, &must.target);
        wrong.push(format!("is {} {}, not {method} {target}", came.method, came.target));
    }
    for header in &must.headers {
        wrong.extend(judge_header(header, came, before));
    }
    match &must.body {
        BodySeen::Any => {}
        BodySeen::Is(body) if came.complete && *body == came.body => {}
        BodySeen::Is(body) => wrong.push(format!(
            "its body must have {} bytes, and {} came{}",
            body.len(),
            came.body.len(),
            if came.complete { "" } else { " before it broke off" },
        )),
    }
    wrong
}

fn judge_header(
    must: &HeaderSeen,
    came: &RequestRecord,
    before: Option<&RequestRecord>,
) -> Option<String> {
    match must {
        HeaderSeen::Is(name, value) => {
            let found = lines(came, name);
            let right = matches!(found.as_slice(), [one] if *one == value.as_bytes());
            (!right).then(|| format!("{name} must be {value:?}, and is {}", shown(&found)))
        }
        HeaderSeen::Absent(name) => {
            let found = lines(came, name);
            (!found.is_empty())
                .then(|| format!("{name} must not be there, and is {}", shown(&found)))
        }
        HeaderSeen::AsBefore(name) => {
            let (now, then) = (lines(came, name), before.map(|it| lines(it, name)));
            let right = now.len() == 1 && then.as_ref() == Some(&now);
            (!right).then(|| format!("{name} must be as before, and is {}", shown(&now)))
        }
        HeaderSeen::Only(names) => {
            let known = |name: &str| names.iter().any(|it| it.eq_ignore_ascii_case(name));
            let others: Vec<_> =
                came.headers.iter().map(|(name, _)| name).filter(|name| !known(name)).collect();
            (!others.is_empty()).then(|| format!("{others:?} must not be there"))
        }
    }
}

fn lines<'a>(request: &'a RequestRecord, name: &str) -> Vec<&'a [u8]> {
    let same = |(known, _): &&(String, Vec<u8>)| known.eq_ignore_ascii_case(name);
    request.headers.iter().filter(same).map(|(_, value)| value.as_slice()).collect()
}

fn shown(lines: &[&[u8]]) -> String {
    let lines: Vec<_> = lines.iter().map(|line| String::from_utf8_lossy(line)).collect();
    format!("{lines:?}")
}
