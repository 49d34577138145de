//! The frames of HTTP/2 in what comes (RFC 9113 4.1): where they begin and end, and which of them
//! break a response off.

/// How long the head of a frame is.
const HEAD: usize = 9;

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const GOAWAY: u8 = 7;
const CONTINUATION: u8 = 9;

/// The flag by which a response ends, and the one by which its head does.
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// How long an error code is, and where it lies in a frame that goes away: behind a stream's number.
const CODE: usize = 4;
const GOAWAY_CODE: usize = 4;

/// The reason that is put in the place of `NO_ERROR` where that breaks a response off. It has no
/// name of its own.
pub(crate) const CUT_OFF: u8 = 0xff;

/// The reason that is put in the place of `CUT_OFF` where the peer itself has said that: what has no
/// name may be taken for an internal error (RFC 9113 7).
const INTERNAL_ERROR: u8 = 2;

/// How many responses are followed at most; a stream that was given up here may never end.
const FOLLOWED: usize = 1024;

/// Follows the frames in what comes.
///
/// It tells a response that comes slowly from none at all: of a frame, hyper tells only when the
/// whole of it has come. And it sees to it that hyper takes no response for whole that was broken
/// off: a stream that is reset without an error has ended to hyper, as one has whose peer wants no
/// more of the request (RFC 9113 8.1), but a response is complete with `END_STREAM` alone.
#[derive(Debug)]
pub(crate) struct Frames {
    /// How many bytes of heads a response may have: interim ones, its own, and trailers.
    most_heads: usize,
    /// Whether a response has more.
    too_much: bool,
    head: [u8; HEAD],
    /// How much of the head has come.
    known: usize,
    /// How much of the payload has come, and how much has not.
    payload: usize,
    left: usize,
    /// The first bytes of a payload that is looked into.
    start: [u8; GOAWAY_CODE + CODE],
    /// Whether the head of a response goes on in the next frame.
    goes_on: bool,
    /// Whether what is in the middle now has begun with what came last.
    fresh: bool,
    /// Whether a head has begun since that was last asked.
    heads: bool,
    /// Whether a response has ended since that was last asked.
    ends: bool,
    open: Open,
}

/// The streams whose response has begun, and not ended, in their order, and how many bytes of heads
/// each has had. They are few, and come and go with every response.
#[derive(Debug, Default)]
struct Open(Vec<(u32, usize)>);

impl Frames {
    /// Nothing has come yet, and a response may have so many bytes of heads.
    pub(crate) const fn new(most_heads: usize) -> Self {
        Self {
            most_heads,
            too_much: false,
            head: [0; HEAD],
            known: 0,
            payload: 0,
            left: 0,
            start: [0; GOAWAY_CODE + CODE],
            goes_on: false,
            fresh: false,
            heads: false,
            ends: false,
            open: Open(Vec::new()),
        }
    }

    /// Takes what has come next, and changes the reason by which a response is broken off. Answers
    /// whether a response stops in the middle of a frame, or of its head; or may do so, where the
    /// kind of the frame has not come yet.
    pub(crate) fn take(&mut self, mut bytes: &mut [u8]) -> bool {
        self.fresh = false;
        while !bytes.is_empty() {
            bytes = if self.known < HEAD {
                self.take_head(bytes)
            } else if self.is_looked_into() {
                self.look_into(bytes)
            } else {
                let some = bytes.len().min(self.left);
                self.left -= some;
                bytes.get_mut(some..).unwrap_or_default()
            };
            if self.known == HEAD && self.left == 0 {
                self.end();
            }
        }
        self.goes_on || self.known > 0 && (self.known < HEAD || self.is_of_a_response())
    }

    /// Whether what stops in the middle has begun with what came last.
    pub(crate) const fn is_fresh(&self) -> bool {
        self.fresh
    }

    /// Whether the head of a response, or an interim one, has begun since this was last asked.
    pub(crate) const fn had_heads(&mut self) -> bool {
        core::mem::replace(&mut self.heads, false)
    }

    /// Whether a response has ended since this was last asked.
    pub(crate) const fn had_ends(&mut self) -> bool {
        core::mem::replace(&mut self.ends, false)
    }

    /// Whether a response has had more heads than it may: hyper passes interim ones over, however many
    /// there are (R-X-2).
    pub(crate) const fn has_too_much(&self) -> bool {
        self.too_much
    }

