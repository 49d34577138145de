//! Every way in which a server may fail a request, as a table: what it does, and what a client must
//! say of that.

mod http1;
mod http2;
mod violations;

use core::fmt;
use core::time::Duration;

use redial_client::Protocol;
use redial_engine::{Delivery, Failure, FailureKind};

pub use self::violations::{Violated, Violation, http2_violations};
use crate::{Reply, Script, Step};

/// The shortest timeout for which the rows are timed: where a client under test sets its connect,
/// read, write and pool timeouts to this, each row comes to what it says. [`WireRow::timeout`]
/// leaves a busy machine more time, where that changes nothing.
pub const WIRE_TIMEOUT: Duration = Duration::from_millis(600);

/// How long a script waits for the client to act; a client that keeps its timeouts never meets it.
const AT_MOST: Duration = Duration::from_secs(10);

/// The timeout of rows that no timeout is to end.
const UNHURRIED: Duration = Duration::from_secs(8);

/// The gap between two slow pieces: far below the timeout, while all gaps together are above it.
const GAP: Duration = Duration::from_millis(20);

/// A pause after which a client has seen what was sent before.
const SEEN: Duration = Duration::from_millis(50);

/// How long a client rests where the server acts on an idle connection.
const REST: Duration = Duration::from_millis(300);

/// More than the buffers of both kernels hold, so that sending it is stuck while nobody reads.
const UPLOAD: usize = 16 * 1024 * 1024;

/// One misbehaviour: the script of the server, what the client is to do, and what must come of it.
///
/// The client makes its requests one after the other and without retries. The last one is the one
/// that the row is about; those before it are to succeed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct WireRow {
    /// The name of the misbehaviour.
    pub id: &'static str,
    /// What the server does.
    pub script: Script,
    /// Which version of HTTP the client is to speak, without asking.
    pub protocol: Protocol,
    /// How many requests the client is to make.
    pub requests: usize,
    /// How many bytes the body of each request has; zero for none.
    pub upload: usize,
    /// How long the client is to rest between two requests, at the least.
    pub rest: Duration,
    /// What the client should set for its timeouts: short where one of them is to end the row.
    pub timeout: Duration,
    /// What the last request may come to: several where it is the kernel, or a race, that decides.
    pub expect: Vec<WireEnd>,
    /// How often the server may process the last request, as
    /// [`RequestRecord::processed`](crate::RequestRecord::processed) has it.
    pub processed_at_most: usize,
}

/// What one request comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WireEnd {
    /// A complete response with this status.
    Response(u16),
    /// A failure.
    Failure(Failure),
}

impl WireRow {
    /// Whether this is what the last request may come to.
    pub fn allows(&self, end: WireEnd) -> bool {
        self.expect.contains(&end)
    }
}

impl fmt::Display for WireEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Response(status) => write!(f, "response {status}"),
            Self::Failure(Failure { kind, delivery, reused, .. }) => {
                let reused = if *reused { ", reused" } else { "" };
                write!(f, "{} ({}{reused})", kind.name(), delivery.name())
            }
        }
    }
}

/// The misbehaviours of a server of HTTP/1.1, one row each.
///
/// ```
/// let rows = redial_conformance::wire_h1();
/// assert!(rows.iter().any(|row| row.id == "rst-after-request"));
/// ```
pub fn wire_h1() -> Vec<WireRow> {
    http1::rows()
}

/// The misbehaviours of a server of HTTP/2, one row each, over plain TCP.
///
/// ```
/// let rows = redial_conformance::wire_h2();
/// assert!(rows.iter().all(|row| row.id.starts_with("h2-")));
/// ```
pub fn wire_h2() -> Vec<WireRow> {
    http2::rows()
}

fn row(id: &'static str, steps: Vec<Step>) -> WireRow {
    WireRow {
        id,
        script: Script::connections(vec![steps]),
        protocol: Protocol::Http1,
        requests: 1,
        upload: 0,
        rest: Duration::ZERO,
        timeout: UNHURRIED,
        expect: Vec::new(),
        processed_at_most: 1,
    }
}

/// What a row allows, as it is written down.
impl WireRow {
    /// One more failure that may come of it.
    fn or(mut self, kind: FailureKind, delivery: Delivery) -> Self {
        if kind.is_timeout() {
            self.timeout = WIRE_TIMEOUT;
        }
        self.expect.push(WireEnd::Failure(Failure::new(kind, delivery)));
        self
    }

    /// One more failure, on a connection that has served a request.
    fn or_on_reused(mut self, kind: FailureKind) -> Self {
        let failure = Failure::new(kind, Delivery::Unknown).on_reused();
        self.expect.push(WireEnd::Failure(failure));
        self
    }

    /// One more status that may come of it.
    fn or_response(mut self, status: u16) -> Self {
        self.expect.push(WireEnd::Response(status));
        self
    }
}

/// A response that is in order.
fn ok() -> Step {
    Reply::status(200).body("ok").step()
}

fn await_close() -> Step {
    Step::AwaitClose { within: AT_MOST }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_have_names_of_their_own_and_something_to_expect() {
        let rows: Vec<_> = wire_h1().into_iter().chain(wire_h2()).collect();
        let mut ids: Vec<_> = rows.iter().map(|row| row.id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!((rows.len(), ids.len()), (47, 47));
        assert!(rows.iter().all(|row| !row.expect.is_empty()));
    }
}
