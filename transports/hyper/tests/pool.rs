//! The pool's decisions, one test each, named by requirement.
#![forbid(unsafe_code)]
#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "tests may panic")]
#![allow(clippy::unwrap_used, reason = "tests may panic")]

#[path = "pool/http2.rs"]
mod http2;
#[path = "pool/httpcore.rs"]
mod httpcore;
#[path = "pool/rig.rs"]
mod rig;

use core::time::Duration;

use redial_engine::Timestamp;
use redial_hyper::pool::{CloseReason, Limits, Pool, Withdrawal};

use crate::rig::{FRESH, PLAIN, Rig, SHARE};

#[test]
fn r_p_1_to_3_defaults() {
    let limits = Limits::default();
    assert_eq!(limits.max_connections, 50, "R-P-1");
    assert_eq!(limits.max_keepalive_connections, 20, "R-P-2");
    assert_eq!(limits.keepalive_expiry, Some(Duration::from_secs(30)), "R-P-3");
}

#[test]
fn r_p_1_counts_from_the_start_of_connecting_until_the_socket_is_gone() {
    let mut rig = Rig::new(1, 1);
    let first = rig.ask("a", PLAIN);
    let second = rig.ask("b", PLAIN);
    assert!(!rig.opened_for.contains_key(&second), "R-P-1: connecting counts");
    let connection = rig.opened_for[&first];
    rig.tell(|pool, now| pool.opened_http1(now, connection));
    rig.tell(|pool, now| pool.released(now, connection, false));
    assert_eq!(rig.closes, [(connection, CloseReason::Unusable)]);
    assert!(!rig.opened_for.contains_key(&second), "R-P-1: closing counts");
    assert_eq!((rig.figures().open, rig.figures().closing), (1, 1));
    rig.sockets_close();
    assert!(rig.opened_for.contains_key(&second), "R-P-1: a socket that is gone does not");
}

#[test]
fn r_p_1_a_failing_connection_counts_until_its_socket_is_gone() {
    let mut rig = Rig::new(1, 1);
    let connection = rig.get("a");
    let next = rig.ask("a", PLAIN);
    rig.tell(|pool, now| pool.closing(now, connection));
    assert!(!rig.opened_for.contains_key(&next), "R-P-1");
    rig.tell(|pool, now| pool.closed(now, connection));
    assert!(rig.opened_for.contains_key(&next), "R-P-1");
    rig.tell(|pool, now| pool.released(now, connection, false));
    assert_eq!(rig.closes, [], "a late report about it changes nothing");
}

#[test]
fn r_p_1_no_connections_at_all() {
    let mut rig = Rig::new(0, 20);
    let waiter = rig.ask("a", PLAIN);
    assert!(rig.pool.withdraw(rig.now, waiter, Withdrawal::PoolTimeout), "R-P-5");
    assert_eq!((rig.figures().pool_timeouts, rig.figures().waiting), (1, 0));
}

#[test]
fn r_p_3_what_never_expires_needs_no_timer() {
    for expiry in [None, Some(Duration::MAX)] {
        let mut rig = Rig::with(Limits { keepalive_expiry: expiry, ..Limits::default() });
        let connection = rig.get("a");
        rig.finish(connection);
        assert_eq!((rig.figures().idle, rig.pool.next_deadline()), (1, None), "R-P-3: {expiry:?}");
    }
}

#[test]
fn r_p_5_a_request_is_queued_until_a_connection_is_opened_for_it() {
    let mut rig = Rig::new(1, 1);
    let (first, second) = (rig.ask("a", PLAIN), rig.ask("b", PLAIN));
    assert_eq!([first, second].map(|waiter| rig.pool.is_queued(waiter)), [false, true]);
    let connection = rig.opened_for[&first];
    rig.tell(|pool, now| pool.open_failed(now, connection));
    assert_eq!([first, second].map(|waiter| rig.pool.is_queued(waiter)), [false, false]);
    assert!(rig.opened_for.contains_key(&second));
}

