//! The child of a fork: it has the client's memory but not its threads, so it replaces the runtime.

use std::sync::Arc;

use super::Client;
use super::runtime::Runtime;
use crate::items::Level;
use crate::sys::fork::generation;
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use crate::sys::sync::thread;

/// Set beside the generation while a thread replaces the runtime.
const REBUILDING: u64 = 1 << 63;

impl Client {
    /// Replaces the runtime if this is the child of a fork, and returns true. Otherwise this is one relaxed load.
    pub(super) fn after_fork(&self) -> bool {
        let now = generation();
        let forked = self.generation.load(Ordering::Relaxed) != now;
        if forked {
            self.rebuild(now);
        }
        forked
    }

    /// Whether the runtime is still that of the process before the fork.
    pub(super) fn is_forked(&self) -> bool {
        self.generation.load(Ordering::Acquire) != generation()
    }

    #[cold]
    pub(super) fn rebuild(&self, now: u64) {
        let mut seen = self.generation.load(Ordering::Acquire);
        while seen != now {
            // Wait only for a thread of this process: one that was interrupted by the fork does not exist here.
            if seen == now | REBUILDING {
                thread::yield_now();
                seen = self.generation.load(Ordering::Acquire);
                continue;
            }
            match self.generation.compare_exchange(
                seen,
                now | REBUILDING,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Err(other) => seen = other,
                Ok(_) => return self.rebuild_alone(now),
            }
        }
    }

    fn rebuild_alone(&self, now: u64) {
        let old = self.runtime.load_full();
        let new = Arc::new(Runtime::new(&self.shared, old.status.peek()));
        if old.is_closed() {
            new.close();
        }
        // Forget it instead of dropping it: its locks may be held by threads that do not exist here, and its threads
        // cannot be joined.
        std::mem::forget(self.runtime.swap(new.clone()));
        // Other threads wait until the new one is started, because one that flushes needs the sending thread.
        let _published = Published { generation: &self.generation, now };
        if old.is_started() {
            if let Err(error) = new.start(&self.shared, self.callback()) {
                new.items.log(Level::Error, format!("after a fork: {error}"));
            }
        }
        std::mem::forget(old);
    }
}

/// When dropped, also by a panic, lets the threads continue that wait for the new runtime.
struct Published<'a> {
    generation: &'a AtomicU64,
    now: u64,
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        self.generation.store(self.now, Ordering::Release);
    }
}
