//! The server that is called: hyper, in a process or on a thread of its own.

use core::convert::Infallible;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::thread;

use bytes::Bytes;
use http_body_util::Full;
use hyper::service::service_fn;
use hyper::{Request, Response, server};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpListener;

/// A server in a process of its own, which ends with this.
pub(crate) struct Served {
    process: Child,
    protocol: &'static str,
    url: String,
}

impl Served {
    pub(crate) fn start(protocol: &'static str) -> Self {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--serve", protocol])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut url = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut url).unwrap();
        Self { process, protocol, url: url.trim().to_owned() }
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn protocol(&self) -> &'static str {
        self.protocol
    }

    pub(crate) fn is_http2(&self) -> bool {
        self.protocol == "http2"
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Serves until the process is killed, and prints the URL.
pub(crate) fn serve_until_killed(protocol: &str) -> ExitCode {
    serve(protocol == "http2", |url| println!("{url}"))
}

/// Serves on a thread of its own until the process ends; the URL.
pub(crate) fn in_a_thread(http2: bool) -> String {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || serve(http2, |url| tell.send(url).unwrap()));
    told.recv().unwrap()
}

fn serve(http2: bool, tell: impl FnOnce(String)) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        tell(format!("http://{}/thirteen", listener.local_addr().unwrap()));
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            socket.set_nodelay(true).unwrap();
            tokio::spawn(async move {
                let service = service_fn(answer);
                let io = TokioIo::new(socket);
                // A client that goes away is no error of the server's.
                if http2 {
                    let builder = server::conn::http2::Builder::new(TokioExecutor::new());
                    let _ = builder.serve_connection(io, service).await;
                } else {
                    let _ = server::conn::http1::Builder::new().serve_connection(io, service).await;
                }
            });
        }
    })
}

async fn answer(_: Request<hyper::body::Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(Response::new(Full::new(Bytes::from_static(b"Hello, World!"))))
}
