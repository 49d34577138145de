//! Frames of HTTP/2 as data, as right or as wrong as a script needs them (RFC 9113 4 and 6).

use core::fmt;

use crate::Reply;

/// The largest payload that every client takes, in bytes (RFC 9113 4.2).
pub(crate) const MAX_PAYLOAD: usize = 16_384;

/// The length of a frame's header, in bytes.
pub(crate) const HEADER: usize = 9;

/// The types of frames that RFC 9113 6 defines.
pub(crate) mod kind {
    pub(crate) const DATA: u8 = 0x0;
    pub(crate) const HEADERS: u8 = 0x1;
    pub(crate) const PRIORITY: u8 = 0x2;
    pub(crate) const RST_STREAM: u8 = 0x3;
    pub(crate) const SETTINGS: u8 = 0x4;
    pub(crate) const PUSH_PROMISE: u8 = 0x5;
    pub(crate) const PING: u8 = 0x6;
    pub(crate) const GOAWAY: u8 = 0x7;
    pub(crate) const WINDOW_UPDATE: u8 = 0x8;
    pub(crate) const CONTINUATION: u8 = 0x9;
}

/// The flags that RFC 9113 6 defines. END_STREAM and ACK share a bit.
pub(crate) mod flag {
    pub(crate) const ACK: u8 = 0x1;
    pub(crate) const END_STREAM: u8 = 0x1;
    pub(crate) const END_HEADERS: u8 = 0x4;
    pub(crate) const PADDED: u8 = 0x8;
    pub(crate) const PRIORITY: u8 = 0x20;
}

/// One frame that the server sends.
///
/// A frame that belongs to a stream is sent on that of the request which its list was played for
/// or read last; [`Frame::on`] names another. Header blocks are literals without indexing, which
/// need no state. Nothing is checked.
///
/// ```
/// use redial_conformance::{ErrorCode, Frame};
///
/// let refusal = Frame::rst_stream(ErrorCode::REFUSED_STREAM);
/// assert_eq!(refusal.bytes(1), [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 7]);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    kind: u8,
    flags: u8,
    /// `None` for the stream of the request.
    stream: Option<u32>,
    payload: Payload,
    /// The length that the header announces, where it is not that of the payload.
    announced: Option<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Payload {
    Bytes(Vec<u8>),
    /// Written when it is known which request the list is for.
    GoAway(LastStream, ErrorCode),
}

/// Which streams a GOAWAY says the server may have looked at (RFC 9113 6.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LastStream {
    /// That of the request, and those before it.
    Request,
    /// Those before the request, so that the request was not looked at.
    BeforeRequest,
    /// Those up to this number; zero for none.
    Number(u32),
}

/// Why a stream or a connection ends (RFC 9113 7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(clippy::exhaustive_structs, reason = "any number may be sent")]
pub struct ErrorCode(pub u32);

#[rustfmt::skip]
#[allow(missing_docs, reason = "the names are those of RFC 9113 7, which says what they mean")]
impl ErrorCode {
    pub const NO_ERROR: Self = Self(0x0);
    pub const PROTOCOL_ERROR: Self = Self(0x1);
    pub const INTERNAL_ERROR: Self = Self(0x2);
    pub const FLOW_CONTROL_ERROR: Self = Self(0x3);
    pub const SETTINGS_TIMEOUT: Self = Self(0x4);
    pub const STREAM_CLOSED: Self = Self(0x5);
    pub const FRAME_SIZE_ERROR: Self = Self(0x6);
    pub const REFUSED_STREAM: Self = Self(0x7);
    pub const CANCEL: Self = Self(0x8);
    pub const COMPRESSION_ERROR: Self = Self(0x9);
    pub const CONNECT_ERROR: Self = Self(0xa);
    pub const ENHANCE_YOUR_CALM: Self = Self(0xb);
    pub const INADEQUATE_SECURITY: Self = Self(0xc);
    pub const HTTP_1_1_REQUIRED: Self = Self(0xd);
}

impl fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 14] = [
            "NO_ERROR",
            "PROTOCOL_ERROR",
            "INTERNAL_ERROR",
            "FLOW_CONTROL_ERROR",
            "SETTINGS_TIMEOUT",
            "STREAM_CLOSED",
            "FRAME_SIZE_ERROR",
            "REFUSED_STREAM",
            "CANCEL",
            "COMPRESSION_ERROR",
            "CONNECT_ERROR",
            "ENHANCE_YOUR_CALM",
            "INADEQUATE_SECURITY",
            "HTTP_1_1_REQUIRED",
        ];
        match usize::try_from(self.0).ok().and_then(|code| NAMES.get(code)) {
            Some(name) => f.write_str(name),
            None => write!(f, "error code {:#x}", self.0),
        }
    }
}

impl Frame {
    /// A frame of any type, on the stream of the request, without flags.
    pub fn new(kind: u8, payload: impl Into<Vec<u8>>) -> Self {
        let payload = Payload::Bytes(payload.into());
        Self { kind, flags: 0, stream: None, payload, announced: None }
    }

