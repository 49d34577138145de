//! What calls and clients leave behind: nothing.

#![allow(
    clippy::panic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]
#![cfg(target_os = "linux")]

mod common;

use core::task::{Context, Waker};
use core::time::Duration;
use std::fs;
use std::thread;

use common::{always, block_on, client, ok, silent, until};
use http::Method;
use redial_conformance::{Reply, Step};

/// How many files are open, and how many threads there are.
fn held() -> (usize, usize) {
    let count = |path| fs::read_dir(path).unwrap().count();
    (count("/proc/self/fd"), count("/proc/self/task"))
}

/// One test alone in its process: the number of open files is everybody's.
#[test]
fn clients_and_calls_leave_nothing_behind() {
    let answers = [
        vec![ok().step()],
        vec![Reply::status(503).step()],
        vec![Step::Close],
        vec![Step::Reset],
        vec![ok().chunked(1).step(), Step::Close],
    ];
    let servers = answers.map(always);
    let stuck = silent();
    // Whatever is there once and for all.
    drop(block_on(client().get(servers[0].url("/")).send()).unwrap());
    until(|| servers[0].log().open_connections() == 0);
    let before = held();

    // A thousand calls of one client, a part of them dropped on their way.
    let one = client();
    for number in 0..1000 {
        let server = &servers[number % servers.len()];
        let method = if number % 3 == 0 { Method::POST } else { Method::GET };
        let call = one.call(method, server.url("/")).max_attempts(core::num::NonZeroU32::MIN);
        let mut call = Box::pin(call.send());
        if number % 7 == 0 {
            // On a busy machine it may have come to its end already.
            let _ = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        } else {
            let _ = block_on(call);
        }
    }
    drop(one);

    // Two hundred clients: unused, used, and dropped with a call under way, the call first or last.
    for number in 0..200 {
        let client = client();
        match number % 4 {
            0 => {}
            1 => drop(block_on(client.get(servers[0].url("/")).send()).unwrap()),
            side => {
                let call = client.get(stuck.url("/")).read_timeout(Duration::from_millis(100));
                let mut call = Box::pin(call.send());
                assert!(call.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
                if side == 2 {
                    drop(client);
                    drop(call);
                } else {
                    drop(call);
                    drop(client);
                }
            }
        }
    }

    // The servers' ends of all connections are in this process too.
    until(|| servers.iter().all(|server| server.log().open_connections() == 0));
    until(|| stuck.log().open_connections() == 0);
    until(|| {
        thread::sleep(Duration::from_millis(20));
        let (files, threads) = held();
        files <= before.0 && threads <= before.1
    });
}
