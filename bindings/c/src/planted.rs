//! Panics for tests/panic.rs: a certain argument arms the thread, and its next call panics. Compiled only
//! with `--cfg mpflags_panic`, never into the library that ships.

use std::cell::Cell;

thread_local! {
    static ARMED: Cell<bool> = const { Cell::new(false) };
}

pub(crate) fn arm_if(argument: &str) {
    if argument == "mpflags-panic" {
        ARMED.set(true);
    }
}

#[allow(clippy::panic, reason = "never in the library that ships")]
pub(crate) fn go_off() {
    if ARMED.take() {
        panic!("armed");
    }
}
