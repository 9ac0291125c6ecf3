//! The poller: fetch → FlagSet → snapshot, again and again, and what to do when that fails.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::cache::Cache;
use crate::client::refresh::Refreshes;
use crate::client::snapshot::{Retired, Snapshot, next_serial};
use crate::client::status::{Failed, Source, Status};
use crate::config::Config;
use crate::engine::definitions::{FlagSet, Report};
use crate::events::outbox::{End, Outbox};
use crate::items::{Callback, Item, Level, Next, State, Stream};
use crate::sys::clock::{Clock, deadline, random_fraction};
use crate::sys::worker::{Pause, Signal};
use crate::transport::{Answer, Get, Transport};

/// Decoded bytes of a definitions document beyond which it is refused.
pub(crate) const DEFINITIONS_LIMIT: u64 = 64 * 1024 * 1024;

/// What the poller works with.
pub(crate) struct Poller {
    pub(crate) config: Arc<Config>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) transport: Arc<dyn Transport>,
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) status: Arc<Status>,
    pub(crate) stream: Arc<Stream>,
    pub(crate) cache: Option<Cache>,
    pub(crate) callback: Option<Arc<Callback>>,
    pub(crate) refreshes: Arc<Refreshes>,
    /// Told of the events that the callback took.
    pub(crate) outbox: Arc<Outbox>,
}

/// What the poller remembers between fetches.
#[derive(Default)]
struct Memory {
    etag: Option<String>,
    retired: Retired,
    /// What was said of flags' unchecked parts.
    told: HashSet<(Arc<str>, Box<str>)>,
    /// Faults told last time: one line per problem, not per poll.
    rejected: HashSet<String>,
}

/// How a wait for the next fetch ended.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Wake {
    Stopped,
    /// A refresh waits.
    Asked,
    Elapsed,
}

/// What one fetch came to.
enum Fetched {
    Done,
    /// Try again soon, not before the time the server asked for.
    Retry(Failed, Option<Duration>),
    /// Leave it to the next poll.
    Failed(Failed),
}

impl Fetched {
    fn failure(&self) -> Option<&Failed> {
        match self {
            Fetched::Done => None,
            Fetched::Retry(failed, _) | Fetched::Failed(failed) => Some(failed),
        }
    }
}

impl Poller {
    /// Fetches until stopped: without polling, until definitions are held that a fetch brought or the configuration did,
    /// and then when a refresh asks for it. Hands items to the callback, if there is one, as they come.
    pub(crate) fn run(self, signal: &Signal) {
        let mut memory = Memory::default();
        let mut retries = 0;
        let mut cache = self.cache.as_ref();
        let started = self.clock.now();
        let mut polls =
            !self.config.remote && (self.config.enable_polling || self.status.peek() != State::Ready);
        let mut pause = Duration::ZERO;
        while self.pause(signal, polls.then_some(pause), started) {
            let asked = self.refreshes.begin();
            let left = self.config.init_timeout.saturating_sub(self.clock.now() - started);
            let fetched = self.fetch(&mut memory, asked, left);
            if signal.stopped() {
                break;
            }
            pause = match &fetched {
                Fetched::Done => {
                    retries = 0;
                    polls = self.config.enable_polling;
                    self.interval()
                }
                Fetched::Retry(..) | Fetched::Failed(_) if self.refreshes.is_cut() => {
                    // A refresh interrupted it and waits for the next one.
                    Duration::ZERO
                }
                Fetched::Retry(failed, at_least) => {
                    self.failed(failed, cache.take(), &mut memory);
                    let pause = self.backoff(retries).max(at_least.unwrap_or_default());
                    retries = retries.saturating_add(1);
                    pause
                }
                Fetched::Failed(failed) => {
                    self.failed(failed, cache.take(), &mut memory);
                    retries = 0;
                    self.interval()
                }
            };
            memory.retired.sweep();
            // Last: who waited sees what the fetch changed.
            self.refreshes.end(fetched.failure());
        }
        // Readers of a replaced set finish within microseconds; whoever is later frees it at the end.
        memory.retired.sweep();
        signal.idle();
        // What the end of the client has to report is delivered, too.
        while self.callback.is_some()
            && let Next::Item(item) = self.stream.next(deadline(Duration::MAX))
        {
            self.deliver(item);
        }
    }

