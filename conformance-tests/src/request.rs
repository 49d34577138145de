//! The syntax of a request of HTTP/1.1, and what every request has: bytes in, no IO.

use core::error::Error;
use core::fmt;

/// How long a request head may be, in bytes.
pub(crate) const MAX_HEAD: usize = 256 * 1024;

/// How long a chunk-size line or a trailer line may be, in bytes.
pub(crate) const MAX_LINE: usize = 8 * 1024;

/// How long a request body may be, in bytes, for the server to keep it.
pub(crate) const MAX_BODY: usize = 256 * 1024 * 1024;

/// What keeps the bytes that a client sent from being a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// The first line is not a method, a target and `HTTP/1.x`.
    RequestLine,
    /// A header line has no colon or no proper name, or does not end in CR LF.
    HeaderLine,
    /// The length of the body cannot be told, or is told in two ways.
    Framing,
    /// A chunk does not begin with its size or does not end in CR LF.
    Chunk,
    /// The head, a line or the body is longer than this server keeps.
    TooLarge,
    /// A connection of HTTP/2 does not begin with its preface.
    Preface,
    /// A frame of HTTP/2 has a length or a stream that its type cannot have, or comes where it
    /// cannot be.
    Frame,
    /// A header block of HTTP/2 cannot be decoded, or has no method or path.
    HeaderBlock,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RequestLine => "the request line is not a method, a target and HTTP/1.x",
            Self::HeaderLine => "a header line has no colon or name, or no CR LF at its end",
            Self::Framing => "the length of the body is unknown or told in two ways",
            Self::Chunk => "a chunk has no size or no CR LF at its end",
            Self::TooLarge => "the request is longer than this server keeps",
            Self::Preface => "the connection does not begin with the preface of HTTP/2",
            Self::Frame => "a frame has the wrong length or stream, or comes at the wrong place",
            Self::HeaderBlock => "a header block cannot be decoded, or has no method or path",
        })
    }
}

impl Error for Malformed {}

/// A request head, taken apart.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) framing: Framing,
}

/// How the end of a request body is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    Length(usize),
    Chunked,
}

/// How many bytes at the front of `buffer` are a head with its empty line, once it is all there.
pub(crate) fn head_length(buffer: &[u8]) -> Option<usize> {
    buffer.windows(4).position(|four| four == b"\r\n\r\n").map(|start| start + 4)
}

/// Takes apart a head that ends in its empty line.
pub(crate) fn parse_head(bytes: &[u8]) -> Result<Head, Malformed> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let (method, target) = parse_request_line(lines.next().unwrap_or_default())?;
    let headers = lines
        .take_while(|line| *line != b"\r\n")
        .map(parse_header_line)
        .collect::<Result<Vec<_>, _>>()?;
    let framing = parse_framing(&headers)?;
    Ok(Head { method, target, headers, framing })
}

/// The size that a chunk-size line, without its CR LF, announces; extensions are skipped.
pub(crate) fn parse_chunk_size(line: &[u8]) -> Result<usize, Malformed> {
    let digits = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    // `from_str_radix` would take a sign.
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(Malformed::Chunk);
    }
    let digits = str::from_utf8(digits).map_err(|_| Malformed::Chunk)?;
    usize::from_str_radix(digits, 16).map_err(|_| Malformed::Chunk)
}

fn parse_request_line(line: &[u8]) -> Result<(String, String), Malformed> {
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed::RequestLine)?;
    let line = str::from_utf8(line).map_err(|_| Malformed::RequestLine)?;
    let mut words = line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(Malformed::RequestLine);
    };
    if method.is_empty() || target.is_empty() || !version.starts_with("HTTP/1.") {
        return Err(Malformed::RequestLine);
    }
    Ok((method.to_owned(), target.to_owned()))
}

