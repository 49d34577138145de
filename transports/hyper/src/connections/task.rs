//! The life of one connection: it is opened, serves, and is gone.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Weak};
use std::thread;

use redial_client::{Origin, PoolEventKind, TransportError, race};
use redial_engine::{FailureKind, Timestamp};

use crate::classify;
use crate::connect::{Access, Connected, Connector, Offer};
use crate::connections::keeper::Keeper;
use crate::connections::watch::Watch;
use crate::connections::{Connections, Shared};
use crate::http1::Sequential;
use crate::http2::{self, Multiplexed};
use crate::pool::ConnectionId;
use crate::runtime::Runtime;

/// The task of one connection. However it ends, also where the runtime drops it half way, it says
/// so to the pool, after the socket is gone.
///
/// It keeps the pool alive at no point: a client that nobody has any more closes its connections.
pub(super) struct Task<R: Runtime> {
    connections: Weak<Connections<R>>,
    connector: Arc<Connector>,
    runtime: R,
    watch: Watch,
    connection: ConnectionId,
    origin: Origin,
    offer: Offer,
    shared: Arc<Shared<R>>,
    opened: bool,
    /// Why it could not be opened.
    error: Option<TransportError>,
}

impl<R: Runtime> Task<R> {
    pub(super) fn new(
        connections: &Arc<Connections<R>>,
        connection: ConnectionId,
        origin: Origin,
        offer: Offer,
        shared: Arc<Shared<R>>,
    ) -> Self {
        Self {
            connections: Arc::downgrade(connections),
            connector: Arc::clone(&connections.connector),
            runtime: connections.runtime().clone(),
            watch: connections.watch.clone(),
            connection,
            origin,
            offer,
            shared,
            opened: false,
            error: None,
        }
    }

    /// Opens the connection and serves it, until it ends or is told to.
    pub(super) async fn run(mut self, timeout: Duration) {
        let began = self.runtime.now();
        match self.open(began, timeout).await {
            Ok(connected) => {
                self.opened = true;
                let took = self.runtime.now().saturating_since(began);
                self.watch.tell(&self.origin, PoolEventKind::Opened { took });
                match connected {
                    Connected::Http1(connection) => self.keep(connection).await,
                    Connected::Http2 { sender, driver, max_streams } => {
                        self.announce(Access::Http2(sender), max_streams);
                        self.serve(driver, max_streams).await;
                    }
                }
            }
            Err(error) => self.error = Some(error),
        }
    }

    fn announce(&self, access: Access<R>, max_streams: u32) {
        if let Some(connections) = self.connections.upgrade() {
            connections.opened(self.connection, &self.origin, access, max_streams);
        }
    }

    async fn open(
        &self,
        began: Timestamp,
        timeout: Duration,
    ) -> Result<Connected<R>, TransportError> {
        if timeout.is_zero() {
            // At once (R-T-8), however near the server is.
            return Err(TransportError::unsent(FailureKind::ConnectTimeout));
        }
        let until = began.checked_add(timeout).unwrap_or(Timestamp::MAX);
        let limit = self.runtime.sleep_until(until);
        let Self { connector, runtime, origin, offer, shared, .. } = self;
        let connecting = connector.connect(runtime, origin, *offer, shared);
        match race(race(connecting, limit), self.shared.end.wait()).await {
            Some(Some(result)) => result,
            Some(None) => Err(TransportError::unsent(FailureKind::ConnectTimeout)),
            None => Err(TransportError::unsent(FailureKind::Connect)),
        }
    }

    /// Looks after an HTTP/1.1 connection, which exchanges drive.
    async fn keep(&self, connection: Box<Sequential<R>>) {
        let mut keeper = Keeper::new(&self.shared, connection);
        self.announce(Access::Http1, 1);
        let mut end = self.shared.end.wait();
        poll_fn(|context| {
            if Pin::new(&mut end).poll(context).is_ready() {
                return Poll::Ready(());
            }
            let ended = keeper.poll(context);
            if ended.is_pending()
                && keeper.settles()
                && let Some(connections) = self.connections.upgrade()
            {
                connections.free(self.connection);
            }
            ended
        })
        .await;
    }

    /// Drives an HTTP/2 connection.
    async fn serve(&self, mut driver: Box<Multiplexed<R>>, mut max_streams: u32) {
        // Dropped before the driver is, which may be where the runtime is shut down: hyper then calls
        // it the user's mistake that there is no response.
        let _ended = Ended(&self.shared);
        let mut end = self.shared.end.wait();
        poll_fn(|context| {
            if Pin::new(&mut end).poll(context).is_ready() {
                return Poll::Ready(());
            }
            match driver.poll(context) {
                http2::Progress::Gone => return Poll::Ready(()),
                http2::Progress::Draining(error) => {
                    let kind = classify::ended(error.as_ref(), &self.shared.meter);
                    // Said once: later there is nothing new to say.
                    if self.shared.ended.set(kind).is_ok()
                        && let Some(connections) = self.connections.upgrade()
                    {
                        connections.draining(self.connection);
                    }
                    driver.give_back();
                }
                http2::Progress::Open(limit) => {
                    if let Some(limit) = limit.filter(|limit| *limit != max_streams)
                        && let Some(connections) = self.connections.upgrade()
                    {
                        max_streams = limit;
                        connections.permits(self.connection, limit);
                    }
                }
            }
            Poll::Pending
        })
        .await;
    }
}

/// Says of an HTTP/2 connection that it has ended, where nothing else did, when this is dropped.
struct Ended<'a, R: Runtime>(&'a Shared<R>);

impl<R: Runtime> Drop for Ended<'_, R> {
    fn drop(&mut self) {
        let _ = self.0.ended.set(classify::lost(&self.0.meter));
    }
}

impl<R: Runtime> Drop for Task<R> {
    fn drop(&mut self) {
        if self.opened {
            self.watch.gone(&self.origin, self.shared.closed.get().copied());
        }
        // An exchange that has the connection says when it is gone.
        let leased = self.shared.parked.close();
        let Some(connections) = self.connections.upgrade() else { return };
        if self.opened {
            if !leased {
                connections.gone(self.connection);
            }
            return;
        }
        match self.error.take() {
            Some(error) => connections.open_failed(self.connection, &self.origin, error),
            None if thread::panicking() => {
                let error = TransportError::unsent(FailureKind::Connect);
                connections.open_failed(self.connection, &self.origin, error);
            }
            // It has not run to its end.
            None => connections.orphaned(self.connection),
        }
    }
}
