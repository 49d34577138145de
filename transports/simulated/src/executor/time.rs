//! Time that moves only when nothing else can.

use core::fmt;
use core::future::Future;
use core::time::Duration;
use std::sync::Arc;
use std::time::SystemTime;

use redial_client::{BoxFuture, Clock};
use redial_engine::Timestamp;

use super::agenda::Shared;
use super::sleep::Sleep;
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

impl VirtualTime {
    pub(super) fn new() -> Self {
        Self { shared: Arc::default() }
    }

    pub(super) const fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// The time now.
    #[inline]
    pub fn now(&self) -> Timestamp {
        self.shared.now()
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
        Sleep::new(self.clone(), at)
    }

    /// Runs a future in the background, for as long as somebody runs the executor.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawn_boxed(Box::pin(future));
    }

    pub(crate) fn spawn_boxed(&self, future: BoxFuture<'static, ()>) {
        self.shared.spawn(future);
    }

    /// Moves time on without anything happening in between, as when a machine was suspended: what
    /// was to happen meanwhile happens late.
    pub fn jump(&self, length: Duration) {
        self.shared.set_now(self.now().saturating_add(length));
    }

    /// Steps the wall clock, and nothing else, by so many nanoseconds on or back.
    pub fn step_wall(&self, nanos: i64) {
        self.shared.step(nanos);
    }

    /// Lets every timer that is set from now on fire late, by a time that is drawn up to this one.
    /// No timer ever fires early.
    pub fn make_timers_late(&self, by_up_to: Duration, stream: Stream) {
        self.shared.with_timers(|timers| timers.make_late(by_up_to, stream));
    }
}

impl Clock for VirtualTime {
    fn now(&self) -> Timestamp {
        self.now()
    }

    fn wall(&self) -> SystemTime {
        let since = Duration::from_secs(EPOCH).saturating_add(self.elapsed());
        let stepped = self.shared.stepped();
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
