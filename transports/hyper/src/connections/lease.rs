//! A connection, or one stream of it, for the length of one exchange.

use core::future::Future;
use core::sync::atomic::Ordering;
use core::task::{Context, Waker};
use core::time::Duration;
use std::sync::Arc;

use futures_util::future::Either;
use http::Request;
use hyper::client::conn::http2;
use redial_client::{Origin, TransportError};
use redial_engine::Timestamp;

use crate::classify;
use crate::connect::Access;
use crate::connections::state::Grant;
use crate::connections::{Connections, Shared};
use crate::exchange::Sent;
use crate::http1::Sequential;
use crate::meter::Meter;
use crate::pool::ConnectionId;
use crate::runtime::{Peeked, Runtime};
use crate::timeouts::Timer;
use crate::upload::{Progress, Upload};

/// For how long an HTTP/2 connection has to have been silent for its socket to be asked. One that
/// is at work is read all the time.
const QUIET: Duration = Duration::from_millis(1);

/// An HTTP/1.1 connection that one exchange has to itself, or one stream of an HTTP/2 connection.
///
/// The former is driven by whoever has the lease, the latter by a task of the connection's own.
///
/// Dropping it half way closes the former, so that nothing out of step is ever used again (R-P-8),
/// and leaves the latter: hyper resets the stream. Before anything was sent it is only given back.
pub(crate) struct Lease<R: Runtime> {
    connections: Arc<Connections<R>>,
    connection: ConnectionId,
    shared: Arc<Shared<R>>,
    hold: Hold<R>,
    reused: bool,
    /// Whether other requests were under way when it was given.
    busy: bool,
    /// Which of the connection's exchanges it is for.
    number: u64,
    since: Timestamp,
    /// Whether a request was handed to the connection, or it was found unfit for one.
    spent: bool,
    /// Whether the connection seems dead, and is to take no further request.
    distrusted: bool,
}

/// What an exchange has of a connection.
enum Hold<R: Runtime> {
    /// The connection itself (HTTP/1.1).
    Whole(Box<Sequential<R>>),
    /// The connection, which its keeper drives (HTTP/1.1).
    Kept,
    /// A stream of its own (HTTP/2).
    Stream(http2::SendRequest<Upload<R>>),
    /// Nothing any more: it has ended, or was given back.
    Nothing,
}

/// What hands one request to hyper.
pub(crate) enum Sender<'a, R: Runtime> {
    Http1(&'a mut Sequential<R>),
    Http2(&'a mut http2::SendRequest<Upload<R>>),
}

impl<R: Runtime> Sender<'_, R> {
    /// Hands it over. Answers with what waits for the response head.
    #[inline(always)]
    pub(crate) fn send(
        self,
        request: Request<Upload<R>>,
    ) -> impl Future<Output = Sent<R>> + use<R> {
        match self {
            Self::Http1(connection) => Either::Left(connection.send(request)),
            Self::Http2(sender) => Either::Right(sender.try_send_request(request)),
        }
    }
}

impl<R: Runtime> Lease<R> {
    pub(super) fn new(
        connections: &Arc<Connections<R>>,
        grant: Grant<R>,
        since: Timestamp,
    ) -> Self {
        let Grant { connection, access, shared, reused, busy, number } = grant;
        let hold = match access {
            Access::Http1 => shared.parked.take().map_or(Hold::Nothing, Hold::Whole),
            Access::Http2(sender) => Hold::Stream(sender),
        };
        shared.relay.attend();
        let connections = Arc::clone(connections);
        let (spent, distrusted) = (false, false);
        Self {
            connections,
            connection,
            shared,
            hold,
            reused,
            busy,
            number,
            since,
            spent,
            distrusted,
        }
    }

    pub(crate) fn runtime(&self) -> &R {
        self.connections.runtime()
    }

    pub(crate) fn max_head(&self) -> usize {
        self.connections.connector().max_head()
    }

    pub(crate) fn shared(&self) -> &Shared<R> {
        &self.shared
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.shared.meter
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
        let fit = if self.is_multiplexed() {
            self.can_be_shared().await
        } else {
            self.is_quiet().await || self.peek() == Peeked::Nothing
        };
        self.spent = !fit;
        fit
    }

