//! The decisions that HTTP/2 brings: sharing, stream limits, GOAWAY, and what is fresh.
use core::time::Duration;

use redial_hyper::pool::{CloseReason, Figures, Limits, Need, Withdrawal};

use crate::rig::{FRESH, PLAIN, Rig, SHARE};

#[test]
fn r_p_5_busy_http2_makes_room_for_who_would_starve() {
    let mut rig = Rig::new(1, 1);
    let (_, a) = rig.get2("a", 100);
    let starving = rig.ask("b", PLAIN);
    let later = rig.ask("a", SHARE);
    assert_eq!(rig.given(later), None, "R-P-5: it came after the one for `b`");
    rig.finish(a);
    assert_eq!(rig.closes, [(a, CloseReason::Evicted)]);
    rig.sockets_close();
    assert!(rig.opened_for.contains_key(&starving), "R-P-5");
}

#[test]
fn r_p_5_http2_takes_streams_again_when_nobody_needs_its_place() {
    let mut rig = Rig::new(1, 1);
    let (_, a) = rig.get2("a", 100);
    let starving = rig.ask("b", PLAIN);
    let later = rig.ask("a", SHARE);
    rig.tell(|pool, now| assert!(pool.withdraw(now, starving, Withdrawal::PoolTimeout)));
    assert_eq!(rig.given(later), Some(a));
}

#[test]
fn r_p_5_only_one_http2_connection_at_a_time_stops_for_who_would_starve() {
    let mut rig = Rig::new(3, 3);
    let [a, b, c] = ["a", "b", "c"].map(|key| rig.get2(key, 100).1);
    rig.ask("a", SHARE);
    rig.ask("c", SHARE);
    let [_, _] = ["d", "e"].map(|key| rig.ask(key, PLAIN));
    let [to_a, to_b, to_c] = ["a", "b", "c"].map(|key| rig.ask(key, SHARE));
    assert_eq!((rig.given(to_a), rig.given(to_c)), (Some(a), Some(c)));
    assert_eq!(rig.given(to_b), None, "the one with the fewest streams stops: {b:?}");
}

#[test]
fn r_p_5_the_connection_that_stops_is_not_changed_until_it_has_ended() {
    let mut rig = Rig::new(2, 2);
    let [a, b] = ["a", "b"].map(|key| rig.get2(key, 100).1);
    for key in ["a", "b", "b"] {
        rig.ask(key, SHARE);
    }
    rig.ask("c", PLAIN);
    rig.finish(b);
    rig.finish(b);
    let [to_a, to_b] = ["a", "b"].map(|key| rig.ask(key, SHARE));
    assert_eq!((rig.given(to_a), rig.given(to_b)), (None, Some(b)), "R-P-5: {a:?} goes on ending");
}

#[test]
fn r_p_5_who_waits_for_a_first_stream_is_not_evicted_for_later_requests() {
    let mut rig = Rig::new(1, 1);
    let (early, a) = rig.get2("a", 0);
    let starving = rig.ask("b", PLAIN);
    rig.ask("a", SHARE);
    assert_eq!(rig.closes, [], "R-P-5: or `a` and `b` would evict each other for ever");
    rig.tell(|pool, now| assert!(pool.withdraw(now, early, Withdrawal::PoolTimeout)));
    assert_eq!(rig.closes, [(a, CloseReason::Evicted)], "R-P-5: `b` is first now");
    rig.sockets_close();
    assert!(rig.opened_for.contains_key(&starving));
}

#[test]
fn r_p_6_shares_while_opening_and_after() {
    let mut rig = Rig::new(10, 10);
    let waiters = [0; 4].map(|_| rig.ask("a", SHARE));
    assert_eq!(rig.figures().connecting, 1, "R-P-6");
    let connection = rig.opened_for[&waiters[0]];
    rig.tell(|pool, now| pool.opened_http2(now, connection, 3));
    let expected = [(waiters[0], connection, false), (waiters[1], connection, true)];
    assert_eq!(rig.uses[..2], expected);
    assert_eq!(rig.given(waiters[3]), None, "R-P-6: the peer permits three");
    assert_eq!(rig.figures().open, 1, "R-P-6: no second connection for want of a stream");
    rig.finish(connection);
    assert_eq!(rig.given(waiters[3]), Some(connection));
}

