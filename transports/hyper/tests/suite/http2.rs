//! HTTP/2: many calls over one connection, and connections that are given up under load (R-P-6).

use core::error::Error as _;
use core::num::NonZeroU32;
use core::task::Poll;
use core::time::Duration;
use std::io;

use bytes::Bytes;
use futures_util::future::join_all;
use futures_util::stream;
use h2::Reason;
use redial_client::{Body, Client, ClientBuilder, Protocol};
use redial_engine::{Budget, FailureKind};

use crate::common::{quick, timeouts, until, within};
use crate::on::{On, on_each_runtime, sleep};
use crate::peer::{Manners, Peer};

on_each_runtime![
    a_hundred_calls_share_a_connection,
    no_connection_has_more_streams_than_its_peer_permits,
    a_large_upload_crosses_whole,
    a_dropped_call_resets_its_stream_and_leaves_the_connection,
    a_goaway_under_load_loses_no_call,
    calls_under_way_at_a_goaway_end_well,
    a_source_that_panics_takes_no_other_call_with_it,
];

fn builder(on: &On) -> ClientBuilder {
    on.builder().protocol(Protocol::Http2PriorKnowledge)
}

async fn a_hundred_calls_share_a_connection(on: On) {
    // No call is answered before all of them are there.
    let peer = Peer::start(Manners { hold: 100, ..Manners::default() });
    let client = builder(&on).build().unwrap();
    let calls = (0..100).map(|_| on.spawn(client.get(peer.url("/")).send()));
    for response in join_all(calls).await {
        let response = response.unwrap();
        assert_eq!((response.status().as_u16(), response.attempts().len()), (200, 1));
    }
    assert_eq!((peer.seen().peak(), peer.seen().connections()), (100, 1));
    let figures = client.pool();
    assert_eq!((figures.opened_total, figures.reused_total), (1, 99));
}

async fn no_connection_has_more_streams_than_its_peer_permits(on: On) {
    let peer = Peer::start(Manners { max_streams: 3, ..Manners::default() });
    let client = builder(&on).timeouts(timeouts(Duration::from_secs(20))).build().unwrap();
    let calls = (0..60).map(|_| on.spawn(client.post(peer.url("/")).body("x").send()));
    for response in join_all(calls).await {
        assert_eq!(response.unwrap().attempts().len(), 1, "nothing is refused");
    }
    assert_eq!(peer.seen().peak(), 3);
}

async fn a_large_upload_crosses_whole(on: On) {
    const LENGTH: usize = 3_000_000;
    let peer = Peer::start(Manners::default());
    let client = builder(&on).build().unwrap();
    let response = client.post(peer.url("/")).body(vec![b'x'; LENGTH]).send().await.unwrap();
    assert_eq!(response.text(), LENGTH.to_string());
    assert_eq!(peer.seen().bodies(), [LENGTH]);
}

async fn a_dropped_call_resets_its_stream_and_leaves_the_connection(on: On) {
    let peer = Peer::start(Manners::default());
    let client = builder(&on).build().unwrap();
    let silent = on.spawn(client.get(peer.url("/silent")).send());
    until(|| peer.seen().there() == 1).await;
    drop(silent);
    let took = until(|| peer.seen().resets() == 1).await;
    assert!(took < Duration::from_secs(1), "R-T-7: {took:?}");
    until(|| client.pool().in_use == 0).await;
    client.get(peer.url("/")).send().await.unwrap();
    assert_eq!((peer.seen().connections(), client.pool().opened_total), (1, 1));
    client.close();
    until(|| peer.seen().open() == 0).await;
}

/// Makes many calls from many tasks; every one of them is to succeed.
async fn load(on: &On, client: &Client, url: &str) {
    let tasks = (0..20).map(|_| {
        let (client, url) = (client.clone(), url.to_owned());
        on.spawn(async move {
            for _ in 0..25 {
                let response = client.get(&url).send().await.unwrap();
                assert_eq!(response.status(), 200);
            }
        })
    });
    join_all(tasks).await;
}

async fn a_goaway_under_load_loses_no_call(on: On) {
    for reason in [Reason::NO_ERROR, Reason::INTERNAL_ERROR] {
        let peer = Peer::start(Manners { go_away: Some((30, reason)), ..Manners::default() });
        // A call may be unlucky more than once.
        let client = builder(&on)
            .policy(quick().max_attempts(20).build().unwrap())
            .budget(Budget::UNLIMITED)
            .build()
            .unwrap();
        load(&on, &client, &peer.url("/")).await;
        // A connection takes what was on its way when it said GOAWAY, which is 20 at most.
        let connections = peer.seen().connections();
        assert!(connections >= 500 / (30 + 20), "{reason:?}: {connections} connections");
        client.close();
        until(|| client.pool().open == 0).await;
    }
}

async fn calls_under_way_at_a_goaway_end_well(on: On) {
    // The tenth request brings the GOAWAY; all ten are answered, in one attempt each.
    let manners = Manners { hold: 10, go_away: Some((10, Reason::NO_ERROR)), ..Manners::default() };
    let peer = Peer::start(manners);
    let client = builder(&on).build().unwrap();
    let calls =
        (0..10).map(|_| on.spawn(client.post(peer.url("/")).max_attempts(NonZeroU32::MIN).send()));
    for response in join_all(calls).await {
        assert_eq!(response.unwrap().status(), 200);
    }
    let gone = async {
        while client.pool().open > 0 {
            sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(within(Duration::from_secs(10), gone).await.is_some(), "the connection ends");
}

/// The task that polls a request body serves the whole connection.
async fn a_source_that_panics_takes_no_other_call_with_it(on: On) {
    // No call is answered before three of them are there, and the one that panics never is.
    let peer = Peer::start(Manners { hold: 3, ..Manners::default() });
    let client = builder(&on).build().unwrap();
    let call = || on.spawn(client.get(peer.url("/")).send());
    let others = [call(), call()];
    until(|| peer.seen().there() == 2).await;
    let source = stream::poll_fn(|_| -> Poll<Option<io::Result<Bytes>>> { panic!("a bug") });
    let error = client.post(peer.url("/")).body(Body::once(source)).send().await.unwrap_err();
    assert_eq!((error.kind(), error.attempts().len()), (FailureKind::InvalidRequest, 1));
    assert!(error.source().unwrap().to_string().contains("panicked"), "{error:?}");
    for other in join_all(others.into_iter().chain([call()])).await {
        assert_eq!(other.unwrap().attempts().len(), 1);
    }
    assert_eq!(peer.seen().connections(), 1);
}
