//! What a server did while nobody looked: a connection that it has closed gets no request, and an
//! answer that was in time is no silence.

use core::future::{Future as _, poll_fn};
use core::num::NonZeroU32;
use core::pin::pin;
use core::task::Poll;
use core::time::Duration;

use redial_client::{ClientBuilder, Protocol, Roots, Tls};
use redial_conformance::{Certificate, FaultServer, Http2, Script, Step};

use crate::common::{finish, ok};
use crate::on::{On, on_each_runtime};
use crate::relay::Relay;

on_each_runtime![
    a_connection_whose_end_nobody_has_seen_gets_no_request,
    a_connection_with_an_answer_to_nothing_on_it_gets_no_request,
    a_tls_connection_whose_end_nobody_has_seen_gets_no_request,
    an_http2_connection_whose_end_nobody_has_seen_gets_no_request,
    an_answer_that_nobody_has_seen_is_no_silence,
];

/// How many calls follow each other, each on a connection that has ended before the next.
const CALLS: usize = 20;

const AT_ONCE: Duration = Duration::ZERO;

/// What a server says on an idle connection that it gives up.
const TIMED_OUT: &[u8] = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\n\r\n";

/// That every call to this server, which must not be repeated, succeeds at once, although each is
/// made on a runtime that has had no turn since the last connection ended, which is `quiet` ago.
async fn calls(builder: ClientBuilder, scheme: &str, script: Script, quiet: Duration) {
    let server = FaultServer::start(script).unwrap();
    let relay = Relay::start(server.address());
    let mut tls = Tls::default();
    if let Some(roots) = server.roots() {
        tls.roots = Roots::Pem(roots.into());
    }
    let client = builder.tls(tls).build().unwrap();
    let url = format!("{scheme}://{}/", relay.address());
    for call in 0..CALLS {
        let response = client.post(&url).body("once").send().await.unwrap();
        assert_eq!(response.attempts().len(), 1, "call {call}: {:?}", response.attempts());
        // With the thread, so that a runtime of one thread sees nothing of it.
        relay.wait_for_an_end();
        std::thread::sleep(quiet);
    }
    client.close();
    let log = finish(server).await;
    assert_eq!((log.connections().len(), log.count("POST")), (CALLS, CALLS));
}

fn each_connection(steps: Vec<Step>) -> Script {
    Script::connections(vec![steps; CALLS])
}

async fn a_connection_whose_end_nobody_has_seen_gets_no_request(on: On) {
    let steps = vec![Step::ReadRequest, ok().step(), Step::Close];
    calls(on.builder(), "http", each_connection(steps), AT_ONCE).await;
}

async fn a_connection_with_an_answer_to_nothing_on_it_gets_no_request(on: On) {
    let unasked = Step::Write(TIMED_OUT.to_vec());
    let pause = Step::Pause(Duration::from_millis(5));
    let steps = vec![Step::ReadRequest, ok().step(), pause, unasked, Step::Close];
    calls(on.builder(), "http", each_connection(steps), AT_ONCE).await;
}

async fn a_tls_connection_whose_end_nobody_has_seen_gets_no_request(on: On) {
    let polite = redial_conformance::Tls::new(Certificate::Good);
    for tls in [polite.clone(), polite.without_close_notify()] {
        let steps = vec![Step::ReadRequest, ok().step(), Step::Close];
        let builder = on.builder().protocol(Protocol::Http1);
        calls(builder, "https", each_connection(steps).secured(tls), AT_ONCE).await;
    }
}

async fn an_http2_connection_whose_end_nobody_has_seen_gets_no_request(on: On) {
    let steps = vec![Step::Preface(Http2::new()), Step::ReadRequest, ok().step(), Step::Close];
    let builder = on.builder().protocol(Protocol::Http2PriorKnowledge);
    // One that was silent for less is taken as it is.
    calls(builder, "http", each_connection(steps), Duration::from_millis(1)).await;
}

/// R-T-2: the answer was in time, and only the runtime has had no turn until the timeout was over.
async fn an_answer_that_nobody_has_seen_is_no_silence(on: On) {
    const TIMEOUT: Duration = Duration::from_millis(100);
    let server = FaultServer::start(Script::replies([ok(), ok()])).unwrap();
    let client = on.builder().build().unwrap();
    // The second call finds a connection, and has sent its request when it has been polled once.
    client.get(server.url("/")).send().await.unwrap();
    let request = client.get(server.url("/")).read_timeout(TIMEOUT).max_attempts(NonZeroU32::MIN);
    let mut call = pin!(request.send());
    assert!(poll_fn(|it| Poll::Ready(call.as_mut().poll(it))).await.is_pending());
    std::thread::sleep(TIMEOUT * 3);
    assert_eq!(call.await.unwrap().attempts().len(), 1);
    client.close();
    assert_eq!(finish(server).await.count("GET"), 2);
}
