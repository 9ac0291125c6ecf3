//! Forks: how a child learns that the threads it inherited do not run in it.

use std::sync::atomic::{AtomicU64, Ordering};

static FORKS: AtomicU64 = AtomicU64::new(0);

/// Tells the clients of this process that it is the child of a fork.
///
/// Call it in the child, from a `pthread_atfork` handler: it does nothing but add to an atomic. The C library does so
/// by itself; a Rust program that forks must, or its clients serve the definitions of the moment of the fork for ever.
/// The next call on a started client then starts threads of the child's own.
pub fn after_fork_in_child() {
    FORKS.fetch_add(1, Ordering::Relaxed);
}

/// How many forks lie between this process and the one that loaded the library.
pub(crate) fn generation() -> u64 {
    FORKS.load(Ordering::Relaxed)
}
