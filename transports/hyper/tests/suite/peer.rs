//! An HTTP/2 server for tests, which says what it does to each connection.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use bytes::Bytes;
use h2::server::{Builder, SendResponse};
use h2::{Reason, RecvStream};
use http::{Request, Response};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};

/// How the server treats its clients.
#[derive(Clone, Debug)]
pub(crate) struct Manners {
    /// How many requests a connection may have at a time.
    pub(crate) max_streams: u32,
    /// No request is answered before so many are there at once.
    pub(crate) hold: usize,
    /// After so many requests on a connection it gets a GOAWAY of this kind.
    pub(crate) go_away: Option<(usize, Reason)>,
}

impl Default for Manners {
    fn default() -> Self {
        Self { max_streams: 200, hold: 0, go_away: None }
    }
}

/// What the server has seen.
#[derive(Debug)]
pub(crate) struct Seen {
    connections: AtomicUsize,
    open: AtomicUsize,
    resets: AtomicUsize,
    /// The length of each request body that came to its end.
    bodies: Mutex<Vec<usize>>,
    there: watch::Sender<usize>,
    peak: AtomicUsize,
}

impl Seen {
    pub(crate) fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    pub(crate) fn open(&self) -> usize {
        self.open.load(Ordering::SeqCst)
    }

    pub(crate) fn resets(&self) -> usize {
        self.resets.load(Ordering::SeqCst)
    }

    pub(crate) fn bodies(&self) -> Vec<usize> {
        self.bodies.lock().unwrap().clone()
    }

    /// How many requests were there at once, on one connection.
    pub(crate) fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    /// How many requests are there now.
    pub(crate) fn there(&self) -> usize {
        *self.there.borrow()
    }
}

/// A server on a thread of its own, until it is dropped.
pub(crate) struct Peer {
    address: SocketAddr,
    seen: Arc<Seen>,
    end: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Peer {
    pub(crate) fn start(manners: Manners) -> Self {
        let seen = Arc::new(Seen {
            connections: AtomicUsize::new(0),
            open: AtomicUsize::new(0),
            resets: AtomicUsize::new(0),
            bodies: Mutex::default(),
            there: watch::Sender::new(0),
            peak: AtomicUsize::new(0),
        });
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (end, ended) = oneshot::channel();
        let log = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(async {
                let accepting = tokio::spawn(accept(listener, manners, log));
                let _ = ended.await;
                accepting.abort();
            });
        });
        Self { address, seen, end: Some(end), thread: Some(thread) }
    }

    pub(crate) fn url(&self, target: &str) -> String {
        format!("http://{}{target}", self.address)
    }

    pub(crate) fn seen(&self) -> &Seen {
        &self.seen
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        drop(self.end.take());
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

async fn accept(listener: std::net::TcpListener, manners: Manners, seen: Arc<Seen>) {
    let listener = TcpListener::from_std(listener).unwrap();
    loop {
        let (socket, _) = listener.accept().await.unwrap();
        let (manners, seen) = (manners.clone(), Arc::clone(&seen));
        tokio::spawn(async move {
            seen.connections.fetch_add(1, Ordering::SeqCst);
            seen.open.fetch_add(1, Ordering::SeqCst);
            // A client that goes away is no error of the server's.
            let _ = serve(socket, manners, &seen).await;
            seen.open.fetch_sub(1, Ordering::SeqCst);
        });
    }
}

async fn serve(socket: TcpStream, manners: Manners, seen: &Arc<Seen>) -> Result<(), h2::Error> {
    socket.set_nodelay(true).unwrap();
    let mut builder = Builder::new();
    builder.max_concurrent_streams(manners.max_streams);
    let mut connection = builder.handshake(socket).await?;
    let mut requests = 0;
    let here = Arc::new(AtomicUsize::new(0));
    while let Some(stream) = connection.accept().await {
        let (request, respond) = stream?;
        requests += 1;
        let present = here.fetch_add(1, Ordering::SeqCst) + 1;
        seen.peak.fetch_max(present, Ordering::SeqCst);
        let (seen, here, hold) = (Arc::clone(seen), Arc::clone(&here), manners.hold);
        tokio::spawn(async move {
            seen.there.send_modify(|there| *there += 1);
            let _ = answer(request, respond, hold, &seen).await;
            seen.there.send_modify(|there| *there -= 1);
            here.fetch_sub(1, Ordering::SeqCst);
        });
        match manners.go_away {
            Some((after, Reason::NO_ERROR)) if requests == after => connection.graceful_shutdown(),
            Some((after, reason)) if requests == after => connection.abrupt_shutdown(reason),
            Some(_) | None => {}
        }
    }
    Ok(())
}

/// `/silent` is never answered; everything else with the number of bytes that came.
async fn answer(
    request: Request<RecvStream>,
    mut respond: SendResponse<Bytes>,
    hold: usize,
    seen: &Seen,
) -> Result<(), h2::Error> {
    if request.uri().path() == "/silent" {
        poll_fn(|context| respond.poll_reset(context)).await?;
        seen.resets.fetch_add(1, Ordering::SeqCst);
        return Ok(());
    }
    let length = read(request.into_body()).await?;
    seen.bodies.lock().unwrap().push(length);
    let mut there = seen.there.subscribe();
    // Once so many were there, nobody is held any more.
    let _ = there.wait_for(|_| seen.peak() >= hold).await;
    tokio::time::sleep(Duration::from_millis(1)).await;
    let mut body = respond.send_response(Response::new(()), false)?;
    body.send_data(Bytes::from(length.to_string()), true)
}

async fn read(mut body: RecvStream) -> Result<usize, h2::Error> {
    let mut length = 0;
    while let Some(piece) = body.data().await {
        let piece = piece?;
        length += piece.len();
        body.flow_control().release_capacity(piece.len())?;
    }
    Ok(length)
}
