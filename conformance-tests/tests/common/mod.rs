//! Plain sockets, and what the tests ask of them. Every wait of theirs is bounded.

#![allow(dead_code, reason = "each test uses a part of this")]

pub(crate) mod http2;

use core::time::Duration;
use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use redial_conformance::{FaultServer, Log, Script, Step};

pub(crate) const GET: &[u8] = b"GET / HTTP/1.1\r\nhost: a\r\n\r\n";
pub(crate) const SOON: Duration = Duration::from_secs(10);

pub(crate) fn one(steps: Vec<Step>) -> io::Result<FaultServer> {
    FaultServer::start(Script::connections(vec![steps]))
}

pub(crate) fn connect(server: &FaultServer) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(server.address())?;
    stream.set_read_timeout(Some(SOON))?;
    stream.set_write_timeout(Some(SOON))?;
    Ok(stream)
}

pub(crate) fn send(server: &FaultServer, bytes: &[u8]) -> io::Result<TcpStream> {
    let mut stream = connect(server)?;
    stream.write_all(bytes)?;
    Ok(stream)
}

pub(crate) fn read_all(mut stream: &TcpStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).map(|_| bytes)
}

pub(crate) fn read_exactly(mut stream: &TcpStream, expected: &[u8]) -> io::Result<()> {
    let mut bytes = vec![0; expected.len()];
    stream.read_exact(&mut bytes)?;
    assert_eq!(String::from_utf8_lossy(&bytes), String::from_utf8_lossy(expected));
    Ok(())
}

pub(crate) fn is_reset(result: io::Result<Vec<u8>>) -> bool {
    result.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset)
}

/// Waits until the log says what the test is waiting for.
pub(crate) fn until(server: &FaultServer, what: impl Fn(&Log) -> bool) {
    let start = Instant::now();
    while !what(&server.log()) {
        assert!(start.elapsed() < SOON, "never came: {:?}", server.log());
        std::thread::sleep(Duration::from_millis(2));
    }
}
