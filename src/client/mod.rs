//! The client: where configuration, snapshot, poller, reporter and stream come together.

mod cache;
mod evaluate;
pub(crate) mod evaluate_options;
#[cfg(test)]
mod outage_tests;
mod poller;
mod refresh;
mod remote;
mod runtime;
mod snapshot;
mod status;

use std::fmt;
use std::fs;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::client::poller::{DEFINITIONS_LIMIT, tell_bootstrap};
use crate::client::refresh::closed;
use crate::client::snapshot::{Overrides, Snapshot};
use crate::config::Config;
use crate::engine::definitions::{FlagSet, Report};
use crate::engine::variant::FlagValue;
use crate::error::{Error, ErrorKind, plain};
use crate::events::Events;
use crate::events::outbox::End;
use crate::items::{Callback, Item, Level, Next, State};
use crate::sys::clock::{Clock, SystemClock, deadline};
use crate::sys::fork;
use crate::transport::http::Settings;
use runtime::{Parts, Runtime};

pub use evaluate::Packed;

/// Evaluates the flags of one Mixpanel project, and reports who was shown what.
///
/// [`Client::new`] opens nothing. [`Client::start`] starts two threads: `mpflags-poll` keeps the definitions fresh,
/// `mpflags-send` sends events. An evaluation reads what is there and never waits. [`Client::shutdown`] delivers what
/// waits and ends the threads; so does dropping a running client, within a second.
///
/// # Threads
///
/// Any thread may call any method, and any number may evaluate at once: an evaluation is one atomic load and pure code,
/// and waits for nothing. A thread's first evaluation allocates a few bytes for itself; after that, typed reads of
/// numbers and booleans allocate nothing, unless there is a first exposure to report.
///
/// # Forks
///
/// See [`after_fork_in_child`](crate::after_fork_in_child).
pub struct Client {
    parts: Parts,
    /// Replaced in the child of a fork, where the threads and locks of the old one are dead.
    runtime: ArcSwap<Runtime>,
    /// The fork generation that `runtime` belongs to; [`REBUILDING`] while one is made.
    generation: AtomicU64,
    /// Takes the items instead of [`Client::next_item`]. Lives as long as the client or until it is shut down.
    callback: ArcSwapOption<Box<Callback>>,
}

/// Set beside the generation while its runtime is made.
const REBUILDING: u64 = 1 << 63;

/// What dropping a client may take: it may happen where nobody expects to wait, such as in a finalizer.
pub(crate) const DROP: Duration = Duration::from_secs(1);

impl Client {
    /// Makes a client that can evaluate what the configuration brings, and nothing else yet. Reads the files that it
    /// names and the proxy variables of the environment; opens no connection and starts no thread.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when a file cannot be read or is not what it should be, and when the
    /// proxy, of the configuration or the environment, is no URL. Parses the definitions given, which takes longer the
    /// more flags there are.
    pub fn new(config: Config) -> Result<Self, Error> {
        Client::with_clock(config, Arc::new(SystemClock))
    }

    pub(crate) fn with_clock(mut config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let settings = Arc::new(Settings::new(&config)?);
        let overrides = std::mem::take(&mut config.overrides);
        let (flags, report) = bootstrap(&mut config)?.unzip();
        let flags = flags.map(Arc::new);
        let snapshot = Arc::new(Snapshot::new(flags, overrides));
        let parts = Parts { config: Arc::new(config), clock, settings, snapshot };
        let runtime = Runtime::new(&parts, None);
        for warning in &parts.settings.warnings {
            runtime.stream.log(Level::Warning, warning.clone());
        }
        if let Some(report) = report {
            tell_bootstrap(&runtime.stream, &report);
        }
        Ok(Client {
            parts,
            runtime: ArcSwap::from_pointee(runtime),
            generation: AtomicU64::new(fork::generation()),
            callback: ArcSwapOption::empty(),
        })
    }

