//! What the transport costs over bare isahc: CPU time and instructions for each request, with one
//! in flight at a time, and with sixteen.
//!
//! `cargo bench -p redial-isahc --bench overhead` prints a table and fails where a row is above
//! its bound. Everything is on: slots, timeouts, policy, budget. Bare isahc is its `HttpClient` as
//! it comes, or, for a POST, one that keeps no connection, as the transport does.
//!
//! The server is in this process, the load in one of its own, so that its CPU time, the system's
//! part included, is that of the clients alone. It is taken on all CPUs; and, to compare with, on one
//! that the processes share, where whatever runs next finds the caches full of others' code. Both
//! stacks are timed by turns; the ratio is the median of the rounds. They are many and long, because a
//! run may be a quarter slower than the next: the caller's thread and curl's wake each other, and how
//! often they sleep is for the scheduler to say. Instructions are counted under valgrind, in user
//! space, as differences between two runs of different length, so that what happens once falls out;
//! without valgrind none are counted.
//!
//! The times are for a machine that has nothing else to do: where others use its caches, they say
//! more about them. The counts are the same on any.

#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a bench prints what it found, and may panic"
)]

use core::net::SocketAddr;
use core::time::Duration;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, ExitCode};
use std::thread;

use http::{Method, Request};
use isahc::{AsyncReadResponseExt, HttpClient};
use redial_client::Client;
use redial_isahc::IsahcTransport;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// How long the two runs are whose difference counts.
const SHORT: usize = 200;
const LONG: usize = 1000;

/// How often each stack is timed, for how many requests, and how many before that are not timed.
const ROUNDS: usize = 25;
const TIMED: usize = 8000;
const WARM: usize = 800;

/// How many requests are in flight at a time.
const IN_FLIGHT: [usize; 2] = [1, 16];

const METHODS: [&str; 2] = ["GET", "POST"];

/// How much more than bare isahc the transport may cost.
const BOUND: f64 = 1.10;

const ANSWER: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 13\r\n\r\nHello, world!";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let Some(mode @ ("--time" | "--count")) = arguments.first().map(String::as_str) {
        Load::parse(&arguments[1..]).carry_out(mode == "--time");
        return ExitCode::SUCCESS;
    }
    let above = compare(|loads| times("on all CPUs", BOUND, loads)) + compare(counts);
    stay_on_one_cpu();
    compare(|loads| times("on one CPU", f64::INFINITY, loads));
    if above == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The same load by either stack.
type Loads = dyn Fn(&'static str) -> Load<'static>;

/// How many of all loads are above the bound, against a server that is started where it is to run.
fn compare(is_within: impl Fn(&Loads) -> bool) -> usize {
    let server = serve();
    let loads = IN_FLIGHT.into_iter().flat_map(|in_flight| METHODS.map(|it| (in_flight, it)));
    let above = loads.filter(|&(in_flight, method)| {
        !is_within(&move |stack| Load { stack, method, in_flight, server })
    });
    above.count()
}

/// Whether the transport's time is within its bound of bare isahc's.
fn times(place: &str, bound: f64, load: &Loads) -> bool {
    let (bare, redial) = (load("bare"), load("redial"));
    let rounds = (0..ROUNDS).map(|_| (bare.timed(), redial.timed()));
    let (mut times, mut ratios): (Vec<_>, Vec<_>) =
        rounds.map(|(bare, redial)| (bare, redial / bare)).unzip();
    let unit = format!("microseconds of CPU {place}");
    row(&bare, &unit, median(&mut times), median(&mut ratios), bound)
}

/// The same for its instructions.
fn counts(load: &Loads) -> bool {
    let (bare, redial) = (load("bare"), load("redial"));
    let (Some(bare_count), Some(count)) = (bare.per_request(), redial.per_request()) else {
        println!("{:4} x{:<2}: valgrind is missing", bare.method, bare.in_flight);
        return true;
    };
    row(&bare, "instructions", bare_count, count / bare_count, BOUND)
}

fn row(load: &Load<'_>, unit: &str, bare: f64, ratio: f64, bound: f64) -> bool {
    let Load { method, in_flight, .. } = load;
    let verdict = match ratio <= bound {
        _ if bound.is_infinite() => String::new(),
        true => format!(", within {bound}"),
        false => format!(", above {bound}"),
    };
    println!("{method:4} x{in_flight:<2}: {ratio:.3} of bare isahc's {bare:.0} {unit}{verdict}");
    ratio <= bound
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// So many requests of one method at a time, by one stack, to this server.
struct Load<'a> {
    stack: &'a str,
    method: &'a str,
    in_flight: usize,
    server: SocketAddr,
}

impl Load<'_> {
    /// The words that say which load it is, for a process of its own.
    fn words(&self, requests: usize) -> [String; 5] {
        let Self { stack, method, in_flight, server } = self;
        [
            (*stack).to_owned(),
            (*method).to_owned(),
            in_flight.to_string(),
            server.to_string(),
            requests.to_string(),
        ]
    }

    /// Microseconds of CPU for each request.
    fn timed(&self) -> f64 {
        let output = Command::new(std::env::current_exe().unwrap())
            .arg("--time")
            .args(self.words(TIMED))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().parse().unwrap()
    }

    /// Instructions for each request.
    fn per_request(&self) -> Option<f64> {
        Some((self.count(LONG)? - self.count(SHORT)?) / (LONG - SHORT) as f64)
    }

    fn count(&self, requests: usize) -> Option<f64> {
        let output = Command::new("valgrind")
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(std::env::current_exe().unwrap())
            .arg("--count")
            .args(self.words(requests))
            .output()
            .ok()?;
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{text}");
        let (_, count) = text.split_once("Collected : ").expect("callgrind counts");
        count.split_whitespace().next()?.parse().ok()
    }
}

