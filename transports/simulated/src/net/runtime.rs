//! A runtime on virtual time and virtual sockets.

use core::fmt;
use core::future::{pending, poll_fn};
use core::net::{Ipv4Addr, SocketAddr};
use core::task::Poll;
use std::io;
use std::sync::Arc;
use std::time::SystemTime;

use redial_client::{BoxFuture, Clock as _};
use redial_engine::Timestamp;
use redial_hyper::Runtime;

use super::socket::{Count, Open};
use super::{Dial, Host, Socket};
use crate::executor::VirtualTime;

/// Virtual time and a virtual network, as a runtime for `redial-hyper`.
///
/// Every name has one address, and the host decides what is there.
#[derive(Clone)]
pub struct Virtual {
    time: VirtualTime,
    host: Arc<dyn Host>,
    open: Arc<Count>,
}

impl Virtual {
    /// A network in this time, with this at its other end.
    pub fn new(time: VirtualTime, host: Arc<dyn Host>) -> Self {
        Self { time, host, open: Arc::default() }
    }

    /// How many connections the client has now: from when it begins to connect until it has closed
    /// its end.
    pub fn open(&self) -> usize {
        self.open.now()
    }

    /// How many connections the client has begun to open so far.
    pub fn opened(&self) -> u64 {
        self.open.total()
    }

    /// The most that there ever were at a time.
    pub fn most_open(&self) -> usize {
        self.open.most()
    }
}

impl Runtime for Virtual {
    type Socket = Socket;

    fn name(&self) -> &'static str {
        "simulated"
    }

    fn resolve(&self, host: &str, port: u16) -> BoxFuture<'static, io::Result<Vec<SocketAddr>>> {
        let (dial, time) = (self.host.resolve(host), self.time.clone());
        Box::pin(async move {
            answered(dial, &time, io::ErrorKind::NotFound).await?;
            Ok(vec![SocketAddr::from((Ipv4Addr::LOCALHOST, port))])
        })
    }

    fn connect(&self, address: SocketAddr) -> BoxFuture<'static, io::Result<Socket>> {
        let this = self.clone();
        let (dial, open) = (self.host.connect(address), Open::new(&self.open));
        Box::pin(async move {
            answered(dial, &this.time, io::ErrorKind::ConnectionRefused).await?;
            let (ours, theirs) = Socket::pair(this.host.link(), &this.time, open);
            this.host.accept(address, theirs);
            Ok(ours)
        })
    }

    fn now(&self) -> Timestamp {
        self.time.now()
    }

    fn wall(&self) -> SystemTime {
        self.time.wall()
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(self.time.sleep_until(at))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.time.spawn_boxed(task);
    }

    /// Everything else that is ready comes first.
    fn yield_now(&self) -> BoxFuture<'static, ()> {
        let mut yielded = false;
        Box::pin(poll_fn(move |context| {
            if yielded {
                return Poll::Ready(());
            }
            yielded = true;
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }
}

async fn answered(dial: Dial, time: &VirtualTime, refused: io::ErrorKind) -> io::Result<()> {
    match dial {
        Dial::Answers(after) => {
            time.sleep(after).await;
            Ok(())
        }
        Dial::Refuses(after) => {
            time.sleep(after).await;
            Err(refused.into())
        }
        Dial::Silent => pending().await,
    }
}

impl fmt::Debug for Virtual {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Virtual").field("time", &self.time).field("open", &self.open()).finish()
    }
}
