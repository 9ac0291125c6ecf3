//! The outbox: a bounded queue of events, filled by any thread under one short lock, emptied by the sender.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use crate::events::dedupe::Memory;
use crate::events::payload::Event;
use crate::items::one_line;
use crate::sys::worker::Signal;

/// Shards of the queue: as many threads can put an event in at once.
const SHARDS: usize = 16;

/// Events between their making and their delivery, and the memory of exposures made.
#[derive(Debug)]
pub(crate) struct Outbox {
    shards: [Shard; SHARDS],
    exposures: Memory,
    /// Flags whose missing distinct_id was told.
    told: Memory,
    capacity: usize,
    batch: usize,
    /// In the shards or with the sender: everything that is neither delivered nor lost.
    waiting: AtomicUsize,
    /// In the shards alone.
    fresh: AtomicUsize,
    counts: Counts,
    settled: Mutex<Settled>,
    changed: Condvar,
    sender: OnceLock<Arc<Signal>>,
}

/// On a line of its own: threads that report different users do not meet here.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    events: Mutex<Pending>,
    deduplicated: AtomicU64,
}

#[derive(Debug, Default)]
struct Pending {
    events: Vec<Event>,
    /// After shutdown nothing comes in that nobody would count.
    closed: bool,
}

#[derive(Debug, Default)]
struct Counts {
    enqueued: AtomicU64,
    sent: AtomicU64,
    queue_full: AtomicU64,
    rejected: AtomicU64,
    shutdown: AtomicU64,
    without_distinct_id: AtomicU64,
}

#[derive(Debug, Default)]
struct Settled {
    last_error: Option<(String, u64)>,
    /// Whether anything was delivered after it.
    recovered: bool,
    closed: bool,
}

/// How an event ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Sent,
    Rejected,
    Shutdown,
}

/// What came of offering an exposure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    Taken,
    /// The same was taken within the window.
    Repeat,
    /// Not remembered: the next evaluation offers it again.
    Full,
    /// It came after shutdown.
    Closed,
}

impl Outbox {
    pub(crate) fn new(capacity: usize, batch: usize, exposures: Memory) -> Self {
        Outbox {
            shards: Default::default(),
            exposures,
            told: Memory::new(4096, u64::MAX / 2),
            capacity,
            batch,
            waiting: AtomicUsize::new(0),
            fresh: AtomicUsize::new(0),
            counts: Counts::default(),
            settled: Mutex::default(),
            changed: Condvar::new(),
            sender: OnceLock::new(),
        }
    }

    /// Takes the exposure that `tag` stands for, unless it was taken within the window. A repeat costs a look-up; a
    /// first one the lock of its shard.
    pub(crate) fn offer(&self, tag: u64, now_ms: u64, event: impl FnOnce() -> Event) -> Offered {
        // One shard locks all writers of a set of the memory.
        let shard = self.shard(self.exposures.index(tag));
        if self.exposures.recalls(tag, now_ms) {
            shard.deduplicated.fetch_add(1, Ordering::Relaxed);
            return Offered::Repeat;
        }
        let fresh = {
            let mut events = lock(&shard.events);
            // Another thread may have been first, in between.
            if self.exposures.recalls(tag, now_ms) {
                shard.deduplicated.fetch_add(1, Ordering::Relaxed);
                return Offered::Repeat;
            }
            if events.closed {
                self.came_too_late();
                return Offered::Closed;
            }
            if !self.reserve() {
                return Offered::Full;
            }
            self.exposures.remember(tag, now_ms);
            self.push(&mut events, event())
        };
        self.added(fresh);
        Offered::Taken
    }

    /// Takes an event that is no exposure.
    pub(crate) fn put(&self, event: Event) -> Offered {
        // Updates of one profile must stay in order, so all go the same way; an event tells its time.
        let index =
            if event.is_profile() { 0 } else { self.counts.enqueued.load(Ordering::Relaxed) as usize };
        let fresh = {
            let mut events = lock(&self.shard(index).events);
            if events.closed {
                self.came_too_late();
                return Offered::Closed;
            }
            if !self.reserve() {
                return Offered::Full;
            }
            self.push(&mut events, event)
        };
        self.added(fresh);
        Offered::Taken
    }

