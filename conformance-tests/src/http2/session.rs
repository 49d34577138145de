//! What the server knows of one connection of HTTP/2: frames in, events out, no IO (RFC 9113).

use core::ops::RangeInclusive;
use std::collections::BTreeMap;

use loona_hpack::Decoder;

use super::frame::{HEADER, MAX_PAYLOAD, flag, kind};
use crate::request::{Framing, Head, MAX_HEAD};
use crate::{ErrorCode, Frame, Http2, Malformed};

/// With what a client begins a connection (RFC 9113 3.4).
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// How many bytes may be sent unasked, until the client says otherwise (RFC 9113 6.9.2).
const INITIAL_WINDOW: i64 = 65_535;

/// One connection of HTTP/2, as far as it has been read and written.
pub(crate) struct Session {
    manners: Http2,
    decoder: Decoder<'static>,
    /// The header block that CONTINUATION frames are to complete.
    block: Option<Block>,
    streams: BTreeMap<u32, Stream>,
    /// The highest stream that the client has opened.
    last: u32,
    begun: bool,
    goaway: Option<ErrorCode>,
    /// How much the client takes on the connection.
    window: i64,
    initial_window: i64,
    frame_size: usize,
    replies: Vec<u8>,
}

impl core::fmt::Debug for Session {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Session").field("streams", &self.streams).finish_non_exhaustive()
    }
}

/// One stream that the client has opened.
#[derive(Debug)]
struct Stream {
    /// How much the client takes on it.
    window: i64,
    /// Whether the client's half has ended.
    ended: bool,
    /// Whether the server's half has ended.
    answered: bool,
    reset: Option<ErrorCode>,
}

#[derive(Debug)]
struct Block {
    stream: u32,
    bytes: Vec<u8>,
    ends: bool,
}

/// What a frame of the client's comes to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Event {
    /// Nothing that a script can see.
    Nothing,
    /// The head of a request, on a stream of its own.
    Head { stream: u32, head: Head, ends: bool },
    /// A piece of a request's body; its trailers are an empty one that ends it.
    Body { stream: u32, bytes: Vec<u8>, ends: bool },
    /// The client resets a stream.
    Reset { stream: u32, code: ErrorCode },
}

impl Session {
    pub(crate) fn new(manners: Http2) -> Self {
        Self {
            manners,
            decoder: Decoder::new(),
            block: None,
            streams: BTreeMap::new(),
            last: 0,
            begun: false,
            goaway: None,
            window: INITIAL_WINDOW,
            initial_window: INITIAL_WINDOW,
            frame_size: MAX_PAYLOAD,
            replies: Vec::new(),
        }
    }

    /// The length of the first frame in `buffer`, header included, once it is all there.
    pub(crate) fn frame_length(&self, buffer: &[u8]) -> Result<Option<usize>, Malformed> {
        let Some([high, middle, low]) = buffer.first_chunk() else { return Ok(None) };
        let payload = u32::from_be_bytes([0, *high, *middle, *low]);
        if payload > self.largest_frame() {
            return Err(Malformed::Frame);
        }
        let length = HEADER + usize::try_from(payload).map_err(|_| Malformed::Frame)?;
        Ok((buffer.len() >= length).then_some(length))
    }

    /// Takes one whole frame.
    pub(crate) fn receive(&mut self, frame: &[u8]) -> Result<Event, Malformed> {
        let (header, payload) = frame.split_first_chunk::<HEADER>().ok_or(Malformed::Frame)?;
        let [_, _, _, kind, flags, stream @ ..] = *header;
        let stream = u32::from_be_bytes(stream) & (u32::MAX >> 1);
        if !core::mem::replace(&mut self.begun, true) && kind != kind::SETTINGS {
            return Err(Malformed::Preface);
        }
        if self.block.is_some() != (kind == kind::CONTINUATION) {
            return Err(Malformed::Frame);
        }
        match kind {
            kind::DATA => self.data(stream, flags, payload),
            kind::HEADERS => self.headers(stream, flags, payload),
            kind::CONTINUATION => self.continuation(stream, flags, payload),
            kind::RST_STREAM => self.rst_stream(stream, payload),
            kind::SETTINGS => self.settings(flags, payload),
            kind::PING => self.ping(flags, payload),
            kind::GOAWAY => self.take_goaway(payload),
            kind::WINDOW_UPDATE => self.window_update(stream, payload),
            kind::PUSH_PROMISE => Err(Malformed::Frame),
            // Priorities and extensions say nothing that a server has to heed.
            _ => Ok(Event::Nothing),
        }
    }

