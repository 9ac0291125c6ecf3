//! What the operating system gives: time, forks, threads.

pub(crate) mod clock;
pub(crate) mod fork;
pub(crate) mod worker;
