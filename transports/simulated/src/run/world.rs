//! What everything in a run shares: the referee, and whose turn it is.

use core::future::poll_fn;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use core::task::{Poll, Waker};
use std::sync::{Arc, Mutex, MutexGuard};

use redial_client::{AttemptRecord, CallEnd, CallInfo, Observer, Wait};
use redial_engine::{GiveUp, Timestamp};

use crate::executor::{VirtualTime, lock};
use crate::referee::{Coverage, Invariant, Referee, Violation};
use crate::scenario::{Fault, FaultPlan, Scenario};
use crate::trace::Trace;

/// No call at all.
pub(super) const NOBODY: u32 = u32::MAX;

/// The world of one run.
pub(crate) struct World {
    time: VirtualTime,
    scenario: Scenario,
    faults: Faults,
    /// Whose future is being polled.
    current: AtomicU32,
    /// Whether nothing goes wrong any more.
    calm: AtomicBool,
    inner: Mutex<Inner>,
}

pub(super) struct Inner {
    pub(super) referee: Referee,
    /// How many calls are not over.
    open: usize,
    waiting: Option<Waker>,
    /// The send that is being handed to the transport: a call, and which of its sends.
    pub(super) sending: (u32, u32),
}

impl World {
    pub(super) fn new(scenario: &Scenario, trace: Trace, time: VirtualTime) -> Arc<Self> {
        let inner = Inner {
            referee: Referee::new(scenario, trace),
            open: scenario.calls.len(),
            waiting: None,
            sending: (NOBODY, 0),
        };
        let current = AtomicU32::new(NOBODY);
        let calm = AtomicBool::new(false);
        let (scenario, inner) = (scenario.clone(), Mutex::new(inner));
        let faults = Faults::of(&scenario);
        Arc::new(Self { time, scenario, faults, current, calm, inner })
    }

    pub(crate) const fn time(&self) -> &VirtualTime {
        &self.time
    }

    pub(crate) const fn scenario(&self) -> &Scenario {
        &self.scenario
    }

    pub(super) fn now(&self) -> Timestamp {
        self.time.now()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        lock(&self.inner)
    }

    /// The call whose future is being polled.
    pub(super) fn current(&self) -> u32 {
        self.current.load(Ordering::Relaxed)
    }

    /// From here on, until this is dropped, what is polled is polled on behalf of a call.
    pub(super) fn turn_of(&self, call: u32) -> Turn<'_> {
        self.current.store(call, Ordering::Relaxed);
        Turn(self)
    }

    /// What strikes this send, if anything.
    pub(super) fn fault(&self, call: u32, send: u32) -> Option<Fault> {
        self.faults.find(call, send)
    }

    /// From here on nothing goes wrong any more.
    pub(super) fn calm_down(&self) {
        self.calm.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(super) fn violated(&self, invariant: Invariant, what: String) {
        let mut inner = self.lock();
        inner.referee.violated(invariant, None, what);
        inner.tell();
    }

    pub(super) fn is_violated(&self) -> bool {
        self.lock().referee.is_violated()
    }

    /// Completes when every call is over, or one has done what it must not.
    pub(super) fn all_over(&self) -> impl Future<Output = ()> {
        poll_fn(|context| {
            let mut inner = self.lock();
            if inner.open == 0 || inner.referee.is_violated() {
                return Poll::Ready(());
            }
            inner.waiting = Some(context.waker().clone());
            Poll::Pending
        })
    }

    /// What came of it all. Whoever else still holds the world hears nothing any more.
    pub(super) fn finish(&self) -> (Trace, Coverage, Option<Violation>) {
        let mut inner = self.lock();
        let blank = Referee::new(&Scenario::BLANK, Trace::hashed());
        let mut referee = core::mem::replace(&mut inner.referee, blank);
        if !referee.is_violated() {
            referee.all_over();
        }
        referee.finish()
    }
}

/// The time in which something is polled on behalf of a call.
pub(super) struct Turn<'a>(&'a World);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.current.store(NOBODY, Ordering::Relaxed);
    }
}

/// The faults of a scenario, where they are found at once.
struct Faults {
    /// Those of each call together.
    plans: Vec<FaultPlan>,
    /// Where those of each call end, and those of the next begin.
    ends: Vec<usize>,
}

impl Faults {
    fn of(scenario: &Scenario) -> Self {
        let mut plans = scenario.faults.clone();
        // Of two for the same send the one that was written first stays the first.
        plans.sort_by_key(|plan| plan.call);
        let mut ends = Vec::with_capacity(scenario.calls.len());
        let mut end = 0;
        for call in (0..).take(scenario.calls.len()) {
            let rest = plans.iter().skip(end);
            end += rest.take_while(|plan| plan.call == call).count();
            ends.push(end);
        }
        Self { plans, ends }
    }

    fn find(&self, call: u32, send: u32) -> Option<Fault> {
        let call = call as usize;
        let from = call.checked_sub(1).map_or(Some(0), |before| self.ends.get(before).copied())?;
        let plans = self.plans.get(from..*self.ends.get(call)?)?;
        plans.iter().find(|plan| plan.send == send).map(|plan| plan.fault)
    }
}

impl Inner {
    /// A call is over.
    pub(super) fn over(&mut self) {
        self.open -= 1;
        self.tell();
    }

    /// Wakes whoever waits for the end.
    pub(super) fn tell(&mut self) {
        if (self.open == 0 || self.referee.is_violated())
            && let Some(waiting) = self.waiting.take()
        {
            waiting.wake();
        }
    }
}

/// What the client says of its calls. It says it while their futures are polled.
impl Observer for World {
    fn attempt(&self, _: &CallInfo<'_>, attempt: &AttemptRecord) {
        let (call, now) = (self.current(), self.now());
        if call != NOBODY {
            let mut inner = self.lock();
            let send = inner.referee.sends(call);
            let fault = self.fault(call, send);
            inner.referee.attempt(call, attempt, fault, now);
            inner.tell();
        }
    }

    fn wait(&self, _: &CallInfo<'_>, wait: &Wait) {
        let (call, now) = (self.current(), self.now());
        if call != NOBODY {
            let mut inner = self.lock();
            inner.referee.waits(call, wait, now);
            inner.tell();
        }
    }

    fn give_up(&self, _: &CallInfo<'_>, why: GiveUp) {
        let (call, now) = (self.current(), self.now());
        if call != NOBODY {
            let mut inner = self.lock();
            inner.referee.gives_up(call, why, now);
            inner.tell();
        }
    }

    fn end(&self, _: &CallInfo<'_>, end: &CallEnd<'_>) {
        let (call, now) = (self.current(), self.now());
        if call != NOBODY {
            let mut inner = self.lock();
            inner.referee.ends(call, end, now);
            inner.tell();
        }
    }
}
