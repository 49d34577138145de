//! Time that moves only when nothing else can.

use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use core::task::Waker;
use core::task::{Context, Poll};
use core::time::Duration;
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use redial_client::{BoxFuture, Clock};
use redial_engine::Timestamp;

use super::task::{Ready, lock};
use crate::queue::EventQueue;
use crate::rng::Stream;

/// The wall clock at the origin of time: 2026-01-01, in seconds since 1970.
const EPOCH: u64 = 1_767_225_600;

/// The time of an [`Executor`](super::Executor): its clock, its timers, and its door for new tasks.
///
/// Clones are handles of the same time. It is a [`Clock`], as a transport's is.
#[derive(Clone)]
pub struct VirtualTime {
    shared: Arc<Shared>,
}

struct Shared {
    ready: Arc<Ready>,
    /// Nanoseconds since the origin.
    now: AtomicU64,
    /// By how many nanoseconds the wall clock has been stepped.
    stepped: AtomicI64,
    timers: Mutex<Timers>,
}

impl VirtualTime {
    pub(super) fn new(ready: Arc<Ready>) -> Self {
        let shared = Shared {
            ready,
            now: AtomicU64::new(0),
            stepped: AtomicI64::new(0),
            timers: Mutex::new(Timers::default()),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The time now.
    #[inline]
    pub fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.shared.now.load(Ordering::Relaxed))
    }

    /// How long ago the origin of time is.
    pub fn elapsed(&self) -> Duration {
        self.now().saturating_since(Timestamp::ORIGIN)
    }

    /// Completes after this long; never where that is beyond the clock.
    pub fn sleep(&self, length: Duration) -> Sleep {
        self.sleep_until(self.now().saturating_add(length))
    }

    /// Completes at this time, at once where that is past. [`Timestamp::MAX`] never comes.
    pub fn sleep_until(&self, at: Timestamp) -> Sleep {
        Sleep { time: self.clone(), at, timer: None }
    }

    /// Runs a future in the background, for as long as somebody runs the executor.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(Box::pin(future));
    }

    pub(crate) fn spawn_boxed(&self, future: BoxFuture<'static, ()>) {
        self.shared.ready.spawn(future);
    }

    /// Moves time on without anything happening in between, as when a machine was suspended: what
    /// was to happen meanwhile happens late.
    pub fn jump(&self, length: Duration) {
        let then = self.now().saturating_add(length);
        self.shared.now.store(then.as_nanos(), Ordering::Relaxed);
    }

    /// Steps the wall clock, and nothing else, by so many nanoseconds on or back.
    pub fn step_wall(&self, nanos: i64) {
        let stepped = self.shared.stepped.load(Ordering::Relaxed).saturating_add(nanos);
        self.shared.stepped.store(stepped, Ordering::Relaxed);
    }

    /// Lets every timer that is set from now on fire late, by a time that is drawn up to this one.
    /// No timer ever fires early.
    pub fn make_timers_late(&self, by_up_to: Duration, stream: Stream) {
        lock(&self.shared.timers).late = Some((nanos(by_up_to), stream));
    }

    /// Moves on to the next timer and fires it; `None` where none is set.
    pub(super) fn advance(&self) -> Option<Timestamp> {
        let (at, waker) = lock(&self.shared.timers).fire()?;
        let now = self.now().max(at);
        self.shared.now.store(now.as_nanos(), Ordering::Relaxed);
        waker.wake();
        Some(now)
    }

    /// Forgets every timer: they hold wakers.
    pub(super) fn clear(&self) {
        let timers = core::mem::take(&mut *lock(&self.shared.timers));
        drop(timers);
    }
}

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn wall(&self) -> SystemTime {
        let since = Duration::from_secs(EPOCH).saturating_add(self.elapsed());
        let stepped = self.shared.stepped.load(Ordering::Relaxed);
        let by = Duration::from_nanos(stepped.unsigned_abs());
        let since = if stepped < 0 { since.saturating_sub(by) } else { since.saturating_add(by) };
        // What has no room in the system's own time is its beginning.
        SystemTime::UNIX_EPOCH.checked_add(since).unwrap_or(SystemTime::UNIX_EPOCH)
    }

    fn sleep_until(&self, at: Timestamp) -> BoxFuture<'static, ()> {
        Box::pin(self.sleep_until(at))
    }
}

impl fmt::Debug for VirtualTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("VirtualTime").field(&self.elapsed()).finish()
    }
}

/// Completes at a point in virtual time.
#[derive(Debug)]
#[must_use = "a sleep does nothing until it is waited for"]
pub struct Sleep {
    time: VirtualTime,
    at: Timestamp,
    timer: Option<Key>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.time.now() >= self.at {
            return Poll::Ready(());
        }
        if self.at < Timestamp::MAX {
            let (at, timer) = (self.at, self.timer);
            let set = lock(&self.time.shared.timers).set(at, timer, context.waker());
            self.timer = Some(set);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            let waker = lock(&self.time.shared.timers).cancel(timer);
            drop(waker);
        }
    }
}

/// A timer: its place, and how often the place had been used before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    place: usize,
    generation: u64,
}

/// The timers that are set. One that is cancelled leaves its event behind, which does nothing.
#[derive(Default)]
struct Timers {
    queue: EventQueue<Key>,
    places: Vec<Place>,
    free: Vec<usize>,
    /// By how many nanoseconds at most timers fire late.
    late: Option<(u64, Stream)>,
}

#[derive(Default)]
struct Place {
    generation: u64,
    waker: Option<Waker>,
}

impl Timers {
    /// Sets a timer, or tells one that is set whom to wake.
    fn set(&mut self, at: Timestamp, timer: Option<Key>, waker: &Waker) -> Key {
        if let Some(key) = timer
            && let Some(place) = self.places.get_mut(key.place)
            && place.generation == key.generation
        {
            match &mut place.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return key;
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push(Place::default());
            self.places.len() - 1
        });
        let mut generation = 0;
        if let Some(place) = self.places.get_mut(index) {
            place.waker = Some(waker.clone());
            generation = place.generation;
        }
        let key = Key { place: index, generation };
        let late = self.late.as_mut().map_or(0, |(most, stream)| stream.between(0, *most));
        self.queue.push(Timestamp::from_nanos(at.as_nanos().saturating_add(late)), key);
        key
    }

    /// Frees a timer's place, unless that has happened.
    fn cancel(&mut self, timer: Key) -> Option<Waker> {
        let place = self.places.get_mut(timer.place)?;
        if place.generation != timer.generation {
            return None;
        }
        place.generation += 1;
        self.free.push(timer.place);
        place.waker.take()
    }

    /// Takes the next timer that nobody has cancelled.
    fn fire(&mut self) -> Option<(Timestamp, Waker)> {
        loop {
            let (at, key) = self.queue.pop()?;
            if let Some(waker) = self.cancel(key) {
                return Some((at, waker));
            }
        }
    }
}

/// What fits: 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
