//! The outbox: a bounded queue of events. Any thread adds to it under a short lock; the sender empties it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use crate::events::dedupe::Seen;
use crate::events::payload::Event;
use crate::events::shard::Pending;
use crate::items::one_line;
use crate::sys::lock::{lock, wait_until};
use crate::sys::sync::atomic::{AtomicU64, Ordering};
use crate::sys::sync::{Condvar, Mutex, OnceLock};
use crate::sys::worker::Signal;

/// Shards of the queue: as many threads can add an event at once.
const SHARDS: usize = 16;

/// Events until they are delivered, and the exposures that were reported lately.
#[derive(Debug)]
pub(crate) struct Outbox {
    shards: [Shard; SHARDS],
    exposures: Seen,
    /// Flags for which a missing distinct_id was logged.
    lacking_distinct_id: Seen,
    capacity: usize,
    batch: usize,
    accepted: Accepted,
    gone: Gone,
    counts: Counts,
    status: Mutex<DeliveryStatus>,
    changed: Condvar,
    sender: OnceLock<Arc<Signal>>,
}

/// Aligned to a cache line, so that threads which report different users do not contend.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Shard {
    pending: Mutex<Pending>,
    deduplicated: AtomicU64,
}

/// How many events were accepted. In a cache line of its own: every thread that adds one writes it, and nothing else
/// that all of them share.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Accepted(AtomicU64);

/// What the sender counts.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Gone {
    /// Events that left the shards.
    drained: AtomicU64,
    /// Events that were delivered or lost.
    ended: AtomicU64,
}

#[derive(Debug, Default)]
struct Counts {
    sent: AtomicU64,
    queue_full: AtomicU64,
    rejected: AtomicU64,
    shutdown: AtomicU64,
    without_distinct_id: AtomicU64,
}

#[derive(Debug, Default)]
struct DeliveryStatus {
    last_error: Option<(String, u64)>,
    /// Whether events were delivered after it.
    recovered: bool,
    closed: bool,
}

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    Sent,
    Rejected,
    Shutdown,
}

/// The result of offering an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Offered {
    Taken,
    /// The same exposure was taken within the window.
    Repeat,
    /// The queue is full. The exposure is not remembered, so the next evaluation offers it again.
    Full,
    /// The client was shut down.
    Closed,
}

impl Outbox {
    pub(crate) fn new(capacity: usize, batch: usize, exposures: Seen) -> Self {
        Outbox {
            shards: Default::default(),
            exposures,
            lacking_distinct_id: Seen::new(4096, u64::MAX / 2),
            capacity,
            batch,
            accepted: Accepted::default(),
            gone: Gone::default(),
            counts: Counts::default(),
            status: Mutex::default(),
            changed: Condvar::new(),
            sender: OnceLock::new(),
        }
    }

    /// Takes the exposure with this tag, unless it was taken within the window. A repeat costs a look-up, a first one the
    /// lock of its shard.
    pub(crate) fn offer(&self, tag: u64, now_ms: u64, push: impl FnOnce(&mut Pending)) -> Offered {
        // All writers of a set of `exposures` use the same shard's lock.
        let shard = self.shard(self.exposures.index(tag));
        if self.exposures.contains(tag, now_ms) {
            shard.deduplicated.fetch_add(1, Ordering::Relaxed);
            return Offered::Repeat;
        }
        let accepted = {
            let mut pending = lock(&shard.pending);
            // Another thread may have taken it in between.
            let Some(place) = self.exposures.place(tag, now_ms) else {
                shard.deduplicated.fetch_add(1, Ordering::Relaxed);
                return Offered::Repeat;
            };
            match self.accept(&pending) {
                Ok(accepted) => {
                    place.add(tag, now_ms);
                    push(&mut pending);
                    accepted
                }
                Err(refused) => return refused,
            }
        };
        self.added(accepted);
        Offered::Taken
    }

    /// Takes an event that is not an exposure.
    pub(crate) fn put(&self, event: Event) -> Offered {
        // Updates of a profile must stay in order, so they all use one shard. Other events carry their time.
        let index =
            if event.profile_of().is_some() { 0 } else { self.accepted.0.load(Ordering::Relaxed) as usize };
        let accepted = {
            let mut pending = lock(&self.shard(index).pending);
            match self.accept(&pending) {
                Ok(accepted) => {
                    pending.push(event);
                    accepted
                }
                Err(refused) => return refused,
            }
        };
        self.added(accepted);
        Offered::Taken
    }

    /// Counts an event that is added next, and returns how many there have been. The lock of its shard is held until
    /// it is added, so that the sender never takes out an event that is not counted yet.
    fn accept(&self, pending: &Pending) -> Result<u64, Offered> {
        if pending.closed {
            self.came_too_late();
            return Err(Offered::Closed);
        }
        let accepted = self.accepted.0.fetch_update(Ordering::AcqRel, Ordering::Acquire, |accepted| {
            let waiting = accepted.saturating_sub(self.gone.ended.load(Ordering::Acquire));
            (waiting < self.capacity as u64).then_some(accepted + 1)
        });
        accepted.map(|before| before + 1).map_err(|_| {
            self.counts.queue_full.fetch_add(1, Ordering::Relaxed);
            Offered::Full
        })
    }

    /// Counts an exposure without a distinct_id. True for the first one of the flag with this tag.
    pub(crate) fn lacks_distinct_id(&self, tag: u64) -> bool {
        self.counts.without_distinct_id.fetch_add(1, Ordering::Relaxed);
        if self.lacking_distinct_id.contains(tag, 0) {
            return false;
        }
        let _one_writer = lock(&self.shard(self.lacking_distinct_id.index(tag)).pending);
        let place = self.lacking_distinct_id.place(tag, 0);
        let first = place.is_some();
        if let Some(place) = place {
            place.add(tag, 0);
        }
        first
    }

