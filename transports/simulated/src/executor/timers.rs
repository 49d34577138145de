//! The timers of an executor, and whom they wake.

use core::task::Waker;
use core::time::Duration;

use redial_engine::Timestamp;

use super::tasks::TaskId;
use crate::queue::EventQueue;
use crate::rng::Stream;

/// A timer that was set. No two of an executor have the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Timer {
    place: usize,
    pub(super) number: u64,
}

/// Whom a timer wakes.
pub(super) enum Wakes {
    /// A task of the executor's, which is then polled at once.
    Task(TaskId),
    /// Somebody whom a task polls in its own way, such as one of several futures in a set.
    Other(Waker),
}

/// The timers that are set. One that is cancelled leaves its event behind, which does nothing.
#[derive(Default)]
pub(super) struct Timers {
    queue: EventQueue<Timer>,
    places: Vec<Place>,
    free: Vec<usize>,
    /// How many were set so far.
    set: u64,
    /// By how many nanoseconds at most timers fire late.
    late: Option<(u64, Stream)>,
}

/// Where a timer is kept, from being set until it fires or is cancelled.
#[derive(Default)]
struct Place {
    /// The timer's; none has zero.
    number: u64,
    wakes: Option<Wakes>,
}

impl Timers {
    /// Lets every timer that is set from now on fire late.
    pub(super) fn make_late(&mut self, by_up_to: Duration, stream: Stream) {
        self.late = Some((nanos(by_up_to), stream));
    }

    /// Sets a timer, or tells one that is set whom to wake from now on. Answers whom it would have
    /// woken before.
    pub(super) fn set(
        &mut self,
        at: Timestamp,
        timer: Option<Timer>,
        wakes: Wakes,
    ) -> (Timer, Option<Wakes>) {
        if let Some(timer) = timer
            && let Some(place) = self.places.get_mut(timer.place)
            && place.number == timer.number
        {
            return (timer, place.wakes.replace(wakes));
        }
        self.set += 1;
        let new = Place { number: self.set, wakes: Some(wakes) };
        let place = self.free.pop().unwrap_or(self.places.len());
        match self.places.get_mut(place) {
            Some(free) => *free = new,
            None => self.places.push(new),
        }
        let timer = Timer { place, number: self.set };
        let late = self.late.as_mut().map_or(0, |(most, stream)| stream.between(0, *most));
        self.queue.push(Timestamp::from_nanos(at.as_nanos().saturating_add(late)), timer);
        (timer, None)
    }

    /// Frees a timer's place, unless that has happened.
    pub(super) fn cancel(&mut self, timer: Timer) -> Option<Wakes> {
        let place = self.places.get_mut(timer.place)?;
        if place.number != timer.number {
            return None;
        }
        place.number = 0;
        self.free.push(timer.place);
        place.wakes.take()
    }

    /// Takes the next timer that nobody has cancelled.
    pub(super) fn fire(&mut self) -> Option<(Timestamp, Timer, Wakes)> {
        loop {
            let (at, timer) = self.queue.pop()?;
            if let Some(wakes) = self.cancel(timer) {
                return Some((at, timer, wakes));
            }
        }
    }
}

/// What fits: 584 years.
fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
