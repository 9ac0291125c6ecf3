//! The client's state: who may evaluate, since when, and what failed last.

use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::engine::outcome::Unavailable;
use crate::error::{Error, ErrorKind};
use crate::items::{Item, Level, State, Stream};

/// Failed fetches in a row after which held definitions count as stale.
const FAILURES: u32 = 3;

/// Where definitions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Fetch,
    Cache,
}

#[derive(Debug)]
pub(crate) struct Status {
    /// The state again, for the child of a fork, where the lock may be held by a thread that does not exist.
    state: AtomicU8,
    inner: Mutex<Inner>,
    changed: Condvar,
}

#[derive(Debug)]
struct Inner {
    state: State,
    held: bool,
    failures: u32,
    /// What the last failure was, since the last success.
    last: Option<Failed>,
    closed: bool,
}

/// Why a fetch gave nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    Credentials(u16),
    Other(String),
}

impl Failed {
    pub(crate) fn message(&self) -> String {
        match self {
            Failed::Credentials(status) => Unavailable::CredentialsRefused(*status).to_string(),
            Failed::Other(message) => message.clone(),
        }
    }

    /// What a call that waited for the fetch fails with.
    pub(crate) fn error(&self) -> Error {
        let kind = match self {
            Failed::Credentials(_) => ErrorKind::CredentialsRefused,
            Failed::Other(_) => ErrorKind::Backend,
        };
        Error::new(kind, self.message())
    }

    /// What evaluations say while nothing is held.
    pub(crate) fn unavailable(&self) -> Unavailable {
        match self {
            Failed::Credentials(status) => Unavailable::CredentialsRefused(*status),
            Failed::Other(message) => Unavailable::NotReady(Some(message.clone())),
        }
    }
}

impl Inner {
    fn last_error(&self) -> String {
        self.last.as_ref().map_or("no answer yet".to_owned(), Failed::message)
    }
}

impl Status {
    /// `held`: the configuration brought definitions.
    pub(crate) fn new(state: State, held: bool) -> Self {
        let inner = Inner { state, held, failures: 0, last: None, closed: false };
        Status { state: AtomicU8::new(state as u8), inner: Mutex::new(inner), changed: Condvar::new() }
    }

    pub(crate) fn state(&self) -> State {
        self.lock().state
    }

    /// The state, without the lock.
    pub(crate) fn peek(&self) -> State {
        let state = self.state.load(Ordering::Acquire);
        [State::NotReady, State::Ready, State::Stale]
            .into_iter()
            .find(|s| *s as u8 == state)
            .unwrap_or(State::Error)
    }

    /// Whether there is anything to evaluate.
    pub(crate) fn held(&self) -> bool {
        self.lock().held
    }

    /// Definitions are in service.
    pub(crate) fn succeeded(&self, source: Source, stream: &Stream) {
        let state = match source {
            Source::Fetch => State::Ready,
            Source::Cache => State::Stale,
        };
        self.update(stream, None, |inner| {
            inner.held = true;
            if source == Source::Fetch {
                inner.failures = 0;
                inner.last = None;
            }
            state
        });
    }

    /// A fetch failed.
    pub(crate) fn failed(&self, failed: &Failed, stream: &Stream) {
        let refused = matches!(failed, Failed::Credentials(_));
        let mut repeated = false;
        self.update(stream, Some(failed.message()), |inner| {
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
            stream.log(Level::Warning, format!("fetching definitions failed: {}", failed.message()));
        }
    }

    /// The initialisation time has passed.
    pub(crate) fn late(&self, stream: &Stream) {
        let message = self.lock().last.as_ref().map(Failed::message);
        let message =
            message.unwrap_or_else(|| "the initialisation time passed without an answer".to_owned());
        self.update(stream, Some(message), |inner| match inner.state {
            State::NotReady => State::Error,
            state => state,
        });
    }

    fn update(&self, stream: &Stream, message: Option<String>, next: impl FnOnce(&mut Inner) -> State) {
        let changed = {
            let mut inner = self.lock();
            let state = next(&mut inner);
            let changed = inner.state != state;
            inner.state = state;
            self.state.store(state as u8, Ordering::Release);
            changed.then_some(state)
        };
        if let Some(state) = changed {
            let message = message.filter(|_| state != State::Ready);
            stream.push(Item::State { state, message });
        }
        self.changed.notify_all();
    }

    /// What the last fetch failed with, since the last success.
    pub(crate) fn last_error(&self) -> String {
        self.lock().last_error()
    }

    /// Waits until there is something to evaluate. Refused credentials end the wait: they do not heal within it.
    pub(crate) fn wait_ready(&self, deadline: Instant) -> Result<(), Error> {
        let mut inner = self.lock();
        loop {
            if inner.closed {
                return Err(Error::new(ErrorKind::Closed, "the client is shut down"));
            }
            if inner.held {
                return Ok(());
            }
            if let Some(refused @ Failed::Credentials(_)) = &inner.last {
                return Err(refused.error());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                let last = inner.last_error();
                return Err(Error::new(
                    ErrorKind::Timeout,
                    format!("no definitions within the time given: {last}"),
                ));
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Ends every wait, now and later.
    pub(crate) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
