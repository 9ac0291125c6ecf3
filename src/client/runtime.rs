//! Whatever of a client has a lock or a thread: made when it starts, replaced in the child of a fork, ended at shutdown.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use once_cell::sync::OnceCell;

use crate::client::cache::Cache;
use crate::client::poller::Poller;
use crate::client::refresh::{Refreshes, closed};
use crate::client::snapshot::{Retired, Snapshot};
use crate::client::status::Status;
use crate::config::Config;
use crate::engine::context::Unusable;
use crate::error::{Error, ErrorKind};
use crate::events::Events;
use crate::events::payload::{Sender, token_json};
use crate::events::sender::{Hurry, Reporter};
use crate::items::{Callback, Level, State, Stream};
use crate::sys::clock::{Clock, deadline};
use crate::sys::worker::Worker;
use crate::transport::Transport;
use crate::transport::http::Settings;

pub(super) struct Runtime {
    pub(super) status: Arc<Status>,
    pub(super) stream: Arc<Stream>,
    pub(super) events: Events,
    refreshes: Arc<Refreshes>,
    hurry: Arc<Hurry>,
    /// What changes of overrides replaced: freed by the next change, never by an evaluation.
    pub(super) retired: Mutex<Retired>,
    poller: OnceCell<Thread>,
    reporter: OnceCell<Thread>,
    /// The connections of remote evaluations, made with the first.
    remote: OnceCell<Arc<dyn Transport>>,
    /// Remote evaluations under way, those that their callers gave up waiting for included.
    pub(super) asking: Arc<AtomicUsize>,
    /// Attributes of contexts that cannot be used.
    pub(super) attributes: Attributes,
    started: AtomicBool,
    closed: AtomicBool,
}

/// Attributes that contexts held and that cannot be used: each is logged once, and every evaluation counts.
#[derive(Default)]
pub(super) struct Attributes {
    evaluations: AtomicU64,
    logged: Mutex<Vec<String>>,
}

impl Attributes {
    /// Names beyond these are not remembered, and not logged: they come from outside.
    const MAX: usize = 256;

    /// For an evaluation whose context holds something; the others do not come here. `stream`: where to log it.
    #[cold]
    pub(super) fn note(&self, unusable: &[Unusable], stream: Option<&Stream>) {
        self.evaluations.fetch_add(1, Ordering::Relaxed);
        let Some(stream) = stream else { return };
        for each in unusable {
            let attribute = each.attribute();
            let is_new = {
                let mut logged = self.logged.lock().unwrap_or_else(PoisonError::into_inner);
                let is_new = logged.len() < Self::MAX && !logged.contains(&attribute);
                if is_new {
                    logged.push(attribute.clone());
                }
                is_new
            };
            if is_new {
                let why = each.why();
                stream.log(
                    Level::Warning,
                    format!("context: attribute `{attribute}` cannot be used ({why}): flags that read it give INVALID_CONTEXT"),
                );
            }
        }
    }

    pub(super) fn count(&self) -> u64 {
        self.evaluations.load(Ordering::Relaxed)
    }
}

/// What a runtime's threads work with, which outlives them.
pub(super) struct Parts {
    pub(super) config: Arc<Config>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) settings: Arc<Settings>,
    pub(super) snapshot: Arc<Snapshot>,
}

/// A thread and the connections that it waits on.
struct Thread {
    worker: Worker,
    transport: Arc<dyn Transport>,
}

/// The part of a shutdown's time that is kept for ending threads when events cannot be delivered.
const GRACE: Duration = Duration::from_millis(250);
const MOMENT: Duration = Duration::from_millis(50);

impl Runtime {
    /// `before`: the runtime that this one takes the place of, of which nothing is asked that takes a lock.
    pub(super) fn new(parts: &Parts, before: Option<&Runtime>) -> Self {
        // A remote client holds nothing and can always ask.
        let held = parts.config.remote || parts.snapshot.load().flags.is_some();
        let state = match before.map(|before| before.status.peek()) {
            Some(state) => state,
            None if held => State::Ready,
            None => State::NotReady,
        };
        let stream = Arc::new(Stream::default());
        Runtime {
            status: Arc::new(Status::new(state, held)),
            events: Events::new(&parts.config, &parts.clock, &stream),
            stream,
            refreshes: Arc::default(),
            hurry: Arc::new(Hurry::default()),
            retired: Mutex::default(),
            poller: OnceCell::new(),
            reporter: OnceCell::new(),
            remote: OnceCell::new(),
            asking: Arc::default(),
            attributes: Attributes::default(),
            started: AtomicBool::new(false),
            closed: AtomicBool::new(false),
        }
    }

