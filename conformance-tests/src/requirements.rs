//! What is required of Redial, by id, and what proves each of it.

/// One requirement: what scenarios, tests and docs quote by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Requirement {
    /// The id, such as `R-D-4`.
    pub id: &'static str,
    /// What it is about, in a line.
    pub title: &'static str,
    /// What proves it.
    pub proof: Proof,
}

/// What proves a requirement.
///
/// Exhaustive on purpose: there is no third way, and none that is neither.
#[allow(clippy::exhaustive_enums)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proof {
    /// It shows between a client and a server, so a scenario proves it over every transport.
    Wire,
    /// It does not show there.
    Elsewhere {
        /// The files that prove it, from the root of the repository.
        by: &'static [&'static str],
        /// Why no scenario can.
        why: &'static str,
    },
}

impl Requirement {
    /// What the letters of the id stand for: the part of Redial that it binds.
    pub fn area(&self) -> &'static str {
        match self.id.split('-').nth(1) {
            Some("D") => "Decisions",
            Some("B") => "Backoff",
            Some("RA") => "Hints of the server",
            Some("T") => "Time",
            Some("G") => "Retry budget",
            Some("P") => "Connection pool",
            Some("C") => "Client",
            Some("O") => "Observing",
            Some("X") => "Bad input and hostile servers",
            Some("S") => "Simulation",
            Some(_) | None => "Other",
        }
    }
}

/// Every requirement, area by area.
pub const fn requirements() -> &'static [Requirement] {
    ALL
}

const fn wire(id: &'static str, title: &'static str) -> Requirement {
    Requirement { id, title, proof: Proof::Wire }
}

const fn elsewhere(
    id: &'static str,
    title: &'static str,
    by: &'static [&'static str],
    why: &'static str,
) -> Requirement {
    Requirement { id, title, proof: Proof::Elsewhere { by, why } }
}

const ARITHMETIC: &str = "arithmetic whose limits no exchange reaches";
const PROGRAM: &str = "it is between the program and the client, and no server sees it";
const SIMULATED: &str = "it is about the simulation itself";

const PROPERTIES: &str = "engine/tests/properties.rs";
const EXHAUSTIVE: &str = "engine/tests/exhaustive.rs";

