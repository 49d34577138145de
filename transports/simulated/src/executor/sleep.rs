//! Waiting for a point in time.

use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};

use redial_engine::Timestamp;

use super::time::VirtualTime;
use super::timers::Timer;

/// Completes at a point in virtual time.
#[derive(Debug)]
#[must_use = "a sleep does nothing until it is waited for"]
pub struct Sleep {
    time: VirtualTime,
    at: Timestamp,
    timer: Option<Timer>,
}

impl Sleep {
    pub(super) const fn new(time: VirtualTime, at: Timestamp) -> Self {
        Self { time, at, timer: None }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let shared = self.time.shared();
        if shared.now() >= self.at {
            if self.timer.is_some_and(|timer| shared.has_just_fired(timer)) {
                self.timer = None;
            }
            return Poll::Ready(());
        }
        if self.at < Timestamp::MAX {
            let timer = shared.set_timer(self.at, self.timer, context.waker());
            self.timer = Some(timer);
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(timer) = self.timer {
            self.time.shared().cancel_timer(timer);
        }
    }
}
