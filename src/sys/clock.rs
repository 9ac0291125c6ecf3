//! Time, as an argument.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

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

/// Milliseconds since 1970.
pub(crate) fn unix_ms(clock: &dyn Clock) -> u64 {
    clock
        .wall()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// From 0 to 1, to spread a fleet that does the same at the same time. Without random bytes, the clock's: jitter need
/// not be unpredictable.
pub(crate) fn random_fraction() -> f64 {
    let random =
        getrandom::u32().unwrap_or_else(|_| UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos()));
    f64::from(random) / f64::from(u32::MAX)
}
