//! How far the request body has been taken.

use core::pin::Pin;
use core::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use core::task::{Context, Poll};
use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use redial_client::{Body, BodyError};
use redial_engine::Timestamp;

use crate::runtime::Runtime;

/// How far a request body has been taken. Cheap where there is none.
#[derive(Clone, Debug, Default)]
pub(crate) struct Progress(Option<Arc<Taken>>);

#[derive(Debug)]
struct Taken {
    phase: AtomicU8,
    /// When hyper last took a piece, or the source last had one.
    last: AtomicU64,
}

/// Whom the upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// The transport takes no more just now.
    Transport,
    /// The source has no more just now.
    Source,
    /// It has been taken to its end.
    Done,
}

const TRANSPORT: u8 = 0;
const SOURCE: u8 = 1;
const DONE: u8 = 2;

impl Progress {
    pub(crate) fn phase(&self) -> Phase {
        match self.0.as_ref().map_or(DONE, |taken| taken.phase.load(Ordering::Acquire)) {
            TRANSPORT => Phase::Transport,
            SOURCE => Phase::Source,
            _ => Phase::Done,
        }
    }

    pub(crate) fn is_done(&self) -> bool {
        self.phase() == Phase::Done
    }

    /// When something of the body was last taken, or awaited; the origin of time where nothing was.
    pub(crate) fn last(&self) -> Timestamp {
        self.0.as_ref().map_or(Timestamp::ORIGIN, |taken| {
            Timestamp::from_nanos(taken.last.load(Ordering::Relaxed))
        })
    }
}

/// A request body that says how far it has been taken: nothing at all where it is empty, because it
/// is moved many times on its way to hyper, and most are.
pub(crate) struct Upload<R>(Option<Box<Uploading<R>>>);

struct Uploading<R> {
    body: Body,
    taken: Arc<Taken>,
    runtime: R,
}

impl<R: Runtime> Upload<R> {
    /// A body, and how far it has been taken.
    pub(crate) fn new(body: Body, runtime: &R, progress: &mut Progress) -> Self {
        if body.is_end_stream() {
            return Self(None);
        }
        let last = AtomicU64::new(runtime.now().as_nanos());
        let taken = Arc::new(Taken { phase: AtomicU8::new(TRANSPORT), last });
        *progress = Progress(Some(Arc::clone(&taken)));
        Self(Some(Box::new(Uploading { body, taken, runtime: runtime.clone() })))
    }
}

impl<R: Runtime> Uploading<R> {
    fn note(&self, phase: u8) {
        self.taken.last.store(self.runtime.now().as_nanos(), Ordering::Relaxed);
        self.taken.phase.store(phase, Ordering::Release);
    }
}

impl<R: Runtime> http_body::Body for Upload<R> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Some(upload) = &mut self.0 else { return Poll::Ready(None) };
        let frame = Pin::new(&mut upload.body).poll_frame(context);
        match &frame {
            Poll::Ready(None) => upload.note(DONE),
            Poll::Ready(Some(_)) if upload.body.is_end_stream() => upload.note(DONE),
            Poll::Ready(Some(_)) => upload.note(TRANSPORT),
            Poll::Pending => upload.note(SOURCE),
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
