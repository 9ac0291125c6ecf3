//! The client: where configuration, snapshot, poller and stream come together.

use std::fmt;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use arc_swap::{ArcSwap, ArcSwapOption};
use once_cell::sync::OnceCell;

use crate::cache::Cache;
use crate::clock::{Clock, SystemClock, deadline};
use crate::config::Config;
use crate::context::{Context, Facts, Glance, Wanted};
use crate::definitions::{Entry, FlagSet, Report};
use crate::error::{Error, ErrorKind};
use crate::evaluate::{evaluate, evaluate_entry};
use crate::evaluation::Evaluation;
use crate::fork;
use crate::outcome::Outcome;
use crate::poller::{DEFINITIONS_LIMIT, Poller, tell_bootstrap};
use crate::snapshot::{Current, Overrides, Snapshot};
use crate::status::Status;
use crate::stream::{Callback, Item, Level, Next, State, Stream};
use crate::transport::Transport;
use crate::transport::http::Settings;
use crate::variant::{FlagValue, ValueType};
use crate::worker::Worker;

/// Evaluates the flags of one Mixpanel project.
///
/// [`Client::new`] opens nothing; [`Client::start`] starts a thread, `mpflags-poll`, that keeps the definitions fresh;
/// an evaluation reads what is there and never waits. [`Client::shutdown`] ends the thread, and so does dropping the client.
///
/// # Threads
///
/// Any thread may call any method, and any number may evaluate at once: an evaluation is one atomic load and pure code.
///
/// # Forks
///
/// See [`after_fork_in_child`](crate::after_fork_in_child).
pub struct Client {
    config: Arc<Config>,
    clock: Arc<dyn Clock>,
    settings: Arc<Settings>,
    snapshot: Arc<Snapshot>,
    /// Replaced in the child of a fork, where the threads and locks of the old one are dead.
    runtime: ArcSwap<Runtime>,
    /// The fork generation that `runtime` belongs to; [`REBUILDING`] while one is made.
    generation: AtomicU64,
    started: AtomicBool,
    closed: AtomicBool,
    /// Takes the items instead of [`Client::next`]. Lives as long as the client or until it is shut down.
    callback: ArcSwapOption<Box<Callback>>,
}

/// Whatever has a lock or a thread.
struct Runtime {
    status: Arc<Status>,
    stream: Arc<Stream>,
    poller: OnceCell<Polling>,
}

struct Polling {
    worker: Worker,
    transport: Arc<dyn Transport>,
}

const REBUILDING: u64 = u64::MAX;

impl Client {
    /// Makes a client that can evaluate what the configuration brings, and nothing else yet. Reads the files that it
    /// names and the proxy variables of the environment; opens no connection and starts no thread.
    ///
    /// Fails with [`ErrorKind::InvalidConfig`] when a file cannot be read, or its content is not what it should be.
    pub fn new(config: Config) -> Result<Self, Error> {
        Client::with_clock(config, Arc::new(SystemClock))
    }

    pub(crate) fn with_clock(mut config: Config, clock: Arc<dyn Clock>) -> Result<Self, Error> {
        let settings = Arc::new(Settings::new(&config)?);
        let overrides = std::mem::take(&mut config.overrides);
        let stream = Arc::new(Stream::default());
        let flags = match bootstrap(&mut config)? {
            None => None,
            Some((set, report)) => {
                tell_bootstrap(&stream, &report);
                Some(Arc::new(set))
            }
        };
        let held = flags.is_some();
        let state = if held { State::Ready } else { State::NotReady };
        let status = Arc::new(Status::new(state, held));
        Ok(Client {
            config: Arc::new(config),
            clock,
            settings,
            snapshot: Arc::new(Snapshot::new(flags, overrides)),
            runtime: ArcSwap::from_pointee(Runtime { status, stream, poller: OnceCell::new() }),
            generation: AtomicU64::new(fork::generation()),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
            callback: ArcSwapOption::empty(),
        })
    }

    /// Starts polling, and returns at once. Starting a started client does nothing; one that was shut down starts anew.
    ///
    /// With definitions in the configuration and `enable_polling` off there is nothing to fetch, and no thread starts.
    ///
    /// Fails with [`ErrorKind::System`] when no thread can be started.
    pub fn start(&self) -> Result<(), Error> {
        self.after_fork();
        if self.closed.swap(false, Ordering::AcqRel) {
            let held = self.snapshot.load().flags.is_some();
            self.replace_runtime(held);
        }
        self.started.store(true, Ordering::Release);
        self.poll(&self.runtime.load())
    }

