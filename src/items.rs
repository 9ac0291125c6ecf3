//! Items: log lines, state changes, changed flags and events, queued for the program that embeds the library.

use std::collections::{BTreeSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Instant;

use crate::json::cut;
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::{Condvar, Mutex, OnceLock};
use crate::sys::worker::Signal;

/// Something that a client reports to the program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Item {
    /// A line for the program's log.
    Log {
        /// How serious it is.
        level: Level,
        /// The line, without a newline, token or secret.
        message: String,
    },
    /// The client's state has changed.
    State {
        /// The new state.
        state: State,
        /// The failure that led to it, if there was one.
        message: Option<String>,
    },
    /// The definitions of these flags have changed. Changes that have not been pulled yet are merged into one item.
    Change {
        /// The keys of the flags, sorted.
        keys: Vec<String>,
    },
    /// With the option `event_sink`: an event for the program's own pipeline, instead of being sent to Mixpanel.
    Event {
        /// The event as a JSON object, in the form that Mixpanel accepts.
        json: String,
    },
}

/// How serious a log line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Level {
    /// Details of what the client does.
    Debug,
    /// Normal operation.
    Info,
    /// A problem that the client recovers from or works around, such as a failed fetch.
    Warning,
    /// A problem that the client does not recover from by itself, such as a panic or a thread that cannot be started.
    Error,
}

/// Whether a client can evaluate flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum State {
    /// There are no definitions yet.
    NotReady,
    /// Definitions were fetched, or are part of the configuration.
    Ready,
    /// There are definitions, but three fetches in a row have failed, or the credentials were refused, or the
    /// definitions come from the cache.
    Stale,
    /// There are no definitions, and the credentials were refused or the initialisation time has passed. The client
    /// keeps polling: the next successful fetch makes it ready.
    Error,
}

const LEVELS: [(&str, Level); 4] =
    [("debug", Level::Debug), ("info", Level::Info), ("warning", Level::Warning), ("error", Level::Error)];

impl Level {
    pub(crate) fn named(name: &str) -> Option<Self> {
        LEVELS.into_iter().find_map(|(known, level)| (known == name).then_some(level))
    }

    pub(crate) fn name(self) -> &'static str {
        LEVELS.into_iter().find_map(|(name, level)| (level == self).then_some(name)).unwrap_or_default()
    }
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

/// The most log lines that wait. The oldest are dropped, so that a program which never pulls items does not grow.
const LOGS: usize = 256;
/// The most states that wait, likewise.
const STATES: usize = 64;

/// Receives the items of a client, one at a time.
pub(crate) type Callback = dyn Fn(Item) + Send + Sync;

/// The queue of a client's items. One consumer takes them out.
#[derive(Debug)]
pub(crate) struct Items {
    /// Less serious lines are left out.
    least: Level,
    queue: Mutex<Queue>,
    filled: Condvar,
    /// Wakes the thread that calls the callback, if there is one.
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

/// The result of waiting for an item.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    Item(Item),
    TimedOut,
    Closed,
}

impl Items {
    /// `least`: the least serious log lines that are queued.
    pub(crate) fn new(least: Level) -> Self {
        Items { least, queue: Mutex::default(), filled: Condvar::new(), deliverer: OnceLock::new() }
    }

    pub(crate) fn log(&self, level: Level, message: impl Into<String>) {
        if level >= self.least {
            self.push(Item::Log { level, message: one_line(&message.into()) });
        }
    }

    /// Logs a line that is written only if the program wants it.
    pub(crate) fn debug(&self, message: impl FnOnce() -> String) {
        if self.least <= Level::Debug {
            self.log(Level::Debug, message());
        }
    }

    pub(crate) fn push(&self, item: Item) {
        {
            let mut queue = lock(&self.queue);
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

    /// Makes every later item wake `signal`.
    pub(crate) fn wake_on_push(&self, signal: &Arc<Signal>) {
        let _ = self.deliverer.set(Arc::downgrade(signal));
        signal.wake();
    }

    /// The next item, if one is waiting.
    pub(crate) fn take(&self) -> Option<Item> {
        lock(&self.queue).pop()
    }

    /// Queues an event for the program. False if `capacity` events are waiting already, or the queue is closed.
    pub(crate) fn push_event(&self, json: &str, capacity: usize) -> bool {
        {
            let queue = lock(&self.queue);
            if queue.closed || queue.events >= capacity {
                return false;
            }
        }
        self.push(Item::Event { json: json.to_owned() });
        true
    }

    /// Waits for the next item until `deadline`, or until the queue is closed and empty.
    pub(crate) fn next(&self, deadline: Instant) -> Next {
        let mut queue = lock(&self.queue);
        loop {
            if let Some(item) = queue.pop() {
                return Next::Item(item);
            }
            if queue.closed {
                return Next::Closed;
            }
            let Some(filled) = wait_until(&self.filled, queue, deadline) else { return Next::TimedOut };
            queue = filled;
        }
    }

    /// Drops every later item. The items that are waiting can still be taken.
    pub(crate) fn close(&self) {
        lock(&self.queue).closed = true;
        self.filled.notify_all();
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
            let message = format!("{} log lines were dropped because they were not pulled", self.dropped);
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

/// `text` as one line of bounded length. It may quote a server's response.
pub(crate) fn one_line(text: &str) -> String {
    const LONGEST: usize = 1200;
    let beginning = cut(text, LONGEST);
    let mut line: String = beginning.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if beginning.len() < text.len() {
        line.push('…');
    }
    line
}
