//! Time, passed in so that tests can run it faster.

use std::fmt::Debug;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// The source of time.
pub(crate) trait Clock: Debug + Send + Sync {
    /// Monotonic time.
    fn now(&self) -> Instant;
    /// Wall-clock time, to compare with dates in responses.
    fn wall(&self) -> SystemTime;
    /// How long `span` of this clock takes in real time.
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

/// `timeout` from now, or a century if the clock cannot represent that.
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

/// A random number from 0 to 1, so that processes started together do not stay in step. Falls back to the clock if the
/// system has no random bytes: jitter need not be unpredictable.
pub(crate) fn random_fraction() -> f64 {
    let random =
        getrandom::u32().unwrap_or_else(|_| UNIX_EPOCH.elapsed().map_or(0, |since| since.subsec_nanos()));
    f64::from(random) / f64::from(u32::MAX)
}
