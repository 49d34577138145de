//! What the transport costs over bare isahc: instructions for each request.
//!
//! `cargo bench -p redial-isahc --bench overhead` prints a table and fails where a row is above
//! its bound. Everything is on: slots, timeouts, policy, budget. Bare isahc is its `HttpClient` as
//! it comes, or, for a POST, one that keeps no connection, as the transport does.
//!
//! Counts are differences between two runs of different length, divided by the difference: what
//! happens once falls out. The server is in this process, the load in one of its own under
//! valgrind; without valgrind nothing is counted, and nothing fails.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench prints what it found, and may panic"
)]

use core::future::Future;
use core::net::SocketAddr;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::thread;

use http::{Method, Request};
use isahc::{AsyncReadResponseExt, HttpClient};
use redial_client::Client;
use redial_isahc::IsahcTransport;

/// How long the two runs are whose difference counts.
const SHORT: usize = 200;
const LONG: usize = 1000;

/// How much more than bare isahc the transport may cost.
const BOUND: f64 = 1.10;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, world!";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--load") {
        load(&arguments[1], &arguments[2], &arguments[3], arguments[4].parse().unwrap());
        return ExitCode::SUCCESS;
    }
    let server = serve();
    let mut within = true;
    for method in ["GET", "POST"] {
        let count = |stack| per_request(stack, method, server);
        let (Some(bare), Some(redial)) = (count("bare"), count("redial")) else {
            println!("{method:4}: valgrind is missing");
            continue;
        };
        let ratio = redial / bare;
        let verdict = if ratio <= BOUND { "within" } else { "above" };
        println!(
            "{method:4}: {redial:.0} instructions a request, bare isahc {bare:.0}: \
             {ratio:.3}, {verdict} {BOUND}"
        );
        within &= ratio <= BOUND;
    }
    if within { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn per_request(stack: &str, method: &str, server: SocketAddr) -> Option<f64> {
    let run = |requests: usize| count(stack, method, server, requests);
    Some((run(LONG)? - run(SHORT)?) / (LONG - SHORT) as f64)
}

fn count(stack: &str, method: &str, server: SocketAddr, requests: usize) -> Option<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(std::env::current_exe().unwrap())
        .args(["--load", stack, method, &server.to_string(), &requests.to_string()])
        .output()
        .ok()?;
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let (_, count) = text.split_once("Collected : ").expect("callgrind counts");
    count.split_whitespace().next()?.parse().ok()
}

/// Makes so many requests, one after the other.
fn load(stack: &str, method: &str, server: &str, requests: usize) {
    let url = format!("http://{server}/");
    let method: Method = method.parse().unwrap();
    match stack {
        "bare" => {
            let builder = HttpClient::builder();
            let keeps = method == Method::GET;
            let client = if keeps { builder } else { builder.connection_cache_size(0) };
            let client = client.build().unwrap();
            repeat(requests, || async {
                let request = Request::builder().method(&method).uri(&url).body(()).unwrap();
                let mut response = client.send_async(request).await.unwrap();
                response.bytes().await.unwrap().len()
            });
        }
        _ => {
            let client = Client::builder(IsahcTransport::new().unwrap()).build().unwrap();
            repeat(requests, || async {
                let response = client.call(method.clone(), &url).send().await.unwrap();
                response.body().len()
            });
        }
    }
}

fn repeat<F: Future<Output = usize>>(requests: usize, request: impl Fn() -> F) {
    smol::block_on(async {
        for _ in 0..requests {
            assert_eq!(request().await, 13);
        }
    });
}

/// A server that answers each read with the same response.
fn serve() -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            thread::spawn(move || answer(stream));
        }
    });
    address
}

fn answer(mut stream: TcpStream) {
    stream.set_nodelay(true).unwrap();
    let mut buffer = [0; 4096];
    while let Ok(1..) = stream.read(&mut buffer) {
        if stream.write_all(ANSWER).is_err() {
            return;
        }
    }
}
