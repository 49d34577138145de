//! A connection, or one stream of it, for the length of one exchange.

use core::sync::atomic::Ordering;
use core::time::Duration;
use std::sync::Arc;

use redial_engine::Timestamp;

use crate::connect::Sender;
use crate::connections::{Connections, Grant, Shared};
use crate::io::Meter;
use crate::pool::ConnectionId;
use crate::runtime::{Peeked, Runtime};

/// For how long an HTTP/2 connection has to have been silent for its socket to be asked. One that
/// is at work is read all the time.
const QUIET: Duration = Duration::from_millis(1);

/// An HTTP/1.1 connection that one exchange has to itself, or one stream of an HTTP/2 connection.
///
/// Dropping it half way closes the former, so that nothing out of step is ever used again (R-P-8),
/// and leaves the latter: hyper resets the stream.
pub(crate) struct Lease<R: Runtime> {
    connections: Arc<Connections<R>>,
    connection: ConnectionId,
    shared: Arc<Shared>,
    /// Here until the lease ends.
    sender: Option<Sender<R>>,
    reused: bool,
    since: Timestamp,
    /// Whether the connection seems dead, and is to take no further request.
    distrusted: bool,
}

impl<R: Runtime> Lease<R> {
    pub(super) fn new(
        connections: &Arc<Connections<R>>,
        grant: Grant<R>,
        since: Timestamp,
    ) -> Self {
        let Grant { connection, sender, shared, reused } = grant;
        let connections = Arc::clone(connections);
        let sender = Some(sender);
        Self { connections, connection, shared, sender, reused, since, distrusted: false }
    }

    pub(crate) fn runtime(&self) -> &R {
        self.connections.runtime()
    }

    pub(crate) fn max_head(&self) -> usize {
        self.connections.connector().max_head()
    }

    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.shared.meter
    }

    pub(crate) const fn sender(&mut self) -> Option<&mut Sender<R>> {
        self.sender.as_mut()
    }

    /// Since when the exchange has it.
    pub(crate) const fn since(&self) -> Timestamp {
        self.since
    }

    /// Whether the connection had served another request before.
    pub(crate) const fn is_reused(&self) -> bool {
        self.reused
    }

    /// Whether a request can be sent, as far as its socket tells. It is asked because nobody may have
    /// read the end of the stream yet: a request that follows it is lost, and may not be sent again.
    ///
    /// A connection that others do not use has nothing to say before it is asked, so that anything
    /// at all makes it unfit: an end, a reset, or a response to nothing. With TLS on it that may be
    /// a harmless record, such as a session ticket, but it may as well announce the end: another
    /// handshake costs less than a lost request.
    pub(super) async fn is_fit(&mut self) -> bool {
        if !self.is_multiplexed() {
            return self.peek() == Peeked::Nothing;
        }
        if self.since.saturating_since(self.meter().last_activity()) < QUIET {
            return true;
        }
        if self.peek() == Peeked::End {
            self.distrust();
            return false;
        }
        // What waits there may be a GOAWAY, which its task is to read first.
        self.runtime().yield_now().await;
        self.since = self.runtime().now();
        self.shared.ended().is_none()
    }

    fn peek(&self) -> Peeked {
        self.shared.wire.get().map_or(Peeked::Nothing, |wire| wire.peek())
    }

    /// Whether other exchanges may use the connection at the same time.
    pub(crate) const fn is_multiplexed(&self) -> bool {
        matches!(self.sender, Some(Sender::Http2(_)))
    }

    /// Nothing at all came over the connection for as long as a timeout: whoever tries again needs
    /// another.
    pub(crate) const fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// The response has ended: the connection is free as soon as hyper is ready for the next.
    pub(crate) fn give_back(mut self) {
        if redial_engine::planted!(NeverReused) {
            return;
        }
        match self.sender.take() {
            Some(sender @ Sender::Http1(_)) => self.finish(sender),
            Some(Sender::Http2(_)) => self.leave_stream(),
            None => {}
        }
    }

    /// Nothing was sent: the connection is as free as it was.
    pub(super) fn give_back_unused(self) {
        self.give_back();
    }

    fn finish(&self, sender: Sender<R>) {
        let now = self.runtime().now();
        let (connection, shared) = (self.connection, &self.shared);
        self.connections.with(|state| {
            let Some(live) = state.live.get_mut(connection) else { return };
            if sender.is_ready() {
                live.sender = Some(sender);
                return state.pool.released(now, connection, true);
            }
            // Said before the sender is looked at again: if that is not ready yet, the connection's
            // task will see this when it has made it so.
            shared.finishing.store(true, Ordering::SeqCst);
            state.pool.finishing(now, connection);
            let ready = sender.is_ready();
            live.sender = Some(sender);
            if ready && shared.finishing.swap(false, Ordering::SeqCst) {
                state.pool.released(now, connection, true);
            }
        });
    }

    fn leave_stream(&self) {
        let now = self.runtime().now();
        let fit = !self.distrusted;
        self.connections.with(|state| state.pool.released(now, self.connection, fit));
    }

    fn close(&self) {
        let now = self.runtime().now();
        let waker = self.shared.end.set();
        self.connections.with(|state| state.pool.closing(now, self.connection));
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

impl<R: Runtime> Drop for Lease<R> {
    fn drop(&mut self) {
        match self.sender.take() {
            Some(Sender::Http1(sender)) => {
                drop(sender);
                self.close();
            }
            Some(Sender::Http2(_)) => self.leave_stream(),
            None => {}
        }
    }
}