    fn poll(&self, runtime: &Runtime) -> Result<(), Error> {
        if !self.config.enable_polling && runtime.status.held() && self.callback.load().is_none() {
            return Ok(());
        }
        runtime.poller.get_or_try_init(|| self.start_poller(runtime)).map(|_| ())
    }

    fn start_poller(&self, runtime: &Runtime) -> Result<Polling, Error> {
        let transport: Arc<dyn Transport> = Arc::new(self.settings.connect());
        let poller = Poller {
            config: self.config.clone(),
            clock: self.clock.clone(),
            transport: transport.clone(),
            snapshot: self.snapshot.clone(),
            status: runtime.status.clone(),
            stream: runtime.stream.clone(),
            cache: Cache::new(&self.config),
            callback: self.callback.load_full().map(|callback| -> Arc<Callback> { Arc::new(move |item| callback(item)) }),
        };
        let delivers = poller.callback.is_some();
        let stream = runtime.stream.clone();
        let panicked = move |text| stream.log(Level::Error, format!("polling ended by a panic: {text}"));
        let worker = Worker::spawn("mpflags-poll", move |signal| poller.run(signal), panicked)
            .map_err(|e| Error::new(ErrorKind::System, format!("cannot start a thread: {e}")))?;
        if delivers {
            runtime.stream.wake_on_push(worker.signal());
        }
        Ok(Polling { worker, transport })
    }

    /// Waits until there is something to evaluate: a fetch, definitions in the configuration, or, after the first
    /// failed fetch, the cache. `timeout` covers all retries.
    ///
    /// Fails with [`ErrorKind::Timeout`] when it passes, with [`ErrorKind::CredentialsRefused`] as soon as Mixpanel
    /// answers 401 or 403, with [`ErrorKind::InvalidArgument`] when the client was never started, and with
    /// [`ErrorKind::Closed`] when it was shut down. The message tells the last fetch's error. Polling goes on in any case.
    pub fn wait_ready(&self, timeout: Duration) -> Result<(), Error> {
        self.after_fork();
        let runtime = self.runtime.load_full();
        if !runtime.status.held() && !self.started.load(Ordering::Acquire) {
            return Err(Error::new(ErrorKind::InvalidArgument, "the client is not started"));
        }
        runtime.status.wait_ready(deadline(timeout))
    }

    /// Whether the client can evaluate.
    pub fn state(&self) -> State {
        self.after_fork();
        self.runtime.load().status.state()
    }

