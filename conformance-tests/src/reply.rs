//! Responses, written pleasantly.

use core::time::Duration;

use crate::http2::MAX_PAYLOAD;
use crate::{Frame, Step};

/// One response, of either protocol, to be sent by a [`Step`].
///
/// It says `Content-Length` unless [`Reply::chunked`] or [`Reply::raw`] says otherwise. Over HTTP/2
/// frames say where the body ends, whatever the headers do. Nothing is checked: a reply may be as
/// wrong as a test needs it to be.
///
/// ```
/// use redial_conformance::Reply;
///
/// let reply = Reply::status(503).header("retry-after", "1").body("busy");
/// assert_eq!(
///     reply.bytes(),
///     b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 4\r\n\r\nbusy"
/// );
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    pub(crate) status: u16,
    headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
    framing: Framing,
}

impl Reply {
    /// A response with this status and the reason phrase that goes with it, without a body.
    pub fn status(status: u16) -> Self {
        Self { status, headers: Vec::new(), body: Vec::new(), framing: Framing::Length }
    }

    /// This reply, with one more header line.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// This reply, with `body` in place of the body it had.
    #[must_use]
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// This reply, with its body in chunks of `size` bytes; zero stands for one.
    #[must_use]
    pub fn chunked(mut self, size: usize) -> Self {
        self.framing = Framing::Chunked(size.max(1));
        self
    }

    /// This reply, with no framing header but those given: the body goes out as it is.
    #[must_use]
    pub fn raw(mut self) -> Self {
        self.framing = Framing::Raw;
        self
    }

    /// The status line, the header lines and the empty line, as they go over the wire of HTTP/1.1.
    pub fn head(&self) -> Vec<u8> {
        let mut head = format!("HTTP/1.1 {} {}\r\n", self.status, reason(self.status));
        for (name, value) in self.fields() {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        if matches!(self.framing, Framing::Chunked(_)) {
            head.push_str("transfer-encoding: chunked\r\n");
        }
        head.push_str("\r\n");
        head.into_bytes()
    }

    /// The fields of the head that both protocols have.
    pub(crate) fn fields(&self) -> Vec<(String, String)> {
        let mut fields = self.headers.clone();
        if self.framing == Framing::Length && !is_bodiless(self.status) {
            fields.push(("content-length".to_owned(), self.body.len().to_string()));
        }
        fields
    }

    /// The frames of the whole response over HTTP/2: its head, and DATA that ends the stream. An
    /// interim response (1xx) ends nothing.
    pub fn frames(&self) -> Vec<Frame> {
        let head = Frame::head(self);
        if self.is_interim() {
            return vec![head];
        }
        let pieces: Vec<_> = self.body.chunks(MAX_PAYLOAD).collect();
        let Some((last, pieces)) = pieces.split_last() else { return vec![head.end_stream()] };
        let pieces = pieces.iter().map(|piece| Frame::data(*piece));
        [head].into_iter().chain(pieces).chain([Frame::data(*last).end_stream()]).collect()
    }

    /// Whether another response to the same request is to follow.
    pub(crate) fn is_interim(&self) -> bool {
        matches!(self.status, 100..=199)
    }

    /// The whole response, as it goes over the wire of HTTP/1.1.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.head();
        match self.framing {
            Framing::Length | Framing::Raw => bytes.extend_from_slice(&self.body),
            Framing::Chunked(size) => push_chunks(&mut bytes, &self.body, size),
        }
        bytes
    }

    /// The step that sends the whole response at once.
    pub fn step(&self) -> Step {
        Step::Respond(self.clone())
    }

    /// The step that sends the whole response, `piece` bytes every `gap`.
    pub fn slowly(&self, piece: usize, gap: Duration) -> Step {
        Step::RespondSlowly { reply: self.clone(), piece, gap }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Framing {
    Length,
    Chunked(usize),
    Raw,
}

fn push_chunks(bytes: &mut Vec<u8>, body: &[u8], size: usize) {
    for chunk in body.chunks(size) {
        bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        bytes.extend_from_slice(chunk);
        bytes.extend_from_slice(b"\r\n");
    }
    bytes.extend_from_slice(b"0\r\n\r\n");
}

/// Whether a response with this status ends with its head, so that a length would be wrong.
fn is_bodiless(status: u16) -> bool {
    matches!(status, 100..=199 | 204 | 304)
}

fn reason(status: u16) -> &'static str {
    match status {
        100 => "Continue",
        103 => "Early Hints",
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Content Too Large",
        421 => "Misdirected Request",
        425 => "Too Early",
        429 => "Too Many Requests",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_have_hexadecimal_sizes_and_an_end() {
        let reply = Reply::status(200).body("abcdefghijkl").chunked(11);
        assert_eq!(
            reply.bytes(),
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nb\r\nabcdefghijk\r\n1\r\nl\r\n0\r\n\r\n"
        );
    }

    #[test]
    fn raw_adds_no_framing() {
        let reply = Reply::status(200).header("content-length", "10").body("four").raw();
        assert_eq!(reply.bytes(), b"HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour");
    }

    #[test]
    fn a_status_without_a_body_has_no_length() {
        assert_eq!(Reply::status(204).bytes(), b"HTTP/1.1 204 No Content\r\n\r\n");
    }
}
