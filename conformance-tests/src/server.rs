//! The server: a thread that accepts, a thread for each connection, and the handle of them all.

use core::net::{Ipv4Addr, SocketAddr};
use core::time::Duration;
use std::io;
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use socket2::{Domain, Socket as RawSocket, Type};

use crate::certificates::Security;
use crate::connection::Connection;
use crate::shared::{Phase, Shared, ThreadCount};
use crate::socket::Socket;
use crate::{ClientIdentity, Closing, Leftover, Log, Plan, Script, StepError, Tls, Unfinished};

/// How long [`FaultServer::finish`] lets what has begun come to its end.
pub const GRACE: Duration = Duration::from_secs(2);

/// How often the server looks for new connections while there are none.
const ACCEPT_EVERY: Duration = Duration::from_millis(1);

/// An HTTP server that does to its clients what a [`Script`] says, and writes down what they do.
///
/// It listens on a loopback address of its own and runs until [`FaultServer::finish`], or until
/// it is dropped. Both join all its threads.
#[derive(Debug)]
pub struct FaultServer {
    address: SocketAddr,
    script: Arc<Script>,
    shared: Arc<Shared>,
    security: Option<Arc<Security>>,
    acceptor: Option<JoinHandle<Vec<JoinHandle<()>>>>,
    /// Keeps the port while nobody listens on it, so that no other program can.
    _reserved: Option<RawSocket>,
}

impl FaultServer {
    /// Starts a server that plays `script`, on a free port of 127.0.0.1.
    ///
    /// # Errors
    ///
    /// When the system has no port or no thread to give, or a certificate cannot be made.
    pub fn start(script: Script) -> io::Result<Self> {
        let shared = Arc::new(Shared::new());
        let security = script.tls().map(Security::new).transpose()?.map(Arc::new);
        let script = Arc::new(script);
        if script.plan() == &Plan::Refused {
            let (reserved, address) = reserve()?;
            let _reserved = Some(reserved);
            return Ok(Self { address, script, shared, security, acceptor: None, _reserved });
        }
        let listener = TcpListener::bind(loopback())?;
        let address = listener.local_addr()?;
        // A thread that sits in accept could be woken by nothing but a connection, and that may
        // fail just when it matters; so it asks instead.
        listener.set_nonblocking(true)?;
        let acceptor = Acceptor {
            listener,
            script: Arc::clone(&script),
            shared: Arc::clone(&shared),
            security: security.clone(),
            threads: Vec::new(),
            short: false,
        };
        let acceptor = spawn("fault-server", || acceptor.run())?;
        let acceptor = Some(acceptor);
        Ok(Self { address, script, shared, security, acceptor, _reserved: None })
    }

    /// The address on which the server listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The URL of `path`, which begins with a slash, on this server: `https` where its script is
    /// secured, else `http`.
    pub fn url(&self, path: &str) -> String {
        self.url_by(&self.address.ip().to_string(), path)
    }

    /// The same, by another name of this machine, such as `localhost`.
    pub fn url_by(&self, host: &str, path: &str) -> String {
        let scheme = if self.security.is_some() { "https" } else { "http" };
        format!("{scheme}://{host}:{}{path}", self.address.port())
    }

    /// The certificate of the authority that vouches for this server, as PEM text: the only one
    /// that clients should trust. It is made for this server alone. `None` where the script is not
    /// secured.
    pub fn roots(&self) -> Option<&str> {
        self.security.as_ref().map(|security| security.roots.as_str())
    }

    /// A client's certificate that the same authority vouches for.
    pub fn identity(&self) -> Option<&ClientIdentity> {
        self.security.as_ref().map(|security| &security.identity)
    }

    /// What the clients have done so far: a copy, which does not change any more.
    pub fn log(&self) -> Log {
        self.shared.log()
    }

    /// Stops the server and says whether the clients and the script agreed.
    ///
    /// Call it when the calls of the client are over. What has been sent by then is still served,
    /// and what has begun has [`GRACE`] to come to its end; in most cases nothing is left to wait
    /// for, and it takes some milliseconds.
    ///
    /// # Errors
    ///
    /// When a step of the script was not carried out or failed, or a connection or a request came
    /// beyond the script. The error has the log.
    pub fn finish(mut self) -> Result<Log, Unfinished> {
        self.stop(GRACE);
        let log = self.shared.log();
        let mut leftovers = self.shared.take_leftovers();
        leftovers.extend(self.missing(&log));
        if leftovers.is_empty() { Ok(log) } else { Err(Unfinished { leftovers, log }) }
    }

