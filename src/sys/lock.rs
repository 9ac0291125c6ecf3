//! Locks without poison: a panic on one thread must not make the calls of all others panic.

use std::sync::PoisonError;
use std::time::Instant;

use crate::sys::sync::{Condvar, Mutex, MutexGuard};

/// Locks `mutex`, even if a thread panicked while it held the lock.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until `condvar` is notified; `None` if `deadline` has passed, and the lock is released. It may also return for
/// no reason, as any condition variable may, so callers check their condition in a loop.
pub(crate) fn wait_until<'m, T>(
    condvar: &Condvar,
    guard: MutexGuard<'m, T>,
    deadline: Instant,
) -> Option<MutexGuard<'m, T>> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return None;
    }
    Some(condvar.wait_timeout(guard, left).unwrap_or_else(PoisonError::into_inner).0)
}
