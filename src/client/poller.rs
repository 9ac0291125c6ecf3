//! The poller: fetches definitions at intervals and puts them into use, and retries when a fetch fails.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::bootstrap::{self, DEFINITIONS_LIMIT, Logged};
use crate::client::cache::Cache;
use crate::client::pauses;
use crate::client::refresh::Refreshes;
use crate::client::snapshot::{Definitions, Retired, Snapshot, next_serial};
use crate::client::status::{FetchError, Source, Status};
use crate::config::Config;
use crate::engine::definitions::{FlagSet, Report};
use crate::events::outbox::{End, Outbox};
use crate::items::{Callback, Item, Items, Level, Next};
use crate::sys::clock::{Clock, deadline, random_fraction};
use crate::sys::worker::{Pause, Signal};
use crate::transport::{Get, Response, Transport};

/// The thread `mpflags-poll`.
pub(crate) struct Poller {
    pub(crate) config: Arc<Config>,
    /// Whether to fetch without waiting for a refresh.
    pub(crate) polls: bool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) status: Arc<Status>,
    pub(crate) items: Arc<Items>,
    pub(crate) cache: Option<Cache>,
    pub(crate) callback: Option<Arc<Callback>>,
    pub(crate) refreshes: Arc<Refreshes>,
    /// Counts the events that the callback received.
    pub(crate) outbox: Arc<Outbox>,
}

/// The state between fetches.
#[derive(Default)]
struct Progress {
    retired: Retired,
    logged: Logged,
    /// Why the cache could not be written. Logged once, until it can.
    unwritten: Option<String>,
}

/// Why a wait for the next fetch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Stopped,
    /// A refresh was requested.
    Refresh,
    Elapsed,
}

/// The result of a fetch.
enum Fetched {
    Done,
    /// To be retried soon, but not before the pause that the server asked for.
    Retry(FetchError, Option<Duration>),
    /// To be tried again at the next poll.
    Failed(FetchError),
}

impl Fetched {
    fn failure(&self) -> Option<&FetchError> {
        match self {
            Fetched::Done => None,
            Fetched::Retry(failed, _) | Fetched::Failed(failed) => Some(failed),
        }
    }
}

impl Poller {
    /// Runs until stopped. With `enable_polling` off, fetches until there are definitions, and then only for refreshes. Passes
    /// items to the callback, if there is one.
    pub(crate) fn run(self, signal: &Signal) {
        let mut progress = Progress::default();
        let mut retries = 0;
        // With ready_from_cache, the cache was read when the client was made.
        let mut cache = self.cache.as_ref().filter(|_| !self.config.ready_from_cache);
        let started = self.clock.now();
        let mut polls = self.polls;
        let mut pause = Duration::ZERO;
        while self.pause(signal, polls.then_some(pause), started) {
            let refresh = self.refreshes.begin();
            let left = self.config.init_timeout.saturating_sub(self.clock.now() - started);
            let fetched = self.fetch(&mut progress, refresh, left);
            if signal.stopped() {
                break;
            }
            pause = match &fetched {
                Fetched::Done => {
                    retries = 0;
                    polls = self.config.enable_polling;
                    pauses::interval(&self.config, random_fraction())
                }
                Fetched::Retry(..) | Fetched::Failed(_) if self.refreshes.is_aborted() => {
                    // A refresh aborted this fetch, and waits for the next one.
                    Duration::ZERO
                }
                Fetched::Retry(failed, asked) => {
                    self.failed(failed, cache.take(), &mut progress);
                    let pause = pauses::retry(&self.config, retries, *asked, random_fraction());
                    retries = retries.saturating_add(1);
                    self.items.debug(|| format!("retry {retries} in {} ms", pause.as_millis()));
                    pause
                }
                Fetched::Failed(failed) => {
                    self.failed(failed, cache.take(), &mut progress);
                    retries = 0;
                    pauses::interval(&self.config, random_fraction())
                }
            };
            progress.retired.sweep();
            // Last, so that callers of refresh see the new definitions.
            self.refreshes.end(fetched.failure());
        }
        // Readers finish within microseconds. If one takes longer, it frees the set itself.
        progress.retired.sweep();
        signal.idle();
        // The shutdown adds items, and the callback receives those too.
        if self.callback.is_some() {
            while let Next::Item(item) = self.items.next(deadline(Duration::MAX)) {
                self.deliver(item);
            }
        }
    }

