//! Every row of the wire table, played against a plain client that knows just enough HTTP: the
//! misbehaviour is seen on the wire, and the script comes to its end.

use core::error::Error;
use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::thread;

use redial_conformance::{FaultServer, WireRow, wire_h1};

/// How a request of the plain client ended.
#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    /// A complete response, with this status.
    Response(&'static str),
    /// Nobody listens.
    Refused,
    /// The connection was reset, after so many bytes of an answer.
    Reset(usize),
    /// The connection ended, after so many bytes of an answer.
    Ended(usize),
    /// Nothing more came.
    ReadTimeout,
    /// Nothing more was taken.
    WriteTimeout,
    /// Too much came.
    TooLarge,
}

/// What the last request of each row is to end in; several where the kernel decides.
fn expected(id: &str) -> Vec<Outcome> {
    use Outcome::{Ended, Reset, Response};
    match id {
        "refused" => vec![Outcome::Refused],
        "slow-headers" | "slow-body" | "te-and-cl" | "keepalive-close-idle" | "unsolicited-408" => {
            vec![Response("200")]
        }
        "close-after-request" | "keepalive-close-race" => vec![Ended(0)],
        "rst-on-accept" | "rst-before-read" | "close-before-read" | "rst-after-request"
        | "keepalive-rst-race" => vec![Reset(0)],
        "early-413-close" => vec![Reset(0), Response("413")],
        "partial-status-close" => vec![Ended(10)],
        "partial-headers-close" => vec![Ended(27)],
        "partial-headers-rst" => vec![Reset(27)],
        "cl-truncated-close" => vec![Ended(43)],
        "cl-truncated-rst" => vec![Reset(43)],
        "chunked-truncated" => vec![Ended(63)],
        "100-then-close" => vec![Ended(25)],
        "http09" => vec![Ended(33)],
        "no-read-upload" => vec![Outcome::WriteTimeout],
        "huge-head" => vec![Outcome::TooLarge],
        // The plain client does not see what is wrong here; it waits for more.
        "silent" | "stall-body" | "bad-status-line" | "bad-header-line" | "bad-content-length"
        | "bad-chunk-size" => vec![Outcome::ReadTimeout],
        _ => Vec::new(),
    }
}

#[test]
fn every_row_does_on_the_wire_what_it_says() {
    let rows = wire_h1().into_iter().map(|row| thread::spawn(move || play(&row)));
    for thread in rows.collect::<Vec<_>>() {
        thread.join().unwrap().unwrap();
    }
}

fn play(row: &WireRow) -> Result<(), Box<dyn Error + Send + Sync>> {
    let server = FaultServer::start(row.script.clone())?;
    let mut idle = None;
    for number in 1..=row.requests {
        let outcome = exchange(&server, &mut idle, row)?;
        if number < row.requests {
            assert_eq!(outcome, Outcome::Response("200"), "{}", row.id);
            thread::sleep(row.rest);
        } else {
            assert!(expected(row.id).contains(&outcome), "{}: {outcome:?}", row.id);
        }
    }
    drop(idle);
    server.finish().map_err(|unfinished| format!("{}: {unfinished}", row.id))?;
    Ok(())
}

/// Makes one request, over `idle` where that connection is fit for it, and leaves the connection
/// there where it may serve another.
fn exchange(
    server: &FaultServer,
    idle: &mut Option<TcpStream>,
    row: &WireRow,
) -> io::Result<Outcome> {
    let upload = row.upload;
    let mut stream = match idle.take().filter(is_quiet) {
        Some(stream) => stream,
        None => match TcpStream::connect(server.address()) {
            Ok(stream) => stream,
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                return Ok(Outcome::Refused);
            }
            Err(error) => return Err(error),
        },
    };
    // Where the client does not see what is wrong it waits, so it waits no longer than it must.
    let timeout = row.timeout.min(Duration::from_secs(2));
    stream.set_read_timeout(Some(timeout))?;
    stream.set_write_timeout(Some(timeout))?;
    let head = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {upload}\r\n\r\n");
    let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&vec![0; upload]));
    let stuck =
        |error: io::Error| matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
    if sent.is_err_and(stuck) {
        return Ok(Outcome::WriteTimeout);
    }
    // Whatever else stopped the sending, the answer may have come before it.
    let (outcome, reusable) = read_response(&mut stream);
    *idle = reusable.then_some(stream);
    Ok(outcome)
}

/// Whether nothing has happened on an idle connection.
fn is_quiet(stream: &TcpStream) -> bool {
    let quick = stream.set_read_timeout(Some(Duration::from_millis(1)));
    quick.is_ok() && stream.peek(&mut [0]).is_err_and(|error| error.kind() == ErrorKind::WouldBlock)
}

fn read_response(stream: &mut TcpStream) -> (Outcome, bool) {
    let mut bytes = Vec::new();
    let mut piece = [0; 4096];
    while bytes.len() < 1024 * 1024 {
        match stream.read(&mut piece).map_err(|error| error.kind()) {
            Ok(0) => return (Outcome::Ended(bytes.len()), false),
            Ok(count) => bytes.extend(piece.iter().take(count)),
            Err(ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                return (Outcome::ReadTimeout, false);
            }
            Err(_) => return (Outcome::Reset(bytes.len()), false),
        }
        // The table's complete answers end in one of these ways.
        let text = String::from_utf8_lossy(&bytes);
        if text.starts_with("HTTP/1.1 413") && text.ends_with("\r\n\r\n") {
            return (Outcome::Response("413"), false);
        }
        if text.ends_with("\r\n\r\nok") || text.ends_with("slowly and steadily") {
            let whole = !text.contains(": two\r\n");
            return if whole { (Outcome::Response("200"), true) } else { continue };
        }
        if text.ends_with("\r\n0\r\n\r\n") {
            return (Outcome::Response("200"), !text.contains("content-length"));
        }
    }
    (Outcome::TooLarge, false)
}
