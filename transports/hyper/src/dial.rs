//! From an origin to a connected socket: its name is resolved, and its addresses are raced.

use core::future::poll_fn;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::collections::VecDeque;
use std::io;

use futures_util::stream::{FuturesUnordered, Stream};
use redial_client::{BoxFuture, Origin, TransportError};
use redial_engine::{Delivery, Failure, FailureKind};

use crate::runtime::Runtime;

/// How long an address has for itself before the next one is tried beside it (RFC 8305, section 5).
const HEAD_START: Duration = Duration::from_millis(250);

/// Connects to an origin, by whichever of its addresses answers first.
pub(crate) async fn dial<R: Runtime>(
    runtime: &R,
    origin: &Origin,
) -> Result<R::Socket, TransportError> {
    let addresses = runtime.resolve(origin.host(), origin.port()).await;
    let addresses = addresses.map_err(|error| failed(FailureKind::Resolve, error))?;
    if addresses.is_empty() {
        let nothing = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        return Err(failed(FailureKind::Resolve, nothing));
    }
    let mut race = Race::new(runtime, addresses);
    let won = poll_fn(|context| race.poll(context)).await;
    won.map_err(|error| failed(FailureKind::Connect, error))
}

fn failed(kind: FailureKind, source: io::Error) -> TransportError {
    TransportError::with_source(Failure::new(kind, Delivery::Unsent), source)
}

/// Several addresses of one name, tried one beside the other (RFC 8305).
///
/// The next one starts when the last one failed, or did not answer in time. The first socket wins;
/// with the race go all others.
struct Race<'a, R: Runtime> {
    runtime: &'a R,
    waiting: VecDeque<SocketAddr>,
    running: FuturesUnordered<BoxFuture<'static, io::Result<R::Socket>>>,
    /// Until the next address starts, where there is one.
    head_start: Option<BoxFuture<'static, ()>>,
    last_error: Option<io::Error>,
}

impl<'a, R: Runtime> Race<'a, R> {
    fn new(runtime: &'a R, addresses: Vec<SocketAddr>) -> Self {
        let mut race = Self {
            runtime,
            waiting: alternating(addresses),
            running: FuturesUnordered::new(),
            head_start: None,
            last_error: None,
        };
        race.start_next();
        race
    }

    fn start_next(&mut self) {
        if let Some(address) = self.waiting.pop_front() {
            self.running.push(self.runtime.connect(address));
        }
        self.head_start = (!self.waiting.is_empty()).then(|| {
            let until = self.runtime.now().saturating_add(HEAD_START);
            self.runtime.sleep_until(until)
        });
    }

    fn poll(&mut self, context: &mut Context<'_>) -> Poll<io::Result<R::Socket>> {
        loop {
            match Pin::new(&mut self.running).poll_next(context) {
                Poll::Ready(Some(Ok(socket))) => return Poll::Ready(Ok(socket)),
                Poll::Ready(Some(Err(error))) => {
                    self.last_error = Some(error);
                    self.start_next();
                    continue;
                }
                // All have failed, and each failure has started the next.
                Poll::Ready(None) => {
                    let nothing = || io::Error::from(io::ErrorKind::NotConnected);
                    return Poll::Ready(Err(self.last_error.take().unwrap_or_else(nothing)));
                }
                Poll::Pending => {}
            }
            let Some(head_start) = &mut self.head_start else { return Poll::Pending };
            match head_start.as_mut().poll(context) {
                Poll::Ready(()) => self.start_next(),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

/// The addresses with the families in turn, beginning with the family that the resolver prefers
/// (RFC 8305, section 4): a network without the one still has every second address of the other.
fn alternating(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let six_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let (preferred, others): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| address.is_ipv6() == six_first);
    let mut turns = VecDeque::with_capacity(preferred.len() + others.len());
    let mut others = others.into_iter();
    for address in preferred {
        turns.push_back(address);
        turns.extend(others.next());
    }
    turns.extend(others);
    turns
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().filter_map(|address| format!("{address}:1").parse().ok()).collect()
    }

    #[test]
    fn families_take_turns_from_the_preferred_one() {
        let rows: [(&[&str], &[&str]); 5] = [
            (&[], &[]),
            (&["1.1.1.1"], &["1.1.1.1"]),
            (&["[::1]", "[::2]", "1.1.1.1"], &["[::1]", "1.1.1.1", "[::2]"]),
            (&["1.1.1.1", "[::1]", "[::2]"], &["1.1.1.1", "[::1]", "[::2]"]),
            (&["1.1.1.1", "1.1.1.2", "[::1]"], &["1.1.1.1", "[::1]", "1.1.1.2"]),
        ];
        for (given, tried) in rows {
            assert_eq!(alternating(addresses(given)), addresses(tried));
        }
    }
}
