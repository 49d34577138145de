//! Redial's transport over isahc, which is libcurl with futures.
//!
//! isahc brings a thread of its own and plain futures, so that [`IsahcTransport`] serves any
//! executor, and a thread that parks until it is woken as well as the next.
//!
//! ```no_run
//! # async fn run() -> Result<(), Box<dyn std::error::Error>> {
//! let client = redial_isahc::client().build()?;
//! let response = client.get("http://localhost:8080/status").send().await?;
//! println!("{} after {} attempts", response.status(), response.attempts().len());
//! # Ok(())
//! # }
//! ```
//!
//! # What curl does by itself, and what is done about it
//!
//! curl sends a request again without a word when the connection that it took from its cache turns
//! out to be dead (`Curl_retry_request`), although the server may have processed it. No option
//! switches that off, but it happens on reused connections alone. So there are two handles behind
//! one count of slots: one that keeps connections, for methods that RFC 9110 9.2.2 calls idempotent
//! (and QUERY), and one on which a connection serves one request, for every other method and for
//! [`Exchange::fresh_connection`](redial_client::Exchange::fresh_connection). Bodies are never
//! rewound: a request with a body that curl would send again fails instead. A POST reaches a server
//! once, whatever becomes of the connection (R-X-6); it pays with a connection of its own.
//!
//! What is left, each with its reason:
//!
//! | where | what happens | why |
//! |---|---|---|
//! | a repeatable request without a body, on a kept connection that has died | curl sends it again, at most five times | no option of curl's |
//! | the same on an HTTP/2 stream that is refused, or given up by GOAWAY | the same; then [`Reset`](redial_engine::FailureKind::Reset), and nothing says that it is unsent | the server has not processed it |
//! | a request with a body that curl would have sent again | [`Closed`](redial_engine::FailureKind::Closed), delivery unknown | `CURLE_SEND_FAIL_REWIND` is all that there is to see |
//! | methods that are not repeatable, with [`Protocol::Negotiated`] | HTTP/1.1 | curl would share an HTTP/2 connection, and so reuse it |
//! | a response head | arrives with the first byte of the body; until then nothing tells a slow server from a silent one, so that the read timeout starts after the connect timeout where there is no body to upload | isahc's `handler.rs`: the future completes in `write` |
//! | a complete body over TLS whose connection ends without close_notify | an error | curl's rustls backend |
//! | a dropped call | its future is gone at once, its slot is free when curl lets go: with the next byte, or after the read timeout and 5 s | curl looks at a transfer when bytes move |
//! | a head of more than 300 KiB, a malformed chunk | [`Reset`](redial_engine::FailureKind::Reset) | `CURLE_RECV_ERROR`, as for a reset |
//! | HTTP/2: frames that are none | [`Closed`](redial_engine::FailureKind::Closed) | `CURLE_HTTP2`, as for the end of a connection |
//! | an answer to nobody, waiting on an idle connection | taken for the answer to the next request | curl looks at the connection, not at its bytes |
//! | `Accept` | `*/*` where the caller sets none, which means the same (RFC 9110 12.5.1) | isahc cannot say "none" to curl |
//! | `User-Agent`, and `Content-Type` of a POST | sent empty where the caller sets none | the same: isahc's own value, or `application/x-www-form-urlencoded`, would be sent |
//! | pool events of an observer | of connections only that they were opened or used again, and that with the response head; the figures have what was closed | curl does not tell |
//! | idle connections | those of the handle are closed together, when no request is on any of them; the idle time for the single one is checked when it would be reused | isahc has no way to close one |
//! | TLS: no common version, a handshake that was cut | [`FailureKind::Tls`](redial_engine::FailureKind::Tls) | both are `CURLE_SSL_CONNECT_ERROR` |
//! | client certificates | on Linux only | curl's rustls backend takes them as files alone, and a key is not to be on a disk |
//! | 1,024 or more open descriptors | [`DescriptorLimit`], final | libcurl as isahc builds it waits with `select` |
//! | paths with `.` or `..` segments, header values that are not ASCII, HEAD with a body | refused, nothing is sent | curl would change or misread them |
//!
//! # Code map, in the order of a request
//!
//! | file | what it holds |
//! |---|---|
//! | `transport.rs` | [`IsahcTransport`]: from an exchange to an answer |
//! | `handles.rs` | isahc's clients, made from [`Settings`](redial_client::Settings) |
//! | `identity.rs`, `file.rs` | the client's certificate, lent to curl as a file in memory |
//! | `connections.rs` | slots, first come, first served, and which handle a request goes over |
//! | `ledger.rs` | how many connections there may be: arithmetic, without a lock or a clock |
//! | `request.rs` | the request as isahc takes it |
//! | `upload.rs` | the request body as curl reads it, and how far it has come |
//! | `exchange.rs` | one request until its response head |
//! | `response.rs` | the response body |
//! | `watch.rs` | when an exchange has been silent for too long |
//! | `classify.rs` | from curl's codes to a kind and a delivery |
//! | `descriptors.rs` | whether the process has more open files than curl can wait for |
//! | `clock.rs` | the clock, and the one thread that all timers share |
//!
//! [`Protocol::Negotiated`]: redial_client::Protocol::Negotiated
#![forbid(unsafe_code)]

mod classify;
mod clock;
mod connections;
mod descriptors;
mod exchange;
mod file;
mod handles;
mod identity;
mod ledger;
mod request;
mod response;
mod transport;
mod upload;
mod watch;

pub use classify::CurlError;
pub use descriptors::DescriptorLimit;
pub use request::Unsendable;
pub use transport::{Isahc, IsahcTransport, StartError};

use redial_client::{Client, ClientBuilder, blocking};

/// A client to be built over isahc, for any executor.
pub fn client() -> ClientBuilder {
    Client::builder(Isahc)
}

/// A blocking client to be built over isahc, which has a thread of its own.
pub fn blocking() -> blocking::ClientBuilder {
    blocking::ClientBuilder::from_parts(client(), ())
}
