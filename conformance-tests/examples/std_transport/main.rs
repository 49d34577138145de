//! A transport of plain `std`: HTTP/1.1, a connection for each request, a thread for all that waits.
//! `cargo run -p redial-conformance --example std_transport -- http://HOST:PORT/`
//!
//! This file is the transport: what a client asks of one, and time. `wire.rs` is one exchange, and
//! answers of every failure what kind it is and what the server may have seen; `http1.rs` is
//! HTTP/1.1 itself, which any client has to have.
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

mod http1;
mod wire;

use std::net::{Shutdown, TcpStream};
use std::sync::{Arc, OnceLock, mpsc};
use std::thread;
use std::time::{Instant, SystemTime};

use async_channel::{Sender, bounded};
use futures_lite::{StreamExt as _, future::block_on};
use http_body::Frame;
use http_body_util::{BodyExt as _, StreamBody};
use redial_client::{
    Answer, BoxFuture, Client, Clock, Exchange, IntoTransport, NoTransport, Observer, PoolFigures,
    Protocol, Settings, SettingsError, Transport, TransportError,
};
use redial_engine::{FailureKind, Timestamp};

use self::wire::Wire;

fn main() -> Result<(), Box<dyn core::error::Error>> {
    let url = std::env::args().nth(1).ok_or("http://HOST:PORT/ is missing")?;
    let client = Client::builder(Threads).build()?;
    let response = block_on(client.get(url).send())?;
    println!("{} after {} attempts", response.status(), response.attempts().len());
    Ok(())
}

/// What a client is built over.
pub(crate) struct Threads;

impl IntoTransport for Threads {
    fn into_transport(
        self,
        settings: Option<Settings>,
        _: Option<Arc<dyn Observer>>,
    ) -> Result<Box<dyn Transport>, NoTransport> {
        let settings = settings.unwrap_or_default();
        if settings.protocol == Protocol::Http2PriorKnowledge {
            return Err(SettingsError::Protocol(settings.protocol).into());
        }
        let max_head = settings.max_head_bytes.get();
        Ok(Box::new(Std { time: Time(Instant::now()), max_head, open: Arc::default() }))
    }
}

/// The time of this world: for whoever sleeps, a thread waits, and no longer than somebody sleeps.
#[derive(Clone, Copy)]
struct Time(Instant);

impl Clock for Time {
    fn now(&self) -> Timestamp {
        Timestamp::ORIGIN.saturating_add(self.0.elapsed())
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        let time = *self;
        Box::pin(async move {
            let (_asleep, given_up) = mpsc::channel::<()>();
            let (awake, woken) = bounded::<()>(1);
            let wait =
                move || (given_up.recv_timeout(at.saturating_since(time.now())), awake.close());
            thread::spawn(wait);
            let _ = woken.recv().await;
        })
    }
}

/// The transport.
struct Std {
    time: Time,
    max_head: usize,
    /// Shared by all connections that exist.
    open: Arc<()>,
}

impl Transport for Std {
    fn name(&self) -> &'static str {
        "std"
    }

    /// Leaves the exchange to a thread, which hands back the head and then, piece by piece, the body.
    fn send(&self, exchange: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        let (here, gone) = bounded(1);
        let caller = Caller { here, socket: Arc::default() };
        let (socket, open) = (Arc::clone(&caller.socket), Arc::clone(&self.open));
        let (tell, told) = bounded(1);
        let (wire, max_head) = (Wire::new(&exchange, self.time, socket, gone), self.max_head);
        let work = move || (wire.talk(exchange, max_head, &tell), open);
        let _ = thread::Builder::new().spawn(work);
        Box::pin(async move {
            let no_thread = |_| TransportError::unsent(FailureKind::LocalLimit);
            let (head, pieces) = told.recv().await.map_err(no_thread)??;
            let frames = pieces.map(move |piece| {
                // It is dropped with the body.
                let _caller = &caller;
                piece.map(Frame::data)
            });
            Ok(Answer::new(head.map(|()| StreamBody::new(frames).boxed_unsync()), false))
        })
    }

    fn clock(&self) -> &dyn Clock {
        &self.time
    }

    fn pool(&self) -> PoolFigures {
        let mut figures = PoolFigures::default();
        figures.open = Arc::strong_count(&self.open) - 1;
        figures.in_use = figures.open;
        figures
    }

    /// No connection outlives its exchange.
    fn close(&self) {}
}

/// Who waits for a response. When that is dropped, its connection is closed (R-T-7).
struct Caller {
    here: Sender<()>,
    socket: Arc<OnceLock<TcpStream>>,
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.here.close();
        // Where there is none yet, who makes it finds that nobody is here.
        if let Some(socket) = self.socket.get() {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}
