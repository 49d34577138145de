//! The life of one connection: it is opened, serves, and is gone.

use core::future::{Future, poll_fn};
use core::pin::Pin;
use core::sync::atomic::Ordering;
use core::task::Poll;
use core::time::Duration;
use std::sync::{Arc, Weak};

use hyper::client::conn::http1;
use redial_client::{Origin, PoolEventKind, TransportError, race};
use redial_engine::{FailureKind, Timestamp};

use crate::classify;
use crate::connect::{Connected, Connector, Driver};
use crate::connections::watch::Watch;
use crate::connections::{Connections, Shared};
use crate::http2::{self, Multiplexed};
use crate::io::MeteredIo;
use crate::pool::ConnectionId;
use crate::runtime::Runtime;
use crate::upload::Upload;

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
    shared: Arc<Shared>,
    opened: bool,
    /// Why it could not be opened.
    error: Option<TransportError>,
}

impl<R: Runtime> Task<R> {
    pub(super) fn new(
        connections: &Arc<Connections<R>>,
        connection: ConnectionId,
        origin: Origin,
        shared: Arc<Shared>,
    ) -> Self {
        Self {
            connections: Arc::downgrade(connections),
            connector: Arc::clone(&connections.connector),
            runtime: connections.runtime().clone(),
            watch: connections.watch.clone(),
            connection,
            origin,
            shared,
            opened: false,
            error: None,
        }
    }

    /// Opens the connection and serves it, until it ends or is told to.
    pub(super) async fn run(mut self, timeout: Duration) {
        let began = self.runtime.now();
        match self.open(began, timeout).await {
            Ok(Connected { sender, driver, max_streams, wire }) => {
                let Some(connections) = self.connections.upgrade() else { return };
                let _ = self.shared.wire.set(wire);
                self.opened = true;
                let took = self.runtime.now().saturating_since(began);
                self.watch.tell(&self.origin, PoolEventKind::Opened { took });
                connections.opened(self.connection, &self.origin, sender, max_streams);
                drop(connections);
                match driver {
                    Driver::Http1(driver) => self.serve_http1(driver).await,
                    Driver::Http2(driver) => self.serve_http2(driver, max_streams).await,
                }
            }
            #[cfg(redial_planted)]
            Err(error) => self.error = Some(crate::planted::spoil_error(error)),
            #[cfg(not(redial_planted))]
            Err(error) => self.error = Some(error),
        }
    }

    async fn open(
        &self,
        began: Timestamp,
        timeout: Duration,
    ) -> Result<Connected<R>, TransportError> {
        let until = began.checked_add(timeout).unwrap_or(Timestamp::MAX);
        let limit = self.runtime.sleep_until(until);
        let connecting = self.connector.connect(&self.runtime, &self.origin, &self.shared.meter);
        match race(race(connecting, limit), self.shared.end.wait()).await {
            Some(Some(result)) => result,
            Some(None) => Err(TransportError::unsent(FailureKind::ConnectTimeout)),
            None => Err(TransportError::unsent(FailureKind::Connect)),
        }
    }

    async fn serve_http1(&self, mut driver: Box<http1::Connection<MeteredIo<R>, Upload<R>>>) {
        let mut end = self.shared.end.wait();
        poll_fn(|context| {
            if Pin::new(&mut end).poll(context).is_ready() {
                return Poll::Ready(());
            }
            if Pin::new(&mut *driver).poll(context).is_ready() {
                return Poll::Ready(());
            }
            if self.shared.finishing.load(Ordering::SeqCst)
                && let Some(connections) = self.connections.upgrade()
            {
                connections.settle(self.connection);
            }
            Poll::Pending
        })
        .await;
    }

    async fn serve_http2(&self, mut driver: Box<Multiplexed<R>>, mut max_streams: u32) {
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

impl<R: Runtime> Drop for Task<R> {
    fn drop(&mut self) {
        if self.opened {
            self.watch.gone(&self.origin, self.shared.closed.get().copied());
        }
        let Some(connections) = self.connections.upgrade() else { return };
        if self.opened {
            return connections.gone(self.connection);
        }
        let error = self.error.take();
        let error = error.unwrap_or_else(|| TransportError::unsent(FailureKind::Connect));
        connections.open_failed(self.connection, error);
    }
}
