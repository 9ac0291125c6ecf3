//! The client's state, and the last error.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use crate::engine::outcome::Unavailable;
use crate::error::{Error, ErrorKind};
use crate::items::{Item, Items, Level, State};
use crate::sys::lock::{lock, wait_until};

/// After this many failed fetches in a row, definitions count as stale.
const FAILURES: u32 = 3;

/// Where definitions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Fetch,
    Cache,
}

#[derive(Debug)]
pub(crate) struct Status {
    /// A copy of the state for the child of a fork, where the lock may be held by a thread that does not exist.
    state: AtomicU8,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    state: State,
    held: bool,
    failures: u32,
    /// The last failure, unless a fetch has succeeded since.
    last: Option<FetchError>,
    closed: bool,
}

/// Why a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FetchError {
    Credentials(u16),
    Other(String),
}

impl FetchError {
    pub(crate) fn message(&self) -> String {
        match self {
            FetchError::Credentials(status) => Unavailable::CredentialsRefused(*status).to_string(),
            FetchError::Other(message) => message.clone(),
        }
    }

    /// The error of a call that waited for the fetch.
    pub(crate) fn error(&self) -> Error {
        let kind = match self {
            FetchError::Credentials(_) => ErrorKind::CredentialsRefused,
            FetchError::Other(_) => ErrorKind::Backend,
        };
        Error::new(kind, self.message())
    }

    /// The outcome of evaluations while there are no definitions.
    pub(crate) fn unavailable(&self) -> Unavailable {
        match self {
            FetchError::Credentials(status) => Unavailable::CredentialsRefused(*status),
            FetchError::Other(message) => Unavailable::NotReady(Some(message.clone())),
        }
    }
}

impl Inner {
    fn last_error(&self) -> String {
        self.last.as_ref().map_or("no response yet".to_owned(), FetchError::message)
    }
}

impl Status {
    /// `held`: there are definitions, from the configuration or from before.
    pub(crate) fn new(state: State, held: bool) -> Self {
        let inner = Inner { state, held, failures: 0, last: None, closed: false };
        Status { state: AtomicU8::new(state as u8), inner: Mutex::new(inner), changed: Condvar::new() }
    }

    pub(crate) fn state(&self) -> State {
        lock(&self.inner).state
    }

    /// The state, without the lock.
    pub(crate) fn peek(&self) -> State {
        let state = self.state.load(Ordering::Acquire);
        [State::NotReady, State::Ready, State::Stale]
            .into_iter()
            .find(|s| *s as u8 == state)
            .unwrap_or(State::Error)
    }

    /// Whether there are definitions.
    pub(crate) fn held(&self) -> bool {
        lock(&self.inner).held
    }

    /// Called when new definitions are in use.
    pub(crate) fn succeeded(&self, source: Source, items: &Items) {
        let state = match source {
            Source::Fetch => State::Ready,
            Source::Cache => State::Stale,
        };
        self.update(items, None, |inner| {
            inner.held = true;
            if source == Source::Fetch {
                inner.failures = 0;
                inner.last = None;
            }
            state
        });
    }

    /// Called when a fetch has failed.
    pub(crate) fn failed(&self, failed: &FetchError, items: &Items) {
        let refused = matches!(failed, FetchError::Credentials(_));
        let mut repeated = false;
        self.update(items, Some(failed.message()), |inner| {
            inner.failures = inner.failures.saturating_add(1);
            repeated = inner.last.as_ref() == Some(failed);
            inner.last = Some(failed.clone());
            match inner.state {
                State::Ready if inner.held && (refused || inner.failures >= FAILURES) => State::Stale,
                State::NotReady if refused => State::Error,
                state => state,
            }
        });
        // One line per problem, not per attempt.
        if !repeated {
            items.log(Level::Warning, format!("fetching definitions failed: {}", failed.message()));
        }
    }

    /// Called when the initialisation time has passed without definitions.
    pub(crate) fn late(&self, items: &Items) {
        let message = lock(&self.inner).last.as_ref().map(FetchError::message);
        let message = message.unwrap_or_else(|| "no response within the initialisation time".to_owned());
        self.update(items, Some(message), |inner| match inner.state {
            State::NotReady => State::Error,
            state => state,
        });
    }

    fn update(&self, items: &Items, message: Option<String>, next: impl FnOnce(&mut Inner) -> State) {
        let changed = {
            let mut inner = lock(&self.inner);
            let state = next(&mut inner);
            let changed = inner.state != state;
            inner.state = state;
            self.state.store(state as u8, Ordering::Release);
            changed.then_some(state)
        };
        if let Some(state) = changed {
            let message = message.filter(|_| state != State::Ready);
            items.push(Item::State { state, message });
        }
        self.changed.notify_all();
    }

    /// The last failure, or that there was none.
    pub(crate) fn last_error(&self) -> String {
        lock(&self.inner).last_error()
    }

    /// Waits until there are definitions. Refused credentials end the wait, because waiting does not help.
    pub(crate) fn wait_ready(&self, deadline: Instant) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        loop {
            if inner.closed {
                return Err(Error::closed());
            }
            if inner.held {
                return Ok(());
            }
            if let Some(refused @ FetchError::Credentials(_)) = &inner.last {
                return Err(refused.error());
            }
            let Some(changed) = wait_until(&self.changed, inner, deadline) else {
                let message = format!("no definitions within the timeout: {}", self.last_error());
                return Err(Error::new(ErrorKind::Timeout, message));
            };
            inner = changed;
        }
    }

    /// Makes all waiting and further calls fail.
    pub(crate) fn close(&self) {
        lock(&self.inner).closed = true;
        self.changed.notify_all();
    }
}