    fn shard(&self, index: usize) -> &Shard {
        let [first, ..] = &self.shards;
        // The remainder is below SHARDS.
        self.shards.get(index % SHARDS).unwrap_or(first)
    }

    fn added(&self, accepted: u64) {
        // One wake-up per batch: after the flush interval, the sender looks by itself.
        if accepted.saturating_sub(self.gone.drained.load(Ordering::Acquire)) == self.batch as u64 {
            self.wake();
        }
    }

    pub(crate) fn wake(&self) {
        if let Some(sender) = self.sender.get() {
            sender.wake();
        }
    }

    /// Makes every full batch wake `signal`, also one that filled up before.
    pub(crate) fn wake_with(&self, signal: &Arc<Signal>) {
        let _ = self.sender.set(signal.clone());
        signal.wake();
    }

    /// Whether the shards hold a whole batch.
    pub(crate) fn has_batch(&self) -> bool {
        let drained = self.gone.drained.load(Ordering::Acquire);
        self.accepted.0.load(Ordering::Acquire).saturating_sub(drained) >= self.batch as u64
    }

    /// Moves all events out of the shards. They count as waiting until they are settled.
    pub(crate) fn drain(&self, into: &mut VecDeque<Event>) {
        for shard in &self.shards {
            let taken = {
                let mut pending = lock(&shard.pending);
                let taken = pending.take();
                self.gone.drained.fetch_add(taken.len() as u64, Ordering::AcqRel);
                taken
            };
            into.extend(taken.into_events());
        }
    }

    /// Counts `count` events as ended, and returns how many were. Events that a shutdown gave up while the sender still ran are
    /// not counted again.
    pub(crate) fn settle(&self, count: usize, end: End) -> u64 {
        let counter = match end {
            End::Sent => &self.counts.sent,
            End::Rejected => &self.counts.rejected,
            End::Shutdown => &self.counts.shutdown,
        };
        let waited = {
            let mut status = lock(&self.status);
            status.recovered |= end == End::Sent;
            let waited = self.waiting().min(count) as u64;
            self.gone.ended.fetch_add(waited, Ordering::AcqRel);
            counter.fetch_add(waited, Ordering::Relaxed);
            waited
        };
        self.changed.notify_all();
        waited
    }

    pub(crate) fn failed(&self, message: &str, unix_ms: u64) {
        let mut status = lock(&self.status);
        status.last_error = Some((one_line(message), unix_ms));
        status.recovered = false;
    }

    /// The last error, unless events were delivered after it.
    pub(crate) fn error(&self) -> Option<String> {
        let status = lock(&self.status);
        let last = status.last_error.as_ref().filter(|_| !status.recovered);
        last.map(|(message, _)| message.clone())
    }

    /// The number of events dropped because the queue was full.
    pub(crate) fn overflowed(&self) -> u64 {
        self.counts.queue_full.load(Ordering::Relaxed)
    }

    /// Events in the shards or with the sender: neither delivered nor lost.
    pub(crate) fn waiting(&self) -> usize {
        // In this order, so that no event is missed that was accepted before one that has ended.
        let ended = self.gone.ended.load(Ordering::Acquire);
        let accepted = self.accepted.0.load(Ordering::Acquire);
        usize::try_from(accepted.saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    /// Waits until the outbox is empty or `done` returns true; [`Outbox::notify`] makes it look again. Returns the number of
    /// events that wait at `deadline`.
    pub(crate) fn wait_settled(&self, deadline: Instant, done: impl Fn() -> bool) -> u64 {
        let mut status = lock(&self.status);
        loop {
            let left = if done() { 0 } else { self.waiting() as u64 };
            if left == 0 || status.closed {
                return left;
            }
            let Some(changed) = wait_until(&self.changed, status, deadline) else { return left };
            status = changed;
        }
    }

    /// Makes [`Outbox::wait_settled`] look again.
    pub(crate) fn notify(&self) {
        drop(lock(&self.status));
        self.changed.notify_all();
    }

    /// Ends every wait.
    pub(crate) fn close(&self) {
        lock(&self.status).closed = true;
        self.changed.notify_all();
    }

    /// Counts the events that still wait as lost by shutdown, and drops them. Returns their number. `sink`: events that have
    /// left the outbox are items, which the program can still pull.
    pub(crate) fn abandon(&self, sink: bool) -> u64 {
        for shard in &self.shards {
            lock(&shard.pending).closed = true;
        }
        let mut inside = VecDeque::new();
        self.drain(&mut inside);
        let lost = if sink { inside.len() } else { self.waiting() };
        // Fewer, if the sender was left behind and has delivered some by now.
        self.settle(lost, End::Shutdown)
    }

    /// Counts an exposure after shutdown.
    pub(crate) fn came_too_late(&self) {
        self.counts.shutdown.fetch_add(1, Ordering::Relaxed);
    }

    /// The counts as JSON, together with `others`.
    pub(crate) fn statistics(&self, others: serde_json::Map<String, serde_json::Value>) -> String {
        let of = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let deduplicated: u64 = self.shards.iter().map(|shard| of(&shard.deduplicated)).sum();
        let last_error = lock(&self.status).last_error.clone();
        let last_error =
            last_error.map(|(message, time)| serde_json::json!({"message": message, "time": time}));
        let mut counts = serde_json::json!({
            "enqueued": of(&self.accepted.0),
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
}
