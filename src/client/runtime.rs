//! The parts of a client with locks and threads, which are replaced in the child of a fork and after a shutdown.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::client::cache::Cache;
use crate::client::noted::Noted;
use crate::client::poller::Poller;
use crate::client::refresh::Refreshes;
use crate::client::snapshot::{Retired, Snapshot};
use crate::client::status::Status;
use crate::config::Config;
use crate::engine::context::View;
use crate::engine::outcome::Unavailable;
use crate::error::{Error, ErrorKind};
use crate::events::sender::{FlushWaiters, Sender};
use crate::events::{Events, events_were};
use crate::items::{Callback, Items, Level, State};
use crate::sys::clock::{Clock, deadline};
use crate::sys::lock::lock;
use crate::sys::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use crate::sys::sync::{Mutex, OnceCell};
use crate::sys::worker::Worker;
use crate::transport::hosts::Hosts;
use crate::transport::{Connect, Transport};

pub(super) struct Runtime {
    pub(super) status: Arc<Status>,
    pub(super) items: Arc<Items>,
    pub(super) events: Events,
    refreshes: Arc<Refreshes>,
    flushes: Arc<FlushWaiters>,
    /// Replaced by changes of overrides, to be freed by the next change.
    pub(super) retired: Mutex<Retired>,
    poller: OnceCell<Thread>,
    sender: OnceCell<Thread>,
    /// The connections of remote evaluations, made by the first one.
    remote: OnceCell<Arc<dyn Transport>>,
    /// Remote evaluations in progress, even if their caller no longer waits.
    pub(super) remote_in_flight: Arc<AtomicUsize>,
    pub(super) noted: Noted,
    started: AtomicBool,
    closed: AtomicBool,
}

/// The parts of a client that all its runtimes share.
pub(super) struct Shared {
    pub(super) config: Arc<Config>,
    /// How contexts are changed before they are evaluated; `None` if they are not.
    pub(super) view: Option<View>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) connect: Box<Connect>,
    pub(super) hosts: Option<Arc<Hosts>>,
    pub(super) snapshot: Arc<Snapshot>,
}

/// A thread and its connections.
struct Thread {
    worker: Worker,
    transport: Arc<dyn Transport>,
}

/// The part of a shutdown's timeout that is reserved for ending the threads if events cannot be delivered.
const GRACE: Duration = Duration::from_millis(250);
/// The least time for a thread to end after it was interrupted.
const JOIN_SLACK: Duration = Duration::from_millis(50);

