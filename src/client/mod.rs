//! The client: its parts put together, and its life from start to shutdown.

mod bootstrap;
mod cache;
mod evaluate;
pub(crate) mod evaluate_options;
mod fork;
#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(all(test, mpflags_model))]
mod model_tests;
mod noted;
#[cfg(all(test, not(mpflags_model)))]
mod outage_tests;
mod pauses;
mod poller;
mod refresh;
mod remote;
mod report;
mod runtime;
mod snapshot;
mod status;
#[cfg(feature = "arrow")]
pub(crate) mod table;
pub(crate) mod unversioned;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};

use crate::client::bootstrap::Logged;
use crate::client::snapshot::{Overrides, Snapshot};
use crate::config::Config;
use crate::engine::context::View;
use crate::engine::variant::FlagValue;
use crate::error::{Error, ErrorKind};
use crate::events::events_were;
use crate::events::outbox::End;
use crate::items::{Callback, Item, Level, Next, State};
use crate::json::{json_kind, syntax};
use crate::sys::clock::{Clock, SystemClock, deadline};
use crate::sys::fork::generation;
use crate::sys::lock::lock;
use crate::sys::sync::atomic::AtomicU64;
use crate::transport::Connect;
use crate::transport::hosts::Hosts;
use runtime::{Runtime, Shared};

/// Evaluates the feature flags of one Mixpanel project and reports exposures.
///
/// [`Client::new`] starts nothing. [`Client::start`] starts two threads: `mpflags-poll` keeps the definitions up to date,
/// `mpflags-send` sends events. An evaluation reads the current definitions and never waits. [`Client::shutdown`] sends
/// the remaining events and ends the threads. Dropping a running client does the same, within a second.
///
/// # Threads
///
/// All methods can be called from any thread. An evaluation is one atomic load and pure code, so any number of threads can
/// evaluate at once without waiting for each other. The first evaluation on a thread allocates a few bytes; after that,
/// reading a number or boolean allocates only if there is a first exposure to report.
///
/// # Forks
///
/// See [`after_fork_in_child`](crate::after_fork_in_child).
pub struct Client {
    shared: Shared,
    /// Replaced in the child of a fork, where the threads and locks of the old one are dead.
    runtime: ArcSwap<Runtime>,
    /// The fork generation that `runtime` belongs to; see [`fork`].
    generation: AtomicU64,
    /// Receives the items instead of [`Client::next_item`], until the client is shut down.
    callback: ArcSwapOption<Box<Callback>>,
}

/// The time limit of dropping a client, which may happen where nobody expects to wait, such as in a finalizer.
pub(crate) const DROP: Duration = Duration::from_secs(1);

impl Client {
    /// Makes a client, which can evaluate at once if the configuration has definitions or overrides, or if it has
    /// `ready_from_cache` and there are cached definitions. Reads the files that the configuration names and the proxy
    /// variables of the environment. Opens no connection and starts no thread.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] if a file cannot be read or has invalid contents, or if the proxy, from the
    /// configuration or the environment, is not a URL. The cost grows with the number of flags in the definitions.
    pub fn new(config: Config) -> Result<Self, Error> {
        Client::with_clock(config, Arc::new(SystemClock))
    }

    pub(crate) fn with_clock(config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let hosts = Arc::new(Hosts::new(&config, clock.clone())?);
        let connections = hosts.clone();
        let connect = Box::new(move |items: &_| connections.connect(items));
        Client::with_transport(config, clock, connect, Some(hosts))
    }

    /// `hosts`: those that `connect` connects to, if they are real.
    fn with_transport(
        mut config: Config,
        clock: Arc<dyn Clock>,
        connect: Box<Connect>,
        hosts: Option<Arc<Hosts>>,
    ) -> Result<Self, Error> {
        let overrides = std::mem::take(&mut config.overrides);
        let start = bootstrap::start(&mut config)?;
        let snapshot = Arc::new(Snapshot::new(start.definitions, overrides));
        let view = View {
            targeting_key_as: config.targeting_key_as.take(),
            attributes_as_custom_properties: config.attributes_as_custom_properties,
        };
        let has_view = view.targeting_key_as.is_some() || view.attributes_as_custom_properties;
        let view = has_view.then_some(view);
        let shared = Shared { config: Arc::new(config), view, clock, connect, hosts, snapshot };
        let runtime = Runtime::new(&shared, start.state);
        for warning in shared.hosts.iter().flat_map(|hosts| &hosts.warnings) {
            runtime.items.log(Level::Warning, warning.as_str());
        }
        if let Some((level, line)) = start.line {
            runtime.items.log(level, line);
        }
        if let Some(report) = start.report {
            Logged::default().log(&runtime.items, &report);
        }
        Ok(Client {
            shared,
            runtime: ArcSwap::from_pointee(runtime),
            generation: AtomicU64::new(generation()),
            callback: ArcSwapOption::empty(),
        })
    }