    /// Pulls the next item: a log line, a state, a change. `Ok(None)`: none came within `timeout`. One consumer.
    ///
    /// Fails with [`ErrorKind::Closed`], at once, when the client is shut down, and with
    /// [`ErrorKind::InvalidArgument`] when the items go to a callback.
    pub fn next(&self, timeout: Duration) -> Result<Option<Item>, Error> {
        self.after_fork();
        if self.callback.load().is_some() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the items go to the callback"));
        }
        let stream = self.runtime.load().stream.clone();
        match stream.next(deadline(timeout)) {
            Next::Item(item) => Ok(Some(item)),
            Next::TimedOut => Ok(None),
            Next::Closed => Err(Error::new(ErrorKind::Closed, "the client is shut down")),
        }
    }

    /// Hands every item to `callback` instead of [`Client::next`]: one at a time, on the thread `mpflags-poll`, which
    /// [`Client::start`] then starts in any case. It may call any method but [`Client::shutdown`], and must not drop the
    /// client. A slow one delays the next poll. It is dropped at shutdown.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when the client is started or has a callback.
    pub fn deliver(&self, callback: Box<dyn Fn(Item) + Send + Sync>) -> Result<(), Error> {
        self.after_fork();
        if self.started.load(Ordering::Acquire) || self.callback.load().is_some() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a callback is set once, before the client is started",
            ));
        }
        self.callback.store(Some(Arc::new(callback)));
        Ok(())
    }

    /// Puts the text of a panic that was caught at the C boundary into the stream.
    #[doc(hidden)]
    pub fn log_panic(&self, text: &str) {
        self.after_fork();
        self.runtime.load().stream.log(Level::Error, format!("a panic was caught: {text}"));
    }

    /// Ends polling: interrupts a request under way and waits for the thread, at most `timeout`. Evaluations go on with
    /// the definitions held. Shutting down twice is fine.
    ///
    /// Fails with [`ErrorKind::Timeout`] when the thread is inside a name look-up or a connect for longer: it is left
    /// behind, and ends when that ends.
    pub fn shutdown(&self, timeout: Duration) -> Result<(), Error> {
        let deadline = deadline(timeout);
        self.after_fork();
        self.closed.store(true, Ordering::Release);
        self.started.store(false, Ordering::Release);
        let runtime = self.runtime.load_full();
        runtime.status.close();
        runtime.stream.close();
        let ended = match runtime.poller.get() {
            None => Ok(()),
            Some(polling) => polling.end(deadline),
        };
        self.callback.store(None);
        ended
    }

    /// The boolean that flag `key` gives, or `default`, whatever happens.
    pub fn boolean(&self, key: &str, context: &Context, default: bool) -> bool {
        self.read(key, context, |outcome| outcome.value(ValueType::Boolean)?.boolean()).unwrap_or(default)
    }

    /// The integer that flag `key` gives, or `default`, whatever happens.
    pub fn integer(&self, key: &str, context: &Context, default: i64) -> i64 {
        self.read(key, context, |outcome| outcome.value(ValueType::Integer)?.integer()).unwrap_or(default)
    }

    /// The number that flag `key` gives, or `default`, whatever happens.
    pub fn double(&self, key: &str, context: &Context, default: f64) -> f64 {
        self.read(key, context, |outcome| outcome.value(ValueType::Double)?.double()).unwrap_or(default)
    }

    /// The string that flag `key` gives, or `default`, whatever happens.
    pub fn string(&self, key: &str, context: &Context, default: &str) -> String {
        let read = |outcome: &Outcome<'_>| Some(outcome.value(ValueType::String)?.string()?.to_owned());
        self.read(key, context, read).unwrap_or_else(|| default.to_owned())
    }

    /// Evaluates flag `key` and tells everything about it. `wanted` is the type that the value shall have.
    pub fn evaluate(&self, key: &str, context: &Context, wanted: ValueType) -> Evaluation {
        self.read(key, context, |outcome| Evaluation::new(key, outcome, wanted))
    }

    /// The same for a context that is used once: it is read from `context` and not kept. A context that cannot be
    /// read gives an evaluation with INVALID_CONTEXT.
    pub fn evaluate_json(&self, key: &str, context: &str, wanted: ValueType) -> Evaluation {
        self.after_fork();
        let current = self.snapshot.load();
        let outcome = glance(&current, key, context);
        Evaluation::new(key, &outcome, wanted)
    }

    /// Evaluates every flag, in order of key: those that are kept out as malformed, and overrides, too.
    pub fn evaluate_all(&self, context: &Context) -> Vec<Evaluation> {
        self.after_fork();
        let current = self.snapshot.load();
        let mut keys: Vec<&str> = current.overrides.keys().map(AsRef::as_ref).collect();
        keys.sort_unstable();
        let mut overrides = keys.into_iter().peekable();
        let mut all = Vec::with_capacity(current.flags.as_ref().map_or(0, |set| set.iter().len()));
        let over = |key: &str| match current.overrides.get(key) {
            Some(value) => Evaluation::new(key, &Outcome::Override(value), ValueType::Any),
            None => Evaluation::new(key, &Outcome::FlagNotFound, ValueType::Any),
        };
        for (key, entry) in current.flags.iter().flat_map(|set| set.iter()) {
            while let Some(earlier) = overrides.next_if(|over| *over < key) {
                all.push(over(earlier));
            }
            if overrides.next_if_eq(&key).is_some() {
                all.push(over(key));
            } else {
                all.push(Evaluation::new(key, &evaluate_entry(entry, context), ValueType::Any));
            }
        }
        all.extend(overrides.map(over));
        all
    }

    /// Gives flag `key` the value `json` from now on, whatever Mixpanel says.
    ///
    /// Fails with [`ErrorKind::InvalidArgument`] when `json` is no JSON value.
    pub fn set_override(&self, key: &str, json: &str) -> Result<(), Error> {
        let value = FlagValue::parse(json)
            .map_err(|e| Error::new(ErrorKind::InvalidArgument, format!("override of `{key}`: {e}")))?;
        self.snapshot.change_overrides(|overrides| {
            overrides.insert(key.into(), value.clone());
        });
        Ok(())
    }

    /// Takes back the override of flag `key`, one of the configuration included.
    pub fn clear_override(&self, key: &str) {
        self.snapshot.change_overrides(|overrides| {
            overrides.remove(key);
        });
    }

    /// The one way to an outcome with a context at hand: one load of the snapshot, then pure code.
    fn read<R>(&self, key: &str, context: &Context, read: impl FnOnce(&Outcome<'_>) -> R) -> R {
        self.after_fork();
        let current = self.snapshot.load();
        read(&outcome(&current, key, context))
    }

    /// In the child of a fork: a runtime of its own. One relaxed load otherwise.
    fn after_fork(&self) {
        let now = fork::generation();
        if self.generation.load(Ordering::Relaxed) != now {
            self.rebuild(now);
        }
    }

    #[cold]
    fn rebuild(&self, now: u64) {
        let mut seen = self.generation.load(Ordering::Acquire);
        while seen != now {
            if seen == REBUILDING {
                std::thread::yield_now();
                seen = self.generation.load(Ordering::Acquire);
                continue;
            }
            match self.generation.compare_exchange(seen, REBUILDING, Ordering::AcqRel, Ordering::Acquire) {
                Err(other) => seen = other,
                Ok(_) => {
                    let held = self.snapshot.load().flags.is_some();
                    // The old runtime's locks may be held by threads that do not exist here, and its thread cannot
                    // be joined: it is forgotten, not dropped.
                    std::mem::forget(self.replace_runtime(held));
                    self.generation.store(now, Ordering::Release);
                    if self.started.load(Ordering::Acquire) {
                        let runtime = self.runtime.load_full();
                        if let Err(error) = self.poll(&runtime) {
                            runtime.stream.log(Level::Error, format!("after a fork: {error}"));
                        }
                    }
                    return;
                }
            }
        }
    }

    fn replace_runtime(&self, held: bool) -> Arc<Runtime> {
        let state = if held { State::Ready } else { State::NotReady };
        let status = Arc::new(Status::new(state, held));
        let stream = Arc::new(Stream::default());
        self.runtime.swap(Arc::new(Runtime { status, stream, poller: OnceCell::new() }))
    }
}

