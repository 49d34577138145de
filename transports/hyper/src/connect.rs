//! From an origin to a connection that serves.

use std::io;
use std::sync::Arc;

use hyper::client::conn::http1;
use redial_client::{Origin, Scheme, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::io::{Meter, MeteredIo};
use crate::runtime::Runtime;
use crate::upload::Upload;

/// The largest response head: 64 KiB (R-X-2). hyper's own limit of headers is 100.
pub(crate) const MAX_HEAD: usize = 64 * 1024;

/// What sends requests over a connection.
pub(crate) type Sender = http1::SendRequest<Upload>;

/// What drives a connection; its socket is closed when this is dropped.
pub(crate) type Driver<R> = http1::Connection<MeteredIo<R>, Upload>;

/// A connection that is ready for its first request.
pub(crate) struct Connected<R: Runtime> {
    pub(crate) sender: Sender,
    pub(crate) driver: Driver<R>,
}

/// Connects to an origin. The meter is to show what crosses the connection.
pub(crate) async fn connect<R: Runtime>(
    runtime: &R,
    origin: &Origin,
    meter: &Arc<Meter>,
) -> Result<Connected<R>, TransportError> {
    if origin.scheme() == Scheme::Https {
        let failure = Failure::new(FailureKind::InvalidRequest, Delivery::Unsent);
        return Err(TransportError::with_source(failure, "this transport has no TLS yet"));
    }
    let socket = dial(runtime, origin).await?;
    let io = MeteredIo::new(socket, runtime.clone(), Arc::clone(meter));
    let handshake = http1::Builder::new().max_header_size(MAX_HEAD).handshake(io).await;
    match handshake {
        Ok((sender, driver)) => Ok(Connected { sender, driver }),
        Err(error) => Err(unsent(FailureKind::Connect, error)),
    }
}

/// Resolves the host and tries its addresses in turn; the last error counts.
async fn dial<R: Runtime>(runtime: &R, origin: &Origin) -> Result<R::Socket, TransportError> {
    let addresses = runtime.resolve(origin.host(), origin.port()).await;
    let addresses = addresses.map_err(|error| unsent(FailureKind::Resolve, error))?;
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    let mut kind = FailureKind::Resolve;
    for address in addresses {
        match runtime.connect(address).await {
            Ok(socket) => return Ok(socket),
            Err(error) => (kind, last) = (FailureKind::Connect, error),
        }
    }
    Err(unsent(kind, last))
}

fn unsent(kind: FailureKind, source: impl Into<redial_client::BoxError>) -> TransportError {
    TransportError::with_source(Failure::new(kind, Delivery::Unsent), source)
}
