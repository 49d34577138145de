//! What the tests share: an executor that knows no runtime, quick policies, and questions to a
//! server's log.

#![allow(dead_code, reason = "each test uses a part of this")]

use core::future::Future;
use core::pin::pin;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::Arc;
use std::task::Wake;
use std::thread::{self, Thread};
use std::time::Instant;

use http::Method;
use redial_client::{Client, ClientBuilder, PoolLimits, Settings, Timeouts};
use redial_conformance::{FaultServer, Log, Reply, Script, Step};
use redial_engine::{Backoff, StandardPolicy, StandardPolicyBuilder};
use redial_isahc::IsahcTransport;

/// How long a test waits for what has to come soon.
pub(crate) const SOON: Duration = Duration::from_secs(20);

/// The smallest executor there is: it parks its thread.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Arc::new(Unpark(thread::current())).into();
    let mut future = pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// The standard policy, with waits that a test need not sit through.
pub(crate) fn quick() -> StandardPolicyBuilder {
    StandardPolicy::builder().backoff(Backoff::exponential(Duration::from_millis(2)))
}

pub(crate) fn client() -> Client {
    client_of(IsahcTransport::new().unwrap()).build().unwrap()
}

pub(crate) fn client_of(transport: IsahcTransport) -> ClientBuilder {
    Client::builder(transport).policy(quick().build().unwrap()).seed(1)
}

/// A transport with these limits of its pool.
pub(crate) fn limited(limits: PoolLimits) -> IsahcTransport {
    let mut settings = Settings::default();
    settings.limits = limits;
    IsahcTransport::with(settings).unwrap()
}

/// One connection at most.
pub(crate) const ONE: PoolLimits = PoolLimits {
    max_connections: 1,
    max_keepalive_connections: 1,
    keepalive_expiry: Some(Duration::from_secs(30)),
};

/// Runs a call on a thread of its own.
pub(crate) fn spawn(client: &Client, url: String, method: Method) -> thread::JoinHandle<u16> {
    let client = client.clone();
    thread::spawn(move || {
        let call = client.call(method, url).timeouts(timeouts(SOON));
        block_on(call.send()).unwrap().status().as_u16()
    })
}

/// All four timeouts of the same length.
pub(crate) fn timeouts(length: Duration) -> Timeouts {
    let mut timeouts = Timeouts::DEFAULT;
    timeouts.connect = length;
    timeouts.read = length;
    timeouts.write = length;
    timeouts.pool = length;
    timeouts
}

pub(crate) fn ok() -> Reply {
    Reply::status(200).body("ok")
}

/// A server that answers the n-th request so.
pub(crate) fn replies(replies: impl IntoIterator<Item = Reply>) -> FaultServer {
    FaultServer::start(Script::replies(replies)).unwrap()
}

/// A server that treats every request so.
pub(crate) fn always(steps: Vec<Step>) -> FaultServer {
    FaultServer::start(Script::requests(vec![]).otherwise(steps)).unwrap()
}

/// A server that takes every request, and answers none.
pub(crate) fn silent() -> FaultServer {
    always(vec![Step::AwaitClose { within: SOON }])
}

/// Ends a server whose script was played to its end.
pub(crate) fn finish(server: FaultServer) -> Log {
    server.finish().unwrap_or_else(|unfinished| panic!("{unfinished}; {:?}", unfinished.log()))
}

/// Waits until something holds that has to come soon; answers how long that took.
pub(crate) fn until(what: impl Fn() -> bool) -> Duration {
    let began = Instant::now();
    while !what() {
        assert!(began.elapsed() < SOON, "it never came");
        thread::sleep(Duration::from_millis(2));
    }
    began.elapsed()
}