impl Drop for Client {
    /// Stops the thread, waiting at most `shutdown_timeout_ms`.
    fn drop(&mut self) {
        if self.generation.load(Ordering::Acquire) != fork::generation() {
            // A child that never used the client: what it inherited is not its to touch.
            let runtime = self.runtime.load_full();
            std::mem::forget(runtime);
            return;
        }
        let _ = self.shutdown(self.config.shutdown_timeout);
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("config", &self.config).finish_non_exhaustive()
    }
}

impl Polling {
    fn end(&self, deadline: Instant) -> Result<(), Error> {
        self.worker.stop();
        self.transport.shutdown();
        if self.worker.is_current() || self.worker.join(deadline) {
            return Ok(());
        }
        Err(Error::new(
            ErrorKind::Timeout,
            "the thread mpflags-poll did not end in time: it is left behind, inside a name look-up or a connect",
        ))
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

fn outcome<'a>(current: &'a Current, key: &str, facts: &impl Facts) -> Outcome<'a> {
    if let Some(value) = current.over(key) {
        return Outcome::Override(value);
    }
    match &current.flags {
        None => Outcome::Unavailable(&current.unavailable),
        Some(set) => evaluate(set, key, facts),
    }
}

/// The outcome for a context that is still JSON: only what the flag reads is kept of it.
fn glance<'a>(current: &'a Current, key: &str, json: &str) -> Outcome<'a> {
    if let Some(value) = current.over(key) {
        return Outcome::Override(value);
    }
    let entry = current.flags.as_ref().and_then(|set| set.get(key));
    let wanted = match entry {
        Some(Entry::Flag(flag)) => Some(Wanted { subject: &flag.context, properties: &flag.properties }),
        _ => None,
    };
    match (Glance::parse(json, wanted), entry) {
        (Err(error), _) => Outcome::InvalidContext(error.to_string()),
        (Ok(glance), Some(entry)) => evaluate_entry(entry, &glance),
        (Ok(_), None) if current.flags.is_some() => Outcome::FlagNotFound,
        (Ok(_), None) => Outcome::Unavailable(&current.unavailable),
    }
}

impl Current {
    fn over(&self, key: &str) -> Option<&FlagValue> {
        let overrides: &Overrides = &self.overrides;
        // Most programs have none, and hashing the key costs more than asking.
        if overrides.is_empty() { None } else { overrides.get(key) }
    }
}
