//! One HTTP/2 connection of the server's, with all its streams.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures_util::{AsyncReadExt as _, AsyncWriteExt as _};
use loona_hpack::{Decoder, Encoder};
use redial_client::{Clock as _, race};
use redial_engine::Timestamp;

use super::Origin;
use super::frames::{Frame, PREFACE, error, flag, frame, go_away, kind, number, setting, settings};
use super::plain::in_plain_letters;
use crate::net::Socket;
use crate::referee::{Invariant, Marks, SEND};
use crate::run::call::response_body;
use crate::run::world::NOBODY;
use crate::scenario::{Fault, Hint, millis};

/// Serves a connection to its end, and closes it.
pub(super) async fn serve(origin: Arc<Origin>, socket: Socket) {
    let mut connection = Connection::new(origin, socket);
    let end = match connection.serve().await {
        Err(end) => end,
        Ok(never) => match never {},
    };
    match end {
        // Whatever has come meanwhile and was not read: that is no reset.
        End::Closed => connection.socket.close_in_order(),
        End::Broken => connection.socket.reset(),
    }
}

/// How a connection comes to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// It is closed, by whichever side.
    Closed,
    /// The server breaks it.
    Broken,
}

type Going = Result<(), End>;

struct Connection {
    origin: Arc<Origin>,
    socket: Socket,
    buffer: Vec<u8>,
    decoder: Decoder<'static>,
    encoder: Encoder<'static>,
    /// Those that have not come to their end.
    streams: BTreeMap<u32, Stream>,
    /// What is to be done later.
    later: VecDeque<(Timestamp, Later)>,
    /// The most streams at a time: what was said and not confirmed, and what holds.
    announced: VecDeque<usize>,
    limit: usize,
    /// The last stream that is looked at.
    last: u32,
}

/// A request on its way.
struct Stream {
    call: u32,
    send: u32,
    body: Vec<u8>,
    fault: Option<Fault>,
}

/// What is done later.
#[derive(Clone, Copy)]
enum Later {
    Answer(u32),
    Close,
}

impl Connection {
    fn new(origin: Arc<Origin>, socket: Socket) -> Self {
        Self {
            origin,
            socket,
            buffer: Vec::new(),
            decoder: Decoder::new(),
            encoder: Encoder::new(),
            streams: BTreeMap::new(),
            later: VecDeque::new(),
            announced: VecDeque::new(),
            limit: usize::MAX,
            last: u32::MAX,
        }
    }

    async fn serve(&mut self) -> Result<core::convert::Infallible, End> {
        while self.buffer.len() < PREFACE.len() {
            self.receive().await?;
        }
        let rest = self.buffer.split_off(PREFACE.len());
        if core::mem::replace(&mut self.buffer, rest) != PREFACE {
            return Err(End::Closed);
        }
        let seed = self.origin.world.scenario().seed.0;
        let streams = self.origin.streams();
        let window = if seed & 16 == 0 { 65_535 } else { 1_024 };
        self.announced.push_back(streams as usize);
        let most = (setting::MAX_CONCURRENT_STREAMS, streams);
        self.send(&settings(&[most, (setting::INITIAL_WINDOW_SIZE, window)])).await?;
        loop {
            while let Some(frame) = Frame::take(&mut self.buffer) {
                self.take(frame).await?;
            }
            if self.last < u32::MAX && self.streams.is_empty() {
                // Nothing is left to do for one that goes away.
                return Err(End::Closed);
            }
            self.receive().await?;
        }
    }

    /// Waits for something to come, and does meanwhile what is to be done later.
    async fn receive(&mut self) -> Going {
        let mut piece = [0; 4096];
        let due = self.later.iter().map(|(at, _)| *at).min().unwrap_or(Timestamp::MAX);
        let alarm = self.origin.world.time().sleep_until(due);
        match race(self.socket.read(&mut piece), alarm).await {
            Some(Ok(count)) => {
                let piece = piece.get(..count).filter(|piece| !piece.is_empty());
                self.buffer.extend_from_slice(piece.ok_or(End::Closed)?);
                Ok(())
            }
            Some(Err(_)) => Err(End::Closed),
            None => self.do_what_is_due().await,
        }
    }

