//! Reading the body of a response into memory, or leaving that to the caller.

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use redial_engine::{Delivery, Failure, FailureKind};

use crate::transport::{ResponseBody, TransportError};

/// What is done with the body of a response that is not retried.
#[derive(Clone, Copy)]
pub(crate) enum Reading {
    /// It is part of the attempt, and of at most so many bytes (R-D-8, R-C-4).
    Whole(u64),
    /// It is the caller's to read.
    Live,
}

impl Reading {
    /// Does that with a body; fails where it is to be read, and cannot be.
    pub(crate) async fn read(self, body: ResponseBody) -> Result<Content, TransportError> {
        let Self::Whole(limit) = self else { return Ok(Content::Live(body)) };
        match read_all(body, limit).await {
            Ok(bytes) => Ok(Content::Read(Read { bytes, complete: true })),
            Err(_) if redial_engine::planted!(TruncatedAccepted) => {
                Ok(Content::Read(Read { bytes: Bytes::new(), complete: true }))
            }
            Err(error) => Err(error),
        }
    }
}

/// The body of a response, as far as it was read.
pub(crate) enum Content {
    Read(Read),
    Live(ResponseBody),
}

/// What was read of a body, and whether that is all.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) bytes: Bytes,
    pub(crate) complete: bool,
}

impl Read {
    /// All of a body that is empty.
    pub(crate) const NOTHING: Self = Self { bytes: Bytes::new(), complete: true };
}

/// Reads a whole body, of at most so many bytes.
pub(crate) async fn read_all(mut body: ResponseBody, limit: u64) -> Result<Bytes, TransportError> {
    let Some(first) = next(&mut body).await? else { return Ok(Bytes::new()) };
    if http_body::Body::is_end_stream(&body) && first.len() as u64 <= limit {
        // Most bodies come in one piece, and need no copy.
        return Ok(first);
    }
    let mut bytes = BytesMut::with_capacity(capacity(&body, &first, limit));
    append(&mut bytes, &first, limit)?;
    read_into(&mut bytes, body, limit).await?;
    Ok(bytes.freeze())
}

/// Reads what there is of a body, and says whether that is all.
pub(crate) async fn read_some(body: ResponseBody, limit: u64) -> Read {
    let mut bytes = BytesMut::new();
    let complete = read_into(&mut bytes, body, limit).await.is_ok();
    Read { bytes: bytes.freeze(), complete }
}

/// Reads a body, and fails where it fails or is longer than the limit. What fits is kept.
pub(crate) async fn read_into(
    bytes: &mut BytesMut,
    mut body: ResponseBody,
    limit: u64,
) -> Result<(), TransportError> {
    while let Some(data) = next(&mut body).await? {
        append(bytes, &data, limit)?;
    }
    Ok(())
}

/// The next piece of a body; its trailers are passed over.
pub(crate) async fn next(body: &mut ResponseBody) -> Result<Option<Bytes>, TransportError> {
    while let Some(frame) = body.frame().await {
        if let Ok(data) = frame?.into_data() {
            return Ok(Some(data));
        }
    }
    Ok(None)
}

/// Keeps what fits below the limit.
pub(crate) fn append(bytes: &mut BytesMut, data: &Bytes, limit: u64) -> Result<(), TransportError> {
    let room = limit.saturating_sub(bytes.len() as u64);
    let fitting = data.len().min(usize::try_from(room).unwrap_or(usize::MAX));
    bytes.extend_from_slice(data.get(..fitting).unwrap_or(data));
    if fitting < data.len() {
        let failure = Failure::new(FailureKind::ResponseTooLarge, Delivery::Answered);
        return Err(TransportError::new(failure));
    }
    Ok(())
}

/// Room for what is announced, within reason: a server may announce what it never sends.
fn capacity(body: &ResponseBody, first: &Bytes, limit: u64) -> usize {
    const REASON: u64 = 1024 * 1024;
    let announced = http_body::Body::size_hint(body).lower().min(limit).min(REASON);
    first.len().saturating_add(usize::try_from(announced).unwrap_or(0))
}
