//! What the server saw its clients do.

mod writing;

use core::net::SocketAddr;
use core::time::Duration;

use crate::ErrorCode;

/// What the clients of one server have done so far: every connection, every request.
///
/// All times count from the start of the server, on its monotonic clock.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub(crate) connections: Vec<ConnectionRecord>,
    pub(crate) requests: Vec<RequestRecord>,
    pub(crate) open: usize,
    pub(crate) peak_open: usize,
}

impl Log {
    /// That nobody came.
    pub(crate) const NOTHING: Self =
        Self { connections: Vec::new(), requests: Vec::new(), open: 0, peak_open: 0 };

    /// The connections, in the order in which they were accepted.
    pub fn connections(&self) -> &[ConnectionRecord] {
        &self.connections
    }

    /// The requests, in the order in which their heads arrived, whichever connection they came over.
    pub fn requests(&self) -> &[RequestRecord] {
        &self.requests
    }

    /// How many requests have come with this method, which is case-sensitive.
    pub fn count(&self, method: &str) -> usize {
        self.requests.iter().filter(|request| request.method == method).count()
    }

    /// How many requests for this target the server has processed, as
    /// [`RequestRecord::processed`] has it.
    pub fn processed(&self, target: &str) -> usize {
        let processed = |request: &&RequestRecord| request.processed && request.target == target;
        self.requests.iter().filter(processed).count()
    }

    /// How many connections were open when this log was taken.
    pub fn open_connections(&self) -> usize {
        self.open
    }

    /// The largest number of connections that were open at one time.
    ///
    /// A connection counts from its acceptance until either side closes it. On Linux, one that the
    /// client has closed before it opened another is never counted beside it; on other systems of
    /// Unix that is so where the server had read all that came.
    pub fn peak_open_connections(&self) -> usize {
        self.peak_open
    }
}

/// One connection, as the server saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionRecord {
    /// The client's address.
    pub peer: SocketAddr,
    /// When the server accepted it.
    pub accepted: Duration,
    /// How its TLS handshake went; `None` where it has none, or none has come to its end.
    pub tls: Option<TlsRecord>,
    /// How it came to its end; `None` while it is open.
    pub closed: Option<Closing>,
    /// When it came to its end, as the server saw it.
    pub ended: Option<Duration>,
    /// How many bytes the server has read from it, those of TLS itself included.
    pub bytes_in: u64,
    /// How many bytes the server has handed to its kernel for it; the client may have got fewer.
    pub bytes_out: u64,
    /// The largest number of requests that were on it at one time: begun, and neither answered to
    /// the end nor reset by either side. Over HTTP/1.1 it is one at most.
    pub peak_requests: usize,
}

/// One TLS handshake, as it ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TlsRecord {
    /// When it ended.
    pub ended: Duration,
    /// What kept it from completing, such as the alert by which the client refused the server's
    /// certificate.
    pub failure: Option<String>,
    /// The protocol that was agreed on by ALPN.
    pub alpn: Option<String>,
    /// Whether the client showed a certificate that the server took.
    pub client_certificate: bool,
}

/// How a connection came to its end, and by whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closing {
    /// The server closed it.
    ByServer,
    /// The client closed it, or its half of it, first.
    ByPeer,
    /// The server reset it.
    ResetByServer,
    /// The client reset it.
    ResetByPeer,
}

/// One request, as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RequestRecord {
    /// Which connection it came over: an index into [`Log::connections`].
    pub connection: usize,
    /// The number of its HTTP/2 stream; `None` over HTTP/1.1.
    pub stream: Option<u32>,
    /// When its head had arrived.
    pub arrived: Duration,
    /// The method, as received.
    pub method: String,
    /// The request target, as received; over HTTP/2 the `:path`.
    pub target: String,
    /// The header lines in the order received, names in the case received, values without the
    /// blanks around them. Over HTTP/2 pseudo-header fields are among them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As much of the body as the server has read and keeps, without framing: no more than
    /// [`BODY_KEPT`].
    pub body: Vec<u8>,
    /// How many bytes of the body the server has read.
    pub body_length: u64,
    /// Whether the body has been read to its end; `false` where it was cut off or left unread.
    pub complete: bool,
    /// When the body had been read to its end.
    pub ended: Option<Duration>,
    /// Whether the server has taken the request to act on it: a step has read it, or a list is
    /// played for it, and the server has not said since that it refuses it (RST_STREAM with
    /// REFUSED_STREAM, or a GOAWAY whose last stream is an earlier one).
    pub processed: bool,
    /// When the client reset the request's HTTP/2 stream, and with which error.
    pub reset: Option<(Duration, ErrorCode)>,
}

/// How much of a request's body is kept in the log, in bytes.
pub const BODY_KEPT: usize = 4 * 1024 * 1024;

impl RequestRecord {
    /// The value of the first header line with this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.headers.iter();
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }

    /// The host and port that the request names: `:authority` over HTTP/2, else `Host`.
    pub fn authority(&self) -> Option<&[u8]> {
        self.header(":authority").or_else(|| self.header("host"))
    }
}
