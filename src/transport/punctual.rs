//! Reads that end at their time limit. Linux keeps the timeouts of sockets in a timer wheel that gets coarser the longer the timeout,
//! so a read may end up to an eighth late.

use std::fmt;
use std::io;
use std::sync::Arc;

use ureq::Error;
use ureq::unversioned::transport::time::{Duration, Instant};
use ureq::unversioned::transport::{Buffers, ConnectionDetails, Connector, NextTimeout, Transport};

/// The wheel keeps timeouts of up to 64 ticks exactly, and there are at most 1,000 ticks in a second.
const EXACT: std::time::Duration = std::time::Duration::from_millis(60);

/// Wraps the connections of what comes before it.
#[derive(Debug)]
pub(super) struct Punctual;

impl<In: Transport> Connector<In> for Punctual {
    type Out = Timed<In>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Timed<In>>, Error> {
        Ok(chained.map(|transport| Timed { transport, now: details.current_time.clone() }))
    }
}

pub(super) struct Timed<T> {
    transport: T,
    now: Arc<dyn Fn() -> Instant + Send + Sync>,
}

impl<T: Transport> Transport for Timed<T> {
    fn buffers(&mut self) -> &mut dyn Buffers {
        self.transport.buffers()
    }

    fn transmit_output(&mut self, amount: usize, timeout: NextTimeout) -> Result<(), Error> {
        self.transport.transmit_output(amount, timeout)
    }

    fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
        let (Duration::Exact(limit), Instant::Exact(begun)) = (timeout.after, (self.now)()) else {
            return self.transport.await_input(timeout);
        };
        let mut left = limit;
        loop {
            // Even an eighth later, this ends within the limit.
            let part = if left > EXACT { left - left / 8 } else { left };
            let read = self.transport.await_input(NextTimeout { after: Duration::Exact(part), ..timeout });
            match read {
                Err(error) if part < left && is_timeout(&error) => {}
                other => return other,
            }
            if let Instant::Exact(now) = (self.now)() {
                left = limit.saturating_sub(now.saturating_duration_since(begun));
            }
            // Not passed on: `NextTimeout::not_zero` turns zero into a second.
            if left.is_zero() {
                return Err(Error::Timeout(timeout.reason));
            }
        }
    }

    fn is_open(&mut self) -> bool {
        self.transport.is_open()
    }

    fn is_tls(&self) -> bool {
        self.transport.is_tls()
    }
}

fn is_timeout(error: &Error) -> bool {
    match error {
        Error::Timeout(_) => true,
        Error::Io(error) => error.kind() == io::ErrorKind::TimedOut,
        _ => false,
    }
}

impl<T: fmt::Debug> fmt::Debug for Timed<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.transport.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use std::time;

    use ureq::unversioned::transport::LazyBuffers;

    use super::*;
    use crate::sys::lock::lock;
    use crate::sys::sync::Mutex;

    /// A socket without input, whose reads end too late by this part of their time.
    #[derive(Debug)]
    struct Late {
        buffers: LazyBuffers,
        clock: Arc<Mutex<time::Instant>>,
        part: f64,
    }

    impl Transport for Late {
        fn buffers(&mut self) -> &mut dyn Buffers {
            &mut self.buffers
        }

        fn transmit_output(&mut self, _: usize, _: NextTimeout) -> Result<(), Error> {
            Ok(())
        }

        fn await_input(&mut self, timeout: NextTimeout) -> Result<bool, Error> {
            let limit = timeout.not_zero().map_or(time::Duration::MAX, |limit| *limit);
            *lock(&self.clock) += limit.mul_f64(1.0 + self.part);
            Err(Error::Timeout(timeout.reason))
        }

        fn is_open(&mut self) -> bool {
            true
        }
    }

    /// How long a read with this limit takes.
    fn took(limit: time::Duration, part: f64) -> time::Duration {
        let begun = time::Instant::now();
        let clock = Arc::new(Mutex::new(begun));
        let shown = clock.clone();
        let mut timed = Timed {
            transport: Late { buffers: LazyBuffers::new(1, 1), clock: clock.clone(), part },
            now: Arc::new(move || Instant::Exact(*lock(&shown))),
        };
        let timeout = NextTimeout { after: Duration::Exact(limit), ..NextTimeout::default() };
        assert!(matches!(timed.await_input(timeout), Err(Error::Timeout(_))));
        *lock(&clock) - begun
    }

    #[test]
    fn a_read_ends_in_time_although_the_system_is_late() {
        for limit in [1, 50, 60, 61, 100, 900, 10_000, 600_000].map(time::Duration::from_millis) {
            let took = took(limit, 0.125);
            assert!(took >= limit && took <= limit + EXACT / 8, "{took:?} of {limit:?}");
        }
    }

    #[test]
    fn a_read_that_ends_after_the_limit_is_not_repeated() {
        let took = took(time::Duration::from_millis(800), 1.0);
        assert_eq!(took, time::Duration::from_millis(1400));
    }
}
