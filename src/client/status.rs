//! The client's state, and the last error.

use std::time::Instant;

use crate::engine::outcome::Unavailable;
use crate::error::{Error, ErrorKind};
use crate::items::{Item, Items, Level, State, one_line};
use crate::sys::clock::{Clock, unix_ms};
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::atomic::{AtomicU8, Ordering};
use crate::sys::sync::{Condvar, Mutex};

/// After this many failed fetches in a row, definitions count as stale.
const FAILURES: u32 = 3;

/// Where definitions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Mixpanel, or a cache in front of it, whose response was so many seconds old.
    Fetch { age: Option<u64> },
    /// The file.
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
    polls: Polls,
    closed: bool,
}

/// What the fetches of definitions led to, for `statistics`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Polls {
    /// The last one that succeeded: when, also in ms since 1970.
    pub(crate) succeeded: Option<(Instant, u64)>,
    /// How many seconds old its response was, if a cache sent it.
    pub(crate) response_age: Option<u64>,
    /// The last one that failed: why, and when in ms since 1970.
    pub(crate) failed: Option<(String, u64)>,
}

/// Why a fetch failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FetchError {
    /// A response of 401 or 403, as described.
    Credentials(String),
    /// Only another configuration helps.
    Misconfigured(String),
    Other(String),
}

impl FetchError {
    pub(crate) fn message(&self) -> String {
        match self {
            FetchError::Credentials(response) => {
                Unavailable::CredentialsRefused(response.clone()).to_string()
            }
            FetchError::Misconfigured(message) | FetchError::Other(message) => message.clone(),
        }
    }

    /// The error of a call that waited for the fetch.
    pub(crate) fn error(&self) -> Error {
        let kind = match self {
            FetchError::Credentials(_) => ErrorKind::CredentialsRefused,
            FetchError::Misconfigured(_) | FetchError::Other(_) => ErrorKind::Backend,
        };
        Error::new(kind, self.message())
    }

    /// Whether waiting does not help.
    fn is_lasting(&self) -> bool {
        !matches!(self, FetchError::Other(_))
    }

    /// The outcome of evaluations while there are no definitions.
    pub(crate) fn unavailable(&self) -> Unavailable {
        match self {
            FetchError::Credentials(response) => Unavailable::CredentialsRefused(response.clone()),
            FetchError::Misconfigured(message) | FetchError::Other(message) => {
                Unavailable::NotReady(Some(message.clone()))
            }
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
        let polls = Polls::default();
        let inner = Inner { state, held, failures: 0, last: None, polls, closed: false };
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

    pub(crate) fn polls(&self) -> Polls {
        lock(&self.inner).polls.clone()
    }

    /// Called when definitions from this source are in use, new ones or those of before.
    pub(crate) fn succeeded(&self, source: Source, clock: &dyn Clock, items: &Items) {
        self.update(items, None, |inner| {
            inner.held = true;
            let Source::Fetch { age } = source else { return State::Stale };
            inner.failures = 0;
            inner.last = None;
            inner.polls.succeeded = Some((clock.now(), unix_ms(clock)));
            inner.polls.response_age = age;
            State::Ready
        });
    }

    /// Logs that a fetch has failed, before anything that follows from it: one line per problem, not per attempt.
    pub(crate) fn log_failure(&self, failed: &FetchError, items: &Items) {
        let line = || format!("fetching definitions failed: {}", failed.message());
        let repeated = { lock(&self.inner).last.as_ref() == Some(failed) };
        if repeated { items.debug(line) } else { items.log(Level::Warning, line()) }
    }

    /// Called when a fetch has failed.
    pub(crate) fn failed(&self, failed: &FetchError, clock: &dyn Clock, items: &Items) {
        let lasting = failed.is_lasting();
        self.update(items, Some(failed.message()), |inner| {
            inner.failures = inner.failures.saturating_add(1);
            inner.last = Some(failed.clone());
            inner.polls.failed = Some((one_line(&failed.message()), unix_ms(clock)));
            match inner.state {
                State::Ready if inner.held && (lasting || inner.failures >= FAILURES) => State::Stale,
                State::NotReady if lasting => State::Error,
                state => state,
            }
        });
    }

    /// Called when the initialisation time has passed without definitions.
    pub(crate) fn late(&self, items: &Items) {
        let message = lock(&self.inner).last.as_ref().map(FetchError::message);
        let message = message.unwrap_or_else(|| {
            let message = "no response within init_timeout_ms; the client keeps trying".to_owned();
            items.log(Level::Warning, format!("fetching definitions: {message}"));
            message
        });
        self.update(items, Some(message), |inner| match inner.state {
            State::NotReady => State::Error,
            state => state,
        });
    }

    fn update(&self, items: &Items, message: Option<String>, next: impl FnOnce(&mut Inner) -> State) {
        let changed = {
            let mut inner = lock(&self.inner);
            let state = next(&mut inner);
            let before = inner.state;
            let changed = before != state;
            inner.state = state;
            self.state.store(state as u8, Ordering::Release);
            changed.then_some((before, state))
        };
        if let Some((before, state)) = changed {
            items.debug(|| format!("state: {before} to {state}"));
            let message = message.filter(|_| state != State::Ready);
            items.push(Item::State { state, message });
        }
        self.changed.notify_all();
    }

    /// The last failure, or that there was none.
    pub(crate) fn last_error(&self) -> String {
        lock(&self.inner).last_error()
    }

    /// Waits until there are definitions. An error that waiting does not help against ends the wait.
    pub(crate) fn wait_ready(&self, deadline: Instant) -> Result<(), Error> {
        let mut inner = lock(&self.inner);
        loop {
            if inner.closed {
                return Err(Error::closed());
            }
            if inner.held {
                return Ok(());
            }
            if let Some(lasting) = inner.last.as_ref().filter(|failed| failed.is_lasting()) {
                return Err(lasting.error());
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
