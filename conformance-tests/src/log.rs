//! What the server saw its clients do.

use core::net::SocketAddr;
use core::time::Duration;

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

    /// How many connections were open when this log was taken.
    pub fn open_connections(&self) -> usize {
        self.open
    }

    /// The largest number of connections that were open at one time.
    ///
    /// A connection counts from its acceptance until either side closes it. One that the client
    /// has closed before it opened another is not counted beside it, where the operating system
    /// lets the server look (everywhere but on Windows) and the server had read all that came.
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
    /// How it came to its end; `None` while it is open.
    pub closed: Option<Closing>,
    /// How many bytes the server has read from it.
    pub bytes_in: u64,
    /// How many bytes the server has handed to its kernel for it; the client may have got fewer.
    pub bytes_out: u64,
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
    /// When its head had arrived.
    pub arrived: Duration,
    /// The method, as received.
    pub method: String,
    /// The request target, as received.
    pub target: String,
    /// The header lines in the order received, names in the case received, values without the
    /// blanks around them.
    pub headers: Vec<(String, Vec<u8>)>,
    /// As much of the body as the server has read, without chunk framing.
    pub body: Vec<u8>,
    /// Whether the body has been read to its end; `false` where it was cut off or left unread.
    pub complete: bool,
}

impl RequestRecord {
    /// The value of the first header line with this name, in whatever case.
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        let mut lines = self.headers.iter();
        lines.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_slice())
    }
}
