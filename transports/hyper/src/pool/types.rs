//! The words of the pool: its limits, ids, actions and figures. No behaviour lives here.

pub use redial_client::PoolLimits as Limits;

/// Names one connection of one pool, from its [`Action::Open`] until it is closed.
///
/// Ids are never used twice; their order is the order in which the connections were begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    pub(super) serial: u64,
    pub(super) slot: u32,
}

impl ConnectionId {
    /// A small number that no other connection has at the same time: where to keep what a driver
    /// keeps of each. It is that of another connection later.
    pub const fn place(self) -> usize {
        self.slot as usize
    }
}

/// Names one request for a connection, until it ends in one of the ways [`Action`] lists.
///
/// Ids are never used twice; their order is the order of the requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WaiterId(pub(super) u64);

/// Which connections will do for a request. By default: any that is open, none that is opening.
///
/// Not `#[non_exhaustive]`, so that drivers can write it as a literal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Need {
    /// Whether it may wait for a connection that is still being opened for another request,
    /// because that may turn out to be HTTP/2 (R-P-6). Say so where HTTP/2 can be negotiated and
    /// the origin is not known for HTTP/1: behind HTTP/1 the wait is for nothing.
    pub may_share: bool,
    /// Whether only a connection will do that was not yet open when the request was made, and,
    /// for HTTP/1, that carried nothing: what a transparent re-send needs (R-D-7).
    pub fresh: bool,
}

/// Why a request is withdrawn before it got a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Withdrawal {
    /// It has waited for longer than the pool timeout (R-P-5): [`Figures::pool_timeouts`] counts it.
    PoolTimeout,
    /// Its caller is no longer interested: it was dropped, or another limit of time cut it.
    Dropped,
}

/// What the driver must do next.
///
/// A request ends exactly one way: by `Use`, by `Fail`, or because the driver withdrew it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::exhaustive_enums, reason = "a driver must carry out every action there is")]
pub enum Action<K> {
    /// Open a connection to `key` and report how that went, also where `waiter` is withdrawn
    /// meanwhile. From here on it counts against [`Limits::max_connections`].
    Open {
        /// The connection to be.
        connection: ConnectionId,
        /// Whom it is opened for. This ends nothing: `Use` or `Fail` follows.
        waiter: WaiterId,
        /// The origin to connect to.
        key: K,
    },
    /// Send the request of `waiter` on `connection`, which is its own until it is released.
    Use {
        /// An HTTP/1 connection to itself, or one stream of an HTTP/2 connection.
        connection: ConnectionId,
        /// Whose request ends with this.
        waiter: WaiterId,
        /// Whether another request was given this connection before (R-D-7 asks).
        reused: bool,
    },
    /// End the request of `waiter` with the error that opening `connection` ended with.
    Fail {
        /// The connection that could not be opened.
        connection: ConnectionId,
        /// Whose request ends with this.
        waiter: WaiterId,
    },
    /// Close this connection, and report when its socket is gone: until then it counts. Nobody
    /// uses it; it may be one that is still being opened, whose opening is then to be given up.
    Close {
        /// The connection to close.
        connection: ConnectionId,
        /// Why it must go.
        why: CloseReason,
    },
}

/// A connection that a request was given at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Taken {
    /// An HTTP/1 connection to itself, or one stream of an HTTP/2 connection.
    pub connection: ConnectionId,
    /// Whether another request was given this connection before (R-D-7 asks).
    pub reused: bool,
}

/// Why the pool closes a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum CloseReason {
    /// It was idle for [`Limits::keepalive_expiry`] (R-P-3): raise that to keep it longer.
    Expired,
    /// More were idle than [`Limits::max_keepalive_connections`] (R-P-2): raise that to keep it.
    Surplus,
    /// Its place was needed for a request it could not serve (R-P-4): frequent where
    /// [`Limits::max_connections`] is smaller than the number of origins in use.
    Evicted,
    /// It is fit for no further request: out of step, cut off, or draining and done (R-P-8).
    Unusable,
    /// The pool is shut down.
    Shutdown,
}

/// A reading of the pool for monitoring (R-P-9).
///
/// `open` is the sum of `idle`, `connecting`, `in_use` and `closing`. Totals never decrease.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Figures {
    /// Connections that count against [`Limits::max_connections`] now.
    pub open: usize,
    /// Those of them that wait for a request.
    pub idle: usize,
    /// Those of them that are being opened.
    pub connecting: usize,
    /// Those of them with a request on them, or with one that waits for their first stream.
    pub in_use: usize,
    /// Those of them that were told to close or failed, and whose socket is still there.
    pub closing: usize,
    /// Requests that wait, those whose own connection is being opened not included.
    pub waiting: usize,
    /// Connections opened with success.
    pub opened_total: u64,
    /// Requests that got a connection which another request had before.
    pub reused_total: u64,
    /// Connections closed to make room (R-P-4).
    pub evicted_total: u64,
    /// Connections closed because of [`Limits::keepalive_expiry`] (R-P-3).
    pub expired_total: u64,
    /// Requests withdrawn because of the pool timeout (R-P-5).
    pub pool_timeouts: u64,
}
