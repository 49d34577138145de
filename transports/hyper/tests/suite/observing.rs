//! What an observer is told of the pool (R-O-2).

use core::num::NonZeroU32;
use core::time::Duration;
use std::sync::{Arc, Mutex};

use redial_client::{Observer, PoolEvent, PoolEventKind, PoolLimits};

use crate::common::{always, finish, ok, replies, silent, timeouts, until, until_log};
use crate::on::{On, on_each_runtime};

on_each_runtime![
    connections_are_told_from_the_first_to_the_last,
    an_eviction_and_an_expiry_are_told_before_the_close,
    waits_and_pool_timeouts_are_told,
    an_observer_that_panics_costs_no_connection,
];

/// Notes every event of the pool: the port of its origin and its name.
#[derive(Default)]
struct Notes(Mutex<Vec<(u16, &'static str)>>);

impl Notes {
    fn all(&self) -> Vec<(u16, &'static str)> {
        self.0.lock().unwrap().clone()
    }

    fn names(&self) -> Vec<&'static str> {
        self.all().into_iter().map(|(_, name)| name).collect()
    }

    /// Without the waits: the next call may have to wait for the last to let go of its connection.
    fn names_but_waits(&self) -> Vec<&'static str> {
        self.names().into_iter().filter(|name| *name != "waited").collect()
    }
}

impl Observer for Notes {
    fn pool(&self, event: &PoolEvent<'_>) {
        let name = match event.kind {
            PoolEventKind::Opened { took } => {
                assert!(took > Duration::ZERO);
                "opened"
            }
            PoolEventKind::Waited { wait } => {
                assert!(wait > Duration::ZERO);
                "waited"
            }
            PoolEventKind::Reused => "reused",
            PoolEventKind::Evicted => "evicted",
            PoolEventKind::Expired => "expired",
            PoolEventKind::Closed => "closed",
            PoolEventKind::TimedOut => "timed out",
            _ => "unknown",
        };
        self.0.lock().unwrap().push((event.origin.port(), name));
    }
}

const ONE: PoolLimits = PoolLimits {
    max_connections: 1,
    max_keepalive_connections: 1,
    keepalive_expiry: Some(Duration::from_secs(30)),
};

async fn connections_are_told_from_the_first_to_the_last(on: On) {
    let server = replies([ok(), ok(), ok()]);
    let notes = Arc::new(Notes::default());
    let client = on.builder().observer(Arc::clone(&notes) as Arc<dyn Observer>).build().unwrap();
    for _ in 0..3 {
        client.get(server.url("/")).send().await.unwrap();
    }
    assert_eq!(notes.names_but_waits(), ["opened", "reused", "reused"]);
    client.close();
    until(|| notes.names_but_waits().len() == 4).await;
    assert_eq!(notes.names().last(), Some(&"closed"));
    assert!(notes.all().iter().all(|(port, _)| *port == server.address().port()));
    finish(server).await;
}

async fn an_eviction_and_an_expiry_are_told_before_the_close(on: On) {
    let servers = [replies([ok()]), replies([ok()])];
    let [first, second] = [servers[0].address().port(), servers[1].address().port()];
    let notes = Arc::new(Notes::default());
    let client = on
        .limited(PoolLimits { keepalive_expiry: Some(Duration::from_millis(200)), ..ONE })
        .observer(Arc::clone(&notes) as Arc<dyn Observer>)
        .build()
        .unwrap();
    for server in &servers {
        client.post(server.url("/")).send().await.unwrap();
    }
    until(|| client.pool().open == 0).await;
    let expected = [
        (first, "opened"),
        (first, "evicted"),
        (first, "closed"),
        (second, "opened"),
        (second, "expired"),
        (second, "closed"),
    ];
    // Another thread may have closed the first connection before the second call begins to wait.
    let mut seen = notes.all();
    seen.retain(|(_, name)| *name != "waited");
    // The second call may go on before the end of that connection is told, or after.
    seen.sort_by_key(|(port, _)| *port == second);
    assert_eq!(seen, expected);
}

async fn waits_and_pool_timeouts_are_told(on: On) {
    let (slow, stuck) = (
        always(vec![redial_conformance::Step::Pause(Duration::from_millis(100)), ok().step()]),
        silent(),
    );
    let notes = Arc::new(Notes::default());
    let client = on.limited(ONE).observer(Arc::clone(&notes) as Arc<dyn Observer>).build().unwrap();
    let first = on.spawn(client.get(slow.url("/")).send());
    until(|| client.pool().in_use == 1).await;
    client.get(slow.url("/")).send().await.unwrap();
    first.await.unwrap();
    assert_eq!(notes.names(), ["opened", "waited", "reused"]);

    let stuck_call = on.spawn(client.get(stuck.url("/")).send());
    until_log(&stuck, |log| log.requests().len() == 1).await;
    let call = client.get(slow.url("/")).timeouts(timeouts(Duration::from_millis(100)));
    call.max_attempts(NonZeroU32::MIN).send().await.unwrap_err();
    assert_eq!(notes.all().last(), Some(&(slow.address().port(), "timed out")));
    drop(stuck_call);
}

/// Panics whatever happens.
struct Panicking;

impl Observer for Panicking {
    fn pool(&self, event: &PoolEvent<'_>) {
        panic!("{event:?}");
    }
}

async fn an_observer_that_panics_costs_no_connection(on: On) {
    let servers = [replies([ok(), ok()]), replies([ok()])];
    let client = on.limited(ONE).observer(Arc::new(Panicking)).build().unwrap();
    // Opened, reused and evicted.
    for server in [&servers[0], &servers[0], &servers[1]] {
        let response = client.get(server.url("/")).send().await.unwrap();
        assert_eq!(response.attempts().len(), 1);
    }
    let figures = client.pool();
    assert_eq!((figures.opened_total, figures.reused_total, figures.evicted_total), (2, 1, 1));
    client.close();
    until(|| client.pool().open == 0).await;
    for server in servers {
        finish(server).await;
    }
}
