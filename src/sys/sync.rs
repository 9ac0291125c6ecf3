//! Locks, atomics and threads: std's, or those of the model checker in a build with `--cfg mpflags_model`, see
//! `model_tests.rs`. The library takes them from here.
//!
//! Statics keep std's, because the executions of a model would share them.

#[cfg(not(all(test, mpflags_model)))]
pub(crate) use {
    once_cell::sync::OnceCell,
    std::sync::{Condvar, Mutex, MutexGuard, OnceLock, atomic},
    std::{thread, thread_local},
};

#[cfg(all(test, mpflags_model))]
pub(crate) use {
    super::model_tests::{OnceCell, OnceLock},
    shuttle::sync::{Condvar, Mutex, MutexGuard, atomic},
    shuttle::{thread, thread_local},
};
