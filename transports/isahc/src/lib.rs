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
//! once, whatever becomes of the connection (R-X-6); it pays with a connection of its own. As addresses
//! are kept nowhere, each connection also asks the system for its own (R-D-3).
//!
//! Where no roots are given, the authorities are those of the file that `SSL_CERT_FILE` names, or else
//! the platform's as isahc finds them. `SSL_CERT_DIR`, which the transports on hyper heed, is not.
//!
//! What is left is in [`DECLARED`], each with its reason, and with the test that holds it to that.
//!
//! # Cost
//!
//! `cargo bench -p redial-isahc --bench overhead` compares a request with everything on with one of
//! bare isahc, one at a time and with sixteen in flight; the goal is 1.1. Instructions in user space:
//! 1.01 to 1.02 times as many for a GET, 1.05 to 1.06 for a POST. Time of two CPUs, the system's part
//! included: 1.00 to 1.07 times as much for a GET, with sixteen in flight 1.05 to 1.10, and 1.00 to
//! 1.06 for a POST. What a GET with others costs beyond its instructions is the caller's thread, which
//! sleeps and is woken a little more often.
//!
//! Where client and server share one CPU it is 1.02 to 1.09 times as much, but 1.22 to 1.33 for a GET
//! that is alone. That one makes the same system calls, one for one, and switches threads as often,
//! ten times. After each switch code runs that the caches have lost to others: by callgrind's model
//! bare isahc fetches 3,940 lines of code for a request and this crate with the client on it 4,880,
//! at some 13 ns each.
//!
//! # Code map, in the order of a request
//!
//! | file | what it holds |
//! |---|---|
//! | `transport.rs` | [`IsahcTransport`]: from an exchange to an answer |
//! | `handles.rs` | isahc's clients, made from [`Settings`](redial_client::Settings) |
//! | `identity.rs`, `file.rs` | the client's certificate, lent to curl as a file in memory |
//! | `connections.rs` and its folder | slots, first come, first served, which handle a request goes over, and when idle connections close |
//! | `ledger.rs` | how many connections there may be: arithmetic, without a lock or a clock |
//! | `request.rs` | the request as isahc takes it |
//! | `head.rs` | whether its head is larger than curl sends |
//! | `upload.rs` | the request body as curl reads it, and how far it has come |
//! | `exchange.rs` | one request until its response head |
//! | `response.rs` | the response body |
//! | `survey.rs` | what the system says of this process's sockets |
//! | `standing.rs` | whether curl's connection stands |
//! | `backlog.rs` | whether the server accepts an upload |
//! | `uploads.rs` | what servers have accepted of all the process's uploads |
//! | `watch.rs` | when an exchange has been silent for too long |
//! | `classify.rs` | from curl's codes to a kind and a delivery |
//! | `declared.rs` | what is otherwise than the requirements say, as data |
//! | `descriptors.rs` | whether the process has more open files than curl can wait for |
#![forbid(unsafe_code)]

mod backlog;
mod classify;
mod connections;
mod declared;
mod descriptors;
mod exchange;
mod file;
mod handles;
mod head;
mod identity;
mod ledger;
mod request;
mod response;
mod standing;
mod survey;
mod transport;
mod upload;
mod uploads;
mod watch;

pub use classify::CurlError;
pub use declared::{DECLARED, Declared, DeclaredRow, Requests};
pub use descriptors::DescriptorLimit;
pub use head::RequestHeadLimit;
pub use request::Unsendable;
pub use transport::{Isahc, IsahcTransport, StartError};
pub use upload::UploadCut;

use redial_client::{Client, ClientBuilder, blocking};

/// A client to be built over isahc, for any executor.
pub fn client() -> ClientBuilder {
    Client::builder(Isahc)
}

/// A blocking client to be built over isahc, which has a thread of its own.
pub fn blocking() -> blocking::ClientBuilder {
    blocking::ClientBuilder::from_parts(client(), ())
}