#[test]
fn r_p_5_a_withdrawal_leaves_what_is_opened_for_others() {
    let mut rig = Rig::new(10, 10);
    let (first, second) = (rig.ask("a", PLAIN), rig.ask("b", PLAIN));
    rig.tell(|pool, now| assert!(pool.withdraw(now, second, Withdrawal::Dropped)));
    for waiter in [first, second] {
        let connection = rig.opened_for[&waiter];
        rig.tell(|pool, now| pool.opened_http1(now, connection));
    }
    assert_eq!(rig.given(first), rig.opened_for.get(&first).copied());
    assert_eq!((rig.given(second), rig.figures().idle), (None, 1));
}

#[test]
fn r_p_5_an_opening_for_nobody_is_given_up_once_the_pool_is_shut() {
    let mut rig = Rig::new(1, 1);
    rig.tell(Pool::shutdown);
    let (first, second) = (rig.ask("a", PLAIN), rig.ask("a", PLAIN));
    let connection = rig.opened_for[&first];
    rig.tell(|pool, now| assert!(pool.withdraw(now, first, Withdrawal::Dropped)));
    assert_eq!(rig.closes, [], "another request has a use for it");
    rig.tell(|pool, now| assert!(pool.withdraw(now, second, Withdrawal::Dropped)));
    assert_eq!(rig.closes, [(connection, CloseReason::Shutdown)]);
}

#[test]
fn a_place_is_one_connections_at_a_time() {
    let mut rig = Rig::new(10, 10);
    let all = ["a", "b", "c"].map(|key| rig.get(key));
    let mut places = all.map(|connection| connection.place());
    places.sort_unstable();
    assert_eq!(places, [0, 1, 2]);
    rig.tell(|pool, now| pool.closed(now, all[1]));
    let next = rig.get("d");
    assert_eq!((next.place(), next == all[1]), (all[1].place(), false));
}

#[test]
fn nothing_is_remembered_of_an_origin_that_has_no_connection_and_no_request() {
    let mut rig = Rig::new(1, 1);
    for key in ["a", "b"] {
        let (connection, waiter) = (rig.get(key), rig.ask(key, PLAIN));
        assert!(format!("{:?}", rig.pool).contains(&format!("{key:?}")));
        rig.tell(|pool, now| assert!(pool.withdraw(now, waiter, Withdrawal::Dropped)));
        rig.tell(|pool, now| pool.closed(now, connection));
    }
    let remembered = format!("{:?}", rig.pool);
    assert!(!remembered.contains(['"']), "{remembered}");
}

#[test]
fn r_p_2_surplus_closes_longest_idle_first() {
    let mut rig = Rig::new(10, 2);
    let all = ["a", "b", "c"].map(|key| rig.get(key));
    for connection in [all[1], all[0], all[2]] {
        rig.finish(connection);
    }
    assert_eq!(rig.closes, [(all[1], CloseReason::Surplus)], "R-P-2");
    assert_eq!(rig.figures().idle, 2);
}

#[test]
fn r_p_2_and_3_zero_keeps_nothing_not_even_for_who_waits() {
    let expiry = Some(Duration::ZERO);
    let no_idle = Limits { max_connections: 1, max_keepalive_connections: 0, ..Limits::default() };
    let no_time = Limits { max_connections: 1, keepalive_expiry: expiry, ..Limits::default() };
    for (limits, why) in [(no_idle, CloseReason::Surplus), (no_time, CloseReason::Expired)] {
        let mut rig = Rig::with(limits);
        let connection = rig.get("a");
        let waiter = rig.ask("a", PLAIN);
        rig.tell(|pool, now| pool.finishing(now, connection));
        rig.finish(connection);
        assert_eq!(rig.closes, [(connection, why)], "R-P-2, R-P-3");
        assert_eq!(rig.given(waiter), None);
        rig.sockets_close();
        assert!(rig.opened_for.contains_key(&waiter));
    }
}

