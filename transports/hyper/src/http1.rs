//! One HTTP/1.1 connection: what sends requests over it, and what drives it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use http::Request;
use hyper::client::conn::http1;

use crate::exchange::Sent;
use crate::io::MeteredIo;
use crate::runtime::Runtime;
use crate::timeouts::Timer;
use crate::upload::Upload;

/// An HTTP/1.1 connection, which serves one request at a time.
///
/// Whoever has it drives it: nothing happens on it otherwise. With this, its socket is closed.
pub(crate) struct Sequential<R: Runtime> {
    driver: http1::Connection<MeteredIo<R>, Upload<R>>,
    sender: http1::SendRequest<Upload<R>>,
    /// The timer of the exchange before, for the next one.
    pub(crate) timer: Option<Timer>,
}

impl<R: Runtime> Sequential<R> {
    /// Begins a connection over this socket.
    pub(crate) async fn begin(io: MeteredIo<R>, max_head: usize) -> hyper::Result<Box<Self>> {
        let mut builder = http1::Builder::new();
        builder.max_header_size(max_head);
        let (sender, driver) = builder.handshake(io).await?;
        Ok(Box::new(Self { driver, sender, timer: None }))
    }

    /// Hands a request to hyper, which sends it as the connection is driven.
    #[inline]
    pub(crate) fn send(
        &mut self,
        request: Request<Upload<R>>,
    ) -> impl Future<Output = Sent<R>> + use<R> {
        self.sender.try_send_request(request)
    }

    /// Lets the connection do what it can. Ready when it has ended, and is to be dropped.
    ///
    /// Why it has ended, whoever waits for an answer on it is told by hyper.
    #[inline]
    pub(crate) fn drive(&mut self, context: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.driver).poll(context).map(drop)
    }

    /// Whether the next request can be sent.
    pub(crate) fn is_ready(&self) -> bool {
        self.sender.is_ready()
    }
}
