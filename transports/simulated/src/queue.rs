//! What is to happen, in the order of time: the one clock that a simulation has.

use std::collections::VecDeque;

use redial_engine::Timestamp;

/// Events to come, in the order of their time; of two at the same time, the one that was put in
/// first comes first.
///
/// Its time is that of the event that was taken last, and never goes back. There are no ticks: ten
/// empty years cost as much as ten empty nanoseconds.
///
/// A hierarchy of buckets: an event lies in the level of the highest digit (of six bits) in which
/// its time differs from the queue's, in the bucket of that digit's value. The first bucket of the
/// lowest level that has any holds the next event; taking it spreads the rest of its bucket over
/// lower levels, so that an event is moved at most ten times, mostly two or three, and always
/// together with its neighbours. That order is kept by construction: equal times are always in one
/// bucket, in the order in which they came.
///
/// ```
/// use redial_engine::Timestamp;
/// use redial_sim::EventQueue;
///
/// let mut queue = EventQueue::new();
/// queue.push(Timestamp::from_nanos(20), "late");
/// queue.push(Timestamp::from_nanos(10), "early");
/// assert_eq!(queue.pop(), Some((Timestamp::from_nanos(10), "early")));
/// assert_eq!(queue.now(), Timestamp::from_nanos(10));
/// ```
#[derive(Clone, Debug)]
pub struct EventQueue<T> {
    /// Nanoseconds.
    now: u64,
    /// The events of now.
    due: VecDeque<T>,
    /// Those to come: bucket `level * DIGITS + digit`.
    buckets: Vec<Vec<(u64, T)>>,
    /// For each level, a bit for each of its buckets that is not empty.
    occupied: [u64; LEVELS],
    len: usize,
}

/// The bits of a digit: one word says which of a level's buckets are occupied.
const DIGIT_BITS: u32 = 6;
const DIGITS: usize = 1 << DIGIT_BITS;
/// The digits of a time.
const LEVELS: usize = u64::BITS.div_ceil(DIGIT_BITS) as usize;
/// The room that an empty bucket may keep, in events.
const KEPT_ROOM: usize = 1024;

impl<T> EventQueue<T> {
    /// A queue without events, at the origin of time.
    pub fn new() -> Self {
        let buckets = core::iter::repeat_with(Vec::new).take(LEVELS * DIGITS).collect();
        Self { now: 0, due: VecDeque::new(), buckets, occupied: [0; LEVELS], len: 0 }
    }

    /// The time of the event that was taken last.
    pub const fn now(&self) -> Timestamp {
        Timestamp::from_nanos(self.now)
    }

    /// How many events are to come.
    pub const fn len(&self) -> usize {
        self.len
    }

    /// Whether nothing is to come.
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Puts an event in. One that would lie in the past happens now, after all others of now.
    #[inline]
    pub fn push(&mut self, at: Timestamp, item: T) {
        self.len += 1;
        self.place(at.as_nanos(), item);
    }

    /// Takes the next event, and moves time on to it.
    #[inline]
    pub fn pop(&mut self) -> Option<(Timestamp, T)> {
        let item = match self.due.pop_front() {
            Some(item) => item,
            None => self.advance()?,
        };
        self.len -= 1;
        Some((self.now(), item))
    }

    /// When the next event is. Looks through all events of its bucket.
    pub fn next_at(&self) -> Option<Timestamp> {
        if !self.due.is_empty() {
            return Some(self.now());
        }
        let bucket = self.buckets.get(self.first_bucket()?)?;
        bucket.iter().map(|(at, _)| Timestamp::from_nanos(*at)).min()
    }

    #[inline]
    fn place(&mut self, at: u64, item: T) {
        if at <= self.now {
            self.due.push_back(item);
            return;
        }
        let level = (at ^ self.now).ilog2() / DIGIT_BITS;
        let digit = (at >> (level * DIGIT_BITS)) as usize % DIGITS;
        let level = level as usize;
        #[allow(clippy::indexing_slicing, reason = "a time has LEVELS digits below DIGITS each")]
        {
            self.occupied[level] |= 1 << digit;
            self.buckets[level * DIGITS + digit].push((at, item));
        }
    }

    /// Moves time on to the next event and takes it; others of the same time are due then.
    fn advance(&mut self) -> Option<T> {
        let first = self.first_bucket()?;
        let (level, digit) = (first / DIGITS, first % DIGITS);
        #[allow(clippy::indexing_slicing, reason = "the first bucket is one of its level's")]
        {
            self.occupied[level] &= !(1 << digit);
            let bucket = &mut self.buckets[first];
            if bucket.len() == 1 {
                let (at, item) = bucket.pop()?;
                self.now = at;
                return Some(item);
            }
            let crowd = core::mem::take(bucket);
            let emptied = self.spread(crowd);
            // A crowd that has passed does not hold its memory for ever.
            if emptied.capacity() <= KEPT_ROOM {
                self.buckets[first] = emptied;
            }
        }
        self.due.pop_front()
    }

    /// Moves time on to the first of the crowd, and spreads it over due events and lower levels.
    fn spread(&mut self, mut crowd: Vec<(u64, T)>) -> Vec<(u64, T)> {
        self.now = crowd.iter().map(|(at, _)| *at).min().unwrap_or(self.now);
        for (at, item) in crowd.drain(..) {
            self.place(at, item);
        }
        crowd
    }

    /// The bucket with the next event that is not due.
    #[inline]
    fn first_bucket(&self) -> Option<usize> {
        let level = self.occupied.iter().position(|digits| *digits != 0)?;
        let digits = self.occupied.get(level)?;
        Some(level * DIGITS + digits.trailing_zeros() as usize)
    }
}

impl<T> Default for EventQueue<T> {
    fn default() -> Self {
        Self::new()
    }
}