#[test]
fn r_p_3_expires_by_the_clock_without_another_request() {
    let mut rig = Rig::new(10, 10);
    let (a, b) = (rig.get("a"), rig.get("b"));
    rig.finish(a);
    rig.wait(Duration::from_secs(10));
    rig.finish(b);
    assert_eq!(rig.pool.next_deadline(), Some(Timestamp::from_nanos(30_000_000_000)), "R-P-3");
    rig.wait(Duration::from_nanos(19_999_999_999));
    assert_eq!(rig.closes, []);
    rig.wait(Duration::from_nanos(1));
    assert_eq!(rig.closes, [(a, CloseReason::Expired)], "R-P-3");
    rig.wait(Duration::from_secs(60));
    assert_eq!(rig.closes.len(), 2);
    assert_eq!((rig.figures().expired_total, rig.pool.next_deadline()), (2, None));
}

#[test]
fn r_p_3_an_expired_connection_is_never_handed_out() {
    let mut rig = Rig::new(10, 10);
    let old = rig.get("a");
    rig.finish(old);
    rig.now = Timestamp::from_nanos(30_000_000_000);
    let waiter = rig.ask("a", PLAIN);
    assert_eq!(rig.closes, [(old, CloseReason::Expired)], "R-P-3: no tick came in between");
    assert!(rig.opened_for.contains_key(&waiter));
}

#[test]
fn r_p_3_no_expiry() {
    let mut rig = Rig::with(Limits { keepalive_expiry: None, ..Limits::default() });
    let kept = rig.get("a");
    rig.finish(kept);
    rig.wait(Duration::MAX);
    assert_eq!((rig.pool.next_deadline(), rig.get("a")), (None, kept));
}

#[test]
fn r_p_3_a_clock_that_goes_back_expires_late_but_surely() {
    let mut rig = Rig::new(10, 10);
    rig.now = Timestamp::from_nanos(u64::MAX / 2);
    let connection = rig.get("a");
    rig.finish(connection);
    rig.now = Timestamp::ORIGIN;
    rig.tell(Pool::tick);
    assert_eq!(rig.closes, [], "idleness is never negative");
    rig.wait(Duration::from_secs(30));
    assert_eq!(rig.closes, [(connection, CloseReason::Expired)], "R-P-3");
}

#[test]
fn r_p_4_evicts_the_longest_idle_of_another_origin_when_full() {
    let mut rig = Rig::new(3, 3);
    let [a, b, c] = ["a", "b", "c"].map(|key| rig.get(key));
    rig.finish(b);
    rig.finish(a);
    let waiter = rig.ask("d", PLAIN);
    assert_eq!(rig.closes, [(b, CloseReason::Evicted)], "R-P-4");
    let another = rig.ask("e", PLAIN);
    assert_eq!(rig.closes.len(), 2, "R-P-4: the first place is spoken for");
    let third = rig.ask("f", PLAIN);
    assert_eq!(rig.closes.len(), 2, "a busy connection is never evicted");
    assert_eq!(rig.figures().evicted_total, 2);
    rig.tell(|pool, now| pool.closed(now, a));
    assert!(rig.opened_for.contains_key(&waiter), "R-P-5: the first in line gets it");
    assert!(!rig.opened_for.contains_key(&another));
    rig.tell(|pool, now| pool.closed(now, b));
    assert!(rig.opened_for.contains_key(&another) && !rig.opened_for.contains_key(&third));
    rig.finish(c);
    assert_eq!(rig.closes.last(), Some(&(c, CloseReason::Evicted)), "R-P-4: on release as well");
}

