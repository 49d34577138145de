//! How far a simulation has come, on a terminal only.

use core::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar of virtual time on standard error; nothing where that is no terminal.
#[derive(Debug)]
pub(super) struct Bar(ProgressBar);

impl Bar {
    /// A bar for so long a time.
    pub(super) fn new(name: &str, length: Duration) -> Self {
        let steps = u64::try_from(length.as_millis()).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(steps), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{prefix:32!} {wide_bar} {percent:>3} %  {msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.set_prefix(name.to_owned());
        Self(bar)
    }

    /// Moves to this time, and says something.
    pub(super) fn to(&self, time: Duration, message: impl FnOnce() -> String) {
        self.0.set_position(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        if !self.0.is_hidden() {
            self.0.set_message(message());
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
