//! A server that is restarted under load: every call succeeds.

use core::net::SocketAddr;
use core::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use core::time::Duration;
use std::io::{BufRead, BufReader, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};

use futures_util::future::join_all;
use redial_client::Client;
use redial_engine::{Backoff, Budget, StandardPolicy};

use crate::on::{On, on_each_runtime, sleep};

on_each_runtime![a_restart_under_a_thousand_calls_loses_none];

async fn a_restart_under_a_thousand_calls_loses_none(on: On) {
    let server = Server::start("127.0.0.1:0".parse().unwrap());
    let address = server.address;
    let policy = StandardPolicy::builder()
        .backoff(Backoff::exponential(Duration::from_millis(40)))
        .max_attempts(8)
        .build()
        .unwrap();
    let client = on.builder().policy(policy).budget(Budget::UNLIMITED).build().unwrap();
    let served = Arc::clone(&server.served);
    let tasks = (0..10).map(|_| on.spawn(calls(client.clone(), format!("http://{address}/"))));
    let tasks = on.spawn(join_all(tasks.collect::<Vec<_>>()));
    let mut server = server;
    for part in 1..=3 {
        while served.load(Ordering::SeqCst) < part * 200 {
            sleep(Duration::from_millis(1)).await;
        }
        smol::unblock(move || server.stop()).await;
        sleep(Duration::from_millis(20)).await;
        server = Server::start_again(address, Arc::clone(&served));
    }
    let retried: usize = tasks.await.into_iter().sum();
    assert!(retried > 0, "the restarts were noticed");
    assert!(served.load(Ordering::SeqCst) >= 1000);
    client.close();
    smol::unblock(move || server.stop()).await;
}

/// A hundred calls; answers how many of them needed more than one attempt.
async fn calls(client: Client, url: String) -> usize {
    let mut retried = 0;
    for _ in 0..100 {
        let response = client.get(&url).send().await.unwrap();
        assert_eq!((response.status().as_u16(), response.text().as_ref()), (200, "ok"));
        retried += usize::from(response.attempts().len() > 1);
        sleep(Duration::from_millis(1)).await;
    }
    retried
}

/// A plain server, one thread for each connection.
struct Server {
    address: SocketAddr,
    served: Arc<AtomicUsize>,
    over: Arc<AtomicBool>,
    sockets: Arc<Mutex<Vec<TcpStream>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    fn start(address: SocketAddr) -> Self {
        Self::start_again(address, Arc::default())
    }

    fn start_again(address: SocketAddr, served: Arc<AtomicUsize>) -> Self {
        let listener = TcpListener::bind(address).unwrap();
        let address = listener.local_addr().unwrap();
        let over = Arc::new(AtomicBool::new(false));
        let sockets = Arc::new(Mutex::new(Vec::new()));
        let (log, end, open) = (Arc::clone(&served), Arc::clone(&over), Arc::clone(&sockets));
        let accepting = thread::spawn(move || {
            for socket in listener.incoming().map_while(Result::ok) {
                if end.load(Ordering::SeqCst) {
                    return;
                }
                open.lock().unwrap().push(socket.try_clone().unwrap());
                let log = Arc::clone(&log);
                thread::spawn(move || serve(socket, &log));
            }
        });
        Self { address, served, over, sockets, accepting }
    }

    /// Closes the port and every connection, as a process that ends does.
    fn stop(self) {
        self.over.store(true, Ordering::SeqCst);
        // So that the thread looks up.
        drop(TcpStream::connect(self.address));
        self.accepting.join().unwrap();
        for socket in self.sockets.lock().unwrap().drain(..) {
            let _ = socket.shutdown(Shutdown::Both);
        }
    }
}

/// Answers one request after the other, until the client or the server ends.
fn serve(mut socket: TcpStream, served: &AtomicUsize) {
    let Ok(reading) = socket.try_clone() else { return };
    let mut lines = BufReader::new(reading).lines();
    while let Some(Ok(line)) = lines.next() {
        if line.is_empty() {
            let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
            if socket.write_all(answer).is_err() {
                return;
            }
            served.fetch_add(1, Ordering::SeqCst);
        }
    }
}
