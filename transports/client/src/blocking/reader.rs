//! A request body from whatever blocks while it is read.

use core::mem;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use std::io::{self, Read};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

use bytes::Bytes;
use futures_core::Stream;

use crate::body::Body;
use crate::upstreams::lock;

/// How much is read at a time.
const PIECE: usize = 32 * 1024;

impl Body {
    /// A body that is read from a reader, once: see [`Body::once`].
    ///
    /// It is read on a thread of its own, which begins when a transport first asks for the body, is
    /// one piece ahead of it, and ends when the body does or is dropped. So a reader that blocks
    /// holds up nobody else.
    pub fn from_reader(reader: impl Read + Send + 'static) -> Self {
        Self::once(Pump { reader: Some(reader), handover: Arc::default() })
    }
}

/// A reader, until its thread takes it, and where that thread puts what it reads.
struct Pump<R> {
    reader: Option<R>,
    handover: Arc<Handover>,
}

#[derive(Default)]
struct Handover {
    state: Mutex<State>,
    taken: Condvar,
}

#[derive(Default)]
struct State {
    piece: Option<io::Result<Bytes>>,
    ended: bool,
    /// Whether it was a panic that ended it, and nobody has heard of that yet.
    panicked: bool,
    /// Whether nobody wants any more.
    dropped: bool,
    waker: Option<Waker>,
}

impl<R: Read + Send + 'static> Stream for Pump<R> {
    type Item = io::Result<Bytes>;

    fn poll_next(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<io::Result<Bytes>>> {
        let this = self.get_mut();
        if let Some(reader) = this.reader.take() {
            let handover = Arc::clone(&this.handover);
            let thread = thread::Builder::new().name("redial-reader".to_owned());
            if let Err(error) = thread.spawn(move || pump(reader, &handover)) {
                return Poll::Ready(Some(Err(error)));
            }
        }
        let mut state = lock(&this.handover.state);
        match state.piece.take() {
            Some(piece) => {
                this.handover.taken.notify_one();
                Poll::Ready(Some(piece))
            }
            // Only after the last piece, which may not have been taken when the reader panicked.
            None if mem::take(&mut state.panicked) => {
                Poll::Ready(Some(Err(io::Error::other("the reader panicked"))))
            }
            None if state.ended => Poll::Ready(None),
            None => {
                state.waker = Some(context.waker().clone());
                Poll::Pending
            }
        }
    }
}

// Nothing here is pinned.
impl<R> Unpin for Pump<R> {}

impl<R> Drop for Pump<R> {
    fn drop(&mut self) {
        lock(&self.handover.state).dropped = true;
        self.handover.taken.notify_one();
    }
}

/// Reads to the end, or to the first error, or until nobody wants any more.
fn pump(mut reader: impl Read, handover: &Handover) {
    // Also where the reader panics: a stream that never ends would hold its call for ever.
    let _end = End(handover);
    let mut buffer = vec![0; PIECE];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => Ok(Bytes::copy_from_slice(buffer.get(..length).unwrap_or(&buffer))),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => Err(error),
        };
        let failed = piece.is_err();
        if !handover.put(piece) || failed {
            return;
        }
    }
}

impl Handover {
    /// Waits until the last piece was taken, and puts this one there; whether anybody wants it.
    fn put(&self, piece: io::Result<Bytes>) -> bool {
        let mut state = lock(&self.state);
        while state.piece.is_some() && !state.dropped {
            state = self.taken.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        if !state.dropped {
            state.piece = Some(piece);
        }
        let wanted = !state.dropped;
        wake(state.waker.take());
        wanted
    }
}

struct End<'a>(&'a Handover);

impl Drop for End<'_> {
    fn drop(&mut self) {
        let mut state = lock(&self.0.state);
        state.panicked = thread::panicking();
        state.ended = true;
        wake(state.waker.take());
    }
}

fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake();
    }
}
