//! Refreshes: callers that want a fetch which begins after their call, and the fetch that serves them.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::client::status::Failed;
use crate::error::{Error, ErrorKind};

/// A fetch that has lasted this long, and that nobody waits for, gives way to a refresh: most likely its connection died
/// while the process was frozen. A shorter one is let finish, or a server that is slower than the callers are patient
/// would be interrupted by each of them and never deliver.
const PATIENCE: Duration = Duration::from_secs(3);

/// Shared by the callers and the poller. Calls are numbered; a fetch serves every call up to the newest at its start.
#[derive(Debug, Default)]
pub(crate) struct Refreshes {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    /// The newest call.
    asked: u64,
    /// The newest call that the fetch under way serves, or the last fetch if none is.
    begun: u64,
    /// The same of the last fetch that ended, and of the last that succeeded.
    ended: u64,
    succeeded: u64,
    /// When the fetch under way began.
    since: Option<Instant>,
    /// Whether a refresh interrupted it.
    cut: bool,
    /// Why the last fetch that ended failed.
    failed: Option<Failed>,
    /// The calls that wait.
    waiting: Vec<u64>,
    /// What ends every call, now and later.
    over: Option<Error>,
}

impl Refreshes {
    /// A new call: the number that [`Refreshes::wait`] takes. The poller has to be woken.
    pub(crate) fn ask(&self) -> Result<u64, Error> {
        let mut state = self.lock();
        if let Some(over) = &state.over {
            return Err(over.clone());
        }
        state.asked += 1;
        Ok(state.asked)
    }

    /// Whether a call came after the last fetch began.
    pub(crate) fn is_pending(&self) -> bool {
        let state = self.lock();
        state.asked > state.begun
    }

    /// A fetch begins. Gives whether a call is the reason, or one of them.
    pub(crate) fn begin(&self) -> bool {
        let mut state = self.lock();
        let asked = state.asked > state.begun;
        state.begun = state.asked;
        state.since = Some(Instant::now());
        state.cut = false;
        asked
    }

    /// Whether a refresh interrupted the fetch under way.
    pub(crate) fn is_cut(&self) -> bool {
        self.lock().cut
    }

    /// The fetch has ended.
    pub(crate) fn end(&self, failed: Option<&Failed>) {
        {
            let mut state = self.lock();
            state.ended = state.begun;
            state.since = None;
            if failed.is_none() {
                state.succeeded = state.begun;
            }
            state.failed = failed.cloned();
        }
        self.changed.notify_all();
    }

    /// Waits until a fetch that serves `call` has ended. `None`: none has by `deadline`. `interrupt` ends the fetch under
    /// way; it must not wait.
    pub(crate) fn wait(
        &self,
        call: u64,
        deadline: Instant,
        interrupt: impl Fn(),
    ) -> Option<Result<(), Error>> {
        let mut state = self.lock();
        state.waiting.push(call);
        let outcome = loop {
            if state.succeeded >= call {
                break Some(Ok(()));
            }
            if state.ended >= call {
                break state.failed.as_ref().map(|failed| Err(failed.error()));
            }
            if let Some(over) = &state.over {
                break Some(Err(over.clone()));
            }
            let now = Instant::now();
            let mut left = deadline.saturating_duration_since(now);
            if left == Duration::ZERO {
                break None;
            }
            if let Some(age) = state.unwanted(call, now) {
                if age >= PATIENCE {
                    state.cut = true;
                    // Under the lock, so that no other fetch can have begun.
                    interrupt();
                } else {
                    left = left.min(PATIENCE - age);
                }
            }
            state = self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        };
        state.waiting.retain(|waiting| *waiting != call);
        outcome
    }

    /// Ends every call, now and later.
    pub(crate) fn close(&self, over: Error) {
        {
            let mut state = self.lock();
            state.over.get_or_insert(over);
        }
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// How long the fetch under way has lasted, if it began before `call`, nobody waits for it, and nothing has
    /// interrupted it.
    fn unwanted(&self, call: u64, now: Instant) -> Option<Duration> {
        let wanted = self.begun >= call || self.waiting.iter().any(|waiting| *waiting <= self.begun);
        if wanted || self.cut {
            return None;
        }
        self.since.map(|since| now.saturating_duration_since(since))
    }
}

/// The error of a call on a client that is shut down.
pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::Closed, "the client is shut down")
}
