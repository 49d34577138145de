//! From an origin to a connection that serves.

use core::future::poll_fn;
use core::task::Poll;
use std::sync::Arc;

use hyper::client::conn::http2;
use redial_client::{Origin, Protocol, Scheme, Settings, SettingsError, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::classify;
use crate::connections::Shared;
use crate::dial;
use crate::http1::Sequential;
use crate::http2::{Multiplexed, Progress};
use crate::io::{MeteredIo, Scratch};
use crate::meter::Meter;
use crate::runtime::Runtime;
use crate::stream::Stream;
use crate::tap::Tap;
use crate::tls;
use crate::upload::Upload;
use crate::wire::Wire;

/// How a request gets at a connection that stands.
#[derive(Clone)]
pub(crate) enum Access<R: Runtime> {
    /// It has the connection to itself.
    Http1,
    /// It has a stream of its own, by a clone of this.
    Http2(http2::SendRequest<Upload<R>>),
}

/// A connection that is ready for its first request; its socket is closed when this is dropped.
pub(crate) enum Connected<R: Runtime> {
    Http1(Box<Sequential<R>>),
    Http2 {
        sender: http2::SendRequest<Upload<R>>,
        driver: Box<Multiplexed<R>>,
        /// How many requests it serves at a time.
        max_streams: u32,
    },
}

/// Which versions of HTTP a server is offered, where that is negotiated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offer {
    /// What the settings say.
    AsSet,
    /// HTTP/1.1 alone.
    Http1,
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

    /// Whether the server of this origin has a say in which version it is.
    pub(crate) fn negotiates(&self, origin: &Origin) -> bool {
        self.protocol == Protocol::Negotiated && self.may_be_shared(origin)
    }

    /// Connects to an origin. What is shared about the connection shows from here on what happens
    /// on it.
    pub(crate) async fn connect<R: Runtime>(
        &self,
        runtime: &R,
        origin: &Origin,
        offer: Offer,
        shared: &Shared<R>,
    ) -> Result<Connected<R>, TransportError> {
        let socket = dial::dial(runtime, origin).await?;
        let (stream, agreed) = match origin.scheme() {
            Scheme::Http => (Stream::Plain(socket), false),
            Scheme::Https => {
                let (runtime, meter) = (runtime.clone(), Arc::clone(&shared.meter));
                let socket = Tap::new(socket, move |bytes| meter.arrived(bytes, runtime.now()));
                let (stream, http2) = self.tls.connect(origin, offer, socket).await?;
                (Stream::Tls(Box::new(stream)), http2)
            }
        };
        let http2 = match self.protocol {
            Protocol::Http2PriorKnowledge => true,
            Protocol::Negotiated => agreed,
            Protocol::Http1 | _ => false,
        };
        let ear = (!http2).then(|| shared.relay.ear());
        let wire = Arc::new(Wire::new(stream, ear));
        let (meter, scratch) = (Arc::clone(&shared.meter), self.scratch.clone());
        let io = MeteredIo::new(Arc::clone(&wire), runtime.clone(), meter, scratch);
        let _ = shared.wire.set(wire);
        if http2 {
            self.speak_http2(io.in_frames(self.max_head), &shared.meter).await
        } else {
            self.speak_http1(io).await
        }
    }

    async fn speak_http1<R: Runtime>(
        &self,
        io: MeteredIo<R>,
    ) -> Result<Connected<R>, TransportError> {
        let begun = Sequential::begin(io.hearing_out(), self.max_head).await;
        Ok(Connected::Http1(begun.map_err(|error| unsent(FailureKind::Connect, error))?))
    }

    /// Waits for the peer's settings, which are the first that it says (RFC 9113 3.4): until then
    /// nobody knows how many streams it permits, nor that it speaks HTTP/2 at all. That costs a
    /// round trip for each connection at most, and nothing is ever sent in vain.
    async fn speak_http2<R: Runtime>(
        &self,
        io: MeteredIo<R>,
        meter: &Meter,
    ) -> Result<Connected<R>, TransportError> {
        let begun = Multiplexed::begin(io, self.max_head).await;
        let (sender, mut driver) = begun.map_err(|error| unsent(FailureKind::Connect, error))?;
        let max_streams = poll_fn(|context| match driver.poll(context) {
            Progress::Open(Some(limit)) => Poll::Ready(Ok(limit)),
            Progress::Open(None) => Poll::Pending,
            Progress::Draining(error) => Poll::Ready(Err(classify::before_settings(error, meter))),
            Progress::Gone => Poll::Ready(Err(TransportError::unsent(FailureKind::Connect))),
        });
        let max_streams = max_streams.await?;
        Ok(Connected::Http2 { sender, driver: Box::new(driver), max_streams })
    }
}

fn unsent(kind: FailureKind, source: impl Into<redial_client::BoxError>) -> TransportError {
    TransportError::with_source(Failure::new(kind, Delivery::Unsent), source)
}