    /// Starts polling and sending, and returns at once. Starting a started client does nothing; one that was shut down
    /// starts anew, without the callback it had and the items that waited.
    ///
    /// With definitions in the configuration and `enable_polling` off there is nothing to fetch, and nothing polls until
    /// [`Client::refresh`] is called.
    ///
    /// Fails with [`ErrorKind::System`] when no thread can be started.
    pub fn start(&self) -> Result<(), Error> {
        self.after_fork();
        let mut runtime = self.runtime.load_full();
        if runtime.is_closed() {
            // Of two that start at once, the second one's goes unused.
            self.runtime.compare_and_swap(&runtime, Arc::new(Runtime::new(&self.parts, Some(&runtime))));
            runtime = self.runtime.load_full();
        }
        runtime.start(&self.parts, self.callback())
    }

    fn callback(&self) -> Option<Arc<Callback>> {
        let callback = self.callback.load_full()?;
        Some(Arc::new(move |item| callback(item)))
    }

    /// Waits until there is something to evaluate: a fetch, definitions in the configuration, or, after the first
    /// failed fetch, the cache. `timeout` covers all retries; zero only looks. Overrides alone make no client ready.
    ///
    /// Fails with [`ErrorKind::Timeout`] when it passes, with [`ErrorKind::CredentialsRefused`] as soon as Mixpanel
    /// answers 401 or 403, with [`ErrorKind::Closed`] when the client was shut down, and with
    /// [`ErrorKind::InvalidArgument`] when it was never started and holds nothing. The message tells the last fetch's
    /// error. Polling goes on in any case.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), Error> {
        self.after_fork();
        let runtime = self.runtime.load_full();
        if !runtime.is_started() && !runtime.is_closed() && !runtime.status.held() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the client is not started"));
        }
        runtime.status.wait_ready(deadline(timeout))
    }

    /// Fetches the definitions now, whatever `enable_polling` says, and waits until that fetch has ended, at most
    /// `timeout`. Zero starts the fetch and does not wait. The next poll comes an interval later.
    ///
    /// Callers that wait at the same time share one fetch. It begins after the call and opens a connection for itself: a
    /// fetch already under way may bring older definitions, and a connection that was kept may have died while the
    /// process was frozen. A pause between retries is cut short, one that the server asked for too. A remote client has
    /// nothing to fetch: the call succeeds at once.
    ///
    /// On failure the definitions held stay in service. Fails with [`ErrorKind::Backend`] or
    /// [`ErrorKind::CredentialsRefused`] when the fetch fails, with [`ErrorKind::Timeout`] when `timeout` passes, after
    /// which the fetch goes on, with [`ErrorKind::Closed`] when the client is or gets shut down, with
    /// [`ErrorKind::System`] when there is no thread to fetch with, and with [`ErrorKind::InvalidArgument`] before the
    /// start and in a callback, whose thread is the one that fetches. The message has the last fetch's error.
    pub fn refresh(&self, timeout: Duration) -> Result<(), Error> {
        self.after_fork();
        self.runtime.load_full().refresh(timeout, &self.parts, self.callback())
    }

    /// The option `init_timeout_ms`, for a wait that the caller gives no time of its own.
    pub fn init_timeout(&self) -> Duration {
        self.parts.config.init_timeout
    }

    /// The option `shutdown_timeout_ms`, likewise.
    pub fn shutdown_timeout(&self) -> Duration {
        self.parts.config.shutdown_timeout
    }

    /// The option `request_timeout_ms`, likewise.
    pub fn request_timeout(&self) -> Duration {
        self.parts.config.request_timeout
    }

    /// Whether the client can evaluate. Takes a short lock.
    pub fn state(&self) -> State {
        self.after_fork();
        self.runtime.load().status.state()
    }

    /// Pulls the next item: a log line, a state, a change, with `event_sink` an event. `Ok(None)`: none came within
    /// `timeout`; zero only looks. One consumer. What nobody pulls is bounded: the oldest of 256 log lines and of 64
    /// states go, and changes are merged.
    ///
    /// Fails with [`ErrorKind::Closed`] when the client is shut down and nothing waits any more, and with
    /// [`ErrorKind::InvalidArgument`] when the items go to a callback.
    pub fn next_item(&self, timeout: Duration) -> Result<Option<Item>, Error> {
        self.after_fork();
        if self.callback.load().is_some() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the items go to the callback"));
        }
        let runtime = self.runtime.load_full();
        match runtime.stream.next(deadline(timeout)) {
            Next::Item(item) => {
                if matches!(item, Item::Event { .. }) {
                    runtime.events.outbox.settle(1, End::Sent);
                }
                Ok(Some(item))
            }
            Next::TimedOut => Ok(None),
            Next::Closed => Err(closed()),
        }
    }

    /// Hands every item to `callback` instead of [`Client::next_item`]: one at a time, on the thread `mpflags-poll`, which
    /// [`Client::start`] then starts in any case. It may call any method but [`Client::shutdown`], and must not drop the
    /// client. A slow one delays the next poll; a panic in it ends polling. Shutdown delivers what waits, a report of lost
    /// events included, and drops it.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when the client is started or has a callback.
    pub fn on_item(&self, callback: Box<dyn Fn(Item) + Send + Sync>) -> Result<(), Error> {
        self.after_fork();
        let refused =
            || Error::new(ErrorKind::InvalidArgument, "a callback is set once, before the client is started");
        if self.runtime.load().is_started() {
            return Err(refused());
        }
        let none: Option<Arc<Box<Callback>>> = None;
        let before = self.callback.compare_and_swap(&none, Some(Arc::new(callback)));
        if before.is_some() { Err(refused()) } else { Ok(()) }
    }

    /// Puts the text of a panic that was caught at the C boundary into the stream.
    #[doc(hidden)]
    pub fn log_panic(&self, text: &str) {
        self.after_fork();
        self.runtime.load().stream.log(Level::Error, format!("a panic was caught: {text}"));
    }

    /// Sends event `name` of user `distinct_id` with the members of `properties`, a JSON object or an empty string.
    /// Only enqueues: it waits for nothing.
    ///
    /// An empty `distinct_id` means that no user is known: the properties must have a `$device_id` then, a non-empty string.
    /// `time` and `$insert_id` among the properties replace ours: `time` is a number of seconds or milliseconds since 1970,
    /// or an RFC 3339 string, from 1971 on; `$insert_id` a string of 1 to 36 ASCII letters, digits or `-`.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when the name is empty or the properties are none of this, with
    /// [`ErrorKind::QueueFull`] when the queue is, and with [`ErrorKind::Closed`] after shutdown.
    pub fn track(&self, name: &str, distinct_id: &str, properties: &str) -> Result<(), Error> {
        self.reporting(|events| events.track(name, distinct_id, properties))
    }

    /// Changes the profile of user `distinct_id`: `operation` is one of `$set`, `$set_once`, `$add`, `$append`,
    /// `$union`, `$remove` (with an object), `$unset` (with an array of names) and `$delete` (with null). Only enqueues.
    ///
    /// Fails as [`Client::track`] does; an empty `distinct_id` is always an error.
    pub fn people_update(&self, operation: &str, distinct_id: &str, value: &str) -> Result<(), Error> {
        self.reporting(|events| events.update(operation, distinct_id, value))
    }

    /// Sends what is enqueued, and waits until Mixpanel has it, at most `timeout`. Gives how many events were not
    /// delivered by then: they stay enqueued. A pause between retries is cut short: it tries at once, then every second.
    ///
    /// Fails with [`ErrorKind::Closed`] after shutdown.
    pub fn flush(&self, timeout: Duration) -> Result<u64, Error> {
        self.after_fork();
        let runtime = self.runtime.load_full();
        if runtime.is_closed() {
            return Err(closed());
        }
        Ok(runtime.flush(deadline(timeout)))
    }

    /// What became of events, as a JSON object: `enqueued`, `sent`, `deduplicated`, `dropped` by cause (`queue_full`,
    /// `rejected`, `shutdown`), `without_distinct_id`, `queue_length`, `remote_in_flight` (remote evaluations under way,
    /// whether or not anybody waits for them), `last_error` with its `message` and `time` (ms since 1970), or null, and
    /// `unsupported`: how many flags use operators or restrictions that this library does not know or cannot check (`count`), and
    /// their names by flag (`flags`, the first 64 in order of key), and `unusable_attributes`: how many evaluations had a context
    /// with an attribute that cannot be used.
    pub fn statistics(&self) -> String {
        self.after_fork();
        let runtime = self.runtime.load();
        let mut others = serde_json::Map::new();
        let mut add = |name: &str, count: serde_json::Value| _ = others.insert(name.to_owned(), count);
        add("remote_in_flight", runtime.asking.load(Ordering::Relaxed).into());
        add("unsupported", self.unsupported());
        add("unusable_attributes", runtime.attributes.count().into());
        runtime.events.outbox.statistics(others)
    }

    fn unsupported(&self) -> serde_json::Value {
        const LISTED: usize = 64;
        let flags = self.parts.snapshot.flags();
        let found = || flags.iter().flat_map(|set| set.unsupported());
        let mut listed = serde_json::Map::new();
        for (key, unsupported) in found().take(LISTED) {
            listed.insert(key.to_owned(), unsupported.names.iter().map(|name| &**name).collect());
        }
        serde_json::json!({"count": found().count(), "flags": listed})
    }

    /// Delivers what is enqueued and ends the threads: polling at once, sending when all is delivered or, requests
    /// interrupted, when `timeout` is over. Returns how many events were not delivered; they are lost, which the last
    /// item reports, with the reason, as a warning. Items that wait can still be pulled: [`Client::next_item`] gives them
    /// before it fails with [`ErrorKind::Closed`], and a callback gets them before it is dropped. With `event_sink` those
    /// are the events, too, and nothing is lost. Evaluations go on with the definitions held, without exposures. Shutting
    /// down twice is fine.
    ///
    /// Fails with [`ErrorKind::Timeout`] when a thread is inside a name look-up, a connect or the callback for longer: it
    /// is left behind, and ends when that ends.
    pub fn shutdown(&self, timeout: Duration) -> Result<u64, Error> {
        let deadline = deadline(timeout);
        // Said before a runtime is made for the child of a fork, so that none is started for this.
        self.runtime.load().refuse();
        self.after_fork();
        let (undelivered, left_behind) = self.runtime.load_full().end(timeout, deadline, &self.parts);
        self.callback.store(None);
        if left_behind {
            return Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "a thread did not end in time: it is left behind, inside a name look-up, a connect or the \
                     callback; {undelivered} events were not delivered"
                ),
            ));
        }
        Ok(undelivered)
    }

    /// Gives flag `key` the value `json` from now on, whatever Mixpanel says, in place of an earlier override. Copies
    /// all overrides: for tests and tools.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when `json` is no JSON value.
    pub fn set_override(&self, key: &str, json: &str) -> Result<(), Error> {
        let value = FlagValue::parse(json).map_err(|e| {
            Error::new(ErrorKind::InvalidArgument, format!("override of `{key}`: {}", plain(&e)))
        })?;
        self.change_overrides(|overrides| _ = overrides.insert(key.into(), value.clone()));
        Ok(())
    }

    /// Takes back the override of flag `key`, one of the configuration included. Without one it does nothing.
    pub fn clear_override(&self, key: &str) {
        self.change_overrides(|overrides| _ = overrides.remove(key));
    }

    fn change_overrides(&self, change: impl Fn(&mut Overrides)) {
        self.after_fork();
        let runtime = self.runtime.load();
        let mut retired = runtime.retired.lock().unwrap_or_else(PoisonError::into_inner);
        self.parts.snapshot.change_overrides(change, &mut retired);
        retired.sweep();
    }

    fn reporting(&self, report: impl FnOnce(&Events) -> Result<(), Error>) -> Result<(), Error> {
        self.after_fork();
        let runtime = self.runtime.load();
        if runtime.is_closed() { Err(closed()) } else { report(&runtime.events) }
    }

    /// In the child of a fork: a runtime of its own, and true. One relaxed load otherwise.
    fn after_fork(&self) -> bool {
        let now = fork::generation();
        let forked = self.generation.load(Ordering::Relaxed) != now;
        if forked {
            self.rebuild(now);
        }
        forked
    }

    #[cold]
    fn rebuild(&self, now: u64) {
        let mut seen = self.generation.load(Ordering::Acquire);
        while seen != now {
            // Only a thread of this process is worth waiting for: one that a fork interrupted is not in it.
            if seen == now | REBUILDING {
                std::thread::yield_now();
                seen = self.generation.load(Ordering::Acquire);
                continue;
            }
            match self.generation.compare_exchange(
                seen,
                now | REBUILDING,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Err(other) => seen = other,
                Ok(_) => return self.rebuild_alone(now),
            }
        }
    }

    fn rebuild_alone(&self, now: u64) {
        let old = self.runtime.load_full();
        let new = Arc::new(Runtime::new(&self.parts, Some(&old)));
        if old.is_closed() {
            new.close();
        }
        // The old runtime's locks may be held by threads that do not exist here, and its threads cannot be joined: it
        // is forgotten, not dropped.
        std::mem::forget(self.runtime.swap(new.clone()));
        // Only then do other threads of the child go on: one that flushes relies on the thread that sends.
        let _published = Published { generation: &self.generation, now };
        if old.is_started()
            && let Err(error) = new.start(&self.parts, self.callback())
        {
            new.stream.log(Level::Error, format!("after a fork: {error}"));
        }
        std::mem::forget(old);
    }
}