    /// Waits for the next fetch: for `pause`, without one for a refresh alone. False: stop.
    fn pause(&self, signal: &Signal, pause: Option<Duration>, started: Instant) -> bool {
        let Some(pause) = pause else {
            return loop {
                match self.wait(signal, Duration::from_secs(3600)) {
                    Wake::Stopped => break false,
                    Wake::Asked => break true,
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
            Wake::Asked => true,
            Wake::Elapsed => {
                self.status.late(&self.stream);
                self.wait(signal, pause.saturating_sub(init_left)) != Wake::Stopped
            }
        }
    }

    /// Waits, and hands items to the callback, if there is one, as they come.
    fn wait(&self, signal: &Signal, span: Duration) -> Wake {
        let begun = self.clock.now();
        loop {
            // One at a time: a host that is slow to take items must not keep the poller from its time.
            let more = self.deliver_one();
            if signal.stopped() {
                return Wake::Stopped;
            }
            if self.refreshes.is_pending() {
                return Wake::Asked;
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

    /// Hands an item to the callback. False: there is none.
    fn deliver_one(&self) -> bool {
        let item = self.callback.as_ref().and_then(|_| self.stream.take());
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

    /// `asked`: for a refresh, which must not meet a connection that died while the process was frozen. `init_left`: while
    /// nothing is held, a server that hangs must not hide that the initialisation time passes.
    fn fetch(&self, memory: &mut Memory, asked: bool, init_left: Duration) -> Fetched {
        let timeout = if asked || self.status.held() || init_left == Duration::ZERO {
            self.config.request_timeout
        } else {
            self.config.request_timeout.min(init_left)
        };
        let answer = self.transport.get(&Get {
            path: "/flags/definitions",
            parameters: &[],
            etag: memory.etag.as_deref(),
            fresh: asked,
            timeout,
            limit: DEFINITIONS_LIMIT,
        });
        let answer = match answer {
            Ok(answer) => answer,
            Err(failure) if failure.transient => return Fetched::Retry(Failed::Other(failure.message), None),
            Err(failure) => return Fetched::Failed(Failed::Other(failure.message)),
        };
        match answer.status {
            200 => self.accept(answer, memory),
            304 if memory.etag.is_some() => {
                self.status.succeeded(Source::Fetch, &self.stream);
                Fetched::Done
            }
            401 | 403 => Fetched::Failed(Failed::Credentials(answer.status)),
            408 | 429 | 500..=599 => {
                let after = answer.retry_after(self.clock.wall());
                Fetched::Retry(Failed::Other(format!("HTTP {}", answer.status)), after)
            }
            300..=399 => Fetched::Failed(Failed::Other(format!(
                "HTTP {}: a redirect is not followed, since it would carry the credentials elsewhere; check api_host",
                answer.status
            ))),
            status => Fetched::Failed(Failed::Other(format!("HTTP {status}"))),
        }
    }

    fn accept(&self, answer: Answer, memory: &mut Memory) -> Fetched {
        let previous = self.snapshot.flags();
        match FlagSet::parse(&answer.body, previous.as_deref(), next_serial) {
            Err(error) => Fetched::Failed(Failed::Other(error.to_string())),
            Ok((set, report)) => {
                if let Some(cache) = &self.cache
                    && let Err(error) = cache.write(answer.etag.as_deref(), &answer.body)
                {
                    let path = cache.path().display();
                    self.stream.log(Level::Warning, format!("definitions_cache_dir: {path}: {error}"));
                }
                memory.etag = answer.etag;
                self.serve(set, report, Source::Fetch, memory);
                Fetched::Done
            }
        }
    }

    fn serve(&self, set: FlagSet, report: Report, source: Source, memory: &mut Memory) {
        self.snapshot.replace(Arc::new(set), &mut memory.retired);
        self.status.succeeded(source, &self.stream);
        tell(&self.stream, &report, memory);
        if !report.changed.is_empty() {
            self.stream.push(Item::Change { keys: report.changed });
        }
    }

    /// After the first failure the cache is tried, if there is nothing better.
    fn failed(&self, failed: &Failed, cache: Option<&Cache>, memory: &mut Memory) {
        if !self.status.held() {
            if let Some(cache) = cache {
                self.warm_start(cache, memory);
            }
            self.snapshot.set_unavailable(&failed.unavailable(), &mut memory.retired);
        }
        self.status.failed(failed, &self.stream);
    }

    fn warm_start(&self, cache: &Cache, memory: &mut Memory) {
        match cache.read(DEFINITIONS_LIMIT) {
            Ok(None) => {}
            Err(why) => self.stream.log(Level::Warning, format!("definitions_cache_dir: {why}")),
            Ok(Some(cached)) => match FlagSet::parse(&cached.body, None, next_serial) {
                Err(error) => self.stream.log(Level::Warning, format!("definitions_cache_dir: {error}")),
                Ok((set, report)) => {
                    memory.etag = cached.etag;
                    self.serve(set, report, Source::Cache, memory);
                    self.stream
                        .log(Level::Info, "serving the definitions of the cache until Mixpanel answers");
                }
            },
        }
    }

    /// The time to the next poll: the interval ± 10 %, so that a fleet started at once does not stay in step.
    fn interval(&self) -> Duration {
        self.config.polling_interval.mul_f64(0.9 + 0.2 * random_fraction())
    }

    /// Full jitter: anything up to the bound, which doubles until it is the interval.
    fn backoff(&self, retries: u32) -> Duration {
        let bound = self.config.retry_base.saturating_mul(1_u32.checked_shl(retries).unwrap_or(u32::MAX));
        bound.min(self.config.polling_interval).mul_f64(random_fraction())
    }
}

/// Tells what a document brought besides flags.
fn tell(stream: &Stream, report: &Report, memory: &mut Memory) {
    for line in &report.rejected {
        if !memory.rejected.contains(line) {
            stream.log(Level::Warning, line.as_str());
        }
    }
    memory.rejected = report.rejected.iter().cloned().collect();
    for (key, warning) in &report.unchecked {
        if memory.told.insert((key.clone(), warning.about.clone())) {
            stream.log(Level::Warning, warning.line.as_str());
        }
    }
}

/// Tells what definitions given by the configuration brought.
pub(crate) fn tell_bootstrap(stream: &Stream, report: &Report) {
    tell(stream, report, &mut Memory::default());
}
