//! One exchange over a connection of its own, each of whose steps ends in time.

use core::time::Duration;
use std::io::{self, BufReader, Error, ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};

use async_channel::{Receiver, Sender, bounded};
use bytes::Bytes;
use futures_lite::future::{block_on, or};
use http::Response;
use http_body::Body as _;
use http_body_util::BodyExt as _;
use redial_client::{Body, Clock as _, Exchange, Origin, Scheme, Timeouts, TransportError, race};
use redial_engine::{Cutoff, Delivery, Failure, FailureKind, Timestamp};

use super::Time;
use super::http1::{self, Framing};

/// A response's head, and where its body comes from.
type Head = (Response<()>, Receiver<Result<Bytes, TransportError>>);

/// How far an exchange is: what it is to wait there for too long, what any other trouble is, and
/// what the server may have seen.
type Step = (FailureKind, FailureKind, Delivery);

const RESOLVE: Step = (FailureKind::ConnectTimeout, FailureKind::Resolve, Delivery::Unsent);
const CONNECT: Step = (FailureKind::ConnectTimeout, FailureKind::Connect, Delivery::Unsent);
const WRITE: Step = (FailureKind::WriteTimeout, FailureKind::Reset, Delivery::Unknown);
const READ: Step = (FailureKind::ReadTimeout, FailureKind::Reset, Delivery::Unknown);
const BODY: Step = (FailureKind::ReadTimeout, FailureKind::Reset, Delivery::Answered);

/// Troubles that are the same at every step.
const TROUBLES: [(ErrorKind, FailureKind); 4] = [
    (ErrorKind::InvalidInput, FailureKind::InvalidRequest),
    (ErrorKind::InvalidData, FailureKind::RemoteProtocol),
    (ErrorKind::FileTooLarge, FailureKind::ResponseTooLarge),
    (ErrorKind::UnexpectedEof, FailureKind::Truncated),
];

/// The connection of one exchange, and its limits.
pub(crate) struct Wire {
    time: Time,
    timeouts: Timeouts,
    cutoff: Option<Cutoff>,
    socket: Arc<OnceLock<TcpStream>>,
    /// Closed when the caller is gone.
    gone: Receiver<()>,
    step: Step,
    /// Whether a byte of the response has come.
    heard: bool,
}

impl Wire {
    pub(crate) fn new(
        exchange: &Exchange,
        time: Time,
        socket: Arc<OnceLock<TcpStream>>,
        gone: Receiver<()>,
    ) -> Self {
        let (timeouts, cutoff) = (exchange.timeouts, exchange.cutoff);
        Self { time, timeouts, cutoff, socket, gone, step: RESOLVE, heard: false }
    }

    /// Carries the exchange out, and tells its caller as it goes. Who is gone is told nothing.
    pub(crate) fn talk(
        self,
        exchange: Exchange,
        max_head: usize,
        tell: &Sender<Result<Head, TransportError>>,
    ) {
        let mut wire = BufReader::new(self);
        let (head, framing) = match ask(&mut wire, exchange, max_head) {
            Ok(answer) => answer,
            Err(error) => return drop(tell.send_blocking(Err(wire.get_ref().failure(error)))),
        };
        wire.get_mut().step = BODY;
        let (piece, pieces) = bounded(1);
        let _ = tell.send_blocking(Ok((head, pieces)));
        let read = http1::read_body(&mut wire, framing, |bytes| {
            piece.send_blocking(Ok(Bytes::copy_from_slice(bytes))).map_err(Error::other)
        });
        if let Err(error) = read {
            let _ = piece.send_blocking(Err(wire.get_ref().failure(error)));
        }
    }

    fn connect(&mut self, origin: &Origin) -> io::Result<()> {
        if origin.scheme() == Scheme::Https {
            return Err(Error::new(ErrorKind::InvalidInput, "TLS is not spoken here"));
        }
        let until = self.time.now().saturating_add(self.timeouts.connect);
        let addresses = (origin.host(), origin.port()).to_socket_addrs()?;
        self.step = CONNECT;
        let mut refused = Error::from(ErrorKind::AddrNotAvailable);
        for address in addresses {
            let left = self.left(until.saturating_since(self.time.now()))?;
            match TcpStream::connect_timeout(&address, left) {
                Ok(socket) => return self.socket.set(socket).map_err(|_| ErrorKind::Other.into()),
                Err(error) => refused = error,
            }
        }
        Err(refused)
    }