    /// DATA: a piece of the response's body.
    pub fn data(bytes: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::DATA, bytes)
    }

    /// HEADERS with the fields in this order, complete in this one frame.
    pub fn headers<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(kind::HEADERS, header_block(fields)).flags(flag::END_HEADERS)
    }

    /// HEADERS with the head of this reply, which leaves the stream open for a body.
    pub fn head(reply: &Reply) -> Self {
        let status = reply.status.to_string();
        let fields = reply.fields();
        let fields = fields.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        Self::headers([(":status", status.as_str())].into_iter().chain(fields))
    }

    /// CONTINUATION with more fields, after which still more may come.
    pub fn continuation<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        Self::new(kind::CONTINUATION, header_block(fields))
    }

    /// PRIORITY: the stream depends on `dependency`.
    pub fn priority(dependency: u32, weight: u8) -> Self {
        let payload = [dependency.to_be_bytes().as_slice(), &[weight]].concat();
        Self::new(kind::PRIORITY, payload)
    }

    /// RST_STREAM.
    pub fn rst_stream(code: ErrorCode) -> Self {
        Self::new(kind::RST_STREAM, code.0.to_be_bytes())
    }

    /// SETTINGS with these parameters: identifier and value.
    pub fn settings(parameters: &[(u16, u32)]) -> Self {
        let pair =
            |(id, value): &(u16, u32)| [id.to_be_bytes().as_slice(), &value.to_be_bytes()].concat();
        let payload: Vec<u8> = parameters.iter().flat_map(pair).collect();
        Self::new(kind::SETTINGS, payload).on(0)
    }

    /// The acknowledgement of the client's settings.
    pub fn settings_ack() -> Self {
        Self::settings(&[]).flags(flag::ACK)
    }

    /// PUSH_PROMISE of a request on the stream with this number.
    pub fn push_promise<'a>(
        promised: u32,
        fields: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let payload = [promised.to_be_bytes().as_slice(), &header_block(fields)].concat();
        Self::new(kind::PUSH_PROMISE, payload).flags(flag::END_HEADERS)
    }

    /// PING.
    pub fn ping(payload: [u8; 8]) -> Self {
        Self::new(kind::PING, payload).on(0)
    }

    /// GOAWAY.
    pub fn goaway(last: LastStream, code: ErrorCode) -> Self {
        let payload = Payload::GoAway(last, code);
        Self { payload, ..Self::new(kind::GOAWAY, []).on(0) }
    }

    /// WINDOW_UPDATE for the stream of the request; [`Frame::on`] zero for the connection.
    pub fn window_update(increment: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, increment.to_be_bytes())
    }

    /// This frame on the stream with this number; zero stands for the connection.
    #[must_use]
    pub fn on(mut self, stream: u32) -> Self {
        self.stream = Some(stream);
        self
    }

    /// This frame with exactly these flags.
    #[must_use]
    pub fn flags(mut self, flags: u8) -> Self {
        self.flags = flags;
        self
    }

    /// This frame with END_STREAM beside the flags that it has.
    #[must_use]
    pub fn end_stream(mut self) -> Self {
        self.flags |= flag::END_STREAM;
        self
    }

    /// This frame with END_HEADERS beside the flags that it has.
    #[must_use]
    pub fn end_headers(mut self) -> Self {
        self.flags |= flag::END_HEADERS;
        self
    }

    /// This frame without END_HEADERS: CONTINUATION frames are to follow.
    #[must_use]
    pub fn unfinished(mut self) -> Self {
        self.flags &= !flag::END_HEADERS;
        self
    }

    /// This frame with a header that announces a payload of `length` bytes, whatever follows.
    #[must_use]
    pub fn announcing(mut self, length: u32) -> Self {
        self.announced = Some(length);
        self
    }

    /// As it goes over the wire, where `request` is the stream of the request.
    pub fn bytes(&self, request: u32) -> Vec<u8> {
        let payload = match &self.payload {
            Payload::Bytes(bytes) => bytes.clone(),
            Payload::GoAway(last, code) => {
                [last.number(request).to_be_bytes(), code.0.to_be_bytes()].concat()
            }
        };
        let length = self.announced.unwrap_or(u32::try_from(payload.len()).unwrap_or(u32::MAX));
        let [_, length @ ..] = length.to_be_bytes();
        let stream = self.stream.unwrap_or(request).to_be_bytes();
        [length.as_slice(), &[self.kind, self.flags], &stream, &payload].concat()
    }

    /// What this frame takes of the windows: on which stream, and how many bytes (RFC 9113 6.9.1).
    pub(crate) fn flow(&self, request: u32) -> Option<(u32, i64)> {
        match &self.payload {
            Payload::Bytes(bytes) if self.kind == kind::DATA => {
                let length = i64::try_from(bytes.len()).unwrap_or(i64::MAX);
                Some((self.stream.unwrap_or(request), length))
            }
            Payload::Bytes(_) | Payload::GoAway(..) => None,
        }
    }

    /// The stream of which this frame ends the server's half.
    pub(crate) fn ends(&self, request: u32) -> Option<u32> {
        let ends = match self.kind {
            kind::DATA | kind::HEADERS => self.flags & flag::END_STREAM != 0,
            kind::RST_STREAM => true,
            _ => false,
        };
        ends.then_some(self.stream.unwrap_or(request))
    }

    /// Which streams this frame says the server refuses to look at, where `request` is the stream
    /// of the request: a range, because a GOAWAY refuses all that come after its last.
    pub(crate) fn refuses(&self, request: u32) -> Option<core::ops::RangeInclusive<u32>> {
        match &self.payload {
            Payload::GoAway(last, _) => Some(last.number(request).saturating_add(1)..=u32::MAX),
            Payload::Bytes(bytes) => {
                let stream = self.stream.unwrap_or(request);
                let refused = self.kind == kind::RST_STREAM
                    && *bytes == ErrorCode::REFUSED_STREAM.0.to_be_bytes();
                refused.then_some(stream..=stream)
            }
        }
    }
}

