//! How far the request body has been taken, and sent.

use core::pin::Pin;
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Buf, Bytes};
use http_body::{Body as _, Frame, SizeHint};
use redial_client::{Body, BodyError};
use redial_engine::Timestamp;

use crate::runtime::Runtime;

/// How far a request body has been taken, and sent. Cheap where there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Option<Arc<Taken>>);

#[derive(Debug)]
struct Taken {
    phase: AtomicU8,
    /// When hyper last took a piece, or sent some of one, or the source last had one.
    last: AtomicU64,
    /// How many bytes hyper has taken but not sent, as far as pieces say so.
    held: AtomicUsize,
}

/// Whom the upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The transport takes no more just now.
    Transport,
    /// The source has no more just now.
    Source,
    /// It has been taken to its end, and nothing of it is held back.
    Done,
}

const TRANSPORT: u8 = 0;
const SOURCE: u8 = 1;
const DONE: u8 = 2;

impl Progress {
    pub(crate) fn phase(&self) -> Phase {
        let Some(taken) = &self.0 else { return Phase::Done };
        match taken.phase.load(Ordering::Acquire) {
            _ if taken.held.load(Ordering::Acquire) > 0 => Phase::Transport,
            TRANSPORT => Phase::Transport,
            SOURCE => Phase::Source,
            _ => Phase::Done,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.phase() == Phase::Done
    }

    /// When something of the body was last taken, sent or awaited; the origin of time where nothing
    /// was.
    pub(crate) fn last(&self) -> Timestamp {
        self.0.as_ref().map_or(Timestamp::ORIGIN, |taken| {
            Timestamp::from_nanos(taken.last.load(Ordering::Relaxed))
        })
    }
}

/// The request bodies of a shared connection that are still being sent although their responses are
/// over.
///
/// Until the peer has taken all of one, which may be never, its stream counts against what the peer
/// permits, and the next request might wait for it in vain.
#[derive(Debug, Default)]
pub(crate) struct Outliving {
    /// Whether there may be any; mostly there are none, and nobody has to look.
    any: AtomicBool,
    uploads: Mutex<Vec<Progress>>,
}

impl Outliving {
    pub(crate) fn leave(&self, upload: Progress) {
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.push(upload);
        self.any.store(true, Ordering::Release);
    }

    pub(crate) fn are_left(&self) -> bool {
        if !self.any.load(Ordering::Acquire) {
            return false;
        }
        let mut uploads = self.uploads.lock().unwrap_or_else(PoisonError::into_inner);
        uploads.retain(|upload| !upload.is_done());
        self.any.store(!uploads.is_empty(), Ordering::Release);
        !uploads.is_empty()
    }
}

/// A request body that says how far it has been taken: nothing at all where it is empty, because it
/// is moved many times on its way to hyper, and most are.
pub(crate) struct Upload<R: Runtime>(Option<Box<Uploading<R>>>);

struct Uploading<R: Runtime> {
    body: Body,
    note: Note<R>,
    /// Whether the connection is shared: hyper holds pieces back then, for the window of the stream.
    shared: bool,
}

/// Where it is noted how far a body has come.
#[derive(Clone)]
struct Note<R> {
    taken: Arc<Taken>,
    runtime: R,
}

impl<R: Runtime> Upload<R> {
    /// A body, and how far it has come; `shared` is whether other streams share the connection.
    pub(crate) fn new(body: Body, runtime: &R, shared: bool, progress: &mut Progress) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        let last = AtomicU64::new(runtime.now().as_nanos());
        let held = AtomicUsize::new(0);
        let taken = Arc::new(Taken { phase: AtomicU8::new(TRANSPORT), last, held });
        *progress = Progress(Some(Arc::clone(&taken)));
        let note = Note { taken, runtime: runtime.clone() };
        Self(Some(Box::new(Uploading { body, note, shared })))
    }
}

impl<R: Runtime> Uploading<R> {
    /// Something of the body that hyper takes.
    fn hand_over(&self, frame: Frame<Bytes>) -> Frame<Piece<R>> {
        frame.map_data(|bytes| {
            let note = self.shared.then(|| self.note.clone());
            if let Some(note) = &note {
                note.taken.held.fetch_add(bytes.len(), Ordering::AcqRel);
            }
            Piece { bytes, note }
        })
    }
}

impl<R: Runtime> Drop for Uploading<R> {
    fn drop(&mut self) {
        // Nothing more of it will be sent, such as where the server has reset its stream. Over HTTP/1.1
        // that leaves the connection out of step.
        if self.shared {
            self.note.taken.phase.store(DONE, Ordering::Release);
        }
    }
}

impl<R: Runtime> Note<R> {
    fn phase(&self, phase: u8) {
        self.moved();
        self.taken.phase.store(phase, Ordering::Release);
    }

    fn moved(&self) {
        self.taken.last.store(self.runtime.now().as_nanos(), Ordering::Relaxed);
    }
}

/// Bytes of a request body that hyper has, which note when they are sent.
///
/// A body that has been taken has not been sent: over HTTP/2, hyper takes a piece before the window
/// of its stream is open, and a small body is one piece (R-T-3).
pub(crate) struct Piece<R: Runtime> {
    bytes: Bytes,
    note: Option<Note<R>>,
}

impl<R: Runtime> Buf for Piece<R> {
    fn remaining(&self) -> usize {
        self.bytes.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.bytes.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.bytes.advance(count);
        if let Some(note) = &self.note {
            note.moved();
            note.taken.held.fetch_sub(count, Ordering::AcqRel);
        }
    }
}

impl<R: Runtime> Drop for Piece<R> {
    fn drop(&mut self) {
        // What is not to be sent any more is held no longer.
        if let Some(note) = &self.note {
            note.taken.held.fetch_sub(self.bytes.len(), Ordering::AcqRel);
        }
    }
}

impl<R: Runtime> http_body::Body for Upload<R> {
    type Data = Piece<R>;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Piece<R>>, BodyError>>> {
        let Some(upload) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(&mut upload.body).poll_frame(context);
        // Held before it is said to be taken, so that nobody sees a body that is neither.
        let frame = frame.map_ok(|frame| upload.hand_over(frame));
        match &frame {
            Poll::Ready(None) => upload.note.phase(DONE),
            Poll::Ready(Some(_)) if upload.body.is_end_stream() => upload.note.phase(DONE),
            Poll::Ready(Some(_)) => upload.note.phase(TRANSPORT),
            Poll::Pending => upload.note.phase(SOURCE),
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.0.as_ref().is_none_or(|upload| upload.body.is_end_stream())
    }

    fn size_hint(&self) -> SizeHint {
        self.0.as_ref().map_or_else(|| SizeHint::with_exact(0), |upload| upload.body.size_hint())
    }
}