fn parse_header_line(line: &[u8]) -> Result<(String, Vec<u8>), Malformed> {
    let line = line.strip_suffix(b"\r\n").ok_or(Malformed::HeaderLine)?;
    let colon = line.iter().position(|byte| *byte == b':').ok_or(Malformed::HeaderLine)?;
    let (name, value) = line.split_at_checked(colon).ok_or(Malformed::HeaderLine)?;
    if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
        return Err(Malformed::HeaderLine);
    }
    let value = value.strip_prefix(b":").unwrap_or(value).trim_ascii();
    Ok((String::from_utf8_lossy(name).into_owned(), value.to_vec()))
}

/// Finds the one way in which the body is framed. Two ways are refused: they are how requests are
/// smuggled, and a client that sends both is at fault.
fn parse_framing(headers: &[(String, Vec<u8>)]) -> Result<Framing, Malformed> {
    let mut framing = None;
    for (name, value) in headers {
        let found = if name.eq_ignore_ascii_case("content-length") {
            parse_length(value)?
        } else if name.eq_ignore_ascii_case("transfer-encoding") {
            parse_coding(value)?
        } else {
            continue;
        };
        if framing.replace(found).is_some() {
            return Err(Malformed::Framing);
        }
    }
    Ok(framing.unwrap_or(Framing::Length(0)))
}

fn parse_length(value: &[u8]) -> Result<Framing, Malformed> {
    if !value.iter().all(u8::is_ascii_digit) {
        return Err(Malformed::Framing);
    }
    let digits = str::from_utf8(value).map_err(|_| Malformed::Framing)?;
    digits.parse().map(Framing::Length).map_err(|_| Malformed::Framing)
}

fn parse_coding(value: &[u8]) -> Result<Framing, Malformed> {
    if value.eq_ignore_ascii_case(b"chunked") {
        return Ok(Framing::Chunked);
    }
    Err(Malformed::Framing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart_as_received() {
        let head =
            parse_head(b"POST /a?b HTTP/1.1\r\nHost: x\r\nX-A:  1 \r\nx-a:2\r\n\r\n").unwrap();
        assert_eq!((head.method.as_str(), head.target.as_str()), ("POST", "/a?b"));
        let expected: [(&str, &[u8]); 3] = [("Host", b"x"), ("X-A", b"1"), ("x-a", b"2")];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_vec()));
        assert_eq!(head.headers, expected);
        assert_eq!(head.framing, Framing::Length(0));
    }

    #[test]
    fn what_is_no_head_is_refused() {
        for (bytes, reason) in [
            (b"GET /\r\n\r\n".as_slice(), Malformed::RequestLine),
            (b"GET / a HTTP/1.1\r\n\r\n", Malformed::RequestLine),
            (b"PRI * HTTP/2.0\r\n\r\n", Malformed::RequestLine),
            (b"GET / HTTP/1.1\r\nno colon\r\n\r\n", Malformed::HeaderLine),
            (b"GET / HTTP/1.1\r\na : 1\r\n\r\n", Malformed::HeaderLine),
            (b"GET / HTTP/1.1\r\na: 1\nb: 2\r\n\r\n", Malformed::HeaderLine),
            (b"GET / HTTP/1.1\r\ncontent-length: +1\r\n\r\n", Malformed::Framing),
            (b"GET / HTTP/1.1\r\ncontent-length:\r\n\r\n", Malformed::Framing),
            (b"GET / HTTP/1.1\r\ntransfer-encoding: gzip\r\n\r\n", Malformed::Framing),
            (
                b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n",
                Malformed::Framing,
            ),
        ] {
            assert_eq!(parse_head(bytes), Err(reason), "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn chunk_sizes_are_hexadecimal_with_extensions() {
        assert_eq!(parse_chunk_size(b"1F"), Ok(31));
        assert_eq!(parse_chunk_size(b"a;name=value"), Ok(10));
        for wrong in [b"".as_slice(), b"zz", b"-1", b"+1", b"fffffffffffffffff"] {
            assert_eq!(parse_chunk_size(wrong), Err(Malformed::Chunk));
        }
    }
}