    /// The lists that nobody came for.
    fn missing(&self, log: &Log) -> Vec<Leftover> {
        let handshakes = self.script.tls().map_or(0, Tls::planned);
        let handshakes = (log.connections().len()..handshakes)
            .map(|connection| Leftover::HandshakeMissing { connection });
        let lists: Vec<_> = match self.script.plan() {
            Plan::Refused => Vec::new(),
            Plan::Connections(lists) => (log.connections().len()..lists.len())
                .map(|list| Leftover::ConnectionMissing { list })
                .collect(),
            Plan::Requests(lists) => (self.shared.claimed()..lists.len())
                .map(|list| Leftover::RequestMissing { list })
                .collect(),
        };
        handshakes.chain(lists).collect()
    }

    /// Ends every thread, after `grace` at the latest, and joins them.
    fn stop(&mut self, grace: Duration) {
        self.shared.advance(Phase::Finishing);
        let Some(acceptor) = self.acceptor.take() else { return };
        if grace.is_zero() {
            self.shared.advance(Phase::Stopped);
        }
        // A thread that panicked has said so on standard error; nothing is left of it to join.
        let threads = acceptor.join().unwrap_or_default();
        self.shared.wait_for_threads(grace);
        self.shared.advance(Phase::Stopped);
        for thread in threads {
            let _ = thread.join();
        }
    }
}

impl Drop for FaultServer {
    fn drop(&mut self) {
        self.stop(Duration::ZERO);
    }
}

/// The thread that accepts connections and starts a thread for each.
#[derive(Debug)]
struct Acceptor {
    listener: TcpListener,
    script: Arc<Script>,
    shared: Arc<Shared>,
    security: Option<Arc<Security>>,
    threads: Vec<JoinHandle<()>>,
    /// Whether a lack of resources has been reported: once will do.
    short: bool,
}

impl Acceptor {
    /// Accepts until the server is told to finish and no connection is left in the queue. Returns
    /// the threads that are still to be joined.
    fn run(mut self) -> Vec<JoinHandle<()>> {
        let mut finishing = None;
        loop {
            // The phase before the question: a connection made before the phase was set is found.
            let phase = self.shared.phase();
            match self.listener.accept() {
                Ok((stream, peer)) => self.serve(stream, peer),
                Err(_) if phase >= Phase::Finishing => return self.threads,
                Err(error) => {
                    if error.kind() != io::ErrorKind::WouldBlock {
                        self.report(error);
                    }
                    self.shared.wait(ACCEPT_EVERY, Phase::Finishing);
                }
            }
            // Clients that connect without end must not keep the server from its own.
            if phase >= Phase::Finishing
                && finishing.get_or_insert_with(Instant::now).elapsed() >= GRACE
            {
                return self.threads;
            }
        }
    }

    fn serve(&mut self, stream: TcpStream, peer: SocketAddr) {
        let stream = Arc::new(stream);
        let index = self.shared.connection(peer, &stream);
        if let Err(error) = self.start(stream, index) {
            // The socket has been dropped with what would have served it.
            self.shared.closed(index, Closing::ByServer);
            self.report(error);
        }
    }

    fn start(&mut self, stream: Arc<TcpStream>, index: usize) -> io::Result<()> {
        self.threads.retain(|thread| !thread.is_finished());
        let socket = Socket::new(stream, Arc::clone(&self.shared), index)?;
        let mut connection = Connection::new(socket, Arc::clone(&self.shared), index);
        let security = self.security.clone();
        let script = Arc::clone(&self.script);
        // Counted before it runs, so that no moment has a connection and no thread.
        let count = ThreadCount::new(Arc::clone(&self.shared));
        self.threads.push(spawn("fault-server-connection", move || {
            connection.serve(&script, security.as_deref());
            drop(count);
        })?);
        Ok(())
    }

    fn report(&mut self, error: io::Error) {
        if core::mem::replace(&mut self.short, true) {
            return;
        }
        self.shared.report(Leftover::OutOfResources { error: StepError::from_io(error) });
    }
}

fn loopback() -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, 0))
}

/// A port that is taken and on which nobody listens: connecting to it is refused.
fn reserve() -> io::Result<(RawSocket, SocketAddr)> {
    let socket = RawSocket::new(Domain::IPV4, Type::STREAM, None)?;
    socket.bind(&loopback().into())?;
    let address = socket.local_addr()?.as_socket();
    let address = address.ok_or(io::ErrorKind::AddrNotAvailable)?;
    Ok((socket, address))
}

fn spawn<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> T + Send + 'static,
) -> io::Result<JoinHandle<T>> {
    thread::Builder::new().name(name.to_owned()).spawn(work)
}
