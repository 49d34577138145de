//! HTTP/1.1 messages (RFC 9112), over whatever can be read from.

use std::io::{self, BufRead, Error, ErrorKind, Read as _, Write as _};

use http::{HeaderValue, Method, Response, Version, header, request::Parts};
use httparse::Status;

const MAX_HEADERS: usize = 100;

/// Where a body ends.
#[derive(Clone, Copy)]
pub(crate) enum Framing {
    Length(u64),
    Chunked,
    /// With its connection.
    Close,
}

/// The head of a request whose body has this length; `None` for a body in chunks.
pub(crate) fn request_head(request: &Parts, length: Option<u64>) -> io::Result<Vec<u8>> {
    let (method, uri) = (&request.method, &request.uri);
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    // A query may follow the authority at once; a target begins with a path (RFC 9112 3.2.1).
    let slash = if target.starts_with('/') { "" } else { "/" };
    let mut head = Vec::new();
    write!(head, "{method} {slash}{target} HTTP/1.1\r\n")?;
    if !request.headers.contains_key(header::HOST) {
        write!(head, "host: {}\r\n", uri.authority().map_or("", |it| it.as_str()))?;
    }
    for (name, value) in &request.headers {
        write!(head, "{name}: ")?;
        head.extend_from_slice(value.as_bytes());
        head.extend_from_slice(b"\r\n");
    }
    match length {
        // A request that could have a body says that it has none (RFC 9110 8.6).
        Some(0) if ![Method::POST, Method::PUT, Method::PATCH].contains(method) => {}
        Some(length) => write!(head, "content-length: {length}\r\n")?,
        None => write!(head, "transfer-encoding: chunked\r\n")?,
    }
    head.extend_from_slice(b"\r\n");
    Ok(head)
}

/// A piece of a body, as a chunk where the body has no length.
pub(crate) fn piece(bytes: &[u8], length: Option<u64>) -> Vec<u8> {
    match length {
        Some(_) => bytes.to_vec(),
        None => [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat(),
    }
}

/// Reads the final head of a response, over the interim ones, all of them within this limit.
pub(crate) fn read_head(from: &mut impl BufRead, limit: usize) -> io::Result<Response<()>> {
    let mut from = from.by_ref().take(u64::try_from(limit).unwrap_or(u64::MAX));
    let mut head = Vec::new();
    loop {
        if from.read_until(b'\n', &mut head)? == 0 {
            let cut =
                if from.limit() == 0 { ErrorKind::FileTooLarge } else { ErrorKind::UnexpectedEof };
            return Err(cut.into());
        }
        let mut lines = [httparse::EMPTY_HEADER; MAX_HEADERS];
        let mut parsed = httparse::Response::new(&mut lines);
        match parsed.parse(&head) {
            Ok(Status::Partial) => continue,
            Ok(Status::Complete(_)) => {}
            Err(httparse::Error::TooManyHeaders) => return Err(ErrorKind::FileTooLarge.into()),
            Err(error) => return Err(malformed(error)),
        }
        let version = if parsed.version == Some(0) { Version::HTTP_10 } else { Version::HTTP_11 };
        let mut response = Response::builder().version(version).status(parsed.code.unwrap_or(0));
        for line in parsed.headers.iter() {
            response = response.header(line.name, line.value);
        }
        let response = response.body(()).map_err(malformed)?;
        match response.status().as_u16() {
            101 => return Err(malformed("nobody asked for another protocol")),
            100..200 => head.clear(),
            _ => return Ok(response),
        }
    }
}

/// Where the body of this response ends (RFC 9112 6.3).
pub(crate) fn framing(method: &Method, head: &Response<()>) -> io::Result<Framing> {
    let coding = head.headers().get(header::TRANSFER_ENCODING);
    let mut lengths = head.headers().get_all(header::CONTENT_LENGTH).iter();
    match (coding, lengths.next()) {
        _ if method == Method::HEAD || [204, 304].contains(&head.status().as_u16()) => {
            Ok(Framing::Length(0))
        }
        // A length beside it says nothing, and no further response is read from the connection.
        (Some(coding), _) if coding.as_bytes().eq_ignore_ascii_case(b"chunked") => {
            Ok(Framing::Chunked)
        }
        (None, Some(length)) if lengths.all(|other| other == length) => digits(length),
        (None, None) => Ok(Framing::Close),
        (Some(_), _) | (None, Some(_)) => Err(malformed("where the body ends cannot be told")),
    }
}

fn digits(length: &HeaderValue) -> io::Result<Framing> {
    let text = length.to_str().map_err(malformed)?;
    if text.starts_with('+') {
        return Err(malformed("a length has no sign"));
    }
    text.parse().map(Framing::Length).map_err(malformed)
}

/// Reads a body to its end, and hands it over as it comes.
pub(crate) fn read_body(
    from: &mut impl BufRead,
    framing: Framing,
    mut to: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    match framing {
        Framing::Length(length) => read_piece(from, length, true, &mut to),
        Framing::Close => read_piece(from, u64::MAX, false, &mut to),
        Framing::Chunked => read_chunks(from, &mut to),
    }
}

fn read_chunks(
    from: &mut impl BufRead,
    to: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    loop {
        let line = read_line(from)?;
        let Ok(Status::Complete((_, size))) = httparse::parse_chunk_size(&line) else {
            return Err(malformed("a chunk without a size"));
        };
        if size == 0 {
            break;
        }
        read_piece(from, size, true, to)?;
        if read_line(from)? != b"\r\n" {
            return Err(malformed("a chunk that is longer than its size"));
        }
    }
    // Trailers, which nobody asked for, and the empty line.
    for _ in 0..=MAX_HEADERS {
        if read_line(from)? == b"\r\n" {
            return Ok(());
        }
    }
    Err(ErrorKind::FileTooLarge.into())
}

/// Reads so many bytes, or fewer where the end may come first.
fn read_piece(
    from: &mut impl BufRead,
    mut left: u64,
    exactly: bool,
    to: &mut impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    while left > 0 {
        let bytes = from.fill_buf()?;
        let length = bytes.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        match bytes.get(..length) {
            Some([]) | None if exactly => return Err(ErrorKind::UnexpectedEof.into()),
            Some([]) | None => return Ok(()),
            Some(bytes) => to(bytes)?,
        }
        from.consume(length);
        left -= length as u64;
    }
    Ok(())
}

/// A short line, with its end.
fn read_line(from: &mut impl BufRead) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    from.by_ref().take(4096).read_until(b'\n', &mut line)?;
    match line.last() {
        Some(b'\n') => Ok(line),
        Some(_) if line.len() == 4096 => Err(malformed("a line is too long")),
        Some(_) | None => Err(ErrorKind::UnexpectedEof.into()),
    }
}

fn malformed(error: impl Into<Box<dyn core::error::Error + Send + Sync>>) -> Error {
    Error::new(ErrorKind::InvalidData, error)
}
