//! One HTTP/2 connection with all that hyper runs for it.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, PoisonError};

use hyper::client::conn::http2;
use redial_client::BoxFuture;

use crate::io::MeteredIo;
use crate::runtime::Runtime;
use crate::tasks::Tasks;
use crate::upload::Upload;

/// What hyper takes the peer's limit of concurrent streams for, until the peer has said its own: a
/// number that no peer says.
const UNSAID: usize = usize::MAX - 1;

/// How many times as large as it may be a head is let through by h2, which resets the stream of a
/// larger one as it does that of a malformed one, and leaves out of trailers what is too large, and
/// says nothing. Up to here it is told apart: more than twice as many bytes end the connection
/// (`frames.rs`), and where they are coded as texts may be (RFC 7541 5.2), they stand for 8/5 as
/// many at most.
const HEADROOM: usize = 4;

/// An HTTP/2 connection, and the tasks of hyper's that belong to it.
///
/// None of them is spawned on the runtime: with this, everything ends, and the socket is closed.
pub(crate) struct Multiplexed<R: Runtime> {
    /// Takes new requests; `None` once it takes no more.
    requests: Option<http2::Connection<MeteredIo<R>, Upload<R>, Nursery>>,
    /// The same, once it takes no more: dropped, it gives back the requests that it has not begun.
    over: Option<http2::Connection<MeteredIo<R>, Upload<R>, Nursery>>,
    tasks: Tasks,
    nursery: Nursery,
}

/// What a connection has come to while it was polled.
pub(crate) enum Progress {
    /// It goes on, with this limit of concurrent streams; `None` as long as the peer has not said
    /// one.
    Open(Option<u32>),
    /// It takes no new requests, and why, if not in good order. Those under way may end.
    Draining(Option<hyper::Error>),
    /// It is gone.
    Gone,
}

impl<R: Runtime> Multiplexed<R> {
    /// Begins a connection over this socket.
    pub(crate) async fn begin(
        io: MeteredIo<R>,
        max_head: usize,
    ) -> hyper::Result<(http2::SendRequest<Upload<R>>, Self)> {
        let nursery = Nursery::default();
        let max_head = u32::try_from(max_head.saturating_mul(HEADROOM)).unwrap_or(u32::MAX);
        let (sender, requests) = http2::Builder::new(nursery.clone())
            .initial_max_send_streams(UNSAID)
            .max_header_list_size(max_head)
            .handshake(io)
            .await?;
        let tasks = Tasks::new();
        Ok((sender, Self { requests: Some(requests), over: None, tasks, nursery }))
    }

    /// Lets the connection do what it can.
    pub(crate) fn poll(&mut self, context: &mut Context<'_>) -> Progress {
        self.tasks.attend();
        self.poll_tasks();
        let mut ended = None;
        if let Some(requests) = &mut self.requests
            && let Poll::Ready(result) = Pin::new(requests).poll(context)
        {
            ended = Some(result.err());
            self.over = self.requests.take();
        }
        // What a new request needs was begun just now, and its bytes are to go out at once.
        self.poll_tasks();
        self.tasks.wait(context);
        match (ended, &self.requests) {
            (Some(error), _) => Progress::Draining(error),
            (None, None) if self.tasks.is_empty() => Progress::Gone,
            (None, None) => Progress::Draining(None),
            (None, Some(requests)) => Progress::Open(limit(requests.current_max_send_streams())),
        }
    }

    /// Gives back the requests that were not begun when the connection came to take no more. To be
    /// called once it is known why: whoever has made them asks for that on another thread.
    pub(crate) fn give_back(&mut self) {
        self.over = None;
    }

    fn poll_tasks(&mut self) {
        loop {
            self.nursery.empty_into(&mut self.tasks);
            self.tasks.poll();
            if self.nursery.is_empty() {
                return;
            }
        }
    }
}

fn limit(streams: usize) -> Option<u32> {
    (streams != UNSAID).then(|| u32::try_from(streams).unwrap_or(u32::MAX))
}

/// Where hyper puts the tasks of a connection, for the connection to adopt.
#[derive(Clone, Default)]
struct Nursery(Arc<Mutex<Vec<BoxFuture<'static, ()>>>>);

impl Nursery {
    fn empty_into(&self, tasks: &mut Tasks) {
        let mut born = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        born.drain(..).for_each(|task| tasks.push(task));
    }

    fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }
}

impl<F: Future<Output = ()> + Send + 'static> hyper::rt::Executor<F> for Nursery {
    fn execute(&self, task: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(Box::pin(task));
    }
}