    async fn can_be_shared(&mut self) -> bool {
        if self.meter().is_ending() || self.shared.uploads.are_left() {
            self.distrust();
            return false;
        }
        if self.since.saturating_since(self.meter().last_activity()) < QUIET {
            return true;
        }
        match self.peek() {
            Peeked::Nothing => {}
            Peeked::End => {
                self.distrust();
                return false;
            }
            Peeked::Bytes => {
                // Among them may be a GOAWAY, which its task is to read first.
                self.runtime().yield_now().await;
                self.since = self.runtime().now();
            }
        }
        self.shared.ended().is_none()
    }

    /// Whether the reactor has had a turn, and has nothing to say of the connection. That is as good
    /// as to ask the system, and where others are under way it costs less: it is one turn for all.
    async fn is_quiet(&mut self) -> bool {
        let Some(turn) = self.busy.then(|| self.runtime().reactor_turn()).flatten() else {
            return false;
        };
        turn.await;
        self.shared.relay.is_listening()
    }

    /// Whether something has come that nobody has read yet, because the reactor is late. It is read
    /// when the connection is driven next.
    #[cold]
    pub(crate) fn has_unread(&self) -> bool {
        let unread = self.peek() != Peeked::Nothing;
        if unread && matches!(self.hold, Hold::Whole(_)) {
            self.shared.relay.ask();
        }
        unread
    }

    fn peek(&self) -> Peeked {
        self.shared.wire.get().map_or(Peeked::Nothing, |wire| wire.peek())
    }

    /// Whether other exchanges may use the connection at the same time.
    pub(crate) const fn is_multiplexed(&self) -> bool {
        matches!(self.hold, Hold::Stream(_))
    }

    /// Whether the connection has had no other exchange at the same time, as far as is known.
    pub(crate) fn is_alone(&self) -> bool {
        !self.busy && self.shared.is_last(self.number)
    }