    async fn do_what_is_due(&mut self) -> Going {
        let now = self.origin.world.now();
        while let Some(index) = self.later.iter().position(|(at, _)| *at <= now) {
            match self.later.remove(index) {
                Some((_, Later::Answer(stream))) => {
                    self.respond(stream, 200, Hint::Nothing).await?
                }
                Some((_, Later::Close)) => return Err(End::Closed),
                None => {}
            }
        }
        Ok(())
    }

    async fn send(&mut self, bytes: &[u8]) -> Going {
        self.socket.write_all(bytes).await.map_err(|_| End::Closed)
    }

    async fn take(&mut self, came: Frame) -> Going {
        match came.kind {
            kind::HEADERS => self.take_head(&came).await,
            kind::DATA => self.take_data(came).await,
            kind::RST_STREAM => {
                self.streams.remove(&came.stream);
                Ok(())
            }
            kind::SETTINGS if came.has(flag::ACK) => {
                self.limit = self.announced.pop_front().unwrap_or(self.limit);
                Ok(())
            }
            kind::SETTINGS => self.send(&frame(kind::SETTINGS, flag::ACK, 0, &[])).await,
            kind::PING if !came.has(flag::ACK) => {
                let answer = frame(kind::PING, flag::ACK, 0, &came.payload);
                self.send(&answer).await
            }
            // What else there is needs no answer.
            _ => Ok(()),
        }
    }

    async fn take_head(&mut self, frame: &Frame) -> Going {
        if frame.has(flag::PADDED | flag::PRIORITY) || !frame.has(flag::END_HEADERS) {
            return Err(End::Broken);
        }
        let block = in_plain_letters(&frame.payload).ok_or(End::Broken)?;
        let fields = self.decoder.decode(&block).map_err(|_| End::Broken)?;
        if frame.stream > self.last {
            return Ok(());
        }
        let (call, send, marks) = read(&fields);
        if self.streams.len() >= self.limit {
            let what =
                format!("{} streams, of which {} may be", self.streams.len() + 1, self.limit);
            self.origin.world.violated(Invariant::Pool, what);
        }
        let fault = self.origin.comes(call, send, &marks);
        self.streams.insert(frame.stream, Stream { call, send, body: Vec::new(), fault });
        self.origin.are_together(self.streams.len());
        match fault {
            Some(Fault::LostClosed) => return Err(End::Closed),
            Some(Fault::LostReset) => return Err(End::Broken),
            Some(Fault::GoAway) => return self.go_away(frame.stream, error::NO_ERROR).await,
            Some(Fault::GoAwayError) => {
                return self.go_away(frame.stream, error::INTERNAL_ERROR).await;
            }
            Some(Fault::RefusedStream) => {
                return self.reset(frame.stream, error::REFUSED_STREAM).await;
            }
            _ => {}
        }
        if frame.has(flag::END_STREAM) { self.complete(frame.stream).await } else { Ok(()) }
    }

    /// Looks at no stream from this one on.
    async fn go_away(&mut self, stream: u32, error: u32) -> Going {
        self.streams.remove(&stream);
        // Clients number their streams by odd numbers.
        self.last = self.last.min(stream.saturating_sub(2));
        self.send(&go_away(self.last, error)).await
    }

    async fn reset(&mut self, stream: u32, error: u32) -> Going {
        self.streams.remove(&stream);
        self.send(&number(kind::RST_STREAM, stream, error)).await
    }

    async fn take_data(&mut self, frame: Frame) -> Going {
        let length = u32::try_from(frame.payload.len()).unwrap_or(u32::MAX);
        let ends = frame.has(flag::END_STREAM);
        let mut opened = Vec::new();
        if length > 0 {
            opened.extend(number(kind::WINDOW_UPDATE, 0, length));
        }
        if let Some(stream) = self.streams.get_mut(&frame.stream) {
            stream.body.extend_from_slice(&frame.payload);
            // What is not read opens no window.
            if length > 0 && !ends && stream.fault != Some(Fault::Unread) {
                opened.extend(number(kind::WINDOW_UPDATE, frame.stream, length));
            }
        }
        self.send(&opened).await?;
        if ends { self.complete(frame.stream).await } else { Ok(()) }
    }

