//! Bodies of requests.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};

use crate::transport::BoxError;

/// Why a request body could not be produced.
pub type BodyError = BoxError;

/// How much of a body is handed over at a time: small enough that a transport can tell a peer that
/// accepts nothing from one that is slow (R-T-3).
const PIECE: usize = 32 * 1024;

/// The body of a request.
///
/// Bytes in memory can be sent again without a copy.
#[derive(Clone, Default)]
pub struct Body {
    bytes: Bytes,
}

impl Body {
    /// No body at all.
    pub const fn empty() -> Self {
        Self { bytes: Bytes::new() }
    }

    /// The same body again, for another attempt; `None` where it can be produced only once.
    #[must_use]
    pub fn again(&self) -> Option<Self> {
        Some(self.clone())
    }
}

impl fmt::Debug for Body {
    /// Shows how long it is, and not what it says: that may be secret (R-O-3).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Body").field("bytes", &self.bytes.len()).finish()
    }
}

macro_rules! from_bytes {
    ($($bytes:ty),*) => {$(
        impl From<$bytes> for Body {
            fn from(bytes: $bytes) -> Self {
                Self { bytes: bytes.into() }
            }
        }
    )*};
}

from_bytes!(Bytes, Vec<u8>, String, &'static [u8], &'static str);

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.bytes.is_empty() {
            return Poll::Ready(None);
        }
        let length = self.bytes.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.bytes.split_to(length)))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.len() as u64)
    }
}