impl Runtime {
    /// `state`: the first one, or that of the runtime that this one replaces, read without its lock, since this may be the child of
    /// a fork.
    pub(super) fn new(shared: &Shared, state: State) -> Self {
        // A remote client needs no definitions.
        let held = shared.config.is_remote() || shared.snapshot.load().flags.is_some();
        let items = Arc::new(Items::new(shared.config.log_level));
        Runtime {
            status: Arc::new(Status::new(state, held)),
            events: Events::new(&shared.config, &shared.clock, &items),
            items,
            refreshes: Arc::default(),
            flushes: Arc::new(FlushWaiters::default()),
            retired: Mutex::default(),
            poller: OnceCell::new(),
            sender: OnceCell::new(),
            remote: OnceCell::new(),
            remote_in_flight: Arc::default(),
            noted: Noted::default(),
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

    /// Makes every later start fail. Takes no lock.
    pub(super) fn refuse(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.started.store(false, Ordering::SeqCst);
    }

    /// Ends all waits, and takes no more events.
    pub(super) fn close(&self) {
        self.refuse();
        self.events.close();
        self.status.close();
        self.refreshes.close(Error::closed());
        self.items.close();
        self.events.outbox.close();
    }

    /// The connections of remote evaluations.
    pub(super) fn remote(&self, shared: &Shared) -> Arc<dyn Transport> {
        self.remote.get_or_init(|| (shared.connect)(&self.items)).clone()
    }

    /// Starts the threads that have something to do: all of them, or, if one cannot be started, none.
    pub(super) fn start(&self, shared: &Shared, callback: Option<Arc<Callback>>) -> Result<(), Error> {
        self.started.store(true, Ordering::SeqCst);
        if shared.snapshot.load().unavailable == Unavailable::NotStarted {
            let mut retired = lock(&self.retired);
            shared.snapshot.set_unavailable(&Unavailable::NotReady(None), &mut retired);
        }
        let sender = self.sender.get_or_try_init(|| {
            let sender = self.start_sender(shared)?;
            if self.polls(shared) || callback.is_some() {
                // Last, because it sends its first request at once.
                self.poller.get_or_try_init(|| self.start_poller(shared, callback)).inspect_err(|_| {
                    sender.interrupt();
                    sender.worker.join(Instant::now() + GRACE);
                })?;
            }
            Ok(sender)
        });
        match sender {
            Ok(sender) => self.events.outbox.wake_with(sender.worker.signal()),
            Err(error) => {
                self.started.store(false, Ordering::SeqCst);
                return Err(error);
            }
        }
        // A concurrent shutdown may not have seen the threads.
        if self.is_closed() {
            self.threads().for_each(Thread::interrupt);
            return Err(Error::closed());
        }
        Ok(())
    }

    /// Whether the poller fetches by itself. With `enable_polling` off, it does so until there are definitions.
    fn polls(&self, shared: &Shared) -> bool {
        !shared.config.is_remote() && (shared.config.enable_polling || self.status.peek() != State::Ready)
    }

    /// Fetches now, and waits for the result.
    pub(super) fn refresh(
        &self,
        timeout: Duration,
        shared: &Shared,
        callback: Option<Arc<Callback>>,
    ) -> Result<(), Error> {
        let deadline = deadline(timeout);
        if self.is_closed() {
            return Err(Error::closed());
        }
        if !self.is_started() {
            return Err(not_started());
        }
        if shared.config.is_remote() {
            return Ok(());
        }
        // The poller is not running yet if polling is off and the configuration has definitions.
        let poller = self.poller.get_or_try_init(|| self.start_poller(shared, callback))?;
        if self.is_closed() {
            poller.interrupt();
            return Err(Error::closed());
        }
        if timeout > Duration::ZERO && poller.worker.is_current() {
            return Err(Error::new(
                ErrorKind::InvalidArgument,
                "a callback cannot wait for a refresh, because it runs on the thread that fetches; with a timeout of 0 \
                 the fetch starts when the callback has returned",
            ));
        }
        let call = self.refreshes.request()?;
        poller.worker.signal().wake();
        if timeout == Duration::ZERO {
            return Ok(());
        }
        self.refreshes.wait(call, deadline, || poller.transport.renew()).unwrap_or_else(|| {
            let last = self.status.last_error();
            Err(Error::new(ErrorKind::Timeout, format!("the fetch did not end within the timeout: {last}")))
        })
    }

    fn threads(&self) -> impl Iterator<Item = &Thread> {
        [&self.poller, &self.sender].into_iter().filter_map(OnceCell::get)
    }

    fn start_poller(&self, shared: &Shared, callback: Option<Arc<Callback>>) -> Result<Thread, Error> {
        let transport = (shared.connect)(&self.items);
        let delivers = callback.is_some();
        let poller = Poller {
            config: shared.config.clone(),
            polls: self.polls(shared),
            clock: shared.clock.clone(),
            transport: transport.clone(),
            snapshot: shared.snapshot.clone(),
            status: self.status.clone(),
            items: self.items.clone(),
            refreshes: self.refreshes.clone(),
            cache: Cache::new(&shared.config),
            callback,
            outbox: self.events.outbox.clone(),
        };
        let (items, refreshes) = (self.items.clone(), self.refreshes.clone());
        let panicked = move |text| {
            let ended = format!("polling ended by a panic: {text}");
            refreshes.close(Error::new(ErrorKind::System, ended.as_str()));
            items.log(Level::Error, ended);
        };
        let worker = Worker::spawn("mpflags-poll", move |signal| poller.run(signal), panicked)
            .map_err(|error| no_thread("mpflags-poll", &error))?;
        if delivers {
            self.items.wake_on_push(worker.signal());
        }
        Ok(Thread { worker, transport })
    }

    fn start_sender(&self, shared: &Shared) -> Result<Thread, Error> {
        let transport = (shared.connect)(&self.items);
        let sender = Sender {
            config: shared.config.clone(),
            clock: shared.clock.clone(),
            transport: transport.clone(),
            outbox: self.events.outbox.clone(),
            items: self.items.clone(),
            flushes: self.flushes.clone(),
        };
        let items = self.items.clone();
        let panicked =
            move |text| items.log(Level::Error, format!("sending events ended by a panic: {text}"));
        let worker = Worker::spawn("mpflags-send", move |signal| sender.run(signal), panicked)
            .map_err(|error| no_thread("mpflags-send", &error))?;
        Ok(Thread { worker, transport })
    }

    /// Waits until all queued events are delivered or lost. Returns the number that is left at `deadline`.
    pub(super) fn flush(&self, deadline: Instant) -> u64 {
        let outbox = &self.events.outbox;
        // A callback on the polling thread cannot wait for itself to settle the events it gets.
        let own = self.poller.get().is_some_and(|poller| poller.worker.is_current());
        if own || self.sender.get().is_none() {
            return outbox.waiting() as u64;
        }
        let ticket = self.flushes.begin();
        outbox.wake();
        let left = outbox.wait_settled(deadline, || self.flushes.is_done(ticket));
        self.flushes.end();
        left
    }

    /// Delivers the queued events, then ends the threads. Returns the number of events that were not delivered, which is also
    /// logged, and whether a thread was left behind. `timeout`: the caller's, which ends at `deadline`.
    pub(super) fn end(&self, timeout: Duration, deadline: Instant, shared: &Shared) -> (u64, bool) {
        self.refuse();
        self.events.close();
        self.status.close();
        self.refreshes.close(Error::closed());
        // The poller passes items to the callback until they are closed.
        self.poller.get().into_iter().for_each(Thread::interrupt);
        let total = deadline.saturating_duration_since(Instant::now());
        self.flush(deadline - GRACE.min(total / 4));
        let error = self.events.outbox.error();
        if shared.config.is_remote() {
            // Created if there is none yet, so that a later evaluation finds it closed.
            self.remote(shared).shutdown();
        }
        self.threads().for_each(Thread::interrupt);
        // An interrupted thread ends soon, but needs some time even if the deadline has passed.
        let joined_by = deadline.max(Instant::now() + JOIN_SLACK);
        let ended = |thread: Option<&Thread>| thread.is_none_or(|thread| thread.ends(joined_by));
        let sender_ended = ended(self.sender.get());
        if let Some(poller) = self.poller.get().filter(|poller| !poller.worker.is_current()) {
            // It may still be logging the result of its last fetch.
            poller.worker.wait_idle(joined_by);
        }
        self.events.outbox.close();
        let undelivered = self.events.outbox.abandon(shared.config.event_sink);
        self.report_losses(undelivered, timeout, error);
        self.items.close();
        let poller_ended = ended(self.poller.get());
        (undelivered, !(sender_ended && poller_ended))
    }

    /// Logs lost events, once: at a second shutdown the items are closed.
    fn report_losses(&self, undelivered: u64, timeout: Duration, error: Option<String>) {
        let mut losses = Vec::new();
        if undelivered > 0 {
            let why = match error {
                Some(error) => error,
                None if self.sender.get().is_none() => "the client was not started".to_owned(),
                None => "no response yet".to_owned(),
            };
            losses.push(format!(
                "{} not delivered within {} ms: {why}",
                events_were(undelivered),
                timeout.as_millis()
            ));
        }
        let overflowed = self.events.outbox.overflowed();
        if overflowed > 0 {
            losses.push(format!(
                "{} dropped earlier because the event queue was full (event_queue_capacity)",
                events_were(overflowed)
            ));
        }
        if !losses.is_empty() {
            self.items.log(Level::Warning, losses.join("; "));
        }
    }
}

impl Thread {
    fn interrupt(&self) {
        self.worker.stop();
        self.transport.shutdown();
    }

    /// Waits until it ends. False if it is left behind. On the thread itself it does not wait.
    fn ends(&self, deadline: Instant) -> bool {
        self.worker.is_current() || self.worker.join(deadline)
    }
}

fn no_thread(name: &str, error: &std::io::Error) -> Error {
    let message =
        format!("cannot start the thread {name}: {error}: raise the limit of threads (ulimit -u, pids.max)");
    Error::new(ErrorKind::System, message)
}

pub(super) fn not_started() -> Error {
    Error::new(ErrorKind::InvalidArgument, "the client is not started")
}
