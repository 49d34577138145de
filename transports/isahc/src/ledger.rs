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

/// Connections in use on either handle, and the most that may be idle.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ledger {
    max: usize,
    max_idle: usize,
    kept: usize,
    fresh: usize,
    idle: usize,
    /// Whether a former handle may still have connections, of which curl's own limit knows nothing.
    replaced: bool,
}

impl Ledger {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        let max_idle = limits.max_keepalive_connections.min(limits.max_connections);
        Self { max: limits.max_connections, max_idle, kept: 0, fresh: 0, idle: 0, replaced: false }
    }

    pub(crate) const fn in_use(&self) -> usize {
        self.kept + self.fresh
    }

    pub(crate) const fn idle(&self) -> usize {
        self.idle
    }

    /// Whether no request is on the handle that keeps connections, so that it can be replaced.
    pub(crate) const fn is_at_rest(&self) -> bool {
        self.kept == 0
    }

    pub(crate) const fn judge(&self, lane: Lane) -> Verdict {
        if self.in_use() >= self.max {
            return Verdict::Wait;
        }
        // curl makes room by itself on the handle that keeps connections, whose limit is the same,
        // as long as nothing is on any other.
        let own_room = matches!(lane, Lane::Kept) && self.fresh == 0 && !self.replaced;
        if own_room || self.in_use() + self.idle < self.max {
            Verdict::Start
        } else if self.is_at_rest() {
            Verdict::StartAfterClosingIdle
        } else {
            Verdict::Wait
        }
    }

    pub(crate) const fn start(&mut self, lane: Lane) {
        match lane {
            Lane::Kept => self.kept += 1,
            Lane::Fresh => self.fresh += 1,
        }
    }

    pub(crate) fn end(&mut self, lane: Lane, fate: Fate) {
        match lane {
            Lane::Fresh => self.fresh = self.fresh.saturating_sub(1),
            Lane::Kept => {
                self.kept = self.kept.saturating_sub(1);
                let left = self.idle.saturating_sub(usize::from(fate.reused));
                // curl closes the oldest idle connection where there would be more.
                self.idle = self.max_idle.min(left + usize::from(!fate.gone));
            }
        }
    }

    /// The handle that keeps connections is replaced by another, while requests are on it.
    pub(crate) const fn replace(&mut self) {
        self.replaced = true;
    }

    /// Every idle connection has been closed: how many there were at most.
    pub(crate) const fn close_idle(&mut self) -> usize {
        self.replaced = false;
        core::mem::replace(&mut self.idle, 0)
    }
}

#[cfg(test)]
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
            ledger.start(Lane::Kept);
            ledger.end(Lane::Kept, fate);
            assert_eq!((ledger.in_use(), ledger.idle()), (0, 1));
        }
    }

    #[test]
    fn an_idle_connection_makes_room_only_where_it_can_be_closed() {
        let mut ledger = ledger(2, 2);
        for _ in 0..2 {
            ledger.start(Lane::Kept);
        }
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::Wait);
        ledger.end(Lane::Kept, OPENED);
        // The other request on that handle keeps it from being replaced.
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::Wait);
        assert_eq!(ledger.judge(Lane::Kept), Verdict::Start);
        ledger.end(Lane::Kept, OPENED);
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::StartAfterClosingIdle);
        assert_eq!(ledger.close_idle(), 2);
        ledger.start(Lane::Fresh);
        assert_eq!(ledger.judge(Lane::Fresh), Verdict::Start);
        assert_eq!(ledger.judge(Lane::Kept), Verdict::Start);
    }

    #[test]
    fn what_is_in_use_and_idle_never_exceeds_the_limit() {
        let fates = [OPENED, REUSED, GONE, Fate { reused: true, gone: true }];
        // Every sequence of eight steps over a small ledger, by its number in base six.
        for sequence in 0..6_usize.pow(8) {
            let mut ledger = ledger(3, 2);
            let mut steps = sequence;
            for _ in 0..8 {
                step(&mut ledger, steps % 6, &fates);
                steps /= 6;
                assert!(ledger.in_use() <= 3 && ledger.idle() <= 2, "R-P-1, R-P-2");
                let bound = ledger.in_use() + ledger.idle();
                assert!(bound <= 3 || ledger.fresh == 0, "R-P-1: {ledger:?}");
            }
        }
    }

    fn step(ledger: &mut Ledger, step: usize, fates: &[Fate; 4]) {
        match (step, ledger.kept, ledger.fresh) {
            (0 | 1, ..) => {
                let lane = if step == 0 { Lane::Kept } else { Lane::Fresh };
                match ledger.judge(lane) {
                    Verdict::Wait => return,
                    Verdict::Start => {}
                    Verdict::StartAfterClosingIdle => {
                        assert!(ledger.is_at_rest());
                        let _ = ledger.close_idle();
                    }
                }
                ledger.start(lane);
            }
            (5, _, 1..) => ledger.end(Lane::Fresh, OPENED),
            (2..=4, 1.., _) => ledger.end(Lane::Kept, fates[step - 2]),
            _ => {}
        }
    }
}