/// A load as its process is told of it, and how many requests it is to make.
struct Told<'a>(Load<'a>, usize);

impl<'a> Load<'a> {
    fn parse(words: &'a [String]) -> Told<'a> {
        let [stack, method, in_flight, server, requests] = words else {
            panic!("a load is: stack, method, in flight, server, requests")
        };
        let (in_flight, server) = (in_flight.parse().unwrap(), server.parse().unwrap());
        Told(Load { stack, method, in_flight, server }, requests.parse().unwrap())
    }
}

impl Told<'_> {
    /// Makes the requests; where that is wanted, prints what each took of the CPU's time.
    fn carry_out(&self, timed: bool) {
        let Self(load, requests) = self;
        let url = format!("http://{}/", load.server);
        let method: Method = load.method.parse().unwrap();
        if load.stack == "bare" {
            let builder = HttpClient::builder();
            let keeps = method == Method::GET;
            let client = if keeps { builder } else { builder.connection_cache_size(0) };
            let client = client.build().unwrap();
            repeat(timed, load.in_flight, *requests, &async || {
                let request = Request::builder().method(&method).uri(&url).body(()).unwrap();
                let mut response = client.send_async(request).await.unwrap();
                response.bytes().await.unwrap().len()
            });
        } else {
            let client = Client::builder(IsahcTransport::new().unwrap()).build().unwrap();
            repeat(timed, load.in_flight, *requests, &async || {
                let response = client.call(method.clone(), &url).send().await.unwrap();
                response.body().len()
            });
        }
    }
}

fn repeat(timed: bool, in_flight: usize, requests: usize, request: &impl AsyncFn() -> usize) {
    let run = |requests: usize| {
        let each = async || {
            for _ in 0..requests / in_flight {
                assert_eq!(request().await, 13);
            }
        };
        let executor = smol::LocalExecutor::new();
        let tasks: Vec<_> = (0..in_flight).map(|_| executor.spawn(each())).collect();
        // One that parks and drives no reactor: of that neither stack has any use.
        smol::future::block_on(executor.run(async {
            for task in tasks {
                task.await;
            }
        }));
    };
    if timed {
        run(WARM);
        let began = cpu_time();
        run(requests);
        println!("{}", (cpu_time() - began).as_secs_f64() * 1e6 / requests as f64);
    } else {
        run(requests);
    }
}

/// Keeps this process, and those that it starts, on the last CPU that it may have.
fn stay_on_one_cpu() {
    let allowed = sched_getaffinity(None).unwrap();
    let last = (0..CpuSet::MAX_CPU).rev().find(|cpu| allowed.is_set(*cpu)).unwrap();
    let mut one = CpuSet::new();
    one.set(last);
    sched_setaffinity(None, &one).unwrap();
}

/// What this process has had of the CPU, in user space and in the system.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
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