    /// Counts under the shard's lock, so that the sender never takes out what is not counted yet.
    fn push(&self, pending: &mut Pending, event: Event) -> usize {
        pending.events.push(event);
        self.fresh.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Whether it is the first time that flag `tag` lacks a distinct_id. Counts it in any case.
    pub(crate) fn lacks_distinct_id(&self, tag: u64) -> bool {
        self.counts.without_distinct_id.fetch_add(1, Ordering::Relaxed);
        if self.told.recalls(tag, 0) {
            return false;
        }
        let _one_writer = lock(&self.shard(self.told.index(tag)).events);
        let first = !self.told.recalls(tag, 0);
        self.told.remember(tag, 0);
        first
    }

    fn shard(&self, index: usize) -> &Shard {
        let [first, ..] = &self.shards;
        // The remainder is below SHARDS.
        self.shards.get(index % SHARDS).unwrap_or(first)
    }

    fn reserve(&self) -> bool {
        let reserved = self.waiting.fetch_update(Ordering::AcqRel, Ordering::Relaxed, |waiting| {
            (waiting < self.capacity).then_some(waiting + 1)
        });
        if reserved.is_err() {
            self.counts.queue_full.fetch_add(1, Ordering::Relaxed);
        }
        reserved.is_ok()
    }

    fn added(&self, fresh: usize) {
        self.counts.enqueued.fetch_add(1, Ordering::Relaxed);
        // One wake per batch: the sender looks by itself when the flush interval has passed.
        if fresh == self.batch {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(sender) = self.sender.get() {
            sender.wake();
        }
    }

    /// From now on `signal` is woken when a batch is waiting.
    pub(crate) fn wake_with(&self, signal: &Arc<Signal>) {
        let _ = self.sender.set(signal.clone());
    }

    /// Whether a whole batch waits in the shards.
    pub(crate) fn has_batch(&self) -> bool {
        self.fresh.load(Ordering::Acquire) >= self.batch
    }

    /// Moves everything out of the shards. It still counts as waiting until it is settled.
    pub(crate) fn drain(&self, into: &mut VecDeque<Event>) {
        for shard in &self.shards {
            let events = {
                let mut pending = lock(&shard.events);
                self.fresh.fetch_sub(pending.events.len(), Ordering::AcqRel);
                std::mem::take(&mut pending.events)
            };
            into.extend(events);
        }
    }

    /// `count` events have ended. What was given up before, at a shutdown that left the sender behind, ends once.
    pub(crate) fn settle(&self, count: usize, end: End) {
        let counter = match end {
            End::Sent => &self.counts.sent,
            End::Rejected => &self.counts.rejected,
            End::Shutdown => &self.counts.shutdown,
        };
        {
            let mut settled = lock(&self.settled);
            settled.recovered |= end == End::Sent;
            let waited = self.waiting.load(Ordering::Acquire).min(count);
            self.waiting.fetch_sub(waited, Ordering::AcqRel);
            counter.fetch_add(waited as u64, Ordering::Relaxed);
        }
        self.changed.notify_all();
    }

    pub(crate) fn failed(&self, message: &str, unix_ms: u64) {
        let mut settled = self.lock_settled();
        settled.last_error = Some((one_line(message), unix_ms));
        settled.recovered = false;
    }

    /// The last error, if nothing was delivered after it.
    pub(crate) fn error(&self) -> Option<String> {
        let settled = self.lock_settled();
        let last = settled.last_error.as_ref().filter(|_| !settled.recovered);
        last.map(|(message, _)| message.clone())
    }

    /// Events that found the queue full.
    pub(crate) fn overflowed(&self) -> u64 {
        self.counts.queue_full.load(Ordering::Relaxed)
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Acquire)
    }

    /// Waits until nothing waits, or `done`, which [`Outbox::notify`] announces. Gives how much waits when `deadline`
    /// passes.
    pub(crate) fn wait_settled(&self, deadline: Instant, done: impl Fn() -> bool) -> u64 {
        let mut settled = self.lock_settled();
        loop {
            let left = if done() { 0 } else { self.waiting() as u64 };
            let time = deadline.saturating_duration_since(Instant::now());
            if left == 0 || time == Duration::ZERO || settled.closed {
                return left;
            }
            settled = self.changed.wait_timeout(settled, time).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Lets waits look again.
    pub(crate) fn notify(&self) {
        drop(self.lock_settled());
        self.changed.notify_all();
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        self.lock_settled().closed = true;
        self.changed.notify_all();
    }

    /// Counts what still waits as lost by shutdown, and forgets it. Gives how many those are. `sink`: what left the outbox
    /// waits for the host, which can still take it.
    pub(crate) fn abandon(&self, sink: bool) -> u64 {
        for shard in &self.shards {
            lock(&shard.events).closed = true;
        }
        let mut inside = VecDeque::new();
        self.drain(&mut inside);
        let lost = if sink { inside.len() } else { self.waiting() };
        self.settle(lost, End::Shutdown);
        lost as u64
    }

    /// One exposure that came after shutdown.
    pub(crate) fn came_too_late(&self) {
        self.counts.shutdown.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts as JSON, with those of others.
    pub(crate) fn statistics(&self, others: serde_json::Map<String, serde_json::Value>) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let deduplicated: u64 = self.shards.iter().map(|shard| of(&shard.deduplicated)).sum();
        let last_error = self.lock_settled().last_error.clone();
        let last_error =
            last_error.map(|(message, time)| serde_json::json!({"message": message, "time": time}));
        let mut counts = serde_json::json!({
            "enqueued": of(&self.counts.enqueued),
            "sent": of(&self.counts.sent),
            "deduplicated": deduplicated,
            "dropped": {
                "queue_full": of(&self.counts.queue_full),
                "rejected": of(&self.counts.rejected),
                "shutdown": of(&self.counts.shutdown),
            },
            "without_distinct_id": of(&self.counts.without_distinct_id),
            "queue_length": self.waiting(),
            "last_error": last_error,
        });
        if let Some(counts) = counts.as_object_mut() {
            for (name, count) in others {
                counts.insert(name, count);
            }
        }
        counts.to_string()
    }

    fn lock_settled(&self) -> MutexGuard<'_, Settled> {
        lock(&self.settled)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