#[test]
fn r_p_6_sharing_was_in_vain_with_http1() {
    let mut rig = Rig::new(3, 3);
    let waiters = [0; 4].map(|_| rig.ask("a", SHARE));
    let connection = rig.opened_for[&waiters[0]];
    rig.tell(|pool, now| pool.opened_http1(now, connection));
    assert_eq!(rig.figures().connecting, 1, "the first of them tries again, for all of them");
    assert!(rig.opened_for.contains_key(&waiters[1]), "R-P-5");
    let unshared = rig.ask("a", PLAIN);
    assert!(rig.opened_for.contains_key(&unshared));
}

#[test]
fn r_p_6_no_streams_permitted_means_waiting_not_connecting_again() {
    let limits = Limits { max_keepalive_connections: 0, ..Limits::default() };
    for limits in [Limits::default(), limits] {
        let mut rig = Rig::with(limits);
        let (first, connection) = rig.get2("a", 0);
        let second = rig.ask("a", SHARE);
        rig.wait(Duration::from_secs(3600));
        assert_eq!((rig.figures().open, rig.figures().waiting), (1, 2), "R-P-6");
        assert_eq!((rig.closes.len(), rig.figures().in_use), (0, 1));
        rig.tell(|pool, now| pool.max_streams(now, connection, 1));
        assert_eq!(rig.uses, [(first, connection, false)], "R-P-5: first come");
        rig.tell(|pool, now| assert!(pool.withdraw(now, second, Withdrawal::PoolTimeout)));
        rig.tell(|pool, now| pool.max_streams(now, connection, 0));
        rig.finish(connection);
        assert_eq!(rig.closes.len(), 1, "a connection without streams is not kept idle");
    }
}

#[test]
fn r_p_6_goaway_lets_running_streams_finish() {
    let mut rig = Rig::new(10, 10);
    let (_, old) = rig.get2("a", 10);
    rig.ask("a", SHARE);
    rig.tell(|pool, now| pool.draining(now, old));
    let next = rig.ask("a", SHARE);
    assert_ne!(rig.opened_for[&next], old, "R-P-6: no new streams");
    rig.finish(old);
    assert_eq!(rig.closes, [], "R-P-6: one is still running");
    rig.finish(old);
    assert_eq!(rig.closes, [(old, CloseReason::Unusable)]);
    let (_, idle) = rig.get2("b", 10);
    rig.finish(idle);
    rig.tell(|pool, now| pool.draining(now, idle));
    assert_eq!(rig.closes[1], (idle, CloseReason::Unusable), "R-P-6: at once when idle");
}

#[test]
fn r_p_6_a_shared_opening_that_fails_fails_for_all_who_waited_for_it_alone() {
    let mut rig = Rig::new(10, 10);
    let waiters = [0; 3].map(|_| rig.ask("a", SHARE));
    let connection = rig.opened_for[&waiters[0]];
    rig.tell(|pool, now| pool.open_failed(now, connection));
    assert_eq!(rig.failed, waiters);
    assert_eq!(rig.figures(), Figures::default());

    let busy = rig.get("b");
    let [owner, other] = [0; 2].map(|_| rig.ask("b", SHARE));
    let connection = rig.opened_for[&owner];
    rig.tell(|pool, now| pool.open_failed(now, connection));
    assert_eq!(rig.failed[3..], [owner], "{busy:?} may serve the other");
    assert!(rig.opened_for.contains_key(&other));
}

#[test]
fn r_d_7_fresh_means_opened_after_the_request() {
    let mut rig = Rig::new(2, 2);
    let idle = rig.get("a");
    rig.finish(idle);
    let fresh = rig.ask("a", FRESH);
    let opened = rig.opened_for[&fresh];
    rig.tell(|pool, now| pool.opened_http1(now, opened));
    assert_eq!(rig.uses.last(), Some(&(fresh, opened, false)), "R-D-7");
    let again = rig.ask("a", FRESH);
    assert_eq!(rig.closes, [(idle, CloseReason::Evicted)], "R-D-7: its own origin makes room");
    rig.finish(opened);
    assert_eq!(rig.given(again), None, "R-D-7: used before");
}

#[test]
fn r_d_7_fresh_with_http2() {
    let mut rig = Rig::new(10, 10);
    let (_, old) = rig.get2("a", 10);
    let need = Need { may_share: true, fresh: true };
    let [first, second] = [0; 2].map(|_| rig.ask("a", need));
    assert_eq!(rig.figures().connecting, 1, "R-P-6: they share the fresh one");
    let opened = rig.opened_for[&first];
    rig.tell(|pool, now| pool.opened_http2(now, opened, 10));
    assert_eq!((rig.given(first), rig.given(second)), (Some(opened), Some(opened)), "R-D-7");
    let usual = rig.ask("a", SHARE);
    assert_eq!(rig.given(usual), Some(opened), "the newest is shared, so that {old:?} may end");
}