/// Lets those who wait for a rebuilt runtime go on, after a panic too.
struct Published<'a> {
    generation: &'a AtomicU64,
    now: u64,
}

impl Drop for Published<'_> {
    fn drop(&mut self) {
        self.generation.store(self.now, Ordering::Release);
    }
}

impl Drop for Client {
    /// Shuts down within a second, or `shutdown_timeout_ms` if that is less. A client that was shut down is not waited for
    /// again.
    fn drop(&mut self) {
        if self.generation.load(Ordering::Acquire) != fork::generation() {
            // A child that never used the client: what it inherited is not its to touch.
            std::mem::forget(self.runtime.load_full());
            return;
        }
        if self.runtime.load().is_closed() {
            return;
        }
        // A callback hears of losses.
        let _ = self.shutdown(self.parts.config.shutdown_timeout.min(DROP));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.parts.config).finish_non_exhaustive()
    }
}

/// The definitions that the configuration brings.
fn bootstrap(config: &mut Config) -> Result<Option<(FlagSet, Report)>, Error> {
    let (place, body) = match (config.definitions.take(), &config.definitions_path) {
        (Some(json), _) => ("definitions".to_owned(), json.into_string().into_bytes()),
        (None, None) => return Ok(None),
        (None, Some(path)) => {
            let place = format!("definitions_path: {}", path.display());
            let too_large = fs::metadata(path).is_ok_and(|meta| meta.len() > DEFINITIONS_LIMIT);
            if too_large {
                return Err(Error::config(format!("config: {place}: larger than {DEFINITIONS_LIMIT} bytes")));
            }
            match fs::read(path) {
                Ok(body) => (place, body),
                Err(error) => return Err(Error::config(format!("config: {place}: {error}"))),
            }
        }
    };
    FlagSet::parse(&body, None).map(Some).map_err(|e| Error::config(format!("config: {place}: {e}")))
}
