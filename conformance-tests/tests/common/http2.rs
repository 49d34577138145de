//! A client of HTTP/2 that knows no more than how to write and read frames.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use redial_conformance::{FaultServer, Frame};

use super::connect;

pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const END: u8 = 1;

/// A frame, as it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Came {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

/// The client's end of a connection.
pub(crate) struct Http2Client<S = TcpStream>(pub(crate) S);

impl Http2Client {
    /// Connects, and says these settings.
    pub(crate) fn connect(server: &FaultServer, settings: &[(u16, u32)]) -> io::Result<Self> {
        let mut client = Self(connect(server)?);
        client.0.set_nodelay(true)?;
        client.begin(settings)?;
        Ok(client)
    }
}

impl<S: Read + Write> Http2Client<S> {
    pub(crate) fn begin(&mut self, settings: &[(u16, u32)]) -> io::Result<()> {
        self.0.write_all(PREFACE)?;
        self.send(&[Frame::settings(settings)])
    }

    pub(crate) fn send(&mut self, frames: &[Frame]) -> io::Result<()> {
        let bytes: Vec<_> = frames.iter().flat_map(|frame| frame.bytes(0)).collect();
        self.0.write_all(&bytes)
    }

    /// Sends the head of a request, with which it ends or not.
    pub(crate) fn ask(&mut self, stream: u32, path: &str, ends: bool) -> io::Result<()> {
        self.send(&[head(stream, path, ends)])
    }

    pub(crate) fn read(&mut self) -> io::Result<Came> {
        let mut header = [0; 9];
        self.0.read_exact(&mut header)?;
        let [a, b, c, kind, flags, stream @ ..] = header;
        let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
        self.0.read_exact(&mut payload)?;
        Ok(Came { kind, flags, stream: u32::from_be_bytes(stream), payload })
    }

    /// The next frame of this type; those of other types before it are skipped.
    pub(crate) fn await_kind(&mut self, kind: u8) -> io::Result<Came> {
        loop {
            let came = self.read()?;
            if came.kind == kind {
                return Ok(came);
            }
        }
    }

    /// The body on this stream, which is the next to be answered.
    pub(crate) fn body(&mut self, stream: u32) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let came = self.await_kind(DATA)?;
            assert_eq!(came.stream, stream);
            body.extend(&came.payload);
            if came.flags & END != 0 {
                return Ok(body);
            }
        }
    }
}

pub(crate) fn head(stream: u32, path: &str, ends: bool) -> Frame {
    let fields = [(":method", "GET"), (":scheme", "http"), (":path", path), (":authority", "a")];
    let head = Frame::headers(fields).on(stream);
    if ends { head.end_stream() } else { head }
}
