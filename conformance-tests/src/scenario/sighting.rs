//! What an origin must have seen.

use core::fmt;
use core::time::Duration;

/// One thing that an origin must have seen.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Sighting {
    /// Exactly these requests, in this order, whichever connection they came over.
    Requests {
        /// Which origin.
        origin: usize,
        /// The requests.
        requests: Vec<RequestSeen>,
    },
    /// So many requests.
    RequestCount {
        /// Which origin.
        origin: usize,
        /// How many.
        count: Count,
    },
    /// The server processed the request of this target so often.
    Processed {
        /// Which origin.
        origin: usize,
        /// The target.
        target: String,
        /// How often.
        count: Count,
    },
    /// So many connections.
    Connections {
        /// Which origin.
        origin: usize,
        /// How many.
        count: Count,
    },
    /// So many connections at one time, at the most.
    PeakOpen {
        /// Which origin.
        origin: usize,
        /// How many.
        most: usize,
    },
    /// Every connection is closed so long after the last act, while the client still stands.
    AllClosed {
        /// How long that may take.
        within: Duration,
    },
    /// Every connection is closed so long after the client was dropped.
    AllClosedAfterDrop {
        /// How long that may take.
        within: Duration,
    },
    /// The first connection agreed on this protocol by ALPN.
    Alpn {
        /// Which origin.
        origin: usize,
        /// The protocol; `None` where nothing was agreed on.
        protocol: Option<&'static str>,
    },
    /// No two calls wait equally long before the same retry (R-B-3).
    WaitsDiffer,
    /// Some time passes between the arrivals of two requests.
    Gap {
        /// Which origin.
        origin: usize,
        /// The earlier of the two.
        after: usize,
        /// The least that may pass.
        least: Duration,
    },
}

/// How many of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Count {
    /// So many.
    Exactly(usize),
    /// Not more.
    AtMost(usize),
    /// Not fewer.
    AtLeast(usize),
}

impl Count {
    pub(crate) const fn admits(self, found: usize) -> bool {
        match self {
            Self::Exactly(count) => found == count,
            Self::AtMost(count) => found <= count,
            Self::AtLeast(count) => found >= count,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exactly(count) => write!(f, "{count}"),
            Self::AtMost(count) => write!(f, "at most {count}"),
            Self::AtLeast(count) => write!(f, "at least {count}"),
        }
    }
}

/// One request, as it must have arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[must_use]
pub struct RequestSeen {
    /// The method.
    pub method: &'static str,
    /// The target.
    pub target: String,
    /// What must hold of its headers.
    pub headers: Vec<HeaderSeen>,
    /// What must hold of its body.
    pub body: BodySeen,
}

impl RequestSeen {
    /// A request of this target by this method.
    pub fn new(method: &'static str, target: impl Into<String>) -> Self {
        Self { method, target: target.into(), headers: Vec::new(), body: BodySeen::Any }
    }

    /// A GET of this target.
    pub fn get(target: impl Into<String>) -> Self {
        Self::new("GET", target)
    }

    /// With this header, once, and this value.
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push(HeaderSeen::Is(name, value.into()));
        self
    }

    /// Without this header.
    pub fn without(mut self, name: &'static str) -> Self {
        self.headers.push(HeaderSeen::Absent(name));
        self
    }

    /// With something that must hold of its headers.
    pub fn having(mut self, header: HeaderSeen) -> Self {
        self.headers.push(header);
        self
    }

    /// With this body, whole.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = BodySeen::Is(body.into());
        self
    }
}

/// What must hold of a request's headers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderSeen {
    /// There is one line of this name, with this value.
    Is(&'static str, String),
    /// There is no line of this name.
    Absent(&'static str),
    /// There is one line of this name, with the same value as in the request before.
    AsBefore(&'static str),
    /// There are no lines but of these names.
    Only(&'static [&'static str]),
}

/// What must hold of a request's body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BodySeen {
    /// Anything.
    Any,
    /// It came to its end, and was this.
    Is(Vec<u8>),
}
