//! One virtual connection of HTTP/2: reads and writes it, and lets lists of steps play side by side.

use core::future::poll_fn;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::stream::{FuturesUnordered, Stream as _};
use futures_util::{AsyncRead as _, AsyncWrite as _};
use redial_client::BoxFuture;
use redial_sim::VirtualTime;
use redial_sim::net::Socket;

use super::conversation::{Ending, Wire};
use super::host::Origin;
use crate::http2::Event;
use crate::{Closing, ErrorCode, Frame, Http2, Leftover, Malformed, Plan, Step, StepError};

/// A connection of HTTP/2 after its prefaces.
pub(super) struct Streams {
    socket: Socket,
    buffer: Vec<u8>,
    wire: Arc<Wire>,
    playing: FuturesUnordered<BoxFuture<'static, ()>>,
    /// Requests that are not complete yet, and the lists that they will begin.
    coming: BTreeMap<u32, Coming>,
    /// Whether each request has a list of its own.
    by_request: bool,
}

/// A request on its way.
struct Coming {
    request: usize,
    /// `None` where it is beyond the plan.
    list: Option<usize>,
    steps: Vec<Step>,
}

impl Streams {
    pub(super) fn new(
        origin: Arc<Origin>,
        time: VirtualTime,
        index: usize,
        socket: Socket,
        buffer: Vec<u8>,
        manners: &Http2,
    ) -> Self {
        let wire = Arc::new(Wire::new(origin, time, index, manners));
        let (playing, coming) = (FuturesUnordered::new(), BTreeMap::new());
        Self { socket, buffer, wire, playing, coming, by_request: false }
    }

    /// Serves the requests side by side, each by its list, to the end of the connection.
    pub(super) async fn serve_requests(mut self) -> Closing {
        self.by_request = true;
        let ending = self.run().await;
        for Coming { request, list, .. } in self.coming.values() {
            if let Some(list) = *list {
                let (request, error) = (*request, self.wire.gone());
                self.wire.report(Leftover::RequestCutOff { request, list, error });
            }
        }
        self.end(ending)
    }

    /// Plays one list from this step on, and keeps the connection until the client closes it.
    pub(super) async fn serve_list(
        mut self,
        steps: &[Step],
        from: usize,
        list: Option<usize>,
    ) -> Closing {
        let (wire, steps) = (Arc::clone(&self.wire), steps.to_vec());
        self.playing.push(Box::pin(async move {
            if wire.play(&steps, from, list, 1).await {
                wire.watch().await;
            } else {
                wire.close_with(Ending::Reset);
            }
        }));
        let ending = self.run().await;
        self.end(ending)
    }

    /// Goes on until the connection comes to its end; answers how this side ends it.
    async fn run(&mut self) -> Ending {
        let ending = poll_fn(|context| self.poll(context)).await;
        // The lists find out that it is closed.
        self.wire.is_closed();
        poll_fn(|context| {
            while let Poll::Ready(Some(())) = Pin::new(&mut self.playing).poll_next(context) {}
            Poll::Ready(ending)
        })
        .await
    }

    /// Does what can be done; complete where the connection has come to its end.
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Ending> {
        loop {
            while let Poll::Ready(Some(())) = Pin::new(&mut self.playing).poll_next(context) {}
            // What waits to be written is written before anything ends.
            if self.poll_write(context).is_ready()
                && let Some(ending) = self.wire.ending()
            {
                return Poll::Ready(ending);
            }
            let is_over = self.wire.ended().is_some();
            if is_over && self.playing.is_empty() {
                return Poll::Ready(Ending::Close);
            }
            if is_over || self.poll_read(context).is_pending() {
                return Poll::Pending;
            }
        }
    }

    fn end(self, ending: Ending) -> Closing {
        let closing = match ending {
            Ending::Reset => Closing::ResetByServer,
            Ending::Close | Ending::CloseUnread => Closing::ByServer,
        };
        let closing = self.wire.ended().unwrap_or(closing);
        self.wire.record_end(closing);
        match ending {
            Ending::Reset => self.socket.reset(),
            Ending::Close => self.socket.close_in_order(),
            Ending::CloseUnread => {}
        }
        closing
    }

    /// Writes what there is to write; complete where that is nothing.
    fn poll_write(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while let Some(bytes) = self.wire.to_write() {
            match Pin::new(&mut self.socket).poll_write(context, &bytes) {
                Poll::Ready(Ok(count)) => self.wire.written(count),
                Poll::Ready(Err(error)) => self.wire.end(StepError::from_io(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        Poll::Ready(())
    }

    /// Reads what has come; pending where nothing more does.
    fn poll_read(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let mut piece = vec![0; 16 * 1024];
        match Pin::new(&mut self.socket).poll_read(context, &mut piece) {
            Poll::Pending => return Poll::Pending,
            Poll::Ready(Ok(0)) => self.wire.end(StepError::PeerClosed),
            Poll::Ready(Err(error)) => self.wire.end(StepError::from_io(error)),
            Poll::Ready(Ok(count)) => {
                self.wire.received(count);
                self.buffer.extend_from_slice(piece.get(..count).unwrap_or_default());
            }
        }
        if let Err(malformed) = self.take_frames() {
            self.wire.is_garbled(malformed, self.by_request);
        }
        self.wire.wake();
        Poll::Ready(())
    }

    fn take_frames(&mut self) -> Result<(), Malformed> {
        if self.wire.garbled().is_some() {
            // It is no HTTP/2 any more.
            self.buffer.clear();
        }
        while let Some(length) = self.wire.frame_length(&self.buffer)? {
            let rest = self.buffer.split_off(length);
            let frame = core::mem::replace(&mut self.buffer, rest);
            match self.wire.receive(&frame)? {
                Event::Head { stream, head, ends } => {
                    let request = self.wire.request(stream, head);
                    self.begins(stream, request);
                    if ends {
                        self.wire.complete(request);
                        self.is_complete(stream);
                    }
                }
                Event::Body { stream, bytes, ends } => {
                    self.wire.body(stream, &bytes, ends)?;
                    if ends {
                        self.is_complete(stream);
                    }
                }
                Event::Nothing | Event::Reset { .. } => {}
            }
        }
        Ok(())
    }

    /// A request has come that may have a list.
    fn begins(&mut self, stream: u32, request: usize) {
        if !self.wire.heeds(stream) {
            return;
        }
        if !self.by_request {
            return self.wire.queue(stream);
        }
        let origin = self.wire.origin();
        let number = origin.record.claim();
        let planned = match origin.script.plan() {
            Plan::Requests(lists) => lists.get(number).cloned(),
            Plan::Refused | Plan::Connections(_) => None,
        };
        let list = planned.is_some().then_some(number);
        let Some(steps) = planned.or_else(|| origin.script.beyond().map(<[Step]>::to_vec)) else {
            self.wire.report(Leftover::UnexpectedRequest { request });
            return self.wire.close_with(Ending::Reset);
        };
        self.coming.insert(stream, Coming { request, list, steps });
    }

    fn is_complete(&mut self, stream: u32) {
        let Some(Coming { request, list, steps }) = self.coming.remove(&stream) else { return };
        self.wire.origin().record.processed(request, true);
        let wire = Arc::clone(&self.wire);
        self.playing.push(Box::pin(async move {
            if !wire.play(&steps, 0, list, stream).await {
                // Its client is to wait for nothing.
                let reset = Frame::rst_stream(ErrorCode::INTERNAL_ERROR);
                wire.send_frames(stream, &[reset]);
            }
        }));
    }
}
