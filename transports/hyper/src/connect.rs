//! From an origin to a connection that serves.

use core::future::poll_fn;
use core::task::Poll;
use std::sync::Arc;

use hyper::client::conn::{http1, http2};
use redial_client::{Origin, Protocol, Scheme, Settings, SettingsError, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify;
use crate::dial;
use crate::http2::{Multiplexed, Progress};
use crate::io::{Meter, MeteredIo, Scratch};
use crate::runtime::Runtime;
use crate::stream::Stream;
use crate::tls;
use crate::upload::Upload;
use crate::wire::{Look, Wire};

/// What sends requests over a connection.
pub(crate) enum Sender<R: Runtime> {
    Http1(http1::SendRequest<Upload<R>>),
    /// Each request has a clone of its own.
    Http2(http2::SendRequest<Upload<R>>),
}

impl<R: Runtime> Sender<R> {
    /// Whether a request can be sent at once.
    pub(crate) fn is_ready(&self) -> bool {
        match self {
            Self::Http1(sender) => sender.is_ready(),
            Self::Http2(sender) => sender.is_ready(),
        }
    }

    /// The sender for one request: an HTTP/2 connection keeps its own.
    pub(crate) fn take(place: &mut Option<Self>) -> Option<Self> {
        match place {
            Some(Self::Http2(sender)) => Some(Self::Http2(sender.clone())),
            Some(Self::Http1(_)) | None => place.take(),
        }
    }
}

/// What drives a connection; its socket is closed when this is dropped.
pub(crate) enum Driver<R: Runtime> {
    Http1(Box<http1::Connection<MeteredIo<R>, Upload<R>>>),
    Http2(Box<Multiplexed<R>>),
}

/// A connection that is ready for its first request.
pub(crate) struct Connected<R: Runtime> {
    pub(crate) sender: Sender<R>,
    pub(crate) driver: Driver<R>,
    /// How many requests it serves at a time.
    pub(crate) max_streams: u32,
    /// Where its end can be seen before its driver has seen it.
    pub(crate) wire: Arc<dyn Look>,
}

/// Makes connections under one set of settings.
pub(crate) struct Connector {
    protocol: Protocol,
    tls: tls::Connector,
    max_head: usize,
    scratch: Scratch,
}

impl Connector {
    /// # Errors
    ///
    /// [`SettingsError`] where the settings cannot be carried out.
    pub(crate) fn new(settings: Settings) -> Result<Self, SettingsError> {
        let Settings { protocol, tls, max_head_bytes, .. } = settings;
        let tls = tls::Connector::new(tls, protocol)?;
        let scratch = Scratch::default();
        Ok(Self { protocol, tls, max_head: max_head_bytes.get(), scratch })
    }

    /// The largest response head.
    pub(crate) const fn max_head(&self) -> usize {
        self.max_head
    }

    /// Whether a connection to this origin may turn out to be one that requests share.
    pub(crate) fn may_be_shared(&self, origin: &Origin) -> bool {
        match self.protocol {
            Protocol::Http1 => false,
            Protocol::Http2PriorKnowledge => true,
            Protocol::Negotiated | _ => origin.scheme() == Scheme::Https,
        }
    }

    /// Connects to an origin. The meter is to show what crosses the connection.
    pub(crate) async fn connect<R: Runtime>(
        &self,
        runtime: &R,
        origin: &Origin,
        meter: &Arc<Meter>,
    ) -> Result<Connected<R>, TransportError> {
        let socket = dial::dial(runtime, origin).await?;
        let (stream, agreed) = match origin.scheme() {
            Scheme::Http => (Stream::Plain(socket), false),
            Scheme::Https => {
                let (stream, http2) = self.tls.connect::<R>(origin, socket).await?;
                (Stream::Tls(Box::new(stream)), http2)
            }
        };
        let wire = Arc::new(Wire::new(stream));
        let scratch = self.scratch.clone();
        let io = MeteredIo::new(Arc::clone(&wire), runtime.clone(), Arc::clone(meter), scratch);
        let (sender, driver, max_streams) = match self.protocol {
            Protocol::Http2PriorKnowledge => self.speak_http2(io, meter).await?,
            Protocol::Negotiated if agreed => self.speak_http2(io, meter).await?,
            Protocol::Negotiated | Protocol::Http1 | _ => self.speak_http1(io).await?,
        };
        Ok(Connected { sender, driver, max_streams, wire })
    }

    async fn speak_http1<R: Runtime>(&self, io: MeteredIo<R>) -> Spoken<R> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(self.max_head);
        let handshake = builder.handshake(io.hearing_out()).await;
        let (sender, driver) = handshake.map_err(|error| unsent(FailureKind::Connect, error))?;
        Ok((Sender::Http1(sender), Driver::Http1(Box::new(driver)), 1))
    }

    /// Waits for the peer's settings, which are the first that it says (RFC 9113 3.4): until then
    /// nobody knows how many streams it permits, nor that it speaks HTTP/2 at all. That costs a
    /// round trip for each connection at most, and nothing is ever sent in vain.
    async fn speak_http2<R: Runtime>(&self, io: MeteredIo<R>, meter: &Meter) -> Spoken<R> {
        let begun = Multiplexed::begin(io, self.max_head).await;
        let (sender, mut driver) = begun.map_err(|error| unsent(FailureKind::Connect, error))?;
        let max_streams = poll_fn(|context| match driver.poll(context) {
            Progress::Open(Some(limit)) => Poll::Ready(Ok(limit)),
            Progress::Open(None) => Poll::Pending,
            Progress::Draining(error) => Poll::Ready(Err(classify::before_settings(error, meter))),
            Progress::Gone => Poll::Ready(Err(TransportError::unsent(FailureKind::Connect))),
        });
        let max_streams = max_streams.await?;
        Ok((Sender::Http2(sender), Driver::Http2(Box::new(driver)), max_streams))
    }
}

/// A connection on which one of the protocols is spoken, and how many requests it serves at a time.
type Spoken<R> = Result<(Sender<R>, Driver<R>, u32), TransportError>;

fn unsent(kind: FailureKind, source: impl Into<redial_client::BoxError>) -> TransportError {
    TransportError::with_source(Failure::new(kind, Delivery::Unsent), source)
}