    /// Starts polling and sending, and returns immediately. Does nothing if the client is running. A client that was shut
    /// down can be started again, without its former callback and the items that were waiting.
    ///
    /// If the configuration has definitions and `enable_polling` is off, nothing is fetched until [`Client::refresh`] is
    /// called.
    ///
    /// Fails with [`ErrorKind::System`] if a thread cannot be started.
    pub fn start(&self) -> Result<(), Error> {
        self.after_fork();
        let mut runtime = self.runtime.load_full();
        if runtime.is_closed() {
            // If two threads start the client at once, the runtime of the second is dropped.
            self.runtime
                .compare_and_swap(&runtime, Arc::new(Runtime::new(&self.shared, runtime.status.peek())));
            runtime = self.runtime.load_full();
        }
        runtime.start(&self.shared, self.callback())
    }

    fn callback(&self) -> Option<Arc<Callback>> {
        let callback = self.callback.load_full()?;
        Some(Arc::new(move |item| callback(item)))
    }

    /// Waits until there are definitions: fetched, from the configuration, or from the cache, which is read after the
    /// first failed fetch or, with `ready_from_cache`, when the client is made. Returns immediately if there are some
    /// already, and if the client is remote. `timeout` includes retries; zero does not wait. Overrides alone do not
    /// make a client ready.
    ///
    /// Fails with [`ErrorKind::Timeout`] if `timeout` passes, with [`ErrorKind::CredentialsRefused`] as soon as Mixpanel
    /// responds with 401 or 403, with [`ErrorKind::Backend`] as soon as a server speaks plain http although the
    /// configuration says https, with [`ErrorKind::Closed`] if the client was shut down, and with
    /// [`ErrorKind::InvalidArgument`] if it was never started and has no definitions. The message contains the error of
    /// the last fetch. The client keeps polling in any case.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), Error> {
        self.after_fork();
        let runtime = self.runtime.load_full();
        if !runtime.is_started() && !runtime.is_closed() && !runtime.status.held() {
            return Err(runtime::not_started());
        }
        runtime.status.wait_ready(deadline(timeout))
    }

    /// Fetches the definitions now, even if `enable_polling` is off, and waits for the result for at most `timeout`. Zero
    /// starts the fetch without waiting. The next poll is an interval later.
    ///
    /// The fetch starts after the call, on a new connection: a fetch that is already running may return older definitions,
    /// and an idle connection may have died while the process was frozen. Concurrent calls share one fetch. It does not
    /// wait for the end of a pause between retries, even one that the server asked for. A remote client has no
    /// definitions: the call succeeds immediately.
    ///
    /// If the fetch fails, the current definitions stay in use. Fails with [`ErrorKind::Backend`] or
    /// [`ErrorKind::CredentialsRefused`] if the fetch fails; with [`ErrorKind::Timeout`] if `timeout` passes, while the
    /// fetch continues; with [`ErrorKind::Closed`] if the client is shut down before or during the call; with
    /// [`ErrorKind::System`] if the fetching thread cannot be started or has panicked; and with
    /// [`ErrorKind::InvalidArgument`] before the start, or in a callback, which runs on the fetching thread. The
    /// message contains the error of the last fetch.
    pub fn refresh(&self, timeout: Duration) -> Result<(), Error> {
        self.after_fork();
        self.runtime.load_full().refresh(timeout, &self.shared, self.callback())
    }

    /// The option `init_timeout_ms`, for callers of [`Client::wait_ready`] that have no timeout of their own.
    pub fn init_timeout(&self) -> Duration {
        self.shared.config.init_timeout
    }

    /// The option `shutdown_timeout_ms`, for callers of [`Client::shutdown`].
    pub fn shutdown_timeout(&self) -> Duration {
        self.shared.config.shutdown_timeout
    }

    /// The option `request_timeout_ms`, for callers of [`Client::refresh`].
    pub fn request_timeout(&self) -> Duration {
        self.shared.config.request_timeout
    }

    /// Whether the client can evaluate flags. Takes a short lock.
    pub fn state(&self) -> State {
        self.after_fork();
        self.runtime.load().status.state()
    }

    /// Waits at most `timeout` for the next item: a log line, a state change, changed flags, or an event if `event_sink`
    /// is on. Returns `None` if there was none; zero does not wait. Meant for one consumer.
    ///
    /// Items that are not pulled use bounded memory: beyond 256 log lines or 64 state changes the oldest are dropped, and
    /// changes are merged.
    ///
    /// Fails with [`ErrorKind::Closed`] if the client is shut down and no item is left, and with
    /// [`ErrorKind::InvalidArgument`] if there is a callback.
    pub fn next_item(&self, timeout: Duration) -> Result<Option<Item>, Error> {
        self.after_fork();
        if self.callback.load().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "the client has a callback, which receives the items",
            ));
        }
        let runtime = self.runtime.load_full();
        match runtime.items.next(deadline(timeout)) {
            Next::Item(item) => {
                if matches!(item, Item::Event { .. }) {
                    runtime.events.outbox.settle(1, End::Sent);
                }
                Ok(Some(item))
            }
            Next::TimedOut => Ok(None),
            Next::Closed => Err(Error::closed()),
        }
    }

    /// Passes each item to `callback`, instead of [`Client::next_item`]: one at a time, on the thread `mpflags-poll`, which
    /// [`Client::start`] then always starts.
    ///
    /// The callback may call any method except [`Client::shutdown`], and must not drop the client. A slow callback delays
    /// the next poll; a panic in it ends polling. Shutdown delivers the remaining items, including a report of lost
    /// events, and drops the callback.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] if the client is started or has a callback.
    pub fn on_item(&self, callback: Box<dyn Fn(Item) + Send + Sync>) -> Result<(), Error> {
        self.after_fork();
        let refused = || {
            let why = "a callback can be set only once, before the client is started";
            Error::new(ErrorKind::InvalidArgument, why)
        };
        if self.runtime.load().is_started() {
            return Err(refused());
        }
        let none: Option<Arc<Box<Callback>>> = None;
        let before = self.callback.compare_and_swap(&none, Some(Arc::new(callback)));
        if before.is_some() { Err(refused()) } else { Ok(()) }
    }

    /// Delivers the queued events and ends the threads. Polling ends at once; sending ends when all events are
    /// delivered or `timeout` has passed, which aborts any running request. Returns the number of events that were not
    /// delivered. They are lost; a warning, which is the last item, says why.
    ///
    /// Items can still be pulled with [`Client::next_item`], or are passed to the callback before it is dropped. With
    /// `event_sink` they include the remaining events, so none is lost. Evaluations continue to work with the current
    /// definitions, without exposures. Shutting down again does nothing.
    ///
    /// Fails with [`ErrorKind::Timeout`] if a thread is still in a name look-up, a connect or the callback when
    /// `timeout` has passed. That thread is left behind, and ends once the look-up, connect or callback returns.
    pub fn shutdown(&self, timeout: Duration) -> Result<u64, Error> {
        let deadline = deadline(timeout);
        let is_forked = self.is_forked();
        let mut runtime = self.runtime.load_full();
        // Refuse first: otherwise the child of a fork would start a new runtime just to shut it down.
        runtime.refuse();
        self.after_fork();
        // Otherwise end the one that was refused: a concurrent start may have replaced it by now.
        if is_forked {
            runtime = self.runtime.load_full();
        }
        let (undelivered, left_behind) = runtime.end(timeout, deadline, &self.shared);
        self.callback.store(None);
        if left_behind {
            return Err(Error::new(
                ErrorKind::Timeout,
                format!(
                    "a thread did not end in time: it is left behind, inside a name look-up, a connect or the \
                     callback; {} not delivered",
                    events_were(undelivered)
                ),
            ));
        }
        Ok(undelivered)
    }

    /// Makes flag `key` evaluate to `json` whatever its definition, replacing an earlier override. Copies all
    /// overrides, so it is meant for tests and tools.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] if `json` is not a JSON value.
    pub fn set_override(&self, key: &str, json: &str) -> Result<(), Error> {
        let value = FlagValue::parse(json).map_err(|e| {
            let why = match json_kind(json) {
                "text that is not JSON" => "not JSON; a string needs quotes, as in \"yes\"".to_owned(),
                "nothing" => "expected a JSON value, found nothing".to_owned(),
                _ => syntax(json, &e),
            };
            Error::new(ErrorKind::InvalidArgument, format!("override of `{key}`: {why}"))
        })?;
        self.change_overrides(|overrides| _ = overrides.insert(key.into(), value.clone()));
        Ok(())
    }

    /// Removes the override of flag `key`, even one from the configuration. Does nothing if there is none.
    pub fn clear_override(&self, key: &str) {
        self.change_overrides(|overrides| _ = overrides.remove(key));
    }

    fn change_overrides(&self, change: impl Fn(&mut Overrides)) {
        self.after_fork();
        let runtime = self.runtime.load();
        let mut retired = lock(&runtime.retired);
        self.shared.snapshot.change_overrides(change, &mut retired);
        retired.sweep();
    }
}

impl Drop for Client {
    /// Shuts a running client down within a second, or within `shutdown_timeout_ms` if that is shorter.
    fn drop(&mut self) {
        if self.is_forked() {
            // The child of a fork that never used the client must not touch what it inherited.
            std::mem::forget(self.runtime.load_full());
            return;
        }
        if self.runtime.load().is_closed() {
            return;
        }
        // Lost events are reported to the callback.
        let _ = self.shutdown(self.shared.config.shutdown_timeout.min(DROP));
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.shared.config).finish_non_exhaustive()
    }
}
