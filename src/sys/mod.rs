//! The operating system: time, forks, threads, locks.

pub(crate) mod clock;
pub(crate) mod fork;
pub(crate) mod lock;
pub(crate) mod worker;