    /// What hands a request to hyper, if the connection has not ended.
    pub(crate) fn sender(&mut self) -> Result<Sender<'_, R>, TransportError> {
        self.spent = true;
        match &mut self.hold {
            Hold::Whole(connection) => Ok(Sender::Http1(connection)),
            Hold::Stream(sender) => Ok(Sender::Http2(sender)),
            Hold::Kept | Hold::Nothing => {
                Err(TransportError::unsent(classify::lost(&self.shared.meter)))
            }
        }
    }

    /// A timer that an exchange before has left, if there is one.
    pub(crate) fn take_timer(&mut self) -> Option<Timer> {
        match &mut self.hold {
            Hold::Whole(connection) => connection.timer.take(),
            Hold::Stream(_) => self.shared.timers.take(),
            Hold::Kept | Hold::Nothing => None,
        }
    }

    /// Leaves a timer to the connection's next exchange.
    pub(crate) fn put_timer(&mut self, timer: Timer) {
        match &mut self.hold {
            Hold::Whole(connection) => connection.timer = Some(timer),
            Hold::Stream(_) => self.shared.timers.put(timer),
            Hold::Kept | Hold::Nothing => {}
        }
    }

    /// Attends to the connection, where nobody else does, and lets it do what it can.
    pub(crate) fn drive(&mut self) {
        if let Hold::Whole(connection) = &mut self.hold {
            let relay = &self.shared.relay;
            relay.attend();
            let mut context = Context::from_waker(relay.waker());
            if connection.drive(&mut context).is_ready() {
                self.close();
            }
        }
    }

    /// Attends to the connection, but lets it do nothing yet; whether that is for the lease to do.
    pub(crate) fn attend(&self) -> bool {
        let whole = matches!(self.hold, Hold::Whole(_));
        if whole {
            self.shared.relay.attend();
        }
        whole
    }

    /// What to poll the parts of hyper with that belong to the exchange: who drives the connection
    /// polls them after each time, and need not be woken by what that does.
    pub(crate) const fn waker<'a>(&self, context: &'a Context<'_>) -> &'a Waker {
        match &self.hold {
            Hold::Whole(_) => Waker::noop(),
            Hold::Kept | Hold::Stream(_) | Hold::Nothing => context.waker(),
        }
    }

    /// Waits for the connection to have something to do.
    pub(crate) fn wait(&self, context: &Context<'_>) {
        if let Hold::Whole(_) = &self.hold {
            self.shared.relay.wait(context);
        }
    }

    /// Leaves it to the connection's keeper to drive it, because nobody may ask for the response body
    /// before the request body has been sent.
    pub(crate) fn leave_to_keeper(&mut self) {
        match core::mem::replace(&mut self.hold, Hold::Nothing) {
            Hold::Whole(connection) => match self.shared.parked.leave(connection) {
                Ok(()) => {
                    self.hold = Hold::Kept;
                    self.shared.relay.leave();
                    self.shared.end.nudge();
                }
                Err(connection) => self.hold = Hold::Whole(connection),
            },
            other @ (Hold::Kept | Hold::Stream(_) | Hold::Nothing) => self.hold = other,
        }
    }

    /// Nothing at all came over the connection for as long as a timeout: whoever tries again needs
    /// another.
    pub(crate) const fn distrust(&mut self) {
        self.distrusted = true;
    }

    /// The origin has asked for HTTP/1.1 over this connection (RFC 9113 7).
    pub(crate) fn require_http1(&self, origin: &Origin) {
        self.connections.require_http1(self.connection, origin);
    }

    /// The response is over, and the request body is not (HTTP/2). Whoever wants the connection while
    /// that is so gets another, and this one ends with what is on it.
    pub(crate) fn leave_upload(&self, upload: Progress) {
        self.shared.uploads.leave(upload);
    }

    /// The response has ended: the connection is free as soon as hyper is ready for the next.
    pub(crate) fn give_back(mut self) {
        if !redial_engine::planted!(NeverReused) {
            self.release();
        }
    }

    fn release(&mut self) {
        if let Hold::Whole(connection) = &self.hold
            && !connection.is_ready()
        {
            self.leave_to_keeper();
        }
        match core::mem::replace(&mut self.hold, Hold::Nothing) {
            Hold::Whole(connection) => self.park(connection),
            Hold::Kept => self.finish(),
            Hold::Stream(_) => self.leave_stream(),
            Hold::Nothing => {}
        }
    }

    fn park(&self, connection: Box<Sequential<R>>) {
        if let Err(connection) = self.shared.parked.put(connection) {
            drop(connection);
            return self.connections.gone(self.connection);
        }
        // What the keeper has missed, it is to see to; and it is to hear of what comes.
        self.shared.relay.leave();
        if !self.shared.relay.is_listening() {
            self.shared.end.nudge();
        }
        let now = self.runtime().now();
        self.connections.with(|state| state.pool.released(now, self.connection, true));
    }

    /// The keeper has the connection, and will say when it is ready.
    fn finish(&self) {
        let now = self.runtime().now();
        self.connections.with(|state| state.pool.finishing(now, self.connection));
        self.shared.finishing.store(true, Ordering::Release);
        self.shared.end.nudge();
    }

    fn leave_stream(&self) {
        let now = self.runtime().now();
        let fit = !self.distrusted;
        self.connections.with(|state| state.pool.released(now, self.connection, fit));
    }

    /// Closes a connection that the exchange has to itself.
    fn close(&mut self) {
        let end = self.shared.end.set();
        match core::mem::replace(&mut self.hold, Hold::Nothing) {
            Hold::Whole(connection) => {
                drop(connection);
                self.connections.gone(self.connection);
            }
            // The keeper says when it is gone.
            Hold::Kept | Hold::Stream(_) | Hold::Nothing => {
                let now = self.runtime().now();
                self.connections.with(|state| state.pool.closing(now, self.connection));
            }
        }
        if let Some(keeper) = end {
            keeper.wake();
        }
    }
}

impl<R: Runtime> Drop for Lease<R> {
    fn drop(&mut self) {
        match self.hold {
            Hold::Whole(_) if !self.spent => self.release(),
            Hold::Whole(_) | Hold::Kept => self.close(),
            Hold::Stream(_) => self.leave_stream(),
            Hold::Nothing => {}
        }
    }
}