    pub(super) fn is_started(&self) -> bool {
        self.started.load(Ordering::SeqCst)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// From now on it starts nothing, and says so. Takes no lock.
    pub(super) fn refuse(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.started.store(false, Ordering::SeqCst);
    }

    /// Ends every wait, and takes no event any more.
    pub(super) fn close(&self) {
        self.refuse();
        self.events.close();
        self.status.close();
        self.refreshes.close(closed());
        self.stream.close();
        self.events.outbox.close();
    }

    /// The connections that remote evaluations share.
    pub(super) fn remote(&self, parts: &Parts) -> Arc<dyn Transport> {
        self.remote.get_or_init(|| Arc::new(parts.settings.connect())).clone()
    }

    /// Starts the threads that there is work for: all of them, or, where one is refused, none.
    pub(super) fn start(&self, parts: &Parts, callback: Option<Arc<Callback>>) -> Result<(), Error> {
        self.started.store(true, Ordering::SeqCst);
        // Without polling, one fetch, unless it was made or the configuration brought definitions.
        let polls =
            !parts.config.remote && (parts.config.enable_polling || self.status.peek() != State::Ready);
        let reporter = self.reporter.get_or_try_init(|| {
            let reporter = self.start_reporter(parts)?;
            if polls || callback.is_some() {
                // Last: its first request is on its way at once.
                self.poller.get_or_try_init(|| self.start_poller(parts, callback)).inspect_err(|_| {
                    reporter.interrupt();
                    reporter.worker.join(Instant::now() + GRACE);
                })?;
            }
            Ok(reporter)
        });
        match reporter {
            Ok(reporter) => self.events.outbox.wake_with(reporter.worker.signal()),
            Err(error) => {
                self.started.store(false, Ordering::SeqCst);
                return Err(error);
            }
        }
        // A shutdown that came in between has not seen the threads.
        if self.is_closed() {
            self.threads().for_each(Thread::interrupt);
            return Err(closed());
        }
        Ok(())
    }

    /// Fetches now, and waits until that fetch has ended.
    pub(super) fn refresh(
        &self,
        timeout: Duration,
        parts: &Parts,
        callback: Option<Arc<Callback>>,
    ) -> Result<(), Error> {
        let deadline = deadline(timeout);
        if self.is_closed() {
            return Err(closed());
        }
        if !self.is_started() {
            return Err(Error::new(ErrorKind::InvalidArgument, "the client is not started"));
        }
        if parts.config.remote {
            return Ok(());
        }
        // Without polling, and with definitions of the configuration, this is its first work.
        let poller = self.poller.get_or_try_init(|| self.start_poller(parts, callback))?;
        if self.is_closed() {
            poller.interrupt();
            return Err(closed());
        }
        if timeout > Duration::ZERO && poller.worker.is_current() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a callback cannot wait for a refresh, since its thread is the one that fetches; \
                 with a timeout of 0 the fetch begins when the callback has returned",
            ));
        }
        let call = self.refreshes.ask()?;
        poller.worker.signal().wake();
        if timeout == Duration::ZERO {
            return Ok(());
        }
        self.refreshes.wait(call, deadline, || poller.transport.renew()).unwrap_or_else(|| {
            let last = self.status.last_error();
            Err(Error::new(
                ErrorKind::Timeout,
                format!("the fetch did not end within the time given: {last}"),
            ))
        })
    }

    fn threads(&self) -> impl Iterator<Item = &Thread> {
        [&self.poller, &self.reporter].into_iter().filter_map(OnceCell::get)
    }

    fn start_poller(&self, parts: &Parts, callback: Option<Arc<Callback>>) -> Result<Thread, Error> {
        let transport: Arc<dyn Transport> = Arc::new(parts.settings.connect());
        let delivers = callback.is_some();
        let poller = Poller {
            config: parts.config.clone(),
            clock: parts.clock.clone(),
            transport: transport.clone(),
            snapshot: parts.snapshot.clone(),
            status: self.status.clone(),
            stream: self.stream.clone(),
            refreshes: self.refreshes.clone(),
            cache: Cache::new(&parts.config),
            callback,
            outbox: self.events.outbox.clone(),
        };
        let (stream, refreshes) = (self.stream.clone(), self.refreshes.clone());
        let panicked = move |text| {
            let ended = format!("polling ended by a panic: {text}");
            refreshes.close(Error::new(ErrorKind::System, ended.as_str()));
            stream.log(Level::Error, ended);
        };
        let worker = Worker::spawn("mpflags-poll", move |signal| poller.run(signal), panicked)
            .map_err(|error| no_thread("mpflags-poll", &error))?;
        if delivers {
            self.stream.wake_on_push(worker.signal());
        }
        Ok(Thread { worker, transport })
    }

    fn start_reporter(&self, parts: &Parts) -> Result<Thread, Error> {
        let transport: Arc<dyn Transport> = Arc::new(parts.settings.connect());
        let reporter = Reporter {
            config: parts.config.clone(),
            clock: parts.clock.clone(),
            transport: transport.clone(),
            outbox: self.events.outbox.clone(),
            stream: self.stream.clone(),
            sender: Sender { token: token_json(&parts.config.credentials.token) },
            hurry: self.hurry.clone(),
        };
        let stream = self.stream.clone();
        let panicked =
            move |text| stream.log(Level::Error, format!("sending events ended by a panic: {text}"));
        let worker = Worker::spawn("mpflags-send", move |signal| reporter.run(signal), panicked)
            .map_err(|error| no_thread("mpflags-send", &error))?;
        Ok(Thread { worker, transport })
    }

    /// Waits until what is enqueued now is delivered or lost. Gives how much is left at `deadline`.
    pub(super) fn flush(&self, deadline: Instant) -> u64 {
        let outbox = &self.events.outbox;
        // On the callback's thread waiting would wait for itself.
        let own = self.poller.get().is_some_and(|poller| poller.worker.is_current());
        if own || self.reporter.get().is_none() {
            return outbox.waiting() as u64;
        }
        let ticket = self.hurry.begin();
        outbox.wake();
        let left = outbox.wait_settled(deadline, || self.hurry.is_done(ticket));
        self.hurry.end();
        left
    }

    /// Delivers what waits, then ends the threads. Gives how many events were not delivered, which is logged, and whether
    /// a thread had to be left behind. `timeout` is what the caller gave, until `deadline`.
    pub(super) fn end(&self, timeout: Duration, deadline: Instant, parts: &Parts) -> (u64, bool) {
        self.refuse();
        self.events.close();
        self.status.close();
        self.refreshes.close(closed());
        // A callback gets items until the stream is closed.
        self.poller.get().into_iter().for_each(Thread::interrupt);
        let total = deadline.saturating_duration_since(Instant::now());
        self.flush(deadline - GRACE.min(total / 4));
        let error = self.events.outbox.error();
        if parts.config.remote {
            // Made now, if it was not, so that an evaluation which comes late finds it closed.
            self.remote(parts).shutdown();
        }
        self.threads().for_each(Thread::interrupt);
        // A thread that is interrupted ends within a moment, which a deadline in the past must leave it.
        let joined_by = deadline.max(Instant::now() + MOMENT);
        let ended = |thread: Option<&Thread>| thread.is_none_or(|thread| thread.ends(joined_by));
        let sender_ended = ended(self.reporter.get());
        if let Some(poller) = self.poller.get()
            && !poller.worker.is_current()
        {
            // It may be in the middle of reporting what its last fetch brought.
            poller.worker.wait_idle(joined_by);
        }
        self.events.outbox.close();
        let undelivered = self.events.outbox.abandon(parts.config.event_sink);
        self.report_losses(undelivered, timeout, error);
        self.stream.close();
        let poller_ended = ended(self.poller.get());
        (undelivered, !(sender_ended && poller_ended))
    }

    /// Once: a later end finds the stream closed.
    fn report_losses(&self, undelivered: u64, timeout: Duration, error: Option<String>) {
        let were =
            |count: u64| if count == 1 { "1 event was".to_owned() } else { format!("{count} events were") };
        let mut losses = Vec::new();
        if undelivered > 0 {
            let why = match error {
                Some(error) => error,
                None if self.reporter.get().is_none() => "the client was not started".to_owned(),
                None => "no response yet".to_owned(),
            };
            losses.push(format!(
                "{} not delivered within {} ms: {why}",
                were(undelivered),
                timeout.as_millis()
            ));
        }
        let overflowed = self.events.outbox.overflowed();
        if overflowed > 0 {
            losses.push(format!(
                "{} dropped before, because the event queue was full (event_queue_capacity)",
                were(overflowed)
            ));
        }
        if !losses.is_empty() {
            self.stream.log(Level::Warning, losses.join("; "));
        }
    }
}

impl Thread {
    fn interrupt(&self) {
        self.worker.stop();
        self.transport.shutdown();
    }

    /// Waits for its end. False: it is left behind. The caller's own thread ends later.
    fn ends(&self, deadline: Instant) -> bool {
        self.worker.is_current() || self.worker.join(deadline)
    }
}

fn no_thread(name: &str, error: &std::io::Error) -> Error {
    let message =
        format!("cannot start the thread {name}: {error}: raise the limit of threads (ulimit -u, pids.max)");
    Error::new(ErrorKind::System, message)
}
