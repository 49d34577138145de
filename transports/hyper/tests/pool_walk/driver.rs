//! A driver that does all that a real one may do, at random, and never lies to the pool.
use redial_engine::Timestamp;
use redial_hyper::pool::{Action, ConnectionId, Limits, Need, Pool, WaiterId, Withdrawal};

use crate::model::{Model, State};

/// A pool, its model, and a generator of choices (splitmix64).
#[derive(Debug)]
pub(crate) struct Walk {
    pool: Pool<u64>,
    model: Model,
    origins: u64,
    random: u64,
    ended: Vec<WaiterId>,
    gone: Vec<ConnectionId>,
}

impl Walk {
    pub(crate) fn new(seed: u64, origins: u64, limits: Limits) -> Self {
        let (pool, model) = (Pool::new(limits), Model::new(limits));
        Self { pool, model, origins, random: seed, ended: Vec::new(), gone: Vec::new() }
    }

    /// One thing happens.
    pub(crate) fn step(&mut self) {
        match self.below(100) {
            0..25 => self.ask(),
            25..31 => self.withdraw(),
            31..37 => self.time_passes(),
            37..40 => self.late_report(),
            _ => self.something_happens_to_a_connection(),
        }
        self.settle();
    }

    /// Everything ends in good order, and nothing is left.
    pub(crate) fn wind_up(&mut self) {
        if self.below(2) == 0 {
            self.pool.shutdown(self.model.now);
            self.model.shut = true;
            self.settle();
        }
        for _ in 0..100_000 {
            if self.model.waiters.is_empty() {
                break;
            }
            self.end_something();
            self.settle();
        }
        assert!(self.model.waiters.is_empty(), "R-P-5: somebody starves");
        self.pool.shutdown(self.model.now);
        self.model.shut = true;
        self.settle();
        while !self.model.connections.is_empty() {
            self.end_something();
            self.settle();
        }
        assert_eq!(self.pool.figures().open, 0);
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.random ^ (self.random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }

    fn settle(&mut self) {
        while let Some(action) = self.pool.poll_action() {
            if let Action::Use { waiter, .. } = action {
                self.ended.push(waiter);
            }
            self.model.acted(action);
        }
        self.model.settle(self.pool.figures(), self.pool.next_deadline());
    }

    fn ask(&mut self) {
        if self.model.waiters.len() > 12 {
            return;
        }
        let key = self.below(self.origins);
        // Even origins may speak HTTP/2; a few requests do not know, or need a fresh connection.
        let may_share = (key.is_multiple_of(2)) != (self.below(20) == 0);
        let need = Need { may_share, fresh: self.below(12) == 0 };
        // Now and then it is seen to that `take` is the beginning of `request`.
        let twin = (self.below(8) == 0).then(|| self.pool.clone());
        let waiter = self.pool.request(self.model.now, &key, need);
        if let Some(twin) = twin {
            takes_what_a_request_gets(twin, self.pool.clone(), waiter, (self.model.now, key, need));
        }
        self.model.asked(waiter, key, need);
    }

    fn withdraw(&mut self) {
        let (count, now) = (self.model.waiters.len() as u64, self.model.now);
        if count == 0 {
            return;
        }
        let chosen = self.below(count) as usize;
        let waiter = *self.model.waiters.keys().nth(chosen).expect("below the count");
        let timed_out = self.below(2) == 0;
        let why = if timed_out { Withdrawal::PoolTimeout } else { Withdrawal::Dropped };
        self.model.withdrew(waiter, why);
        assert!(self.pool.withdraw(now, waiter, why), "{waiter:?} has not ended");
    }

    fn time_passes(&mut self) {
        let nanos = self.model.now.as_nanos();
        let second = 1_000_000_000;
        let then = match self.below(10) {
            0 => nanos.saturating_sub(self.below(100 * second)),
            1 => nanos.saturating_add(self.below(100 * second)),
            _ => nanos.saturating_add(self.below(3 * second)),
        };
        self.model.now = Timestamp::from_nanos(then);
        if let Some(deadline) = self.pool.next_deadline().filter(|_| self.below(4) == 0) {
            self.model.now = deadline;
        }
        self.pool.tick(self.model.now);
    }

    /// Reports about what is gone change nothing.
    fn late_report(&mut self) {
        let now = self.model.now;
        let before = self.pool.figures();
        if let Some(waiter) = self.ended.pop() {
            assert!(!self.pool.withdraw(now, waiter, Withdrawal::PoolTimeout));
        }
        if let Some(id) = self.gone.pop() {
            self.pool.opened_http1(now, id);
            self.pool.opened_http2(now, id, 5);
            self.pool.open_failed(now, id);
            self.pool.finishing(now, id);
            self.pool.released(now, id, true);
            self.pool.draining(now, id);
            self.pool.max_streams(now, id, 0);
            self.pool.closing(now, id);
            self.pool.closed(now, id);
        }
        assert_eq!(before, self.pool.figures());
    }

    fn choose(&mut self) -> Option<(ConnectionId, State)> {
        let count = self.model.connections.len() as u64;
        let chosen = if count == 0 { 0 } else { self.below(count) as usize };
        let mut connections = self.model.connections.iter();
        connections.nth(chosen).map(|(id, connection)| (*id, connection.state.clone()))
    }

    fn something_happens_to_a_connection(&mut self) {
        let Some((id, state)) = self.choose() else { return };
        let chance = self.below(100);
        match state {
            State::Opening { .. } => match chance {
                0..3 => self.lose(id),
                3..15 => self.fail(id),
                15..70 => self.open(id),
                _ => {}
            },
            State::Http1 { busy: true, .. } if chance < 20 => self.finishing(id),
            State::Http1 { .. } | State::Http2 { .. } => match chance {
                0..70 => self.release(id, &state),
                70..80 => self.streams_change(id, &state),
                80..83 => self.goaway(id, &state),
                83..87 => self.fall_out_of_step(id),
                87..90 => self.gone(id),
                _ => {}
            },
            State::Closing { aborted } => match chance {
                0..20 => {}
                // The connecting task did not notice in time that it was told to stop.
                20..40 if aborted => self.pool.opened_http1(self.model.now, id),
                40..70 if aborted => self.fail(id),
                _ => self.gone(id),
            },
        }
    }

    /// Whatever goes on comes to an end; HTTP/2 peers permit a stream.
    fn end_something(&mut self) {
        let Some((id, state)) = self.choose() else { return };
        match state {
            State::Opening { .. } => self.open(id),
            State::Http2 { max: 0, draining: false, .. } => {
                self.max_streams(id, 1);
            }
            State::Http1 { .. } | State::Http2 { .. } => self.release(id, &state),
            State::Closing { .. } => self.gone(id),
        }
    }

    fn open(&mut self, id: ConnectionId) {
        let Some(connection) = self.model.connections.get(&id) else { return };
        let (even, now) = (connection.key.is_multiple_of(2), self.model.now);
        let was_lost = matches!(connection.state, State::Opening { lost: true, .. });
        let http2 = even != (self.below(10) == 0);
        let max = [0, 1, 1, 2, 3, 100, u32::MAX][self.below(7) as usize];
        let state = if was_lost {
            // It is handed to its owner whatever it is, and then it is gone.
            State::Http1 { busy: false, finishing: false }
        } else if http2 {
            State::Http2 { streams: 0, max, draining: false }
        } else {
            State::Http1 { busy: false, finishing: false }
        };
        self.model.opened(id, state);
        if http2 {
            self.pool.opened_http2(now, id, max);
        } else {
            self.pool.opened_http1(now, id);
        }
        if was_lost {
            self.take_what_was_lost(id);
        }
    }

    /// After the opening of a lost connection, its owner is served first, if there is one.
    fn take_what_was_lost(&mut self, id: ConnectionId) {
        let mut others = Vec::new();
        while let Some(action) = self.pool.poll_action() {
            match action {
                Action::Use { connection, .. } if connection == id => self.model.acted(action),
                Action::Close { .. } | Action::Use { .. } | Action::Open { .. } => {
                    others.push(action);
                }
                Action::Fail { .. } => panic!("nothing failed"),
            }
        }
        self.forget(id);
        others.into_iter().for_each(|action| self.model.acted(action));
    }

    fn fail(&mut self, id: ConnectionId) {
        let Some(failed) = self.model.connections.get(&id).cloned() else { return };
        let (now, waiters) = (self.model.now, self.model.waiters.clone());
        self.pool.open_failed(now, id);
        self.forget(id);
        let alone = |id: &ConnectionId| self.model.connections[id].key == failed.key;
        let others = self.model.connections.keys().filter(|id| alone(id)).count();
        let mut owner_failed = false;
        let mut following = Vec::new();
        while let Some(action) = self.pool.poll_action() {
            if let Action::Fail { connection, waiter } = action {
                let State::Opening { owner, may_share, .. } = failed.state else { panic!("twice") };
                let shared = may_share && waiters[&waiter].1.may_share && others < 20;
                assert_eq!((connection, waiters[&waiter].0), (id, failed.key));
                assert!(owner == Some(waiter) || shared, "{waiter:?} had no part in {id:?}");
                owner_failed |= owner == Some(waiter);
            }
            following.push(action);
        }
        if let State::Opening { owner: Some(owner), .. } = failed.state {
            assert!(owner_failed, "R-P-5: {owner:?} never ends");
        }
        following.into_iter().for_each(|action| self.model.acted(action));
    }

    fn lose(&mut self, id: ConnectionId) {
        self.pool.closed(self.model.now, id);
        let connection = self.model.connections.get_mut(&id).expect("chosen");
        if let State::Opening { lost, .. } = &mut connection.state {
            *lost = true;
        }
    }

    fn finishing(&mut self, id: ConnectionId) {
        self.pool.finishing(self.model.now, id);
        let connection = self.model.connections.get_mut(&id).expect("chosen");
        connection.state = State::Http1 { busy: true, finishing: true };
    }

    fn release(&mut self, id: ConnectionId, state: &State) {
        let reusable = self.below(5) > 0;
        let next = match *state {
            State::Http1 { busy: true, .. } => State::Http1 { busy: false, finishing: false },
            State::Http2 { streams: streams @ 1.., max, draining } => {
                State::Http2 { streams: streams - 1, max, draining: draining || !reusable }
            }
            State::Opening { .. }
            | State::Http1 { .. }
            | State::Http2 { .. }
            | State::Closing { .. } => return,
        };
        self.model.connections.get_mut(&id).expect("chosen").state = next;
        self.pool.released(self.model.now, id, reusable);
        let first = self.pool.clone().poll_action();
        let told_to_close =
            matches!(first, Some(Action::Close { connection, .. }) if connection == id);
        let http1 = matches!(state, State::Http1 { .. });
        assert!(reusable || told_to_close || !http1, "R-P-8: out of step, not closed");
    }

    fn streams_change(&mut self, id: ConnectionId, state: &State) {
        let max = [0, 1, 2, 100][self.below(4) as usize];
        if matches!(state, State::Http2 { .. }) {
            self.max_streams(id, max);
        }
    }

    fn max_streams(&mut self, id: ConnectionId, permitted: u32) {
        self.pool.max_streams(self.model.now, id, permitted);
        let connection = self.model.connections.get_mut(&id).expect("chosen");
        if let State::Http2 { max, .. } = &mut connection.state {
            *max = permitted;
        }
    }

    fn goaway(&mut self, id: ConnectionId, state: &State) {
        if let State::Http2 { streams, max, .. } = *state {
            let connection = self.model.connections.get_mut(&id).expect("chosen");
            connection.state = State::Http2 { streams, max, draining: true };
        }
        self.pool.draining(self.model.now, id);
    }

    fn fall_out_of_step(&mut self, id: ConnectionId) {
        self.pool.closing(self.model.now, id);
        self.model.failed(id);
    }

    fn gone(&mut self, id: ConnectionId) {
        self.forget(id);
        self.pool.closed(self.model.now, id);
    }

    fn forget(&mut self, id: ConnectionId) {
        self.model.connections.remove(&id);
        self.gone.push(id);
    }
}

/// Compares taking a connection with what became of the request.
fn takes_what_a_request_gets(
    mut taking: Pool<u64>,
    mut requested: Pool<u64>,
    waiter: WaiterId,
    (now, key, need): (Timestamp, u64, Need),
) {
    let taken = taking.take(now, &key, need);
    let used = core::iter::from_fn(|| requested.poll_action()).find_map(|action| match action {
        Action::Use { connection, waiter: of, reused } if of == waiter => {
            Some((connection, reused))
        }
        Action::Use { .. } | Action::Open { .. } | Action::Fail { .. } | Action::Close { .. } => {
            None
        }
    });
    assert_eq!(taken.map(|taken| (taken.connection, taken.reused)), used);
    if taken.is_some() {
        assert_eq!(taking.figures(), requested.figures());
    }
}
