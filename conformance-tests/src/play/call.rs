//! A call of a scenario, as a request of a client.

use core::time::Duration;
use std::sync::Arc;

use bytes::Bytes;
use core::convert::Infallible;
use futures_util::stream::{self, Stream};
use redial_client::{Body, Client, RequestBuilder, blocking};

use super::{Place, Time};
use crate::{Call, Payload, Url};

/// The text of a URL.
fn text(url: &Url, places: &[Place]) -> String {
    match url {
        Url::Of(origin, path) => {
            let base = places.get(*origin).map_or("http://nowhere.invalid", |place| &place.url);
            format!("{base}{path}")
        }
        Url::Text(text) => places.iter().enumerate().fold(text.clone(), |text, (index, place)| {
            let authority = place.url.split_once("://").map_or("", |(_, authority)| authority);
            text.replace(&format!("{{{index}}}"), authority)
        }),
    }
}

fn body(payload: &Payload, time: &Arc<dyn Time>) -> Option<Body> {
    match payload {
        Payload::None => None,
        Payload::Bytes(bytes) => Some(Body::from(bytes.clone())),
        Payload::Replayable { pieces, gap } => {
            let (pieces, gap, time) = (pieces.clone(), *gap, Arc::clone(time));
            Some(Body::replayable(move || paced(pieces.clone(), gap, Arc::clone(&time))))
        }
        Payload::Once { pieces, gap } => {
            Some(Body::once(paced(pieces.clone(), *gap, Arc::clone(time))))
        }
        Payload::Sized { pieces, length } => {
            let pieces = paced(pieces.clone(), Duration::ZERO, Arc::clone(time));
            Some(Body::once(pieces).with_length(*length))
        }
    }
}

/// The pieces, each after so long.
fn paced(
    pieces: Vec<Vec<u8>>,
    gap: Duration,
    time: Arc<dyn Time>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + Send {
    stream::unfold((pieces.into_iter(), time), move |(mut pieces, time)| async move {
        let piece = pieces.next()?;
        if !gap.is_zero() {
            time.sleep(gap).await;
        }
        Some((Ok(Bytes::from(piece)), (pieces, time)))
    })
}

macro_rules! requests {
    ($($name:ident: $client:ty => $request:ty;)*) => {$(
        /// A request of this client.
        pub(super) fn $name(
            client: &$client,
            call: &Call,
            places: &[Place],
            time: &Arc<dyn Time>,
        ) -> $request {
            let mut request = client.call(call.method.clone(), text(&call.url, places));
            for (name, value) in &call.headers {
                request = request.header(name.as_str(), value.as_str());
            }
            if let Some(body) = body(&call.payload, time) {
                request = request.body(body);
            }
            if let Some(replay) = call.replay {
                request = request.replay(replay);
            }
            if let Some(attempts) = call.max_attempts {
                request = request.max_attempts(attempts);
            }
            if let Some(timeout) = call.attempt_timeout {
                request = request.attempt_timeout(timeout);
            }
            if let Some(timeout) = call.timeout {
                request = request.timeout(timeout);
            }
            if let Some(timeout) = call.read_timeout {
                request = request.read_timeout(timeout);
            }
            if call.idempotency_key { request.idempotency_key() } else { request }
        }
    )*};
}

requests! {
    request: Client => RequestBuilder;
    blocking_request: blocking::Client => blocking::RequestBuilder;
}
