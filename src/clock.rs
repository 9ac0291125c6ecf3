//! Time, as an argument.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime};

/// Where the runtime takes time from.
pub(crate) trait Clock: Debug + Send + Sync {
    /// A time that never goes back.
    fn now(&self) -> Instant;
    /// The time of day, for dates that servers send.
    fn wall(&self) -> SystemTime;
    /// How long to wait, on the machine's clock, for `span` to pass on this one.
    fn wait_for(&self, span: Duration) -> Duration;
}

/// The machine's clock.
#[derive(Debug)]
pub(crate) struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Instant {
        Instant::now()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::now()
    }

    fn wait_for(&self, span: Duration) -> Duration {
        span
    }
}

/// `timeout` from now; for a timeout beyond what the clock can tell, a century.
pub(crate) fn deadline(timeout: Duration) -> Instant {
    const CENTURY: Duration = Duration::from_secs(100 * 365 * 24 * 60 * 60);
    Instant::now().checked_add(timeout).unwrap_or_else(|| Instant::now() + CENTURY)
}
