//! The operating system: time, forks, threads, locks.

pub(crate) mod clock;
pub(crate) mod fork;
pub(crate) mod lock;
#[cfg(all(test, mpflags_model))]
pub(crate) mod model_tests;
pub(crate) mod sync;
pub(crate) mod worker;
