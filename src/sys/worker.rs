//! A named thread that can be woken, stopped, and joined by a deadline.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use crate::sys::clock::Clock;
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::thread::{self, JoinHandle};
use crate::sys::sync::{Condvar, Mutex, thread_local};

/// A running thread. Dropping it does not stop it: [`Worker::stop`] does.
#[derive(Debug)]
pub(crate) struct Worker {
    signal: Arc<Signal>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// Requests to the thread, and how far it has got with them.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    stop: bool,
    wake: bool,
    /// Its own work is done; it may still pass on what others leave for it.
    idle: bool,
    done: bool,
}

thread_local! {
    /// The address of this worker's signal. `thread::current` would do, but it panics in static destructors and `atexit`
    /// handlers, where shutdown must work.
    static CURRENT: Cell<usize> = const { Cell::new(0) };
}

/// See [`set_spawn_guard`].
static SPAWN_GUARD: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// Makes the library start its threads inside `guard`, which must call its argument exactly once. Only the first call
/// has an effect.
///
/// A new thread inherits its creator's signal mask. The C library passes a function that blocks all signals meanwhile,
/// so that the host's signals are never handled on the library's threads.
pub fn set_spawn_guard(guard: fn(&mut dyn FnMut())) {
    let _ = SPAWN_GUARD.set(guard);
}

/// Starts a thread called `name`.
pub(crate) fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> io::Result<JoinHandle<()>> {
    let mut run = Some(run);
    let mut started = Err(io::Error::other("the spawn guard did not start the thread"));
    let mut start = || {
        if let Some(run) = run.take() {
            started = thread::Builder::new().name(name.to_owned()).spawn(run);
        }
    };
    match SPAWN_GUARD.get() {
        Some(guard) => guard(&mut start),
        None => start(),
    }
    started
}

/// Why a pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    Stopped,
    Woken,
    Elapsed,
}

impl Worker {
    /// Starts `run` on a thread called `name`. If it panics, the thread ends and `panicked` gets the panic's text.
    pub(crate) fn spawn(
        name: &str,
        run: impl FnOnce(&Signal) + Send + 'static,
        panicked: impl FnOnce(String) + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let theirs = signal.clone();
        let handle = spawn(name, move || {
            CURRENT.with(|current| current.set(Arc::as_ptr(&theirs) as usize));
            // Unwind safe: only the signal is used after a panic.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| run(&theirs))) {
                panicked(panic_text(payload.as_ref()));
            }
            theirs.set(|state| state.done = true);
        })?;
        Ok(Worker { signal, handle: Mutex::new(Some(handle)) })
    }

    /// Whether the caller is the worker's own thread, which cannot wait for itself to end.
    pub(crate) fn is_current(&self) -> bool {
        CURRENT.with(Cell::get) == Arc::as_ptr(&self.signal) as usize
    }

    /// The signal that wakes the thread.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Asks the thread to end.
    pub(crate) fn stop(&self) {
        self.signal.set(|state| state.stop = true);
    }

    /// Waits until the thread has finished its own work, at most until `deadline`.
    pub(crate) fn wait_idle(&self, deadline: Instant) {
        self.signal.wait_until(deadline, |state| state.idle || state.done);
    }

    /// Waits for the thread to end, at most until `deadline`. False if it is still running.
    pub(crate) fn join(&self, deadline: Instant) -> bool {
        if !self.signal.wait_until(deadline, |state| state.done) {
            return false;
        }
        let handle = { lock(&self.handle).take() };
        // The thread has nothing left to do, so this returns at once. Any panic was reported by `panicked`.
        handle.is_none_or(|handle| handle.join().is_ok())
    }
}

impl Signal {
    pub(crate) fn wake(&self) {
        self.set(|state| state.wake = true);
    }

    /// Called by the thread when its own work is done.
    pub(crate) fn idle(&self) {
        self.set(|state| state.idle = true);
    }

    fn set(&self, set: impl FnOnce(&mut SignalState)) {
        set(&mut lock(&self.state));
        self.changed.notify_all();
    }

    fn wait_until(&self, deadline: Instant, holds: impl Fn(&SignalState) -> bool) -> bool {
        let mut state = lock(&self.state);
        while !holds(&state) {
            let Some(changed) = wait_until(&self.changed, state, deadline) else { return false };
            state = changed;
        }
        true
    }

    /// Waits for `span` on `clock`, or until the thread is stopped or woken.
    pub(crate) fn pause(&self, clock: &dyn Clock, span: Duration) -> Pause {
        let deadline = Instant::now() + clock.wait_for(span);
        let mut state = lock(&self.state);
        loop {
            if state.stop {
                return Pause::Stopped;
            }
            if std::mem::take(&mut state.wake) {
                return Pause::Woken;
            }
            let Some(changed) = wait_until(&self.changed, state, deadline) else { return Pause::Elapsed };
            state = changed;
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        lock(&self.state).stop
    }
}

/// The text of a panic.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned())
}
