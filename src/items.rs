//! The item stream: what a client has to tell, pulled by one consumer.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::time::{Duration, Instant};

use crate::sys::worker::Signal;

/// Something that a client tells its host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A line for the host's log.
    Log {
        /// How much it matters.
        level: Level,
        /// The line, without a newline, token or secret.
        message: String,
    },
    /// The client's state has changed.
    State {
        /// The new state.
        state: State,
        /// What led there, where something failed.
        message: Option<String>,
    },
    /// The definitions of these flags have changed. Changes that nobody pulled yet are told as one.
    Change {
        /// The flags' keys, in order.
        keys: Vec<String>,
    },
    /// With `event_sink`: an event that would have been sent, for the host's own pipeline.
    Event {
        /// The event as Mixpanel takes it, a JSON object.
        json: String,
    },
}

/// How much a log line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// For following what the client does.
    Debug,
    /// Worth knowing.
    Info,
    /// Something is wrong, and evaluation goes on.
    Warning,
    /// Something that does not mend by itself: a panic, or a thread that could not be started.
    Error,
}

/// Whether a client can evaluate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// There is nothing to evaluate yet.
    NotReady,
    /// Definitions were fetched, or given in the configuration.
    Ready,
    /// Definitions are held, but three fetches in a row failed, or the credentials were refused, or they come from
    /// the cache.
    Stale,
    /// There is nothing to evaluate, and the credentials were refused or the initialisation time has passed. Polling
    /// goes on: the next success makes the client ready.
    Error,
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            State::NotReady => "NOT_READY",
            State::Ready => "READY",
            State::Stale => "STALE",
            State::Error => "ERROR",
        })
    }
}

/// Waiting items beyond which the oldest log lines go; no consumer, no growth.
const LOGS: usize = 256;
/// The same for states.
const STATES: usize = 64;

/// Takes the items of a client, one at a time.
pub(crate) type Callback = dyn Fn(Item) + Send + Sync;

#[derive(Debug, Default)]
pub(crate) struct Stream {
    queue: Mutex<Queue>,
    filled: Condvar,
    /// The thread that hands items to a callback, if there is one.
    deliverer: OnceLock<Weak<Signal>>,
}

#[derive(Debug, Default)]
struct Queue {
    items: VecDeque<Item>,
    logs: usize,
    states: usize,
    events: usize,
    dropped: u64,
    closed: bool,
}

/// What a pull came to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Item(Item),
    TimedOut,
    Closed,
}

impl Stream {
    pub(crate) fn log(&self, level: Level, message: impl Into<String>) {
        self.push(Item::Log { level, message: one_line(&message.into()) });
    }

    pub(crate) fn push(&self, item: Item) {
        {
            let mut queue = self.lock();
            if queue.closed {
                return;
            }
            queue.push(item);
        }
        self.filled.notify_one();
        if let Some(deliverer) = self.deliverer.get().and_then(Weak::upgrade) {
            deliverer.wake();
        }
    }

    /// From now on `signal` is woken when there are items.
    pub(crate) fn wake_on_push(&self, signal: &Arc<Signal>) {
        let _ = self.deliverer.set(Arc::downgrade(signal));
        signal.wake();
    }

    /// The next item, if one waits.
    pub(crate) fn take(&self) -> Option<Item> {
        self.lock().pop()
    }

    /// An event for the host's own pipeline. False: as many wait already as `capacity` allows, or nobody will pull it.
    pub(crate) fn push_event(&self, json: &str, capacity: usize) -> bool {
        {
            let queue = self.lock();
            if queue.closed || queue.events >= capacity {
                return false;
            }
        }
        self.push(Item::Event { json: json.to_owned() });
        true
    }

    /// Waits until an item is there, `deadline` passes or the stream is closed. What waits when it is closed comes first.
    pub(crate) fn next(&self, deadline: Instant) -> Next {
        let mut queue = self.lock();
        loop {
            if let Some(item) = queue.pop() {
                return Next::Item(item);
            }
            if queue.closed {
                return Next::Closed;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left == Duration::ZERO {
                return Next::TimedOut;
            }
            queue = self.filled.wait_timeout(queue, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Takes nothing any more, and ends every pull once nothing waits.
    pub(crate) fn close(&self) {
        {
            self.lock().closed = true;
        }
        self.filled.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Queue {
    fn push(&mut self, item: Item) {
        match &item {
            Item::Log { .. } => {
                self.logs += 1;
                if self.logs > LOGS {
                    self.dropped += 1;
                    self.logs -= 1;
                    self.drop_first(|item| matches!(item, Item::Log { .. }));
                }
            }
            Item::State { .. } => {
                self.states += 1;
                if self.states > STATES {
                    self.states -= 1;
                    self.drop_first(|item| matches!(item, Item::State { .. }));
                }
            }
            Item::Event { .. } => self.events += 1,
            Item::Change { keys } => {
                let waiting = self.items.iter_mut().find_map(|item| match item {
                    Item::Change { keys } => Some(keys),
                    _ => None,
                });
                if let Some(waiting) = waiting {
                    let merged: BTreeSet<String> = waiting.drain(..).chain(keys.iter().cloned()).collect();
                    waiting.extend(merged);
                    return;
                }
            }
        }
        self.items.push_back(item);
    }

    fn drop_first(&mut self, kind: impl Fn(&Item) -> bool) {
        if let Some(at) = self.items.iter().position(kind) {
            self.items.remove(at);
        }
    }

    fn pop(&mut self) -> Option<Item> {
        if self.dropped > 0 {
            let message = format!("{} log lines were dropped: nobody pulled them", self.dropped);
            self.dropped = 0;
            return Some(Item::Log { level: Level::Warning, message });
        }
        let item = self.items.pop_front()?;
        match &item {
            Item::Log { .. } => self.logs -= 1,
            Item::State { .. } => self.states -= 1,
            Item::Event { .. } => self.events -= 1,
            Item::Change { .. } => {}
        }
        Some(item)
    }
}

/// `text` as a line of bounded length: it may repeat what a server said.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 1200;
    let end = text.char_indices().map(|(at, _)| at).find(|at| *at >= LONGEST);
    let cut = end.and_then(|end| text.get(..end)).unwrap_or(text);
    let mut line: String = cut.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if end.is_some() {
        line.push('…');
    }
    line
}
