//! The demo's scenarios: how an origin misbehaves, what is called, and how that has to end.

use core::time::Duration;

use http::Method;
use redial_conformance::{Reply, Script, Step};
use redial_engine::{FailureKind, PauseCause, Reason};

/// One call to an origin that misbehaves in one way.
#[derive(Clone, Debug)]
pub struct Scenario {
    /// What the origin does, in a line.
    pub title: &'static str,
    /// What the origin does, for the fault server.
    pub origin: Script,
    /// What the call asks for.
    pub method: Method,
    /// How the call has to end.
    pub expected: Expected,
}

/// How a call has to end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expected {
    /// What each attempt comes to.
    pub attempts: Vec<Came>,
    /// Why each wait between them is made, and how long it is at least.
    pub waits: Vec<(PauseCause, Duration)>,
    /// Why the call gives up, where it does.
    pub reason: Option<Reason>,
}

/// What an attempt comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Came {
    /// A response with this status.
    Status(u16),
    /// A failure of this kind.
    Failure(FailureKind),
}

/// The shortest first wait of the demo's policy: its base, less the jitter.
const BACKOFF: (PauseCause, Duration) = (PauseCause::Backoff, Duration::from_millis(160));

/// All scenarios of the demo.
pub fn all() -> Vec<Scenario> {
    vec![
        Scenario {
            title: "answers at once",
            origin: Script::replies([Reply::status(200).body("hello\n")]),
            method: Method::GET,
            expected: ends(&[Came::Status(200)], &[], None),
        },
        Scenario {
            title: "is busy for a moment: 503, then 200",
            origin: Script::replies([Reply::status(503), Reply::status(200).body("hello\n")]),
            method: Method::GET,
            expected: ends(&[Came::Status(503), Came::Status(200)], &[BACKOFF], None),
        },
        Scenario {
            title: "throttles: 429 with Retry-After: 1, then 200",
            origin: Script::replies([
                Reply::status(429).header("retry-after", "1"),
                Reply::status(200).body("hello\n"),
            ]),
            method: Method::GET,
            expected: ends(
                &[Came::Status(429), Came::Status(200)],
                &[(PauseCause::ServerHint, Duration::from_secs(1))],
                None,
            ),
        },
        Scenario {
            title: "resets the connection before the response, then 200",
            origin: Script::requests(vec![
                vec![Step::Reset],
                vec![Reply::status(200).body("hello\n").step()],
            ]),
            method: Method::GET,
            expected: ends(
                &[Came::Failure(FailureKind::Reset), Came::Status(200)],
                &[BACKOFF],
                None,
            ),
        },
        Scenario {
            title: "fails on a POST, which must not be repeated: 500",
            origin: Script::replies([Reply::status(500)]),
            method: Method::POST,
            expected: ends(&[Came::Status(500)], &[], Some(Reason::NotRepeatable)),
        },
        Scenario {
            title: "asks for more patience than the client has: 503 with Retry-After: 3600",
            origin: Script::replies([Reply::status(503).header("retry-after", "3600")]),
            method: Method::GET,
            expected: ends(&[Came::Status(503)], &[], Some(Reason::HintBeyondCap)),
        },
    ]
}

fn ends(attempts: &[Came], waits: &[(PauseCause, Duration)], reason: Option<Reason>) -> Expected {
    Expected { attempts: attempts.to_vec(), waits: waits.to_vec(), reason }
}
