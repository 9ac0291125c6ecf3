//! Refreshes: callers that wait for a fetch which starts after their call, and the poller that makes it.

use std::time::{Duration, Instant};

use crate::client::status::FetchError;
use crate::error::Error;
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::{Condvar, Mutex};

/// A fetch that no call waits for is aborted in favour of a refresh once it has lasted this long: most likely its connection
/// died while the process was frozen. A younger fetch may finish: if each call aborted the fetch before it, none would ever
/// succeed with a server that takes longer than the callers wait.
const PATIENCE: Duration = Duration::from_secs(3);

/// Shared by the callers and the poller. Calls are numbered; a fetch serves all calls up to the newest one at its start.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The newest call.
    requested: u64,
    /// The newest call that the running fetch serves, or that the last one served.
    begun: u64,
    /// The newest call that the last completed fetch served, and the newest that the last successful one served.
    ended: u64,
    succeeded: u64,
    /// When the running fetch began.
    since: Option<Instant>,
    /// Whether a refresh aborted it.
    aborted: bool,
    /// Why the last fetch failed, if it did.
    failed: Option<FetchError>,
    /// The waiting calls.
    waiting: Vec<u64>,
    /// The error of all further calls.
    closed: Option<Error>,
}

impl Refreshes {
    /// Registers a call, and returns its number for [`Refreshes::wait`]. The caller then wakes the poller.
    pub(crate) fn request(&self) -> Result<u64, Error> {
        let mut state = lock(&self.state);
        if let Some(error) = &state.closed {
            return Err(error.clone());
        }
        state.requested += 1;
        Ok(state.requested)
    }

    /// Whether a call came after the last fetch began.
    pub(crate) fn is_pending(&self) -> bool {
        let state = lock(&self.state);
        state.requested > state.begun
    }

    /// Called when a fetch begins. True if it serves a call.
    pub(crate) fn begin(&self) -> bool {
        let mut state = lock(&self.state);
        let requested = state.requested > state.begun;
        state.begun = state.requested;
        state.since = Some(Instant::now());
        state.aborted = false;
        requested
    }

    /// Whether a refresh aborted the running fetch.
    pub(crate) fn is_aborted(&self) -> bool {
        lock(&self.state).aborted
    }

    /// Called when the fetch has ended.
    pub(crate) fn end(&self, failed: Option<&FetchError>) {
        {
            let mut state = lock(&self.state);
            state.ended = state.begun;
            state.since = None;
            if failed.is_none() {
                state.succeeded = state.begun;
            }
            state.failed = failed.cloned();
        }
        self.changed.notify_all();
    }

    /// Waits until a fetch that serves `call` has ended. `None` if none has by `deadline`. `abort` aborts the running fetch,
    /// without waiting.
    pub(crate) fn wait(&self, call: u64, deadline: Instant, abort: impl Fn()) -> Option<Result<(), Error>> {
        let mut state = lock(&self.state);
        state.waiting.push(call);
        let outcome = loop {
            if state.succeeded >= call {
                break Some(Ok(()));
            }
            if state.ended >= call {
                break state.failed.as_ref().map(|failed| Err(failed.error()));
            }
            if let Some(error) = &state.closed {
                break Some(Err(error.clone()));
            }
            let now = Instant::now();
            if now >= deadline {
                break None;
            }
            let mut until = deadline;
            if let Some(age) = state.unwanted(call, now) {
                if age >= PATIENCE {
                    state.aborted = true;
                    // Under the lock, so that no other fetch can have begun.
                    abort();
                } else {
                    until = until.min(now + (PATIENCE - age));
                }
            }
            state = wait_until(&self.changed, state, until).unwrap_or_else(|| lock(&self.state));
        };
        state.waiting.retain(|waiting| *waiting != call);
        outcome
    }

    /// Makes all waiting and further calls fail.
    pub(crate) fn close(&self, error: Error) {
        lock(&self.state).closed.get_or_insert(error);
        self.changed.notify_all();
    }
}

impl State {
    /// How long the running fetch has lasted, if it began before `call`, no call waits for it, and it was not aborted.
    fn unwanted(&self, call: u64, now: Instant) -> Option<Duration> {
        let wanted = self.begun >= call || self.waiting.iter().any(|waiting| *waiting <= self.begun);
        if wanted || self.aborted {
            return None;
        }
        self.since.map(|since| now.saturating_duration_since(since))
    }
}
