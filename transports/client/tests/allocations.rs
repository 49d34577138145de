//! How often a call allocates, over a transport that allocates next to nothing.
#![allow(clippy::expect_used, clippy::unwrap_used, reason = "tests may fail")]

mod common;

use core::cell::Cell;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::Bytes;
use common::{VirtualClock, block_on};
use http::Response;
use http::header::{ACCEPT, HeaderValue};
use http_body::Frame;
use redial_client::{
    Answer, BoxFuture, Client, Clock, Exchange, PoolFigures, RequestBuilder, ResponseBody,
    Transport, TransportError,
};

/// Answers 200 and "ok" at once. It allocates the boxes that the trait asks for: one for the
/// future, one for the body.
#[derive(Default)]
struct Instant(VirtualClock);

impl Transport for Instant {
    fn name(&self) -> &'static str {
        "instant"
    }

    fn send(&self, _: Exchange) -> BoxFuture<'_, Result<Answer, TransportError>> {
        Box::pin(async {
            let body = ResponseBody::new(Once(Some(Bytes::from_static(b"ok"))));
            Ok(Answer::new(Response::new(body), true))
        })
    }

    fn clock(&self) -> &dyn Clock {
        &self.0
    }

    fn pool(&self) -> PoolFigures {
        PoolFigures::default()
    }

    fn close(&self) {}
}

struct Once(Option<Bytes>);

impl http_body::Body for Once {
    type Data = Bytes;
    type Error = TransportError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, TransportError>>> {
        Poll::Ready(self.0.take().map(|data| Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_none()
    }
}

fn allocations(call: impl Fn() -> RequestBuilder) -> u64 {
    let make = || assert_eq!(block_on(call().send()).unwrap().body(), "ok");
    // The first call to an origin makes its upstream.
    make();
    allocation_counter::measure(make).count_total
}

/// Two are the transport's boxes, and one is what the builder builds: in a box it moves as a
/// pointer, and it moves often. The URL is three where it is not the one that was called last: what
/// is made of it is shared, and not copied at every step. Headers are two for what the caller sets
/// and two for every attempt, because a transport takes them with it: where there is none, that is
/// the room for those that a transport adds, which it would have to make itself otherwise.
///
/// The numbers may fall, and must not rise.
#[test]
fn an_ordinary_call_allocates_little() {
    let plain = Client::builder(Instant::default()).build().unwrap();
    let bare = Client::builder(Instant::default()).no_user_agent().build().unwrap();
    let based = Client::builder(Instant::default()).base_url("http://host/v1").build().unwrap();
    let accept = HeaderValue::from_static("*/*");
    let odd = Cell::new(false);
    let other = || if odd.replace(!odd.get()) { "http://host/1" } else { "http://host/2" };
    let rows: [(&str, &dyn Fn() -> RequestBuilder, u64); 5] = [
        ("no header at all", &|| bare.get("http://host/path"), 5),
        ("the default headers", &|| plain.get("http://host/path"), 5),
        ("another URL than before", &|| plain.get(other()), 8),
        ("below a base URL", &|| based.get("/path?q=1"), 10),
        ("one of its own", &|| plain.get("http://host/path").header(ACCEPT, accept.clone()), 7),
    ];
    for (name, call, most) in rows {
        let counted = allocations(call);
        assert!(counted <= most, "{name}: {counted} allocations, at most {most} before");
    }
}