    /// Waits for the next fetch: `pause`, or for a refresh if that is None. False when stopped.
    fn pause(&self, signal: &Signal, pause: Option<Duration>, started: Instant) -> bool {
        let Some(pause) = pause else {
            return loop {
                match self.wait(signal, Duration::from_secs(3600)) {
                    Wake::Stopped => break false,
                    Wake::Refresh => break true,
                    Wake::Elapsed => {}
                }
            };
        };
        let init_left = self.config.init_timeout.saturating_sub(self.clock.now() - started);
        if self.status.held() || init_left >= pause {
            return self.wait(signal, pause) != Wake::Stopped;
        }
        match self.wait(signal, init_left) {
            Wake::Stopped => false,
            Wake::Refresh => true,
            Wake::Elapsed => {
                self.status.late(&self.items);
                self.wait(signal, pause.saturating_sub(init_left)) != Wake::Stopped
            }
        }
    }

    /// Waits, and meanwhile passes items to the callback, if there is one.
    fn wait(&self, signal: &Signal, span: Duration) -> Wake {
        let begun = self.clock.now();
        loop {
            // One at a time, so that a slow callback delays the next poll as little as possible.
            let more = self.deliver_one();
            if signal.stopped() {
                return Wake::Stopped;
            }
            if self.refreshes.is_pending() {
                return Wake::Refresh;
            }
            let left = span.saturating_sub(self.clock.now().saturating_duration_since(begun));
            if more && left > Duration::ZERO {
                continue;
            }
            match signal.pause(&*self.clock, left) {
                Pause::Stopped => return Wake::Stopped,
                Pause::Elapsed => return Wake::Elapsed,
                Pause::Woken => {}
            }
        }
    }

    /// Passes an item to the callback. False if there is none.
    fn deliver_one(&self) -> bool {
        let item = self.callback.as_ref().and_then(|_| self.items.take());
        item.map(|item| self.deliver(item)).is_some()
    }

    fn deliver(&self, item: Item) {
        let Some(callback) = &self.callback else { return };
        let is_event = matches!(item, Item::Event { .. });
        callback(item);
        if is_event {
            self.outbox.settle(1, End::Sent);
        }
    }

    /// `refresh`: use a new connection, since an idle one may have died while the process was frozen. `init_left`: limits the
    /// request while there are no definitions, so that the state changes in time even if the server hangs.
    fn fetch(&self, progress: &mut Progress, refresh: bool, init_left: Duration) -> Fetched {
        let timeout = if refresh || self.status.held() || init_left == Duration::ZERO {
            self.config.request_timeout
        } else {
            self.config.request_timeout.min(init_left)
        };
        let begun = self.clock.now();
        let etag = self.snapshot.etag();
        let response = self.transport.get(&Get {
            path: "/flags/definitions",
            parameters: &[],
            etag: etag.as_deref(),
            fresh: refresh,
            timeout,
            limit: DEFINITIONS_LIMIT,
        });
        let response = match response {
            Ok(response) => response,
            Err(failure) if failure.misconfigured => {
                return Fetched::Failed(FetchError::Misconfigured(failure.message));
            }
            Err(failure) if failure.transient => {
                return Fetched::Retry(FetchError::Other(failure.message), None);
            }
            Err(failure) => return Fetched::Failed(FetchError::Other(failure.message)),
        };
        self.items.debug(|| {
            let (status, from, size) = (response.status, &response.from, response.body.len());
            let time = self.clock.now().saturating_duration_since(begun).as_millis();
            let age = response.age.map_or_else(String::new, |age| format!(", {age} s old"));
            format!("poll: HTTP {status} from {from}, {} in {time} ms{age}", readable(size))
        });
        match response.status {
            200 => self.accept(response, progress),
            304 if etag.is_some() => {
                self.status.succeeded(Source::Fetch { age: response.age }, &*self.clock, &self.items);
                Fetched::Done
            }
            401 | 403 => Fetched::Failed(FetchError::Credentials(response.explained(&self.config.secrets()))),
            // Without the server's text, which may differ each time, while a failure that repeats is logged once.
            408 | 429 | 500..=599 => {
                let after = response.retry_after(self.clock.wall());
                Fetched::Retry(FetchError::Other(response.described()), after)
            }
            _ => Fetched::Failed(FetchError::Other(response.described())),
        }
    }