    fn write_request(&mut self, exchange: Exchange) -> io::Result<()> {
        let (head, mut body) = exchange.request.into_parts();
        let length = body.size_hint().exact();
        self.write_all(&http1::request_head(&head, length)?)?;
        while let Some(bytes) = self.pull(&mut body)? {
            self.write_all(&http1::piece(&bytes, length))?;
        }
        if length.is_none() { self.write_all(b"0\r\n\r\n") } else { Ok(()) }
    }

    /// The next piece of a request's body, however slow it is, while its caller waits.
    fn pull(&self, body: &mut Body) -> io::Result<Option<Bytes>> {
        let at = self.cutoff.map_or(Timestamp::MAX, |cutoff| cutoff.at);
        let gone = async {
            let _ = self.gone.recv().await;
        };
        match block_on(race(body.frame(), or(self.time.sleep_until(at), gone))) {
            None => Err(ErrorKind::TimedOut.into()),
            Some(None) => Ok(None),
            Some(Some(Ok(frame))) => Ok(frame.into_data().ok()),
            Some(Some(Err(error))) => Err(Error::new(ErrorKind::InvalidInput, error)),
        }
    }

    /// What is left of a time, with regard to the attempt's.
    fn left(&self, longest: Duration) -> io::Result<Duration> {
        let cut = self.cutoff.map(|cutoff| cutoff.at.saturating_since(self.time.now()));
        let left = cut.map_or(longest, |cut| cut.min(longest));
        if left.is_zero() { Err(ErrorKind::TimedOut.into()) } else { Ok(left) }
    }

    /// The socket, while the caller is there.
    fn socket(&self) -> io::Result<&TcpStream> {
        let socket = self.socket.get().filter(|_| !self.gone.is_closed());
        socket.ok_or_else(|| ErrorKind::NotConnected.into())
    }

    /// What a trouble means: decided by how far the exchange is, and by the clock.
    fn failure(&self, error: Error) -> TransportError {
        let (late, broken, delivery) = self.step;
        let known = TROUBLES.iter().find(|(trouble, _)| *trouble == error.kind());
        let kind = match (error.kind(), known) {
            (ErrorKind::TimedOut | ErrorKind::WouldBlock, _) => {
                let cut = self.cutoff.filter(|cutoff| cutoff.at <= self.time.now());
                cut.map_or(late, |cutoff| cutoff.kind())
            }
            (_, Some((ErrorKind::UnexpectedEof, _))) if !self.heard => FailureKind::Closed,
            (_, Some((_, kind))) => *kind,
            (_, None) => broken,
        };
        TransportError::with_source(Failure::new(kind, delivery), error)
    }
}

/// Sends a request, and reads the head of the response.
fn ask(
    wire: &mut BufReader<Wire>,
    exchange: Exchange,
    max_head: usize,
) -> io::Result<(Response<()>, Framing)> {
    let method = exchange.request.method().clone();
    wire.get_mut().connect(&exchange.origin)?;
    wire.get_mut().step = WRITE;
    let written = wire.get_mut().write_request(exchange);
    match &written {
        Ok(()) => {}
        // A server may answer before it has read everything, and read no more.
        Err(error)
            if [ErrorKind::BrokenPipe, ErrorKind::ConnectionReset].contains(&error.kind()) => {}
        Err(_) => written?,
    }
    wire.get_mut().step = READ;
    let head = http1::read_head(wire, max_head)?;
    let framing = http1::framing(&method, &head)?;
    Ok((head, framing))
}

impl Read for Wire {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut socket = self.socket()?;
        socket.set_read_timeout(Some(self.left(self.timeouts.read)?))?;
        let length = socket.read(buffer)?;
        self.heard |= length > 0;
        Ok(length)
    }
}

impl Write for Wire {
    /// Small pieces: a socket that takes half of a large one has waited for the other half.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut socket = self.socket()?;
        socket.set_write_timeout(Some(self.left(self.timeouts.write)?))?;
        socket.write(bytes.get(..4096).unwrap_or(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        if let Some(socket) = self.socket.get() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
