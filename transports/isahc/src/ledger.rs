//! How many connections there may be: arithmetic, without a lock or a clock.
//!
//! curl does not say what its cache holds, so that what is counted here is a bound from above. It
//! is exact where every request says truly whether its connection was opened for it.

use redial_client::PoolLimits;

/// Which handle a request goes over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// The one that keeps connections.
    Kept,
    /// The one on which a connection serves one request.
    Fresh,
}

/// What may be done for the request at the head of the queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It may start.
    Start,
    /// It may start when every idle connection has been closed, which is possible now.
    StartAfterClosingIdle,
    /// It has to wait.
    Wait,
}

/// What became of the connection that a request went over.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Fate {
    /// It had served another request before.
    pub(crate) reused: bool,
    /// It is certainly closed.
    pub(crate) gone: bool,
}

/// One handle that keeps connections, by its number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Generation(u64);

/// Where a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a handle that keeps connections: the present one, or one that has been replaced.
    Kept(Generation),
    /// On the other.
    Fresh,
}

/// What is on one handle that keeps connections.
#[derive(Clone, Copy, Debug, Default)]
struct Kept {
    generation: Generation,
    requests: usize,
    idle: usize,
}

/// Connections in use on every handle, and the most that may be idle.
#[derive(Clone, Debug)]
pub(crate) struct Ledger {
    max: usize,
    max_idle: usize,
    fresh: usize,
    present: Kept,
    /// Those that take no further request, and close with the last that is on them. Each has one,
    /// so that there are at most as many as there may be connections.
    former: Vec<Kept>,
}

