//! A transport of plain `std`: a thread for each request, and a connection that speaks HTTP/1.1.
//! `cargo run -p redial-conformance --example std_transport -- http://HOST:PORT/`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]
#![allow(clippy::wildcard_enum_match_arm, reason = "errors of other kinds are like the rest")]

use core::future::ready;
use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Error, ErrorKind, Write as _};
use std::net::{Shutdown, TcpStream, ToSocketAddrs as _};
use std::sync::{Arc, OnceLock};
use std::thread::Builder;

use futures_lite::future::block_on;
use http::{Method, Request, header};
use http_body_util::{BodyExt as _, Full};
use redial_client::{Answer, BoxError, BoxFuture, Client, Clock, Exchange, PoolFigures, Scheme};
use redial_client::{ThreadClock, Transport, TransportError, race};
use redial_engine::{Delivery, Failure, FailureKind, Timestamp};
use ureq_proto::{BodyMode, client::Call, client::RecvResponseResult, client::SendRequestResult};

fn main() -> Result<(), BoxError> {
    let url = std::env::args().nth(1).ok_or("http://HOST:PORT/ is missing")?;
    let client = Client::builder(Std(ThreadClock::start()?)).build()?;
    println!("{}", block_on(client.get(url).send())?.status());
    Ok(())
}

/// The transport. It has no pool, and reads a response to its end before it hands it over.
pub(crate) struct Std(pub(crate) ThreadClock);

impl Transport for Std {
    fn name(&self) -> &'static str {
        "std"
    }
    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        let (caller, (tell, told)) = (Caller::default(), async_channel::bounded(1));
        let late = exchange.cutoff.map_or(FailureKind::LocalLimit, |cutoff| cutoff.kind());
        let at = exchange.cutoff.map_or(Timestamp::MAX, |cutoff| cutoff.at);
        if at <= self.0.now() {
            return Box::pin(ready(Err(TransportError::unsent(late))));
        }
        let (socket, alarm) = (Arc::clone(&caller.0), self.0.alarm(at));
        let work = move || tell.send_blocking(answer(exchange, &socket)).is_ok();
        let _ = Builder::new().spawn(work);
        Box::pin(async move {
            let _caller = caller;
            match race(told.recv(), alarm).await {
                Some(Ok(answer)) => answer,
                Some(Err(_)) => Err(TransportError::unsent(FailureKind::LocalLimit)),
                None => Err(TransportError::new(Failure::new(late, Delivery::Unknown))),
            }
        })
    }
    fn clock(&self) -> &dyn Clock {
        &self.0
    }
    fn pool(&self) -> PoolFigures {
        PoolFigures::default()
    }
    fn close(&self) {}
}

/// Who waits for an answer. When that is dropped, its connection is closed (R-T-7).
#[derive(Default)]
struct Caller(Arc<OnceLock<TcpStream>>);

impl Drop for Caller {
    fn drop(&mut self) {
        self.0.get().map(|socket| socket.shutdown(Shutdown::Both));
    }
}

/// Carries an exchange out. Its failures are told by the error, and by how far it has come.
fn answer(exchange: Exchange, socket: &OnceLock<TcpStream>) -> Result<Answer, TransportError> {
    let mut step = (FailureKind::ConnectTimeout, FailureKind::Connect, Delivery::Unsent);
    talk(exchange, socket, &mut step).map_err(|error| {
        let kind = match error.kind() {
            ErrorKind::TimedOut | ErrorKind::WouldBlock => step.0,
            ErrorKind::InvalidInput => FailureKind::InvalidRequest,
            ErrorKind::InvalidData => FailureKind::RemoteProtocol,
            ErrorKind::FileTooLarge => FailureKind::ResponseTooLarge,
            ErrorKind::ConnectionReset | ErrorKind::BrokenPipe => FailureKind::Reset,
            _ => step.1,
        };
        TransportError::with_source(Failure::new(kind, step.2), error)
    })
}

/// What a silence is at this step, what an end, and what the server may have seen.
type Step = (FailureKind, FailureKind, Delivery);