    /// What the server owes the client for the frames received.
    pub(crate) fn take_replies(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.replies)
    }

    /// Notes what the server sends.
    pub(crate) fn sent(&mut self, frame: &Frame, request: u32) {
        self.window -= frame.flow(request).map_or(0, |(_, length)| length);
        if let Some((stream, length)) = frame.flow(request)
            && let Some(stream) = self.streams.get_mut(&stream)
        {
            stream.window -= length;
        }
        if let Some(stream) = frame.ends(request).and_then(|number| self.streams.get_mut(&number)) {
            stream.answered = true;
        }
    }

    /// The streams in this range that the client has opened.
    pub(crate) fn opened(&self, range: RangeInclusive<u32>) -> Vec<u32> {
        self.streams.range(range).map(|(number, _)| *number).collect()
    }

    /// How many bytes of DATA the client takes on this stream now, in one frame.
    pub(crate) fn room(&self, stream: u32) -> usize {
        let window = self.streams.get(&stream).map_or(0, |stream| stream.window).min(self.window);
        usize::try_from(window).unwrap_or(0).min(self.frame_size)
    }

    /// How many requests there are that neither side has ended.
    pub(crate) fn open(&self) -> usize {
        self.streams.values().filter(|one| !one.answered && one.reset.is_none()).count()
    }

    /// Whether the client has sent all of this request.
    pub(crate) fn has_ended(&self, stream: u32) -> bool {
        self.streams.get(&stream).is_some_and(|stream| stream.ended)
    }

    /// With which error the client has reset this stream.
    pub(crate) fn reset(&self, stream: u32) -> Option<ErrorCode> {
        self.streams.get(&stream).and_then(|stream| stream.reset)
    }

    /// With which error the client has said that it leaves.
    pub(crate) fn goaway(&self) -> Option<ErrorCode> {
        self.goaway
    }

    fn largest_frame(&self) -> u32 {
        const MAX_FRAME_SIZE: u16 = 0x5;
        let mut settings = self.manners.settings().iter().rev();
        let found = settings.find(|(id, _)| *id == MAX_FRAME_SIZE).map(|(_, value)| *value);
        found.unwrap_or(0).max(u32::try_from(MAX_PAYLOAD).unwrap_or(u32::MAX))
    }

    fn reply(&mut self, frame: &Frame) {
        self.replies.extend(frame.bytes(0));
    }

    fn data(&mut self, number: u32, flags: u8, payload: &[u8]) -> Result<Event, Malformed> {
        let ends = flags & flag::END_STREAM != 0;
        if number > self.last {
            return Err(Malformed::Frame);
        }
        let bytes = unpad(flags, payload)?.to_vec();
        let Some(stream) = self.streams.get_mut(&number).filter(|stream| !stream.ended) else {
            return Err(Malformed::Frame);
        };
        stream.ended = ends;
        let length = u32::try_from(payload.len()).unwrap_or(u32::MAX);
        if self.manners.gives_window() && length > 0 {
            self.reply(&Frame::window_update(length).on(0));
            if !ends {
                self.reply(&Frame::window_update(length).on(number));
            }
        }
        Ok(Event::Body { stream: number, bytes, ends })
    }

    fn headers(&mut self, stream: u32, flags: u8, payload: &[u8]) -> Result<Event, Malformed> {
        const PRIORITY: usize = 5;
        let mut bytes = unpad(flags, payload)?;
        if flags & flag::PRIORITY != 0 {
            bytes = bytes.get(PRIORITY..).ok_or(Malformed::Frame)?;
        }
        let ends = flags & flag::END_STREAM != 0;
        self.block = Some(Block { stream, bytes: bytes.to_vec(), ends });
        self.end_block(flags)
    }

    fn continuation(&mut self, stream: u32, flags: u8, payload: &[u8]) -> Result<Event, Malformed> {
        let block = self.block.as_mut().filter(|block| block.stream == stream);
        let block = block.ok_or(Malformed::Frame)?;
        block.bytes.extend_from_slice(payload);
        if block.bytes.len() > MAX_HEAD {
            return Err(Malformed::TooLarge);
        }
        self.end_block(flags)
    }

    /// Takes the header block if it is complete.
    fn end_block(&mut self, flags: u8) -> Result<Event, Malformed> {
        if flags & flag::END_HEADERS == 0 {
            return Ok(Event::Nothing);
        }
        let Some(Block { stream, bytes, ends }) = self.block.take() else {
            return Err(Malformed::Frame);
        };
        let fields = self.decoder.decode(&bytes).map_err(|_| Malformed::HeaderBlock)?;
        if let Some(known) = self.streams.get_mut(&stream) {
            if known.ended || !ends {
                return Err(Malformed::Frame);
            }
            known.ended = true;
            return Ok(Event::Body { stream, bytes: Vec::new(), ends });
        }
        if stream <= self.last || stream.is_multiple_of(2) {
            return Err(Malformed::Frame);
        }
        self.last = stream;
        let window = self.initial_window;
        self.streams.insert(stream, Stream { window, ended: ends, answered: false, reset: None });
        Ok(Event::Head { stream, head: head(fields)?, ends })
    }

    fn rst_stream(&mut self, number: u32, payload: &[u8]) -> Result<Event, Malformed> {
        let code = ErrorCode(number_of(payload)?);
        let stream = self.streams.get_mut(&number).ok_or(Malformed::Frame)?;
        stream.reset.get_or_insert(code);
        Ok(Event::Reset { stream: number, code })
    }

    fn settings(&mut self, flags: u8, payload: &[u8]) -> Result<Event, Malformed> {
        if flags & flag::ACK != 0 {
            return Ok(Event::Nothing);
        }
        let (parameters, []) = payload.as_chunks::<6>() else { return Err(Malformed::Frame) };
        for [id @ .., a, b, c, d] in parameters {
            self.set(u16::from_be_bytes(*id), u32::from_be_bytes([*a, *b, *c, *d]));
        }
        if self.manners.acknowledges() {
            self.reply(&Frame::settings_ack());
        }
        Ok(Event::Nothing)
    }

    fn set(&mut self, id: u16, value: u32) {
        const INITIAL_WINDOW_SIZE: u16 = 0x4;
        const MAX_FRAME_SIZE: u16 = 0x5;
        match id {
            INITIAL_WINDOW_SIZE => {
                let change = i64::from(value) - self.initial_window;
                self.initial_window = i64::from(value);
                self.streams.values_mut().for_each(|stream| stream.window += change);
            }
            MAX_FRAME_SIZE => self.frame_size = usize::try_from(value).unwrap_or(usize::MAX),
            _ => {}
        }
    }

    fn ping(&mut self, flags: u8, payload: &[u8]) -> Result<Event, Malformed> {
        let payload: [u8; 8] = payload.try_into().map_err(|_| Malformed::Frame)?;
        if flags & flag::ACK == 0 && self.manners.acknowledges() {
            self.reply(&Frame::ping(payload).flags(flag::ACK));
        }
        Ok(Event::Nothing)
    }

    fn take_goaway(&mut self, payload: &[u8]) -> Result<Event, Malformed> {
        let code = payload.get(4..8).ok_or(Malformed::Frame)?;
        self.goaway.get_or_insert(ErrorCode(number_of(code)?));
        Ok(Event::Nothing)
    }

    fn window_update(&mut self, number: u32, payload: &[u8]) -> Result<Event, Malformed> {
        let increment = i64::from(number_of(payload)?);
        if number == 0 {
            self.window += increment;
        } else if let Some(stream) = self.streams.get_mut(&number) {
            stream.window += increment;
        }
        Ok(Event::Nothing)
    }
}

