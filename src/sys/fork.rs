//! Forks: how a child notices that the threads it inherited do not run in it.

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Marks this process as the child of a fork, so that its clients replace the threads that the fork left behind.
///
/// Call it in the child from a `pthread_atfork` handler; it only increments an atomic. The C library registers such a
/// handler by itself. A Rust program that forks must do so, or its clients go on serving the definitions they had at the
/// fork. The next call on a started client then starts new threads in the child.
pub fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// The number of forks between this process and the one that loaded the library.
pub(crate) fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}