fn talk(it: Exchange, place: &OnceLock<TcpStream>, step: &mut Step) -> io::Result<Answer> {
    if it.origin.scheme() == Scheme::Https {
        return Err(invalid("this transport does not speak TLS"));
    }
    let patience = |timeout: Duration| match timeout {
        Duration::ZERO => Err(Error::from(ErrorKind::TimedOut)),
        some => Ok(Some(some)),
    };
    let mut addresses = (it.origin.host(), it.origin.port()).to_socket_addrs()?;
    let address = addresses.next().ok_or(ErrorKind::AddrNotAvailable)?;
    let connect = patience(it.timeouts.connect)?.unwrap_or(Duration::MAX);
    let socket = TcpStream::connect_timeout(&address, connect)?;
    socket.set_write_timeout(Some(it.timeouts.write.max(Duration::from_nanos(1))))?;
    let mut socket = place.get_or_init(|| socket);

    let (head, body) = it.request.into_parts();
    let body = block_on(body.collect()).map_err(invalid)?.to_bytes();
    let framed = [Method::POST, Method::PUT, Method::PATCH].contains(&head.method);
    let mut call = Call::new(Request::from_parts(head, ())).map_err(invalid)?;
    call.allow_non_standard_methods(true);
    if framed || !body.is_empty() {
        call.header(header::CONTENT_LENGTH, body.len()).map_err(invalid)?;
        call.force_send_body();
    }
    let mut call = call.proceed();
    *step = (FailureKind::WriteTimeout, FailureKind::Closed, Delivery::Unknown);
    let (mut from, mut seen, mut piece) = (BufReader::new(socket), Vec::new(), vec![0; 65_536]);
    let length = call.write(&mut piece).map_err(invalid)?;
    socket.write_all(piece.get(..length).unwrap_or_default())?;
    let sent = match call.proceed().map_err(invalid)? {
        Some(SendRequestResult::SendBody(mut call)) => {
            socket.write_all(&body)?;
            call.consume_direct_write(body.len()).map_err(invalid)?;
            call.proceed()
        }
        Some(SendRequestResult::RecvResponse(call)) => Some(call),
        Some(SendRequestResult::Await100(_)) | None => None,
    };

    *step = (FailureKind::ReadTimeout, FailureKind::Closed, Delivery::Unknown);
    from.get_ref().set_read_timeout(patience(it.timeouts.read)?)?;
    let mut call = sent.ok_or_else(|| invalid("the head is too large, or to be answered first"))?;
    let head = loop {
        let (used, head) = call.try_response(&seen, false).map_err(malformed)?;
        seen.drain(..used);
        match head {
            Some(head) if head.status().as_u16() >= 200 => break head,
            Some(_) => return Err(malformed("nobody asked for another protocol")),
            None if used > 0 => {}
            None => read(&mut from, &mut seen)?,
        }
        step.1 = FailureKind::Truncated;
    };

    *step = (FailureKind::ReadTimeout, FailureKind::Truncated, Delivery::Answered);
    let (mut body, mut rest) = (Vec::new(), call.proceed());
    while let Some(RecvResponseResult::RecvBody(call)) = &mut rest
        && (!call.can_proceed() || call.body_mode() == BodyMode::CloseDelimited)
    {
        let (used, made) = call.read(&seen, &mut piece).map_err(malformed)?;
        seen.drain(..used);
        body.extend_from_slice(piece.get(..made).unwrap_or_default());
        match if used > 0 { Ok(()) } else { read(&mut from, &mut seen) } {
            Err(end) if end.kind() == ErrorKind::UnexpectedEof && call.can_proceed() => break,
            read => read?,
        }
    }
    let body = Full::from(body).map_err(|never| match never {}).boxed_unsync();
    Ok(Answer::new(head.map(|()| body), false))
}

/// Waits for more, unless it would be too much for a head.
fn read(from: &mut BufReader<&TcpStream>, seen: &mut Vec<u8>) -> io::Result<()> {
    seen.extend_from_slice(from.fill_buf()?);
    let length = from.buffer().len();
    from.consume(length);
    match length {
        0 => Err(ErrorKind::UnexpectedEof.into()),
        _ if seen.len() > 65_536 => Err(ErrorKind::FileTooLarge.into()),
        _ => Ok(()),
    }
}

fn invalid(error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::InvalidInput, error)
}

fn malformed(error: impl Into<BoxError>) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
