//! A named thread that can be woken, told to stop, and joined within a bound.

use std::cell::Cell;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use crate::sys::clock::Clock;

/// A running thread. Dropping it does not stop it: [`Worker::stop`] does.
#[derive(Debug)]
pub(crate) struct Worker {
    signal: Arc<Signal>,
    handle: Mutex<Option<JoinHandle<()>>>,
}

/// What the thread and its owner tell each other.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    state: Mutex<SignalState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct SignalState {
    stop: bool,
    wake: bool,
    /// It does nothing any more but hand on what others have for it.
    idle: bool,
    done: bool,
}

thread_local! {
    /// The signal of the worker that this thread is, by address. `thread::current` would do, but it panics in a
    /// static destructor or an `atexit` handler, from which shutdown must work.
    static OWN: Cell<usize> = const { Cell::new(0) };
}

/// Runs every thread start of the process; see [`set_spawn_guard`].
static SPAWN_GUARD: OnceLock<fn(&mut dyn FnMut())> = OnceLock::new();

/// Runs every later thread start of this library inside `guard`, which must call what it is given once.
///
/// A new thread inherits the signal mask of its starter. The C library passes a function that blocks all signals around
/// the start, so that none of the host's signals is ever handled on a thread of ours. The first call counts.
#[doc(hidden)]
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

/// How a pause ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    Stopped,
    Woken,
    Elapsed,
}

impl Worker {
    /// Starts `run` on a thread called `name`. A panic in it ends the thread and reaches `panicked` as text.
    pub(crate) fn spawn(
        name: &str,
        run: impl FnOnce(&Signal) + Send + 'static,
        panicked: impl FnOnce(String) + Send + 'static,
    ) -> io::Result<Self> {
        let signal = Arc::new(Signal::default());
        let theirs = signal.clone();
        let handle = spawn(name, move || {
            OWN.set(Arc::as_ptr(&theirs) as usize);
            // Unwind safe: after a panic only the signal is used again.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| run(&theirs))) {
                panicked(panic_text(payload.as_ref()));
            }
            theirs.lock().done = true;
            theirs.changed.notify_all();
        })?;
        Ok(Worker { signal, handle: Mutex::new(Some(handle)) })
    }

    /// Whether the caller is the worker's own thread, which cannot wait for itself.
    pub(crate) fn is_current(&self) -> bool {
        OWN.get() == Arc::as_ptr(&self.signal) as usize
    }

    /// What others wake the thread with.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Asks the thread to end.
    pub(crate) fn stop(&self) {
        self.signal.lock().stop = true;
        self.signal.changed.notify_all();
    }

    /// Waits until the thread has done its last work, at most until `deadline`.
    pub(crate) fn wait_idle(&self, deadline: Instant) {
        self.signal.wait_until(deadline, |state| state.idle || state.done);
    }

    /// Waits for the thread to end, at most until `deadline`. False: it is left behind.
    pub(crate) fn join(&self, deadline: Instant) -> bool {
        if !self.signal.wait_until(deadline, |state| state.done) {
            return false;
        }
        let handle = { self.handle.lock().unwrap_or_else(PoisonError::into_inner).take() };
        // The thread has nothing left to do, so this returns at once. A panic was told already.
        handle.is_none_or(|handle| handle.join().is_ok())
    }
}

impl Signal {
    pub(crate) fn wake(&self) {
        self.lock().wake = true;
        self.changed.notify_all();
    }

    /// The thread says that it has done its last work.
    pub(crate) fn idle(&self) {
        self.lock().idle = true;
        self.changed.notify_all();
    }

    fn wait_until(&self, deadline: Instant, holds: impl Fn(&SignalState) -> bool) -> bool {
        let mut state = self.lock();
        while !holds(&state) {
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return false;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }

    /// Waits for `span` on `clock`, or until stopped or woken.
    pub(crate) fn pause(&self, clock: &dyn Clock, span: Duration) -> Pause {
        let deadline = Instant::now() + clock.wait_for(span);
        let mut state = self.lock();
        loop {
            if state.stop {
                return Pause::Stopped;
            }
            if std::mem::take(&mut state.wake) {
                return Pause::Woken;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Pause::Elapsed;
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    pub(crate) fn stopped(&self) -> bool {
        self.lock().stop
    }

    fn lock(&self) -> MutexGuard<'_, SignalState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The text that a panic was raised with.
pub(crate) fn panic_text(payload: &(dyn std::any::Any + Send)) -> String {
    let text = payload.downcast_ref::<&str>().map(|s| (*s).to_owned());
    text.or_else(|| payload.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "panic without a text".to_owned())
}
