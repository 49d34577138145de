//! The bounds within which a scenario means something: what the referee takes for granted.
//!
//! Beyond them a run would break rules that no client has broken, so a line from outside is
//! refused where it leaves them.

use super::text::Unreadable;
use super::{Fault, Level, Scenario};

/// The longest body of a request, in bytes.
const LONGEST_BODY: u32 = 8_000;
/// The longest that a message may take, in milliseconds: no timeout is to come before it.
const SLOWEST: u32 = 1_000;
/// The longest that timers may be late, in milliseconds: what is late is to be so by little.
const LATEST: u32 = 100;

impl Scenario {
    /// Says what was expected, where something is beyond its bounds.
    pub(super) fn check(&self) -> Result<(), Unreadable> {
        let budget = self.budget.is_none_or(|plan| plan.budget().is_ok());
        let bodies = self.calls.iter().all(|call| call.body <= LONGEST_BODY);
        let trusted = self.level == Level::Messages
            || self.faults.iter().all(|plan| plan.fault != Fault::Untrusted);
        let statuses = self.faults.iter().all(|plan| (200..1000).contains(&plan.fault.status()));
        for (holds, expected) in [
            (self.policy.policy().is_ok(), "attempts, backoff, jitter and also of a valid policy"),
            (budget, "a valid budget"),
            (self.connections > 0 && self.idle > 0, "1 or more connections, in use and idle"),
            (self.latency <= SLOWEST, "a latency of at most 1000"),
            (self.late <= LATEST, "timers that are at most 100 late"),
            (bodies, "bodies of at most 8000 bytes"),
            (statuses, "a status of 200 to 999"),
            (trusted, "a server that is untrusted at the level of messages alone"),
        ] {
            if !holds {
                return Err(Unreadable(expected));
            }
        }
        Ok(())
    }
}