    /// Takes what there is of the head of a frame, and hands back what follows.
    fn take_head<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let missing = self.head.get_mut(self.known..).unwrap_or_default();
        let (some, rest) = bytes.split_at_mut(missing.len().min(bytes.len()));
        missing.iter_mut().zip(&*some).for_each(|(place, byte)| *place = *byte);
        self.fresh |= self.known == 0 && !self.goes_on;
        self.known += some.len();
        if self.known == HEAD {
            self.begin();
        }
        rest
    }

    const fn kind(&self) -> u8 {
        let [_, _, _, kind, ..] = self.head;
        kind
    }

    fn has(&self, flag: u8) -> bool {
        let [_, _, _, _, flags, ..] = self.head;
        flags & flag != 0
    }

    fn stream(&self) -> u32 {
        let [.., a, b, c, d] = self.head;
        number([a, b, c, d])
    }

    fn is_of_a_response(&self) -> bool {
        matches!(self.kind(), DATA | HEADERS | CONTINUATION)
    }

    /// The head of a frame has come.
    fn begin(&mut self) {
        let [high, middle, low, ..] = self.head;
        self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
        self.payload = 0;
        match self.kind() {
            DATA | HEADERS if self.has(END_STREAM) => {
                self.ends = true;
                self.open.remove(self.stream());
            }
            HEADERS => {
                self.heads = true;
                self.open.insert(self.stream());
                self.count_heads();
            }
            CONTINUATION => self.count_heads(),
            _ => {}
        }
    }

    fn count_heads(&mut self) {
        let heads = self.open.heads(self.stream(), HEAD.saturating_add(self.left));
        self.too_much |= heads > self.most_heads;
    }

    /// Where the code of an error ends, in a frame that has one.
    const fn code_ends(&self) -> usize {
        match self.kind() {
            RST_STREAM => CODE,
            GOAWAY => GOAWAY_CODE + CODE,
            _ => 0,
        }
    }

    const fn is_looked_into(&self) -> bool {
        self.payload < self.code_ends() && self.left > 0
    }

    /// Takes the next byte of a payload, which becomes what hyper is to have, and hands back what
    /// follows.
    fn look_into<'a>(&mut self, bytes: &'a mut [u8]) -> &'a mut [u8] {
        let Some((byte, rest)) = bytes.split_first_mut() else { return Default::default() };
        if let Some(place) = self.start.get_mut(self.payload) {
            *place = *byte;
        }
        (self.payload, self.left) = (self.payload + 1, self.left - 1);
        if self.payload == self.code_ends() {
            *byte = match self.breaks_off() {
                (true, [0, 0, 0, 0]) => CUT_OFF,
                (_, [0, 0, 0, CUT_OFF]) => INTERNAL_ERROR,
                (_, [.., last]) => last,
            };
        }
        rest
    }

    /// Whether this frame breaks a response off, and the error that it names.
    fn breaks_off(&mut self) -> (bool, [u8; CODE]) {
        let [a, b, c, d, code @ ..] = self.start;
        if self.kind() == RST_STREAM {
            return (self.open.remove(self.stream()), [a, b, c, d]);
        }
        (self.open.remove_beyond(number([a, b, c, d])), code)
    }

    fn end(&mut self) {
        let heads = matches!(self.kind(), HEADERS | CONTINUATION);
        self.goes_on = heads && !self.has(END_HEADERS);
        self.known = 0;
    }
}

impl Open {
    fn insert(&mut self, stream: u32) {
        if let Err(place) = self.find(stream) {
            self.0.insert(place, (stream, 0));
        }
        if self.0.len() > FOLLOWED {
            self.0.remove(0);
        }
    }

    /// How many bytes of heads a response has had with these, if it is followed.
    fn heads(&mut self, stream: u32, more: usize) -> usize {
        let place = self.find(stream).ok();
        place.and_then(|place| self.0.get_mut(place)).map_or(0, |(_, heads)| {
            *heads = heads.saturating_add(more);
            *heads
        })
    }

    /// Whether it was there.
    fn remove(&mut self, stream: u32) -> bool {
        self.find(stream).map(|place| self.0.remove(place)).is_ok()
    }

    fn find(&self, stream: u32) -> Result<usize, usize> {
        self.0.binary_search_by_key(&stream, |(open, _)| *open)
    }

    /// Removes all with a greater number than this. Whether there were any.
    fn remove_beyond(&mut self, last: u32) -> bool {
        let before = self.0.len();
        self.0.retain(|(stream, _)| *stream <= last);
        self.0.len() < before
    }
}

/// The number of a stream, whose first bit means nothing.
const fn number(bytes: [u8; 4]) -> u32 {
    u32::from_be_bytes(bytes) & !(1 << 31)
}