    fn accept(&self, response: Response, progress: &mut Progress) -> Fetched {
        let previous = self.snapshot.flags();
        match FlagSet::parse(&response.body, previous.as_deref(), next_serial) {
            Err(error) => Fetched::Failed(FetchError::Other(format!("{}: {error}", response.from))),
            Ok((set, report)) => {
                if let Some(cache) = &self.cache {
                    self.store(cache, &response, progress);
                }
                let line = summary(&set, &response);
                let etag = response.etag.map(Into::into);
                let definitions = Definitions { flags: Arc::new(set), etag };
                self.serve(&definitions, report, Source::Fetch { age: response.age }, line, progress);
                Fetched::Done
            }
        }
    }

    fn store(&self, cache: &Cache, response: &Response, progress: &mut Progress) {
        let written = cache.write(response.etag.as_deref(), &response.body);
        let failed =
            written.err().map(|error| format!("definitions_cache_dir: {}: {error}", cache.path().display()));
        if let Some(line) = &failed {
            let repeated = progress.unwritten == failed;
            self.items.log(if repeated { Level::Debug } else { Level::Warning }, line.clone());
        }
        progress.unwritten = failed;
    }

    /// `line` describes the definitions.
    fn serve(
        &self,
        definitions: &Definitions,
        report: Report,
        source: Source,
        line: String,
        progress: &mut Progress,
    ) {
        let changed = report.changed.as_ref().is_none_or(|keys| !keys.is_empty());
        self.snapshot.replace(definitions, &mut progress.retired);
        self.status.succeeded(source, &*self.clock, &self.items);
        self.items.log(if changed { Level::Info } else { Level::Debug }, line);
        progress.logged.log(&self.items, &report);
        if let Some(keys) = report.changed.filter(|keys| !keys.is_empty()) {
            self.items.push(Item::Change { keys });
        }
    }

    /// After the first failure, tries the cache if there are no definitions.
    fn failed(&self, failed: &FetchError, cache: Option<&Cache>, progress: &mut Progress) {
        self.status.log_failure(failed, &self.items);
        if !self.status.held() {
            if let Some(cache) = cache {
                self.warm_start(cache, progress);
            }
            self.snapshot.set_unavailable(&failed.unavailable(), &mut progress.retired);
        }
        self.status.failed(failed, &*self.clock, &self.items);
    }

    fn warm_start(&self, cache: &Cache, progress: &mut Progress) {
        match bootstrap::cached(cache) {
            Ok(None) => {}
            Err(why) => self.items.log(Level::Warning, why),
            Ok(Some((definitions, report))) => {
                let line = "using the cached definitions until Mixpanel can be reached".to_owned();
                self.serve(&definitions, report, Source::Cache, line, progress);
            }
        }
    }
}

/// A log line about definitions that were fetched.
fn summary(set: &FlagSet, response: &Response) -> String {
    let (count, size) = (set.iter().len(), readable(response.body.len()));
    let flags = if count == 1 { "flag" } else { "flags" };
    let etag = response.etag.as_ref().map_or_else(|| "no ETag".to_owned(), |etag| format!("ETag {etag}"));
    let host = response.from.split('/').next().unwrap_or_default();
    format!("definitions: {count} {flags}, {size}, {etag}, from {host}")
}

/// A number of bytes for people: `812 B`, `3.1 kB`, `1.2 MB`.
fn readable(bytes: usize) -> String {
    match bytes as f64 {
        size if size < 1e3 => format!("{bytes} B"),
        size if size < 1e6 => format!("{:.1} kB", size / 1e3),
        size => format!("{:.1} MB", size / 1e6),
    }
}