#[rustfmt::skip]
const ALL: &[Requirement] = &[
    wire("R-D-1", "a call makes five attempts at most, or as many as its policy says"),
    wire("R-D-2", "which statuses are retried"),
    wire("R-D-3", "which failures are retried"),
    wire("R-D-4", "which methods are repeated, and what opts others in"),
    wire("R-D-5", "a body that can be read once is never sent a second time"),
    wire("R-D-6", "the tables are data that a user changes"),
    wire("R-D-7", "a request that a stale connection lost is sent again as the same attempt"),
    wire("R-D-8", "a buffered body is part of the attempt, a streamed one is the caller's"),
    wire("R-D-9", "a call that gives up has a typed reason"),
    wire("R-D-10", "a server may say itself whether a retry makes sense, where that is switched on"),

    wire("R-B-1", "waits double from the base to the cap, and jitter goes below, never above"),
    wire("R-B-2", "kinds of jitter, and shapes of backoff"),
    wire("R-B-3", "jitter is fine-grained, and differs between calls, retries and clones"),
    elsewhere("R-B-4", "the largest numbers neither overflow nor fall to zero",
        &[PROPERTIES, "engine/tests/config.rs"], ARITHMETIC),
    elsewhere("R-B-5", "the same generator gives the same waits, bit for bit",
        &[PROPERTIES, EXHAUSTIVE], "a client draws from a generator of its own"),

    wire("R-RA-1", "`Retry-After` on 429 and 503 replaces the backoff"),
    wire("R-RA-2", "`Retry-After` is seconds or a date; anything else is no hint"),
    wire("R-RA-3", "a date is measured against the server's own clock"),
    wire("R-RA-4", "zero and past dates are no hint"),
    wire("R-RA-5", "of several lines the longest wait counts"),
    wire("R-RA-6", "a wait beyond the cap or the deadline gives up at once"),
    wire("R-RA-7", "numbers of any length, and bytes of any kind"),
    wire("R-RA-8", "other headers are hints where they are switched on"),
    wire("R-RA-9", "hints without end do not hold a call without end"),

    wire("R-T-1", "the connect timeout"),
    wire("R-T-2", "the read timeout is a silence, not a total"),
    wire("R-T-3", "the write timeout is the peer's slowness, not the source's"),
    wire("R-T-4", "the pool timeout"),
    wire("R-T-5", "the attempt timeout and the call's deadline"),
    elsewhere("R-T-6", "timers that fire early or late, and clocks that go back, decide nothing",
        &[PROPERTIES], "the clock of a test against real sockets goes as it goes"),
    wire("R-T-7", "a call that is dropped is cancelled"),
    wire("R-T-8", "zero is at once, and what is too long is never"),

    wire("R-G-1", "one budget for each origin bounds its retries"),
    wire("R-G-2", "budgets as other clients count them"),
    elsewhere("R-G-3", "tokens are whole parts, bounded and conserved", &[PROPERTIES], ARITHMETIC),
    elsewhere("R-G-4", "a client remembers 1,024 origins", &["transports/client/tests/requests.rs"],
        "more origins than a test can listen for"),

    wire("R-P-1", "connections never outnumber their limit"),
    wire("R-P-2", "idle connections have a limit of their own"),
    wire("R-P-3", "an idle connection expires"),
    wire("R-P-4", "an idle connection makes room for another origin"),
    wire("R-P-5", "who waits for a connection is served in turn"),
    wire("R-P-6", "calls share one HTTP/2 connection"),
    wire("R-P-7", "calls that follow each other share a connection"),
    wire("R-P-8", "a connection that is out of step is not used again"),
    wire("R-P-9", "live figures of the pool"),
    wire("R-P-10", "no connection is held while a call waits"),

    wire("R-C-1", "the base URL, and what leaves its origin"),
    wire("R-C-2", "default headers"),
    wire("R-C-3", "methods and bodies"),
    wire("R-C-4", "a response whatever its status, and its body as it is wanted"),
    wire("R-C-5", "HTTP/1.1, HTTP/2 and TLS"),
    wire("R-C-6", "closing a client"),
    elsewhere("R-C-7", "the blocking twin",
        &["conformance-tests/tests/blocking.rs", "transports/client/tests/blocking.rs"],
        "every scenario is played by it too; where it may be called from is no server's business"),
    elsewhere("R-C-8", "the transport is chosen at compile time or at run time",
        &["transports/redial/tests/transports.rs", "transports/redial/tests/config.rs"], PROGRAM),
    elsewhere("R-C-9", "every runtime",
        &["conformance-tests/tests/tokio.rs", "conformance-tests/tests/smol.rs",
          "conformance-tests/tests/async_std.rs", "conformance-tests/tests/isahc.rs"],
        "every scenario is played on each of them"),
    elsewhere("R-C-10", "one error type, with its sources",
        &["transports/client/tests/responses.rs"], PROGRAM),
    wire("R-C-11", "presets of limits and timeouts"),
    wire("R-C-12", "what can be set for each request"),
    wire("R-C-13", "nothing is followed, decoded, stored or added unasked"),

    elsewhere("R-O-1", "spans and events", &["transports/client/tests/observing.rs"], PROGRAM),
    elsewhere("R-O-2", "an observer for metrics",
        &["transports/client/tests/observing.rs", "transports/hyper/tests/suite/observing.rs"],
        PROGRAM),
    elsewhere("R-O-3", "secrets are shown nowhere",
        &["transports/client/tests/observing.rs", "transports/isahc/tests/secrets.rs"], PROGRAM),

    wire("R-X-1", "line ends and NUL in a request are refused"),
    wire("R-X-2", "heads without end, and heads that are too large"),
    wire("R-X-3", "bad framing"),
    wire("R-X-4", "a response that is cut off is never whole"),
    wire("R-X-5", "bad certificates, and handshakes that are cut"),
    wire("R-X-6", "a POST is processed once at the most"),
    wire("R-X-7", "connections that are always closed end a call in time"),
    wire("R-X-8", "floods over HTTP/2"),
    elsewhere("R-X-9", "a million failing calls",
        &["transports/client/tests/failing.rs", "transports/hyper/tests/suite/failing.rs"],
        "it takes longer than a suite that runs over every transport may"),

    elsewhere("R-S-1", "virtual time, from one seed",
        &["transports/simulated/tests/executor.rs", "transports/simulated/tests/queue.rs"], SIMULATED),
    elsewhere("R-S-2", "the simulation passes this suite",
        &[], "every scenario is played over it"),
    elsewhere("R-S-3", "faults everywhere, latencies, servers with limits, steps of the clock",
        &["transports/simulated/tests/published.rs"], SIMULATED),
    elsewhere("R-S-4", "invariants are checked on every event",
        &["transports/simulated/src/fleet/checks.rs"], SIMULATED),
    elsewhere("R-S-5", "millions of calls a second",
        &["transports/simulated/benches/simulation.rs"], SIMULATED),
    elsewhere("R-S-6", "published results come out again",
        &["transports/simulated/tests/published.rs"], SIMULATED),
];