#[cfg(test)]
mod tests {
    use super::{CUT_OFF, Frames};

    fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
        let length = u8::try_from(payload.len()).unwrap();
        [&[0, 0, length, kind, flags, 0, 0, 0, stream], payload].concat()
    }

    fn head(stream: u8) -> Vec<u8> {
        frame(1, 4, stream, &[0x88])
    }

    fn reset(stream: u8, code: u8) -> Vec<u8> {
        frame(3, 0, stream, &[0, 0, 0, code])
    }

    fn goaway(last: u8, code: u8) -> Vec<u8> {
        frame(7, 0, 0, &[0x80, 0, 0, last, 0, 0, 0, code, b'b', b'y', b'e'])
    }

    /// R-X-4: only what breaks a response off without an error is changed, and what would be taken for
    /// that, however it comes.
    #[test]
    fn what_breaks_a_response_off_says_so() {
        let end = |stream| frame(0, 1, stream, b"end");
        let some = |stream| frame(0, 0, stream, b"some");
        let cases = [
            ("nothing of it had come", vec![reset(1, 0)], vec![reset(1, 0)]),
            ("its head had", vec![head(1), reset(1, 0)], vec![head(1), reset(1, CUT_OFF)]),
            ("it names an error", vec![head(1), reset(1, 8)], vec![head(1), reset(1, 8)]),
            (
                "it had ended",
                vec![head(1), some(1), end(1), reset(1, 0)],
                vec![head(1), some(1), end(1), reset(1, 0)],
            ),
            (
                "it ended with its head",
                vec![frame(1, 5, 1, &[0x88]), reset(1, 0)],
                vec![frame(1, 5, 1, &[0x88]), reset(1, 0)],
            ),
            (
                "another one had ended",
                vec![head(1), head(3), end(3), reset(3, 0), reset(1, 0)],
                vec![head(1), head(3), end(3), reset(3, 0), reset(1, CUT_OFF)],
            ),
            ("it is disowned", vec![head(3), goaway(1, 0)], vec![head(3), goaway(1, CUT_OFF)]),
            ("it may go on", vec![head(3), goaway(3, 0)], vec![head(3), goaway(3, 0)]),
            ("an error disowns it", vec![head(3), goaway(1, 2)], vec![head(3), goaway(1, 2)]),
            (
                "the peer names what is put there itself",
                vec![head(1), reset(1, CUT_OFF), reset(3, CUT_OFF)],
                vec![head(1), reset(1, 2), reset(3, 2)],
            ),
            ("and as it goes", vec![head(3), goaway(1, CUT_OFF)], vec![head(3), goaway(1, 2)]),
        ];
        for (what, comes, expected) in cases {
            let comes = comes.concat();
            for piece in 1..=comes.len() {
                let mut frames = Frames::new(usize::MAX);
                let mut taken = comes.clone();
                taken.chunks_mut(piece).for_each(|some| {
                    frames.take(some);
                });
                assert_eq!(taken, expected.concat(), "{what}, in pieces of {piece}");
            }
        }
    }

    /// R-T-2: what stops in the middle is told from what stops at an end.
    #[test]
    fn the_middle_of_a_frame_is_known() {
        let whole = [head(1), frame(0, 0, 1, b"some"), frame(6, 0, 0, &[0; 8])].concat();
        let ends = [0, head(1).len(), head(1).len() + 13, whole.len()];
        for length in 0..whole.len() {
            let mut frames = Frames::new(usize::MAX);
            let within = frames.take(&mut whole[..length].to_vec());
            // Of a ping nothing is told once its kind is known.
            let ping = length >= ends[2] + 9;
            assert_eq!(within, !ends.contains(&length) && !ping, "{length}");
        }
    }

    /// R-X-2: of one response and of all its heads, in frames that go on in others too.
    #[test]
    fn too_many_heads_are_known() {
        let interim = frame(1, 0, 1, &[0; 41]);
        let more = frame(9, 4, 1, &[0; 41]);
        let two = [interim.clone(), more.clone()].concat();
        for (what, comes, too_much) in [
            ("as many as there may be", [two.clone(), head(3), head(5)].concat(), false),
            ("one more", [two.clone(), head(1)].concat(), true),
            ("of one that has begun again", [two, frame(0, 1, 1, b""), head(1)].concat(), false),
            ("without an end", [interim, more.clone(), more].concat(), true),
        ] {
            let mut frames = Frames::new(100);
            comes.clone().chunks_mut(7).for_each(|some| {
                frames.take(some);
            });
            assert_eq!(frames.has_too_much(), too_much, "{what}");
        }
    }
}