#[test]
fn r_p_4_an_opening_that_nobody_wants_makes_room_too() {
    let mut rig = Rig::new(1, 1);
    let gone = rig.ask("a", PLAIN);
    rig.tell(|pool, now| assert!(pool.withdraw(now, gone, Withdrawal::Dropped)));
    let opening = rig.opened_for[&gone];
    let waiter = rig.ask("b", PLAIN);
    assert_eq!(rig.closes, [(opening, CloseReason::Evicted)], "R-P-4");
    rig.tell(|pool, now| pool.opened_http1(now, opening));
    assert_eq!(rig.uses, [], "the driver was told to close it");
    rig.tell(|pool, now| pool.open_failed(now, opening));
    assert!(rig.opened_for.contains_key(&waiter));
}

#[test]
fn r_p_5_first_come_first_served_over_origins() {
    let mut rig = Rig::new(1, 1);
    let held = rig.get("a");
    let [b, a] = ["b", "a"].map(|key| rig.ask(key, PLAIN));
    rig.finish(held);
    assert_eq!(rig.given(a), None, "R-P-5: the other origin was first");
    rig.sockets_close();
    assert!(rig.opened_for.contains_key(&b) && !rig.opened_for.contains_key(&a));
}

#[test]
fn r_p_5_a_later_request_may_overtake_with_what_an_earlier_one_cannot_use() {
    let mut rig = Rig::new(2, 2);
    let (a, _) = (rig.get("a"), rig.get("b"));
    let first = rig.ask("c", FRESH);
    rig.tell(|pool, now| pool.closing(now, a));
    let second = rig.ask("b", PLAIN);
    assert_eq!((rig.given(first), rig.given(second)), (None, None));
    let b = rig.uses[1].1;
    rig.finish(b);
    assert_eq!(rig.given(second), Some(b), "R-P-5: the place of `a` is for the first");
}

#[test]
fn r_p_5_withdrawals_end_a_request_once_and_are_counted() {
    let mut rig = Rig::new(1, 1);
    let held = rig.get("a");
    let waiters = [0; 4].map(|_| rig.ask("a", PLAIN));
    rig.tell(|pool, now| assert!(pool.withdraw(now, waiters[0], Withdrawal::PoolTimeout)));
    rig.tell(|pool, now| assert!(!pool.withdraw(now, waiters[0], Withdrawal::PoolTimeout)));
    rig.tell(|pool, now| assert!(pool.withdraw(now, waiters[2], Withdrawal::Dropped)));
    assert_eq!((rig.figures().pool_timeouts, rig.figures().waiting), (1, 2), "R-P-5, R-P-9");
    rig.finish(held);
    assert_eq!(rig.given(waiters[1]), Some(held));
    rig.tell(|pool, now| assert!(!pool.withdraw(now, waiters[1], Withdrawal::Dropped)));
    rig.finish(held);
    assert_eq!(rig.given(waiters[3]), Some(held), "R-P-5: nobody is lost");
}

#[test]
fn r_p_5_an_opening_for_nobody_goes_to_who_comes_next() {
    let mut rig = Rig::new(5, 5);
    let gone = rig.ask("a", PLAIN);
    rig.tell(|pool, now| assert!(pool.withdraw(now, gone, Withdrawal::Dropped)));
    let next = rig.ask("a", FRESH);
    assert!(!rig.opened_for.contains_key(&next), "one is being opened already");
    let connection = rig.opened_for[&gone];
    rig.tell(|pool, now| pool.opened_http1(now, connection));
    assert_eq!(rig.uses, [(next, connection, false)], "R-P-5");
    let lone = rig.ask("b", PLAIN);
    rig.tell(|pool, now| assert!(pool.withdraw(now, lone, Withdrawal::Dropped)));
    let connection = rig.opened_for[&lone];
    rig.tell(|pool, now| pool.opened_http1(now, connection));
    assert_eq!(rig.figures().idle, 1, "it does not leak");
}