fn number_of(bytes: &[u8]) -> Result<u32, Malformed> {
    bytes.try_into().map(u32::from_be_bytes).map_err(|_| Malformed::Frame)
}

fn unpad(flags: u8, payload: &[u8]) -> Result<&[u8], Malformed> {
    if flags & flag::PADDED == 0 {
        return Ok(payload);
    }
    let (padding, rest) = payload.split_first().ok_or(Malformed::Frame)?;
    let length = rest.len().checked_sub(usize::from(*padding)).ok_or(Malformed::Frame)?;
    rest.get(..length).ok_or(Malformed::Frame)
}

/// The head of a request from its fields. CONNECT has no path: its target is what it connects to.
fn head(fields: Vec<(Vec<u8>, Vec<u8>)>) -> Result<Head, Malformed> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let find = |name: &[u8]| fields.iter().find(|(known, _)| known == name);
    let value = |name: &[u8]| find(name).map(|(_, value)| text(value));
    let method = value(b":method").ok_or(Malformed::HeaderBlock)?;
    let target = value(b":path").or_else(|| value(b":authority")).ok_or(Malformed::HeaderBlock)?;
    let headers = fields.iter().map(|(name, value)| (text(name), value.clone())).collect();
    Ok(Head { method, target, headers, framing: Framing::Length(0) })
}