impl LastStream {
    fn number(self, request: u32) -> u32 {
        match self {
            Self::Request => request,
            // Clients number their streams by odd numbers.
            Self::BeforeRequest => request.saturating_sub(2),
            Self::Number(number) => number,
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [&str; 10] = [
            "DATA",
            "HEADERS",
            "PRIORITY",
            "RST_STREAM",
            "SETTINGS",
            "PUSH_PROMISE",
            "PING",
            "GOAWAY",
            "WINDOW_UPDATE",
            "CONTINUATION",
        ];
        match NAMES.get(usize::from(self.kind)) {
            Some(name) => f.write_str(name),
            None => write!(f, "a frame of type {:#x}", self.kind),
        }
    }
}

/// The fields as literals without indexing, with names that are literals too (RFC 7541 6.2.2).
fn header_block<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        push_string(&mut block, name);
        push_string(&mut block, value);
    }
    block
}

/// A string without Huffman code: its length as an integer of a prefix of 7 bits, then its bytes
/// (RFC 7541 5.1, 5.2).
fn push_string(block: &mut Vec<u8>, text: &str) {
    const PREFIX: usize = 0x7f;
    let mut length = text.len();
    if length < PREFIX {
        block.push(low_bits(length));
    } else {
        block.push(low_bits(PREFIX));
        length -= PREFIX;
        while length > PREFIX {
            block.push(low_bits(length) | 0x80);
            length >>= 7;
        }
        block.push(low_bits(length));
    }
    block.extend_from_slice(text.as_bytes());
}

fn low_bits(number: usize) -> u8 {
    u8::try_from(number & 0x7f).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_block_is_what_a_decoder_reads() {
        let long = "x".repeat(40_000);
        let fields = [(":status", "200"), ("a", ""), ("long", &long), ("edge", &long[..127])];
        let bytes = Frame::headers(fields).bytes(5);
        let decoded = loona_hpack::Decoder::new().decode(&bytes[HEADER..]).unwrap();
        let decoded: Vec<_> = decoded
            .into_iter()
            .map(|(name, value)| {
                (String::from_utf8(name).unwrap(), String::from_utf8(value).unwrap())
            })
            .collect();
        let expected = fields.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(decoded, expected);
    }

    #[test]
    fn frames_are_on_the_wire_as_the_rfc_lays_them_out() {
        let code = ErrorCode::INTERNAL_ERROR;
        for (frame, bytes) in [
            (Frame::ping(*b"ABCDEFGH"), b"\0\0\x08\x06\0\0\0\0\0ABCDEFGH".as_slice()),
            (Frame::data("ab").end_stream(), b"\0\0\x02\0\x01\0\0\0\x07ab"),
            (Frame::data("ab").announcing(0x0102_0304), b"\x02\x03\x04\0\0\0\0\0\x07ab"),
            (Frame::settings(&[(3, 256)]), b"\0\0\x06\x04\0\0\0\0\0\0\x03\0\0\x01\0"),
            (Frame::settings_ack(), b"\0\0\0\x04\x01\0\0\0\0"),
            (Frame::window_update(0).on(0), b"\0\0\x04\x08\0\0\0\0\0\0\0\0\0"),
            (Frame::priority(7, 1), b"\0\0\x05\x02\0\0\0\0\x07\0\0\0\x07\x01"),
            (
                Frame::goaway(LastStream::Request, code),
                b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x07\0\0\0\x02",
            ),
            (
                Frame::goaway(LastStream::BeforeRequest, code),
                b"\0\0\x08\x07\0\0\0\0\0\0\0\0\x05\0\0\0\x02",
            ),
        ] {
            assert_eq!(frame.bytes(7), bytes, "{frame}");
        }
    }

    #[test]
    fn what_is_refused_is_known() {
        let refused = |frame: Frame| frame.refuses(5);
        assert_eq!(refused(Frame::rst_stream(ErrorCode::REFUSED_STREAM)), Some(5..=5));
        assert_eq!(refused(Frame::rst_stream(ErrorCode::CANCEL)), None);
        let goaway = |last| Frame::goaway(last, ErrorCode::NO_ERROR);
        assert_eq!(refused(goaway(LastStream::Request)), Some(6..=u32::MAX));
        assert_eq!(refused(goaway(LastStream::BeforeRequest)), Some(4..=u32::MAX));
    }
}