#[test]
fn r_p_7_the_next_request_waits_for_a_finishing_connection() {
    let mut rig = Rig::new(10, 10);
    let connection = rig.get("a");
    rig.tell(|pool, now| pool.finishing(now, connection));
    let [next, third] = [0; 2].map(|_| rig.ask("a", PLAIN));
    assert!(!rig.opened_for.contains_key(&next), "R-P-7");
    assert!(rig.opened_for.contains_key(&third), "one connection serves one");
    rig.finish(connection);
    assert_eq!(rig.uses.last(), Some(&(next, connection, true)), "R-P-7");
    assert_eq!(rig.figures().reused_total, 1, "R-P-9");
}

#[test]
fn r_p_7_prefers_the_warmest() {
    let mut rig = Rig::new(10, 10);
    let [first, second] = [0; 2].map(|_| rig.get("a"));
    rig.finish(second);
    rig.finish(first);
    assert_eq!(rig.get("a"), first);
}

#[test]
fn r_p_8_unfit_connections_are_closed() {
    let mut rig = Rig::new(10, 10);
    let one = rig.get("a");
    rig.tell(|pool, now| pool.released(now, one, false));
    assert_eq!(rig.closes, [(one, CloseReason::Unusable)], "R-P-8");
    let (_, two) = rig.get2("b", 10);
    rig.ask("b", SHARE);
    rig.tell(|pool, now| pool.released(now, two, false));
    let next = rig.ask("b", SHARE);
    assert!(rig.opened_for.contains_key(&next), "R-P-8: nothing new on it");
    rig.finish(two);
    assert_eq!(rig.closes[1], (two, CloseReason::Unusable));
}

#[test]
fn r_p_9_figures_add_up() {
    let mut rig = Rig::new(4, 4);
    let [idle, _, unfit] = ["a", "b", "c"].map(|key| rig.get(key));
    rig.finish(idle);
    rig.tell(|pool, now| pool.closing(now, unfit));
    rig.ask("d", PLAIN);
    let figures = rig.figures();
    let parts = [figures.idle, figures.connecting, figures.in_use, figures.closing];
    assert_eq!((figures.open, parts, figures.opened_total), (4, [1; 4], 3), "R-P-9");
}

#[test]
fn r_c_6_shutdown_keeps_nothing_and_lets_running_requests_end() {
    let mut rig = Rig::new(3, 3);
    let [idle, busy] = ["a", "b"].map(|key| rig.get(key));
    rig.finish(idle);
    let connecting = rig.ask("c", PLAIN);
    let waiting = rig.ask("b", PLAIN);
    rig.tell(|pool, now| pool.shutdown(now));
    rig.tell(|pool, now| pool.shutdown(now));
    rig.sockets_close();
    let opened = rig.opened_for[&connecting];
    rig.tell(|pool, now| pool.opened_http1(now, opened));
    assert_eq!(rig.given(connecting), Some(opened), "R-C-6");
    rig.finish(busy);
    rig.finish(opened);
    assert_eq!(rig.closes[1..], [busy, opened].map(|id| (id, CloseReason::Shutdown)));
    let last = rig.opened_for[&waiting];
    rig.tell(|pool, now| pool.opened_http1(now, last));
    rig.finish(last);
    rig.sockets_close();
    assert_eq!((rig.figures().open, rig.figures().waiting), (0, 0), "R-C-6");
}

#[test]
fn r_p_1_a_socket_that_is_lost_during_the_opening() {
    let mut rig = Rig::new(1, 1);
    let waiter = rig.ask("a", PLAIN);
    let connection = rig.opened_for[&waiter];
    rig.tell(|pool, now| pool.closed(now, connection));
    rig.tell(|pool, now| pool.closing(now, connection));
    assert_eq!(rig.figures().connecting, 1, "how it ended is still to be said");
    let mut other = Rig { pool: rig.pool.clone(), ..Rig::new(1, 1) };
    rig.tell(|pool, now| pool.open_failed(now, connection));
    assert_eq!(rig.failed, [waiter]);
    other.tell(|pool, now| pool.opened_http1(now, connection));
    assert_eq!(other.uses, [(waiter, connection, false)], "the exchange will fail on it");
    assert_eq!((rig.figures().open, other.figures().open), (0, 0));
}