impl Ledger {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        let max_idle = limits.max_keepalive_connections.min(limits.max_connections);
        let present = Kept::default();
        Self { max: limits.max_connections, max_idle, fresh: 0, present, former: Vec::new() }
    }

    pub(crate) fn in_use(&self) -> usize {
        let former: usize = self.former.iter().map(|kept| kept.requests).sum();
        self.fresh + self.present.requests + former
    }

    /// How many are kept for a request to come.
    pub(crate) const fn idle(&self) -> usize {
        self.present.idle
    }

    /// How many have no request on them, and will have none: they close with those in use beside
    /// them.
    pub(crate) fn closing(&self) -> usize {
        self.former.iter().map(|kept| kept.idle).sum()
    }

    /// How many requests are on the present handle that keeps connections.
    pub(crate) const fn kept(&self) -> usize {
        self.present.requests
    }

    /// Whether nothing is on the present handle that keeps connections, so that it can be closed.
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.present.requests == 0
    }

    /// Whether the request is on the present handle, or one that keeps nothing.
    pub(crate) fn is_present(&self, place: Place) -> bool {
        place == Place::Kept(self.present.generation)
    }

    pub(crate) fn judge(&self, lane: Lane) -> Verdict {
        let (in_use, closing) = (self.in_use(), self.closing());
        if in_use >= self.max {
            return Verdict::Wait;
        }
        // curl makes room by itself on the handle that keeps connections, whose limit is the same,
        // as long as nothing is on any other.
        let own_room = lane == Lane::Kept && self.fresh == 0 && self.former.is_empty();
        if own_room || in_use + closing + self.idle() < self.max {
            Verdict::Start
        } else if self.is_at_rest() && in_use + closing < self.max {
            Verdict::StartAfterClosingIdle
        } else {
            Verdict::Wait
        }
    }

    pub(crate) const fn start(&mut self, lane: Lane) -> Place {
        match lane {
            Lane::Kept => {
                self.present.requests += 1;
                Place::Kept(self.present.generation)
            }
            Lane::Fresh => {
                self.fresh += 1;
                Place::Fresh
            }
        }
    }

    pub(crate) fn end(&mut self, place: Place, fate: Fate) {
        let Place::Kept(generation) = place else {
            self.fresh = self.fresh.saturating_sub(1);
            return;
        };
        let mut all = core::iter::once(&mut self.present).chain(&mut self.former);
        if let Some(kept) = all.find(|kept| kept.generation == generation) {
            kept.requests = kept.requests.saturating_sub(1);
            let left = kept.idle.saturating_sub(usize::from(fate.reused));
            // curl closes the oldest idle connection where there would be more.
            kept.idle = self.max_idle.min(left + usize::from(!fate.gone));
        }
        self.former.retain(|kept| kept.requests > 0);
    }

    /// The present handle takes no further request: it closes with the last that is on it.
    pub(crate) fn retire(&mut self) {
        // As long as it was the only one, curl has kept its sum within the limit.
        let most = self.max.saturating_sub(self.present.requests);
        self.present.idle = self.present.idle.min(most);
        let generation = Generation(self.present.generation.0.wrapping_add(1));
        let next = Kept { generation, ..Kept::default() };
        let former = core::mem::replace(&mut self.present, next);
        if former.requests > 0 {
            self.former.push(former);
        }
    }

    /// Every idle connection of the present handle has been closed: how many there were at most.
    pub(crate) const fn close_idle(&mut self) -> usize {
        core::mem::replace(&mut self.present.idle, 0)
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test fails by panicking")]
mod tests {
    use super::*;

    fn ledger(max: usize, idle: usize) -> Ledger {
        Ledger::new(PoolLimits {
            max_connections: max,
            max_keepalive_connections: idle,
            keepalive_expiry: None,
        })
    }

    const OPENED: Fate = Fate { reused: false, gone: false };
    const REUSED: Fate = Fate { reused: true, gone: false };
    const GONE: Fate = Fate { reused: false, gone: true };

    #[test]
    fn sequential_requests_on_one_connection_count_it_once() {
        let mut ledger = ledger(2, 2);
        for fate in [OPENED, REUSED, REUSED] {
            assert_eq!(ledger.judge(Lane::Kept), Verdict::Start);
            let place = ledger.start(Lane::Kept);
            ledger.end(place, fate);
            assert_eq!((ledger.in_use(), ledger.idle()), (0, 1));
        }
    }

    #[test]
    fn an_idle_connection_makes_room_only_where_it_can_be_closed() {
        let mut ledger = ledger(2, 2);
        let places = [ledger.start(Lane::Kept), ledger.start(Lane::Kept)];
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::Wait);
        ledger.end(places[0], OPENED);
        // The other request on that handle keeps it from being closed.
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::Wait);
        assert_eq!(ledger.judge(Lane::Kept), Verdict::Start);
        ledger.end(places[1], OPENED);
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::StartAfterClosingIdle);
        assert_eq!(ledger.close_idle(), 2);
        ledger.start(Lane::Fresh);
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::Start);
        assert_eq!(ledger.judge(Lane::Kept), Verdict::Start);
    }

    #[test]
    fn a_handle_that_was_replaced_counts_until_its_last_request_ends() {
        let mut ledger = ledger(3, 3);
        let places = [ledger.start(Lane::Kept), ledger.start(Lane::Kept)];
        ledger.end(places[0], OPENED);
        ledger.retire();
        assert!(!ledger.is_present(places[1]) && ledger.is_at_rest());
        assert_eq!((ledger.in_use(), ledger.idle(), ledger.closing()), (1, 0, 1));
        let third = ledger.start(Lane::Kept);
        assert!(ledger.is_present(third));
        // Its idle connection is none that curl could close to make room on the new handle.
        assert_eq!(ledger.judge(Lane::Kept), Verdict::Wait);
        ledger.end(places[1], OPENED);
        assert_eq!((ledger.in_use(), ledger.idle(), ledger.closing()), (1, 0, 0));
        // One on which nothing is leaves nothing.
        ledger.end(third, GONE);
        ledger.retire();
        assert!(ledger.former.is_empty());
    }

    #[test]
    fn what_is_in_use_and_idle_never_exceeds_the_limit() {
        // Every sequence of six steps over a small ledger, by its number in base nine.
        for sequence in 0..9_usize.pow(6) {
            let mut model = Model { ledger: ledger(3, 2), places: Vec::new() };
            let mut steps = sequence;
            for _ in 0..6 {
                model.step(steps % 9);
                steps /= 9;
                model.check();
            }
        }
    }

    /// A ledger, and where the requests are that have begun.
    struct Model {
        ledger: Ledger,
        places: Vec<Place>,
    }

    impl Model {
        fn step(&mut self, step: usize) {
            let fates = [OPENED, REUSED, GONE, Fate { reused: true, gone: true }];
            match step {
                0 | 1 => self.begin(if step == 0 { Lane::Kept } else { Lane::Fresh }),
                // The oldest request ends, or the newest.
                2..=5 if !self.places.is_empty() => {
                    let place = self.places.remove(0);
                    self.ledger.end(place, fates[step - 2]);
                }
                6 | 7 => {
                    if let Some(place) = self.places.pop() {
                        self.ledger.end(place, fates[step - 6]);
                    }
                }
                8 => self.ledger.retire(),
                _ => {}
            }
        }

        fn begin(&mut self, lane: Lane) {
            match self.ledger.judge(lane) {
                Verdict::Wait => return,
                Verdict::Start => {}
                Verdict::StartAfterClosingIdle => {
                    assert!(self.ledger.is_at_rest());
                    let _ = self.ledger.close_idle();
                }
            }
            self.places.push(self.ledger.start(lane));
        }

        fn check(&self) {
            let ledger = &self.ledger;
            assert_eq!(ledger.in_use(), self.places.len());
            assert!(ledger.in_use() <= 3 && ledger.idle() <= 2, "R-P-1, R-P-2: {ledger:?}");
            // Where there is one handle alone, curl itself sees to the sum.
            let alone = ledger.fresh == 0 && ledger.former.is_empty();
            let open = ledger.in_use() + ledger.idle() + ledger.closing();
            assert!(open <= 3 || alone, "R-P-1: {ledger:?}");
        }
    }
}
