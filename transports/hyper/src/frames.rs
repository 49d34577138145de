//! Where the frames of HTTP/2 begin and end in what comes (RFC 9113 4.1).

/// How long the head of a frame is.
const HEAD: usize = 9;

/// The frames that responses are made of, and the flag by which a head ends.
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const CONTINUATION: u8 = 9;
const END_HEADERS: u8 = 4;

/// Follows the frames in what comes, to tell a response that comes slowly from none at all: of a
/// frame, hyper tells only when the whole of it has come.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    head: [u8; HEAD],
    /// How much of the head has come.
    known: usize,
    /// How much of the payload has not.
    left: usize,
    /// Whether the head of a response goes on in the next frame.
    goes_on: bool,
}

impl Frames {
    /// Takes what has come next. Answers whether a response stops in the middle of a frame, or of its
    /// head; or may do so, where the kind of the frame has not come yet.
    pub(crate) fn take(&mut self, mut bytes: &[u8]) -> bool {
        while let Some((first, rest)) = bytes.split_first() {
            if let Some(place) = self.head.get_mut(self.known) {
                *place = *first;
                (self.known, bytes) = (self.known + 1, rest);
                let [high, middle, low, ..] = self.head;
                self.left = u32::from_be_bytes([0, high, middle, low]) as usize;
            } else {
                let some = bytes.len().min(self.left);
                bytes = bytes.get(some..).unwrap_or_default();
                self.left -= some;
            }
            if self.known == HEAD && self.left == 0 {
                self.end();
            }
        }
        self.goes_on || self.known > 0 && (self.known < HEAD || self.is_of_a_response())
    }

    fn is_of_a_response(&self) -> bool {
        let [_, _, _, kind, ..] = self.head;
        matches!(kind, DATA | HEADERS | CONTINUATION)
    }

    fn end(&mut self) {
        let [_, _, _, kind, flags, ..] = self.head;
        self.goes_on = matches!(kind, HEADERS | CONTINUATION) && flags & END_HEADERS == 0;
        self.known = 0;
    }
}