    /// A request has come as a whole: carries it out where it is, and answers.
    async fn complete(&mut self, id: u32) -> Going {
        let Some(stream) = self.streams.get(&id) else { return Ok(()) };
        let (call, fault) = (stream.call, stream.fault);
        if fault.is_none_or(|fault| fault.is_of_the_connection() || fault.processed()) {
            self.origin.carry_out(call, stream.send, &stream.body);
        }
        match fault {
            // Where nothing goes wrong any more, requests are seen to be there together.
            None if call == NOBODY => {
                self.answer_after(id, self.origin.world.scenario().latency);
                Ok(())
            }
            Some(Fault::Status { code, .. } | Fault::Hinted { code, .. }) => {
                self.respond(id, code, fault.map_or(Hint::Nothing, Fault::hint)).await
            }
            Some(Fault::Slow { millis: more }) => {
                self.answer_after(id, more);
                Ok(())
            }
            Some(Fault::Stale) => {
                let latency = self.origin.world.scenario().latency;
                self.later.push_back((self.after(latency), Later::Close));
                self.respond(id, 200, Hint::Nothing).await
            }
            Some(Fault::FewerStreams) => {
                self.respond(id, 200, Hint::Nothing).await?;
                self.announced.push_back(1);
                self.send(&settings(&[(setting::MAX_CONCURRENT_STREAMS, 1)])).await
            }
            Some(Fault::DoneClosed | Fault::HeadCut | Fault::InterimClosed) => Err(End::Closed),
            Some(Fault::DoneReset | Fault::HeadReset) => Err(End::Broken),
            Some(Fault::LostSilence | Fault::DoneSilence | Fault::Unread) => Ok(()),
            // DATA that belongs to no stream is a connection error (RFC 9113 6.1).
            Some(Fault::Garbage) => self.send(&frame(kind::DATA, 0, 0, b"garbage")).await,
            Some(Fault::StreamReset) => self.reset(id, error::INTERNAL_ERROR).await,
            Some(Fault::BodyCut) => self.half(id, call).await.and(Err(End::Closed)),
            Some(Fault::BodyReset) => self.half(id, call).await.and(Err(End::Broken)),
            Some(Fault::BodySilence) => self.half(id, call).await,
            Some(Fault::BodyStreamReset) => {
                self.half(id, call).await?;
                self.reset(id, error::INTERNAL_ERROR).await
            }
            // What strikes connections only has spared this one.
            _ => self.respond(id, 200, Hint::Nothing).await,
        }
    }

    fn after(&self, length: u32) -> Timestamp {
        self.origin.world.now().saturating_add(millis(length))
    }

    fn answer_after(&mut self, id: u32, length: u32) {
        self.later.push_back((self.after(length), Later::Answer(id)));
    }

    /// The head of a response, and all of its body.
    async fn respond(&mut self, id: u32, status: u16, hint: Hint) -> Going {
        let Some(stream) = self.streams.remove(&id) else { return Ok(()) };
        let mut bytes = self.head(id, status, hint);
        let body = response_body(stream.call);
        bytes.extend(frame(kind::DATA, flag::END_STREAM, id, &body));
        self.send(&bytes).await
    }

    /// The head of a response, and half of its body.
    async fn half(&mut self, id: u32, call: u32) -> Going {
        let mut bytes = self.head(id, 200, Hint::Nothing);
        let body = response_body(call);
        bytes.extend(frame(kind::DATA, 0, id, body.get(..body.len() / 2).unwrap_or_default()));
        self.send(&bytes).await
    }

    fn head(&mut self, id: u32, status: u16, hint: Hint) -> Vec<u8> {
        let status = status.to_string();
        let headers = hint.headers(self.origin.world.time().wall());
        let fields = headers.iter().map(|(name, value)| (name.as_bytes(), value.as_bytes()));
        let fields = [(b":status".as_slice(), status.as_bytes())].into_iter().chain(fields);
        frame(kind::HEADERS, flag::END_HEADERS, id, &self.encoder.encode(fields))
    }
}

/// Which send of which call these fields are of, and what else they say.
fn read(fields: &[(Vec<u8>, Vec<u8>)]) -> (u32, u32, Marks) {
    let (mut call, mut send, mut marks) = (NOBODY, 0, Marks::default());
    for (name, value) in fields {
        let (name, text) = (String::from_utf8_lossy(name), String::from_utf8_lossy(value));
        if name == ":path" {
            call = text.trim_start_matches('/').parse().unwrap_or(NOBODY);
        } else if name == SEND {
            send = text.parse().unwrap_or(0);
        }
        marks.see(&name, value);
    }
    (call, send, marks)
}
