//! A retrying GET in blocking code: the engine decides, `std` sleeps and speaks HTTP/1.1.
//! `cargo run --example blocking -- HOST:PORT`
#![allow(clippy::print_stdout, reason = "an example shows what it does")]

use core::time::Duration;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::TcpStream;
use std::time::Instant;

use rand_xoshiro::{Xoshiro256PlusPlus, rand_core::SeedableRng as _};
use redial_engine::{Action, Call, Delivery, FailureKind, Outcome, Replay};
use redial_engine::{Retry, StandardPolicy, Timestamp, Upstream, Verdict};

fn main() -> io::Result<()> {
    let address =
        std::env::args().nth(1).ok_or_else(|| io::Error::other("HOST:PORT is missing"))?;
    let start = Instant::now();
    let now = || Timestamp::ORIGIN.saturating_add(start.elapsed());
    let mut rng = Xoshiro256PlusPlus::seed_from_u64(std::process::id().into());
    let mut upstream = Upstream::default();
    let call = Call::new(Replay::Freely).timeout(Duration::from_secs(30));
    let mut action = Retry::new(StandardPolicy::DEFAULT).begin(call, now(), &mut upstream);
    loop {
        action = match action {
            Action::Send(attempt) => {
                let left = attempt.deadline().map(|cutoff| cutoff.at.saturating_since(now()));
                let outcome = get(&address, left);
                println!("attempt {}: {outcome:?}", attempt.number());
                match attempt.finish(&outcome, now(), &mut upstream, &mut rng) {
                    Verdict::Done(_) => return Ok(()),
                    Verdict::Next(action) => action,
                }
            }
            Action::Sleep(pause) => {
                std::thread::sleep(pause.remaining(now()));
                pause.resume(now(), &mut upstream)
            }
            Action::GiveUp(why) => return Err(io::Error::other(why.reason.to_string())),
        };
    }
}

/// Sends the request once. Where no connection stood, the server can have seen nothing of it.
fn get(address: &str, timeout: Option<Duration>) -> Outcome {
    let Ok(mut stream) = TcpStream::connect(address) else {
        return Outcome::failure(FailureKind::Connect, Delivery::Unsent);
    };
    let request = format!("GET / HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n");
    let mut line = String::new();
    let read = (stream.set_read_timeout(timeout))
        .and_then(|()| stream.write_all(request.as_bytes()))
        .and_then(|()| BufReader::new(stream).read_line(&mut line));
    let failed = |kind| Outcome::failure(kind, Delivery::Unknown);
    match (read, line.get(9..12).map(str::parse)) {
        (Ok(_), Some(Ok(status))) => Outcome::status(status),
        (Ok(0), _) => failed(FailureKind::Closed),
        (Ok(_), _) => failed(FailureKind::RemoteProtocol),
        (Err(_), _) => failed(FailureKind::Reset),
    }
}
