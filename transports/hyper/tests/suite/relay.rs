//! A relay before a server, which says when the client has been sent the end of a connection.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, Ordering};
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use crate::common::SOON;

/// Passes connections on to a server, byte by byte, until it is dropped.
///
/// A server's log has the end of a connection before the client is sent it; this knows of it
/// afterwards.
pub(crate) struct Relay {
    address: SocketAddr,
    ended: Receiver<()>,
    over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Relay {
    /// A relay to this server.
    pub(crate) fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let (ending, ended) = channel();
        let over = Arc::new(AtomicBool::new(false));
        let told = Arc::clone(&over);
        let thread = std::thread::spawn(move || accept(&listener, server, &ending, &told));
        Self { address, ended, over, thread: Some(thread) }
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Waits, with the thread, until the client has been sent the end of one connection more.
    pub(crate) fn wait_for_an_end(&self) {
        self.ended.recv_timeout(SOON).expect("the server closes the connection");
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.over.store(true, Ordering::SeqCst);
        // This is what it waits for.
        drop(TcpStream::connect(self.address));
        if let Some(thread) = self.thread.take() {
            thread.join().unwrap();
        }
    }
}

fn accept(listener: &TcpListener, server: SocketAddr, ending: &Sender<()>, over: &AtomicBool) {
    for client in listener.incoming() {
        if over.load(Ordering::SeqCst) {
            break;
        }
        let client = client.unwrap();
        let server = TcpStream::connect(server).unwrap();
        for socket in [&client, &server] {
            socket.set_nodelay(true).unwrap();
        }
        // They end with their connection, which nobody has to wait for.
        let up = (client.try_clone().unwrap(), server.try_clone().unwrap());
        std::thread::spawn(move || pass(up.0, up.1));
        let ending = ending.clone();
        std::thread::spawn(move || {
            pass(server, client);
            // The test may be over by now.
            let _ = ending.send(());
        });
    }
}

/// Passes on what comes, and then its end.
fn pass(mut from: TcpStream, mut to: TcpStream) {
    let mut buffer = [0; 16 * 1024];
    // Whoever is gone reads and writes no more: that is an end too.
    while let Ok(count @ 1..) = from.read(&mut buffer) {
        if to.write_all(&buffer[..count]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
